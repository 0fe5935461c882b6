/* A chunked reply as a stream: bytes wait in a buffer for microhttpd's reader,
 * which suspends the connection when there are none. Those of a held one wait for the gate, too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "http/internal.h"
#include "util/alloc.h"

#define QUEUE_MAX (256u << 20) /* producers stop at STREAM_HIGH; this is against one that does not */

struct reply_stream {
	struct stream base;
	struct request *request;
	struct buf queue;
	bool is_ended, is_aborted, is_closed, was_full;
	uv_idle_t close_later;
	/* held */
	struct http_gate gate; /* no may_send: it is not held */
	bool is_asking, is_free;
	size_t free_bytes, asked_bytes; /* of the queue: what may leave, and what the gate has been asked about */
};

static struct reply_stream *of(const struct stream *s)
{
	return container_of(s, struct reply_stream, base);
}

/* ---- what is told must be durable ---- */

static void ask(struct reply_stream *rs);
static void stream_free(struct reply_stream *rs);

/* What is not so is not told; in its place stands why, in the form of progress lines. */
static void refuse_rest(struct reply_stream *rs, const struct error *err)
{
	json_t *line = json_pack("{s:{s:s}, s:s}", "errorDetail", "message", err->message, "error", err->message);
	char *text = json_dumps(line, JSON_COMPACT);

	rs->queue.len = rs->free_bytes;
	buf_append(&rs->queue, text, strlen(text));
	buf_append(&rs->queue, "\r\n", 2);
	rs->is_ended = true;
	rs->asked_bytes = rs->queue.len;
	free(text);
	json_decref(line);
}

static void on_gate(void *arg)
{
	struct reply_stream *rs = arg;
	struct error err = { 0 };

	rs->is_asking = false;
	if (rs->is_free) {
		stream_free(rs);
		return;
	}
	if (rs->is_closed || rs->is_aborted)
		return;
	if (rs->gate.is_safe && !rs->gate.is_safe(rs->gate.ctx, &err))
		refuse_rest(rs, &err);
	rs->free_bytes = rs->asked_bytes;
	ask(rs);
	request_resume(rs->request);
}

static void ask(struct reply_stream *rs)
{
	if (rs->is_asking || rs->free_bytes == rs->queue.len)
		return;
	rs->asked_bytes = rs->queue.len;
	rs->is_asking = rs->gate.may_send && !rs->gate.may_send(rs->gate.ctx, on_gate, rs);
	if (!rs->is_asking)
		rs->free_bytes = rs->asked_bytes;
}

void reply_stream_hold(struct reply_stream *rs, const struct http_gate *gate)
{
	rs->gate = *gate;
}

/* ---- the stream ---- */

static int rs_write(struct stream *s, const void *data, size_t len)
{
	struct reply_stream *rs = of(s);

	if (rs->is_closed || rs->is_ended || rs->is_aborted || buf_append(&rs->queue, data, len) < 0)
		return -EPIPE;
	if (rs->queue.len > STREAM_HIGH)
		rs->was_full = true;
	ask(rs);
	request_resume(rs->request);
	return 0;
}

static size_t rs_queued(const struct stream *s)
{
	return of(s)->queue.len;
}

bool reply_stream_is_ended(const struct reply_stream *rs)
{
	return rs->is_ended;
}

static void rs_end(struct stream *s)
{
	struct reply_stream *rs = of(s);

	rs->is_ended = true;
	if (!rs->is_closed)
		request_resume(rs->request);
}

static void rs_abort(struct stream *s)
{
	struct reply_stream *rs = of(s);

	buf_reset(&rs->queue);
	rs->free_bytes = 0;
	rs->is_aborted = true;
	if (!rs->is_closed)
		request_resume(rs->request);
}

static const struct stream_ops ops = { .write = rs_write, .queued = rs_queued, .end = rs_end, .abort = rs_abort };

static ssize_t read_queue(void *cls, uint64_t pos, char *out, size_t max)
{
	struct reply_stream *rs = cls;
	size_t n = rs->free_bytes < max ? rs->free_bytes : max;

	(void)pos;
	if (rs->is_aborted)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (rs->queue.len == 0 && rs->is_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		rs->request->is_suspended = true;
		MHD_suspend_connection(rs->request->mhd);
		return 0;
	}
	memcpy(out, rs->queue.data, n);
	buf_consume(&rs->queue, n);
	rs->free_bytes -= n;
	rs->asked_bytes -= n;
	if (rs->was_full && rs->queue.len < STREAM_LOW) {
		rs->was_full = false;
		if (rs->base.events && rs->base.events->on_drain)
			rs->base.events->on_drain(rs->base.arg);
	}
	return (ssize_t)n;
}

struct reply_stream *reply_stream_new(struct request *req)
{
	struct reply_stream *rs = xnew(struct reply_stream);

	rs->base.ops = &ops;
	rs->request = req;
	buf_init(&rs->queue, QUEUE_MAX);
	return rs;
}

struct stream *reply_stream_base(struct reply_stream *rs)
{
	return &rs->base;
}

struct MHD_Response *reply_stream_response(struct reply_stream *rs)
{
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, read_queue, rs, NULL);
}

static void stream_free(struct reply_stream *rs)
{
	buf_done(&rs->queue);
	free(rs);
}

static void on_idle_closed(uv_handle_t *h)
{
	struct reply_stream *rs = h->data;

	if (rs->is_asking)
		rs->is_free = true; /* on_gate sees it */
	else
		stream_free(rs);
}

/* on_close never comes from within a call of the stream's user. */
static void tell_closed(uv_idle_t *idle)
{
	struct reply_stream *rs = idle->data;

	uv_idle_stop(idle);
	if (rs->base.events && rs->base.events->on_close)
		rs->base.events->on_close(rs->base.arg);
	uv_close((uv_handle_t *)idle, on_idle_closed);
}

void reply_stream_closed(struct reply_stream *rs)
{
	rs->is_closed = true;
	uv_idle_init(rs->request->server->config.loop, &rs->close_later);
	rs->close_later.data = rs;
	rs->request = NULL;
	uv_idle_start(&rs->close_later, tell_closed);
}

void reply_stream_abort(struct reply_stream *rs)
{
	rs_abort(&rs->base);
}
