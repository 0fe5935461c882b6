/* Fan-out of one process's output to its log and to the attached clients, and
 * the way of a client's input back. One slow client slows the process down as
 * a slow terminal would; one that has gone costs nothing. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/detach.h"
#include "engine/internal.h"
#include "engine/log.h"
#include "util/alloc.h"

struct output_client {
	struct list link;
	struct output *output;
	struct stream *stream;
	bool want[3];
	struct input in;
	bool has_input, is_full;
	struct detach_keys keys;   /* none: no terminal */
};

struct output {
	struct list clients;
	struct log *log;
	bool is_ended, is_stopped, is_log_full;
	void (*flow)(void *arg, bool is_open);
	void *flow_arg;
};

struct output *output_new(void)
{
	struct output *o = xnew(struct output);

	list_init(&o->clients);
	return o;
}

static void update_flow(struct output *o);

static void on_log_room(void *arg)
{
	struct output *o = arg;

	o->is_log_full = false;
	update_flow(o);
}

void output_set_log(struct output *o, struct log *take_log)
{
	log_free(o->log);
	o->log = take_log;
	o->is_log_full = false;
	if (take_log)
		log_on_room(take_log, on_log_room, o);
}

struct log *output_log(const struct output *o)
{
	return o->log;
}

static void detach(struct output_client *c)
{
	list_remove(&c->link);
	c->output = NULL;
	stream_end(c->stream);
}

void output_end(struct output *o)
{
	o->is_ended = true;
	list_for_each_safe(it, &o->clients)
		detach(container_of(it, struct output_client, link));
}

void output_free(struct output *o)
{
	if (!o)
		return;
	output_end(o);
	output_set_log(o, NULL);
	free(o);
}

static void update_flow(struct output *o)
{
	bool is_full = o->is_log_full;

	list_for_each(it, &o->clients)
		is_full = is_full || container_of(it, struct output_client, link)->is_full;
	if (is_full == o->is_stopped || !o->flow)
		return;
	o->is_stopped = is_full;
	o->flow(o->flow_arg, !is_full);
}

/* The frame of multiplexed streams: stream, three zeros, length big-endian. */
void output_write(struct output *o, int stream, const void *data, size_t len)
{
	unsigned char head[8] = { (unsigned char)stream,
				  0,
				  0,
				  0,
				  (unsigned char)(len >> 24),
				  (unsigned char)(len >> 16),
				  (unsigned char)(len >> 8),
				  (unsigned char)len };

	if (o->log && log_append(o->log, stream, data, len))
		o->is_log_full = true;
	list_for_each_safe(it, &o->clients) {
		struct output_client *c = container_of(it, struct output_client, link);

		if (!c->want[stream])
			continue;
		if (c->stream->is_mux)
			stream_write(c->stream, head, sizeof(head));
		stream_write(c->stream, data, len);
		c->is_full = stream_is_full(c->stream);
	}
	update_flow(o);
}

/* ---- a client's events ---- */

static void on_drain(void *arg)
{
	struct output_client *c = arg;

	c->is_full = false;
	if (c->output)
		update_flow(c->output);
}

static void on_close(void *arg)
{
	struct output_client *c = arg;
	struct output *o = c->output;

	if (o) {
		list_remove(&c->link);
		c->is_full = false;
		update_flow(o);
	}
	free(c);
}

static void send_input(struct output_client *c, const void *data, size_t len)
{
	if (len > 0 && c->in.write(c->in.arg, data, len) == 1)
		stream_read_stop(c->stream);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct output_client *c = arg;
	struct buf out;

	if (!c->output || !c->has_input)
		return;
	if (c->keys.n == 0 || (c->keys.matched == 0 && !memchr(data, c->keys.v[0], len))) {
		send_input(c, data, len);
		return;
	}
	buf_init(&out, len + sizeof(c->keys.v));
	if (detach_keys_take(&c->keys, data, len, &out)) {
		send_input(c, out.data, out.len);
		if (c->in.detached)
			c->in.detached(c->in.arg);
		detach(c);
	} else {
		send_input(c, out.data, out.len);
	}
	buf_done(&out);
}

static void on_eof(void *arg)
{
	struct output_client *c = arg;

	if (c->output && c->has_input)
		c->in.close(c->in.arg);
}

static const struct stream_events events = { on_drain, on_close, on_data, on_eof };

void output_stdin_drained(struct output *o)
{
	list_for_each(it, &o->clients) {
		struct output_client *c = container_of(it, struct output_client, link);

		if (c->has_input)
			stream_read_start(c->stream);
	}
}

void output_set_flow(struct output *o, void (*flow)(void *arg, bool is_open), void *arg)
{
	o->flow = flow;
	o->flow_arg = arg;
}

void output_attach(struct output *o, struct stream *s, bool want_stdout, bool want_stderr, const struct input *in,
		   bool is_terminal, const char *detach_keys, bool is_before_start)
{
	struct output_client *c = xnew(struct output_client);

	c->output = o;
	c->stream = s;
	c->want[1] = want_stdout;
	c->want[2] = want_stderr;
	list_init(&c->link);
	stream_set_events(s, &events, c);
	if (in) {
		o->flow = in->flow;
		o->flow_arg = in->arg;
		c->has_input = in->write != NULL;
		c->in = *in;
	}
	if (is_terminal)
		detach_keys_parse(&c->keys, detach_keys);
	if (o->is_ended) {
		c->output = NULL;
		stream_end(s);
		return;
	}
	list_append(&o->clients, &c->link);
	if (!c->has_input || !is_before_start)
		stream_read_start(s); /* also without input: to see the client leave */
}
