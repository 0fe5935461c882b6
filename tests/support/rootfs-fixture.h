/* A union of two real directories, for the tests of the union file system:
 *   lower/etc/{a,b}  lower/up → ../../outside  lower/abs → /etc/a  and outside, beside them. */
#ifndef SOCKERLESS_TESTS_ROOTFS_FIXTURE_H
#define SOCKERLESS_TESTS_ROOTFS_FIXTURE_H

#include <stdint.h>

#include "rootfs/rootfs.h"

struct fixture {
	char dir[64];
	int root_fd, lower, upper;
	struct rootfs *fs;
};

int fixture_setup(void **state);    /* *state is a struct fixture */
int fixture_teardown(void **state);
int fixture_reopen(struct fixture *f); /* a new view of the same directories */

int put_host(int dir_fd, const char *path, const char *text); /* past the view. 0, or -1 */
/* The content of a file of the view, or "-errno". Static memory. */
const char *content(struct fixture *f, const char *path);
int write_to(struct fixture *f, const char *path, const char *text, int flags);
/* The names in a directory, but hidden ones unless `all`, sorted, with a blank after each. */
const char *listing(struct fixture *f, const char *path, int all);
/* What docker diff says: "C/etc A/etc/new ". */
const char *changes(struct fixture *f);

#endif
