/* What images and containers have to do with each other: whether an image is
 * in use, and its removal. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"

int engine_check_builder(const char *image_name, struct error *err)
{
	struct reference ref;

	if (reference_parse(image_name, &ref, NULL) < 0 || strncmp(ref.name, "moby/buildkit", 13) != 0)
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "%.200s cannot run here: this engine has no BuildKit. Build with its own builder: set DOCKER_BUILDKIT=0",
			       image_name);
}

/* Made of it, or with it mounted. */
static bool is_user(const struct container *c, const struct image *i)
{
	if (strcmp(c->image_id, i->id) == 0)
		return true;
	for (size_t k = 0; k < c->nmounts; k++)
		if (c->mounts[k].image_id && strcmp(c->mounts[k].image_id, i->id) == 0)
			return true;
	return false;
}

/* Those that is_user may be true of. */
static size_t narrow(struct engine *e, const struct image *i, bool is_live, struct container *const **ret)
{
	struct narrowing by = { .image_id = i->id, .is_live = is_live };
	size_t n;

	return containers_narrow(&e->containers, &by, ret, &n) ? n : 0;
}

static const char *find_user(void *arg, const struct image *i, enum image_use use)
{
	struct container *const *cs;
	size_t n = narrow(arg, i, use == IMAGE_RUNS, &cs);

	for (size_t k = 0; k < n; k++) {
		bool is_of_it = strcmp(cs[k]->image_id, i->id) == 0;

		if (use == IMAGE_USED ? is_user(cs[k], i) : is_of_it && container_is_live(cs[k]) == (use == IMAGE_RUNS))
			return cs[k]->id;
	}
	return NULL;
}

size_t engine_image_users(struct engine *e, const struct image *i)
{
	struct container *const *cs;
	size_t n = narrow(e, i, false, &cs), users = 0;

	for (size_t k = 0; k < n; k++)
		users += strcmp(cs[k]->image_id, i->id) == 0;
	return users;
}

int engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune, json_t **ret_report, struct error *err)
{
	struct image_removal rm = { .ref = ref, .force = force, .no_prune = no_prune, .find_user = find_user, .arg = e };

	return images_remove(e->images, &rm, ret_report, err);
}

bool engine_step_remove(struct engine *e, const char *id, uint64_t *bytes)
{
	struct image_removal rm = { .ref = id, .no_prune = true, .find_user = find_user, .arg = e };
	json_t *report;

	if (images_remove(e->images, &rm, &report, NULL) < 0)
		return false;
	json_decref(report);
	*bytes += rm.freed_bytes;
	return true;
}

/* What the filters mean, by id: removing one takes its parents along. */
static json_t *find_prunable(struct engine *e, bool (*match)(void *arg, const struct image *i), void *arg)
{
	json_t *ids = json_array();

	for (struct image *i = images_next(e->images, NULL); i; i = images_next(e->images, i)) {
		bool is_step = json_array_size(i->tags) + json_array_size(i->digests) == 0 && images_has_child(e->images, i);

		if (i->kind != IMAGE_BUILTIN && !is_step && !i->holds && !find_user(e, i, IMAGE_USED) && match(arg, i))
			json_array_append_new(ids, json_string(i->id));
	}
	return ids;
}

/* One name after the other, as `docker rmi` would (moby: ImagePrune). */
static void prune_one(struct engine *e, const char *id, json_t *report, int64_t *bytes)
{
	struct image *i;

	while ((i = images_by_id(e->images, id))) {
		json_t *name = json_array_get(json_array_size(i->tags) ? i->tags : i->digests, 0), *part;
		CLEANUP(freep) char *ref = xstrdup(name ? json_string_value(name) : id);
		struct image_removal rm = { .ref = ref, .find_user = find_user, .arg = e };

		if (images_remove(e->images, &rm, &part, NULL) < 0)
			return;
		*bytes += (int64_t)rm.freed_bytes;
		json_array_extend(report, part);
		json_decref(part);
		if (!name)
			return;
	}
}

json_t *engine_images_prune(struct engine *e, bool (*match)(void *arg, const struct image *i), void *arg, int64_t *ret_bytes)
{
	json_t *report = json_array(), *ids = find_prunable(e, match, arg), *id;
	size_t at;

	*ret_bytes = 0;
	json_array_foreach(ids, at, id)
		prune_one(e, json_string_value(id), report, ret_bytes);
	json_decref(ids);
	return report;
}
