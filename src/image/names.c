/* The names of images: given, taken away, and the removal of what has none left. */
#include <stdlib.h>
#include <string.h>

#include "image/internal.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

bool image_names_find(json_t *names, const char *text, size_t *ret_at)
{
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v) {
		if (strcmp(json_string_value(v), text) != 0)
			continue;
		if (ret_at)
			*ret_at = i;
		return true;
	}
	return false;
}

void image_give_name(struct images *im, struct image *i, const char *name)
{
	struct image *owner = map_get(&im->by_name, name);
	size_t at;

	if (owner == i)
		return;
	if (owner && image_names_find(owner->tags, name, &at)) {
		json_array_remove(owner->tags, at);
		image_save(im, owner);
	}
	json_array_append_new(i->tags, json_string(name));
	map_put(&im->by_name, name, i);
	image_save(im, i);
}

int images_tag(struct images *im, struct image *i, const char *repo, const char *tag, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;
	int r = reference_of_repo(repo, tag, &ref, err);

	if (r == 0 && strcmp(ref.name, "sha256") == 0)
		r = error_set_class(err, ERROR_INVALID, "refusing to create an ambiguous tag using digest algorithm as name");
	if (r < 0)
		return r;
	name = reference_tagged(&ref);
	image_give_name(im, i, name);
	i->tagged_ns = clock_wall_ns();
	image_save(im, i);
	image_event(im, "tag", i, name);
	return 0;
}

void images_add_digest(struct images *im, struct image *i, const char *name)
{
	struct image *owner = map_get(&im->by_name, name);
	size_t at;

	if (owner == i)
		return;
	if (owner && image_names_find(owner->digests, name, &at)) {
		json_array_remove(owner->digests, at);
		image_save(im, owner);
	}
	json_array_append_new(i->digests, json_string(name));
	map_put(&im->by_name, name, i);
	image_save(im, i);
}

/* ---- removal ---- */

/* Takes names[at] from the image: one of its tags or digests. */
static void untag(struct images *im, struct image *i, json_t *names, size_t at, json_t *report)
{
	json_t *name = json_incref(json_array_get(names, at));

	json_array_remove(names, at);
	map_remove(&im->by_name, json_string_value(name));
	image_save(im, i);
	image_event(im, "untag", i, json_string_value(name));
	json_array_append_new(report, json_pack("{s:o}", "Untagged", name));
}

static int check_removal(struct images *im, const struct image *i, const char *ref, bool is_by_tag, bool force,
			 const char *user, bool is_user_running, struct error *err)
{
	size_t ntags = json_array_size(i->tags);
	const char *shown = i->id + 7;

	if (is_by_tag && ntags > 1)
		return 0; /* only a name goes */
	if (i->kind == IMAGE_BUILTIN)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - the image is built in", shown);
	if (user && is_user_running)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to %s \"%.200s\" (cannot be forced) - container %.12s is using its referenced image %.12s",
				       is_by_tag ? "remove repository reference" : "delete", ref, user, shown);
	if (user && !force && is_by_tag)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to remove repository reference \"%.200s\" (must force) - container %.12s is using its referenced image %.12s",
				       ref, user, shown);
	if (user && !force)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (must be forced) - image is being used by stopped container %.12s",
				       shown, user);
	if (!is_by_tag && images_has_child(im, i))
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - image has dependent child images",
				       shown);
	if (!is_by_tag && ntags > 1 && !force)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
				       shown);
	return 0;
}

static void delete_image(struct images *im, struct image *i, json_t *report)
{
	json_array_append_new(report, json_pack("{s:s}", "Deleted", i->id));
	image_event(im, "delete", i, i->id);
	store_delete(im->options.store, "image", i->id);
	image_drop(im, i);
}

/* What only the deleted image had as its parent, and nobody has named, was a step of its build. */
static void delete_parents(struct images *im, const struct image_removal *rm, const char *id, json_t *report)
{
	struct image *i = id ? images_by_id(im, id) : NULL;

	while (i && i->kind != IMAGE_BUILTIN && json_array_size(i->tags) == 0 && json_array_size(i->digests) == 0 &&
	       !images_has_child(im, i) && !(rm->is_used && rm->is_used(rm->arg, i))) {
		CLEANUP(freep) char *parent = xstrdup(i->parent_id);

		delete_image(im, i, report);
		i = parent ? images_by_id(im, parent) : NULL;
	}
}

/* The array and the place in it of the name that was asked for; false: asked for by id. */
static bool find_name(struct image *i, const char *text, json_t **ret_names, size_t *ret_at)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;

	if (reference_parse(text, &ref, NULL) < 0)
		return false;
	name = *ref.digest ? xasprintf("%s@%s", ref.name, ref.digest) : reference_tagged(&ref);
	*ret_names = *ref.digest ? i->digests : i->tags;
	return image_names_find(*ret_names, name, ret_at);
}

int images_remove(struct images *im, const struct image_removal *rm, json_t **ret_report, struct error *err)
{
	CLEANUP(freep) char *parent = NULL;
	json_t *report, *names = NULL;
	struct image *i;
	bool is_by_name;
	size_t at = 0;
	int r = images_find(im, rm->ref, &i, err);

	if (r < 0)
		return r;
	is_by_name = find_name(i, rm->ref, &names, &at);
	r = check_removal(im, i, rm->ref, is_by_name, rm->force, rm->user, rm->is_user_running, err);
	if (r < 0)
		return r;
	report = json_array();
	*ret_report = report;
	if (is_by_name)
		untag(im, i, names, at, report);
	/* The last tag takes the digests with it (moby: imageDeleteHelper). */
	if (is_by_name && json_array_size(i->tags) > 0)
		return 0;
	while (json_array_size(i->tags) > 0)
		untag(im, i, i->tags, 0, report);
	while (json_array_size(i->digests) > 0)
		untag(im, i, i->digests, 0, report);
	if (rm->user || images_has_child(im, i))
		return 0; /* a stopped container keeps it, or those that were built upon it: nameless */
	parent = xstrdup(i->parent_id);
	delete_image(im, i, report);
	if (!rm->no_prune)
		delete_parents(im, rm, parent, report);
	return 0;
}
