/* Image layers and directories: a layer's tar applied onto the root directory
 * that is being made of it, a container's changes written as a layer's tar,
 * and the copy of a root that the next layer is applied to. (libarchive; daemon
 * side only.) Pool threads; they block.
 *
 * A root that is made here has the form of docs/rootfs.md without whiteouts:
 * whoever opens it as a lower directory sees the owners and modes of the archive.
 * Files are shared by hard links between roots, so nothing ever changes a file
 * in place: what a layer brings is a new inode. */
#ifndef SOCKERLESS_ROOTFS_LAYER_H
#define SOCKERLESS_ROOTFS_LAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/error.h"

struct layer_limits {
	unsigned long long max_bytes;   /* unpacked total; 0: 64 GiB */
	unsigned long long max_entries; /* 0: 10 million */
};

struct layer_figures {
	uint64_t bytes;     /* of the regular files that it brought */
	uint64_t entries;
	bool has_native;    /* one of them is an executable ELF file */
};

/* Applies a layer's tar (plain, gzip, bzip2, xz, zstd; OCI image-spec layer.md: whiteouts, opaque
 * directories, hard links, devices, owners, times) onto the directory `dir_fd`, which only the caller
 * knows yet. ERROR_INVALID for an archive that is broken, would leave the directory ("..", a link as a
 * parent), or is over a limit; what has been unpacked then is the caller's to remove.
 * Links of lower layers give way to directories, those of this one are followed within the root. A file
 * that is there already is never written to. Without an error the source is read to its end. *ret is
 * written only on success. */
int layer_apply(int dir_fd, const struct layer_limits *limits, tar_read_fn read, void *arg, struct layer_figures *ret,
		struct error *err);

/* Makes `to_fd` (an empty directory) look as `from_fd` does: directories anew, everything else by hard
 * links (a copy, where the file system has no more links to give). 0 or -errno. */
int layer_clone(int from_fd, int to_fd);

struct layer_write_options {
	int64_t max_mtime_s; /* later times are told as this one (SOURCE_DATE_EPOCH); 0: as they are */
};

/* Writes what the union view's upper layer changes of its lower one (moby: `docker diff`'s entries; mounts
 * are left out) as a layer's tar: PAX, in the order of the paths, whiteouts for what is gone. The same changes
 * give the same bytes. `ret_entries` 0: nothing has changed, and the tar is an empty one. */
int layer_write(struct rootfs *fs, const struct layer_write_options *opt, tar_write_fn write, void *arg,
		uint64_t *ret_entries, struct error *err);

#endif
