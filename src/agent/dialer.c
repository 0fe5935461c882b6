#include "agent/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/handshake.h"
#include "agent/reach.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { HANDSHAKE_MS = 10000 };

struct dialer {
	struct dial_target *target;
	struct tls_context *tls;
	struct tls_relay *relay; /* at work on its handshake */
	uv_timer_t timer;       /* the beginning, then the deadline */
	uv_poll_t poll;
	struct reach *reach; /* at work on its connection */
	int sock;
	unsigned handles;
	bool is_polling, is_over;
	void (*done)(void *arg, const struct dial_result *r);
	void *arg;
	char key[HANDSHAKE_KEY_LEN + 1];
	char *request;
	size_t sent, len;
	char head[HANDSHAKE_HEAD_MAX];
};

/* ---- URLs ---- */

static int parse_host(const char *at, const char *url, const char *default_path, struct dial_target *t, struct error *err)
{
	size_t n = strcspn(at, "/?");
	CLEANUP(freep) char *authority = xstrndup(at, n);
	char *colon = strrchr(authority, ':');

	if (colon && strchr(colon, ']'))
		colon = NULL;
	t->port = xstrdup(colon ? colon + 1 : t->is_tls ? "443" : "80");
	if (colon)
		*colon = '\0';
	if (authority[0] == '[' && authority[strlen(authority) - 1] == ']')
		t->host = xstrndup(authority + 1, strlen(authority) - 2);
	else
		t->host = xstrdup(authority);
	t->path = at[n] == '/' ? xstrdup(at + n) : xasprintf("%s%s", default_path, at + n);
	return *t->host ? 0 : error_set_class(err, ERROR_INVALID, "%s: there is no host", url);
}

int dial_parse(const char *url, const char *default_path, struct dial_target *ret, struct error *err)
{
	const char *path;
	char *end;

	*ret = (struct dial_target){ .fd = -1 };
	if (strpbrk(url, " \r\n\t"))
		return error_set_class(err, ERROR_INVALID, "a URL holds no blanks");
	ret->is_tls = strncmp(url, "wss://", 6) == 0 || strncmp(url, "https://", 8) == 0;
	if (ret->is_tls || strncmp(url, "ws://", 5) == 0 || strncmp(url, "http://", 7) == 0)
		return parse_host(strstr(url, "://") + 3, url, default_path, ret, err);
	if (strncmp(url, "fd://", 5) == 0) {
		ret->is_fd = true;
		ret->fd = (int)strtol(url + 5, &end, 10);
		ret->path = *end == '/' ? xstrdup(end) : xasprintf("%s%s", default_path, end);
		return fcntl(ret->fd, F_SETFD, FD_CLOEXEC) == 0 ?
			       0 :
			       error_set_class(err, ERROR_INVALID, "%s: no such descriptor", url);
	}
	if (strncmp(url, "unix://", 7) != 0)
		return error_set_class(err, ERROR_INVALID, "%.200s: ws://, wss://, unix:// or fd:// is expected", url);
	path = strchr(url + 7, ':');
	ret->socket = path ? xstrndup(url + 7, (size_t)(path - url - 7)) : xstrdup(url + 7);
	ret->path = path && path[1] ? xstrdup(path + 1) : xstrdup(default_path);
	return 0;
}

void dial_target_done(struct dial_target *t)
{
	free(t->host);
	free(t->port);
	free(t->socket);
	free(t->path);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct dial_target){ .fd = -1 };
}

/* ---- the end of a try ---- */

static void on_handle_closed(uv_handle_t *h)
{
	struct dialer *d = h->data;

	if (--d->handles > 0)
		return;
	free(d->request);
	free(d);
}

/* Lets go of the descriptor without closing it. */
static int let_go(struct dialer *d)
{
	int fd = d->sock;

	d->sock = -1;
	d->is_over = true;
	reach_cancel(d->reach);
	d->reach = NULL;
	tls_relay_cancel(d->relay);
	d->relay = NULL;
	if (d->is_polling)
		uv_close((uv_handle_t *)&d->poll, on_handle_closed);
	uv_close((uv_handle_t *)&d->timer, on_handle_closed);
	return fd;
}

static void finish(struct dialer *d, struct dial_result *r)
{
	int fd = let_go(d);

	if (r->status == 101)
		r->fd = fd;
	else if (fd >= 0)
		close(fd);
	d->done(d->arg, r);
}

static void fail(struct dialer *d, int code, const char *why)
{
	struct dial_result r = { .status = code, .why = why, .fd = -1 };

	finish(d, &r);
}

void dialer_cancel(struct dialer *d)
{
	int fd;

	if (!d || d->is_over)
		return;
	fd = let_go(d);
	if (fd >= 0)
		close(fd);
}

/* ---- the handshake ---- */

static void on_answer(struct dialer *d, size_t head)
{
	CLEANUP(freep) char *accept = handshake_header(d->head, head, "Sec-WebSocket-Accept");
	CLEANUP(freep) char *protocol = handshake_header(d->head, head, "Sec-WebSocket-Protocol");
	int status = handshake_status(d->head, head);
	char expected[HANDSHAKE_ACCEPT_LEN + 1], text[64];
	struct dial_result r = { .status = 101, .early = d->head + head, .early_len = d->len - head };

	handshake_accept_key(d->key, expected);
	snprintf(text, sizeof(text), "it answers with status %d", status);
	if (status != 101) {
		fail(d, status > 0 ? status : -EPROTO, status > 0 ? text : "what answers does not speak HTTP");
	} else if (!accept || strcmp(accept, expected) != 0) {
		fail(d, -EPROTO, "its handshake is wrong");
	} else {
		r.is_ours = protocol && strcmp(protocol, AGENT_PROTOCOL) == 0;
		finish(d, &r);
	}
}

static void on_readable(struct dialer *d)
{
	ssize_t n = recv(d->sock, d->head + d->len, sizeof(d->head) - d->len, MSG_DONTWAIT);
	int head;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fail(d, n == 0 ? -ECONNRESET : -errno, n == 0 ? "the connection was closed" : strerror(errno));
		return;
	}
	d->len += (size_t)n;
	head = handshake_head_length(d->head, d->len);
	if (head < 0)
		fail(d, -EMSGSIZE, "its answer is too long");
	else if (head > 0)
		on_answer(d, (size_t)head);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct dialer *d = poll->data;
	size_t len = strlen(d->request);
	ssize_t n;

	socklen_t size = sizeof(int);
	int error = 0;

	getsockopt(d->sock, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error || status < 0) {
		fail(d, error ? -error : status, error ? strerror(error) : uv_strerror(status));
		return;
	}
	if ((events & UV_WRITABLE) && d->sent < len) {
		n = send(d->sock, d->request + d->sent, len - d->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			fail(d, -errno, strerror(errno));
			return;
		}
		d->sent += n > 0 ? (size_t)n : 0;
		if (d->sent == len)
			uv_poll_start(poll, UV_READABLE, on_poll);
	} else if (events & UV_READABLE) {
		on_readable(d);
	}
}

static void watch(struct dialer *d)
{
	uv_poll_init(d->timer.loop, &d->poll, d->sock);
	d->poll.data = d;
	d->handles++;
	d->is_polling = true;
	uv_poll_start(&d->poll, UV_WRITABLE, on_poll);
}

static void on_tls(void *arg, int take_fd, const char *why)
{
	struct dialer *d = arg;

	d->relay = NULL;
	d->sock = take_fd;
	if (take_fd < 0)
		fail(d, -EPROTO, why);
	else
		watch(d);
}

/* An AF_UNIX socket may still be connecting. */
static void go_on(struct dialer *d)
{
	if (d->target->is_tls)
		d->relay = tls_relay_start(d->timer.loop, d->tls, steal_fd(&d->sock), d->target->host, on_tls, d);
	else
		watch(d);
}

static void on_reached(void *arg, int fd_or_error, const char *why)
{
	struct dialer *d = arg;

	d->reach = NULL;
	if (fd_or_error < 0) {
		fail(d, fd_or_error, why);
		return;
	}
	d->sock = fd_or_error;
	go_on(d);
}

static void use_descriptor(struct dialer *d)
{
	d->sock = steal_fd(&d->target->fd);
	if (d->sock < 0) {
		fail(d, -EBADF, "the descriptor is used up");
		return;
	}
	fcntl(d->sock, F_SETFL, fcntl(d->sock, F_GETFL) | O_NONBLOCK);
	go_on(d);
}

static void connect_to_socket(struct dialer *d)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", d->target->socket);
	d->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->sock < 0 || (connect(d->sock, (struct sockaddr *)&un, sizeof(un)) < 0 && errno != EINPROGRESS))
		fail(d, -errno, strerror(errno));
	else
		go_on(d);
}

static void on_late(uv_timer_t *t)
{
	struct dialer *d = t->data;

	fail(d, -ETIMEDOUT, d->relay ? "it does not answer the TLS handshake" : "it does not answer");
}

static void begin(uv_timer_t *t)
{
	struct dialer *d = t->data;
	int r;

	uv_timer_start(&d->timer, on_late, HANDSHAKE_MS, 0);
	if (d->target->is_fd) {
		use_descriptor(d);
	} else if (d->target->socket) {
		connect_to_socket(d);
	} else {
		d->reach = reach_start(t->loop, d->target->host, d->target->port, on_reached, d, &r);
		if (!d->reach)
			fail(d, r, uv_strerror(r));
	}
}

struct dialer *dialer_start(uv_loop_t *loop, struct dial_target *t, struct tls_context *tls, const char *token,
			    void (*done)(void *arg, const struct dial_result *r), void *arg)
{
	struct dialer *d = xnew(struct dialer);

	d->target = t;
	d->tls = tls;
	d->done = done;
	d->arg = arg;
	d->sock = -1;
	d->handles = 1;
	handshake_make_key(d->key);
	d->request = handshake_request(t->host ? t->host : "sockerless", t->path, d->key, token);
	uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	uv_timer_start(&d->timer, begin, 0, 0);
	return d;
}
