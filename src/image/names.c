/* The names of images: given, taken away, and the removal of what has none left. */
#include <errno.h>
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

/* Puts the name into the image's list, one of its two, and takes it from the one that had it. */
static void move_name(struct images *im, struct image *i, bool is_tag, const char *name)
{
	struct image *owner = map_get(&im->by_name, name);
	size_t at;

	if (owner == i)
		return;
	if (owner && image_names_find(is_tag ? owner->tags : owner->digests, name, &at)) {
		json_array_remove(is_tag ? owner->tags : owner->digests, at);
		image_save(im, owner);
	}
	json_array_append_new(is_tag ? i->tags : i->digests, json_string(name));
	map_put(&im->by_name, name, i);
	image_save(im, i);
}

void image_give_name(struct images *im, struct image *i, const char *name)
{
	move_name(im, i, true, name);
}

void images_add_digest(struct images *im, struct image *i, const char *name)
{
	move_name(im, i, false, name);
}

int images_name(struct images *im, struct image *i, const char *repo, const char *tag, char **ret_name, struct error *err)
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
	if (ret_name)
		*ret_name = steal_ptr(name);
	return 0;
}

int images_tag(struct images *im, struct image *i, const char *repo, const char *tag, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	int r = images_name(im, i, repo, tag, &name, err);

	if (r == 0)
		image_event(im, "tag", i, name);
	return r;
}

/* ---- removal: moby, daemon/images/image_delete.go ---- */

struct removing {
	struct images *images;
	struct image_removal *rm;
	json_t *report;
};

static void report(struct removing *x, const char *what, const char *name)
{
	json_array_append_new(x->report, json_pack("{s:s}", what, name));
}

/* Takes names[at] from the image: one of its tags or digests. */
static void untag(struct removing *x, struct image *i, json_t *names, size_t at, bool is_told)
{
	json_t *name = json_incref(json_array_get(names, at));

	json_array_remove(names, at);
	map_remove(&x->images->by_name, json_string_value(name));
	image_save(x->images, i);
	if (is_told)
		image_event(x->images, "untag", i, i->id);
	report(x, "Untagged", json_string_value(name));
	json_decref(name);
}

static void untag_all(struct removing *x, struct image *i)
{
	while (json_array_size(i->tags) > 0)
		untag(x, i, i->tags, 0, true);
	while (json_array_size(i->digests) > 0)
		untag(x, i, i->digests, 0, true);
}

static size_t count_names(const struct image *i)
{
	return json_array_size(i->tags) + json_array_size(i->digests);
}

/* How much of "repository:tag" or "repository@digest" is the repository. */
static size_t repository_len(const char *name)
{
	const char *at = strchr(name, '@');

	return (size_t)((at ? at : strrchr(name, ':')) - name);
}

static bool is_same_repository(const char *a, const char *b)
{
	size_t n = repository_len(a);

	return n == repository_len(b) && memcmp(a, b, n) == 0;
}

/* At most one tag, and all of one repository; false without a name. */
static bool is_single_reference(const struct image *i)
{
	json_t *first = json_array_get(json_array_size(i->tags) ? i->tags : i->digests, 0), *name;
	size_t at;

	if (count_names(i) == 0 || json_array_size(i->tags) > 1)
		return false;
	json_array_foreach(i->digests, at, name)
		if (!is_same_repository(json_string_value(name), json_string_value(first)))
			return false;
	return true;
}

static const char *find_user(struct removing *x, const struct image *i, enum image_use use)
{
	return x->rm->find_user ? x->rm->find_user(x->rm->arg, i, use) : NULL;
}

enum { CONFLICT_CHILD = 1, CONFLICT_RUNNING = 2, CONFLICT_NAMES = 4, CONFLICT_STOPPED = 8 };

/* ret_is_used: by a container. */
static int check_conflict(struct removing *x, const struct image *i, unsigned mask, bool *ret_is_used, struct error *err)
{
	const char *shown = i->id + 7, *user;

	*ret_is_used = false;
	if (i->kind == IMAGE_BUILTIN)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - the image is built in", shown);
	if ((mask & CONFLICT_CHILD) && images_has_child(x->images, i))
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - image has dependent child images",
				       shown);
	*ret_is_used = true;
	if (i->holds)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - image is being used by a running build",
				       shown);
	if ((mask & CONFLICT_RUNNING) && (user = find_user(x, i, IMAGE_RUNS)))
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (cannot be forced) - image is being used by running container %.12s",
				       shown, user);
	*ret_is_used = false;
	if ((mask & CONFLICT_NAMES) && count_names(i) > 0)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
				       shown);
	*ret_is_used = true;
	if ((mask & CONFLICT_STOPPED) && (user = find_user(x, i, IMAGE_STOPPED)))
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (must be forced) - image is being used by stopped container %.12s",
				       shown, user);
	return 0;
}

/* The layers that go with the image, the topmost first. */
static void report_layers(struct removing *x, const struct image *i)
{
	for (const struct layer *l = i->top; l && l->refs == 1 && l != layers_builtin(x->images->layers); l = l->parent) {
		report(x, "Deleted", l->chain_id);
		x->rm->freed_bytes += l->bytes;
	}
}

/* `is_quiet`: conflicts are no error, the image stays. */
static int delete_image(struct removing *x, struct image *i, bool force, bool is_quiet, struct error *err)
{
	CLEANUP(freep) char *parent_id = NULL;
	unsigned mask = CONFLICT_CHILD | CONFLICT_RUNNING | (force ? 0 : CONFLICT_NAMES | CONFLICT_STOPPED);
	struct image *parent;
	bool is_used;

	if (check_conflict(x, i, mask, &is_used, err) < 0) {
		bool is_dangling = count_names(i) == 0 && !images_has_child(x->images, i);

		if (!is_quiet || (is_dangling && !is_used && i->kind != IMAGE_BUILTIN))
			return err ? err->code : -EEXIST;
		error_clear(err);
		return 0;
	}
	untag_all(x, i);
	/* Otherwise than in Docker its layers are found by it: a stopped container keeps it, nameless. */
	if (find_user(x, i, IMAGE_USED))
		return 0;
	parent_id = xstrdup(i->parent_id);
	report(x, "Deleted", i->id);
	report_layers(x, i);
	events_publish(x->images->options.events, "image", "delete", i->id, json_pack("{s:s}", "name", i->id));
	store_delete(x->images->options.store, "image", i->id);
	image_drop(x->images, i);
	parent = parent_id && !x->rm->no_prune ? images_by_id(x->images, parent_id) : NULL;
	return parent && parent->kind != IMAGE_BUILTIN ? delete_image(x, parent, false, true, err) : 0;
}

/* A name was given: it goes, and the image with the last one. */
static int remove_name(struct removing *x, struct image *i, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;
	const char *user;
	json_t *names;
	size_t at;
	int r = reference_parse(x->rm->ref, &ref, err);

	if (r < 0)
		return r;
	if (!x->rm->force && is_single_reference(i) && (user = find_user(x, i, IMAGE_USED)))
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to remove repository reference \"%.200s\" (must force) - container %.12s is using its referenced image %.12s",
				       x->rm->ref, user, i->id + 7);
	if (i->kind == IMAGE_BUILTIN && count_names(i) < 2)
		return check_conflict(x, i, 0, &(bool){ false }, err);
	name = *ref.digest ? xasprintf("%s@%s", ref.name, ref.digest) : reference_tagged(&ref);
	names = *ref.digest ? i->digests : i->tags;
	if (image_names_find(names, name, &at))
		untag(x, i, names, at, true);
	if (!*ref.digest) {
		bool has_tag = false;
		json_t *other;

		json_array_foreach(i->tags, at, other)
			has_tag = has_tag || is_same_repository(json_string_value(other), name);
		for (at = 0; !has_tag && at < json_array_size(i->digests);) {
			if (is_same_repository(json_string_value(json_array_get(i->digests, at)), name))
				untag(x, i, i->digests, at, false);
			else
				at++;
		}
	}
	return count_names(i) > 0 ? 0 : delete_image(x, i, x->rm->force, true, err);
}

static int remove_id(struct removing *x, struct image *i, struct error *err)
{
	unsigned mask = CONFLICT_CHILD | CONFLICT_RUNNING | (x->rm->force ? 0 : CONFLICT_STOPPED);
	bool is_used;

	if (is_single_reference(i)) {
		if (check_conflict(x, i, mask, &is_used, err) < 0)
			return err ? err->code : -EEXIST;
		untag_all(x, i);
	}
	return delete_image(x, i, x->rm->force, false, err);
}

int images_remove(struct images *im, struct image_removal *rm, json_t **ret_report, struct error *err)
{
	struct removing x = { im, rm, json_array() };
	struct image *i;
	bool is_by_id;
	int r = images_find(im, rm->ref, &i, err);

	if (r == 0) {
		is_by_id = strncmp(i->id, rm->ref, strlen(rm->ref)) == 0 || strncmp(i->id + 7, rm->ref, strlen(rm->ref)) == 0;
		r = is_by_id ? remove_id(&x, i, err) : remove_name(&x, i, err);
	}
	if (r < 0)
		json_decref(x.report);
	else
		*ret_report = x.report;
	return r;
}
