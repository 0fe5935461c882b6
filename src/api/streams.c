/* Handlers whose reply goes on: wait, attach, logs. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/versions.h"
#include "util/alloc.h"
#include "util/clock.h"

/* ---- wait: the head leaves at once, or the CLI never sends start ---- */

struct waiting {
	struct stream *stream;       /* NULL for a client of before: it gets one reply in the end */
	struct request *req;
	struct container_wait *wait;
	bool hides_error;
};

static void on_wait_done(void *arg, const struct wait_result *r)
{
	struct waiting *w = arg;
	json_t *body = json_pack("{s:i}", "StatusCode", r->exit_code);
	char *text;

	w->wait = NULL;
	if (!w->stream) {
		reply_json(w->req, 200, body);
		free(w);
		return;
	}
	if (r->error)
		json_object_set_new(body, "Error", json_pack("{s:s}", "Message", r->error));
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	if (!r->error || !w->hides_error) {
		stream_write(w->stream, text, strlen(text));
		stream_write(w->stream, "\n", 1);
	}
	stream_end(w->stream);
	free(text);
}

static void on_waiter_gone(void *arg)
{
	struct waiting *w = arg;

	engine_container_wait_cancel(w->wait);
	reply_empty(w->req, 200);
	free(w);
}

static void on_wait_close(void *arg)
{
	struct waiting *w = arg;

	engine_container_wait_cancel(w->wait);
	free(w);
}

void ContainerWait(struct request *req)
{
	static const struct stream_events events = { .on_close = on_wait_close };
	const char *cond = versions_query(req, "condition");
	struct container *c = api_container(req);
	enum wait_condition which = WAIT_NOT_RUNNING;
	struct waiting *w;
	struct error err = { 0 };

	if (!c)
		return;
	if (cond && strcmp(cond, "next-exit") == 0)
		which = WAIT_NEXT_EXIT;
	else if (cond && strcmp(cond, "removed") == 0)
		which = WAIT_REMOVED;
	else if (cond && *cond && strcmp(cond, "not-running") != 0) {
		error_set_class(&err, ERROR_INVALID, "invalid condition: \"%.100s\"", cond);
		reply_error(req, &err);
		return;
	}
	w = xnew(struct waiting);
	w->req = req;
	w->hides_error = which == WAIT_REMOVED && !versions_has(FEATURE_WAIT_ERROR, request_api_version(req));
	w->wait = engine_container_wait(api_engine(req), c, which, on_wait_done, w);
	if (!versions_has(FEATURE_WAIT_HEAD, request_api_version(req))) {
		request_on_gone(req, on_waiter_gone, w);
		return;
	}
	w->stream = reply_stream(req, 200, "application/json");
	stream_set_events(w->stream, &events, w);
}

/* ---- attach ---- */

struct attaching {
	struct engine *engine;
	struct container *container;
	struct attach_options opt;
	char *keys;
	bool is_mux;
};

static void on_attach_ready(void *arg, struct stream *s)
{
	struct attaching *a = arg;

	if (s) {
		s->is_mux = a->is_mux;
		a->opt.detach_keys = a->keys;
		engine_container_attach(a->engine, a->container, &a->opt, s);
	}
	container_unref(a->container);
	free(a->keys);
	free(a);
}

const char *api_stream_type(const struct request *req, bool is_mux)
{
	return is_mux && versions_has(FEATURE_MULTIPLEXED_TYPE, request_api_version(req)) ?
		       "application/vnd.docker.multiplexed-stream" :
		       "application/vnd.docker.raw-stream";
}

/* NULL: it has been answered. */
static struct attaching *begin_attach(struct request *req)
{
	struct container *c = api_container(req);
	struct attaching *a;
	struct error err = { 0 };

	if (!c)
		return NULL;
	a = xnew(struct attaching);
	a->engine = api_engine(req);
	a->opt.logs = request_query_bool(req, "logs");
	a->opt.stream = request_query_bool(req, "stream");
	a->opt.stdin_ = !versions_knows(req, "stdin") || request_query_bool(req, "stdin");
	a->opt.stdout_ = !versions_knows(req, "stdout") || request_query_bool(req, "stdout");
	a->opt.stderr_ = !versions_knows(req, "stderr") || request_query_bool(req, "stderr");
	a->opt.detach_keys = request_query(req, "detachKeys");
	if (engine_container_attach_check(a->engine, c, &a->opt, &err) < 0) {
		free(a);
		reply_error(req, &err);
		return NULL;
	}
	a->container = container_ref(c);
	a->keys = xstrdup(request_query(req, "detachKeys"));
	return a;
}

void ContainerAttach(struct request *req)
{
	struct attaching *a = begin_attach(req);

	if (!a)
		return;
	a->is_mux = !json_is_true(json_object_get(a->container->config, "Tty"));
	reply_hijack(req, api_stream_type(req, a->is_mux), on_attach_ready, a);
}

/* An older version gets all streams, whatever was asked for. */
void ContainerAttachWebsocket(struct request *req)
{
	struct attaching *a = begin_attach(req);

	if (a)
		reply_websocket(req, versions_has(FEATURE_WS_BINARY, request_api_version(req)), on_attach_ready, a);
}

/* ---- logs ---- */

static int get_time(struct request *req, const char *key, int64_t *ret, struct error *err)
{
	const char *text = versions_query(req, key);

	*ret = 0;
	if (!text || !*text || strcmp(text, "0") == 0)
		return 0;
	if (clock_parse_timestamp(text, clock_wall_ns(), ret) < 0)
		return error_set_class(err, ERROR_INVALID,
				       "invalid value for \"%s\": failed to parse value as time or duration: \"%.100s\"",
				       key, text);
	return 0;
}

void ContainerLogs(struct request *req)
{
	struct container *c = api_container(req);
	const char *tail = request_query(req, "tail");
	struct logs_options opt = { .tail = -1 };
	struct stream *s;
	struct error err = { 0 };
	bool is_mux;
	int r;

	if (!c)
		return;
	opt.stdout_ = request_query_bool(req, "stdout");
	opt.stderr_ = request_query_bool(req, "stderr");
	opt.follow = request_query_bool(req, "follow");
	opt.timestamps = request_query_bool(req, "timestamps");
	opt.details = request_query_bool(req, "details");
	if (tail && *tail && strcmp(tail, "all") != 0) {
		char *end;

		opt.tail = strtoll(tail, &end, 10);
		if (*end || opt.tail < 0)
			opt.tail = -1;
	}
	r = get_time(req, "since", &opt.since_ns, &err);
	if (r == 0)
		r = get_time(req, "until", &opt.until_ns, &err);
	if (r == 0)
		r = engine_container_logs_check(api_engine(req), c, &opt, &err);
	if (r < 0) {
		reply_error(req, &err);
		return;
	}
	is_mux = !json_is_true(json_object_get(c->config, "Tty"));
	s = reply_stream(req, 200, api_stream_type(req, is_mux));
	s->is_mux = is_mux;
	engine_container_logs(api_engine(req), c, &opt, s);
}
