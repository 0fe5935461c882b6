/* The public API of sockerless/request.h over the HTTP layer's requests and streams. */
#include "daemon/public.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/public.h"
#include "http/route.h"
#include "util/alloc.h"

static struct request *of(struct sockerless_request *req)
{
	return (struct request *)req;
}

static const struct request *of_const(const struct sockerless_request *req)
{
	return (const struct request *)req;
}

/* ---- reading ---- */

const char *sockerless_request_operation(const struct sockerless_request *req)
{
	return request_route(of_const(req))->operation;
}

const char *sockerless_request_method(const struct sockerless_request *req)
{
	return request_method(of_const(req));
}

const char *sockerless_request_path(const struct sockerless_request *req)
{
	return request_path(of_const(req));
}

int sockerless_request_api_version(const struct sockerless_request *req)
{
	return request_api_version(of_const(req));
}

const char *sockerless_request_param(const struct sockerless_request *req, const char *name)
{
	return request_param(of_const(req), name);
}

const char *sockerless_request_query(const struct sockerless_request *req, const char *key, size_t n)
{
	return request_query_nth(of_const(req), key, n);
}

const char *sockerless_request_header(const struct sockerless_request *req, const char *name)
{
	return request_header(of_const(req), name);
}

const char *sockerless_request_body(const struct sockerless_request *req, size_t *ret_len)
{
	return request_body_text(of_const(req), ret_len);
}

void sockerless_request_body_stream(struct sockerless_request *req, void (*data)(void *arg, const void *bytes, size_t len),
				    void (*end)(void *arg, int result), void *arg)
{
	request_body_start(of(req), data, end, arg);
}

void sockerless_request_on_gone(struct sockerless_request *req, void (*gone)(void *arg), void *arg)
{
	request_on_gone(of(req), gone, arg);
}

/* ---- answering ---- */

void sockerless_request_continue(struct sockerless_request *req)
{
	request_route(of(req))->handler(of(req));
}

void sockerless_reply_header(struct sockerless_request *req, const char *name, const char *value)
{
	reply_header(of(req), name, value);
}

void sockerless_reply(struct sockerless_request *req, int status, const char *content_type, const void *body, size_t len)
{
	reply_bytes(of(req), status, content_type, body, len);
}

void sockerless_reply_error(struct sockerless_request *req, int status, const char *message)
{
	json_t *text = json_string(message), *body = json_object();

	if (status == 204 || status == 304) { /* they have no body */
		json_decref(text);
		json_decref(body);
		reply_empty(of(req), status);
		return;
	}
	json_object_set_new(body, "message", text ? text : json_string("an error whose text is not UTF-8"));
	reply_json(of(req), status, body);
}

/* ---- streams ---- */

struct sockerless_stream {
	struct stream *stream;
	struct sockerless_stream_events events;
	void (*ready)(void *arg, struct sockerless_stream *s); /* of a connection that is to be taken over */
	void *arg;
};

static void on_drain(void *arg)
{
	struct sockerless_stream *s = arg;

	if (s->events.drained)
		s->events.drained(s->arg);
}

static void on_close(void *arg)
{
	struct sockerless_stream *s = arg;

	if (s->events.closed)
		s->events.closed(s->arg);
	free(s);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct sockerless_stream *s = arg;

	if (s->events.data)
		s->events.data(s->arg, data, len);
}

static void on_eof(void *arg)
{
	struct sockerless_stream *s = arg;

	if (s->events.eof)
		s->events.eof(s->arg);
}

static const struct stream_events stream_events = { on_drain, on_close, on_data, on_eof };

static struct sockerless_stream *stream_new(const struct sockerless_stream_events *events, void *arg)
{
	struct sockerless_stream *s = xnew(struct sockerless_stream);

	if (events)
		public_copy(&s->events, sizeof(s->events), events, events->size);
	s->arg = arg;
	return s;
}

static void adopt(struct sockerless_stream *s, struct stream *stream)
{
	s->stream = stream;
	stream_set_events(stream, &stream_events, s);
}

struct sockerless_stream *sockerless_reply_stream(struct sockerless_request *req, int status, const char *content_type,
						  const struct sockerless_stream_events *events, void *arg)
{
	struct sockerless_stream *s = stream_new(events, arg);

	adopt(s, reply_stream(of(req), status, content_type));
	return s;
}

static void on_ready(void *arg, struct stream *stream)
{
	struct sockerless_stream *s = arg;

	if (!stream) {
		s->ready(s->arg, NULL);
		free(s);
		return;
	}
	adopt(s, stream);
	s->ready(s->arg, s);
	stream_read_start(stream);
}

void sockerless_reply_hijack(struct sockerless_request *req, const char *content_type,
			     void (*ready)(void *arg, struct sockerless_stream *s),
			     const struct sockerless_stream_events *events, void *arg)
{
	struct sockerless_stream *s = stream_new(events, arg);

	s->ready = ready;
	reply_hijack(of(req), content_type, on_ready, s);
}

int sockerless_stream_write(struct sockerless_stream *s, const void *data, size_t len)
{
	return stream_write(s->stream, data, len);
}

int sockerless_stream_is_full(const struct sockerless_stream *s)
{
	return stream_is_full(s->stream);
}

void sockerless_stream_end(struct sockerless_stream *s)
{
	stream_end(s->stream);
}

void sockerless_stream_abort(struct sockerless_stream *s)
{
	stream_abort(s->stream);
}
