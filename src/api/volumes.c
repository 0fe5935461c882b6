/* Handlers of /volumes. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "engine/schema.h"
#include "engine/volumes.h"
#include "util/alloc.h"
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

static bool match_name(const void *v, const char *value)
{
	return strstr(((const struct volume *)v)->name, value) != NULL;
}
static bool match_driver(const void *v, const char *value)
{
	(void)v;
	return strcmp(value, "local") == 0;
}

static bool is_used(struct engine *e, const struct volume *v)
{
	json_t *ids = volume_users(e, v->name);
	bool is = json_array_size(ids) > 0;

	json_decref(ids);
	return is;
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
		    (!filters_has(filters, "dangling") || is_used(e, v) != wants_dangling))
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
	const char *name = json_string_value(json_object_get(body, "Name")), *driver;
	json_t *labels = json_object_get(body, "Labels");
	bool is_anonymous = !name || !*name;
	struct volume *v;
	int r;

	driver = json_string_value(json_object_get(body, "Driver"));
	labels = labels ? json_copy(labels) : is_anonymous ? json_object() : NULL;
	if (is_anonymous)
		json_object_set_new(labels, "com.docker.volume.anonymous", json_string(""));
	r = volumes_create(api_engine(req)->volumes, is_anonymous ? NULL : name, driver,
			   json_object_get(body, "DriverOpts"), labels, is_anonymous, &v, on_created, c, err);
	if (r == 0)
		c->view = view_volume(v);
	json_decref(labels);
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
	if (err.code || create(req, body, c, &err) < 0) {
		free(c);
		reply_error(req, &err);
	}
	json_decref(body);
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
	size_t n, at;
	uint64_t bytes;
	json_t *removed;
};

static void measure(uv_work_t *w)
{
	struct pruning *p = container_of(w, struct pruning, work);

	for (size_t i = 0; i < p->n; i++)
		p->bytes += volume_size(p->paths[i]);
}

static void prune_next(void *arg, const struct error *err)
{
	struct pruning *p = arg;
	struct volume *v;

	if (!err && p->at > 0)
		json_array_append_new(p->removed, json_string(p->names[p->at - 1]));
	while (p->at < p->n) {
		if (volumes_find(p->engine->volumes, p->names[p->at++], &v, NULL) < 0)
			continue;
		volumes_remove(p->engine->volumes, v, prune_next, p);
		return;
	}
	events_publish(p->engine->events, "volume", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%llu", (unsigned long long)p->bytes)));
	reply_json(p->req, 200, json_pack("{s:o, s:I}", "VolumesDeleted", p->removed, "SpaceReclaimed", (json_int_t)p->bytes));
	for (size_t i = 0; i < p->n; i++) {
		free(p->names[i]);
		free(p->paths[i]);
	}
	free(p->names);
	free(p->paths);
	free(p);
}

static void on_measured(uv_work_t *w, int status)
{
	(void)status;
	prune_next(container_of(w, struct pruning, work), NULL);
}

void VolumePrune(struct request *req)
{
	static const char *const known[] = { "all", "label", "label!", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err);
	bool all = !versions_has(FEATURE_ANONYMOUS_PRUNE, request_api_version(req));
	struct pruning *p;
	size_t size = 0;

	if (!filters || !filters_bool(filters, "all", all, &all, &err)) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	p = xnew(struct pruning);
	p->req = req;
	p->engine = e;
	p->removed = json_array();
	for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v)) {
		if (v->is_removing || !(all || v->is_anonymous) || is_used(e, v) || !filters_labels(filters, v->labels))
			continue;
		if (p->n == size) {
			size = size ? 2 * size : 16;
			p->names = xrealloc(p->names, size * sizeof(char *));
			p->paths = xrealloc(p->paths, size * sizeof(char *));
		}
		p->names[p->n] = xstrdup(v->name);
		p->paths[p->n++] = xstrdup(v->mountpoint);
	}
	json_decref(filters);
	uv_queue_work(e->loop, &p->work, measure, on_measured);
}
