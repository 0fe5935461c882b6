/* What the files of this folder share. */
#ifndef SOCKERLESS_IMAGE_INTERNAL_H
#define SOCKERLESS_IMAGE_INTERNAL_H

#include "image/images.h"

struct images {
	struct images_options options;
	struct list by_age;
	size_t count;
};

/* Adds an image of this config, or answers the one that is there; takes `take_config`. */
struct image *image_add(struct images *im, json_t *take_config, enum image_kind kind, const char *chain_id,
			const char *root_path, int64_t size_bytes, bool has_native);
/* Writes the row. */
void image_save(struct images *im, const struct image *i);
/* Publishes "pull", "tag", "untag", "delete", …; `name` is the attribute. */
void image_event(struct images *im, const char *action, const struct image *i, const char *name);

/* ---- changes.c: docker import --change ---- */
/* Changes the config{} of an image by one Dockerfile instruction. Pure. ERROR_INVALID in Docker's words for what
 * --change does not take. */
int change_apply(json_t *config, const char *instruction, struct error *err);

/* ---- classify.c: blocks, any thread ---- */
/* Does the tree hold native programs (executable ELF files)? What cannot be read is passed over. Adds the sizes of its files to *bytes. */
bool classify_tree(int dir_fd, uint64_t *bytes);

#endif
