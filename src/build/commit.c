/* What a step leaves: an image upon the one before, or one that an earlier
 * build has left. The cache is the images themselves: a child of the same parent, made
 * by the same command, is the same step; commands name what they read by its digest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "build/internal.h"
#include "dockerfile/change.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define NS 1000000000ll

/* ---- commands as a history tells them ---- */

char *nop_command(struct build *b, const char *comment, bool is_joined)
{
	json_t *shell = change_shell(b->config), *v;
	struct words words = { 0 };
	size_t i;

	json_array_foreach(shell, i, v)
		words_add(&b->arena, &words, arena_dup(&b->arena, json_string_value(v)));
	json_decref(shell);
	words_add(&b->arena, &words, arena_printf(&b->arena, is_joined ? "#(nop) %s" : "#(nop)  %s", comment));
	return words_join(&b->arena, &words, " ");
}

/* ---- new images ---- */

static int make_image(struct build *b, struct layer *layer, const char *created_by, struct error *err)
{
	struct image_child child = { .parent = b->image_id ? images_by_id(b->engine->images, b->image_id) : NULL,
				     .layer = layer,
				     .take_config = json_deep_copy(b->config),
				     .created_by = created_by,
				     .author = b->author,
				     .created_ns = b->epoch_s > 0 ? b->epoch_s * NS : 0,
				     .kind = IMAGE_BUILT };
	struct image *i;

	if (b->image_id && !child.parent) {
		json_decref(child.take_config);
		return error_set(err, -ENOENT, "No such image: %s", b->image_id);
	}
	i = images_make_child(b->engine->images, &child);
	build_set_image(b, i->id);
	return 0;
}

/* ---- the cache ---- */

static bool is_same_text(const char *x, const char *y)
{
	return x && y ? strcmp(x, y) == 0 : x == y;
}

static bool is_step(const struct build *b, const struct image *i, const char *created_by)
{
	json_t *history = json_object_get(i->config, "history");
	json_t *last = json_array_get(history, json_array_size(history) - 1);

	return i->is_step && (b->image_id || json_array_size(history) == 1) && /* a parent that was removed is none either */
	       is_same_text(json_string_value(json_object_get(last, "created_by")), created_by) &&
	       (b->epoch_s < 0 || i->created_ns == b->epoch_s * NS);
}

/* ---- cachefrom: images that may have come from elsewhere, without their parents: the history tells ---- */

static const char *command_of(json_t *history, size_t at)
{
	return json_string_value(json_object_get(json_array_get(history, at), "created_by"));
}

static bool is_empty(json_t *history, size_t at)
{
	return json_is_true(json_object_get(json_array_get(history, at), "empty_layer"));
}

/* Has the image begun as the stage has so far? */
static bool begins_as(json_t *history, json_t *before)
{
	for (size_t i = 0; i < json_array_size(before); i++)
		if (!is_same_text(command_of(history, i), command_of(before, i)) || is_empty(history, i) != is_empty(before, i))
			return false;
	return true;
}

/* The layer of the image that lies upon `below`; NULL: there is none. */
static struct layer *layer_upon(const struct image *i, const struct layer *below)
{
	struct layer *l = i->top;

	while (l && l->parent != below)
		l = l->parent;
	return l;
}

static bool take_from(struct build *b, const struct image *i, const char *created_by)
{
	struct image *now = b->image_id ? images_by_id(b->engine->images, b->image_id) : NULL;
	json_t *before = now ? json_object_get(now->config, "history") : NULL,
	       *history = json_object_get(i->config, "history");
	size_t at = json_array_size(before);
	struct layer *l = NULL;

	if (json_array_size(history) <= at || !is_same_text(command_of(history, at), created_by) || !begins_as(history, before))
		return false;
	if (!is_empty(history, at)) {
		l = layer_upon(i, now ? now->top : NULL);
		if (!l)
			return false;
	} else if (now && now->top && !layer_upon(i, now->top) && i->top != now->top) {
		return false; /* of another base */
	}
	return make_image(b, l, created_by, NULL) == 0;
}

static bool probe_others(struct build *b, const char *created_by)
{
	struct image *i;
	json_t *ref;
	size_t k;

	json_array_foreach(b->options.cache_from, k, ref) {
		if (images_find(b->engine->images, json_string_value(ref), &i, NULL) < 0 || !take_from(b, i, created_by))
			continue;
		output_text(b, " ---> Using cache\n");
		return true;
	}
	return false;
}

/* With sources named, only what one of them was made of counts, even of our own steps, as in moby (image/cache): so a source that
 * is not there means no cache at all. */
static bool is_of_sources(const struct build *b, const struct image *step)
{
	struct images *images = b->engine->images;
	struct image *i;
	json_t *ref;
	size_t k;

	if (json_array_size(b->options.cache_from) == 0)
		return true;
	json_array_foreach(b->options.cache_from, k, ref) {
		if (images_find(images, json_string_value(ref), &i, NULL) < 0)
			continue;
		while (i && i != step)
			i = i->parent_id ? images_by_id(images, i->parent_id) : NULL;
		if (i)
			return true;
	}
	return false;
}

bool cache_probe(struct build *b, const char *created_by)
{
	if (b->options.no_cache || b->is_cache_lost)
		return false;
	for (struct image *i = images_child(b->engine->images, b->image_id, NULL); i;
	     i = images_child(b->engine->images, b->image_id, i)) {
		if (!is_step(b, i, created_by) || !is_of_sources(b, i))
			continue;
		output_text(b, " ---> Using cache\n");
		images_use_step(b->engine->images, i);
		build_set_image(b, i->id);
		return true;
	}
	if (probe_others(b, created_by))
		return true;
	b->is_cache_lost = true;
	return false;
}

/* ---- what a step has made ---- */

struct layer *build_top(struct build *b)
{
	struct image *i = b->image_id ? images_by_id(b->engine->images, b->image_id) : NULL;

	return i ? i->top : NULL;
}

int commit_image(struct build *b, struct layer *layer, const char *created_by, struct error *err)
{
	int r = make_image(b, layer, created_by, err);

	if (r == 0)
		images_tell_created(b->engine->images, images_by_id(b->engine->images, b->image_id));
	return r;
}

struct committing {
	struct build *build;
	char *created_by;
};

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct committing *c = arg;
	struct build *b = c->build;

	struct error own = { 0 };

	b->layer_job = NULL;
	if (!err && commit_image(b, l, c->created_by, &own) < 0)
		err = &own;
	free(c->created_by);
	free(c);
	step_done(b, err, 0);
}

void commit_upper(struct build *b, const char *upper, const char *created_by)
{
	struct layer_write_options opt = { .max_mtime_s = b->epoch_s > 0 ? b->epoch_s : 0 };
	struct committing *c = xnew(struct committing);

	c->build = b;
	c->created_by = xstrdup(created_by);
	b->layer_job = layers_commit(images_layers(b->engine->images), build_top(b), upper, &opt, on_layer, c);
}

/* ---- where files are ---- */

char *build_root(struct build *b, const char *image_id)
{
	struct image *i = image_id ? images_by_id(b->engine->images, image_id) : NULL;

	return xstrdup(i ? image_root(b->engine->images, i) : layers_empty_root(images_layers(b->engine->images)));
}

char *build_new_upper(struct build *b)
{
	return xasprintf("%s/step-%u", b->dir, ++b->nuppers);
}

int build_make_upper(const char *path, struct error *err)
{
	if (mkdir(path, 0755) < 0 || chmod(path, 0755) < 0) /* whatever our umask */
		return error_set(err, -errno, "no directory for the step: %s", strerror(errno));
	return 0;
}
