/* Images as objects: the built-in one, imported and synthetic ones; names and
 * tags; the read-only root directory of each. Layers and registries come
 * with the content store. Loop thread; unpacking runs on the pool. */
#ifndef SOCKERLESS_IMAGE_IMAGES_H
#define SOCKERLESS_IMAGE_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "store/events.h"
#include "store/store.h"
#include "util/error.h"
#include "util/list.h"

enum image_kind { IMAGE_BUILTIN, IMAGE_IMPORTED, IMAGE_SYNTHETIC, IMAGE_STANDIN };

struct image {
	struct list by_age;
	char *id;             /* "sha256:…": digest of the config's bytes */
	json_t *tags;         /* array of "name:tag" in familiar form */
	json_t *digests;      /* array of "name@sha256:…" */
	json_t *config;       /* OCI image config: architecture, os, config{}, rootfs, history, created */
	char *chain_id;       /* names the directory rootfs/<chain id>; "builtin" for the guest's own */
	char *root_path;      /* absolute */
	int64_t size_bytes, created_ns;
	enum image_kind kind;
	bool has_native;      /* the root holds native programs (image/classify.h) */
};

struct images_options {
	uv_loop_t *loop;
	struct store *store;
	struct events *events;
	const char *data_root;
	const char *guest_path;  /* the built-in root: a directory */
	const char *mode;        /* auto | registry | synthetic */
};
struct images;
int images_open(const struct images_options *opt, struct images **ret, struct error *err); /* blocks: start-up */
void images_free(struct images *im);

/* By name:tag, name@digest, id, or id prefix.
 * ERROR_NOT_FOUND "No such image: name:tag"; ERROR_INVALID "invalid reference format". */
int images_find(struct images *im, const char *ref, struct image **ret, struct error *err);
struct image *images_next(struct images *im, const struct image *after); /* newest first; NULL starts */
size_t images_count(const struct images *im);
/* Takes the tag from the image that has it. tag NULL or "": what `repo` says, else latest. */
int images_tag(struct images *im, struct image *i, const char *repo, const char *tag, struct error *err);

/* DELETE /images/{name}: [{"Untagged":…},{"Deleted":…}]; conflicts in Docker's words.
 * `user`: id of a container that uses the image, NULL: none. */
int images_remove(struct images *im, const char *ref, bool force, const char *user, bool is_user_running,
		  json_t **ret_report, struct error *err);

/* Makes an image of this reference over the built-in root: a synthetic one, labelled so, or a stand-in
 * (engine/standins.h). `changes`: what its config has beside the built-in one's, Labels merged; borrowed, may be NULL. */
int images_make_over(struct images *im, const char *ref, enum image_kind kind, json_t *changes, struct image **ret,
		     struct error *err);
const char *images_mode(const struct images *im);

/* `docker import`: the body arrives by write, unpacks on the pool. `repo` may be NULL. `done` runs
 * once after end. */
struct image_import;
struct image_import_options {
	const char *repo, *tag, *message, *platform; /* platform's architecture must be ours */
	const char *const *changes; /* Dockerfile instructions, NULL-terminated; may be NULL */
};
struct image_import *images_import(struct images *im, const struct image_import_options *opt, void (*on_drain)(void *arg),
				   void (*done)(void *arg, struct image *i, const struct error *err), void *arg,
				   struct error *err);
int image_import_write(struct image_import *imp, const void *data, size_t len); /* 1: pause until on_drain */
void image_import_end(struct image_import *imp, int result);

/* A directory fd of the read-only root (O_PATH | O_DIRECTORY), -errno. Any thread, given the path. */
int image_open_root(const char *root_path);

#endif
