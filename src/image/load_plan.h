/* What an archive that is to be loaded holds: its images, with the places of their layers in it. Pool threads; blocks. */
#ifndef SOCKERLESS_IMAGE_LOAD_PLAN_H
#define SOCKERLESS_IMAGE_LOAD_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "image/archive_index.h"
#include "image/platform.h"
#include "util/digest.h"
#include "util/error.h"

struct load_layer {
	char *path; /* in the archive */
	char digest[DIGEST_LEN + 1]; /* that its content must have; "": only its diff id tells */
};

struct load_image {
	char *config;
	size_t config_len;
	json_t *names; /* familiar, each with its tag */
	char *parent; /* id; NULL: none is told */
	struct load_layer *layers; /* lowest first */
	size_t nlayers;
};

struct load_plan {
	struct load_image *images;
	size_t nimages, size;
	size_t config_bytes; /* of all */
};

/* `platform` NULL: ours, where there is a choice. ERROR_INVALID in Docker's words for what is no archive of images, and for
 * what has other digests than it says. `data_root`: for layers whose diff ids nobody tells. */
int load_plan_read(const struct archive_index *x, int fd, const char *data_root, const struct image_platform *platform,
		   struct load_plan *ret, struct error *err);
void load_plan_done(struct load_plan *plan);

/* ---- what the readers of the three forms share ---- */

/* The next image: zeroes. ERROR_INVALID: too many. Takes the config, also on error. */
int load_plan_add(struct load_plan *plan, char *take_config, size_t len, struct load_image **ret, struct error *err);
void load_image_add_layer(struct load_image *i, char *take_path, const char *digest);
/* ERROR_INVALID: no name with a tag. */
int load_image_add_name(struct load_image *i, const char *name, struct error *err);

/* load_oci.c: index.json. */
int load_oci_read(const struct archive_index *x, const struct image_platform *platform, struct load_plan *plan,
		  struct error *err);
/* load_legacy.c: repositories, and directories with json and layer.tar. -ENOENT without an error: it is none of those. */
int load_legacy_read(const struct archive_index *x, int fd, const char *data_root, struct load_plan *plan, struct error *err);
/* Copies a file of the archive into a staged blob (blobs.h). */
int load_stage(const struct archive_index *x, int fd, const char *data_root, const char *path, const char *expected,
	       char ret_digest[DIGEST_LEN + 1], char **ret_staged, struct error *err);

#endif
