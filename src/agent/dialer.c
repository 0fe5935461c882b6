#include "agent/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/handshake.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/list.h"

enum { HANDSHAKE_MS = 10000 };

struct dialer {
	struct dial_target *target;
	struct tls_context *tls;
	struct tls_relay *relay; /* at work on its handshake */
	uv_timer_t timer;       /* the beginning, then the deadline */
	uv_poll_t poll;
	uv_getaddrinfo_t lookup;
	int sock;
	unsigned handles;
	bool is_looking_up, is_polling, is_over;
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

static void maybe_free(struct dialer *d)
{
	if (d->handles > 0 || d->is_looking_up)
		return;
	free(d->request);
	free(d);
}

static void on_handle_closed(uv_handle_t *h)
{
	struct dialer *d = h->data;

	d->handles--;
	maybe_free(d);
}

/* Lets go of the descriptor without closing it. */
static int let_go(struct dialer *d)
{
	int fd = d->sock;

	d->sock = -1;
	d->is_over = true;
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
	if (d->is_looking_up)
		uv_cancel((uv_req_t *)&d->lookup);
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

static void connect_to(struct dialer *d, int family, const struct sockaddr *addr, socklen_t len)
{
	if (d->target->is_fd) {
		d->sock = steal_fd(&d->target->fd);
		if (d->sock < 0) {
			fail(d, -EBADF, "the descriptor is used up");
			return;
		}
		fcntl(d->sock, F_SETFL, fcntl(d->sock, F_GETFL) | O_NONBLOCK);
	} else {
		d->sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (d->sock < 0 || (connect(d->sock, addr, len) < 0 && errno != EINPROGRESS)) {
			fail(d, -errno, strerror(errno));
			return;
		}
	}
	if (d->target->is_tls)
		d->relay = tls_relay_start(d->timer.loop, d->tls, steal_fd(&d->sock), d->target->host, on_tls, d);
	else
		watch(d);
}

static void on_address(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct dialer *d = container_of(req, struct dialer, lookup);

	d->is_looking_up = false;
	if (d->is_over)
		maybe_free(d);
	else if (status < 0)
		fail(d, status, uv_strerror(status));
	else
		connect_to(d, found->ai_family, found->ai_addr, found->ai_addrlen);
	uv_freeaddrinfo(found);
}

static void on_late(uv_timer_t *t)
{
	struct dialer *d = t->data;

	fail(d, -ETIMEDOUT, d->relay ? "it does not answer the TLS handshake" : "it does not answer");
}

static void begin(uv_timer_t *t)
{
	struct dialer *d = t->data;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int r;

	uv_timer_start(&d->timer, on_late, HANDSHAKE_MS, 0);
	if (d->target->is_fd) {
		connect_to(d, AF_UNIX, NULL, 0);
	} else if (d->target->socket) {
		snprintf(un.sun_path, sizeof(un.sun_path), "%s", d->target->socket);
		connect_to(d, AF_UNIX, (struct sockaddr *)&un, sizeof(un));
	} else {
		d->is_looking_up = true;
		r = uv_getaddrinfo(t->loop, &d->lookup, on_address, d->target->host, d->target->port, &hints);
		if (r < 0) {
			d->is_looking_up = false;
			fail(d, r, uv_strerror(r));
		}
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
