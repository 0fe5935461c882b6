/* What images and containers have to do with each other: whether an image is
 * in use, and its removal. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "image/images.h"
#include "image/reference.h"

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

/* A container that uses the image, a running one first; NULL: none. */
static const struct container *find_user(struct engine *e, const struct image *i, bool *ret_is_running)
{
	const struct container *user = NULL;

	*ret_is_running = false;
	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		if (!is_user(c, i))
			continue;
		user = c;
		*ret_is_running = container_is_live(c);
		if (*ret_is_running)
			break;
	}
	return user;
}

size_t engine_image_users(struct engine *e, const struct image *i)
{
	size_t n = 0;

	list_for_each(it, &e->containers.by_age)
		n += strcmp(container_of(it, struct container, by_age)->image_id, i->id) == 0;
	return n;
}

static bool is_used(void *arg, const struct image *i)
{
	bool is_running;

	return find_user(arg, i, &is_running) != NULL;
}

int engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune, json_t **ret_report, struct error *err)
{
	struct image_removal rm = { .ref = ref, .force = force, .no_prune = no_prune, .is_used = is_used, .arg = e };
	const struct container *user;
	struct image *i;
	int r = images_find(e->images, ref, &i, err);

	if (r < 0)
		return r;
	user = find_user(e, i, &rm.is_user_running);
	rm.user = user ? user->id : NULL;
	return images_remove(e->images, &rm, ret_report, err);
}

json_t *engine_images_prune(struct engine *e, bool (*match)(void *arg, const struct image *i), void *arg, int64_t *ret_bytes)
{
	json_t *report = json_array();
	struct image *next;

	*ret_bytes = 0;
	for (struct image *i = images_next(e->images, NULL); i; i = next) {
		struct image_removal rm = { .ref = i->id, .force = true, .is_used = is_used, .arg = e };
		int64_t bytes = i->size_bytes;
		bool is_running;
		json_t *part;

		next = images_next(e->images, i);
		if (i->kind == IMAGE_BUILTIN || find_user(e, i, &is_running) || !match(arg, i))
			continue;
		if (images_remove(e->images, &rm, &part, NULL) < 0)
			continue;
		json_array_extend(report, part);
		json_decref(part);
		*ret_bytes += bytes;
	}
	return report;
}
