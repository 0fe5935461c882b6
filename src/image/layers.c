#include "image/layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "image/discard.h"
#include "image/layers_internal.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"
#include "util/list.h"

struct blob_use {
	unsigned pins, layers;
	bool is_fresh; /* its bytes have been checked, and not been used since */
};

/* ---- names ---- */

void layer_chain_id(const char *parent, const char *diff_id, char ret[DIGEST_LEN + 1])
{
	char text[2 * DIGEST_LEN + 2];

	if (!parent || !*parent) {
		memcpy(ret, diff_id, DIGEST_LEN + 1);
		return;
	}
	snprintf(text, sizeof(text), "%s %s", parent, diff_id);
	digest_of(text, strlen(text), ret);
}

static char *root_path(const struct layers *ls, const char *chain_id)
{
	return xasprintf("%s/rootfs/%s", ls->options.data_root, chain_id + 7);
}

char *layer_blob_path(const struct layers *ls, const struct layer *l)
{
	char *path = l == ls->builtin ? xasprintf("%s.tar", l->root) :
		     *l->blob         ? blob_path(ls->options.data_root, l->blob) :
					NULL;

	if (path && access(path, R_OK) < 0) {
		free(path);
		path = NULL;
	}
	return path;
}

struct layer *layers_builtin(struct layers *ls)
{
	return ls->builtin;
}

struct layer *layers_find(struct layers *ls, const char *chain_id)
{
	return map_get(&ls->by_chain, chain_id);
}

const char *layers_empty_root(const struct layers *ls)
{
	return ls->empty_root;
}

uint64_t layer_total_bytes(const struct layer *l)
{
	uint64_t bytes = 0;

	for (; l; l = l->parent)
		bytes += l->bytes;
	return bytes;
}

uint64_t layers_total_bytes(struct layers *ls)
{
	const struct map_entry *e;
	uint64_t bytes = 0;
	size_t pos = 0;

	while ((e = map_next(&ls->by_chain, &pos)))
		bytes += ((const struct layer *)e->value)->bytes;
	return bytes;
}

/* ---- removal of files: away at once, gone when the pool comes to it ---- */

/* Whatever is made under the same name from now on is not touched. A change of names costs the same for any size. */
static void remove_path(struct layers *ls, const char *path)
{
	CLEANUP(freep) char *tmp = xasprintf("%s/tmp", ls->options.data_root), *name = NULL, *away = NULL;
	char id[ID_LEN + 1];

	id_generate(id);
	name = xasprintf("gone-%.16s", id);
	away = xasprintf("%s/%s", tmp, name);
	if (rename(path, away) == 0)
		discard(ls->options.loop, tmp, name);
}

/* ---- blobs in use ---- */

static struct blob_use *use_of(struct layers *ls, const char *digest)
{
	struct blob_use *use = map_get(&ls->blobs, digest);

	if (!use) {
		use = xnew(struct blob_use);
		map_put(&ls->blobs, digest, use);
	}
	return use;
}

static void drop_blob_if_unused(struct layers *ls, const char *digest)
{
	struct blob_use *use = map_get(&ls->blobs, digest);
	CLEANUP(freep) char *path = NULL;

	if (!use || use->pins > 0 || use->layers > 0)
		return;
	path = blob_path(ls->options.data_root, digest);
	free(map_remove(&ls->blobs, digest));
	remove_path(ls, path);
}

int layers_settle_blob(struct layers *ls, char *take_path, const char *digest, struct error *err)
{
	CLEANUP(freep) char *from = take_path, *to = blob_path(ls->options.data_root, digest);

	if (rename(from, to) < 0) {
		error_set(err, -errno, "%s: %s", to, strerror(errno));
		discard_path(ls->options.loop, steal_ptr(from));
		return err ? err->code : -EIO;
	}
	use_of(ls, digest)->pins++;
	use_of(ls, digest)->is_fresh = true;
	return 0;
}

bool layers_take_fresh(struct layers *ls, const char *digest)
{
	struct blob_use *use = map_get(&ls->blobs, digest);
	bool is_fresh = use && use->is_fresh;

	if (use)
		use->is_fresh = false;
	return is_fresh;
}

bool layers_pin_blob(struct layers *ls, const char *digest)
{
	struct blob_use *use = map_get(&ls->blobs, digest);

	if (use)
		use->pins++;
	return use != NULL;
}

void layers_unpin_blob(struct layers *ls, const char *digest)
{
	struct blob_use *use = map_get(&ls->blobs, digest);

	if (use && use->pins > 0)
		use->pins--;
	drop_blob_if_unused(ls, digest);
}

/* ---- references ---- */

struct layer *layer_ref(struct layer *l)
{
	if (l)
		l->refs++;
	return l;
}

static void layer_free(struct layer *l)
{
	free(l->root);
	free(l);
}

/* Files go only when it is certain that no restart will ask for them. */
struct farewell {
	struct layers *layers;
	char chain_id[DIGEST_LEN + 1], blob[DIGEST_LEN + 1];
	char *root;
};

static void on_forgotten(void *arg)
{
	struct farewell *f = arg;
	struct layers *ls = f->layers;

	if (!store_has_failed(ls->options.store, NULL)) {
		if (!map_has(&ls->by_chain, f->chain_id))
			remove_path(ls, f->root);
		if (*f->blob)
			layers_unpin_blob(ls, f->blob);
	}
	free(f->root);
	free(f);
}

static void forget(struct layers *ls, struct layer *l)
{
	struct farewell *f = xnew(struct farewell);

	f->layers = ls;
	memcpy(f->chain_id, l->chain_id, sizeof(f->chain_id));
	memcpy(f->blob, l->blob, sizeof(f->blob));
	f->root = xstrdup(l->root);
	if (*l->blob) {
		struct blob_use *use = use_of(ls, l->blob);

		use->layers--;
		use->pins++; /* until it is forgotten */
	}
	map_remove(&ls->by_chain, l->chain_id);
	store_delete(ls->options.store, "layer", l->chain_id);
	store_on_durable(ls->options.store, store_ticket(ls->options.store), on_forgotten, f);
}

void layer_unref(struct layers *ls, struct layer *l)
{
	while (l && --l->refs == 0) {
		struct layer *parent = l->parent;

		if (l == ls->builtin)
			return; /* always there */
		forget(ls, l);
		layer_free(l);
		l = parent;
	}
}

/* ---- rows ---- */

static void save(struct layers *ls, const struct layer *l)
{
	json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:b}", "diff_id", l->diff_id, "parent",
				l->parent ? l->parent->chain_id : "", "blob", l->blob, "compression",
				(int)l->compression, "blob_bytes", (json_int_t)l->blob_bytes, "tar_bytes",
				(json_int_t)l->tar_bytes, "bytes", (json_int_t)l->bytes, "native", l->has_native);

	store_put(ls->options.store, "layer", l->chain_id, row);
	json_decref(row);
}

static void put_digest(char out[DIGEST_LEN + 1], const char *text)
{
	snprintf(out, DIGEST_LEN + 1, "%s", text ? text : "");
}

static int load(void *arg, const char *id, json_t *row)
{
	struct layers *ls = arg;
	struct layer *l = xnew(struct layer);

	put_digest(l->chain_id, id);
	put_digest(l->diff_id, json_string_value(json_object_get(row, "diff_id")));
	put_digest(l->blob, json_string_value(json_object_get(row, "blob")));
	l->compression = (enum blob_compression)json_integer_value(json_object_get(row, "compression"));
	l->blob_bytes = (uint64_t)json_integer_value(json_object_get(row, "blob_bytes"));
	l->tar_bytes = (uint64_t)json_integer_value(json_object_get(row, "tar_bytes"));
	l->bytes = (uint64_t)json_integer_value(json_object_get(row, "bytes"));
	l->has_native = json_is_true(json_object_get(row, "native"));
	/* A layer of a former built-in image may be missing below: what was unpacked upon it is whole. */
	l->parent = layer_ref(layers_find(ls, json_string_value(json_object_get(row, "parent"))));
	l->root = root_path(ls, l->chain_id);
	map_put(&ls->by_chain, l->chain_id, l);
	if (*l->blob)
		use_of(ls, l->blob)->layers++;
	return 0;
}

struct layer *layers_add(struct layers *ls, struct layer *parent, const struct layer *made, char *take_root, struct error *err)
{
	CLEANUP(freep) char *from = take_root, *root = root_path(ls, made->chain_id);
	struct layer *l = layers_find(ls, made->chain_id);

	if (l) {
		discard_path(ls->options.loop, steal_ptr(from));
		return layer_ref(l);
	}
	if (rename(from, root) < 0) {
		remove_path(ls, root); /* of a layer that is being forgotten */
		if (rename(from, root) < 0) {
			error_set(err, -errno, "%s: %s", root, strerror(errno));
			discard_path(ls->options.loop, steal_ptr(from));
			return NULL;
		}
	}
	l = xnew(struct layer);
	*l = *made;
	l->root = steal_ptr(root);
	l->parent = layer_ref(parent);
	l->refs = 1;
	map_put(&ls->by_chain, l->chain_id, l);
	if (*l->blob)
		use_of(ls, l->blob)->layers++;
	save(ls, l);
	return l;
}

/* ---- start-up ---- */

/* Removes what `is_known` does not know. */
static void sweep_dir(struct layers *ls, const char *name, const struct map *known)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", ls->options.data_root, name);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	char digest[7 + 256];
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(digest, sizeof(digest), "sha256:%s", e->d_name);
		if (e->d_name[0] != '.' && strcmp(e->d_name, "empty") != 0 && !map_has(known, digest))
			rootfs_remove_tree(fd, e->d_name);
	}
	if (d)
		closedir(d);
}

static void add_builtin(struct layers *ls)
{
	struct layer *l = xnew(struct layer);

	put_digest(l->chain_id, ls->options.builtin_diff_id);
	put_digest(l->diff_id, ls->options.builtin_diff_id);
	l->root = xstrdup(ls->options.builtin_root);
	map_put(&ls->by_chain, l->chain_id, l);
	ls->builtin = l;
}

int layers_open(const struct layers_options *opt, struct layers **ret, struct error *err)
{
	struct layers *ls = xnew(struct layers);
	CLEANUP(freep) char *dir = xasprintf("%s/rootfs", opt->data_root);
	int r = blobs_prepare(opt->data_root, err);

	ls->options = *opt;
	ls->options.data_root = xstrdup(opt->data_root);
	ls->options.builtin_root = xstrdup(opt->builtin_root);
	ls->options.builtin_diff_id = xstrdup(opt->builtin_diff_id);
	ls->empty_root = xasprintf("%s/empty", dir);
	map_init(&ls->by_chain);
	map_init(&ls->blobs);
	if (r == 0 && ((mkdir(dir, 0700) < 0 && errno != EEXIST) || (mkdir(ls->empty_root, 0755) < 0 && errno != EEXIST)))
		r = error_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (r == 0) {
		add_builtin(ls);
		r = store_load(opt->store, "layer", load, ls, err);
	}
	if (r < 0) {
		layers_free(ls);
		return r;
	}
	*ret = ls;
	return 0;
}

/* Those that hold others are found first: each takes along those below it that nothing else holds. */
void layers_sweep(struct layers *ls)
{
	struct layer **unused = xcalloc(ls->by_chain.count + 1, sizeof(*unused));
	const struct map_entry *e;
	size_t pos = 0, n = 0;

	while ((e = map_next(&ls->by_chain, &pos))) {
		struct layer *l = e->value;

		if (l->refs == 0 && l != ls->builtin)
			unused[n++] = layer_ref(l);
	}
	for (size_t i = 0; i < n; i++)
		layer_unref(ls, unused[i]);
	free(unused);
	sweep_dir(ls, "rootfs", &ls->by_chain);
	sweep_dir(ls, "blobs/sha256", &ls->blobs);
}

void layers_free(struct layers *ls)
{
	const struct map_entry *e;
	size_t pos = 0;

	if (!ls)
		return;
	while ((e = map_next(&ls->by_chain, &pos)))
		layer_free(e->value);
	pos = 0;
	while ((e = map_next(&ls->blobs, &pos)))
		free(e->value);
	map_done(&ls->by_chain);
	map_done(&ls->blobs);
	free(ls->empty_root);
	free((char *)ls->options.data_root);
	free((char *)ls->options.builtin_root);
	free((char *)ls->options.builtin_diff_id);
	free(ls);
}
