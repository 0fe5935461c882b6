/* What the files of this folder share. */
#ifndef SOCKERLESS_IMAGE_INTERNAL_H
#define SOCKERLESS_IMAGE_INTERNAL_H

#include "image/images.h"
#include "util/map.h"

struct images {
	struct images_options options;
	struct layers *layers;
	struct list by_age;
	struct map by_id, by_name; /* → struct image; names are tags and "name@digest" */
	struct map children;       /* id of a parent ("": none) → list of their siblings, never empty; owned */
	size_t count;
};

/* An image of this config, whose bytes are `raw_config` (NULL: as json_dumps writes them); or the one that is there.
 * Takes `take_config`, borrows the rest. Not saved. */
struct image *image_add(struct images *im, json_t *take_config, const char *raw_config, enum image_kind kind,
			const char *parent_id, struct layer *top);
/* Out of all indexes, and freed. Its row is the caller's. */
void image_drop(struct images *im, struct image *i);
/* Writes the row. */
void image_save(struct images *im, const struct image *i);
/* Publishes "pull", "tag", "untag", "delete", …; `name` is the attribute. */
void image_event(struct images *im, const char *action, const struct image *i, const char *name);
/* "name:tag" in familiar form: taken from the image that has it. Saves; no event. */
void image_give_name(struct images *im, struct image *i, const char *name);
/* Unless it has one, or that would be its own descendant. Saves. */
void image_set_parent(struct images *im, struct image *i, const char *parent_id);
/* By the beginning of an id, with or without "sha256:"; NULL: none, or several. */
struct image *image_by_prefix(struct images *im, const char *text);
/* Position of a text in an array of texts; false: not there. */
bool image_names_find(json_t *names, const char *text, size_t *ret_at);

/* ---- classify.c: blocks, any thread ---- */
/* Does the tree hold native programs (executable ELF files)? What cannot be read is passed over. Adds the sizes of its files to *bytes. */
bool classify_tree(int dir_fd, uint64_t *bytes);

#endif
