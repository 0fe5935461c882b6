/* The server: microhttpd's turns on libuv's loop, the watch over connections,
 * deadlines, and the life of it all. */
#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"

enum {
	POOL_BYTES = 64 << 10,
	HEAD_BYTES = 56 << 10,
	JSON_BYTES = 8 << 20,
	CONNECTIONS = 10000,
	HEAD_MS = 30000,
	SWEEP_MS = 500,
	BATCH = 64
};

/* ---- turns ---- */

static void turn(struct http_server *s, bool is_due);

static void on_kick(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	turn(idle->data, true);
}

static void on_watch(uv_poll_t *p, int status, int events)
{
	(void)status, (void)events;
	turn(p->data, false);
}

/* Resuming wakes nobody: microhttpd must be run. From an idle, never from inside itself. */
void server_kick(struct http_server *s)
{
	uv_idle_start(&s->kick, on_kick);
}

/* True when microhttpd's own epoll has something. */
static bool read_watch(struct http_server *s)
{
	struct epoll_event events[BATCH];
	bool is_due = false;
	int n;

	/* What an event leads to frees no other connection: microhttpd runs later. */
	do {
		n = epoll_wait(s->watch_fd, events, BATCH, 0);
		for (int i = 0; i < n; i++) {
			struct watched *w = events[i].data.ptr;

			if (w)
				w->event(w, events[i].events);
			else
				is_due = true;
		}
	} while (n == BATCH);
	return is_due;
}

static void run_mhd(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms; /* 0 or never: no time-outs are set */

	s->turn++;
	MHD_run(s->mhd);
	if (MHD_get_timeout(s->mhd, &ms) == MHD_YES && ms == 0) { /* a timer that starts itself again would starve the loop */
		server_kick(s);
		return;
	}
	connection_after_turn(s);
}

/* Our look at a connection comes before microhttpd's, which reads it. */
static void turn(struct http_server *s, bool is_due)
{
	if (s->mhd && (read_watch(s) || is_due))
		run_mhd(s);
}

int server_watch(struct http_server *s, int fd, struct watched *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	int r = epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, fd, &ev);

	if (r < 0 && errno == EEXIST)
		r = epoll_ctl(s->watch_fd, EPOLL_CTL_MOD, fd, &ev);
	return r < 0 ? -errno : 0;
}

void server_unwatch(struct http_server *s, int fd)
{
	epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ---- deadlines ---- */

static void on_sweep(uv_timer_t *sweep)
{
	struct http_server *s = sweep->data;
	uint64_t now = uv_now(s->config.loop);

	list_for_each_safe(it, &s->timed) {
		struct timed *t = container_of(it, struct timed, link);

		if (t->at_ms > now)
			continue;
		list_remove(it);
		t->expired(t);
	}
	if (list_is_empty(&s->timed))
		uv_timer_stop(sweep);
}

void timed_start(struct http_server *s, struct timed *t, unsigned ms)
{
	t->at_ms = uv_now(s->config.loop) + ms;
	if (list_is_empty(&t->link))
		list_append(&s->timed, &t->link);
	if (!uv_is_active((uv_handle_t *)&s->sweep))
		uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

void timed_stop(struct timed *t)
{
	list_remove(&t->link);
}

/* ---- life ---- */

/* Of its many lines only one is news. */
static void on_log(void *cls, const char *fmt, va_list ap)
{
	if (strncmp(fmt, "Error processing request", 24) == 0)
		connection_blame(cls, (int)va_arg(ap, unsigned));
}

static void set_defaults(struct http_limits *lim)
{
	if (!lim->max_connections)
		lim->max_connections = CONNECTIONS;
	if (!lim->max_head_bytes || lim->max_head_bytes > HEAD_BYTES)
		lim->max_head_bytes = HEAD_BYTES;
	if (!lim->max_json_bytes)
		lim->max_json_bytes = JSON_BYTES;
	if (!lim->head_timeout_ms)
		lim->head_timeout_ms = HEAD_MS;
}

static void init_handles(struct http_server *s)
{
	uv_loop_t *loop = s->config.loop;

	uv_poll_init(loop, &s->watch_poll, s->watch_fd);
	uv_timer_init(loop, &s->sweep);
	uv_idle_init(loop, &s->kick);
	s->watch_poll.data = s->sweep.data = s->kick.data = s;
	s->handles = 3;
	uv_poll_start(&s->watch_poll, UV_READABLE, on_watch);
}

int http_server_new(const struct http_config *config, struct http_server **ret, struct error *err)
{
	struct http_server *s = xnew(struct http_server);
	struct list *lists[] = { &s->listeners, &s->wraps, &s->connections, &s->lingers, &s->requests,
				 &s->hijacks,   &s->timed, &s->readable,    &s->over };

	s->config = *config;
	set_defaults(&s->config.limits);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		list_init(lists[i]);
	s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	/* Turbo: a connection that it lets go is closed, not shut down: we may hold a copy. */
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
					  MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
				  0, NULL, NULL, access_handle, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s,
				  MHD_OPTION_URI_LOG_CALLBACK, access_target, s, MHD_OPTION_NOTIFY_COMPLETED,
				  access_completed, s, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, s,
				  MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->config.limits.max_connections + 1,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_END);
	if (!s->mhd || s->watch_fd < 0 ||
	    server_watch(s, MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, NULL, EPOLLIN) < 0) {
		if (s->mhd)
			MHD_stop_daemon(s->mhd);
		if (s->watch_fd >= 0)
			close(s->watch_fd);
		free(s);
		return error_set(err, -ENOMEM, "cannot start the HTTP server");
	}
	s->peek = xmalloc(s->config.limits.max_head_bytes);
	init_handles(s);
	*ret = s;
	return 0;
}

void server_handle_closed(struct http_server *s)
{
	if (--s->handles == 0)
		s->done(s->done_arg);
}

static void on_server_closed(uv_handle_t *h)
{
	server_handle_closed(h->data);
}

size_t http_server_unsent(const struct http_server *s)
{
	size_t n = hijack_unsent(s);

	list_for_each(it, &s->requests) {
		const struct request *req = container_of(it, struct request, link);

		n += req->is_answered && !req->is_complete && !req->is_gone &&
		     (!req->stream || reply_stream_is_ended(req->stream));
	}
	return n;
}

void http_server_drain(struct http_server *s)
{
	s->is_draining = true;
	http_server_unlisten_all(s);
	connection_drain_all(s);
}

bool http_server_is_idle(const struct http_server *s)
{
	return list_is_empty(&s->wraps) && list_is_empty(&s->connections) && list_is_empty(&s->hijacks) &&
	       websockets_count(s) == 0;
}

void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg)
{
	uv_handle_t *handles[] = { (uv_handle_t *)&s->watch_poll, (uv_handle_t *)&s->sweep, (uv_handle_t *)&s->kick };

	s->done = done;
	s->done_arg = arg;
	s->is_stopping = true;
	http_server_unlisten_all(s);
	accept_forget_wraps(s);
	connection_close_all(s);
	hijack_close_all(s);
	s->handles += websockets_close_all(s);
	refuse_close_all(s);
	list_for_each(it, &s->requests) {
		struct request *req = container_of(it, struct request, link);

		request_set_gone(req);
		if (req->stream)
			reply_stream_abort(req->stream);
		request_resume(req);
	}
	MHD_run(s->mhd);
	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++)
		uv_close(handles[i], on_server_closed);
	MHD_stop_daemon(s->mhd);
	s->mhd = NULL;
	refuse_close_all(s); /* what that left behind */
	hijack_close_all(s);
	close(s->watch_fd);
	s->watch_fd = -1;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	replies_free_constant(s);
	free(s->peek);
	free(s);
}

void http_server_counters(const struct http_server *s, struct http_counters *ret)
{
	*ret = s->counters;
}
