/* From one view into another: files with all that is written about them, kept alike. How the root of a native
 * container is made out of layers, and its changes taken back into them. Blocks. */
#ifndef SOCKERLESS_ROOTFS_TRANSFER_H
#define SOCKERLESS_ROOTFS_TRANSFER_H

#include <stdbool.h>

#include "rootfs/rootfs.h"

struct transfer; /* remembers which files have several names */

struct transfer *rootfs_transfer_new(struct rootfs *from, struct rootfs *to);
void rootfs_transfer_free(struct transfer *t);
/* Files that need not be copied may be linked: those below this directory of the host, when their owner and mode there
 * are the true ones. `from` shows the same directory; `to_fd` is `to`'s root. For a `to` that is never written. */
void transfer_allow_links(struct transfer *t, int from_fd, int to_fd);

/* One entry, without what is below a directory. What is alike already is not touched. 0 or -errno. */
int transfer_entry(struct transfer *t, const char *path);
/* The directory and all below it. Stops at the first thing that cannot be done. */
int transfer_tree(struct transfer *t, const char *path);
/* What `to` has in a directory and `from` has not is removed, by name. */
int transfer_remove_others(struct transfer *t, const char *path);

/* Whatever is there, and below it. 0 when there is nothing. */
int view_remove(struct rootfs *fs, const char *path);

#endif
