/* Answers. Each waits for the gate: nothing is told that is not durable. */
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"
#include "util/alloc.h"

const struct reply_field reply_fixed[REPLY_FIXED] = {
	{ "Api-Version", API_VERSION_MAX_TEXT },
	{ "Docker-Experimental", "false" },
	{ "Ostype", "linux" },
};

void reply_header(struct request *req, const char *name, const char *value)
{
	if (req->nheaders == sizeof(req->headers) / sizeof(req->headers[0]))
		return;
	req->headers[req->nheaders].name = xstrdup(name);
	req->headers[req->nheaders].value = xstrdup(value);
	req->nheaders++;
}

static void add_headers(struct request *req)
{
	for (size_t i = 0; i < REPLY_FIXED; i++)
		MHD_add_response_header(req->response, reply_fixed[i].name, reply_fixed[i].value);
	if (req->server->config.server_header)
		MHD_add_response_header(req->response, "Server", req->server->config.server_header);
	for (size_t i = 0; i < req->nheaders; i++)
		MHD_add_response_header(req->response, req->headers[i].name, req->headers[i].value);
	if (req->server->is_draining && req->status != 101)
		MHD_add_response_header(req->response, "Connection", "close");
}

enum MHD_Result reply_queue(struct request *req)
{
	if (req->response)
		return MHD_queue_response(req->mhd, (unsigned)req->status, req->response);
	if (req->is_websocket)
		websocket_begin(req);
	else
		hijack_by_hand(req);
	return MHD_NO;
}

static void go(struct request *req)
{
	if (req->is_complete) {
		request_maybe_free(req);
		return;
	}
	if (req->has_body && !req->is_body_done && req->text)
		access_answered_early(req, false);
	request_resume(req);
}

static char *json_text(json_t *take_body, size_t *ret_len)
{
	char *text = json_dumps(take_body, JSON_COMPACT | JSON_ENCODE_ANY);
	size_t n = strlen(text);

	json_decref(take_body);
	text = xrealloc(text, n + 2);
	memcpy(text + n, "\n", 2);
	*ret_len = n + 1;
	return text;
}

static struct MHD_Response *bytes_response(struct request *req, char *take_text, size_t len)
{
	req->text = take_text;
	req->text_len = len;
	return MHD_create_response_from_buffer(len, take_text, MHD_RESPMEM_MUST_FREE);
}

/* What was to be told is not so: an error instead, or the end where a stream has begun. */
static void refuse(struct request *req, const struct error *err)
{
	size_t len;
	char *text = json_text(json_pack("{s:s}", "message", err->message), &len);

	MHD_destroy_response(req->response);
	request_forget_headers(req);
	reply_header(req, "Content-Type", "application/json");
	req->response = bytes_response(req, text, len);
	req->status = 500;
	add_headers(req);
	if (req->stream)
		reply_stream_abort(req->stream);
	if (req->hijack_ready)
		req->hijack_ready(req->hijack_arg, NULL);
	req->hijack_ready = NULL;
}

static void on_gate(void *arg)
{
	struct request *req = arg;
	const struct http_gate *gate = &req->server->config.gate;
	struct error err = { 0 };

	req->is_waiting_for_gate = false;
	req->may_send = true;
	if (gate->is_safe && !gate->is_safe(gate->ctx, &err))
		refuse(req, &err);
	go(req);
}

static void answer(struct request *req, int status, struct MHD_Response *take_response)
{
	const struct http_gate *gate = &req->server->config.gate;

	req->is_answered = true;
	req->status = status;
	req->response = take_response;
	if (take_response)
		add_headers(req);
	req->may_send = !gate->may_send || gate->may_send(gate->ctx, on_gate, req);
	req->is_waiting_for_gate = !req->may_send;
	if (req->may_send || req->is_complete)
		go(req);
}

static void answer_bytes(struct request *req, int status, const char *content_type, char *take_text, size_t len)
{
	struct MHD_Response *r = bytes_response(req, take_text, len);

	if (content_type)
		reply_header(req, "Content-Type", content_type);
	answer(req, status, r);
}

void reply_json(struct request *req, int status, json_t *take_body)
{
	size_t len;
	char *text = json_text(take_body, &len);

	answer_bytes(req, status, "application/json", text, len);
}

void reply_empty(struct request *req, int status)
{
	answer_bytes(req, status, NULL, xstrdup(""), 0);
}

void reply_bytes(struct request *req, int status, const char *content_type, const void *body, size_t len)
{
	char *copy = xmalloc(len);

	if (len)
		memcpy(copy, body, len);
	answer_bytes(req, status, content_type, copy, len);
}

void reply_text(struct request *req, int status, const char *content_type, const char *body)
{
	answer_bytes(req, status, content_type, xstrdup(body), strlen(body));
}

/* A dozen headers, each with its allocations, are half of what a small answer costs. */
static struct MHD_Response *constant_response(struct request *req, const struct constant_reply *what)
{
	struct http_server *s = req->server;
	struct MHD_Response *r;
	size_t i = 0;

	while (i < sizeof(s->constant) / sizeof(s->constant[0]) && s->constant[i].key && s->constant[i].key != what)
		i++;
	if (i == sizeof(s->constant) / sizeof(s->constant[0]))
		return NULL;
	if (s->constant[i].key)
		return s->constant[i].response;
	r = MHD_create_response_from_buffer(strlen(what->body), (void *)what->body, MHD_RESPMEM_PERSISTENT);
	MHD_add_response_header(r, "Content-Type", what->content_type);
	req->response = r;
	add_headers(req);
	for (const char *const *h = what->headers; *h; h += 2)
		MHD_add_response_header(r, h[0], h[1]);
	s->constant[i].key = what;
	s->constant[i].response = r;
	return r;
}

void reply_constant(struct request *req, const struct constant_reply *what)
{
	req->response = constant_response(req, what);
	if (!req->response)
		abort(); /* more kinds than the server has room for: a bug of ours */
	req->is_response_shared = true;
	req->is_answered = req->may_send = true;
	req->status = what->status;
	if (req->is_complete)
		request_maybe_free(req);
	else
		request_resume(req);
}

void replies_free_constant(struct http_server *s)
{
	for (size_t i = 0; i < sizeof(s->constant) / sizeof(s->constant[0]) && s->constant[i].key; i++)
		MHD_destroy_response(s->constant[i].response);
}

void reply_message(struct request *req, int status, const char *message)
{
	json_t *body = json_object();
	json_t *text = json_string(message);

	json_object_set_new(body, "message", text ? text : json_string("invalid text in an error"));
	reply_json(req, status, body);
}

void reply_error(struct request *req, const struct error *err)
{
	int status = error_http_status(err->cls);

	if (status == 304)
		reply_empty(req, status);
	else
		reply_message(req, status, err->message);
}

static struct stream *begin_stream(struct request *req, int status, const char *content_type, bool is_held)
{
	struct reply_stream *rs = reply_stream_new(req);

	req->stream = rs;
	if (is_held)
		reply_stream_hold(rs, &req->server->config.gate);
	reply_header(req, "Content-Type", content_type);
	answer(req, status, reply_stream_response(rs)); /* may be the end of the request */
	return reply_stream_base(rs);
}

struct stream *reply_stream(struct request *req, int status, const char *content_type)
{
	return begin_stream(req, status, content_type, false);
}

struct stream *reply_progress(struct request *req)
{
	return begin_stream(req, 200, "application/json", true);
}

/* False: the client has gone, and has been told of. */
static bool begin_hijack(struct request *req, void (*ready)(void *arg, struct stream *s), void *arg)
{
	req->hijack_ready = ready;
	req->hijack_arg = arg;
	if (!req->is_gone && !req->is_complete)
		return true;
	req->is_answered = req->is_cut = true;
	req->hijack_ready = NULL;
	ready(arg, NULL);
	request_resume(req);
	request_maybe_free(req);
	return false;
}

void reply_raw(struct request *req, void (*ready)(void *arg, struct stream *s), void *arg)
{
	if (begin_hijack(req, ready, arg))
		answer(req, 200, NULL);
}

void reply_hijack(struct request *req, const char *content_type, void (*ready)(void *arg, struct stream *s), void *arg)
{
	if (!begin_hijack(req, ready, arg))
		return;
	reply_header(req, "Content-Type", content_type);
	if (!request_header(req, "Upgrade") || req->is_1_0) { /* docker before 1.10, and curl */
		answer(req, 200, NULL);
		return;
	}
	reply_header(req, "Upgrade", "tcp");
	answer(req, 101, hijack_response(req));
}
