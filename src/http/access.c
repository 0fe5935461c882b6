/* microhttpd's callbacks: a request's head, its body, its end. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/head.h"
#include "http/internal.h"
#include "http/json_fault.h"
#include "util/alloc.h"

/* What a client may still send before an answer that is there already goes past it. */
enum { EARLY_BYTES = 64 << 10, EARLY_MS = 1000 };

#define CUT_BYTES ((uint64_t)1 << 30) /* discarded after that answer */

void *access_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct request *req = request_new(cls, uri);

	req->mhd = mhd;
	return req;
}

/* ---- the head ---- */

/* In moby's words, whose patterns have "{name:.*}" for what takes slashes. */
static void say_too_old(const struct route *route, char *text, size_t size)
{
	const char *dots = strstr(route->pattern, "...}");
	int n = dots ? (int)(dots - route->pattern) : (int)strlen(route->pattern);

	snprintf(text, size, "%s %.*s%s%s requires minimum API version %d.%d", route->method, n, route->pattern,
		 dots ? ":.*" : "", dots ? dots + 3 : "", route->min_version / 1000, route->min_version % 1000);
}

/* Clients of before 1.24 read errors as plain text. */
static void refuse_version(struct request *req, const char *text)
{
	char line[256];

	req->was_called = true;
	if (req->version >= API_VERSION(1, 24)) {
		reply_message(req, 400, text);
		return;
	}
	snprintf(line, sizeof(line), "%s\n", text);
	reply_header(req, "X-Content-Type-Options", "nosniff");
	reply_text(req, 400, "text/plain; charset=utf-8", line);
}

static bool check_version(struct request *req)
{
	const struct route *route = req->match.route;
	char text[200] = "";

	if (req->version < API_VERSION_MIN)
		snprintf(text, sizeof(text),
			 "client version %.20s is too old. Minimum supported API version is %s, please "
			 "upgrade your client to a newer version",
			 req->version_said, API_VERSION_MIN_TEXT);
	else if (req->version > API_VERSION_MAX)
		snprintf(text, sizeof(text), "client version %.20s is too new. Maximum supported API version is %s",
			 req->version_said, API_VERSION_MAX_TEXT);
	else if (route && req->version < route->min_version)
		say_too_old(route, text, sizeof(text));
	if (!*text)
		return true;
	refuse_version(req, text);
	return false;
}

static void call_handler(struct request *req)
{
	req->was_called = true;
	req->match.handler(req);
}

static enum MHD_Result take_field(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	head_take_field(cls, name, strlen(name), value ? value : "", value ? strlen(value) : 0);
	return MHD_YES;
}

/* The same rules as for a connection's first head, which has passed them. */
static struct head_verdict judge(struct request *req, const char *version)
{
	struct head_facts facts = { .is_1_0 = strcmp(version, "HTTP/1.0") == 0 };
	struct head_verdict v = head_check_target(req->target, strlen(req->target));
	const struct route *route = req->match.route;

	MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, take_field, &facts);
	req->is_1_0 = facts.is_1_0;
	req->has_body = facts.is_chunked || facts.length > 0;
	req->expects_continue = facts.expects_continue && !facts.is_1_0;
	if (facts.length > EARLY_BYTES)
		req->discarded = EARLY_BYTES; /* no use in waiting for the end of it */
	if (!v.status)
		v = head_judge(&facts);
	if (!v.status && route && !(route->flags & ROUTE_BODY_STREAM) && facts.length > req->server->config.limits.max_json_bytes)
		v = (struct head_verdict){ 413, "request body too large" };
	return v;
}

/* Answered by hand, before the body: the connection ends with it. */
static enum MHD_Result leave(struct request *req)
{
	req->connection->state = CONNECTION_AWAY;
	refuse_linger(req->server, fcntl(req->connection->fd, F_DUPFD_CLOEXEC, 3));
	return MHD_NO;
}

/* The head is complete: find the handler. */
static enum MHD_Result begin(struct request *req, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(req->mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct head_verdict bad;
	bool is_found;

	req->connection = info->socket_context;
	connection_request_begins(req->connection, req);
	req->server->counters.requests++;
	req->method = xstrdup(method);
	request_parse_target(req);
	is_found = router_match(req->server->config.router, method, req->path, &req->match) && req->match.handler;
	bad = judge(req, version);
	if (bad.status) {
		refuse_send(req->server, req->connection->fd, bad.status, bad.message);
		return leave(req);
	}
	if (check_version(req) && !is_found) {
		req->was_called = true;
		reply_message(req, 404, "page not found");
	}
	if (!req->was_called && (req->match.route->flags & ROUTE_BODY_STREAM))
		call_handler(req);
	if (req->expects_continue && req->has_body && req->text && req->may_send) { /* instead of "100 Continue" */
		if (!req->is_cut)
			refuse_send_reply(req);
		return leave(req);
	}
	return MHD_YES;
}

/* ---- the body ---- */

static bool is_json_type(const char *type)
{
	size_t n = strcspn(type, "; \t");

	return n == 16 && strncasecmp(type, "application/json", n) == 0;
}

static int parse_json(struct request *req, struct error *err)
{
	const char *type = request_header(req, "Content-Type");
	char fault[JSON_FAULT_MAX];
	json_error_t at;

	if (!is_json_type(type ? type : ""))
		return error_set_class(err, ERROR_INVALID,
				       type && *type ? "unsupported Content-Type header (%.100s): must be 'application/json'" :
						       "malformed Content-Type header (%.100s): mime: no media type",
				       type ? type : "");
	req->json = json_loadb(req->body.data, req->body.len, JSON_DISABLE_EOF_CHECK, &at);
	if (!req->json) /* jansson refuses some that Go takes, and has words of its own for them */
		return error_set_class(err, ERROR_INVALID, "invalid JSON: %s",
				       json_fault(req->body.data, req->body.len, fault) ? fault : at.text);
	if (!json_is_object(req->json))
		return error_set_class(err, ERROR_INVALID, "invalid JSON: not an object");
	for (size_t i = (size_t)at.position; i < req->body.len; i++)
		if (!strchr(" \t\r\n", req->body.data[i]) || !req->body.data[i])
			return error_set_class(err, ERROR_INVALID, "unexpected content after JSON");
	return 0;
}

/* Docker's decoder wants one object and its content type. */
static void finish_json(struct request *req)
{
	struct error err = { 0 };

	if (req->body.len && (req->match.route->flags & ROUTE_BODY_JSON) && parse_json(req, &err) < 0) {
		req->was_called = true;
		reply_error(req, &err);
		return;
	}
	call_handler(req);
}

void access_answered_early(struct request *req, bool is_now)
{
	struct connection *c = req->connection;

	if (req->is_cut)
		return;
	if (!is_now && req->discarded < EARLY_BYTES) {
		timed_start(req->server, &c->timed, EARLY_MS);
		return;
	}
	req->is_cut = true;
	req->discarded = 0;
	refuse_send_reply(req);
	shutdown(c->fd, SHUT_WR);
	timed_start(req->server, &c->timed, req->server->config.limits.head_timeout_ms);
}

/* Part of the body; what is not taken is offered again. */
static enum MHD_Result take_body(struct request *req, const char *data, size_t *len)
{
	if (req->on_data && !req->is_answered) {
		if (req->is_body_paused) {
			req->is_suspended = true;
			MHD_suspend_connection(req->mhd);
			return MHD_YES;
		}
		req->on_data(req->body_arg, data, *len);
	} else if (!req->is_answered) {
		if (!req->was_called && buf_append(&req->body, data, *len) < 0) {
			req->was_called = true;
			reply_message(req, 413, "request body too large");
		}
	} else {
		req->discarded += *len;
		if (req->is_cut && req->discarded > CUT_BYTES)
			return MHD_NO;
		if (req->text && req->may_send && req->discarded > EARLY_BYTES)
			access_answered_early(req, true);
	}
	*len = 0;
	return MHD_YES;
}

static void end_body(struct request *req)
{
	if (req->is_body_done)
		return;
	req->is_body_done = true;
	timed_stop(&req->connection->timed);
	if (!req->was_called)
		finish_json(req);
	else if (req->on_end)
		req->on_end(req->body_arg, 0);
}

enum MHD_Result access_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
			      const char *version, const char *data, size_t *len, void **con_cls)
{
	struct request *req = *con_cls;

	(void)cls, (void)mhd, (void)url;
	if (req->server->is_stopping && !(req->is_answered && req->may_send)) /* microhttpd aborts if anything waits when it is stopped */
		return MHD_NO;
	if (!req->was_seen) { /* answering now would cost the connection */
		req->was_seen = true;
		return begin(req, method, version);
	}
	if (req->is_gone && !req->is_answered)
		return MHD_NO;
	if (*len > 0)
		return take_body(req, data, len);
	end_body(req);
	if (req->is_cut || (req->is_gone && !req->is_answered))
		return MHD_NO;
	if (req->is_answered && req->may_send)
		return reply_queue(req);
	req->is_suspended = true;
	MHD_suspend_connection(req->mhd);
	return MHD_YES;
}

void access_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct request *req = *con_cls;

	(void)cls, (void)mhd, (void)why;
	if (!req)
		return;
	*con_cls = NULL;
	if (req->connection)
		connection_request_ends(req->connection);
	req->is_complete = req->is_ending = true; /* what is told now may answer, which would free it */
	request_set_gone(req);
	if (req->hijack_ready && req->is_answered) {
		req->hijack_ready(req->hijack_arg, NULL);
		req->hijack_ready = NULL;
	}
	if (req->stream)
		reply_stream_closed(req->stream);
	req->stream = NULL;
	req->is_ending = false;
	request_maybe_free(req);
}
