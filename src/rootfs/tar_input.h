/* A tar archive as a row of entries: v7, ustar, GNU and PAX headers, long names, sparse files, in any
 * compression that Docker takes. Read as Go's archive/tar reads, with its texts for what is broken. Our own,
 * because names are bytes here: no character set, no normal form comes between an archive and a layer.
 * One thread; blocks in the source's read. */
#ifndef SOCKERLESS_ROOTFS_TAR_INPUT_H
#define SOCKERLESS_ROOTFS_TAR_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "rootfs/tar.h"
#include "util/error.h"

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCK = '4',
	TAR_DIR = '5',
	TAR_FIFO = '6',
};

/* Borrowed from the input until its next entry. */
struct tar_entry {
	char type;               /* one of the above, or another letter, that nobody knows what to do with */
	const char *name, *link; /* link: "" where there is none */
	uint32_t mode;           /* without the type */
	uint32_t uid, gid, major, minor;
	int64_t size;            /* of a file, with its holes */
	int64_t stored_bytes;    /* of it, in the archive */
	struct timespec mtime;
	const char *xattrs; /* the PAX records of xattrs, as they came: at most ROOTFS_XATTRS_MAX bytes, the rest is left out */
	size_t nxattrs;
};

struct tar_input;

/* ERROR_INVALID: no archive. */
int tar_input_new(tar_read_fn read, void *arg, struct tar_input **ret, struct error *err);
void tar_input_free(struct tar_input *in);

/* *ret is NULL at the end. ERROR_INVALID: broken; what the source says is wrong stays internal. */
int tar_input_next(struct tar_input *in, const struct tar_entry **ret, struct error *err);

/* The next bytes of the entry's file, and where in it they belong; *ret_len 0 at its end. Holes are left out, and so are
 * long rows of zeros, which are to be holes: whoever writes the file gives it its size at the end. What is not read
 * is skipped by tar_input_next. */
int tar_input_data(struct tar_input *in, const void **ret, size_t *ret_len, int64_t *ret_at, struct error *err);

/* Reads the source to its end, whatever comes behind the archive: whoever sent it may be waiting, or counting. */
int tar_input_drain(struct tar_input *in, struct error *err);

/* An entry's name as Go's filepath.Clean makes it, without a slash in front: "" is the root. -EXDEV: it leads out;
 * -ENAMETOOLONG. */
int tar_clean_path(const char *name, char *out, size_t size);
/* "BASE/NAME". -ENAMETOOLONG. */
int tar_join(const char *base, const char *name, char *out, size_t size);

#endif
