/* Hijacked connections: microhttpd answers 101, then the socket is ours, on
 * libuv, in both directions. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"

enum { HEAD_MAX = 64 << 10, LINGER_MS = 1000, LOOK_MS = 1, LOOKS_QUICK = 100, LOOK_SLOW_MS = 20, LOOKS_MAX = 500 };

#define HELD_MAX (256u << 20) /* producers stop at STREAM_HIGH; this is against one that does not */

struct hijack {
	struct stream base;
	struct watched watched;   /* a client may leave while nobody reads */
	struct list link;
	struct http_server *server;
	uv_pipe_t pipe;
	char *early;              /* bytes that came with the head */
	size_t early_len;
	uv_idle_t early_idle;
	uv_timer_t linger;        /* how long a client that does not close is waited for */
	struct buf held;          /* output that must not come with the head */
	uv_timer_t look;          /* has it been read? */
	unsigned looks;
	bool is_head_read, is_ended, is_lingering, is_closing, was_full, is_reading, is_at_eof, has_left;
	int fd;
	unsigned handles, writes;
	char buffer[65536];
};

struct write_op {
	uv_write_t req;
	struct hijack *hijack;
	char data[];
};

static struct hijack *of(const struct stream *s)
{
	return container_of(s, struct hijack, base);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct hijack *h = handle->data;

	if (--h->handles > 0)
		return;
	if (h->base.events && h->base.events->on_close)
		h->base.events->on_close(h->base.arg);
	list_remove(&h->link);
	buf_done(&h->held);
	free(h->early);
	free(h);
}

static void close_hijack(struct hijack *h)
{
	if (h->is_closing)
		return;
	h->is_closing = true;
	server_unwatch(h->server, h->fd);
	uv_close((uv_handle_t *)&h->pipe, on_handle_closed);
	uv_close((uv_handle_t *)&h->early_idle, on_handle_closed);
	uv_close((uv_handle_t *)&h->linger, on_handle_closed);
	uv_close((uv_handle_t *)&h->look, on_handle_closed);
}

static bool takes_input(const struct hijack *h)
{
	return !h->is_closing && !h->is_lingering;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct hijack *h = handle->data;

	(void)size;
	*buf = uv_buf_init(h->buffer, sizeof(h->buffer));
}

static void on_discarded(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	if (n < 0)
		close_hijack(stream->data);
}

static void on_linger_over(uv_timer_t *timer)
{
	close_hijack(timer->data);
}

/* A socket that is closed with something unread makes the kernel tell the other side of a reset, which clients report
 * as an error even if they have read all that we said. So ours is the end of what we say first; what still comes in is
 * thrown away until the client closes, or for a second. */
static void linger(struct hijack *h)
{
	h->is_lingering = true;
	shutdown(h->fd, SHUT_WR);
	uv_idle_stop(&h->early_idle);
	uv_read_stop((uv_stream_t *)&h->pipe);
	if (uv_read_start((uv_stream_t *)&h->pipe, on_alloc, on_discarded) < 0)
		close_hijack(h);
	else
		uv_timer_start(&h->linger, on_linger_over, LINGER_MS, 0);
}

static void maybe_finish(struct hijack *h)
{
	if (!h->is_ended || h->writes > 0 || h->held.len > 0 || !takes_input(h))
		return;
	if (h->is_at_eof)
		close_hijack(h);
	else
		linger(h);
}

static void on_written(uv_write_t *req, int status)
{
	struct write_op *op = container_of(req, struct write_op, req);
	struct hijack *h = op->hijack;

	free(op);
	h->writes--;
	if (status < 0) {
		close_hijack(h);
		return;
	}
	if (h->was_full && uv_stream_get_write_queue_size((uv_stream_t *)&h->pipe) < STREAM_LOW) {
		h->was_full = false;
		if (h->base.events && h->base.events->on_drain)
			h->base.events->on_drain(h->base.arg);
	}
	maybe_finish(h);
}

static int put(struct hijack *h, const void *data, size_t len)
{
	struct write_op *op;
	uv_buf_t buf;

	op = xmalloc(sizeof(*op) + len);
	op->hijack = h;
	memcpy(op->data, data, len);
	buf = uv_buf_init(op->data, (unsigned)len);
	h->writes++;
	if (uv_write(&op->req, (uv_stream_t *)&h->pipe, &buf, 1, on_written) < 0) {
		h->writes--;
		free(op);
		close_hijack(h);
		return -EPIPE;
	}
	if (uv_stream_get_write_queue_size((uv_stream_t *)&h->pipe) > STREAM_HIGH)
		h->was_full = true;
	return 0;
}

/* ---- the head alone, then the output ----
 *
 * Some clients (the Python SDK) read the head through a buffer and what follows past it: what comes together with the head is
 * lost to them. An engine that needs longer for an exec never shows it. So the first output waits until the head has been
 * read, which a Unix socket tells; not for ever. */

static bool has_read_head(struct hijack *h)
{
	int unread = 0;

	if (!h->is_head_read)
		h->is_head_read = h->looks >= LOOKS_MAX || (uv_stream_get_write_queue_size((uv_stream_t *)&h->pipe) == 0 &&
							    (ioctl(h->fd, SIOCOUTQ, &unread) < 0 || unread == 0));
	return h->is_head_read;
}

static void on_look(uv_timer_t *look)
{
	struct hijack *h = look->data;

	if (++h->looks == LOOKS_QUICK)
		uv_timer_set_repeat(look, LOOK_SLOW_MS);
	if (!has_read_head(h))
		return;
	uv_timer_stop(look);
	put(h, h->held.data, h->held.len);
	buf_reset(&h->held);
}

static int hold(struct hijack *h, const void *data, size_t len)
{
	if (buf_append(&h->held, data, len) < 0)
		return -EPIPE;
	if (h->held.len > STREAM_HIGH)
		h->was_full = true;
	if (!uv_is_active((uv_handle_t *)&h->look))
		uv_timer_start(&h->look, on_look, LOOK_MS, LOOK_MS);
	return 0;
}

static int hj_write(struct stream *s, const void *data, size_t len)
{
	struct hijack *h = of(s);

	if (h->is_closing || h->is_ended)
		return -EPIPE;
	if (len == 0)
		return 0;
	return h->held.len > 0 || !has_read_head(h) ? hold(h, data, len) : put(h, data, len);
}

static size_t hj_queued(const struct stream *s)
{
	return of(s)->held.len + uv_stream_get_write_queue_size((const uv_stream_t *)&of(s)->pipe);
}

static void hj_end(struct stream *s)
{
	of(s)->is_ended = true;
	maybe_finish(of(s));
}

static void hj_abort(struct stream *s)
{
	close_hijack(of(s));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct hijack *h = stream->data;

	if (n > 0) {
		if (h->base.events && h->base.events->on_data)
			h->base.events->on_data(h->base.arg, buf->base, (size_t)n);
		return;
	}
	if (n == 0)
		return;
	uv_read_stop(stream);
	h->is_at_eof = true;
	if (n == UV_EOF && h->base.events && h->base.events->on_eof)
		h->base.events->on_eof(h->base.arg);
	if (n != UV_EOF || h->has_left)
		close_hijack(h);
}

/* What it sent before it left is still for the process, if that reads. */
static void on_event(struct watched *w, uint32_t events)
{
	struct hijack *h = container_of(w, struct hijack, watched);
	char byte;

	if (h->is_closing || !(events & (EPOLLHUP | EPOLLERR)))
		return;
	h->has_left = true;
	if (h->is_at_eof || (!h->is_reading && !h->early && recv(h->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0))
		close_hijack(h);
}

static void on_early(uv_idle_t *idle)
{
	struct hijack *h = idle->data;
	char *early = h->early;

	uv_idle_stop(idle);
	h->early = NULL;
	if (early && h->base.events && h->base.events->on_data)
		h->base.events->on_data(h->base.arg, early, h->early_len);
	free(early);
	if (h->is_reading && takes_input(h))
		uv_read_start((uv_stream_t *)&h->pipe, on_alloc, on_read);
}

static void hj_read_start(struct stream *s)
{
	struct hijack *h = of(s);

	h->is_reading = true;
	if (!takes_input(h))
		return;
	if (h->early)
		uv_idle_start(&h->early_idle, on_early);
	else
		uv_read_start((uv_stream_t *)&h->pipe, on_alloc, on_read);
}

static void hj_read_stop(struct stream *s)
{
	struct hijack *h = of(s);

	h->is_reading = false;
	uv_idle_stop(&h->early_idle);
	if (takes_input(h))
		uv_read_stop((uv_stream_t *)&h->pipe);
}

static const struct stream_ops ops = {
	.write = hj_write,
	.queued = hj_queued,
	.end = hj_end,
	.abort = hj_abort,
	.read_start = hj_read_start,
	.read_stop = hj_read_stop,
};

/* From now on microhttpd may close its descriptor. NULL: there is none for us. */
static struct hijack *take_over(struct request *req)
{
	struct http_server *s = req->server;
	int fd = fcntl(req->connection->fd, F_DUPFD_CLOEXEC, 3);
	struct hijack *h;

	req->connection->state = CONNECTION_AWAY;
	if (fd < 0)
		return NULL;
	h = xnew(struct hijack);
	h->base.ops = &ops;
	h->watched.event = on_event;
	h->server = s;
	h->fd = fd;
	h->handles = 4;
	h->is_head_read = !req->connection->is_local; /* TCP tells what has arrived, not what has been read */
	buf_init(&h->held, HELD_MAX);
	list_append(&s->hijacks, &h->link);
	uv_pipe_init(s->config.loop, &h->pipe, 0);
	uv_idle_init(s->config.loop, &h->early_idle);
	uv_timer_init(s->config.loop, &h->linger);
	uv_timer_init(s->config.loop, &h->look);
	h->pipe.data = h->early_idle.data = h->linger.data = h->look.data = h;
	uv_pipe_open(&h->pipe, fd);
	server_watch(s, fd, &h->watched, EPOLLRDHUP | EPOLLET);
	s->counters.hijacked++;
	return h;
}

static void tell_ready(struct request *req, struct hijack *h)
{
	void (*ready)(void *arg, struct stream *s) = req->hijack_ready;

	req->hijack_ready = NULL;
	ready(req->hijack_arg, h ? &h->base : NULL);
}

static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *extra_in, size_t extra_len,
		       MHD_socket sock, struct MHD_UpgradeResponseHandle *urh)
{
	struct request *req = cls;
	struct hijack *h = take_over(req);

	(void)mhd, (void)con_cls, (void)sock;
	if (h && extra_len) {
		h->early = xmalloc(extra_len);
		h->early_len = extra_len;
		memcpy(h->early, extra_in, extra_len);
	}
	MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
	server_kick(req->server);
	tell_ready(req, h);
}

void hijack_by_hand(struct request *req)
{
	struct hijack *h = take_over(req);
	struct buf head;

	buf_init(&head, HEAD_MAX);
	buf_puts(&head, "HTTP/1.1 200 OK\r\n");
	for (size_t i = 0; i < REPLY_FIXED; i++)
		buf_printf(&head, "%s: %s\r\n", reply_fixed[i].name, reply_fixed[i].value);
	for (size_t i = 0; i < req->nheaders; i++)
		buf_printf(&head, "%s: %s\r\n", req->headers[i].name, req->headers[i].value);
	buf_puts(&head, "\r\n");
	if (h)
		put(h, head.data, head.len);
	buf_done(&head);
	tell_ready(req, h);
}

struct MHD_Response *hijack_response(struct request *req)
{
	return MHD_create_response_for_upgrade(on_upgrade, req);
}

size_t hijack_unsent(const struct http_server *s)
{
	size_t n = 0;

	list_for_each(it, &s->hijacks) {
		const struct hijack *h = container_of(it, struct hijack, link);

		n += h->is_ended && takes_input(h);
	}
	return n;
}

void hijack_close_all(struct http_server *s)
{
	list_for_each(it, &s->hijacks)
		close_hijack(container_of(it, struct hijack, link));
}
