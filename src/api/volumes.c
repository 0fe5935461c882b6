/* Handlers of /volumes. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "engine/schema.h"
#include "engine/volumes.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static json_t *or_null(json_t *v)
{
	return v ? json_incref(v) : json_null();
}

json_t *view_volume(const struct volume *v)
{
	char when[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(v->created_ns / 1000000000 * 1000000000, when); /* whole seconds, as Docker's */
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:s}", "CreatedAt", when, "Driver", "local", "Labels",
			 or_null(v->labels), "Mountpoint", v->mountpoint, "Name", v->name, "Options",
			 or_null(v->options), "Scope", "local");
}

static struct volume *find(struct request *req)
{
	struct error err = { 0 };
	struct volume *v = NULL;

	if (volumes_find(api_engine(req)->volumes, request_param(req, "name"), &v, &err) < 0)
		reply_error(req, &err);
	return v;
}

void VolumeInspect(struct request *req)
{
	struct volume *v = find(req);

	if (v)
		reply_shaped(req, 200, SHAPE_VOLUME, view_volume(v));
}

/* ---- list ---- */

/* A regular expression, as Docker's; one that is none matches itself. */
static bool match_name(const void *v, const char *value)
{
	const char *name = ((const struct volume *)v)->name;
	bool is_match;
	regex_t re;

	if (strcmp(name, value) == 0)
		return true;
	if (regcomp(&re, value, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	is_match = regexec(&re, name, 0, NULL, 0) == 0;
	regfree(&re);
	return is_match;
}
static bool match_driver(const void *v, const char *value)
{
	(void)v;
	return strcmp(value, "local") == 0;
}

void VolumeList(struct request *req)
{
	static const char *const known[] = { "dangling", "driver", "label", "name", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err), *list = json_array();
	bool wants_dangling = false;

	if (!filters || !filters_bool(filters, "dangling", false, &wants_dangling, &err)) {
		json_decref(filters);
		json_decref(list);
		reply_error(req, &err);
		return;
	}
	for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v))
		if (filters_any(filters, "name", match_name, v) && filters_any(filters, "driver", match_driver, v) &&
		    filters_labels(filters, v->labels) &&
		    (!filters_has(filters, "dangling") || (v->nusers > 0) != wants_dangling))
			json_array_append_new(list, view_volume(v));
	json_decref(filters);
	versions_shape(SHAPE_VOLUME, list, request_api_version(req));
	reply_json(req, 200, json_pack("{s:o, s:n}", "Volumes", list, "Warnings"));
}

/* ---- create, delete ---- */

struct creating {
	struct request *req;
	json_t *view;
};

static void on_created(void *arg, const struct error *err)
{
	struct creating *c = arg;

	if (err) {
		json_decref(c->view);
		reply_error(c->req, err);
	} else {
		reply_shaped(c->req, 201, SHAPE_VOLUME, c->view);
	}
	free(c);
}

static int create(struct request *req, json_t *body, struct creating *c, struct error *err)
{
	struct volume_create create = { .name = json_string_value(json_object_get(body, "Name")),
					.driver = json_string_value(json_object_get(body, "Driver")),
					.options = json_object_get(body, "DriverOpts"),
					.labels = json_object_get(body, "Labels") };
	struct volume *v;
	int r;

	if (json_object_get(body, "ClusterVolumeSpec"))
		return error_set_class(err, ERROR_UNAVAILABLE,
				       "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to "
				       "connect this node to swarm and try again.");
	r = volumes_create(api_engine(req)->volumes, &create, &v, on_created, c, err);
	if (r == 0)
		c->view = view_volume(v);
	return r;
}

void VolumeCreate(struct request *req)
{
	struct creating *c = xnew(struct creating);
	struct error err = { 0 };
	json_t *body = NULL;

	c->req = req;
	if (request_json(req) && decode_json(request_json(req), &schema_volume_create, &body, &err) < 0)
		error_prefix(&err, "invalid JSON");
	else if (body)
		versions_request(BODY_VOLUME_CREATE, body, request_api_version(req), NULL, &err);
	if (err.code || create(req, body, c, &err) < 0) {
		free(c);
		reply_error(req, &err);
	}
	json_decref(body);
}

/* Only those of a swarm can be changed. */
void VolumeUpdate(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNAVAILABLE, "volume update only valid for cluster volumes, but swarm is unavailable");
	reply_error(req, &err);
}

void VolumeDelete(struct request *req)
{
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	struct volume *v;

	if (volumes_find(e->volumes, request_param(req, "name"), &v, &err) == 0)
		volumes_remove(e->volumes, v, api_reply_done, req);
	else if (request_query_bool(req, "force"))
		reply_empty(req, 204);
	else
		reply_error(req, &err);
}

/* ---- prune: measured on the pool, removed one after the other ---- */

struct pruning {
	uv_work_t work;
	struct request *req;
	struct engine *engine;
	char **names, **paths;
	uint64_t *bytes, total;
	size_t n, at;
	json_t *removed;
};

static void measure(uv_work_t *w)
{
	struct pruning *p = container_of(w, struct pruning, work);

	for (size_t i = 0; i < p->n; i++)
		p->bytes[i] = volume_size(p->paths[i]);
}

static void end_prune(struct pruning *p)
{
	volumes_prune_end(p->engine->volumes);
	events_publish(p->engine->events, "volume", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%llu", (unsigned long long)p->total)));
	reply_json(p->req, 200, json_pack("{s:o, s:I}", "VolumesDeleted", p->removed, "SpaceReclaimed", (json_int_t)p->total));
	for (size_t i = 0; i < p->n; i++) {
		free(p->names[i]);
		free(p->paths[i]);
	}
	free(p->names);
	free(p->paths);
	free(p->bytes);
	free(p);
}

static void prune_next(struct pruning *p);

static void on_pruned(void *arg, const struct error *err)
{
	struct pruning *p = arg;

	if (!err) { /* else somebody took it meanwhile */
		json_array_append_new(p->removed, json_string(p->names[p->at - 1]));
		p->total += p->bytes[p->at - 1];
	}
	prune_next(p);
}

static void prune_next(struct pruning *p)
{
	struct volume *v;

	while (p->at < p->n) {
		if (volumes_find(p->engine->volumes, p->names[p->at++], &v, NULL) < 0)
			continue;
		volumes_remove(p->engine->volumes, v, on_pruned, p);
		return;
	}
	end_prune(p);
}

static void on_measured(uv_work_t *w, int status)
{
	(void)status;
	prune_next(container_of(w, struct pruning, work));
}

/* Go's strconv.ParseBool. */
static bool parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "1", "t", "T", "TRUE",  "true",  "True",
					     "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		*ret = i < ARRAY_SIZE(words) / 2;
		if (strcmp(words[i], text) == 0)
			return true;
	}
	return false;
}

/* "all" (moby: withPrune). Before 1.42 it was always so. */
static int wants_all(json_t *filters, int api_version, bool *ret, struct error *err)
{
	json_t *values = json_object_get(filters, "all");
	const char *text = json_string_value(json_array_get(values, 0));

	*ret = !versions_has(FEATURE_ANONYMOUS_PRUNE, api_version);
	if (*ret || !text)
		return 0;
	if (json_array_size(values) > 1)
		return error_set_class(err, ERROR_INVALID, "invalid filter 'all=[%.100s %.100s]': only one value is expected",
				       text, json_string_value(json_array_get(values, 1)));
	if (!parse_bool(text, ret))
		return error_set_class(err, ERROR_INVALID,
				       "invalid filter 'all': strconv.ParseBool: parsing \"%.100s\": invalid syntax", text);
	return 0;
}

/* Those that hold what is elsewhere or cannot be measured are never pruned. */
static bool is_prunable(const struct volume *v, bool all, json_t *filters)
{
	return v->nusers == 0 && (all || volume_is_anonymous(v)) && json_object_size(v->options) == 0 &&
	       filters_labels(filters, v->labels);
}

static struct pruning *pruning_new(struct request *req, bool all, json_t *filters)
{
	struct pruning *p = xnew(struct pruning);
	size_t size = 0;

	p->req = req;
	p->engine = api_engine(req);
	p->removed = json_array();
	for (struct volume *v = NULL; (v = volumes_next(p->engine->volumes, v));) {
		if (!is_prunable(v, all, filters))
			continue;
		if (p->n == size) {
			size = size ? 2 * size : 16;
			p->names = xrealloc(p->names, size * sizeof(char *));
			p->paths = xrealloc(p->paths, size * sizeof(char *));
		}
		p->names[p->n] = xstrdup(v->name);
		p->paths[p->n++] = xstrdup(v->mountpoint);
	}
	p->bytes = xcalloc(p->n ? p->n : 1, sizeof(*p->bytes));
	return p;
}

void VolumePrune(struct request *req)
{
	static const char *const known[] = { "all", "label", "label!", NULL };
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err);
	struct pruning *p;
	bool all = false;

	if (filters)
		wants_all(filters, request_api_version(req), &all, &err);
	if (!err.code && !volumes_prune_begin(api_engine(req)->volumes))
		error_set_class(&err, ERROR_CONFLICT, "a prune operation is already running");
	if (err.code) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	p = pruning_new(req, all, filters);
	json_decref(filters);
	uv_queue_work(p->engine->loop, &p->work, measure, on_measured);
}
