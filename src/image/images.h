/* Images as objects: their configs, names and layers; how they come to be and go.
 * Loop thread; unpacking runs on the pool. */
#ifndef SOCKERLESS_IMAGE_IMAGES_H
#define SOCKERLESS_IMAGE_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "image/layers.h"
#include "store/events.h"
#include "store/store.h"
#include "util/error.h"
#include "util/list.h"

struct images;

/* Told by the label sockerless.image (image_kind_name) in what the API shows of it. */
enum image_kind {
	IMAGE_BUILTIN,
	IMAGE_IMPORTED,
	IMAGE_SYNTHETIC,
	IMAGE_STANDIN,
	IMAGE_PULLED,
	IMAGE_LOADED,
	IMAGE_BUILT,
	IMAGE_COMMITTED,
};
const char *image_kind_name(enum image_kind kind);

struct image {
	struct list by_age;
	struct list siblings; /* those of the same parent, in the order in which they came */
	char *id;             /* "sha256:…": digest of the config's bytes */
	json_t *tags;         /* array of "name:tag" in familiar form */
	json_t *digests;      /* array of "name@sha256:…" */
	json_t *config;       /* OCI image config: architecture, os, config{}, rootfs, history, created */
	char *raw_config;     /* its bytes as they came; NULL: those of json_dumps(config, JSON_COMPACT) */
	char *manifest;       /* the registry's, as it came; NULL: none */
	char *parent_id;      /* the image that it was built or committed upon; NULL: none */
	struct layer *top;    /* holds a reference; NULL: it has no layers */
	int64_t size_bytes, created_ns;
	int64_t tagged_ns;    /* when a name was given last; 0: never */
	bool is_step;         /* the builder may take it for the step that made it */
	uint64_t uses;        /* of it as a step, and when the last one was (0: never) */
	int64_t used_ns;
	unsigned holds;       /* of builds that use it: nothing removes it meanwhile. Not kept */
	enum image_kind kind;
};
/* Its root directory (absolute, read-only), and whether that holds native programs. Borrowed from the image. */
const char *image_root(struct images *im, const struct image *i);
bool image_has_native(const struct image *i);

struct images_options {
	uv_loop_t *loop;
	struct store *store;
	struct events *events;
	const char *data_root;
	const char *guest_path;  /* the built-in root: a directory */
	const char *mode;        /* auto | registry | synthetic */
};
int images_open(const struct images_options *opt, struct images **ret, struct error *err); /* blocks: start-up */
void images_free(struct images *im);
struct layers *images_layers(struct images *im);
const char *images_data_root(const struct images *im);

/* By name:tag, name@digest, id, or id prefix.
 * ERROR_NOT_FOUND "No such image: name:tag"; ERROR_INVALID "invalid reference format". */
int images_find(struct images *im, const char *ref, struct image **ret, struct error *err);
struct image *images_next(struct images *im, const struct image *after); /* newest first; NULL starts */
size_t images_count(const struct images *im);
struct image *images_by_id(struct images *im, const char *id); /* "sha256:…", whole; NULL */
/* The config's bytes, whose digest is the id; malloc'd. */
char *image_config_text(const struct image *i);
/* The event "create", of an image that was made here. */
void images_tell_created(struct images *im, const struct image *i);
/* Adds "name@sha256:…"; saves. */
void images_add_digest(struct images *im, struct image *i, const char *name_at_digest);
/* What a registry called it: kept for the next push. `manifest` is copied. */
void images_set_manifest(struct images *im, struct image *i, const char *manifest);
/* Takes the tag from the image that has it. tag NULL or "": what `repo` says, else latest. */
int images_tag(struct images *im, struct image *i, const char *repo, const char *tag, struct error *err);
/* The same without the event "tag": what a pull does. *ret_name (may be NULL): "name:tag", malloc'd. */
int images_name(struct images *im, struct image *i, const char *repo, const char *tag, char **ret_name, struct error *err);

/* DELETE /images/{name}: [{"Untagged":…},{"Deleted":…}]; conflicts in Docker's words. Without `no_prune` its parents
 * without names go too, those that nobody uses. */
enum image_use {
	IMAGE_USED, /* by any container, or mounted into one */
	IMAGE_RUNS, /* a container of it runs */
	IMAGE_STOPPED, /* a container of it does not run */
};
struct image_removal {
	const char *ref;
	bool force, no_prune;
	/* The id of a container that uses the image so; NULL: none does. May be NULL. */
	const char *(*find_user)(void *arg, const struct image *i, enum image_use use);
	void *arg;
	uint64_t freed_bytes; /* is set: of the layers that went */
};
int images_remove(struct images *im, struct image_removal *removal, json_t **ret_report, struct error *err);
/* A build has made the image, or taken it for the step that made it; it is no such step any more. Save. */
void images_use_step(struct images *im, struct image *i);
void images_forget_step(struct images *im, struct image *i);
/* A build uses the image: until the last release neither a removal nor a prune takes it. By id. */
void images_hold(struct images *im, const char *id);
void images_release(struct images *im, const char *id);
/* Has another image this one as its parent? */
bool images_has_child(struct images *im, const struct image *i);
/* Those upon this parent (NULL: upon none), newest first; `after` NULL starts. */
struct image *images_child(const struct images *im, const char *parent_id, const struct image *after);

/* Makes an image of this reference over the built-in root: a synthetic one, labelled so, or a stand-in
 * (engine/standins.h). `changes`: what its config has beside the built-in one's, Labels merged; borrowed, may be NULL. */
int images_make_over(struct images *im, const char *ref, enum image_kind kind, json_t *changes, struct image **ret,
		     struct error *err);
const char *images_mode(const struct images *im);

/* ---- new images ---- */

/* An image upon another one: `docker commit`, each step of a build, `docker import`. */
struct image_child {
	const struct image *parent; /* NULL: from scratch */
	struct layer *layer; /* upon the parent's; borrowed. NULL: nothing has changed */
	json_t *take_config; /* the whole new config{} */
	const char *created_by, *comment, *author; /* of the history's new entry; may be NULL */
	const char *platform; /* "os/arch[/variant]"; NULL: the parent's, or ours */
	int64_t created_ns; /* 0: now */
	enum image_kind kind;
};
/* Answers the image that is there when the same has been made before. No name is given, no event told. */
struct image *images_make_child(struct images *im, const struct image_child *child);

/* An image out of a config and blobs that are in the store: what pull and load come to. */
enum layer_state { LAYER_EXISTS, LAYER_EXTRACTING, LAYER_DONE };
struct image_assembly {
	const char *config; /* its bytes; at most IMAGE_CONFIG_MAX */
	size_t config_len;
	const char *const *blobs; /* digests, lowest first, one for each diff id; those of layers that exist need not be there */
	size_t nblobs;
	const char *manifest; /* may be NULL */
	enum image_kind kind;
	/* May be NULL. `bytes`: compressed, read so far. */
	void (*on_layer)(void *arg, size_t at, enum layer_state state, uint64_t bytes);
	void (*done)(void *arg, struct image *i, const struct error *err); /* once, never from within */
	void *arg;
};
enum { IMAGE_CONFIG_MAX = 8 << 20, IMAGE_LAYERS_MAX = 500 };
struct image_assembling;
/* Copies all of it; the blobs are pinned meanwhile. ERROR_INVALID for a config that is none, or of another system. NULL: err tells. */
struct image_assembling *images_assemble(struct images *im, const struct image_assembly *a, struct error *err);
void image_assembling_cancel(struct image_assembling *a); /* `done` still runs, with an error unless it was too late */
/* The diff ids of a config: borrowed strings of it. ERROR_INVALID when it has none or too many. */
int image_config_diff_ids(json_t *config, json_t **ret, struct error *err);

/* --change of import and commit: Dockerfile instructions, NULL-terminated (may be NULL), upon a config{}. ERROR_INVALID. */
int image_apply_changes(json_t *config, const char *const *changes, struct error *err);

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
