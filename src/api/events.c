/* GET /events: the past from the ring, then what happens. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { QUEUED_MAX = 32 << 20 /* the whole ring, and much more */ };

struct watching {
	struct engine *engine;
	struct stream *stream; /* NULL: it is closed */
	struct events_subscription *sub;
	json_t *filters;
	int api_version;
	bool is_sequence; /* RFC 7464: a record separator in front of each */
	int64_t since_ns, until_ns;
	bool is_of_the_past; /* until_ns had come when it was asked */
	uv_timer_t timer;
	unsigned refs; /* the timer's, and the store's while that calls back */
};

/* ---- filters (moby: daemon/events/filter.go): values of a key are alternatives, keys must all match ---- */

static bool has_value(json_t *values, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		if (strcmp(json_string_value(v), text) == 0)
			return true;
	return false;
}

static bool begins_with_one(json_t *values, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		if (strncmp(json_string_value(v), text, json_string_length(v)) == 0)
			return true;
	return false;
}

/* These carry a text behind a colon; asked for without it they mean all of them. */
static bool matches_action(json_t *values, const char *action)
{
	static const char *const open[] = { "health_status", "exec_create", "exec_start" };

	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (has_value(values, open[i]))
			return begins_with_one(values, action);
	return has_value(values, action);
}

/* "busybox" for "busybox:latest". */
static bool has_name(json_t *values, const char *image)
{
	struct reference ref;

	return has_value(values, image) || (reference_parse(image, &ref, NULL) == 0 && has_value(values, ref.name));
}

static const char *attribute(const struct event *e, const char *name)
{
	const char *v = json_string_value(json_object_get(e->attributes, name));

	return v ? v : "";
}

static bool passes(json_t *filters, const struct event *e)
{
	static const char *const kinds[] = { "daemon",  "container", "plugin", "volume", "network",
					     "service", "node",      "secret", "config" };
	const char *image = attribute(e, strcmp(e->type, "image") == 0 ? "name" : "image");

	if ((filters_has(filters, "event") && !matches_action(json_object_get(filters, "event"), e->action)) ||
	    (filters_has(filters, "type") && !has_value(json_object_get(filters, "type"), e->type)) ||
	    (filters_has(filters, "scope") && !has_value(json_object_get(filters, "scope"), "local")) ||
	    !filters_labels(filters, e->attributes))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (filters_has(filters, kinds[i]) && !begins_with_one(json_object_get(filters, kinds[i]), e->actor_id) &&
		    !begins_with_one(json_object_get(filters, kinds[i]), attribute(e, "name")))
			return false;
	return !filters_has(filters, "image") || has_name(json_object_get(filters, "image"), e->actor_id) ||
	       has_name(json_object_get(filters, "image"), image);
}

/* ---- one event ---- */

static json_t *event_view(const struct event *e)
{
	return json_pack("{s:s, s:s, s:{s:s, s:O}, s:s, s:I, s:I}", "Type", e->type, "Action", e->action, "Actor", "ID",
			 e->actor_id, "Attributes", e->attributes, "scope", "local", "time",
			 (json_int_t)(e->time_ns / 1000000000), "timeNano", (json_int_t)e->time_ns);
}

static void on_event(void *arg, const struct event *e)
{
	struct watching *w = arg;
	json_t *o;
	char *text;

	if ((w->until_ns && e->time_ns > w->until_ns) || !passes(w->filters, e))
		return;
	if (!versions_has(FEATURE_EVENT_IMAGE_CREATE, w->api_version) && strcmp(e->type, "image") == 0 &&
	    strcmp(e->action, "create") == 0)
		return;
	o = event_view(e);
	versions_shape(SHAPE_EVENT, o, w->api_version);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text && w->is_sequence)
		stream_write(w->stream, "\x1e", 1);
	if (text) {
		stream_write(w->stream, text, strlen(text));
		stream_write(w->stream, "\n", 1);
	}
	free(text);
	if (w->stream->ops->queued(w->stream) > QUEUED_MAX)
		stream_abort(w->stream); /* a client that does not read what it asked for */
}

/* ---- the stream ---- */

static void unref(struct watching *w)
{
	if (--w->refs == 0)
		free(w);
}

static void on_timer_closed(uv_handle_t *h)
{
	unref(h->data);
}

static void on_close(void *arg)
{
	struct watching *w = arg;

	w->stream = NULL;
	events_unsubscribe(w->sub);
	json_decref(w->filters);
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

/* What has happened by now is told when it is durable, and before `then` comes: a reply that does not wait for the store,
 * the end of an attached stream, may have let the client know of it already. */
static void when_told(struct watching *w, void (*then)(void *arg))
{
	w->refs++;
	store_on_durable(w->engine->store, store_ticket(w->engine->store), then, w);
}

static void on_last_told(void *arg)
{
	struct watching *w = arg;

	if (w->stream)
		stream_end(w->stream);
	unref(w);
}

static void on_until(uv_timer_t *t)
{
	when_told(t->data, on_last_told);
}

static void follow(struct watching *w)
{
	int64_t now = clock_wall_ns();

	w->sub = events_subscribe(w->engine->events, on_event, w);
	if (!w->until_ns)
		return;
	uv_update_time(w->engine->loop); /* the loop's own clock lags behind */
	uv_timer_start(&w->timer, on_until, w->until_ns > now ? (uint64_t)((w->until_ns - now) / 1000000 + 1) : 0, 0);
}

static void on_past_told(void *arg)
{
	struct watching *w = arg;

	if (w->stream)
		events_replay(w->engine->events, w->since_ns, w->until_ns ? w->until_ns : INT64_MAX, on_event, w);
	if (w->stream && w->is_of_the_past)
		stream_end(w->stream);
	else if (w->stream)
		follow(w);
	unref(w);
}

static int get_time(struct request *req, const char *key, int64_t now, int64_t *ret, struct error *err)
{
	const char *text = request_query(req, key);

	*ret = 0;
	if (!text || !*text || strcmp(text, "0") == 0 || clock_parse_timestamp(text, now, ret) == 0)
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "invalid value for '%s': failed to parse value as time or duration: \"%.100s\"", key, text);
}

static int get_range(struct request *req, int64_t now, int64_t *ret_since, int64_t *ret_until, struct error *err)
{
	if (get_time(req, "since", now, ret_since, err) < 0 || get_time(req, "until", now, ret_until, err) < 0)
		return err->code;
	if (*ret_until && *ret_until < *ret_since)
		return error_set_class(err, ERROR_INVALID, "`since` time (%.100s) cannot be after `until` time (%.100s)",
				       request_query(req, "since"), request_query(req, "until"));
	return 0;
}

void SystemEvents(struct request *req)
{
	static const char *const types[] = { "application/jsonl", "application/x-ndjson", "application/json-seq", NULL };
	static const struct stream_events events = { .on_close = on_close };
	struct engine *e = api_engine(req);
	const char *type;
	int64_t since, until, now = clock_wall_ns();
	struct error err = { 0 };
	struct watching *w;
	json_t *filters;

	if (get_range(req, now, &since, &until, &err) < 0 || !(filters = filters_parse(req, NULL, &err))) {
		reply_error(req, &err);
		return;
	}
	w = xnew(struct watching);
	w->engine = e;
	w->refs = 1;
	w->filters = filters;
	w->since_ns = since;
	w->until_ns = until;
	w->is_of_the_past = until && until <= now;
	w->api_version = request_api_version(req);
	type = api_negotiate(req, types, versions_has(FEATURE_EVENT_JSONL, w->api_version) ? types[0] : "application/json");
	w->is_sequence = strcmp(type, "application/json-seq") == 0;
	uv_timer_init(e->loop, &w->timer);
	w->timer.data = w;
	w->stream = reply_stream(req, 200, type);
	stream_set_events(w->stream, &events, w);
	if (since || until)
		when_told(w, on_past_told);
	else
		follow(w);
}
