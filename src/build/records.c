#include "build/records.h"

#include <stdlib.h>
#include <string.h>

#include "build/caches.h"
#include "build/internal.h"
#include "engine/engine.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/map.h"

/* ---- what belongs to images that somebody wants ---- */

struct scan {
	struct engine *engine;
	struct map users;  /* images that containers are made of or mount */
	struct map shared; /* ids of images: wanted, or below one that is */
	struct map used;   /* ids of images that builds hold, and of those below */
	struct map layers; /* chain ids of layers counted already */
};

static void note_users(struct scan *s)
{
	list_for_each(it, &s->engine->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		map_put(&s->users, c->image_id, s);
		for (size_t k = 0; k < c->nmounts; k++)
			if (c->mounts[k].image_id)
				map_put(&s->users, c->mounts[k].image_id, s);
	}
}

static bool is_wanted(const struct scan *s, const struct image *i)
{
	return i->kind == IMAGE_BUILTIN || json_array_size(i->tags) + json_array_size(i->digests) > 0 ||
	       map_has(&s->users, i->id);
}

/* The image and those that it is upon. */
static void note_line(struct scan *s, struct map *set, const struct image *i)
{
	for (; i && !map_has(set, i->id); i = i->parent_id ? images_by_id(s->engine->images, i->parent_id) : NULL)
		map_put(set, i->id, s);
}

static void note_shared(struct scan *s)
{
	struct images *im = s->engine->images;

	for (struct image *i = images_next(im, NULL); i; i = images_next(im, i)) {
		if (i->holds)
			note_line(s, &s->used, i);
		if (i->is_step && !is_wanted(s, i))
			continue;
		note_line(s, &s->shared, i);
		for (const struct layer *l = i->top; l && !map_has(&s->layers, l->chain_id); l = l->parent)
			map_put(&s->layers, l->chain_id, s);
	}
}

static void scan_init(struct scan *s, struct engine *e)
{
	s->engine = e;
	map_init(&s->users);
	map_init(&s->shared);
	map_init(&s->used);
	map_init(&s->layers);
	note_users(s);
	note_shared(s);
}

static void scan_done(struct scan *s)
{
	map_done(&s->users);
	map_done(&s->shared);
	map_done(&s->used);
	map_done(&s->layers);
}

/* ---- the list ---- */

static const char *command_of(const struct image *i)
{
	json_t *history = json_object_get(i->config, "history");
	const char *text =
		json_string_value(json_object_get(json_array_get(history, json_array_size(history) - 1), "created_by"));

	return text ? text : "";
}

static struct cache_record *add(struct cache_records *r)
{
	r->items = xrealloc(r->items, (r->count + 1) * sizeof(*r->items));
	r->items[r->count] = (struct cache_record){ 0 };
	return &r->items[r->count++];
}

static void add_step(struct cache_records *r, struct scan *s, struct image *i)
{
	const struct image *below = i->parent_id ? images_by_id(s->engine->images, i->parent_id) : NULL;
	struct cache_record *c = add(r);

	c->id = i->id + 7;
	c->parent = below && below->is_step ? below->id + 7 : NULL;
	c->type = "regular";
	c->description = command_of(i);
	c->is_used = map_has(&s->used, i->id);
	c->is_shared = map_has(&s->shared, i->id);
	c->bytes = i->top && (!below || below->top != i->top) ? i->top->bytes : 0;
	c->uses = i->uses;
	c->created_ns = i->created_ns;
	c->used_ns = i->used_ns;
	c->step = i;
	if (c->is_shared || !i->top || map_has(&s->layers, i->top->chain_id))
		return;
	map_put(&s->layers, i->top->chain_id, s);
	r->own_bytes += c->bytes;
}

static void add_dir(void *arg, struct cache_dir *d)
{
	struct cache_records *r = arg;
	struct cache_record *c = add(r);

	*c = (struct cache_record){ .id = d->name,
				    .type = "exec.cachemount",
				    .description = d->key,
				    .is_used = d->users > 0,
				    .bytes = d->bytes,
				    .uses = d->uses,
				    .created_ns = d->created_ns,
				    .used_ns = d->used_ns,
				    .dir = d };
	r->own_bytes += d->bytes;
}

static int by_use(const void *x, const void *y)
{
	const struct cache_record *a = x, *b = y;

	if (a->used_ns != b->used_ns)
		return a->used_ns < b->used_ns ? -1 : 1;
	return a->created_ns < b->created_ns ? -1 : a->created_ns > b->created_ns;
}

void cache_records_get(struct engine *e, struct cache_records *ret)
{
	struct scan s;

	*ret = (struct cache_records){ 0 };
	scan_init(&s, e);
	for (struct image *i = images_next(e->images, NULL); i; i = images_next(e->images, i))
		if (i->is_step)
			add_step(ret, &s, i);
	scan_done(&s);
	caches_each(builder_of(e)->caches, add_dir, ret);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_use);
}

void cache_records_done(struct cache_records *r)
{
	free(r->items);
}

json_t *cache_record_view(const struct cache_record *r)
{
	char created[CLOCK_RFC3339_MAX], used[CLOCK_RFC3339_MAX];
	json_t *o;

	clock_format_rfc3339(r->created_ns, created);
	clock_format_rfc3339(r->used_ns, used);
	o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:s, s:s, s:I}", "ID", r->id, "Type", r->type, "Description",
		      r->description, "InUse", r->is_used, "Shared", r->is_shared, "Size", (json_int_t)r->bytes,
		      "CreatedAt", created, "LastUsedAt", used, "UsageCount", (json_int_t)r->uses);
	if (!r->used_ns)
		json_object_set_new(o, "LastUsedAt", json_null());
	if (r->parent)
		json_object_set_new(o, "Parents", json_pack("[s]", r->parent));
	return o;
}

/* ---- prune ---- */

/* What `image prune` would take for a step that is none any more: nobody could tell where it came from. */
static void remove_forgotten(struct engine *e, const char *id, uint64_t *bytes)
{
	struct image *i = id ? images_by_id(e->images, id) : NULL;
	CLEANUP(freep) char *parent_id = NULL;

	if (!i || i->is_step || i->kind != IMAGE_BUILT || json_array_size(i->tags) + json_array_size(i->digests) > 0)
		return;
	parent_id = xstrdup(i->parent_id);
	if (engine_step_remove(e, i->id, bytes))
		remove_forgotten(e, parent_id, bytes);
}

/* The step is no cache any more; its image goes, unless something is upon it or wants it. */
static void remove_step(struct engine *e, struct cache_record *r, uint64_t *bytes)
{
	CLEANUP(freep) char *id = xstrdup(r->step->id), *parent_id = xstrdup(r->step->parent_id);

	r->step->is_step = false;
	if (!r->is_shared && engine_step_remove(e, id, bytes))
		remove_forgotten(e, parent_id, bytes);
	else
		images_forget_step(e->images, r->step);
}

json_t *cache_records_prune(struct engine *e, const struct cache_prune *p, uint64_t *ret_bytes)
{
	struct cache_records r;
	json_t *ids = json_array();
	uint64_t left;

	*ret_bytes = 0;
	cache_records_get(e, &r);
	left = r.own_bytes;
	for (size_t k = 0; k < r.count && json_array_size(ids) < p->limit; k++) {
		/* Those of a line from its end, unless what is to stay decides: each can go at once. */
		struct cache_record *c = &r.items[p->keep_bytes ? k : r.count - 1 - k];
		uint64_t freed = 0;

		if (c->is_used || (c->is_shared && !p->takes_shared) || (p->keep_bytes && left <= p->keep_bytes) ||
		    !p->match(p->arg, c))
			continue;
		json_array_append_new(ids, json_string(c->id));
		if (c->step)
			remove_step(e, c, &freed);
		else
			freed = cache_remove(builder_of(e)->caches, c->dir);
		*ret_bytes += freed;
		left -= freed < left ? freed : left;
	}
	cache_records_done(&r);
	return ids;
}
