#include "support/http-fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "http/request.h"
#include "http/server.h"

static struct {
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;
	struct http_server *server;
	struct router *router;
	char path[2][64];
} f;

atomic_int open_streams, broken_uploads, whole_uploads, begun_uploads, ended_uploads, uploaded, wrapped, claimed,
	overridden, held, gate_state;

/* ---- handlers ---- */

static void ping(struct request *req)
{
	reply_text(req, 200, "text/plain", "OK");
}

static void ping_instead(struct request *req)
{
	overridden++;
	ping(req);
}

static void echo(struct request *req)
{
	reply_json(req, 200, request_json(req) ? json_incref(request_json(req)) : json_null());
}

static void refuse_upload(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_NOT_FOUND, "no such thing");
	reply_error(req, &err);
}

static void upload_data(void *arg, const void *data, size_t len)
{
	(void)data;
	uploaded += (int)len;
	if (strcmp(request_param(arg, "kind"), "stop") == 0 && uploaded > 100000) {
		uploaded = 0;
		refuse_upload(arg);
	}
}

static void upload_end(void *arg, int result)
{
	if (result < 0)
		broken_uploads++;
	else
		whole_uploads++;
	if (strcmp(request_param(arg, "kind"), "stop") != 0)
		reply_empty(arg, 200);
	ended_uploads++;
}

static void upload(struct request *req)
{
	begun_uploads++;
	if (strcmp(request_param(req, "kind"), "none") == 0)
		refuse_upload(req);
	else
		request_body_start(req, upload_data, upload_end, req);
}

static void stream_closed(void *arg)
{
	(void)arg;
	open_streams--;
}

static void endless(struct request *req)
{
	static const struct stream_events events = { .on_close = stream_closed };
	struct stream *s = reply_stream(req, 200, "text/plain");

	open_streams++;
	stream_set_events(s, &events, s);
}

/* An echo; after "end" nothing more is wanted of the client. */
static void hijack_data(void *arg, const void *data, size_t len)
{
	stream_write(arg, data, len < 16 ? len : 3);
	if (len >= 3 && !memcmp(data, "end", 3)) {
		stream_read_stop(arg);
		stream_end(arg);
	}
}

static void hijack_eof(void *arg)
{
	stream_write(arg, "bye", 3);
	stream_end(arg);
}

static void hijack_ready(void *arg, struct stream *s)
{
	static const struct stream_events events = { .on_close = stream_closed, .on_data = hijack_data, .on_eof = hijack_eof };

	(void)arg;
	if (!s)
		return;
	open_streams++;
	stream_set_events(s, &events, s);
	stream_read_start(s);
}

static void hijack(struct request *req)
{
	reply_hijack(req, "text/plain", hijack_ready, NULL);
}

/* The loop stands still, until it is let go. */
static void hold(struct request *req)
{
	held++;
	while (held)
		usleep(1000);
	ping(req);
}

/* The one answer that the gate keeps. */
static struct {
	void (*go)(void *arg);
	void *arg;
} kept;

static bool gate(void *ctx, void (*go)(void *arg), void *arg)
{
	(void)ctx;
	if (gate_state != GATE_SHUTS)
		return true;
	kept.go = go;
	kept.arg = arg;
	gate_state = GATE_KEEPS;
	return false;
}

static void later_closed(uv_handle_t *h)
{
	free(h);
}

static void later_due(uv_timer_t *t)
{
	reply_text(t->data, 200, "text/plain", "later");
	uv_close((uv_handle_t *)t, later_closed);
}

static void later(struct request *req)
{
	uv_timer_t *t = malloc(sizeof(*t));

	uv_timer_init(&f.loop, t);
	t->data = req;
	uv_timer_start(t, later_due, 100, 0);
}

static const struct route routes[] = {
	{ .operation = "Ping", .method = "GET", .pattern = "/ping", .handler = ping },
	{ .operation = "Echo", .method = "POST", .pattern = "/echo", .handler = echo, .flags = ROUTE_BODY_JSON },
	{ .operation = "Upload", .method = "PUT", .pattern = "/upload/{kind}", .handler = upload, .flags = ROUTE_BODY_STREAM },
	{ .operation = "Endless", .method = "GET", .pattern = "/endless", .handler = endless, .flags = ROUTE_STREAM },
	{ .operation = "Hijack", .method = "POST", .pattern = "/hijack", .handler = hijack, .flags = ROUTE_HIJACK },
	{ .operation = "Hold", .method = "GET", .pattern = "/hold", .handler = hold },
	{ .operation = "Later", .method = "GET", .pattern = "/later", .handler = later },
	{ .operation = "New", .method = "GET", .pattern = "/new/{name}", .handler = ping, .min_version = API_VERSION(1, 40) },
	{ .operation = "Override", .method = "GET", .pattern = "/override", .handler = later },
};

/* ---- what stands before the server ---- */

struct relay {
	int fd[2];
	atomic_uint left; /* threads; the last closes */
};

static void relay_one_way(struct relay *r, int from, int to)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 || (n < 0 && errno == EAGAIN))
		if (n > 0)
			(void)!write(to, buf, (size_t)n);
		else
			usleep(1000);
	shutdown(to, SHUT_WR);
	if (atomic_fetch_sub(&r->left, 1) > 1)
		return;
	close(from);
	close(to);
	free(r);
}

static void *relay_forth(void *arg)
{
	struct relay *r = arg;

	relay_one_way(r, r->fd[0], r->fd[1]);
	return NULL;
}

static void *relay_back(void *arg)
{
	struct relay *r = arg;

	relay_one_way(r, r->fd[1], r->fd[0]);
	return NULL;
}

static void relay_start(int from, int to)
{
	struct relay *r = malloc(sizeof(*r));
	pthread_attr_t attr;
	pthread_t thread;

	*r = (struct relay){ { from, to }, 2 };
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_create(&thread, &attr, relay_forth, r);
	pthread_create(&thread, &attr, relay_back, r);
	pthread_attr_destroy(&attr);
}

struct pending {
	uv_timer_t timer;
	http_plain_fn plain;
	void *token;
	int fd;
};

static void give(uv_timer_t *t)
{
	struct pending *p = t->data;

	p->plain(p->token, p->fd);
	uv_close((uv_handle_t *)t, later_closed);
}

/* A relay through a socket pair, ready only after a while; every third connection it does not like. */
static void wrap(void *ctx, int take_fd, http_plain_fn plain, void *token)
{
	struct pending *p;
	int pair[2];

	(void)ctx;
	if (wrapped++ % 3 == 2) {
		close(take_fd);
		plain(token, -1);
		return;
	}
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	relay_start(take_fd, pair[0]);
	p = malloc(sizeof(*p));
	p->plain = plain;
	p->token = token;
	p->fd = pair[1];
	uv_timer_init(&f.loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, give, 20, 0);
}

static bool claims(const char *head, size_t len)
{
	return len >= 12 && memcmp(head, "GET /claimed", 12) == 0;
}

static void claim(void *ctx, const char *head, size_t len, int take_fd)
{
	char buf[256];

	(void)ctx, (void)head;
	claimed++;
	len = (size_t)read(take_fd, buf, sizeof(buf)); /* still there */
	(void)!write(take_fd, buf, len);
	close(take_fd);
}

/* ---- the server's thread ---- */

static void on_stopped(void *arg)
{
	uv_close(arg, NULL);
}

static void on_stop(uv_async_t *a)
{
	http_server_stop(f.server, on_stopped, a);
}

static void run(void *arg)
{
	(void)arg;
	uv_run(&f.loop, UV_RUN_DEFAULT);
}

static int make_listener(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int http_fixture_setup(void **state)
{
	struct http_config c = { .loop = &f.loop,
				 .claims = claims,
				 .claim = claim,
				 .gate = { gate, NULL, NULL },
				 .limits = { CONNECTIONS_MAX, 0, JSON_MAX, HEAD_MS } };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&f.loop);
	uv_async_init(&f.loop, &f.stop, on_stop);
	assert_int_equal(router_new(routes, sizeof(routes) / sizeof(routes[0]), &f.router, NULL), 0);
	assert_int_equal(router_override(f.router, "Override", ping_instead, NULL, NULL), 0);
	c.router = f.router;
	assert_int_equal(http_server_new(&c, &f.server, NULL), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(f.path[i], sizeof(f.path[i]), "/tmp/sockerless-http-%d-%d", (int)getpid(), i);
		assert_int_equal(http_server_listen(f.server, make_listener(f.path[i]), i ? wrap : NULL, NULL, NULL), 0);
	}
	uv_thread_create(&f.thread, run, NULL);
	return 0;
}

int http_fixture_finish(void)
{
	uv_thread_join(&f.thread);
	if (kept.go)
		kept.go(kept.arg);
	kept.go = NULL;
	gate_state = GATE_OPEN;
	http_server_free(f.server);
	router_free(f.router);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	for (int i = 0; i < 2; i++)
		unlink(f.path[i]);
	return 0;
}

void http_fixture_wish_stop(void)
{
	uv_async_send(&f.stop);
}

int http_fixture_teardown(void **state)
{
	(void)state;
	http_fixture_wish_stop();
	return http_fixture_finish();
}

/* ---- clients ---- */

int dial_at(int which)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval patience = { PATIENCE_S, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, f.path[which]);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

int dial(void)
{
	return dial_at(0);
}

void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* One reply: the head byte by byte, then what its Content-Length says. Status 0: the end came first. */
struct answer hear(int fd)
{
	struct answer a = { 0 };
	const char *length;
	size_t n = 0, len;

	while (n < sizeof(a.head) - 1 && recv(fd, a.head + n, 1, 0) == 1)
		if (++n >= 4 && memcmp(a.head + n - 4, "\r\n\r\n", 4) == 0)
			break;
	sscanf(a.head, "HTTP/1.1 %d", &a.status);
	a.is_closing = strcasestr(a.head, "\r\nConnection: close\r\n") != NULL;
	length = strcasestr(a.head, "\r\nContent-Length: ");
	len = length ? (size_t)atoi(length + 18) : 0;
	if (len && len < sizeof(a.body))
		(void)!recv(fd, a.body, len, MSG_WAITALL);
	return a;
}

bool is_at_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

struct answer ask(const char *text)
{
	int fd = dial();
	struct answer a;

	say(fd, text);
	a = hear(fd);
	close(fd);
	return a;
}

void assert_refused(int fd, int status, const char *message)
{
	struct answer a = hear(fd);
	char body[300];

	snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", message);
	assert_int_equal(a.status, status);
	assert_string_equal(a.body, body);
	assert_non_null(strcasestr(a.head, "Content-Type: application/json\r\n"));
	assert_non_null(strcasestr(a.head, "Api-Version: "));
}

void eventually(atomic_int *what, int value)
{
	for (int i = 0; i < PATIENCE_S * 100 && *what != value; i++)
		usleep(10000);
	assert_int_equal(*what, value);
}
