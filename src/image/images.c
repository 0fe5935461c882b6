/* Images as objects: what is there, its names, and its removal. */
#include "image/images.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/internal.h"
#include "image/reference.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"

#define BUILTIN_TAG "busybox:latest"
#define BUILTIN_DATE "2024-01-01T00:00:00Z"
#define BUILTIN_CHAIN "builtin"

static void image_free(struct image *i)
{
	json_decref(i->tags);
	json_decref(i->digests);
	json_decref(i->config);
	free(i->id);
	free(i->chain_id);
	free(i->root_path);
	free(i);
}

void image_save(struct images *im, const struct image *i)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): no caller gives NULL */
	json_t *row = json_pack("{s:O, s:O, s:O, s:s, s:I, s:I, s:i, s:b}", "tags", i->tags, "digests", i->digests,
				"config", i->config, "chain_id", i->chain_id, "size", (json_int_t)i->size_bytes,
				"created", (json_int_t)i->created_ns, "kind", (int)i->kind, "native", i->has_native);

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

static struct image *find_id(struct images *im, const char *id)
{
	list_for_each(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);

		if (strcmp(i->id, id) == 0)
			return i;
	}
	return NULL;
}

static char *root_of(struct images *im, const char *chain_id)
{
	if (strcmp(chain_id, BUILTIN_CHAIN) == 0)
		return realpath(im->options.guest_path, NULL);
	return xasprintf("%s/rootfs/%s", im->options.data_root, chain_id);
}

struct image *image_add(struct images *im, json_t *take_config, enum image_kind kind, const char *chain_id,
			const char *root_path, int64_t size_bytes, bool has_native)
{
	CLEANUP(freep) char *text = json_dumps(take_config, JSON_COMPACT);
	char id[DIGEST_LEN + 1];
	struct image *i;

	digest_of(text, strlen(text), id);
	i = find_id(im, id);
	if (i) {
		json_decref(take_config);
		return i;
	}
	i = xnew(struct image);
	i->id = xstrdup(id);
	i->tags = json_array();
	i->digests = json_array();
	i->config = take_config;
	i->chain_id = xstrdup(chain_id);
	i->root_path = xstrdup(root_path);
	i->size_bytes = size_bytes;
	if (clock_parse_timestamp(json_string_value(json_object_get(take_config, "created")), 0, &i->created_ns) < 0)
		i->created_ns = clock_wall_ns();
	i->kind = kind;
	i->has_native = has_native;
	list_append(&im->by_age, &i->by_age);
	im->count++;
	return i;
}

/* ---- start-up ---- */

static int load(void *arg, const char *id, json_t *o)
{
	struct images *im = arg;
	const char *chain = json_string_value(json_object_get(o, "chain_id"));
	struct image *i = xnew(struct image);

	i->id = xstrdup(id);
	i->tags = json_incref(json_object_get(o, "tags"));
	i->digests = json_incref(json_object_get(o, "digests"));
	i->config = json_incref(json_object_get(o, "config"));
	i->chain_id = xstrdup(chain ? chain : "");
	i->root_path = root_of(im, i->chain_id);
	i->size_bytes = json_integer_value(json_object_get(o, "size"));
	i->created_ns = json_integer_value(json_object_get(o, "created"));
	i->kind = (enum image_kind)json_integer_value(json_object_get(o, "kind"));
	i->has_native = json_is_true(json_object_get(o, "native"));
	list_append(&im->by_age, &i->by_age);
	im->count++;
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
	if (n != DIGEST_LEN || strncmp(ret, "sha256:", 7) != 0 || strspn(ret + 7, "0123456789abcdef") != 64)
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

static bool is_tagged(struct images *im, const char *tag)
{
	struct image *i;

	return images_find(im, tag, &i, NULL) == 0;
}

/* Always there; its name belongs to it unless somebody gave it to another image. */
static int add_builtin(struct images *im, struct error *err)
{
	CLEANUP(freep) char *root = realpath(im->options.guest_path, NULL);
	char diff_id[DIGEST_LEN + 1];
	uint64_t bytes = 0;
	struct image *i;
	int fd;

	if (!root)
		return error_set(err, -errno, "the built-in image's root %s: %s", im->options.guest_path, strerror(errno));
	if (read_diff_id(root, diff_id, err) < 0)
		return err->code;
	fd = image_open_root(root);
	if (fd < 0)
		return error_set(err, fd, "the built-in image's root %s: %s", root, strerror(-fd));
	classify_tree(fd, &bytes);
	close(fd);
	i = image_add(im, builtin_config(diff_id), IMAGE_BUILTIN, BUILTIN_CHAIN, root, (int64_t)bytes, false);
	i->size_bytes = (int64_t)bytes;
	if (json_array_size(i->tags) == 0 && !is_tagged(im, BUILTIN_TAG))
		json_array_append_new(i->tags, json_string(BUILTIN_TAG));
	return 0;
}

/* What a crash left half made, and roots of images that are no more. */
static void sweep(struct images *im, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		bool is_used = e->d_name[0] == '.';

		list_for_each(it, &im->by_age)
			is_used = is_used || strcmp(container_of(it, struct image, by_age)->chain_id, e->d_name) == 0;
		if (!is_used)
			rootfs_remove_tree(fd, e->d_name);
	}
	if (d)
		closedir(d);
}

int images_open(const struct images_options *opt, struct images **ret, struct error *err)
{
	CLEANUP(freep) char *dir = xasprintf("%s/rootfs", opt->data_root);
	struct images *im = xnew(struct images);
	int r = mkdir(dir, 0700) < 0 && errno != EEXIST ? error_set(err, -errno, "%s: %s", dir, strerror(errno)) : 0;

	im->options = *opt;
	list_init(&im->by_age);
	if (r == 0)
		r = store_load(opt->store, "image", load, im, err);
	if (r == 0) {
		sweep(im, dir);
		r = add_builtin(im, err);
	}
	if (r < 0) {
		images_free(im);
		return r;
	}
	*ret = im;
	return 0;
}

void images_free(struct images *im)
{
	if (!im)
		return;
	list_for_each_safe(it, &im->by_age) {
		list_remove(it);
		image_free(container_of(it, struct image, by_age));
	}
	free(im);
}

const char *images_mode(const struct images *im)
{
	return im->options.mode;
}

/* ---- look-up ---- */

static bool has_text(json_t *array, const char *text, size_t *ret_at)
{
	json_t *v;
	size_t i;

	json_array_foreach(array, i, v) {
		if (strcmp(json_string_value(v), text) != 0)
			continue;
		if (ret_at)
			*ret_at = i;
		return true;
	}
	return false;
}

static struct image *find_tag(struct images *im, const char *tag)
{
	list_for_each(it, &im->by_age) {
		struct image *i = container_of(it, struct image, by_age);

		if (has_text(i->tags, tag, NULL))
			return i;
	}
	return NULL;
}

static struct image *find_prefix(struct images *im, const char *text)
{
	const char *hex = strncmp(text, "sha256:", 7) == 0 ? text + 7 : text;
	size_t n = strlen(hex);
	struct image *found = NULL;

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

int images_find(struct images *im, const char *text, struct image **ret, struct error *err)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;
	struct image *i = NULL;
	int r = strncmp(text, "sha256:", 7) == 0 ? -EINVAL : reference_parse(text, &ref, err);

	if (r == 0) {
		name = *ref.digest ? xasprintf("%s@%s", ref.name, ref.digest) : reference_tagged(&ref);
		i = find_tag(im, name);
		if (!i && *ref.digest)
			i = find_id(im, ref.digest);
	}
	if (!i)
		i = find_prefix(im, text);
	if (!i)
		return r < 0 && strncmp(text, "sha256:", 7) ?
			       r :
			       error_set_class(err, ERROR_NOT_FOUND, "No such image: %.300s", name ? name : text);
	error_clear(err);
	*ret = i;
	return 0;
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

/* ---- names ---- */

static bool is_tag(const char *tag)
{
	size_t n = strlen(tag);

	return n > 0 && n <= 128 && tag[0] != '.' && tag[0] != '-' &&
	       strspn(tag, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

int images_tag(struct images *im, struct image *i, const char *repo, const char *tag, struct error *err)
{
	CLEANUP(freep) char *text = tag && *tag ? xasprintf("%s:%s", repo, tag) : xstrdup(repo), *name = NULL;
	struct reference ref;
	struct image *owner;
	size_t at;
	int r = reference_parse(text, &ref, err);

	if (tag && *tag && !is_tag(tag))
		r = error_set_class(err, ERROR_INVALID, "invalid tag format");
	if (r == 0 && *ref.digest)
		r = error_set_class(err, ERROR_INVALID, "refusing to create a tag with a digest reference");
	if (r < 0)
		return r;
	name = reference_tagged(&ref);
	owner = find_tag(im, name);
	if (owner && owner != i && has_text(owner->tags, name, &at)) {
		json_array_remove(owner->tags, at);
		image_save(im, owner);
	}
	if (owner != i)
		json_array_append_new(i->tags, json_string(name));
	image_save(im, i);
	image_event(im, "tag", i, name);
	return 0;
}

/* ---- removal ---- */

struct removing {
	uv_work_t work;
	char *parent, *name;
};

static void remove_work(uv_work_t *w)
{
	struct removing *rm = container_of(w, struct removing, work);
	int fd = open(rm->parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	rootfs_remove_tree(fd, rm->name);
	close(fd);
}

static void on_removed(uv_work_t *w, int status)
{
	struct removing *rm = container_of(w, struct removing, work);

	(void)status;
	free(rm->parent);
	free(rm->name);
	free(rm);
}

/* The root goes with the last image that is made of it. */
static void remove_root(struct images *im, const char *chain_id)
{
	struct removing *rm;

	if (strcmp(chain_id, BUILTIN_CHAIN) == 0)
		return;
	list_for_each(it, &im->by_age)
		if (strcmp(container_of(it, struct image, by_age)->chain_id, chain_id) == 0)
			return;
	rm = xnew(struct removing);
	rm->parent = xasprintf("%s/rootfs", im->options.data_root);
	rm->name = xstrdup(chain_id);
	uv_queue_work(im->options.loop, &rm->work, remove_work, on_removed);
}

static void untag(struct images *im, struct image *i, size_t at, json_t *report)
{
	json_t *name = json_incref(json_array_get(i->tags, at));

	json_array_remove(i->tags, at);
	image_save(im, i);
	image_event(im, "untag", i, json_string_value(name));
	json_array_append_new(report, json_pack("{s:o}", "Untagged", name));
}

static int check_removal(const struct image *i, const char *ref, bool is_by_tag, bool force, const char *user,
			 bool is_user_running, struct error *err)
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
	if (!is_by_tag && ntags > 1 && !force)
		return error_set_class(err, ERROR_CONFLICT,
				       "conflict: unable to delete %.12s (must be forced) - image is referenced in multiple repositories",
				       shown);
	return 0;
}

int images_remove(struct images *im, const char *text, bool force, const char *user, bool is_user_running,
		  json_t **ret_report, struct error *err)
{
	CLEANUP(freep) char *name = NULL, *chain = NULL;
	struct reference ref;
	struct image *i;
	json_t *report;
	bool is_by_tag;
	size_t at = 0;
	int r = images_find(im, text, &i, err);

	if (r < 0)
		return r;
	if (reference_parse(text, &ref, NULL) == 0)
		name = reference_tagged(&ref);
	is_by_tag = name && has_text(i->tags, name, &at);
	r = check_removal(i, text, is_by_tag, force, user, is_user_running, err);
	if (r < 0)
		return r;
	report = json_array();
	if (is_by_tag)
		untag(im, i, at, report);
	*ret_report = report;
	if (is_by_tag && json_array_size(i->tags) > 0)
		return 0;
	while (json_array_size(i->tags) > 0)
		untag(im, i, 0, report);
	if (user)
		return 0; /* forced: its stopped container keeps it, nameless */
	json_array_append_new(report, json_pack("{s:s}", "Deleted", i->id));
	image_event(im, "delete", i, i->id);
	store_delete(im->options.store, "image", i->id);
	chain = xstrdup(i->chain_id);
	list_remove(&i->by_age);
	im->count--;
	image_free(i);
	remove_root(im, chain);
	return 0;
}

/* ---- images over the built-in root ---- */

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
	i = image_add(im, config, kind, BUILTIN_CHAIN, builtin->root_path, builtin->size_bytes, false);
	image_event(im, "pull", i, text);
	*ret = i;
	if (*ref.digest && !*ref.tag) {
		CLEANUP(freep) char *name = xasprintf("%s@%s", ref.name, ref.digest);

		if (!has_text(i->tags, name, NULL))
			json_array_append_new(i->digests, json_string(name));
		image_save(im, i);
		return 0;
	}
	return images_tag(im, i, ref.name, *ref.tag ? ref.tag : NULL, err);
}

int image_open_root(const char *root_path)
{
	int fd = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
