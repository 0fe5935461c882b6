/* What the layer_*.c files share. */
#ifndef SOCKERLESS_ROOTFS_LAYER_INTERNAL_H
#define SOCKERLESS_ROOTFS_LAYER_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

int layer_write_all(int fd, const char *data, size_t n, int64_t at);

/* A new file that is as the other one: content (shared where the file system can), holes, mode, owner, times. */
int layer_copy_file(int from_fd, const char *from, int to_fd, const char *to);

#endif
