/* docker save: an archive that is an OCI layout (index.json, oci-layout) and a Docker archive (manifest.json,
 * repositories) at once, as Docker writes it since 25. Layers are plain tars under their diff ids. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/archives.h"
#include "image/internal.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/save_tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/pump.h"

struct saved_layer {
	char diff_id[DIGEST_LEN + 1];
	char *path;              /* of its blob */
	uint64_t bytes;          /* without compression; 0: to be measured */
};

struct saved_image {
	char *id, *config, *parent;
	json_t *names;           /* familiar, with tags; those that were asked for */
	struct layer *top;       /* a reference: its blobs stay */
	struct saved_layer *layers;
	size_t nlayers;
	int64_t created_s;
};

struct image_save {
	uv_work_t work;
	struct images *images;
	struct saved_image *saved;
	size_t nsaved;
	struct save_tar *tar;
	struct stream *(*head)(void *arg, const struct error *err);
	void *arg;
	struct error err;
};

static void save_free(struct image_save *s)
{
	for (size_t i = 0; i < s->nsaved; i++) {
		struct saved_image *image = &s->saved[i];

		for (size_t k = 0; k < image->nlayers; k++)
			free(image->layers[k].path);
		free(image->layers);
		free(image->id);
		free(image->config);
		free(image->parent);
		json_decref(image->names);
		layer_unref(s->images->layers, image->top);
	}
	free(s->saved);
	save_tar_free(s->tar);
	free(s);
}

/* ---- which images: moby's tarexport.parseNames ---- */

static int add_layers(struct image_save *s, struct saved_image *image, struct error *err)
{
	size_t n = 0;

	for (const struct layer *l = image->top; l; l = l->parent)
		n++;
	image->layers = xcalloc(n + 1, sizeof(*image->layers));
	image->nlayers = n;
	for (const struct layer *l = image->top; l; l = l->parent) {
		struct saved_layer *to = &image->layers[--n];

		memcpy(to->diff_id, l->diff_id, sizeof(to->diff_id));
		to->bytes = l->tar_bytes;
		to->path = layer_blob_path(s->images->layers, l);
		if (!to->path && l == layers_builtin(s->images->layers))
			return error_set(err, -ENOENT, "the built-in image cannot be saved: %.300s.tar is not there", l->root);
		if (!to->path)
			return error_set(err, -ENOENT, "the content of layer %s is not kept", l->diff_id);
	}
	return 0;
}

static int check_platform(const struct image *i, const struct image_platform *wanted, struct error *err)
{
	struct image_platform p;
	char text[200];

	image_platform_of(&p, i->config);
	if (!wanted || image_platform_matches(wanted, &p))
		return 0;
	image_platform_format(wanted, text, sizeof(text));
	return error_set(err, -ENOENT, "no suitable export target found for platform %s", text);
}

/* `name` NULL: asked for without one. */
static int add(struct image_save *s, const struct image *i, const char *name, const struct image_platform *wanted,
	       struct error *err)
{
	struct saved_image *image = NULL;
	size_t at = 0;

	while (at < s->nsaved && strcmp(s->saved[at].id, i->id) != 0)
		at++;
	if (at == s->nsaved) {
		if (check_platform(i, wanted, err) < 0)
			return err->code;
		s->saved = xrealloc(s->saved, (s->nsaved + 1) * sizeof(*s->saved));
		image = &s->saved[s->nsaved++];
		*image = (struct saved_image){ .id = xstrdup(i->id),
					       .config = image_config_text(i),
					       .parent = i->parent_id ? xstrdup(i->parent_id) : NULL,
					       .names = json_array(),
					       .top = layer_ref(i->top),
					       .created_s = i->created_ns / 1000000000 };
		if (add_layers(s, image, err) < 0)
			return err->code;
		if (image->nlayers != json_array_size(json_object_get(json_object_get(i->config, "rootfs"), "diff_ids")))
			return error_set(err, -ENOENT,
					 "image %.19s cannot be saved: it is built upon another version's built-in image",
					 i->id);
	}
	image = &s->saved[at];
	if (name && !image_names_find(image->names, name, NULL))
		json_array_append_new(image->names, json_string(name));
	return 0;
}

static int add_by_id(struct image_save *s, const char *text, const struct image_platform *wanted, struct error *err)
{
	struct image *i = image_by_prefix(s->images, text);

	return i ? add(s, i, NULL, wanted, err) : error_set_class(err, ERROR_NOT_FOUND, "No such image: %.300s", text);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every tag of the repository; its digests mean images without a name in the archive. */
static int add_repository(struct image_save *s, const struct reference *ref, const char *text,
			  const struct image_platform *wanted, struct error *err)
{
	const char **found = xcalloc(s->images->by_name.count + 1, sizeof(*found));
	size_t n = 0, pos = 0, len = strlen(ref->name);
	const struct map_entry *e;
	int r = 0;

	while ((e = map_next(&s->images->by_name, &pos)))
		if (strncmp(e->key, ref->name, len) == 0 &&
		    (e->key[len] == '@' || (e->key[len] == ':' && !strchr(e->key + len, '/'))))
			found[n++] = e->key;
	qsort(found, n, sizeof(*found), compare_texts);
	for (size_t k = 0; r == 0 && k < n; k++)
		r = add(s, map_get(&s->images->by_name, found[k]), found[k][len] == ':' ? found[k] : NULL, wanted, err);
	free(found);
	return r == 0 && n == 0 ? add_by_id(s, text, wanted, err) : r;
}

static int add_by_name(struct image_save *s, const char *text, const struct image_platform *wanted, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;
	struct image *i;
	int r;

	if (digest_is_valid(text) || digest_is_hex(text))
		return add_by_id(s, text, wanted, err);
	r = reference_parse(text, &ref, err);
	if (r < 0)
		return r;
	if (strcmp(ref.name, "sha256") == 0)
		return add_by_id(s, text, wanted, err);
	if (!*ref.tag && !*ref.digest)
		return add_repository(s, &ref, text, wanted, err);
	name = *ref.digest ? xasprintf("%s@%s", ref.name, ref.digest) : reference_tagged(&ref);
	i = map_get(&s->images->by_name, name);
	if (!i)
		return error_set_class(err, ERROR_NOT_FOUND, "reference does not exist");
	return add(s, i, *ref.digest ? NULL : name, wanted, err);
}

/* ---- the archive's texts, on the pool ---- */

#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"

static int measure(struct image_save *s)
{
	for (size_t i = 0; i < s->nsaved; i++) {
		for (size_t k = 0; k < s->saved[i].nlayers; k++) {
			struct saved_layer *l = &s->saved[i].layers[k];
			struct blob_reader *reader;

			if (l->bytes > 0)
				continue;
			reader = blob_reader_open(l->path, &s->err);
			if (!reader)
				return s->err.code;
			l->bytes = blob_reader_drain(reader);
			blob_reader_close(reader);
		}
	}
	return 0;
}

static char *dump(json_t *take, size_t *ret_len)
{
	char *text = json_dumps(take, JSON_COMPACT);

	json_decref(take);
	*ret_len = strlen(text);
	return text;
}

static json_t *descriptor(const char *type, const char *digest, uint64_t size)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
}

static void add_blob_text(struct image_save *s, const char *digest, char *take_text, size_t len, int64_t mtime_s)
{
	CLEANUP(freep) char *name = xasprintf("blobs/sha256/%s", digest + 7);

	save_tar_add_text(s->tar, name, take_text, len, mtime_s);
}

static void add_blobs(struct image_save *s, const struct saved_image *image)
{
	add_blob_text(s, image->id, xstrdup(image->config), strlen(image->config), image->created_s);
	for (size_t k = 0; k < image->nlayers; k++) {
		const struct saved_layer *l = &image->layers[k];
		CLEANUP(freep) char *name = xasprintf("blobs/sha256/%s", l->diff_id + 7);

		save_tar_add_blob(s->tar, name, xstrdup(l->path), l->diff_id, l->bytes, image->created_s);
	}
}

/* The OCI manifest; its descriptor. */
static json_t *add_manifest(struct image_save *s, const struct saved_image *image)
{
	json_t *layers = json_array(), *config;
	char digest[DIGEST_LEN + 1], *text;
	size_t len;

	for (size_t k = 0; k < image->nlayers; k++)
		json_array_append_new(layers, descriptor(LAYER_TYPE, image->layers[k].diff_id, image->layers[k].bytes));
	config = descriptor("application/vnd.oci.image.config.v1+json", image->id, strlen(image->config));
	text = dump(json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
			      "application/vnd.oci.image.manifest.v1+json", "config", config, "layers", layers),
		    &len);
	digest_of(text, len, digest);
	add_blob_text(s, digest, text, len, 0);
	return descriptor("application/vnd.oci.image.manifest.v1+json", digest, len);
}

static void add_to_index(json_t *manifests, json_t *take_descriptor, json_t *names)
{
	json_t *name, *named;
	size_t at;

	json_array_foreach(names, at, name) {
		CLEANUP(freep) char *whole = reference_whole(json_string_value(name));

		named = json_copy(take_descriptor);
		json_object_set_new(named, "annotations",
				    json_pack("{s:s, s:s}", "io.containerd.image.name", whole,
					      "org.opencontainers.image.ref.name", strrchr(whole, ':') + 1));
		json_array_append_new(manifests, named);
	}
	if (json_array_size(names) == 0)
		json_array_append(manifests, take_descriptor);
	json_decref(take_descriptor);
}

static bool has_saved(const struct image_save *s, const char *id)
{
	for (size_t i = 0; id && i < s->nsaved; i++)
		if (strcmp(s->saved[i].id, id) == 0)
			return true;
	return false;
}

static json_t *manifest_item(const struct image_save *s, const struct saved_image *image)
{
	json_t *layers = json_array(), *sources = json_object(), *item;

	for (size_t k = 0; k < image->nlayers; k++) {
		const struct saved_layer *l = &image->layers[k];

		json_array_append_new(layers, json_sprintf("blobs/sha256/%s", l->diff_id + 7));
		json_object_set_new(sources, l->diff_id, descriptor(LAYER_TYPE, l->diff_id, l->bytes));
	}
	item = json_pack("{s:o, s:o, s:o}", "Config", json_sprintf("blobs/sha256/%s", image->id + 7), "RepoTags",
			 json_array_size(image->names) ? json_incref(image->names) : json_null(), "Layers", layers);
	if (has_saved(s, image->parent))
		json_object_set_new(item, "Parent", json_string(image->parent));
	json_object_set_new(item, "LayerSources", sources);
	return item;
}

/* repositories: name → tag → the topmost layer, for what reads archives of Docker before 1.10. */
static void add_to_repositories(json_t *repositories, const struct saved_image *image)
{
	json_t *name;
	size_t at;

	json_array_foreach(image->names, at, name) {
		CLEANUP(freep) char *repository = xstrdup(json_string_value(name));
		char *tag = strrchr(repository, ':');
		json_t *tags;

		*tag++ = '\0';
		tags = json_object_get(repositories, repository);
		if (!tags) {
			tags = json_object();
			json_object_set_new(repositories, repository, tags);
		}
		if (image->nlayers > 0)
			json_object_set_new(tags, tag, json_string(image->layers[image->nlayers - 1].diff_id + 7));
	}
}

/* A line of JSON, as Go's encoder ends it. */
static void add_line(struct image_save *s, const char *name, json_t *take)
{
	CLEANUP(freep) char *text = json_dumps(take, JSON_COMPACT);
	char *line = xasprintf("%s\n", text);

	json_decref(take);
	save_tar_add_text(s->tar, name, line, strlen(line), 0);
}

static void prepare(uv_work_t *w)
{
	struct image_save *s = container_of(w, struct image_save, work);
	json_t *index = json_array(), *manifest = json_array(), *repositories = json_object();
	char *text;
	size_t len;

	if (measure(s) == 0) {
		save_tar_add_dir(s->tar, "blobs/");
		save_tar_add_dir(s->tar, "blobs/sha256/");
	}
	for (size_t i = 0; i < s->nsaved && !s->err.code; i++) {
		add_blobs(s, &s->saved[i]);
		add_to_index(index, add_manifest(s, &s->saved[i]), s->saved[i].names);
		json_array_append_new(manifest, manifest_item(s, &s->saved[i]));
		add_to_repositories(repositories, &s->saved[i]);
	}
	if (json_object_size(repositories) > 0)
		add_line(s, "repositories", json_incref(repositories));
	json_decref(repositories);
	add_line(s, "manifest.json", manifest);
	text = xstrdup("{\"imageLayoutVersion\": \"1.0.0\"}");
	save_tar_add_text(s->tar, "oci-layout", text, strlen(text), 0);
	text = dump(json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType",
			      "application/vnd.oci.image.index.v1+json", "manifests", index),
		    &len);
	save_tar_add_text(s->tar, "index.json", text, len, 0);
}

/* ---- to the client ---- */

static ssize_t draw(void *arg, char *to, size_t size)
{
	struct image_save *s = arg;

	return save_tar_read(s->tar, to, size, &s->err);
}

static void on_sent(void *arg)
{
	save_free(arg);
}

static void on_prepared(uv_work_t *w, int status)
{
	struct image_save *s = container_of(w, struct image_save, work);
	struct stream *stream;

	(void)status;
	for (size_t i = 0; i < s->nsaved && !s->err.code; i++) {
		struct image *image = images_by_id(s->images, s->saved[i].id);

		if (image)
			image_event(s->images, "save", image, image->id);
	}
	stream = s->head(s->arg, s->err.code ? &s->err : NULL);
	if (s->err.code || !stream)
		save_free(s);
	else
		pump_start(s->images->options.loop, stream, draw, on_sent, s);
}

int images_save(struct images *im, const struct image_save_options *opt,
		struct stream *(*head)(void *arg, const struct error *err), void *arg, struct error *err)
{
	struct image_save *s = xnew(struct image_save);
	int r = 0;

	s->images = im;
	s->head = head;
	s->arg = arg;
	for (size_t k = 0; r == 0 && k < opt->nnames; k++)
		r = add_by_name(s, opt->names[k], opt->platform, err);
	if (r < 0) {
		save_free(s);
		return r;
	}
	s->tar = save_tar_new();
	uv_queue_work(im->options.loop, &s->work, prepare, on_prepared);
	return 0;
}
