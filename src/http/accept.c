/* Listening sockets, and what may stand between accept and the server. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"

enum { BURST = 64, PAUSE_MS = 100 };

struct listener {
	struct list link;
	struct http_server *server;
	http_wrap_fn wrap;
	void *wrap_ctx;
	uv_poll_t poll;
	uv_timer_t pause;
	unsigned handles;
	int fd;
};

/* A connection that is with its wrapper. */
struct wrapped {
	struct list link;
	struct http_server *server; /* NULL: it has stopped meanwhile */
};

static void on_plain(void *token, int take_fd)
{
	struct wrapped *w = token;

	list_remove(&w->link);
	if (w->server && take_fd >= 0)
		connection_new(w->server, take_fd);
	else if (take_fd >= 0)
		close(take_fd);
	free(w);
}

void accept_forget_wraps(struct http_server *s)
{
	list_for_each_safe(it, &s->wraps) {
		container_of(it, struct wrapped, link)->server = NULL;
		list_remove(it);
	}
}

static void wrap(struct listener *l, int fd)
{
	struct wrapped *w = xnew(struct wrapped);

	w->server = l->server;
	list_append(&l->server->wraps, &w->link);
	l->wrap(l->wrap_ctx, fd, on_plain, w);
}

static void on_accept(uv_poll_t *p, int status, int events);

static void on_unpause(uv_timer_t *t)
{
	struct listener *l = t->data;

	uv_poll_start(&l->poll, UV_READABLE, on_accept);
}

static void on_accept(uv_poll_t *p, int status, int events)
{
	struct listener *l = p->data;

	(void)status, (void)events;
	for (int i = 0; i < BURST; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0 && errno != EAGAIN) { /* no descriptors, no memory: it would be readable for ever */
			uv_poll_stop(&l->poll);
			uv_timer_start(&l->pause, on_unpause, PAUSE_MS, 0);
		}
		if (fd < 0)
			break;
		l->server->counters.connections++;
		if (l->wrap)
			wrap(l, fd);
		else
			connection_new(l->server, fd);
	}
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->handles == 0) {
		close(l->fd);
		free(l);
	}
}

int http_server_listen(struct http_server *s, int take_fd, http_wrap_fn wrap_fn, void *wrap_ctx, struct error *err)
{
	struct listener *l = xnew(struct listener);

	l->server = s;
	l->fd = take_fd;
	l->wrap = wrap_fn;
	l->wrap_ctx = wrap_ctx;
	l->handles = 2;
	if (uv_poll_init(s->config.loop, &l->poll, take_fd) < 0) {
		close(take_fd);
		free(l);
		return error_set(err, -EINVAL, "cannot listen on this descriptor");
	}
	uv_timer_init(s->config.loop, &l->pause);
	l->poll.data = l->pause.data = l;
	list_append(&s->listeners, &l->link);
	uv_poll_start(&l->poll, UV_READABLE, on_accept);
	return 0;
}

void http_server_unlisten_all(struct http_server *s)
{
	list_for_each_safe(it, &s->listeners) {
		struct listener *l = container_of(it, struct listener, link);

		list_remove(it);
		uv_close((uv_handle_t *)&l->poll, on_listener_closed);
		uv_close((uv_handle_t *)&l->pause, on_listener_closed);
	}
}
