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
}

enum MHD_Result reply_queue(struct request *req)
{
	if (req->response)
		return MHD_queue_response(req->mhd, (unsigned)req->status, req->response);
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

static void on_gate(void *arg)
{
	struct request *req = arg;

	req->is_waiting_for_gate = false;
	req->may_send = true;
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
	struct MHD_Response *r = MHD_create_response_from_buffer(len, take_text, MHD_RESPMEM_MUST_FREE);

	if (content_type)
		reply_header(req, "Content-Type", content_type);
	req->text = take_text;
	req->text_len = len;
	answer(req, status, r);
}

void reply_json(struct request *req, int status, json_t *take_body)
{
	char *text = json_dumps(take_body, JSON_COMPACT | JSON_ENCODE_ANY);
	size_t n = strlen(text);

	json_decref(take_body);
	text = xrealloc(text, n + 2);
	memcpy(text + n, "\n", 2);
	answer_bytes(req, status, "application/json", text, n + 1);
}

void reply_empty(struct request *req, int status)
{
	answer_bytes(req, status, NULL, xstrdup(""), 0);
}

void reply_text(struct request *req, int status, const char *content_type, const char *body)
{
	answer_bytes(req, status, content_type, xstrdup(body), strlen(body));
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

struct stream *reply_stream(struct request *req, int status, const char *content_type)
{
	req->stream = reply_stream_new(req);
	reply_header(req, "Content-Type", content_type);
	struct stream *s = reply_stream_base(req->stream);

	answer(req, status, reply_stream_response(req->stream));
	return s;
}

void reply_hijack(struct request *req, const char *content_type, void (*ready)(void *arg, struct stream *s), void *arg)
{
	req->hijack_ready = ready;
	req->hijack_arg = arg;
	if (req->is_gone || req->is_complete) {
		req->is_answered = req->is_cut = true;
		req->hijack_ready = NULL;
		ready(arg, NULL);
		request_resume(req);
		request_maybe_free(req);
		return;
	}
	reply_header(req, "Content-Type", content_type);
	if (!request_header(req, "Upgrade") || req->is_1_0) { /* docker before 1.10, and curl */
		answer(req, 200, NULL);
		return;
	}
	reply_header(req, "Upgrade", "tcp");
	answer(req, 101, hijack_response(req));
}
