/* Docker archives by their manifest.json, and what the other two forms have in common with them. */
#include "image/load_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/archives.h"
#include "image/blobs.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/decode.h"
#include "util/json.h"

enum { MANIFEST_MAX = 16 << 20, COPY_BYTES = 256 << 10 };

/* ---- the plan ---- */

void load_plan_done(struct load_plan *plan)
{
	for (size_t i = 0; i < plan->nimages; i++) {
		struct load_image *image = &plan->images[i];

		for (size_t k = 0; k < image->nlayers; k++)
			free(image->layers[k].path);
		free(image->layers);
		free(image->config);
		free(image->parent);
		json_decref(image->names);
	}
	free(plan->images);
	*plan = (struct load_plan){ 0 };
}

int load_plan_add(struct load_plan *plan, char *take_config, size_t len, struct load_image **ret, struct error *err)
{
	plan->config_bytes += len;
	if (plan->nimages >= LOAD_IMAGES_MAX || plan->config_bytes > LOAD_CONFIGS_MAX) {
		free(take_config);
		return error_set_class(err, ERROR_INVALID, "invalid archive: too many images");
	}
	if (plan->nimages == plan->size) {
		plan->size = plan->size ? 2 * plan->size : 4;
		plan->images = xrealloc(plan->images, plan->size * sizeof(*plan->images));
	}
	*ret = &plan->images[plan->nimages++];
	**ret = (struct load_image){ .config = take_config, .config_len = len, .names = json_array() };
	return 0;
}

void load_image_add_layer(struct load_image *i, char *take_path, const char *digest)
{
	i->layers = xrealloc(i->layers, (i->nlayers + 1) * sizeof(*i->layers));
	i->layers[i->nlayers] = (struct load_layer){ .path = take_path };
	if (digest)
		memcpy(i->layers[i->nlayers].digest, digest, DIGEST_LEN + 1);
	i->nlayers++;
}

int load_image_add_name(struct load_image *i, const char *name, struct error *err)
{
	CLEANUP(freep) char *tagged = NULL;
	struct reference ref;
	int r = reference_parse(name, &ref, err);

	if (r < 0)
		return r;
	if (!*ref.tag || *ref.digest)
		return error_set_class(err, ERROR_INVALID, "invalid tag \"%.300s\"", name);
	tagged = reference_tagged(&ref);
	json_array_append_new(i->names, json_string(tagged));
	return 0;
}

int load_stage(const struct archive_index *x, int fd, const char *data_root, const char *path, const char *expected,
	       char ret_digest[DIGEST_LEN + 1], char **ret_staged, struct error *err)
{
	const struct archive_file *f = archive_index_find(x, path);
	CLEANUP(freep) char *buffer = NULL;
	struct blob_writer *w;
	uint64_t bytes;
	int r = 0;

	if (!f)
		return error_set_class(err, ERROR_INVALID, "invalid archive: open %.300s: no such file or directory", path);
	w = blob_writer_new(data_root, err);
	if (!w)
		return err->code;
	buffer = xmalloc(COPY_BYTES);
	for (int64_t at = 0; r == 0 && at < f->size;) {
		size_t want = f->size - at < COPY_BYTES ? (size_t)(f->size - at) : COPY_BYTES;
		ssize_t n = pread(fd, buffer, want, f->offset + at);

		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : n == 0 ? -EIO : blob_writer_add(w, buffer, (size_t)n);
		at += n > 0 ? n : 0;
	}
	if (r == 0)
		return blob_writer_end(w, expected, ret_digest, &bytes, ret_staged, err);
	blob_writer_abort(w);
	return error_set(err, r, "the content store: %s", strerror(-r));
}

/* ---- manifest.json ---- */

static const struct decode_field item_fields[] = {
	{ "Config", &decode_string },
	{ "RepoTags", &decode_strings },
	{ "Layers", &decode_strings },
	{ "Parent", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type item_type = { .kind = DECODE_STRUCT, .go = "manifestItem", .fields = item_fields };
static const struct decode_type manifest_type = { .kind = DECODE_LIST, .go = "[]tarexport.manifestItem", .of = &item_type };

static bool is_for(const char *config, size_t len, const struct image_platform *platform)
{
	json_t *o = json_loadb(config, len, 0, NULL);
	struct image_platform p;

	image_platform_of(&p, o);
	json_decref(o);
	return image_platform_matches(platform, &p);
}

static int add_item(const struct archive_index *x, json_t *item, const struct image_platform *platform,
		    struct load_plan *plan, struct error *err)
{
	const char *path = json_text(item, "Config");
	struct load_image *image;
	size_t at, len;
	json_t *v;
	char *config;
	int r = archive_index_text(x, path, IMAGE_CONFIG_MAX, &config, &len, err);

	if (r == -ENOENT && !err->code)
		return error_set_class(err, ERROR_INVALID, "invalid archive: open %.300s: no such file or directory", path);
	if (r < 0)
		return r;
	if (platform && !is_for(config, len, platform)) {
		free(config);
		return 0;
	}
	r = load_plan_add(plan, config, len, &image, err);
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(item, "Layers"), at, v)
		load_image_add_layer(image, xstrdup(json_string_value(v)), NULL);
	if (*json_text(item, "Parent"))
		image->parent = xstrdup(json_text(item, "Parent"));
	json_array_foreach(json_object_get(item, "RepoTags"), at, v)
		if (load_image_add_name(image, json_string_value(v), err) < 0)
			return err->code;
	return 0;
}

static int parse_manifest(const char *text, size_t len, json_t **ret, struct error *err)
{
	json_error_t where;
	json_t *said = json_loadb(text, len, JSON_DECODE_ANY, &where);
	int r;

	if (!said)
		return error_set_class(err, ERROR_INVALID, "invalid archive: failed to decode manifest.json: %.200s",
				       where.text);
	if (json_is_null(said)) {
		json_decref(said);
		return error_set_class(err, ERROR_INVALID, "invalid manifest, manifest cannot be null (but can be [])");
	}
	r = decode_json(said, &manifest_type, ret, err);
	json_decref(said);
	if (r < 0)
		error_prefix(err, "invalid archive: failed to decode manifest.json");
	return r;
}

/* -ENOENT without an error: there is none. */
static int read_manifest(const struct archive_index *x, const struct image_platform *platform, struct load_plan *plan,
			 struct error *err)
{
	CLEANUP(freep) char *text = NULL;
	json_t *manifest = NULL, *item;
	size_t len, at;
	int r = archive_index_text(x, "manifest.json", MANIFEST_MAX, &text, &len, err);

	if (r == 0)
		r = parse_manifest(text, len, &manifest, err);
	json_array_foreach(manifest, at, item)
		if (r == 0)
			r = add_item(x, item, platform, plan, err);
	json_decref(manifest);
	return r;
}

int load_plan_read(const struct archive_index *x, int fd, const char *data_root, const struct image_platform *platform,
		   struct load_plan *ret, struct error *err)
{
	struct load_plan plan = { 0 };
	int r = -ENOENT;

	/* manifest.json knows one platform of each image, index.json all of them. */
	if (platform && archive_index_find(x, "index.json"))
		r = load_oci_read(x, platform, &plan, err);
	if (r == -ENOENT && !err->code)
		r = read_manifest(x, platform, &plan, err);
	if (r == -ENOENT && !err->code)
		r = load_oci_read(x, platform, &plan, err);
	if (r == -ENOENT && !err->code)
		r = load_legacy_read(x, fd, data_root, &plan, err);
	if (r == -ENOENT && !err->code)
		r = error_set_class(err, ERROR_INVALID, "invalid archive: does not contain a manifest.json");
	if (r < 0)
		load_plan_done(&plan);
	else
		*ret = plan;
	return r;
}
