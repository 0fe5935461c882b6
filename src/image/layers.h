/* Layers and the root directories that they add up to.
 *
 * A layer is named by its chain id (OCI image-spec config.md): the digest of what lies
 * below it and of its own diff id. It keeps the blob that it came from, as it came, and the read-only
 * directory rootfs/<chain id> in which it and all below it are unpacked; directories share files by hard links.
 * Images and layers above hold references; with the last one the layer's row goes,
 * and its files when that has been committed: a crash loses nothing that is in use.
 *
 * Loop thread; unpacking runs on the pool. */
#ifndef SOCKERLESS_IMAGE_LAYERS_H
#define SOCKERLESS_IMAGE_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "image/blobs.h"
#include "rootfs/layer.h"
#include "store/store.h"
#include "util/digest.h"
#include "util/error.h"

struct layer {
	char chain_id[DIGEST_LEN + 1], diff_id[DIGEST_LEN + 1];
	struct layer *parent;           /* NULL: the lowest; holds a reference */
	char blob[DIGEST_LEN + 1];      /* "": see layer_blob_path */
	enum blob_compression compression;
	uint64_t blob_bytes;
	uint64_t tar_bytes;             /* of the blob's content without compression; 0: not known */
	uint64_t bytes;                 /* of its own files, unpacked */
	char *root;       /* absolute */
	bool has_native;                /* it or one below holds native programs */
	unsigned refs;
};

struct layers;

/* Loads the rows and sweeps directories and blobs that none of them names. `builtin_root` with
 * `builtin_diff_id`: the layer of the built-in image, which is always there. Blocks: start-up. */
struct layers_options {
	uv_loop_t *loop;
	struct store *store;
	const char *data_root, *builtin_root, *builtin_diff_id;
};
int layers_open(const struct layers_options *opt, struct layers **ret, struct error *err);
/* Removes what no image took a reference of. After images were loaded. */
void layers_sweep(struct layers *ls);
void layers_free(struct layers *ls); /* takes NULL; no job may be under way */

struct layer *layers_builtin(struct layers *ls);
struct layer *layers_find(struct layers *ls, const char *chain_id); /* borrowed; NULL */
struct layer *layer_ref(struct layer *l);
void layer_unref(struct layers *ls, struct layer *l); /* takes NULL */
uint64_t layer_total_bytes(const struct layer *l);    /* with all below; 0 for NULL */
uint64_t layers_total_bytes(struct layers *ls);       /* each layer once */
/* An empty directory, the root of images without layers. */
const char *layers_empty_root(const struct layers *ls);

/* Where its content lies (plain or compressed); malloc'd. NULL: it is not kept. */
char *layer_blob_path(const struct layers *ls, const struct layer *l);
/* The chain id of `diff_id` upon `parent` (NULL or "": nothing). Pure. */
void layer_chain_id(const char *parent, const char *diff_id, char ret[DIGEST_LEN + 1]);

/* ---- blobs in use ---- */

/* Gives a staged file (blobs.h) its name, and pins it: it stays at least until the pin is gone. Takes the path. */
int layers_settle_blob(struct layers *ls, char *take_path, const char *digest, struct error *err);
/* Is it in the store? Then it is pinned. */
bool layers_pin_blob(struct layers *ls, const char *digest);
void layers_unpin_blob(struct layers *ls, const char *digest);

/* ---- making layers ---- */

/* `l` is borrowed: take a reference. NULL with an error; NULL without one (layers_commit): nothing has changed. */
typedef void (*layer_done)(void *arg, struct layer *l, const struct error *err);

/* Unpacks a blob, which must be pinned, upon `parent`. With an `expected` diff id (may be NULL) that differs:
 * ERROR_INVALID. `done` runs once, from the loop, never from within. `on_progress` (may be NULL): compressed bytes
 * read so far, now and then, from the loop. */
struct layer_job;
struct layer_job *layers_unpack(struct layers *ls, struct layer *parent, const char *blob, const char *expected,
				void (*on_progress)(void *arg, uint64_t bytes), layer_done done, void *arg);
/* Makes a layer of what the upper directory changes of `parent`'s root (a container's, or one that a build has filled).
 * The directory must not change meanwhile and is not changed. `parent` NULL: of all that it holds. */
struct layer_job *layers_commit(struct layers *ls, struct layer *parent, const char *upper_path,
				const struct layer_write_options *opt, layer_done done, void *arg);
/* The job comes to its end as soon as may be; `done` runs with an error. */
void layer_job_cancel(struct layer_job *job);

#endif
