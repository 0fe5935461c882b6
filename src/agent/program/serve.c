/* The server mode: GET /health and GET /ws on a TCP port, both behind the token when there is one, with TLS where there
 * is a certificate. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/tls.h"

enum { BACKLOG = 128, HEAD_MS = 10000, GREETINGS_MAX = 500 };

struct visitor {
	union {
		uv_stream_t stream;
		uv_handle_t handle;
		uv_tcp_t tcp;
		uv_pipe_t pipe; /* the inner end of TLS */
	};
	uv_timer_t deadline;
	uv_write_t write;
	char *answer;
	size_t len;
	unsigned handles;
	bool is_closing;
	char head[HANDSHAKE_HEAD_MAX];
};

static uv_tcp_t listener;
static struct tls_context *tls; /* NULL: none */
static unsigned ngreetings; /* visitors whose TLS is being agreed upon */

static void on_closed(uv_handle_t *h)
{
	struct visitor *v = h->data;

	if (--v->handles > 0)
		return;
	free(v->answer);
	free(v);
}

static void leave(struct visitor *v)
{
	if (v->is_closing)
		return;
	v->is_closing = true;
	uv_close(&v->handle, on_closed);
	uv_close((uv_handle_t *)&v->deadline, on_closed);
}

static void on_written(uv_write_t *req, int status)
{
	(void)status;
	leave(req->data);
}

static void answer(struct visitor *v, int status, const char *type, const char *body)
{
	uv_buf_t b;

	v->answer = handshake_refusal(status, type, body);
	b = uv_buf_init(v->answer, (unsigned)strlen(v->answer));
	v->write.data = v;
	uv_read_stop(&v->stream);
	if (uv_write(&v->write, &v->stream, &b, 1, on_written) < 0)
		leave(v);
}

static void answer_health(struct visitor *v)
{
	json_t *o = json_pack("{s:s}", "status", "ok");
	CLEANUP(freep) char *text = NULL;

	main_describe(o);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	answer(v, 200, "application/json", text);
}

static bool has_token(const struct visitor *v, size_t head)
{
	CLEANUP(freep) char *said = handshake_header(v->head, head, "Authorization");

	if (!agent.token)
		return true;
	return said && strncmp(said, "Bearer ", 7) == 0 && token_equal(said + 7, agent.token);
}

static void open_socket(struct visitor *v, size_t head)
{
	CLEANUP(freep)
	char *key = NULL, *protocols = handshake_header(v->head, head, "Sec-WebSocket-Protocol"), *response = NULL;
	const char *fault = handshake_fault(v->head, head, &key);
	bool is_ours = handshake_list_has(protocols, AGENT_PROTOCOL);
	struct error err = { 0 };
	struct peer *p = NULL;
	int fd = -1, mine = -1;

	if (fault) {
		answer(v, 400, "text/plain", fault);
		return;
	}
	if (uv_fileno(&v->handle, &fd) == 0)
		mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (mine >= 0)
		p = peer_new(mine, true, is_ours, v->head + head, v->len - head, NULL, NULL, &err);
	if (p) {
		response = handshake_response(key, is_ours);
		peer_welcome(p, response);
	} else if (mine >= 0) {
		close(mine);
	}
	leave(v);
}

static void look(struct visitor *v)
{
	int head = handshake_head_length(v->head, v->len);
	CLEANUP(freep) char *target = head > 0 ? handshake_target(v->head, (size_t)head) : NULL;

	if (head == 0)
		return;
	uv_read_stop(&v->stream);
	if (!target)
		answer(v, 400, "text/plain", "bad request\n");
	else if (!has_token(v, (size_t)head))
		answer(v, 401, "text/plain", "unauthorized\n");
	else if (strcmp(target, "/health") == 0)
		answer_health(v);
	else if (strcmp(target, "/ws") == 0 || strncmp(target, "/ws?", 4) == 0)
		open_socket(v, (size_t)head);
	else
		answer(v, 404, "text/plain", "not found\n");
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct visitor *v = h->data;

	(void)size;
	*buf = uv_buf_init(v->head + v->len, (unsigned)(sizeof(v->head) - v->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct visitor *v = s->data;

	(void)buf;
	if (n < 0) {
		leave(v);
		return;
	}
	v->len += (size_t)n;
	look(v);
}

static void on_deadline(uv_timer_t *t)
{
	leave(t->data);
}

static struct visitor *visitor_new(uv_loop_t *loop)
{
	struct visitor *v = xnew(struct visitor);

	uv_timer_init(loop, &v->deadline);
	v->deadline.data = v;
	v->handles = 2;
	return v;
}

static void receive(struct visitor *v)
{
	uv_timer_start(&v->deadline, on_deadline, HEAD_MS, 0);
	uv_read_start(&v->stream, on_alloc, on_read);
}

static void on_greeted(void *arg, int take_fd, const char *why)
{
	struct visitor *v;

	(void)arg;
	ngreetings--;
	if (take_fd < 0) {
		say("a connection was refused: %s", why);
		return;
	}
	v = visitor_new(listener.loop);
	uv_pipe_init(listener.loop, &v->pipe, 0);
	v->handle.data = v;
	if (uv_pipe_open(&v->pipe, take_fd) == 0) {
		receive(v);
		return;
	}
	close(take_fd);
	leave(v);
}

/* The descriptor goes to the relay, the handle that it was accepted into does not. */
static void greet(struct visitor *v)
{
	int fd = -1, mine = -1;

	if (ngreetings < GREETINGS_MAX && uv_fileno(&v->handle, &fd) == 0)
		mine = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (mine >= 0) {
		ngreetings++;
		tls_relay_start(listener.loop, tls, mine, NULL, on_greeted, NULL);
	}
	leave(v);
}

static void on_visitor(uv_stream_t *server, int status)
{
	struct visitor *v;

	if (status < 0)
		return;
	v = visitor_new(server->loop);
	uv_tcp_init(server->loop, &v->tcp);
	v->handle.data = v;
	if (uv_accept(server, &v->stream) < 0)
		leave(v);
	else if (tls)
		greet(v);
	else
		receive(v);
}

int serve_open(const char *addr, const char *certificate, const char *key, struct error *err)
{
	const char *colon = strrchr(addr, ':');
	CLEANUP(freep) char *host = colon ? xstrndup(addr, (size_t)(colon - addr)) : NULL;
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM },
			*found;
	size_t n = host ? strlen(host) : 0;
	int r;

	if (certificate && tls_server_new(certificate, key, &tls, err) < 0)
		return err->code;
	if (!colon)
		return error_set(err, -EINVAL, "--addr %s: ADDRESS:PORT is expected", addr);
	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = '\0';
		memmove(host, host + 1, n - 1);
	}
	if (getaddrinfo(*host ? host : "0.0.0.0", colon + 1, &hints, &found) != 0)
		return error_set(err, -EINVAL, "--addr %s: an address in numbers and a port are expected", addr);
	uv_tcp_init(agent.loop, &listener);
	r = uv_tcp_bind(&listener, found->ai_addr, 0);
	freeaddrinfo(found);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&listener, BACKLOG, on_visitor);
	if (r < 0)
		return error_set(err, r, "--addr %s: %s", addr, uv_strerror(r));
	if (!agent.token)
		say("without a token whoever reaches %s may run commands here", addr);
	return 0;
}
