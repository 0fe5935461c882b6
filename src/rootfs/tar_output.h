/* A tar archive written entry by entry, as moby's are: ustar headers, PAX records only for what these cannot hold,
 * times to the second, no names of owners. The same entries give the same bytes, names are bytes.
 * One thread; blocks in the sink's write. */
#ifndef SOCKERLESS_ROOTFS_TAR_OUTPUT_H
#define SOCKERLESS_ROOTFS_TAR_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rootfs/tar.h"
#include "rootfs/tar_input.h"
#include "util/error.h"

struct tar_output;

/* is_gzip: compressed, quickly rather than well. */
int tar_output_new(tar_write_fn write, void *arg, bool is_gzip, struct tar_output **ret, struct error *err);
void tar_output_free(struct tar_output *out);

/* A file's `size` bytes must follow; of other types it is not looked at, nor is stored_bytes. */
int tar_output_entry(struct tar_output *out, const struct tar_entry *e, struct error *err);
int tar_output_data(struct tar_output *out, const void *data, size_t n, struct error *err);
/* The file's content from a descriptor: holes are not read, what it lacks of `size` is zeros. */
int tar_output_file(struct tar_output *out, int fd, int64_t size, struct error *err);
/* Once, when all is in. */
int tar_output_end(struct tar_output *out, struct error *err);

#endif
