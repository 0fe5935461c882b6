#include "agent/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"

enum { CLOSE_MS = 5000, READ_SIZE = 64 << 10 };

struct agent_conn {
	uv_pipe_t pipe;
	uv_timer_t timer;       /* pings; after a close the patience with the other side */
	uv_idle_t later;        /* gives what came early, tells of an end that was found within a call */
	uv_write_t write;
	struct ws_parser parser;
	struct buf out, writing;
	const struct agent_conn_events *events;
	void *arg;
	char *early;
	size_t early_len;
	bool is_server, is_writing, was_full, is_paused, is_closing, is_close_sent, is_ended, is_silent;
	uint64_t heard_ms;
	unsigned handles;
	char reason[160];
	char buffer[READ_SIZE];
};

static void end(struct agent_conn *c, const char *reason);

/* ---- out ---- */

static void flush(struct agent_conn *c);

static void on_written(uv_write_t *req, int status)
{
	struct agent_conn *c = req->data;

	c->is_writing = false;
	buf_reset(&c->writing);
	if (c->writing.size > (512u << 10))
		buf_done(&c->writing);
	if (c->is_ended)
		return;
	if (status < 0) {
		end(c, uv_strerror(status));
		return;
	}
	flush(c);
	if (c->was_full && agent_conn_queued(c) <= CONN_HIGH / 2) {
		c->was_full = false;
		if (c->events && c->events->drained && !c->is_closing)
			c->events->drained(c->arg);
	}
}

static void flush(struct agent_conn *c)
{
	struct buf next = c->out;
	uv_buf_t b;
	ssize_t n;

	if (c->is_writing || c->is_ended || c->out.len == 0)
		return;
	/* What the socket takes at once needs no request. */
	b = uv_buf_init(next.data, (unsigned)next.len);
	n = uv_try_write((uv_stream_t *)&c->pipe, &b, 1);
	if (n > 0 && (size_t)n == next.len) {
		buf_reset(&c->out);
		return;
	}
	if (n < 0 && n != UV_EAGAIN) {
		end(c, uv_strerror((int)n));
		return;
	}
	if (n > 0)
		buf_consume(&next, (size_t)n);
	c->out = c->writing;
	c->writing = next;
	c->is_writing = true;
	c->write.data = c;
	b = uv_buf_init(c->writing.data, (unsigned)c->writing.len);
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, on_written) < 0) {
		c->is_writing = false;
		end(c, "the connection cannot be written");
	}
}

static void send_frame(struct agent_conn *c, enum ws_opcode opcode, const void *head, size_t head_len, const void *data,
		       size_t len)
{
	unsigned char mask[4] = { 0 };

	if (c->is_ended || c->is_close_sent)
		return;
	if (!c->is_server && getrandom(mask, sizeof(mask), 0) < 0)
		mask[0] = 0;
	if (ws_append(&c->out, opcode, head, head_len, data, len, c->is_server ? NULL : mask) < 0) {
		end(c, "too much is queued for the other side");
		return;
	}
	flush(c);
	if (agent_conn_queued(c) > CONN_HIGH)
		c->was_full = true;
}

void agent_conn_preface(struct agent_conn *c, const char *text)
{
	if (buf_puts(&c->out, text) == 0)
		flush(c);
}

void agent_conn_send_text(struct agent_conn *c, const char *text, size_t len)
{
	if (!c->is_closing)
		send_frame(c, WS_TEXT, NULL, 0, text, len);
}

void agent_conn_send_json(struct agent_conn *c, json_t *take_message)
{
	char *text = json_dumps(take_message, JSON_COMPACT);

	json_decref(take_message);
	if (text)
		agent_conn_send_text(c, text, strlen(text));
	free(text);
}

void agent_conn_send_binary(struct agent_conn *c, const void *head, size_t head_len, const void *data, size_t len)
{
	if (!c->is_closing)
		send_frame(c, WS_BINARY, head, head_len, data, len);
}

size_t agent_conn_queued(const struct agent_conn *c)
{
	return c->out.len + c->writing.len;
}

bool agent_conn_is_full(const struct agent_conn *c)
{
	return agent_conn_queued(c) > CONN_HIGH;
}

/* ---- the end ---- */

static void on_handle_closed(uv_handle_t *h)
{
	struct agent_conn *c = h->data;

	if (--c->handles > 0)
		return;
	if (!c->is_silent && c->events && c->events->closed)
		c->events->closed(c->arg, c->reason);
	ws_parser_done(&c->parser);
	buf_done(&c->out);
	buf_done(&c->writing);
	free(c->early);
	free(c);
}

static void end(struct agent_conn *c, const char *reason)
{
	if (c->is_ended)
		return;
	c->is_ended = true;
	if (!c->reason[0])
		snprintf(c->reason, sizeof(c->reason), "%s", reason);
	uv_close((uv_handle_t *)&c->pipe, on_handle_closed);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	uv_close((uv_handle_t *)&c->later, on_handle_closed);
}

static void on_patience_over(uv_timer_t *t)
{
	end(t->data, "the other side did not close");
}

static void send_close(struct agent_conn *c, int status)
{
	unsigned char code[2] = { (unsigned char)(status >> 8), (unsigned char)status };

	if (c->is_close_sent || c->is_ended)
		return;
	send_frame(c, WS_CLOSE, NULL, 0, code, sizeof(code));
	if (c->is_ended)
		return;
	c->is_close_sent = true;
	uv_timer_start(&c->timer, on_patience_over, CLOSE_MS, 0);
}

void agent_conn_close(struct agent_conn *c, int status, const char *reason)
{
	if (c->is_closing || c->is_ended)
		return;
	c->is_closing = true;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	send_close(c, status);
	agent_conn_pause(c, false);
}

void agent_conn_drop(struct agent_conn *c)
{
	if (!c)
		return;
	c->is_silent = true;
	end(c, "dropped");
}

void agent_conn_set_events(struct agent_conn *c, const struct agent_conn_events *events, void *arg)
{
	c->events = events;
	c->arg = arg;
}

/* ---- in ---- */

static bool on_message(void *arg, enum ws_opcode opcode, const void *data, size_t len)
{
	struct agent_conn *c = arg;

	switch (opcode) {
	case WS_TEXT:
	case WS_BINARY:
		if (!c->is_closing && c->events && c->events->message)
			c->events->message(c->arg, opcode == WS_BINARY, data, len);
		break;
	case WS_PING: send_frame(c, WS_PONG, NULL, 0, data, len); break;
	case WS_CLOSE:
		send_close(c, WS_CLOSE_NORMAL);
		if (!c->is_ended)
			end(c, "the other side has closed the connection");
		break;
	default: break;
	}
	return !c->is_ended;
}

static void feed(struct agent_conn *c, const void *data, size_t len)
{
	int r;

	c->heard_ms = uv_now(c->pipe.loop);
	r = ws_feed(&c->parser, data, len, on_message, c);
	if (r >= 0 || c->is_ended)
		return;
	send_close(c, r == -EMSGSIZE ? WS_CLOSE_TOO_BIG : WS_CLOSE_PROTOCOL);
	end(c, r == -EMSGSIZE ? "a message is too large" : "what came is no WebSocket");
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct agent_conn *c = h->data;

	(void)size;
	*buf = uv_buf_init(c->buffer, sizeof(c->buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct agent_conn *c = s->data;

	if (n > 0)
		feed(c, buf->base, (size_t)n);
	else if (n < 0)
		end(c, n == UV_EOF ? "the connection has ended" : uv_strerror((int)n));
}

void agent_conn_pause(struct agent_conn *c, bool is_paused)
{
	if (c->is_ended || c->is_paused == is_paused)
		return;
	c->is_paused = is_paused;
	c->heard_ms = uv_now(c->pipe.loop);
	if (is_paused)
		uv_read_stop((uv_stream_t *)&c->pipe);
	else if (!c->early)
		uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

static void on_later(uv_idle_t *idle)
{
	struct agent_conn *c = idle->data;
	char *early = c->early;

	uv_idle_stop(idle);
	c->early = NULL;
	if (c->early_len > 0)
		feed(c, early, c->early_len);
	free(early);
	if (!c->is_ended && !c->is_paused)
		uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

static void on_tick(uv_timer_t *t)
{
	struct agent_conn *c = t->data;

	if (!c->is_paused && uv_now(t->loop) - c->heard_ms > CONN_DEAD_MS) {
		end(c, "nothing was heard of the other side for 30 seconds");
		return;
	}
	send_frame(c, WS_PING, NULL, 0, NULL, 0);
}

int agent_conn_new(uv_loop_t *loop, int take_fd, bool is_server, const void *early, size_t early_len,
		   const struct agent_conn_events *events, void *arg, struct agent_conn **ret)
{
	struct agent_conn *c = xnew(struct agent_conn);
	int one = 1, r;

	fcntl(take_fd, F_SETFL, fcntl(take_fd, F_GETFL) | O_NONBLOCK);
	fcntl(take_fd, F_SETFD, FD_CLOEXEC);
	setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* fails on a Unix socket, and is not needed there */
	uv_pipe_init(loop, &c->pipe, 0);
	r = uv_pipe_open(&c->pipe, take_fd);
	uv_timer_init(loop, &c->timer);
	uv_idle_init(loop, &c->later);
	c->pipe.data = c->timer.data = c->later.data = c;
	c->handles = 3;
	ws_parser_init(&c->parser, is_server);
	buf_init(&c->out, CONN_QUEUE_MAX);
	buf_init(&c->writing, CONN_QUEUE_MAX);
	if (r < 0) {
		agent_conn_drop(c);
		return r;
	}
	c->is_server = is_server;
	c->events = events;
	c->arg = arg;
	c->heard_ms = uv_now(loop);
	c->early = xmalloc(early_len + 1);
	c->early_len = early_len;
	if (early_len > 0)
		memcpy(c->early, early, early_len);
	uv_idle_start(&c->later, on_later);
	uv_timer_start(&c->timer, on_tick, CONN_PING_MS, CONN_PING_MS);
	*ret = c;
	return 0;
}
