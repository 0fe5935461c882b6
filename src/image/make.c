/* New images: over the built-in root, or upon another image. */
#include <stdlib.h>
#include <string.h>

#include "image/internal.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

int images_make_over(struct images *im, const char *text, enum image_kind kind, json_t *changes, struct image **ret,
		     struct error *err)
{
	struct image *builtin = images_next(im, NULL), *i;
	json_t *config, *settings;
	struct reference ref;
	int r = reference_parse(text, &ref, err);

	if (r < 0)
		return r;
	while (builtin->kind != IMAGE_BUILTIN) /* always there */
		builtin = images_next(im, builtin);
	config = json_deep_copy(builtin->config);
	settings = json_object_get(config, "config");
	if (kind == IMAGE_SYNTHETIC)
		json_object_set_new(json_object_get(settings, "Labels"), "sockerless.image", json_string("synthetic"));
	json_object_set_new(json_object_get(settings, "Labels"), "sockerless.image.reference", json_string(text));
	json_object_update_recursive(settings, changes);
	i = image_add(im, config, NULL, kind, NULL, builtin->top);
	image_event(im, "pull", i, text);
	*ret = i;
	if (*ref.digest && !*ref.tag) {
		CLEANUP(freep) char *name = xasprintf("%s@%s", ref.name, ref.digest);

		images_add_digest(im, i, name);
		return 0;
	}
	return images_tag(im, i, ref.name, *ref.tag ? ref.tag : NULL, err);
}

/* ---- upon another image ---- */

static void put_text(json_t *o, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(o, key, json_string(text));
}

static json_t *copy_array(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_is_array(v) ? json_copy(v) : json_array();
}

static void set_platform(json_t *config, const struct image_child *child)
{
	static const char *const keys[] = { "os", "architecture", "variant" };
	CLEANUP(freep) char *copy = xstrdup(child->platform ? child->platform : "linux/amd64");
	char *at = copy;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
		json_t *of_parent = child->parent ? json_object_get(child->parent->config, keys[k]) : NULL;

		if (of_parent && !child->platform)
			json_object_set(config, keys[k], of_parent);
		else if (!(child->parent && !child->platform))
			put_text(config, keys[k], strsep(&at, "/"));
	}
}

static json_t *history_entry(const struct image_child *child, const char *when)
{
	json_t *entry = json_pack("{s:s}", "created", when);

	put_text(entry, "author", child->author);
	put_text(entry, "created_by", child->created_by);
	put_text(entry, "comment", child->comment);
	if (!child->layer)
		json_object_set_new(entry, "empty_layer", json_true());
	return entry;
}

struct image *images_make_child(struct images *im, const struct image_child *child)
{
	json_t *below = child->parent ? child->parent->config : NULL;
	json_t *diff_ids = copy_array(json_object_get(below, "rootfs"), "diff_ids"), *history = copy_array(below, "history");
	json_t *config = json_object();
	char when[CLOCK_RFC3339_MAX];
	struct image *i;

	clock_format_rfc3339(child->created_ns ? child->created_ns : clock_wall_ns(), when);
	if (child->layer)
		json_array_append_new(diff_ids, json_string(child->layer->diff_id));
	json_array_append_new(history, history_entry(child, when));
	set_platform(config, child);
	put_text(config, "author", child->author);
	put_text(config, "comment", child->comment);
	json_object_set_new(config, "config", child->take_config);
	json_object_set_new(config, "created", json_string(when));
	json_object_set_new(config, "history", history);
	json_object_set_new(config, "rootfs", json_pack("{s:s, s:o}", "type", "layers", "diff_ids", diff_ids));
	i = image_add(im, config, NULL, child->kind, child->parent ? child->parent->id : NULL,
		      child->layer  ? child->layer :
		      child->parent ? child->parent->top :
				      NULL);
	if (child->kind == IMAGE_BUILT)
		images_use_step(im, i);
	else
		image_save(im, i);
	return i;
}

void images_tell_created(struct images *im, const struct image *i)
{
	image_event(im, "create", i, i->id);
}
