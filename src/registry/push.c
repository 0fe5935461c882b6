/* A push: which blobs the image consists of, compression of those that are plain, then the program's work.
 *
 * An image that came from a registry, or went to one, has a manifest: it is pushed again as it is, and what the
 * registry has of it is neither compressed nor sent. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/discard.h"
#include "image/layers.h"
#include "image/reference.h"
#include "registry/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/json.h"

#define PARALLEL 5
#define MOUNTS_MAX 4
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"

struct part {
	char digest[DIGEST_LEN + 1]; /* "" until it is compressed */
	char id[13];                 /* of its diff id: what is shown */
	enum blob_compression compression;
	uint64_t size;
	char *source;                /* the layer's own file */
	char *path;                  /* what is sent; NULL: it must be compressed for that */
	bool is_missing, is_temporary;
};

struct push {
	struct list of_registry;
	struct registry *registry;
	struct push_request request;
	char *name, *tag;            /* at work */
	json_t *tags;                /* all that are to be pushed */
	size_t at_tag;
	struct image *image;         /* found again by id after each wait */
	char *image_id, *config, *manifest, *media_type;
	struct layer *top;           /* reference: its blobs stay */
	struct part *parts;          /* lowest first */
	size_t nparts, compressing;
	struct registry_question *question;
	struct helper *helper;
	json_t *result;
	bool is_cancelled;
	uv_async_t *start;
	/* of the pool */
	uv_work_t work;
	bool is_working;             /* or about to start: the object is held */
	atomic_bool is_work_cancelled;
	struct error work_err;
};

static void say(struct push *p, json_t *take_line, bool is_passing)
{
	if (p->is_cancelled)
		json_decref(take_line);
	else
		p->request.on_line(p->request.arg, take_line, is_passing);
}

static void say_of(struct push *p, const struct part *part, const char *text)
{
	json_t *line = line_status(part->id, xstrdup(text));

	json_object_set_new(line, "progressDetail", json_object());
	say(p, line, false);
}

/* ---- its end ---- */

static void release_image(struct push *p)
{
	for (size_t i = 0; i < p->nparts; i++) {
		if (p->parts[i].is_temporary)
			discard_path(p->registry->options.loop, steal_ptr(p->parts[i].path));
		free(p->parts[i].path);
		free(p->parts[i].source);
	}
	free(p->parts);
	p->parts = NULL;
	p->nparts = 0;
	layer_unref(images_layers(p->registry->options.images), p->top);
	p->top = NULL;
	free(p->image_id);
	free(p->config);
	free(p->manifest);
	free(p->media_type);
	p->image_id = p->config = p->manifest = p->media_type = NULL;
	json_decref(p->result);
	p->result = NULL;
}

static void push_free(struct push *p)
{
	list_remove(&p->of_registry);
	if (p->question)
		registry_question_cancel(p->question);
	helper_kill(p->helper);
	release_image(p);
	json_decref(p->request.auth);
	json_decref(p->tags);
	free(p->name);
	free(p->tag);
	free(p);
}

static void leave(struct push *p)
{
	p->is_cancelled = true;
	helper_kill(p->helper);
	p->helper = NULL;
	if (p->is_working)
		atomic_store(&p->is_work_cancelled, true);
	else
		push_free(p);
}

static void end(struct push *p, const struct error *err)
{
	if (!p->is_cancelled)
		p->request.done(p->request.arg, err);
	leave(p);
}

void registry_push_cancel(struct push *p)
{
	leave(p);
}

void pushes_stop(struct registry *r, const struct error *err)
{
	list_for_each_safe(it, &r->pushes)
		end(container_of(it, struct push, of_registry), err);
}

/* ---- the manifest ---- */

/* Is the kept manifest this image's? Then its digests are the parts'. */
static bool take_kept_manifest(struct push *p, const struct image *i)
{
	json_t *m = i->manifest ? json_loads(i->manifest, 0, NULL) : NULL, *layers = json_object_get(m, "layers"), *layer;
	const char *type = json_text(m, "mediaType");
	bool is_ours = strcmp(json_text(json_object_get(m, "config"), "digest"), i->id) == 0 &&
		       json_array_size(layers) == p->nparts;
	size_t at;

	json_array_foreach(layers, at, layer)
		is_ours = is_ours && digest_is_valid(json_text(layer, "digest"));
	if (is_ours) {
		json_array_foreach(layers, at, layer) {
			struct part *part = &p->parts[at];

			if (strcmp(part->digest, json_text(layer, "digest")) != 0) {
				free(part->path);
				part->path = NULL;
			}
			snprintf(part->digest, sizeof(part->digest), "%s", json_text(layer, "digest"));
			part->size = (uint64_t)json_number(layer, "size");
		}
		p->manifest = xstrdup(i->manifest);
		p->media_type = xstrdup(*type ? type : OCI_MANIFEST);
	}
	json_decref(m);
	return is_ours;
}

/* Docker's types; OCI's where a layer is in a compression that Docker's have no name for. */
static void make_manifest(struct push *p)
{
	json_t *layers = json_array(), *m;
	char config[DIGEST_LEN + 1];
	bool is_oci = false;

	for (size_t i = 0; i < p->nparts; i++)
		is_oci = is_oci || p->parts[i].compression == BLOB_ZSTD;
	for (size_t i = 0; i < p->nparts; i++)
		json_array_append_new(layers, json_pack("{s:s, s:I, s:s}", "mediaType",
							!is_oci                              ? DOCKER_LAYER :
							p->parts[i].compression == BLOB_ZSTD ? OCI_LAYER "+zstd" :
											       OCI_LAYER "+gzip",
							"size", (json_int_t)p->parts[i].size, "digest", p->parts[i].digest));
	digest_of(p->config, strlen(p->config), config);
	m = json_pack("{s:i, s:s, s:{s:s, s:I, s:s}, s:o}", "schemaVersion", 2, "mediaType",
		      is_oci ? OCI_MANIFEST : DOCKER_MANIFEST, "config", "mediaType", is_oci ? OCI_CONFIG : DOCKER_CONFIG,
		      "size", (json_int_t)strlen(p->config), "digest", config, "layers", layers);
	free(p->manifest);
	free(p->media_type);
	p->manifest = json_dumps(m, JSON_COMPACT | JSON_PRESERVE_ORDER);
	p->media_type = xstrdup(is_oci ? OCI_MANIFEST : DOCKER_MANIFEST);
	json_decref(m);
}

/* ---- sending ---- */

static bool has_layer(const struct image *i, const char *digest)
{
	for (const struct layer *l = i->top; l; l = l->parent)
		if (strcmp(l->blob, digest) == 0)
			return true;
	return i->manifest && strstr(i->manifest, digest);
}

/* Other repositories of the same registry that have the blob, as far as images here tell. */
static json_t *mounts_of(struct push *p, const char *digest)
{
	CLEANUP(freep) char *domain = NULL, *path = NULL;
	struct images *im = p->registry->options.images;
	json_t *list = json_array(), *v;
	size_t at;

	registry_split(p->name, &domain, &path);
	for (struct image *i = images_next(im, NULL); i; i = images_next(im, i)) {
		if (!has_layer(i, digest))
			continue;
		json_array_foreach(i->digests, at, v) {
			CLEANUP(freep)
			char *name = xstrndup(json_string_value(v), strcspn(json_string_value(v), "@")), *other = NULL,
			     *from = NULL;

			registry_split(name, &other, &from);
			if (strcmp(other, domain) == 0 && strcmp(from, path) != 0 && json_array_size(list) < MOUNTS_MAX)
				json_array_append_new(list, json_string(from));
		}
	}
	return list;
}

static struct part *part_of(struct push *p, json_t *event)
{
	for (size_t i = 0; i < p->nparts; i++)
		if (strcmp(p->parts[i].digest, json_text(event, "digest")) == 0)
			return &p->parts[i];
	return NULL; /* the config: nobody is shown it */
}

static void on_event(void *arg, const char *kind, json_t *event)
{
	struct push *p = arg;
	const struct part *part = part_of(p, event);
	char text[300];

	if (strcmp(kind, "result") == 0 && !p->result)
		p->result = json_incref(event);
	if (!part)
		return;
	if (strcmp(kind, "exists") == 0) {
		say_of(p, part, "Layer already exists");
	} else if (strcmp(kind, "mounted") == 0) {
		snprintf(text, sizeof(text), "Mounted from %s", json_text(event, "from"));
		say_of(p, part, text);
	} else if (strcmp(kind, "pushed") == 0) {
		say_of(p, part, "Pushed");
	} else if (strcmp(kind, "retry") == 0) {
		snprintf(text, sizeof(text), "Retrying in %d seconds", (int)json_number(event, "seconds"));
		say_of(p, part, text);
	} else if (strcmp(kind, "progress") == 0) {
		say(p, line_bytes(part->id, "Pushing", json_number(event, "current"), (int64_t)part->size), true);
	}
}

static void next_tag(struct push *p);

static void on_end(void *arg, const struct error *err, bool is_unreachable)
{
	struct push *p = arg;
	struct images *im = p->registry->options.images;
	CLEANUP(freep) char *ref = xasprintf("%s:%s", p->name, p->tag), *name = NULL;
	const char *digest = json_text(p->result, "digest");
	json_int_t size = json_number(p->result, "size");
	struct image *i;

	(void)is_unreachable;
	p->helper = NULL;
	if (err) {
		end(p, err);
		return;
	}
	say(p, line_status(NULL, xasprintf("%s: digest: %s size: %lld", p->tag, digest, (long long)size)), false);
	i = images_by_id(im, p->image_id); /* it may have been removed meanwhile */
	if (i) {
		name = xasprintf("%s@%s", p->name, digest);
		images_add_digest(im, i, name);
		images_set_manifest(im, i, p->manifest);
	}
	say(p, json_pack("{s:{}, s:{s:s, s:s, s:I}}", "progressDetail", "aux", "Tag", p->tag, "Digest", digest, "Size", size),
	    false);
	if (i)
		registry_event(p->registry, "push", i, ref, p->name);
	release_image(p);
	next_tag(p);
}

static const struct helper_calls push_calls = { .on_event = on_event, .on_end = on_end };

static void send_all(struct push *p)
{
	json_t *blobs = json_array(), *request;
	char config[DIGEST_LEN + 1];
	struct error err = { 0 };

	if (!p->manifest)
		make_manifest(p);
	for (size_t i = p->nparts; i-- > 0;)
		json_array_append_new(blobs, json_pack("{s:s, s:I, s:s, s:o}", "digest", p->parts[i].digest, "size",
						       (json_int_t)p->parts[i].size, "path",
						       p->parts[i].path ? p->parts[i].path : "", "mount",
						       mounts_of(p, p->parts[i].digest)));
	digest_of(p->config, strlen(p->config), config);
	json_array_append_new(blobs, json_pack("{s:s, s:I, s:s}", "digest", config, "size",
					       (json_int_t)strlen(p->config), "text", p->config));
	request = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "op", "push", "name", p->name, "tag", p->tag, "blobs",
			    blobs, "manifest", p->manifest, "mediaType", p->media_type);
	registry_complete(p->registry, request, p->request.auth);
	p->helper = helper_start(p->registry->options.loop, p->registry->options.fetch_path, request, &push_calls, p, &err);
	if (!p->helper)
		end(p, &err);
}

/* ---- compressing ---- */

static void compress_next(struct push *p);

static void compress_work(uv_work_t *w)
{
	struct push *p = container_of(w, struct push, work);
	struct part *part = &p->parts[p->compressing];
	char digest[DIGEST_LEN + 1];

	if (blob_compress(p->registry->options.data_root, part->source, &p->is_work_cancelled, digest, &part->size,
			  &part->path, &p->work_err) < 0)
		return;
	part->is_temporary = true;
	if (strcmp(part->digest, digest) != 0) { /* another zlib than then: the manifest is made anew */
		memcpy(part->digest, digest, sizeof(digest));
		free(p->manifest);
		p->manifest = NULL;
	}
}

static void on_compressed(uv_work_t *w, int status)
{
	struct push *p = container_of(w, struct push, work);

	(void)status;
	p->is_working = false;
	if (p->is_cancelled)
		push_free(p);
	else if (p->work_err.code)
		end(p, &p->work_err);
	else
		compress_next(p);
}

static bool must_compress(const struct part *part)
{
	return !part->path && (part->is_missing || !*part->digest);
}

static void compress_next(struct push *p)
{
	struct error err = { 0 };

	for (p->compressing = 0; p->compressing < p->nparts; p->compressing++)
		if (must_compress(&p->parts[p->compressing]))
			break;
	if (p->compressing == p->nparts) {
		send_all(p);
		return;
	}
	if (!p->parts[p->compressing].source) {
		error_set(&err, -ENOENT, "the content of layer %s is not kept here", p->parts[p->compressing].id);
		end(p, &err);
		return;
	}
	p->parts[p->compressing].compression = BLOB_GZIP;
	p->is_working = true;
	uv_queue_work(p->registry->options.loop, &p->work, compress_work, on_compressed);
}

static void on_checked(void *arg, json_t *result, const struct error *err, bool is_unreachable)
{
	struct push *p = arg;
	json_t *v;
	size_t i;

	(void)is_unreachable;
	p->question = NULL;
	if (err) {
		end(p, err);
		return;
	}
	json_array_foreach(json_object_get(result, "missing"), i, v)
		for (size_t k = 0; k < p->nparts; k++)
			if (strcmp(p->parts[k].digest, json_string_value(v)) == 0)
				p->parts[k].is_missing = true;
	compress_next(p);
}

/* Those whose digest is known and whose bytes would have to be made: does the registry have them? */
static void check(struct push *p)
{
	json_t *blobs = json_array();
	struct error err = { 0 };

	for (size_t i = 0; i < p->nparts; i++)
		if (!p->parts[i].path && *p->parts[i].digest)
			json_array_append_new(blobs, json_pack("{s:s}", "digest", p->parts[i].digest));
	if (json_array_size(blobs) == 0) {
		json_decref(blobs);
		compress_next(p);
		return;
	}
	p->question = registry_ask(p->registry, json_pack("{s:s, s:s, s:o}", "op", "check", "name", p->name, "blobs", blobs),
				   p->request.auth, on_checked, p, &err);
	if (!p->question)
		end(p, &err);
}

/* ---- the image ---- */

static void list_parts(struct push *p, const struct image *i)
{
	struct layers *ls = images_layers(p->registry->options.images);
	size_t n = 0;

	for (const struct layer *l = i->top; l; l = l->parent)
		n++;
	p->parts = xcalloc(n + 1, sizeof(*p->parts));
	p->nparts = n;
	for (const struct layer *l = i->top; l; l = l->parent) {
		struct part *part = &p->parts[--n];

		line_id(l->diff_id, part->id);
		part->compression = l->compression;
		part->source = layer_blob_path(ls, l);
		if (part->source && *l->blob && (l->compression == BLOB_GZIP || l->compression == BLOB_ZSTD)) {
			memcpy(part->digest, l->blob, sizeof(part->digest));
			part->path = xstrdup(part->source);
			part->size = l->blob_bytes;
		}
	}
}

static void push_image(struct push *p, struct image *i)
{
	p->image_id = xstrdup(i->id);
	p->config = image_config_text(i);
	p->top = layer_ref(i->top);
	list_parts(p, i);
	take_kept_manifest(p, i);
	for (size_t k = p->nparts; k-- > 0;)
		say_of(p, &p->parts[k], "Preparing");
	for (size_t k = p->nparts; k-- > 0;)
		if (p->nparts - k > PARALLEL)
			say_of(p, &p->parts[k], "Waiting");
	check(p);
}

/* The next one, or the end. */
static void next_tag(struct push *p)
{
	CLEANUP(freep) char *ref = NULL;
	struct error err = { 0 };
	struct image *i = NULL;

	if (p->at_tag >= json_array_size(p->tags)) {
		end(p, NULL);
		return;
	}
	free(p->tag);
	p->tag = xstrdup(json_string_value(json_array_get(p->tags, p->at_tag++)));
	ref = xasprintf("%s:%s", p->name, p->tag);
	if (images_find(p->registry->options.images, ref, &i, NULL) == 0) {
		push_image(p, i);
		return;
	}
	error_set(&err, -ENOENT, "tag does not exist: %s", ref);
	end(p, &err);
}

/* All tags of the name, or the one. */
static int list_tags(struct push *p, const char *tag, struct error *err)
{
	CLEANUP(freep) char *prefix = xasprintf("%s:", p->name);
	struct images *im = p->registry->options.images;
	json_t *v;
	size_t at, n = 0;

	for (struct image *i = images_next(im, NULL); i; i = images_next(im, i))
		json_array_foreach(i->tags, at, v)
			if (strncmp(json_string_value(v), prefix, strlen(prefix)) == 0 && ++n && !*tag)
				json_array_append_new(p->tags, json_string(json_string_value(v) + strlen(prefix)));
	if (*tag)
		json_array_append_new(p->tags, json_string(tag));
	return n ? 0 : error_set(err, -ENOENT, "An image does not exist locally with the tag: %s", p->name);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void on_start(uv_async_t *handle)
{
	struct push *p = handle->data;

	uv_close((uv_handle_t *)handle, free_handle);
	p->is_working = false;
	if (p->is_cancelled)
		push_free(p);
	else
		next_tag(p);
}

/* Not from within registry_push: its caller has no object yet. */
static void start_soon(struct push *p)
{
	p->is_working = true;
	p->start = xnew(uv_async_t);
	uv_async_init(p->registry->options.loop, p->start, on_start);
	p->start->data = p;
	uv_async_send(p->start);
}

struct push *registry_push(struct registry *r, const struct push_request *req, struct error *err)
{
	struct push *p = xnew(struct push);

	p->registry = r;
	p->request = *req;
	p->request.auth = json_incref(req->auth);
	p->name = xstrdup(req->name);
	p->tags = json_array();
	list_append(&r->pushes, &p->of_registry);
	if (list_tags(p, req->tag, err) < 0) {
		push_free(p);
		return NULL;
	}
	start_soon(p);
	return p;
}
