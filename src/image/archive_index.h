/* What lies where in a tar archive that is a file: so that its parts can be read in any order.
 * Reading blocks: pool threads. */
#ifndef SOCKERLESS_IMAGE_ARCHIVE_INDEX_H
#define SOCKERLESS_IMAGE_ARCHIVE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct archive_file {
	char *link;             /* where it leads, from the root of the archive; NULL: a file, with content */
	int64_t offset, size;
};

enum {
	ARCHIVE_ENTRIES_MAX = 200000,
	ARCHIVE_NAME_MAX = 4096,
};

struct archive_index;
/* `fd` is a file (the whole of it, without compression), and borrowed until the index is freed. ERROR_INVALID: it is no tar
 * archive, it is cut off, names lead out of it, or there are too many. */
int archive_index_open(int fd, struct archive_index **ret, struct error *err);
void archive_index_free(struct archive_index *x); /* takes NULL */

/* The file of that path; links are followed, as far as they stay within. NULL: there is none. */
const struct archive_file *archive_index_find(const struct archive_index *x, const char *path);
/* Its bytes and a NUL; malloc'd. -ENOENT without an error: it is not there. ERROR_INVALID over `max`. */
int archive_index_text(const struct archive_index *x, const char *path, size_t max, char **ret, size_t *ret_len,
		       struct error *err);

#endif
