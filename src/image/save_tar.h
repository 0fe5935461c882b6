/* The bytes of an archive of images, drawn piece by piece. Pool threads, one at a time; blocks. */
#ifndef SOCKERLESS_IMAGE_SAVE_TAR_H
#define SOCKERLESS_IMAGE_SAVE_TAR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

struct save_tar;
struct save_tar *save_tar_new(void);
void save_tar_free(struct save_tar *t); /* takes NULL */

/* Entries, in any order; a second one of the same name is left out. */
void save_tar_add_dir(struct save_tar *t, const char *name);
void save_tar_add_text(struct save_tar *t, const char *name, char *take_text, size_t len, int64_t mtime_s);
/* The content of the blob `take_path` without its compression; it must have that digest and size. */
void save_tar_add_blob(struct save_tar *t, const char *name, char *take_path, const char *diff_id, uint64_t bytes,
		       int64_t mtime_s);

/* In the order of their names, from now on. Fills the buffer as far as there is something: the count, 0 at the end. */
ssize_t save_tar_read(struct save_tar *t, char *out, size_t size, struct error *err);

#endif
