/* Archives of images: `docker save` writes them, `docker load` reads them.
 *
 * Loop thread; reading, hashing and unpacking run on the pool. Nothing calls back from within. */
#ifndef SOCKERLESS_IMAGE_ARCHIVES_H
#define SOCKERLESS_IMAGE_ARCHIVES_H

#include <stddef.h>
#include <stdint.h>

#include "image/images.h"
#include "util/error.h"
#include "util/stream.h"

/* ---- save ---- */

struct image_platform; /* image/platform.h */

struct image_save_options {
	const char *const *names;               /* name[:tag], name@digest, id, beginning of an id; borrowed */
	size_t nnames;
	const struct image_platform *platform;  /* that all of them must have; NULL: any */
};
/* An OCI layout that is a Docker archive too: the same images give the same bytes. First `head` (before any byte; err set:
 * nothing follows), which answers the stream to write to (NULL: cancelled); a failure after that aborts the stream.
 * What is saved is held until the end. ERROR_NOT_FOUND, ERROR_INVALID in Docker's words, and then `head` never runs. */
int images_save(struct images *im, const struct image_save_options *opt,
		struct stream *(*head)(void *arg, const struct error *err), void *arg, struct error *err);

/* ---- load ---- */

enum {
	LOAD_IMAGES_MAX = 10000,
	LOAD_CONFIGS_MAX = 64 << 20, /* bytes of all configs together */
};

struct image_load_options {
	const struct image_platform *platform; /* of an image for several: the one to be loaded; NULL: ours */
	void (*on_drain)(void *arg);
	/* What `docker load` shows of a layer that is unpacked (may be NULL): bytes of its content read so far. */
	void (*on_layer)(void *arg, const char *diff_id, uint64_t bytes, uint64_t total);
	void (*on_text)(void *arg, const char *text); /* "Loaded image: name:tag\n" */
	void (*done)(void *arg, const struct error *err); /* once, after image_load_end */
	void *arg;
};
/* Docker archives (manifest.json; also `repositories` alone, of Docker before 1.10) and OCI layouts, in any
 * compression; the body arrives by write. Images before the one that fails stay, nothing of that one does. NULL: err tells. */
struct image_load *images_load(struct images *im, const struct image_load_options *opt, struct error *err);
int image_load_write(struct image_load *l, const void *data, size_t len); /* 1: pause until on_drain */
void image_load_end(struct image_load *l, int result);
void image_load_cancel(struct image_load *l); /* the client has gone: `done` still runs */

#endif
