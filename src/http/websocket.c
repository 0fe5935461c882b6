/* WebSockets: microhttpd has read the request, libwebsockets takes the connection over and makes the handshake. Its
 * messages are a stream like any other. The library, which brings OpenSSL along, is loaded at the first need: the
 * daemon starts without it. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/log.h"

#define TEXT_OF(word) #word
#define TEXT(macro) TEXT_OF(macro)
#define LIBRARY TEXT(WEBSOCKETS_SO) /* the makefile asks the linker's library for its name */

enum {
	FRAME_MAX = 32 << 10,
	CLOSING_TURNS = 2,
	CLOSE_S = 5, /* for the client's own close */
	SOCKETS_MAX = 4000, /* of libwebsockets' table */
	KEY_MAX = 100,
};
#define QUEUE_MAX (256u << 20) /* producers stop at STREAM_HIGH; this is against one that does not */

struct websocket {
	struct stream base;
	struct watched watched; /* a client may leave while nobody reads */
	struct list link;
	struct http_server *server;
	struct lws *wsi;
	struct buf queue;
	char *protocol;         /* the subprotocol that the client asked for; NULL: none */
	void (*ready)(void *arg, struct stream *s);
	void *arg;
	int fd;
	bool is_binary, is_established, is_ended, is_aborted, is_closed, is_close_sent, was_full, is_reading, is_at_eof;
};

/* One context for a server, made with its first WebSocket. */
struct websockets {
	struct http_server *server;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct list all;
	struct websocket *adopting;
	size_t count;
	void *loop;
	uv_idle_t ending;
	unsigned turns;
};

/* ---- the library ---- */

#define FUNCTIONS(X)                      \
	X(lws_create_context)             \
	X(lws_create_vhost)               \
	X(lws_context_destroy)            \
	X(lws_adopt_socket_vhost_readbuf) \
	X(lws_get_context)                \
	X(lws_context_user)               \
	X(lws_get_opaque_user_data)       \
	X(lws_set_opaque_user_data)       \
	X(lws_callback_on_writable)       \
	X(lws_rx_flow_control)            \
	X(lws_write)                      \
	X(lws_set_timeout)                \
	X(lws_add_http_header_by_name)    \
	X(lws_set_log_level)

static struct {
/* NOLINTNEXTLINE(bugprone-macro-parentheses): it is declared here */
#define POINTER(name) __typeof__(&name) name;
	FUNCTIONS(POINTER)
} lib;

static int load_anew(struct error *err)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return error_set(err, -ENOENT, "WebSockets need a library that cannot be loaded: %.300s", dlerror());
#define LOOK_UP(name)                               \
	*(void **)&lib.name = dlsym(handle, #name); \
	if (!lib.name)                              \
		goto failed;
	FUNCTIONS(LOOK_UP)
	dlopen("libwebsockets-evlib_uv.so", RTLD_NOW | RTLD_NODELETE); /* it must outlive the handles it leaves on the loop */
	lib.lws_set_log_level(0, NULL);
	return 0;
failed:
	dlclose(handle);
	return error_set(err, -ENOENT, "WebSockets need another version of " LIBRARY);
}

/* Servers of other threads use the same. */
static int load(struct error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool is_loaded;
	int r;

	pthread_mutex_lock(&lock);
	r = is_loaded ? 0 : load_anew(err);
	is_loaded = r == 0;
	pthread_mutex_unlock(&lock);
	return r;
}

/* ---- the stream ---- */

static struct websocket *of(const struct stream *s)
{
	return container_of(s, struct websocket, base);
}

static int ws_write(struct stream *s, const void *data, size_t len)
{
	struct websocket *w = of(s);

	if (w->is_closed || w->is_ended || w->is_aborted || buf_append(&w->queue, data, len) < 0)
		return -EPIPE;
	if (w->queue.len > STREAM_HIGH)
		w->was_full = true;
	lib.lws_callback_on_writable(w->wsi);
	return 0;
}

static size_t ws_queued(const struct stream *s)
{
	return of(s)->queue.len;
}

static void ws_end(struct stream *s)
{
	of(s)->is_ended = true;
	if (!of(s)->is_closed)
		lib.lws_callback_on_writable(of(s)->wsi);
}

static void kill_later(struct websocket *w)
{
	if (!w->is_closed)
		lib.lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void ws_abort(struct stream *s)
{
	of(s)->is_aborted = true;
	kill_later(of(s));
}

static void ws_read_start(struct stream *s)
{
	of(s)->is_reading = true;
	if (!of(s)->is_closed)
		lib.lws_rx_flow_control(of(s)->wsi, 1);
}

static void ws_read_stop(struct stream *s)
{
	of(s)->is_reading = false;
	if (!of(s)->is_closed)
		lib.lws_rx_flow_control(of(s)->wsi, 0);
}

static const struct stream_ops ops = { ws_write, ws_queued, ws_end, ws_abort, ws_read_start, ws_read_stop };

/* ---- what the library tells ---- */

static void tell_ready(struct websocket *w, struct stream *s)
{
	void (*ready)(void *arg, struct stream *st) = w->ready;

	w->ready = NULL;
	if (ready)
		ready(w->arg, s);
}

static void tell_eof(struct websocket *w)
{
	if (w->is_at_eof)
		return;
	w->is_at_eof = true;
	if (w->base.events && w->base.events->on_eof)
		w->base.events->on_eof(w->base.arg);
}

/* A text message holds whole characters: what a cut at `n` would leave of the last one waits. */
static size_t whole_characters(const char *text, size_t n)
{
	size_t back = 0;

	while (back < 3 && back < n && ((unsigned char)text[n - 1 - back] & 0xC0) == 0x80)
		back++;
	return back < n && ((unsigned char)text[n - 1 - back] & 0xC0) == 0xC0 ? n - 1 - back : n;
}

/* The frame is made by hand: on libuv's loop the library (4.1.6) cuts the connection before its own has left. */
static int send_close(struct websocket *w)
{
	unsigned char frame[LWS_PRE + 4];

	if (w->is_close_sent)
		return 0;
	w->is_close_sent = true;
	memcpy(frame + LWS_PRE, "\x88\x02\x03\xe8", 4); /* final, close, two bytes: 1000 */
	lib.lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_OK, CLOSE_S);
	lib.lws_rx_flow_control(w->wsi, 1);
	return lib.lws_write(w->wsi, frame + LWS_PRE, 4, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

static int on_peer_close(struct websocket *w)
{
	tell_eof(w);
	send_close(w);
	return -1;
}

/* What is queued becomes a message, and the end a close with status 1000. */
static int send_some(struct websocket *w)
{
	unsigned char frame[LWS_PRE + FRAME_MAX];
	size_t n = w->queue.len < FRAME_MAX ? w->queue.len : FRAME_MAX;

	if (w->is_aborted)
		return -1;
	if (n == FRAME_MAX && !w->is_binary)
		n = whole_characters(w->queue.data, n);
	if (n > 0) {
		memcpy(frame + LWS_PRE, w->queue.data, n);
		buf_consume(&w->queue, n);
		if (lib.lws_write(w->wsi, frame + LWS_PRE, n, w->is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0)
			return -1;
		if (w->was_full && w->queue.len < STREAM_LOW) {
			w->was_full = false;
			if (w->base.events && w->base.events->on_drain)
				w->base.events->on_drain(w->base.arg);
		}
	} else if (w->is_ended) {
		return send_close(w);
	}
	if (w->queue.len > 0 || w->is_ended)
		lib.lws_callback_on_writable(w->wsi);
	return 0;
}

static void on_established(struct websocket *w)
{
	w->is_established = true;
	lib.lws_rx_flow_control(w->wsi, 0); /* until somebody reads */
	w->server->counters.hijacked++;
	tell_ready(w, &w->base);
}

static void on_closed(struct websocket *w)
{
	if (w->is_closed)
		return;
	server_unwatch(w->server, w->fd);
	tell_eof(w);
	w->is_closed = true;
	if (w->is_established && w->base.events && w->base.events->on_close)
		w->base.events->on_close(w->base.arg);
}

static void on_gone(struct websocket *w)
{
	struct websockets *all = w->server->websockets;

	on_closed(w);
	tell_ready(w, NULL);
	list_remove(&w->link);
	all->count--;
	buf_done(&w->queue);
	free(w->protocol);
	free(w);
}

static int add_protocol(struct websocket *w, struct lws_process_html_args *room)
{
	unsigned char *at = (unsigned char *)room->p;

	if (!w->protocol)
		return 0;
	if (lib.lws_add_http_header_by_name(
		    w->wsi, (const unsigned char *)"sec-websocket-protocol:", (const unsigned char *)w->protocol,
		    (int)strlen(w->protocol), &at, at + room->max_len))
		return -1;
	room->p = (char *)at;
	return 0;
}

static int on_library(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t len)
{
	struct websockets *all = wsi ? lib.lws_context_user(lib.lws_get_context(wsi)) : NULL;
	struct websocket *w = wsi ? lib.lws_get_opaque_user_data(wsi) : NULL;

	(void)user;
	if (why == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED && all && all->adopting) {
		w = all->adopting;
		w->wsi = wsi;
		lib.lws_set_opaque_user_data(wsi, w);
		all->adopting = NULL;
	}
	if (!w)
		return 0;
	switch (why) {
	case LWS_CALLBACK_ADD_HEADERS: return add_protocol(w, in);
	case LWS_CALLBACK_ESTABLISHED: on_established(w); return 0;
	case LWS_CALLBACK_RECEIVE:
		if (len > 0 && w->base.events && w->base.events->on_data)
			w->base.events->on_data(w->base.arg, in, len);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE: return send_some(w);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_close(w);
	case LWS_CALLBACK_CLOSED: on_closed(w); return 0;
	case LWS_CALLBACK_WSI_DESTROY: on_gone(w); return 0;
	default: return 0;
	}
}

/* What it sent before it left is still for the process, if that reads. */
static void on_event(struct watched *watched, uint32_t events)
{
	struct websocket *w = container_of(watched, struct websocket, watched);
	char byte;

	if (!w->is_closed && !w->is_reading && (events & (EPOLLHUP | EPOLLERR)) &&
	    recv(w->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		kill_later(w);
}

/* ---- the context ---- */

static const struct lws_protocols protocols[] = {
	{ .name = "docker", .callback = on_library, .rx_buffer_size = FRAME_MAX },
	{ .name = NULL },
};
static const lws_retry_bo_t patience; /* as Docker: an idle client is not asked whether it lives */

static int open_context(struct http_server *s, struct error *err)
{
	struct lws_context_creation_info info = { .port = CONTEXT_PORT_NO_LISTEN,
						  .protocols = protocols,
						  .gid = (gid_t)-1,
						  .uid = (uid_t)-1,
						  .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
						  .fd_limit_per_thread = SOCKETS_MAX + 8,
						  .retry_and_idle_policy = &patience };
	struct websockets *all;

	if (s->websockets)
		return 0;
	if (load(err) < 0)
		return err->code;
	all = xnew(struct websockets);
	all->server = s;
	all->loop = s->config.loop;
	list_init(&all->all);
	info.foreign_loops = &all->loop;
	info.user = all;
	all->context = lib.lws_create_context(&info);
	all->vhost = all->context ? lib.lws_create_vhost(all->context, &info) : NULL;
	if (!all->vhost) {
		free(all);
		return error_set(err, -ENOMEM, "WebSockets cannot be served");
	}
	s->websockets = all;
	return 0;
}

/* ---- taking a connection over ---- */

/* As golang.org/x/net/websocket, Docker's, finds fault. */
static const char *fault_of(const struct request *req)
{
	const char *upgrade = request_header(req, "Upgrade"), *connection = request_header(req, "Connection");
	const char *key = request_header(req, "Sec-WebSocket-Key"), *version = request_header(req, "Sec-WebSocket-Version");
	const char *protocol = request_header(req, "Sec-WebSocket-Protocol");

	if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !connection || !strcasestr(connection, "upgrade") || req->is_1_0)
		return "not websocket protocol";
	if (!key || !*key || strlen(key) > KEY_MAX)
		return "mismatch challenge/response";
	if (!version || strcmp(version, "13") != 0)
		return "missing or bad WebSocket Version";
	if (protocol && strchr(protocol, ','))
		return "missing or bad WebSocket-Protocol";
	return NULL;
}

void reply_websocket(struct request *req, bool is_binary, void (*ready)(void *arg, struct stream *s), void *arg)
{
	const char *fault = req->is_complete ? NULL : fault_of(req);
	struct error err = { 0 };

	if (fault) {
		reply_header(req, "Sec-WebSocket-Version", "13");
		error_set_class(&err, ERROR_INVALID, "%s", fault);
	} else if (open_context(req->server, &err) == 0 && req->server->websockets->count >= SOCKETS_MAX) {
		error_set_class(&err, ERROR_UNAVAILABLE, "too many WebSockets");
	}
	if (err.code) {
		ready(arg, NULL);
		reply_error(req, &err);
		return;
	}
	req->is_websocket = true;
	req->is_binary = is_binary;
	reply_raw(req, ready, arg);
}

/* The request again, in the few lines that the handshake is made of. */
static char *handshake_of(const struct request *req)
{
	return xasprintf("GET / HTTP/1.1\r\nHost: docker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
			 request_header(req, "Sec-WebSocket-Key"));
}

void websocket_begin(struct request *req)
{
	struct websockets *all = req->server->websockets;
	struct websocket *w = xnew(struct websocket);
	CLEANUP(freep) char *head = handshake_of(req);

	w->base.ops = &ops;
	w->watched.event = on_event;
	w->server = req->server;
	w->is_binary = req->is_binary;
	w->protocol = xstrdup(request_header(req, "Sec-WebSocket-Protocol"));
	w->ready = req->hijack_ready;
	w->arg = req->hijack_arg;
	buf_init(&w->queue, QUEUE_MAX);
	req->hijack_ready = NULL;
	req->connection->state = CONNECTION_AWAY;
	list_append(&all->all, &w->link);
	all->count++;
	w->fd = fcntl(req->connection->fd, F_DUPFD_CLOEXEC, 3);
	if (w->fd < 0) {
		on_gone(w);
		return;
	}
	server_watch(w->server, w->fd, &w->watched, EPOLLRDHUP | EPOLLET);
	all->adopting = w;
	/* From here on it tells us, also of failure: by WSI_DESTROY. */
	lib.lws_adopt_socket_vhost_readbuf(all->vhost, w->fd, head, strlen(head));
	if (all->adopting) { /* it was not even begun */
		all->adopting = NULL;
		on_gone(w);
	}
}

/* ---- the end ---- */

static void on_ended(uv_handle_t *h)
{
	struct websockets *all = h->data;
	struct http_server *s = all->server;

	free(all);
	s->websockets = NULL;
	server_handle_closed(s);
}

/* The library's own handles close at the end of a turn of the loop; it may be asked to free itself only after that. */
static void wait_for_end(uv_idle_t *idle)
{
	struct websockets *all = idle->data;

	if (all->count > 0 || all->turns++ < CLOSING_TURNS)
		return;
	lib.lws_context_destroy(all->context);
	uv_close((uv_handle_t *)idle, on_ended);
}

size_t websockets_count(const struct http_server *s)
{
	return s->websockets ? s->websockets->count : 0;
}

unsigned websockets_close_all(struct http_server *s)
{
	struct websockets *all = s->websockets;

	if (!all)
		return 0;
	uv_idle_init(s->config.loop, &all->ending);
	all->ending.data = all;
	uv_idle_start(&all->ending, wait_for_end);
	lib.lws_context_destroy(all->context);
	return 1;
}
