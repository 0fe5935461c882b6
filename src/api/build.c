/* POST /build: the query becomes options, the body the context, and the
 * builder's messages the reply. What fails before the first message has a status. */
#include "build/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/transfer.h"
#include "api/versions.h"
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
	w->stream = reply_progress(w->req); /* "Successfully built" leaves when that is durable */
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
