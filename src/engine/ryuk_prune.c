/* What the reaper removes, and in which order. */
#include <stdlib.h>
#include <string.h>

#include "engine/networks.h"
#include "engine/ryuk.h"
#include "engine/ryuk_filter.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static bool is_reaper(json_t *labels)
{
	const char *v = json_string_value(json_object_get(labels, "org.testcontainers.ryuk"));

	return v && strcmp(v, "true") == 0;
}

/* A thing that was made a moment ago may belong to a client that is just coming: not now. */
static bool is_fresh(const struct reaper *r, int64_t created_ns)
{
	return created_ns > clock_wall_ns() + r->settings.offset_ms * 1000000;
}

static json_t *labels_of(const struct container *c)
{
	return json_object_get(c->config, "Labels");
}

static json_t *image_labels(const struct image *i)
{
	return json_object_get(json_object_get(i->config, "config"), "Labels");
}

static bool is_meant(const struct reaper *r, const char *id, const char *name, json_t *labels)
{
	return !is_reaper(labels) && ryuk_matches(r->filters, id, name, labels);
}

bool ryuk_has_fresh(const struct reaper *r)
{
	struct engine *e = r->engine;

	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		if (is_fresh(r, c->created_ns) && is_meant(r, c->id, c->name, labels_of(c)))
			return true;
	}
	for (struct network *n = networks_next(e->networks, NULL); n; n = networks_next(e->networks, n))
		if (is_fresh(r, n->created_ns) && is_meant(r, n->id, n->name, n->labels))
			return true;
	for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v))
		if (is_fresh(r, v->created_ns) && is_meant(r, v->name, v->name, v->labels))
			return true;
	return false;
}

static void count_removed(struct reaper *r, const char *kind)
{
	json_int_t n = json_integer_value(json_object_get(r->removed, kind));

	json_object_set_new(r->removed, kind, json_integer(n + 1));
}

static int removed(const struct reaper *r, const char *kind)
{
	return (int)json_integer_value(json_object_get(r->removed, kind));
}

struct removal {
	struct reaper *reaper;
	const char *kind;
};

static void on_removed(void *arg, const struct error *err)
{
	struct removal *m = arg;
	struct reaper *r = m->reaper;

	if (err && err->cls != ERROR_NOT_FOUND)
		ryuk_say(r, "ERROR", "remove error=\"%s\"", err->message);
	else if (!err)
		count_removed(r, m->kind);
	free(m);
	r->pending--;
	if (r->pending == 0 && !r->is_over)
		ryuk_prune(r);
	ryuk_unref(r);
}

static struct removal *removal_new(struct reaper *r, const char *kind)
{
	struct removal *m = xnew(struct removal);

	m->reaper = r;
	m->kind = kind;
	r->refs++;
	r->pending++;
	return m;
}

static void remove_containers(struct reaper *r)
{
	list_for_each_safe(it, &r->engine->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (!c->is_removing && is_meant(r, c->id, c->name, labels_of(c)))
			engine_container_remove(r->engine, c, true, true, on_removed, removal_new(r, "containers"));
	}
}

static void remove_networks(struct reaper *r)
{
	struct network *next;

	for (struct network *n = networks_next(r->engine->networks, NULL); n; n = next) {
		struct error err = { 0 };

		next = networks_next(r->engine->networks, n);
		if (network_is_predefined(n->name) || !is_meant(r, n->id, n->name, n->labels))
			continue;
		if (network_remove(r->engine, n, &err) < 0)
			ryuk_say(r, "ERROR", "remove error=\"%s\"", err.message);
		else
			count_removed(r, "networks");
	}
}

static void remove_volumes(struct reaper *r)
{
	for (struct volume *v = volumes_next(r->engine->volumes, NULL); v; v = volumes_next(r->engine->volumes, v))
		if (!v->is_removing && is_meant(r, v->name, v->name, v->labels))
			volumes_remove(r->engine->volumes, v, on_removed, removal_new(r, "volumes"));
}

static void remove_images(struct reaper *r)
{
	struct image *next;

	for (struct image *i = images_next(r->engine->images, NULL); i; i = next) {
		CLEANUP(freep) char *id = xstrdup(i->id);
		json_t *report = NULL;

		next = images_next(r->engine->images, i);
		if (i->kind == IMAGE_BUILTIN || !is_meant(r, i->id, "", image_labels(i)))
			continue;
		if (engine_image_remove(r->engine, id, false, false, &report, NULL) == 0)
			count_removed(r, "images");
		json_decref(report);
	}
}

/* What is there still after the removals that were begun. */
static bool has_leftovers(const struct reaper *r)
{
	struct engine *e = r->engine;

	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		if (is_meant(r, c->id, c->name, labels_of(c)))
			return true;
	}
	for (struct network *n = networks_next(e->networks, NULL); n; n = networks_next(e->networks, n))
		if (!network_is_predefined(n->name) && is_meant(r, n->id, n->name, n->labels))
			return true;
	for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v))
		if (is_meant(r, v->name, v->name, v->labels))
			return true;
	return false;
}

/* Containers first: what they use can go only after them. Called again when all removals of a step have ended. */
void ryuk_prune(struct reaper *r)
{
	bool is_last = r->tries++ >= (unsigned)r->settings.remove_retries * 2;

	if (!is_last) {
		remove_containers(r);
		if (r->pending > 0)
			return;
		remove_networks(r);
		remove_volumes(r);
		if (r->pending > 0)
			return;
		remove_images(r);
		if (has_leftovers(r)) {
			ryuk_again_in(r, r->settings.retry_ms);
			return;
		}
	}
	ryuk_say(r, "INFO", "removed containers=%d networks=%d volumes=%d images=%d", removed(r, "containers"),
		 removed(r, "networks"), removed(r, "volumes"), removed(r, "images"));
	ryuk_say(r, "INFO", "done");
	ryuk_end(r, is_last && has_leftovers(r) ? 1 : 0);
}
