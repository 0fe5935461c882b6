/* What a registry knows: a name's descriptor and platforms (distribution inspect), its tags, a login, a search. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fetch/events.h"
#include "fetch/http_errors.h"
#include "fetch/ops.h"
#include "fetch/resolve.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/tag.h"

#define TAGS_MAX 10000
#define TAGS_BODY_MAX (8u << 20)
#define CONFIG_MAX (32u << 20)

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static json_t *body_json(const struct http_response *r)
{
	return json_loadb(r->body.data ? r->body.data : "", r->body.len, 0, NULL);
}

/* ---- distribution inspect ---- */

/* Only a Docker config is asked for its platform, as in Docker. */
static json_t *platform_of_config(struct run *run, struct endpoint *e, const struct manifest *m)
{
	static const char *const keys[] = { "architecture", "os", "os.version", "os.features", "variant" };
	CLEANUP(freep)
	char *url = endpoint_url(e, "blobs/%s", m->config.digest),
	     *scope = xasprintf("repository:%s:pull", run->session->name.path);
	struct http_request req = { .method = "GET", .url = url, .body_max = CONFIG_MAX, .timeout_s = 120 };
	struct http_response response = { 0 };
	json_t *list = json_array(), *config = NULL, *p = json_object(), *v;

	if (endpoint_call(e, run->http, &req, scope, &response, NULL) == 0 && response.status == 200)
		config = body_json(&response);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if ((v = json_object_get(config, keys[i])) && (!json_is_string(v) || json_string_length(v) || i < 2))
			json_object_set(p, keys[i], v);
	if (*text_of(config, "os") || *text_of(config, "architecture"))
		json_array_append(list, p);
	json_decref(p);
	json_decref(config);
	http_response_done(&response);
	return list;
}

static int inspect(struct run *run, struct endpoint **e, void *arg, struct error *err)
{
	struct manifest top = { 0 };
	struct descriptor is;
	json_t *platforms;
	int r = resolve_top(run->session, *e, run->http, "", &top, &is, err);

	(void)arg;
	if (r < 0)
		return r;
	if (top.kind == MANIFEST_SCHEMA1) {
		manifest_done(&top);
		return error_set_class(err, ERROR_INVALID,
				       "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of %s to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/",
				       run->session->name.familiar);
	}
	platforms = top.kind == MANIFEST_INDEX ? manifest_platforms(&top) : platform_of_config(run, *e, &top);
	event_result(json_pack("{s:{s:s, s:s, s:I}, s:o}", "descriptor", "mediaType", is.media_type, "digest",
			       is.digest, "size", (json_int_t)is.size, "platforms", platforms));
	manifest_done(&top);
	return 0;
}

int op_inspect(struct run *run, struct error *err)
{
	if (!run->session->has_name)
		return error_set_class(err, ERROR_INVALID, "a name is needed");
	return run_endpoints(run, true, inspect, NULL, err);
}

/* ---- tags ---- */

/* "<url>; rel=\"next\"" → that URL; NULL: there is no next page. */
static char *next_page(const struct http_response *r, const char *url)
{
	const char *link = http_header(r, "Link"), *end = link ? strchr(link, '>') : NULL;
	CLEANUP(freep)
	char *where = link && *link == '<' && end && strstr(end, "next") ? xstrndup(link + 1, (size_t)(end - link - 1)) : NULL;
	char *next = where ? http_resolve(url, where) : NULL;

	if (next && !http_is_same_origin(next, url)) {
		free(next);
		next = NULL;
	}
	return next;
}

static int add_tags(const struct http_response *r, json_t *all, struct error *err)
{
	json_t *root = body_json(r), *tags = json_object_get(root, "tags"), *v;
	size_t i;
	int result = 0;

	if (!json_is_object(root))
		result = error_set(err, -EPROTO, "the list of tags is not JSON");
	json_array_foreach(tags, i, v)
		if (json_is_string(v) && tag_is_valid(json_string_value(v)) && json_array_size(all) < TAGS_MAX)
			json_array_append(all, v);
	json_decref(root);
	return result;
}

static int list_tags(struct run *run, struct endpoint **e, void *arg, struct error *err)
{
	CLEANUP(freep)
	char *url = endpoint_url(*e, "tags/list"), *scope = xasprintf("repository:%s:pull", run->session->name.path);
	json_t *all = json_array();
	int r = 0;

	(void)arg;
	while (url && r == 0 && json_array_size(all) < TAGS_MAX) {
		struct http_request req = { .method = "GET", .url = url, .body_max = TAGS_BODY_MAX, .timeout_s = 120 };
		struct http_response response;
		char *next = NULL;

		r = endpoint_call(*e, run->http, &req, scope, &response, err);
		if (r == 0)
			r = response.status == 200 ? add_tags(&response, all, err) :
						     resolve_refusal(run->session, &response, err);
		if (r == 0)
			next = next_page(&response, url);
		http_response_done(&response);
		free(url);
		url = next;
	}
	if (r < 0)
		json_decref(all);
	else
		event_result(json_pack("{s:o}", "tags", all));
	return r;
}

int op_tags(struct run *run, struct error *err)
{
	if (!run->session->has_name)
		return error_set_class(err, ERROR_INVALID, "a name is needed");
	return run_endpoints(run, true, list_tags, NULL, err);
}

/* ---- login: request "server" ---- */

static int login_at(struct run *run, const struct endpoint_address *at, bool *ret_is_silent, struct error *err)
{
	CLEANUP(freep) char *url = xasprintf("%s/v2/", at->base);
	struct http_request req = { .method = "GET", .url = url, .body_max = 64u << 10, .timeout_s = 15 };
	struct http_response response;
	enum http_failure failure;
	struct endpoint *e;
	int r = endpoint_open(run->session, run->http, at, &e, ret_is_silent, err);

	if (r < 0)
		return r;
	endpoint_ask_identity_token(e);
	r = endpoint_send(e, run->http, &req, "", &response, &failure, err);
	if (r == 0 && response.status != 200)
		r = error_set_class(err, response.status == 401 ? ERROR_UNAUTHORIZED : ERROR_INTERNAL,
				    "login attempt to %s failed with status: %d %s", url, response.status, response.reason);
	if (r == 0)
		event_result(json_pack("{s:s}", "identitytoken", endpoint_identity_token(e)));
	http_response_done(&response);
	endpoint_free(e);
	return r;
}

/* "https://index.docker.io/v1/" → "index.docker.io" */
static void host_of_server(const char *server, char host[256])
{
	const char *rest = strstr(server, "://");

	rest = rest ? rest + 3 : server;
	snprintf(host, 256, "%.*s", (int)strcspn(rest, "/"), rest);
}

int op_login(struct run *run, struct error *err)
{
	struct session s = *run->session;
	struct run own = { .session = &s, .http = run->http, .input = run->input };
	struct endpoint_address *list;
	bool is_unreachable = true;
	int r = -EIO;
	size_t n;

	host_of_server(*session_text(&s, "server") ? session_text(&s, "server") : "index.docker.io", s.name.domain);
	n = endpoint_addresses(&s, false, &list);
	for (size_t i = 0; i < n; i++) {
		bool is_silent = false;

		error_clear(err);
		r = login_at(&own, &list[i], &is_silent, err);
		is_unreachable = is_unreachable && is_silent;
		if (r == 0 || err->cls == ERROR_UNAUTHORIZED)
			break;
	}
	endpoint_addresses_free(list, n);
	run->is_unreachable = r < 0 && is_unreachable;
	return r;
}

/* ---- search: request "term", "limit" ---- */

static int search_at(struct run *run, const char *base, const char *domain, const char *term, int limit,
		     bool is_insecure, bool *ret_is_silent, struct error *err)
{
	struct endpoint_address at = { .base = (char *)base, .domain = (char *)domain, .is_insecure = is_insecure };
	struct buf b;
	struct http_request req = { .method = "GET", .body_max = 4u << 20, .timeout_s = 60 };
	struct http_response response = { 0 };
	enum http_failure failure;
	struct endpoint *e = NULL;
	json_t *root = NULL;
	int r = endpoint_open(run->session, run->http, &at, &e, ret_is_silent, err);

	if (r < 0)
		return r;
	buf_init(&b, 8192);
	buf_printf(&b, "%s/v1/search?n=%d&q=", base, limit);
	for (const unsigned char *p = (const unsigned char *)term; *p; p++)
		buf_printf(&b,
			   strchr("-_.", *p) || (*p < 128 && ((*p | 32) >= 'a' || (*p >= '0' && *p <= '9')) &&
						 *p != 127 && !strchr("[\\]^`{|}~@", *p)) ?
				   "%c" :
				   "%%%02X",
			   *p);
	req.url = b.data;
	r = endpoint_send(e, run->http, &req, "registry:catalog:search", &response, &failure, err);
	if (r == 0 && response.status != 200)
		r = error_set(err, -EIO, "unexpected status code %d", response.status);
	if (r == 0 && !(root = body_json(&response)))
		r = error_set(err, -EPROTO, "error decoding registry search results: it is not JSON");
	if (r == 0) {
		json_t *results = json_object_get(root, "results");

		event_result(json_pack("{s:o}", "results", json_is_array(results) ? json_incref(results) : json_array()));
	}
	json_decref(root);
	http_response_done(&response);
	buf_done(&b);
	endpoint_free(e);
	return r;
}

int op_search(struct run *run, struct error *err)
{
	const char *term = session_text(run->session, "term"), *slash = strchr(term, '/');
	int limit = (int)json_integer_value(json_object_get(run->session->root, "limit"));
	CLEANUP(freep) char *domain = NULL, *secure = NULL, *plain = NULL;
	size_t n = slash ? (size_t)(slash - term) : 0;
	bool is_silent = false, is_insecure;
	int r;

	if (strstr(term, "://"))
		return error_set_class(err, ERROR_INVALID,
				       "invalid repository name: repository name (%.300s) should not have a scheme", term);
	if (limit == 0)
		limit = 25;
	if (limit < 1 || limit > 100)
		return error_set_class(err, ERROR_INVALID, "limit %d is outside the range of [1, 100]", limit);
	if (!slash || (!memchr(term, '.', n) && !memchr(term, ':', n) && !(n == 9 && memcmp(term, "localhost", 9) == 0)))
		return search_at(run, "https://index.docker.io", "index.docker.io",
				 strncmp(term, "library/", 8) == 0 ? term + 8 : term, limit, false, &run->is_unreachable, err);
	domain = xstrndup(term, n);
	secure = xasprintf("https://%s", domain);
	plain = xasprintf("http://%s", domain);
	is_insecure = session_is_insecure(run->session, domain);
	r = search_at(run, secure, domain, slash + 1, limit, is_insecure, &is_silent, err);
	if (r < 0 && is_insecure && is_silent) {
		error_clear(err);
		r = search_at(run, plain, domain, slash + 1, limit, true, &is_silent, err);
	}
	run->is_unreachable = r < 0 && is_silent;
	return r;
}
