/* Tar in and out of a merged view (libarchive; daemon side only: these files
 * are not linked into the sandbox). Pool threads; they block. */
#ifndef SOCKERLESS_ROOTFS_TAR_H
#define SOCKERLESS_ROOTFS_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rootfs/rootfs.h"
#include "util/error.h"

struct archive;

/* The compressions that Docker takes: gzip, bzip2, xz, zstd. Not all that
 * libarchive knows: some of those start programs. */
void tar_accept_compressions(struct archive *a);

/* Byte source and sink: return the count, 0 at the end (source), or -errno. */
typedef ssize_t (*tar_read_fn)(void *arg, const void **ret_data);
typedef ssize_t (*tar_write_fn)(void *arg, const void *data, size_t len);

struct tar_write_options {
	const char *rename_root; /* root entry's name in the archive; NULL: basename of path */
	bool contents_only;      /* entries below the directory, no entry for itself ("./" kept) */
	bool skip_mounts;        /* export: do not cross into other mounts */
	bool is_gzip;            /* compressed, quickly rather than well */
};

/* Writes `path` (not followed when it is a link; a directory recursively)
 * as PAX tar: owners, modes, devices, hard links, sparse, xattrs, times. */
int tar_write(struct rootfs *fs, const char *path, const struct tar_write_options *opt, tar_write_fn write, void *arg,
	      struct error *err);

struct tar_extract_options {
	bool no_overwrite_dir_non_dir; /* Docker's noOverwriteDirNonDir */
	bool copy_uid_gid;             /* keep the archive's owners; else root (0:0) */
	bool has_owner;                /* with copy_uid_gid: uid and gid, whatever the archive says */
	uint32_t uid, gid;
	unsigned long long max_bytes;  /* unpacked total, without holes; 0: unlimited */
	unsigned long long max_entries; /* 0: 10 million */
};

/* Extracts (plain, gzip, bzip2, xz, zstd) below directory `path` of the view.
 * Entries that would leave it are confined by the view's own walk. A bad
 * archive is ERROR_INVALID; a read-only target ERROR_FORBIDDEN. */
int tar_extract(struct rootfs *fs, const char *path, const struct tar_extract_options *opt, tar_read_fn read, void *arg,
		struct error *err);

/* Reads it to its end and changes nothing: 0 for a whole archive (also one of no bytes), else
 * ERROR_INVALID. The source must be set back before tar_extract. */
int tar_check(tar_read_fn read, void *arg, struct error *err);

#endif
