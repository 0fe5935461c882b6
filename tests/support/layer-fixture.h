/* Archives made byte by byte, not by our own writer, the roots that they become, and what a view of such a root
 * shows, as text. */
#ifndef SOCKERLESS_TESTS_LAYER_FIXTURE_H
#define SOCKERLESS_TESTS_LAYER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rootfs/layer.h"
#include "util/buf.h"

/* One header and its content. */
struct made {
	char type; /* 0: a file */
	const char *name, *link;
	unsigned mode, uid, gid, major, minor;
	long long mtime, size; /* size: said, when it is not that of the content */
	const char *content;
	size_t len;            /* of the content, when it is no text */
	bool is_gnu;           /* its magic */
};

void tar_add(struct buf *tar, const struct made *m);
#define TAR(tar, ...) tar_add(tar, &(const struct made){ __VA_ARGS__ })
/* A PAX header of records: key, value, key, value, NULL. */
void tar_pax(struct buf *tar, ...);
void tar_end(struct buf *tar);

struct layer_fixture {
	char dir[64];
	int top;   /* holds outside/secret, roots by number, and uppers */
	int root;                /* the newest root */
	unsigned nroots, chunk;  /* chunk: how many bytes the reader gives at a time */
	struct buf tar;
	struct layer_limits limits;
	struct layer_figures figures;
	struct error err;
	char *shown;
};

int layer_fixture_setup(void **state); /* *state is a struct layer_fixture, with an empty root */
int layer_fixture_teardown(void **state);

/* Ends the tar that has been made and applies it to the newest root; empties it. */
int apply(struct layer_fixture *f);
int apply_bytes(struct layer_fixture *f, int dir_fd, const void *data, size_t len);
/* A clone of the newest root is the newest. */
int next_root(struct layer_fixture *f);
/* As a lower layer of a container shows: one line for each entry, "PATH TYPE MODE UID:GID MTIME WHAT". */
const char *shown(struct layer_fixture *f);
/* The same of any view; the caller frees. with_times false: without MTIME. */
char *show_view(struct rootfs *fs, bool with_times);
/* Whether outside/ is as it was made. */
bool is_outside_untouched(struct layer_fixture *f);

/* Runs the tests, and when that is root's doing, once more as an ordinary user. Answers main's status. */
int run_as_both(int (*run)(void));

#endif
