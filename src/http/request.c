/* A request: what came, and the handler's questions about it. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/head.h"
#include "http/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct request *request_new(struct http_server *s, const char *target)
{
	struct request *req = xnew(struct request);

	req->server = s;
	req->target = xstrdup(target);
	req->version = API_VERSION_MAX;
	buf_init(&req->body, s->config.limits.max_json_bytes);
	list_append(&s->requests, &req->link);
	return req;
}

static void add_query(struct request *req, const char *text, size_t n)
{
	const char *eq = memchr(text, '=', n);
	size_t nk = eq ? (size_t)(eq - text) : n;

	if (n == 0 || req->nqueries >= HEAD_QUERIES_MAX)
		return;
	req->queries = xrealloc(req->queries, (req->nqueries + 1) * sizeof(*req->queries));
	req->queries[req->nqueries].key = http_decode(text, nk, true);
	req->queries[req->nqueries].value = eq ? http_decode(eq + 1, n - nk - 1, true) : xstrdup("");
	req->nqueries++;
}

/* A number of a version, cut to what there can be. */
static int number_of(const char **p)
{
	int n = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
		n = n < 999 ? 10 * n + **p - '0' : n;
	*p += **p == '.';
	return n > 999 ? 999 : n;
}

/* "/v1.43" before another slash, any digits and dots as in moby: "1" is 1.0, "1.55.1" above 1.55. The
 * length, 0 when there is none. */
static size_t parse_version(const char *p, int *ret)
{
	size_t n = strncmp(p, "/v", 2) == 0 ? strspn(p + 2, "0123456789.") : 0;
	const char *at = p + 2;
	int major, minor;

	if (n == 0 || p[2 + n] != '/')
		return 0;
	major = number_of(&at);
	minor = number_of(&at);
	*ret = API_VERSION(major, minor);
	while (at < p + 2 + n)
		if (number_of(&at) > 0 && *ret == API_VERSION_MAX)
			*ret = API_VERSION_MAX + 1;
	return 2 + n;
}

/* "/v1.43/containers/json?all=1": version, path and query; "http://host" before it says nothing. */
void request_parse_target(struct request *req)
{
	const char *p = req->target, *query;
	size_t n;

	if (strncasecmp(p, "http://", 7) == 0)
		p += 7 + strcspn(p + 7, "/?");
	n = parse_version(p, &req->version);
	if (n > 0)
		req->version_said = xstrndup(p + 2, n - 2);
	p += n;
	query = strchr(p, '?');
	n = query ? (size_t)(query - p) : strlen(p);
	req->path = xstrndup(p, n);
	while (query) {
		query++;
		n = strcspn(query, "&");
		add_query(req, query, n);
		query = query[n] == '&' ? query + n : NULL;
	}
}

void request_forget_headers(struct request *req)
{
	while (req->nheaders > 0) {
		free(req->headers[--req->nheaders].name);
		free(req->headers[req->nheaders].value);
	}
}

void request_maybe_free(struct request *req)
{
	if (!req->is_complete || req->is_ending || (req->was_called && !req->is_answered) || req->is_waiting_for_gate)
		return;
	if (req->stream) /* the client had gone before it began */
		reply_stream_closed(req->stream);
	list_remove(&req->link);
	for (size_t i = 0; i < req->nqueries; i++) {
		free(req->queries[i].key);
		free(req->queries[i].value);
	}
	request_forget_headers(req);
	if (req->response && !req->is_response_shared)
		MHD_destroy_response(req->response);
	route_match_done(&req->match);
	json_decref(req->json);
	buf_done(&req->body);
	free(req->queries);
	free(req->target);
	free(req->version_said);
	free(req->method);
	free(req->path);
	free(req);
}

void request_resume(struct request *req)
{
	if (!req->is_suspended || req->is_complete)
		return;
	req->is_suspended = false;
	if (req->connection)
		connection_favour(req->connection);
	MHD_resume_connection(req->mhd);
	if (req->connection)
		connection_goes_on(req->connection);
	server_kick(req->server);
}

void request_set_gone(struct request *req)
{
	void (*gone)(void *arg) = req->gone;

	if (req->is_gone)
		return;
	req->is_gone = true;
	req->gone = NULL;
	if (gone && !req->is_answered)
		gone(req->gone_arg);
	if (req->on_end && !req->is_body_done) {
		req->is_body_done = true;
		req->on_end(req->body_arg, -EPIPE);
	}
}

const struct route *request_route(const struct request *req)
{
	return req->match.route;
}
const char *request_method(const struct request *req)
{
	return req->method;
}
const char *request_path(const struct request *req)
{
	return req->path;
}
/* Programs that take the newest version that is offered, and read what an older one has. */
static const struct {
	const char *agent; /* how their User-Agent begins */
	int version;
} old_readers[] = {
	/* An image without ContainerConfig (1.45) or an event without id (1.52) ends it with a KeyError. */
	{ "docker-compose/1.", API_VERSION(1, 44) },
};

int request_api_version(const struct request *req)
{
	const char *agent = req->version > API_VERSION(1, 44) ? request_header(req, "User-Agent") : NULL;

	for (size_t i = 0; agent && i < ARRAY_SIZE(old_readers); i++)
		if (strncmp(agent, old_readers[i].agent, strlen(old_readers[i].agent)) == 0)
			return old_readers[i].version;
	return req->version;
}
void *request_context(const struct request *req)
{
	return req->server->config.context;
}
void *request_override_arg(const struct request *req)
{
	return req->match.arg;
}
json_t *request_json(const struct request *req)
{
	return req->json;
}

const char *request_body_text(const struct request *req, size_t *ret_len)
{
	*ret_len = req->body.len;
	return req->body.len ? req->body.data : NULL;
}

const char *request_param(const struct request *req, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < req->match.nparams; i++) {
		const char *key = req->match.names[i];

		if (strncmp(key, name, n) == 0 && (key[n] == '}' || key[n] == '.'))
			return req->match.values[i];
	}
	return "";
}

size_t request_query_count(const struct request *req, const char *key)
{
	size_t count = 0;

	for (size_t i = 0; i < req->nqueries; i++)
		count += strcmp(req->queries[i].key, key) == 0;
	return count;
}

const char *request_query_nth(const struct request *req, const char *key, size_t n)
{
	for (size_t i = 0; i < req->nqueries; i++)
		if (strcmp(req->queries[i].key, key) == 0 && n-- == 0)
			return req->queries[i].value;
	return NULL;
}

const char *request_query(const struct request *req, const char *key)
{
	return request_query_nth(req, key, 0);
}

bool request_query_bool(const struct request *req, const char *key)
{
	return request_query_bool_default(req, key, false);
}

bool request_query_bool_default(const struct request *req, const char *key, bool value)
{
	static const char *const negative[] = { "", "0", "no", "false", "none" };
	const char *text = request_query(req, key);

	if (!text)
		return value;
	for (size_t i = 0; i < sizeof(negative) / sizeof(negative[0]); i++)
		if (strcasecmp(text, negative[i]) == 0)
			return false;
	return true;
}

int request_query_int(const struct request *req, const char *key, int64_t value, int64_t *ret, struct error *err)
{
	const char *text = request_query(req, key);
	char *end;

	if (!text || !*text) {
		*ret = value;
		return 0;
	}
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (*end || errno || isspace((unsigned char)*text))
		return error_set_class(err, ERROR_INVALID, "strconv.Atoi: parsing \"%.100s\": %s", text,
				       errno ? "value out of range" : "invalid syntax");
	return 0;
}

const char *request_header(const struct request *req, const char *name)
{
	return req->is_complete ? NULL : MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

void request_body_start(struct request *req, void (*on_data)(void *arg, const void *data, size_t len),
			void (*on_end)(void *arg, int result), void *arg)
{
	req->on_data = on_data;
	req->on_end = on_end;
	req->body_arg = arg;
}

void request_body_pause(struct request *req)
{
	req->is_body_paused = true;
}

void request_body_resume(struct request *req)
{
	req->is_body_paused = false;
	request_resume(req);
}

void request_on_gone(struct request *req, void (*gone)(void *arg), void *arg)
{
	req->gone = gone;
	req->gone_arg = arg;
}
