/* The server: listeners, microhttpd on libuv's loop, and the watch for clients
 * that leave while microhttpd does not look. */
#include "http/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"

struct listener {
	struct list link;
	struct http_server *server;
	uv_poll_t poll;
	uv_timer_t pause;
	unsigned handles;
	int fd;
};

/* ---- microhttpd's turns ---- */

static void run_mhd(struct http_server *s);

static void on_timer(uv_timer_t *t)
{
	run_mhd(t->data);
}

static void run_mhd(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!s->mhd)
		return;
	MHD_run(s->mhd);
	if (MHD_get_timeout(s->mhd, &ms) == MHD_YES)
		uv_timer_start(&s->timer, on_timer, ms, 0);
	else
		uv_timer_stop(&s->timer);
}

static void on_mhd_poll(uv_poll_t *p, int status, int events)
{
	(void)status, (void)events;
	run_mhd(p->data);
}

static void on_kick(uv_idle_t *idle)
{
	uv_idle_stop(idle);
	run_mhd(idle->data);
}

/* Resuming wakes nobody: microhttpd must be run. From an idle, never from inside itself. */
void server_kick(struct http_server *s)
{
	uv_idle_start(&s->kick, on_kick);
}

/* ---- clients that leave ---- */

static void on_watch(uv_poll_t *p, int status, int events)
{
	struct http_server *s = p->data;
	struct epoll_event ev;

	(void)status, (void)events;
	/* One at a time: handling one may free what the next would point to. */
	while (epoll_wait(s->watch_fd, &ev, 1, 0) == 1) {
		struct connection *c = ev.data.ptr;
		struct request *req = c->request;

		if (!req || !req->is_suspended)
			continue;
		request_set_gone(req);
		if (req->stream)
			reply_stream_abort(req->stream);
		else
			request_resume(req);
	}
}

/* ---- requests ---- */

static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct request *req = request_new(cls, uri);

	req->mhd = mhd;
	return req;
}

static bool check_version(struct request *req)
{
	char text[200];

	if (req->version >= API_VERSION_MIN && req->version <= API_VERSION_MAX)
		return true;
	if (req->version < API_VERSION_MIN)
		snprintf(text, sizeof(text), "client version %d.%d is too old. Minimum supported API version is %s, please "
					     "upgrade your client to a newer version", req->version / 1000, req->version % 1000,
			 API_VERSION_MIN_TEXT);
	else
		snprintf(text, sizeof(text), "client version %d.%d is too new. Maximum supported API version is %s",
			 req->version / 1000, req->version % 1000, API_VERSION_MAX_TEXT);
	req->was_called = true;
	reply_message(req, 400, text);
	return false;
}

static void call_handler(struct request *req)
{
	req->was_called = true;
	req->match.handler(req);
}

/* Docker's decoder wants one object and its content type. */
static void finish_json(struct request *req)
{
	const char *type = request_header(req, "Content-Type");
	json_error_t at;
	struct error err = { 0 };

	req->was_called = true;
	if (req->is_too_large) {
		reply_message(req, 413, "request body too large");
		return;
	}
	if (req->body.len) {
		if (type && strncmp(type, "application/json", 16) != 0 && strncmp(type, "text/plain", 10) != 0) {
			error_set_class(&err, ERROR_INVALID, "unsupported Content-Type header (%.100s): must be 'application/json'", type);
			reply_error(req, &err);
			return;
		}
		req->json = json_loadb(req->body.data, req->body.len, 0, &at);
		if (!req->json || !json_is_object(req->json)) {
			error_set_class(&err, ERROR_INVALID, "invalid JSON: %s", req->json ? "not an object" : at.text);
			reply_error(req, &err);
			return;
		}
	}
	call_handler(req);
}

/* The head is complete: find the handler. */
static void begin(struct request *req, const char *method)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	req->connection = info ? info->socket_context : NULL;
	if (req->connection)
		req->connection->request = req;
	req->server->counters.requests++;
	req->method = xstrdup(method);
	request_parse_target(req);
	if (!check_version(req))
		return;
	if (!router_match(req->server->config.router, method, req->path, &req->match) || !req->match.handler) {
		req->was_called = true;
		reply_message(req, 404, "page not found");
		return;
	}
	if (req->match.route->flags & ROUTE_BODY_STREAM)
		call_handler(req);
}

/* Part of the body; what is not taken is offered again. */
static void take_body(struct request *req, const char *data, size_t *len)
{
	if (req->on_data && !req->is_answered) {
		if (req->is_body_paused) {
			req->is_suspended = true;
			MHD_suspend_connection(req->mhd);
			return;
		}
		req->on_data(req->body_arg, data, *len);
	} else if (!req->is_answered && !req->is_too_large && buf_append(&req->body, data, *len) < 0) {
		req->is_too_large = true;
	}
	*len = 0;
}

static void end_body(struct request *req)
{
	if (req->is_body_done)
		return;
	req->is_body_done = true;
	if (!req->was_called)
		finish_json(req);
	else if (req->on_end)
		req->on_end(req->body_arg, 0);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				 const char *version, const char *data, size_t *len, void **con_cls)
{
	struct request *req = *con_cls;

	(void)cls, (void)mhd, (void)url, (void)version;
	if (!req->was_seen) { /* answering now would cost the connection */
		req->was_seen = true;
		begin(req, method);
		return MHD_YES;
	}
	if (*len > 0) {
		take_body(req, data, len);
		return MHD_YES;
	}
	end_body(req);
	if (req->is_gone && !req->is_answered)
		return MHD_NO;
	if (req->is_answered && req->may_send)
		return reply_queue(req);
	req->is_suspended = true;
	MHD_suspend_connection(mhd);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct request *req = *con_cls;

	(void)cls, (void)mhd, (void)why;
	if (!req)
		return;
	*con_cls = NULL;
	if (req->connection)
		req->connection->request = NULL;
	req->is_complete = true;
	request_set_gone(req);
	if (req->hijack_ready && req->is_answered) {
		req->hijack_ready(req->hijack_arg, NULL);
		req->hijack_ready = NULL;
	}
	if (req->stream)
		reply_stream_closed(req->stream);
	req->stream = NULL;
	request_maybe_free(req);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = cls;
	struct epoll_event ev = { .events = EPOLLRDHUP | EPOLLET };

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		struct connection *c = xnew(struct connection);

		c->server = s;
		c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		ev.data.ptr = c;
		epoll_ctl(s->watch_fd, EPOLL_CTL_ADD, c->fd, &ev);
		s->counters.open_connections++;
		*context = c;
	} else if (*context) {
		struct connection *c = *context;

		epoll_ctl(s->watch_fd, EPOLL_CTL_DEL, c->fd, &ev);
		s->counters.open_connections--;
		free(c);
		*context = NULL;
	}
}

static void on_log(void *cls, const char *fmt, va_list ap)
{
	(void)cls, (void)fmt, (void)ap; /* two failing setsockopt calls a reply on Unix sockets: no news */
}

/* ---- listeners ---- */

static void on_accept(uv_poll_t *p, int status, int events);

static void on_unpause(uv_timer_t *t)
{
	struct listener *l = t->data;

	uv_poll_start(&l->poll, UV_READABLE, on_accept);
}

static void on_accept(uv_poll_t *p, int status, int events)
{
	struct listener *l = p->data;
	struct sockaddr_storage addr;

	(void)status, (void)events;
	for (int i = 0; i < 64; i++) {
		socklen_t len = sizeof(addr);
		int fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
			uv_poll_stop(&l->poll);
			uv_timer_start(&l->pause, on_unpause, 100, 0);
		}
		if (fd < 0)
			break;
		l->server->counters.connections++;
		if (MHD_add_connection(l->server->mhd, fd, (struct sockaddr *)&addr, len) != MHD_YES)
			l->server->counters.refused++; /* microhttpd has closed it */
	}
	server_kick(l->server);
}

static void on_listener_closed(uv_handle_t *h)
{
	struct listener *l = h->data;

	if (--l->handles == 0) {
		close(l->fd);
		free(l);
	}
}

int http_server_listen(struct http_server *s, int take_fd, http_wrap_fn wrap, void *wrap_ctx, struct error *err)
{
	struct listener *l = xnew(struct listener);

	(void)wrap, (void)wrap_ctx;
	l->server = s;
	l->fd = take_fd;
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

/* ---- life ---- */

int http_server_new(const struct http_config *config, struct http_server **ret, struct error *err)
{
	struct http_server *s = xnew(struct http_server);
	struct http_limits *lim = &s->config.limits;

	s->config = *config;
	if (!lim->max_connections)
		lim->max_connections = 10000;
	if (!lim->max_json_bytes)
		lim->max_json_bytes = 8 << 20;
	list_init(&s->listeners);
	list_init(&s->requests);
	list_init(&s->hijacks);
	s->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	s->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_NO_LISTEN_SOCKET |
					  MHD_USE_ERROR_LOG,
				  0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
				  MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
				  MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_CONNECTION_LIMIT,
				  (unsigned)lim->max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536,
				  MHD_OPTION_END);
	if (!s->mhd || s->watch_fd < 0) {
		free(s);
		return error_set(err, -ENOMEM, "cannot start the HTTP server");
	}
	uv_poll_init(config->loop, &s->mhd_poll, MHD_get_daemon_info(s->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
	uv_poll_init(config->loop, &s->watch_poll, s->watch_fd);
	uv_timer_init(config->loop, &s->timer);
	uv_idle_init(config->loop, &s->kick);
	s->mhd_poll.data = s->watch_poll.data = s->timer.data = s->kick.data = s;
	s->handles = 4;
	uv_poll_start(&s->mhd_poll, UV_READABLE, on_mhd_poll);
	uv_poll_start(&s->watch_poll, UV_READABLE, on_watch);
	*ret = s;
	return 0;
}

static void on_server_closed(uv_handle_t *h)
{
	struct http_server *s = h->data;

	if (--s->handles == 0)
		s->done(s->done_arg);
}

void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg)
{
	s->done = done;
	s->done_arg = arg;
	s->is_stopping = true;
	http_server_unlisten_all(s);
	hijack_close_all(s);
	list_for_each(it, &s->requests) {
		struct request *req = container_of(it, struct request, link);

		request_set_gone(req);
		if (req->stream)
			reply_stream_abort(req->stream);
		request_resume(req);
	}
	MHD_run(s->mhd);
	uv_poll_stop(&s->mhd_poll);
	uv_poll_stop(&s->watch_poll);
	uv_close((uv_handle_t *)&s->mhd_poll, on_server_closed);
	uv_close((uv_handle_t *)&s->watch_poll, on_server_closed);
	uv_close((uv_handle_t *)&s->timer, on_server_closed);
	uv_close((uv_handle_t *)&s->kick, on_server_closed);
	MHD_stop_daemon(s->mhd);
	s->mhd = NULL;
	close(s->watch_fd);
}

void http_server_free(struct http_server *s)
{
	if (s)
		replies_free_constant(s);
	free(s);
}

void http_server_counters(const struct http_server *s, struct http_counters *ret)
{
	*ret = s->counters;
}
