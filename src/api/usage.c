/* GET /system/df: sizes of containers and volumes are measured on the pool. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "util/alloc.h"

struct usage {
	uv_work_t work;
	struct request *req;
	struct engine *engine;
	json_t *containers, *volumes;
	struct container **measured;
	size_t ncontainers, at;
	char **paths;                /* the volumes' */
	uint64_t *bytes;
	size_t nvolumes;
};

static void reply(struct usage *u)
{
	struct engine *e = u->engine;
	json_t *images = json_array();
	int64_t layers = 0;

	for (struct image *i = images_next(e->images, NULL); i; i = images_next(e->images, i)) {
		json_array_append_new(images, view_image_summary(e, i));
		layers += i->size_bytes;
	}
	reply_json(u->req, 200, json_pack("{s:I, s:o, s:o, s:o, s:[], s:i}", "LayersSize", (json_int_t)layers, "Images", images,
					  "Containers", u->containers, "Volumes", u->volumes, "BuildCache", "BuilderSize", 0));
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

static void on_size(void *arg, int64_t rw, int64_t rootfs, const struct error *err)
{
	struct usage *u = arg;
	json_t *o = json_array_get(u->containers, u->at);

	json_object_set_new(o, "SizeRw", json_integer(err ? 0 : rw));
	json_object_set_new(o, "SizeRootFs", json_integer(err ? 0 : rootfs));
	container_unref(u->measured[u->at++]);
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

void SystemDataUsage(struct request *req)
{
	struct engine *e = api_engine(req);
	struct usage *u = xnew(struct usage);

	u->req = req;
	u->engine = e;
	u->containers = json_array();
	u->volumes = json_array();
	u->measured = xcalloc(e->containers.count + 1, sizeof(struct container *));
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		u->measured[u->ncontainers++] = container_ref(c);
		json_array_append_new(u->containers, view_container_summary(e, c, request_api_version(req)));
	}
	for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v))
		add_volume(u, v);
	u->bytes = xcalloc(u->nvolumes + 1, sizeof(uint64_t));
	if (u->ncontainers > 0)
		engine_container_size(e, u->measured[0], on_size, u);
	else
		uv_queue_work(e->loop, &u->work, measure_volumes, on_volumes);
}
