/* Images as objects: what is there, in memory and as rows, and how it is found. */
#include "image/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/internal.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"

#define BUILTIN_TAG "busybox:latest"
#define BUILTIN_DATE "2024-01-01T00:00:00Z"

const char *image_kind_name(enum image_kind kind)
{
	static const char *const names[] = {
		[IMAGE_BUILTIN] = "builtin",  [IMAGE_IMPORTED] = "imported",   [IMAGE_SYNTHETIC] = "synthetic",
		[IMAGE_STANDIN] = "stand-in", [IMAGE_PULLED] = "pulled",       [IMAGE_LOADED] = "loaded",
		[IMAGE_BUILT] = "built",      [IMAGE_COMMITTED] = "committed",
	};

	return names[kind];
}

const char *image_root(struct images *im, const struct image *i)
{
	return i->top ? i->top->root : layers_empty_root(im->layers);
}

bool image_has_native(const struct image *i)
{
	return i->top && i->top->has_native;
}

static void image_free(struct images *im, struct image *i)
{
	layer_unref(im->layers, i->top);
	json_decref(i->tags);
	json_decref(i->digests);
	json_decref(i->config);
	free(i->raw_config);
	free(i->manifest);
	free(i->parent_id);
	free(i->id);
	free(i);
}

static void put_text(json_t *row, const char *key, const char *text)
{
	if (text)
		json_object_set_new(row, key, json_string(text));
}

void image_save(struct images *im, const struct image *i)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no caller gives NULL */
	json_t *row = json_pack("{s:O, s:O, s:O, s:s, s:I, s:i}", "tags", i->tags, "digests", i->digests, "config",
				i->config, "chain_id", i->top ? i->top->chain_id : "", "tagged",
				(json_int_t)i->tagged_ns, "kind", (int)i->kind);

	json_object_set_new(row, "step", json_boolean(i->is_step));
	if (i->used_ns) {
		json_object_set_new(row, "used", json_integer((json_int_t)i->used_ns));
		json_object_set_new(row, "uses", json_integer((json_int_t)i->uses));
	}
	put_text(row, "raw", i->raw_config);
	put_text(row, "manifest", i->manifest);
	put_text(row, "parent", i->parent_id);
	store_put(im->options.store, "image", i->id, row);
	json_decref(row);
}

void image_event(struct images *im, const char *action, const struct image *i, const char *name)
{
	json_t *labels = json_object_get(json_object_get(i->config, "config"), "Labels");
	json_t *attributes = json_is_object(labels) ? json_copy(labels) : json_object();

	json_object_set_new(attributes, "name", json_string(name));
	events_publish(im->options.events, "image", action, i->id, attributes);
}

/* ---- indexes ---- */

static struct list *children_of(const struct images *im, const char *parent_id)
{
	return map_get(&im->children, parent_id ? parent_id : "");
}

static void add_child(struct images *im, struct image *i)
{
	struct list *family = children_of(im, i->parent_id);

	if (!family) {
		family = xnew(struct list);
		list_init(family);
		map_put(&im->children, i->parent_id ? i->parent_id : "", family);
	}
	list_append(family, &i->siblings);
}

static void drop_child(struct images *im, struct image *i)
{
	struct list *family = children_of(im, i->parent_id);

	list_remove(&i->siblings);
	if (!list_is_empty(family))
		return;
	map_remove(&im->children, i->parent_id ? i->parent_id : "");
	free(family);
}

struct image *images_child(const struct images *im, const char *parent_id, const struct image *after)
{
	struct list *family = children_of(im, parent_id), *it;

	if (!family)
		return NULL;
	it = after ? after->siblings.prev : family->prev;
	return it == family ? NULL : container_of(it, struct image, siblings);
}

bool images_has_child(struct images *im, const struct image *i)
{
	return map_has(&im->children, i->id);
}

void image_set_parent(struct images *im, struct image *i, const char *parent_id)
{
	const struct image *above = images_by_id(im, parent_id);

	for (; above && above != i; above = above->parent_id ? images_by_id(im, above->parent_id) : NULL)
		;
	if (i->parent_id || above == i)
		return;
	drop_child(im, i);
	i->parent_id = xstrdup(parent_id);
	add_child(im, i);
	image_save(im, i);
}

static void index_image(struct images *im, struct image *i)
{
	json_t *name;
	size_t at;

	list_append(&im->by_age, &i->by_age);
	map_put(&im->by_id, i->id, i);
	json_array_foreach(i->tags, at, name)
		map_put(&im->by_name, json_string_value(name), i);
	json_array_foreach(i->digests, at, name)
		map_put(&im->by_name, json_string_value(name), i);
	add_child(im, i);
	im->count++;
}

void image_drop(struct images *im, struct image *i)
{
	json_t *name;
	size_t at;

	list_remove(&i->by_age);
	map_remove(&im->by_id, i->id);
	json_array_foreach(i->tags, at, name)
		if (map_get(&im->by_name, json_string_value(name)) == i)
			map_remove(&im->by_name, json_string_value(name));
	json_array_foreach(i->digests, at, name)
		if (map_get(&im->by_name, json_string_value(name)) == i)
			map_remove(&im->by_name, json_string_value(name));
	drop_child(im, i);
	im->count--;
	image_free(im, i);
}

static void set_created(struct image *i)
{
	const char *created = json_string_value(json_object_get(i->config, "created"));

	if (!created || clock_parse_timestamp(created, 0, &i->created_ns) < 0)
		i->created_ns = 0;
}

struct image *image_add(struct images *im, json_t *take_config, const char *raw, enum image_kind kind,
			const char *parent_id, struct layer *top)
{
	CLEANUP(freep) char *text = raw ? xstrdup(raw) : json_dumps(take_config, JSON_COMPACT);
	char id[DIGEST_LEN + 1];
	struct image *i;

	digest_of(text, strlen(text), id);
	i = images_by_id(im, id);
	if (i) {
		json_decref(take_config);
		return i;
	}
	i = xnew(struct image);
	i->id = xstrdup(id);
	i->tags = json_array();
	i->digests = json_array();
	i->config = take_config;
	i->raw_config = xstrdup(raw);
	i->parent_id = xstrdup(parent_id);
	i->top = layer_ref(top);
	i->size_bytes = (int64_t)layer_total_bytes(top);
	i->kind = kind;
	set_created(i);
	index_image(im, i);
	return i;
}

char *image_config_text(const struct image *i)
{
	return i->raw_config ? xstrdup(i->raw_config) : json_dumps(i->config, JSON_COMPACT);
}

void images_set_manifest(struct images *im, struct image *i, const char *manifest)
{
	free(i->manifest);
	i->manifest = xstrdup(manifest);
	image_save(im, i);
}

/* ---- start-up ---- */

static json_t *array_of(json_t *row, const char *key)
{
	json_t *v = json_object_get(row, key);

	return json_is_array(v) ? json_incref(v) : json_array();
}

/* An image whose layers are not there is no use to anybody: a crash of the file system, not of ours. */
static int load(void *arg, const char *id, json_t *row)
{
	struct images *im = arg;
	const char *chain = json_string_value(json_object_get(row, "chain_id"));
	struct layer *top = chain && *chain ? layers_find(im->layers, chain) : NULL;
	struct image *i;

	if (!chain || (*chain && !top)) {
		store_delete(im->options.store, "image", id);
		return 0;
	}
	i = xnew(struct image);
	i->id = xstrdup(id);
	i->tags = array_of(row, "tags");
	i->digests = array_of(row, "digests");
	i->config = json_incref(json_object_get(row, "config"));
	i->raw_config = xstrdup(json_string_value(json_object_get(row, "raw")));
	i->manifest = xstrdup(json_string_value(json_object_get(row, "manifest")));
	i->parent_id = xstrdup(json_string_value(json_object_get(row, "parent")));
	i->top = layer_ref(top);
	i->size_bytes = (int64_t)layer_total_bytes(top);
	i->tagged_ns = json_integer_value(json_object_get(row, "tagged"));
	i->kind = (enum image_kind)json_integer_value(json_object_get(row, "kind"));
	i->is_step = i->kind == IMAGE_BUILT && !json_is_false(json_object_get(row, "step")); /* older rows do not tell */
	i->used_ns = json_integer_value(json_object_get(row, "used"));
	i->uses = (uint64_t)json_integer_value(json_object_get(row, "uses"));
	set_created(i);
	index_image(im, i);
	return 0;
}

/* The layer's digest stands beside the root: the guest's build made both. */
static int read_diff_id(const char *root, char ret[DIGEST_LEN + 1], struct error *err)
{
	CLEANUP(freep) char *path = xasprintf("%s.diff-id", root);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, DIGEST_LEN);

	if (fd >= 0)
		close(fd);
	ret[DIGEST_LEN] = '\0';
	if (n != DIGEST_LEN || !digest_is_valid(ret))
		return error_set(err, -ENOENT, "the built-in image's layer digest %s cannot be read", path);
	return 0;
}

static json_t *builtin_config(const char *diff_id)
{
	return json_pack("{s:s, s:s, s:s, s:{s:[s], s:[s], s:{s:s}}, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "architecture",
			 "amd64", "os", "linux", "created", BUILTIN_DATE, "config", "Env",
			 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "Cmd", "sh", "Labels",
			 "sockerless.image", "builtin", "rootfs", "type", "layers", "diff_ids", diff_id, "history",
			 "created", BUILTIN_DATE, "created_by", "BusyBox 1.35.0 on musl 1.2.3, compiled to WebAssembly");
}

/* Before any image is loaded: theirs are made of it. */
static int measure_builtin(struct images *im, const char *root, struct error *err)
{
	int fd = image_open_root(root);

	if (fd < 0)
		return error_set(err, fd, "the built-in image's root %s: %s", root, strerror(-fd));
	classify_tree(fd, &layers_builtin(im->layers)->bytes);
	close(fd);
	return 0;
}

/* Always there; its name belongs to it unless somebody gave it to another image. */
static void add_builtin(struct images *im, const char *diff_id)
{
	struct image *i = image_add(im, builtin_config(diff_id), NULL, IMAGE_BUILTIN, NULL, layers_builtin(im->layers));

	i->kind = IMAGE_BUILTIN;
	if (json_array_size(i->tags) == 0 && !map_has(&im->by_name, BUILTIN_TAG)) {
		json_array_append_new(i->tags, json_string(BUILTIN_TAG));
		map_put(&im->by_name, BUILTIN_TAG, i);
	}
}

static int open_all(struct images *im, struct error *err)
{
	CLEANUP(freep) char *root = realpath(im->options.guest_path, NULL);
	struct layers_options opt = { im->options.loop, im->options.store, im->options.data_root, root, NULL };
	char diff_id[DIGEST_LEN + 1];
	int r;

	if (!root)
		return error_set(err, -errno, "the built-in image's root %s: %s", im->options.guest_path, strerror(errno));
	r = read_diff_id(root, diff_id, err);
	opt.builtin_diff_id = diff_id;
	if (r == 0)
		r = layers_open(&opt, &im->layers, err);
	if (r == 0)
		r = measure_builtin(im, root, err);
	if (r == 0)
		r = store_load(im->options.store, "image", load, im, err);
	if (r == 0) {
		add_builtin(im, diff_id);
		layers_sweep(im->layers);
	}
	return r;
}

int images_open(const struct images_options *opt, struct images **ret, struct error *err)
{
	struct images *im = xnew(struct images);
	int r;

	im->options = *opt;
	list_init(&im->by_age);
	map_init(&im->by_id);
	map_init(&im->by_name);
	map_init(&im->children);
	r = open_all(im, err);
	if (r < 0) {
		images_free(im);
		return r;
	}
	*ret = im;
	return 0;
}

/* Layers are let go as they are: nothing is removed from the disk. */
void images_free(struct images *im)
{
	const struct map_entry *family;

	if (!im)
		return;
	list_for_each_safe(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);

		list_remove(it);
		i->top = NULL;
		image_free(im, i);
	}
	layers_free(im->layers);
	map_done(&im->by_id);
	map_done(&im->by_name);
	for (size_t at = 0; (family = map_next(&im->children, &at));)
		free(family->value);
	map_done(&im->children);
	free(im);
}

const char *images_mode(const struct images *im)
{
	return im->options.mode;
}

struct layers *images_layers(struct images *im)
{
	return im->layers;
}

const char *images_data_root(const struct images *im)
{
	return im->options.data_root;
}

/* ---- look-up ---- */

struct image *images_by_id(struct images *im, const char *id)
{
	return map_get(&im->by_id, id);
}

struct image *image_by_prefix(struct images *im, const char *text)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
	size_t n = strlen(hex);
	struct image *found = NULL;

	if (n == 64) {
		CLEANUP(freep) char *id = xasprintf("sha256:%s", hex);

		return images_by_id(im, id);
	}
	if (n == 0 || n > 64 || strspn(hex, "0123456789abcdef") != n)
		return NULL;
	list_for_each(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);

		if (strncmp(i->id + 7, hex, n) != 0)
			continue;
		if (found)
			return NULL; /* not one */
		found = i;
	}
	return found;
}

/* moby: daemon/images GetImage. A name that is not there may be the beginning of an id; one that means several is none. */
int images_find(struct images *im, const char *text, struct image **ret, struct error *err)
{
	CLEANUP(freep) char *name = NULL, *shown = NULL;
	char id[DIGEST_LEN + 1];
	struct reference ref;
	struct image *i;

	if (reference_is_id(text, id)) {
		i = images_by_id(im, id);
		if (!i)
			return error_set_class(err, ERROR_NOT_FOUND, "No such image: %s", id);
		*ret = i;
		return 0;
	}
	if (reference_parse(text, &ref, err) < 0)
		return err ? err->code : -EINVAL;
	name = *ref.digest ? xasprintf("%s@%s", ref.name, ref.digest) : reference_tagged(&ref);
	i = map_get(&im->by_name, name);
	if (!i)
		i = image_by_prefix(im, text);
	if (!i) {
		shown = reference_familiar(&ref);
		return error_set_class(err, ERROR_NOT_FOUND, "No such image: %.600s", shown);
	}
	*ret = i;
	return 0;
}

/* What is only a time is not written more often than once a minute. */
void images_use_step(struct images *im, struct image *i)
{
	int64_t now = clock_wall_ns();
	bool is_due = !i->is_step || now - i->used_ns > 60 * 1000000000ll;

	i->is_step = true;
	i->uses++;
	i->used_ns = now;
	if (is_due)
		image_save(im, i);
}

void images_forget_step(struct images *im, struct image *i)
{
	i->is_step = false;
	image_save(im, i);
}

void images_hold(struct images *im, const char *id)
{
	struct image *i = images_by_id(im, id);

	if (i)
		i->holds++;
}

void images_release(struct images *im, const char *id)
{
	struct image *i = images_by_id(im, id);

	if (i && i->holds)
		i->holds--;
}

struct image *images_next(struct images *im, const struct image *after)
{
	const struct list *at = after ? after->by_age.prev : im->by_age.prev;

	return at == &im->by_age ? NULL : container_of(at, struct image, by_age);
}

size_t images_count(const struct images *im)
{
	return im->count;
}

int image_open_root(const char *root_path)
{
	int fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
