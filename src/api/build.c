/* POST /build: the query becomes options, the body the context, and the
 * builder's messages the reply. What fails before the first message has a status. */
#include "build/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/transfer.h"
#include "api/versions.h"
#include "build/caches.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct building {
	struct request *req;     /* NULL: it is answered */
	struct build *build;
	struct stream *stream;   /* NULL: no message yet, or the client has gone */
	bool has_stream, has_ended, is_quiet;
	char *pending;           /* of a quiet build: nothing but its end */
};

/* ---- the query ---- */

static int read_json(struct request *req, const char *key, bool is_list, const char *what, json_t **ret, struct error *err)
{
	const char *text = request_query(req, key);
	json_error_t why;
	json_t *v;

	*ret = NULL;
	if (!text || !*text)
		return 0;
	v = json_loads(text, JSON_DECODE_ANY, &why);
	if (v && (json_is_null(v) || (is_list ? json_is_array(v) : json_is_object(v)))) {
		*ret = v;
		return 0;
	}
	json_decref(v);
	return error_set_class(err, ERROR_INVALID, "%s: %.200s", what,
			       v ? "json: cannot unmarshal into the expected type" : why.text);
}

/* Values are strings; of build arguments they may be null. */
static int check_strings(json_t *o, bool takes_null, const char *what, struct error *err)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach(o, key, v)
		if (!json_is_string(v) && !(takes_null && json_is_null(v)))
			return error_set_class(err, ERROR_INVALID,
					       "%s: json: cannot unmarshal %s into Go value of type string", what,
					       json_is_integer(v) ? "number" :
					       json_is_boolean(v) ? "bool" :
								    "value");
	json_array_foreach(o, i, v)
		if (!json_is_string(v))
			return error_set_class(err, ERROR_INVALID,
					       "%s: json: cannot unmarshal into Go value of type string", what);
	return 0;
}

static int read_all_json(struct request *req, struct build_options *o, struct error *err)
{
	int r = read_json(req, "buildargs", false, "error reading build args", &o->args, err);

	if (r == 0)
		r = check_strings(o->args, true, "error reading build args", err);
	if (r == 0)
		r = read_json(req, "labels", false, "error reading labels", &o->labels, err);
	if (r == 0)
		r = check_strings(o->labels, false, "error reading labels", err);
	if (r == 0)
		r = read_json(req, "cachefrom", true, "error reading cache-from", &o->cache_from, err);
	if (r == 0)
		r = check_strings(o->cache_from, false, "error reading cache-from", err);
	return r < 0 ? r : read_json(req, "ulimits", true, "error reading ulimit settings", &o->ulimits, err);
}

static json_t *words_of(struct request *req, const char *key)
{
	size_t n = request_query_count(req, key);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(request_query_nth(req, key, i)));
	return list;
}

/* Docker's Int64ValueOrZero. */
static int64_t number_or_zero(struct request *req, const char *key)
{
	int64_t v;

	return request_query_int(req, key, 0, &v, NULL) < 0 ? 0 : v;
}

static int check_version(struct request *req, struct error *err)
{
	const char *v = request_query(req, "version");

	if (!v || !*v || strcmp(v, "1") == 0)
		return 0;
	if (strcmp(v, "2") == 0)
		return error_set_class(err, ERROR_INVALID,
				       "this engine has no BuildKit: set DOCKER_BUILDKIT=0 to build with its own builder");
	return error_set_class(err, ERROR_INVALID, "invalid version \"%.100s\"", v);
}

static int read_options(struct request *req, struct build_options *o, struct error *err)
{
	const char *shm = request_query(req, "shmsize");

	*o = (struct build_options){
		.dockerfile = request_query(req, "dockerfile"),
		.remote = request_query(req, "remote"),
		.target = request_query(req, "target"),
		.platform = versions_query(req, "platform"),
		.network_mode = request_query(req, "networkmode"),
		.id = request_query(req, "buildid"),
		.is_quiet = request_query_bool(req, "q"),
		.no_cache = request_query_bool(req, "nocache"),
		.pulls = request_query_bool(req, "pull"),
		.force_removes = request_query_bool(req, "forcerm"),
		.squashes = request_query_bool(req, "squash"),
		.memory = number_or_zero(req, "memory"),
		.memory_swap = number_or_zero(req, "memswap"),
		.cpu_shares = number_or_zero(req, "cpushares"),
		.cpu_period = number_or_zero(req, "cpuperiod"),
		.cpu_quota = number_or_zero(req, "cpuquota"),
		.cpuset_cpus = request_query(req, "cpusetcpus"),
		.cpuset_mems = request_query(req, "cpusetmems"),
		.cgroup_parent = request_query(req, "cgroupparent"),
	};
	o->removes = o->force_removes || request_query_bool_default(req, "rm", true);
	o->tags = words_of(req, "t");
	o->extra_hosts = words_of(req, "extrahosts");
	o->auths = api_registry_config(req);
	if (request_query_count(req, "securityopt"))
		return error_set_class(err, ERROR_INVALID, "security options are not supported on linux");
	if (shm && *shm && request_query_int(req, "shmsize", 0, &o->shm_size, err) < 0)
		return err->code;
	if (read_all_json(req, o, err) < 0)
		return err->code;
	return check_version(req, err);
}

static void options_done(struct build_options *o)
{
	json_decref(o->tags);
	json_decref(o->extra_hosts);
	json_decref(o->args);
	json_decref(o->labels);
	json_decref(o->cache_from);
	json_decref(o->ulimits);
	json_decref(o->auths);
}

/* ---- the reply ---- */

static void free_when_over(struct building *w)
{
	if (!w->has_ended || w->stream)
		return;
	free(w);
}

static void on_drained(void *arg)
{
	struct building *w = arg;

	if (!w->has_ended)
		build_drained(w->build);
}

static void on_closed(void *arg)
{
	struct building *w = arg;

	w->stream = NULL;
	if (!w->has_ended) {
		build_cancel(w->build);
		build_drained(w->build);
	}
	free_when_over(w);
}

static const struct stream_events events = { .on_drain = on_drained, .on_close = on_closed };

static void begin_reply(struct building *w)
{
	if (w->has_stream)
		return;
	w->has_stream = true;
	w->stream = reply_stream(w->req, 200, "application/json");
	w->req = NULL;
	stream_set_events(w->stream, &events, w);
}

static void on_output(void *arg, const void *data, size_t len)
{
	struct building *w = arg;

	begin_reply(w);
	if (w->stream)
		stream_write(w->stream, data, len);
}

static size_t on_queued(void *arg)
{
	struct building *w = arg;

	return w->stream ? w->stream->ops->queued(w->stream) : 0;
}

static void say_id(struct building *w, const char *id)
{
	CLEANUP(freep) char *line = xasprintf("{\"stream\":\"%s\\n\"}\r\n", id);

	on_output(w, line, strlen(line));
}

static void on_done(void *arg, const struct build_result *r, const struct error *err)
{
	struct building *w = arg;

	if (err && !w->has_stream) {
		reply_error(w->req, err);
	} else if (err) {
		CLEANUP(freep) char *line = build_error_line(err, r->exit_code);

		on_output(w, line, strlen(line));
	} else if (w->is_quiet) {
		say_id(w, r->image_id);
	}
	w->has_ended = true;
	if (w->stream)
		stream_end(w->stream);
	free_when_over(w);
}

/* ---- the body ---- */

static void on_upload_drained(void *arg)
{
	struct building *w = arg;

	if (w->req)
		request_body_resume(w->req);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct building *w = arg;

	if (build_write(w->build, data, len) == 1)
		request_body_pause(w->req);
}

static void on_end(void *arg, int result)
{
	struct building *w = arg;

	build_end(w->build, result);
}

static void on_gone(void *arg)
{
	struct building *w = arg;

	build_cancel(w->build);
}

void ImageBuild(struct request *req)
{
	struct building *w = xnew(struct building);
	struct build_sink sink = { on_output, on_done, on_queued, on_upload_drained, w };
	struct build_options opt;
	struct error err = { 0 };

	w->req = req;
	if (read_options(req, &opt, &err) == 0) {
		opt.wants_aux = versions_has(FEATURE_BUILD_AUX, request_api_version(req));
		w->is_quiet = opt.is_quiet;
		w->build = build_start(api_engine(req), &opt, &sink, &err);
	}
	options_done(&opt);
	if (!w->build) {
		reply_error(req, &err);
		free(w);
		return;
	}
	request_on_gone(req, on_gone, w);
	request_body_start(req, on_data, on_end, w);
}

/* ---- prune: caches of RUN --mount; what steps have left are images ---- */

static int check_bytes(struct request *req, const char *key, struct error *err)
{
	const char *text = request_query(req, key);
	int64_t bytes;

	if (request_query_int(req, key, 0, &bytes, err) == 0)
		return 0;
	error_prefix(err, "%s is in bytes and expects an integer, got %.100s", key, text);
	return err->code;
}

static int check_cache_filters(struct request *req, json_t **ret, struct error *err)
{
	static const char *const known[] = { "unused-for", "until",       "label", "label!", "id",      "parent",
					     "type",       "description", "inuse", "shared", "private", NULL };
	json_t *filters = filters_parse(req, known, err);
	int64_t until;
	int r = 0;

	if (!filters)
		return err->code;
	if (filters_has(filters, "until") && filters_has(filters, "unused-for"))
		r = error_set_class(err, ERROR_INVALID, "conflicting filters: \"until\" and \"unused-for\"");
	else if (json_array_size(json_object_get(filters, "until")) > 1)
		r = error_set_class(err, ERROR_INVALID, "filters expect only one value");
	else if (!filters_until(filters, &until, err))
		r = error_set_class(err, ERROR_INVALID,
				    "\"until\" filter expects a duration (e.g., '24h') or a timestamp: failed to parse value as "
				    "time or duration: \"%.100s\"",
				    json_string_value(json_array_get(json_object_get(filters, "until"), 0)));
	if (r < 0)
		json_decref(filters);
	else
		*ret = filters;
	return r;
}

struct pruning {
	json_t *filters;
	int64_t until_ns;       /* 0: does not matter */
	uint64_t left, keep;    /* bytes: what there is, and what may stay */
};

/* One of several values; none is asked for: true. */
static bool is_one_of(json_t *filters, const char *key, const char *value)
{
	json_t *list = json_object_get(filters, key), *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (strncmp(json_string_value(v), value, strlen(json_string_value(v))) == 0)
			return true;
	return json_array_size(list) == 0;
}

static bool is_meant(void *arg, const struct cache_dir *c)
{
	struct pruning *p = arg;

	if (!is_one_of(p->filters, "id", c->name) || !is_one_of(p->filters, "type", "exec.cachemount") ||
	    !is_one_of(p->filters, "description", c->key) || json_object_get(p->filters, "parent") ||
	    json_object_get(p->filters, "inuse") || json_object_get(p->filters, "shared") ||
	    (p->until_ns && c->used_ns > p->until_ns) || (p->keep && p->left <= p->keep))
		return false;
	p->left -= c->bytes < p->left ? c->bytes : p->left;
	return true;
}

/* The numbers of the query; those that its version does not know are 0. */
static uint64_t bytes_of(struct request *req, const char *key)
{
	int64_t v = 0;

	return versions_knows(req, key) && request_query_int(req, key, 0, &v, NULL) == 0 && v > 0 ? (uint64_t)v : 0;
}

static void prune(struct request *req, json_t *filters)
{
	struct engine *e = api_engine(req);
	struct caches *cs = builds_caches(e);
	struct pruning p = { .filters = filters, .left = caches_bytes(cs) };
	uint64_t reserved = bytes_of(req, "reserved-space"), most = bytes_of(req, "max-used-space"), bytes;
	json_t *names;

	reserved = reserved ? reserved : bytes_of(req, "keep-storage");
	p.keep = most > reserved ? most : reserved;
	filters_until(filters, &p.until_ns, NULL);
	names = caches_prune(cs, is_meant, &p, &bytes);
	events_publish(e->events, "builder", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%llu", (unsigned long long)bytes)));
	if (json_array_size(names) == 0) {
		json_decref(names);
		names = json_null();
	}
	reply_json(req, 200, json_pack("{s:o, s:I}", "CachesDeleted", names, "SpaceReclaimed", (json_int_t)bytes));
}

void BuildPrune(struct request *req)
{
	static const char *const sizes[] = { "keep-storage", "reserved-space", "max-used-space", "min-free-space" };
	struct error err = { 0 };
	json_t *filters = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sizes); i++)
		if (versions_knows(req, sizes[i]))
			r = check_bytes(req, sizes[i], &err);
	if (r == 0)
		r = check_cache_filters(req, &filters, &err);
	if (r < 0) {
		reply_error(req, &err);
		return;
	}
	prune(req, filters);
	json_decref(filters);
}

void BuildCancel(struct request *req)
{
	const char *id = request_query(req, "id");
	struct error err = { 0 };

	if (id && *id) { /* that nobody has it is no error */
		build_cancel_by_id(api_engine(req), id);
		reply_header(req, "Content-Type", "application/json");
		reply_empty(req, 200);
		return;
	}
	error_set_class(&err, ERROR_INVALID, "build ID not provided");
	reply_error(req, &err);
}
