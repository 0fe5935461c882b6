/* COPY and ADD on the pool: which files are meant, what they hold, and the copy
 * of them into the directory that becomes a layer. Blocks; no state of the loop's. */
#ifndef SOCKERLESS_BUILD_COPY_H
#define SOCKERLESS_BUILD_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dockerfile/ignore.h"
#include "rootfs/rootfs.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/error.h"

struct copy_source {
	char *path;          /* in the source's root, without a slash before it; "" is all of it */
	char *name;          /* of a file: what it is called at its destination */
	char *parents;       /* --parents: the directories that come along; "" */
	char *hash;          /* "file:…" or "dir:…" */
	const char *content; /* of a here document; NULL: a path */
	const char *file;    /* of a URL: host path of the download; NULL: a path */
	int64_t modified_s;  /* of a URL: what the server says; 0: nothing */
	bool is_dir;
};

struct copy_job {
	struct arena arena;
	const char *name;             /* "COPY", for errors */
	bool is_add, is_from_image, has_parents, unpacks, unpacks_downloads;
	struct words sources;
	struct copy_source *documents; /* here documents: name and content */
	size_t ndocuments;
	char *dest;                   /* absolute; a slash at its end tells a directory */
	char *chown, *chmod;          /* "" where there is none */
	struct ignore *excludes;
	char *source_root, *below;    /* host paths: what is read, and the root that is copied onto */
	char *upper;                  /* where the changes go */
	char *checkout, *checkout_dir; /* ADD of a Git repository: what source_root is to be made of (git.h); NULL: it is there */
	bool keeps_git;
	const atomic_bool *is_cancelled;

	struct copy_source *found; /* by copy_find */
	size_t nfound, found_size;
	struct error err;
};

/* Fills `found` with hashes. ERROR in Docker's words, "COPY failed: …". */
int copy_find(struct copy_job *j);
/* Copies what was found. */
int copy_files(struct copy_job *j);
/* WORKDIR: makes the directory where it is not there. */
int copy_make_dir(struct copy_job *j);

/* Has the open file a tar's first header, whatever the compression? Leaves the position at its start. */
bool copy_is_archive(int fd);
/* Calls `each` for every name of a directory, by name; stops when it answers not 0. -errno. */
int copy_each(struct rootfs *fs, const char *path, int (*each)(void *arg, const char *name), void *arg);
/* "a/b" of "a" and "b"; -ENAMETOOLONG. */
int copy_join(char out[4096], const char *dir, const char *name);

#endif
