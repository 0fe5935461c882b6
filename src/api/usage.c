/* GET /system/df: sizes of containers and volumes are measured on the pool. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/versions.h"
#include "build/build.h"
#include "build/records.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/map.h"

enum { USAGE_CONTAINERS = 1, USAGE_IMAGES = 2, USAGE_VOLUMES = 4, USAGE_BUILD_CACHE = 8 };

struct usage {
	uv_work_t work;
	unsigned kinds;
	bool is_verbose;
	struct request *req;
	struct engine *engine;
	json_t *containers, *volumes;
	struct cache_records records; /* when the reply is made */
	struct container **measured;
	size_t ncontainers, at;
	char **paths;                /* the volumes' */
	uint64_t *bytes;
	size_t nvolumes;
};

/* The sums of one kind, and what was summed up; none of them says that it is zero (moby: omitempty). */
static void put_usage(json_t *o, const char *kind, json_int_t active, json_int_t bytes, json_int_t reclaimable, json_t *take_items)
{
	json_int_t total = (json_int_t)json_array_size(take_items);
	const struct {
		const char *name;
		json_int_t value;
	} sums[] = { { "ActiveCount", active }, { "TotalCount", total }, { "TotalSize", bytes }, { "Reclaimable", reclaimable } };
	json_t *usage = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(sums); i++)
		if (sums[i].value)
			json_object_set_new(usage, sums[i].name, json_integer(sums[i].value));
	json_object_set_new(usage, "Items", take_items);
	json_object_set_new(o, kind, usage);
}

/* Steps that are nobody's but the build cache's: told there. */
static void note_own(const struct usage *u, struct map *own)
{
	map_init(own);
	for (size_t k = 0; k < u->records.count; k++)
		if (u->records.items[k].step && !u->records.items[k].is_shared)
			map_put(own, u->records.items[k].id, own);
}

static uint64_t step_bytes(const struct usage *u)
{
	uint64_t bytes = u->records.own_bytes;

	for (size_t k = 0; k < u->records.count; k++)
		if (u->records.items[k].dir)
			bytes -= u->records.items[k].bytes;
	return bytes;
}

static void put_images(struct usage *u, json_t *o)
{
	struct images *im = u->engine->images;
	json_int_t active = 0, reclaimable = 0;
	json_t *list = json_array();
	struct map own;

	note_own(u, &own);
	for (struct image *i = images_next(im, NULL); i; i = images_next(im, i)) {
		bool is_hidden = json_array_size(i->tags) + json_array_size(i->digests) == 0 && images_has_child(im, i);
		json_t *view;

		if (is_hidden || map_has(&own, i->id + 7))
			continue;
		view = view_image_summary(u->engine, i, true);

		active += json_number(view, "Containers") > 0;
		reclaimable += json_number(view, "Containers") > 0 ?
				       0 :
				       json_number(view, "Size") - json_number(view, "SharedSize");
		json_array_append_new(list, view);
	}
	map_done(&own);
	put_usage(o, "ImageUsage", active, (json_int_t)(layers_total_bytes(images_layers(im)) - step_bytes(u)),
		  reclaimable, list);
}

static void put_containers(struct usage *u, json_t *o)
{
	json_int_t active = 0, bytes = 0, reclaimable = 0;
	json_t *v;
	size_t i;

	json_array_foreach(u->containers, i, v) {
		const char *state = json_string_value(json_object_get(v, "State"));
		bool is_active = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0 ||
				 strcmp(state, "restarting") == 0;

		active += is_active;
		bytes += json_number(v, "SizeRw");
		reclaimable += is_active ? 0 : json_number(v, "SizeRw");
	}
	put_usage(o, "ContainerUsage", active, bytes, reclaimable, json_incref(u->containers));
}

static void put_volumes(struct usage *u, json_t *o)
{
	json_int_t active = 0, bytes = 0, reclaimable = 0;
	json_t *v;
	size_t i;

	json_array_foreach(u->volumes, i, v) {
		json_t *data = json_object_get(v, "UsageData");
		bool is_active = json_number(data, "RefCount") > 0;

		active += is_active;
		bytes += json_number(data, "Size");
		reclaimable += is_active ? 0 : json_number(data, "Size");
	}
	put_usage(o, "VolumeUsage", active, bytes, reclaimable, json_incref(u->volumes));
}

static void put_build_cache(struct usage *u, json_t *o)
{
	json_int_t active = 0, used = 0;
	json_t *list = json_array();

	for (size_t i = 0; i < u->records.count; i++) {
		const struct cache_record *r = &u->records.items[i];

		active += r->is_used;
		used += r->is_used && !r->is_shared ? (json_int_t)r->bytes : 0;
		json_array_append_new(list, cache_record_view(r));
	}
	put_usage(o, "BuildCacheUsage", active, (json_int_t)u->records.own_bytes, (json_int_t)u->records.own_bytes - used, list);
}

/* The items leave when they were asked for; old versions have lists of them in any case. */
static void drop_items(json_t *o, bool is_verbose)
{
	const char *kind;
	json_t *usage;

	json_object_foreach(o, kind, usage) {
		if (!json_is_object(usage))
			continue;
		if (!is_verbose || json_array_size(json_object_get(usage, "Items")) == 0)
			json_object_del(usage, "Items");
	}
}

static void reply(struct usage *u)
{
	json_t *o = json_object();

	cache_records_get(u->engine, &u->records);
	if (u->kinds & USAGE_IMAGES)
		put_images(u, o);
	if (u->kinds & USAGE_CONTAINERS)
		put_containers(u, o);
	if (u->kinds & USAGE_VOLUMES)
		put_volumes(u, o);
	if (u->kinds & USAGE_BUILD_CACHE)
		put_build_cache(u, o);
	cache_records_done(&u->records);
	if (!u->is_verbose)
		versions_shape(SHAPE_USAGE, o, request_api_version(u->req));
	drop_items(o, u->is_verbose);
	reply_json(u->req, 200, o);
	json_decref(u->containers);
	json_decref(u->volumes);
	for (size_t i = 0; i < u->nvolumes; i++)
		free(u->paths[i]);
	free(u->paths);
	free(u->bytes);
	free(u->measured);
	free(u);
}

static void measure_volumes(uv_work_t *w)
{
	struct usage *u = container_of(w, struct usage, work);

	for (size_t i = 0; i < u->nvolumes; i++)
		u->bytes[i] = volume_size(u->paths[i]);
}

static void on_volumes(uv_work_t *w, int status)
{
	struct usage *u = container_of(w, struct usage, work);

	(void)status;
	for (size_t i = 0; i < u->nvolumes; i++)
		json_object_set_new(json_object_get(json_array_get(u->volumes, i), "UsageData"), "Size",
				    json_integer((json_int_t)u->bytes[i]));
	reply(u);
}

/* One after the other, each in a turn of the loop of its own: many containers hold nobody up. */
static void on_size(void *arg, int64_t rw, int64_t rootfs, const struct error *err)
{
	struct usage *u = arg;
	struct container *c = u->measured[u->at++];
	json_t *o = view_container_summary(u->engine, c);

	json_object_set_new(o, "SizeRw", json_integer(err ? 0 : rw));
	json_object_set_new(o, "SizeRootFs", json_integer(err ? 0 : rootfs));
	json_array_append_new(u->containers, o);
	container_unref(c);
	if (u->at < u->ncontainers)
		engine_container_size(u->engine, u->measured[u->at], on_size, u);
	else
		uv_queue_work(u->engine->loop, &u->work, measure_volumes, on_volumes);
}

static void add_volume(struct usage *u, const struct volume *v)
{
	json_t *ids = volume_users(u->engine, v->name), *o = view_volume(v);

	json_object_set_new(o, "UsageData", json_pack("{s:i, s:i}", "RefCount", (int)json_array_size(ids), "Size", -1));
	json_decref(ids);
	json_array_append_new(u->volumes, o);
	u->paths = xrealloc(u->paths, (u->nvolumes + 1) * sizeof(char *));
	u->paths[u->nvolumes++] = xstrdup(v->mountpoint);
}

/* ?type=container&type=image…, since 1.42; none: all. */
static bool get_kinds(struct request *req, unsigned *ret, struct error *err)
{
	static const struct {
		const char *name;
		unsigned kind;
	} known[] = {
		{ "container", USAGE_CONTAINERS },
		{ "image", USAGE_IMAGES },
		{ "volume", USAGE_VOLUMES },
		{ "build-cache", USAGE_BUILD_CACHE },
	};
	size_t n = versions_knows(req, "type") ? request_query_count(req, "type") : 0;

	*ret = n ? 0 : ~0u;
	for (size_t i = 0; i < n; i++) {
		const char *type = request_query_nth(req, "type", i);
		size_t k = 0;

		while (k < ARRAY_SIZE(known) && strcmp(known[k].name, type))
			k++;
		if (k == ARRAY_SIZE(known)) {
			error_set_class(err, ERROR_INVALID, "unknown object type: %.100s", type);
			return false;
		}
		*ret |= known[k].kind;
	}
	return true;
}

void SystemDataUsage(struct request *req)
{
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	struct usage *u;
	unsigned kinds;

	if (!get_kinds(req, &kinds, &err)) {
		reply_error(req, &err);
		return;
	}
	u = xnew(struct usage);
	u->req = req;
	u->engine = e;
	u->kinds = kinds;
	u->is_verbose = versions_query_bool(req, "verbose");
	u->containers = json_array();
	u->volumes = json_array();
	u->measured = xcalloc(e->containers.ids.n + 1, sizeof(struct container *));
	for (struct list *it = e->containers.by_age.prev; (kinds & USAGE_CONTAINERS) && it != &e->containers.by_age;
	     it = it->prev) {
		struct container *c = container_of(it, struct container, by_age);

		u->measured[u->ncontainers++] = container_ref(c);
	}
	for (struct volume *v = volumes_next(e->volumes, NULL); (kinds & USAGE_VOLUMES) && v; v = volumes_next(e->volumes, v))
		if (json_object_size(v->options) == 0) /* the others' files are elsewhere */
			add_volume(u, v);
	u->bytes = xcalloc(u->nvolumes + 1, sizeof(uint64_t));
	if (u->ncontainers > 0)
		engine_container_size(e, u->measured[0], on_size, u);
	else
		uv_queue_work(e->loop, &u->work, measure_volumes, on_volumes);
}
