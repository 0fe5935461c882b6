/* What tar_input.c and tar_extended.c share. */
#ifndef SOCKERLESS_ROOTFS_TAR_INTERNAL_H
#define SOCKERLESS_ROOTFS_TAR_INTERNAL_H

#include "rootfs/tar_input.h"

struct archive;

enum {
	TAR_BLOCK_BYTES = 512,
	TAR_TEXT_MAX = 1 << 20,    /* of one header that speaks about the next, as in Go */
	TAR_AT_SIZE = 124,
	TAR_AT_SUM = 148,
	TAR_AT_TYPE = 156,
	TAR_AT_LINK = 157,
	TAR_AT_MAGIC = 257,
	TAR_AT_PREFIX = 345,
};

struct tar_text {
	char *data;
	size_t len, size;
};

struct tar_extent {
	int64_t at, len;
};

struct tar_input {
	tar_read_fn read;
	void *arg;
	int source_error;
	bool is_at_end;                      /* the source has said so */
	struct archive *archive;             /* undoes the compression */
	const unsigned char *at;             /* what it has given and nobody has taken */
	size_t left;
	bool has_ended;
	unsigned char block[TAR_BLOCK_BYTES];
	struct tar_entry entry;
	char short_name[260], short_link[104];
	struct tar_text pax, global, long_name, long_link;
	bool has_pax, has_long_name, has_long_link;
	int64_t stored_left;                 /* of the entry's content */
	size_t padding;
	struct tar_extent *extents;          /* of its file, in order; never of no memory */
	size_t nextents, extents_size, extent;
	int64_t sparse_size;                 /* what PAX says; -1: nothing */
	bool has_map_ahead;                  /* the content begins with the map */
	char xattrs[ROOTFS_XATTRS_MAX];
};

int tar_broken(struct error *err);
int tar_cut_short(struct error *err);
/* Up to n bytes, to nowhere when `to` is NULL; fewer at the end only. */
ssize_t tar_take(struct tar_input *in, void *to, size_t n, struct error *err);
/* A header's number: octal, or base 256. */
int tar_number(const unsigned char *field, size_t n, int64_t *ret);

/* ---- tar_extended.c ---- */
void tar_extents_reserve(struct tar_input *in, size_t n);
int tar_apply_pax(struct tar_input *in, struct error *err);
/* No extents where the entry is not sparse. */
int tar_read_sparse_map(struct tar_input *in, struct error *err);

#endif
