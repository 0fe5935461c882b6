/* Names that move, links, whiteouts under them, very deep trees, and a view
 * that changes under a walk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "support/rootfs-fixture.h"

static void test_rename_over_whiteouts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/b", 0), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/b", 0), 0);
	assert_string_equal(content(f, "/etc/b"), "lower a");
	assert_string_equal(listing(f, "/etc", 1), "b ");
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/b", NULL, "/etc/a", 0), 0);
	assert_string_equal(content(f, "/etc/a"), "lower a");
	assert_string_equal(content(f, "/etc/b"), "-2");
	assert_string_equal(changes(f), "C/etc C/etc/a D/etc/b ");
}

static void test_replaced_directory(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/new", 0755), 0);
	assert_int_equal(write_to(f, "/new/c", "c", O_CREAT), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/new", NULL, "/etc", 0), -ENOTEMPTY);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/b", 0), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/new", NULL, "/etc", 0), 0);
	assert_int_equal(fixture_reopen(f), 0);
	assert_string_equal(listing(f, "/etc", 1), "c "); /* nothing of the image shows through */
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc", NULL, "/gone", 0), 0); /* lives in upper only by now */
	assert_string_equal(listing(f, "/", 0), "abs gone up ");
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/etc", 0755), 0);
	assert_string_equal(listing(f, "/etc", 1), "");
	/* A file where a directory of the image was, and back. */
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", AT_REMOVEDIR), 0);
	assert_int_equal(write_to(f, "/etc", "file", O_CREAT), 0);
	assert_string_equal(content(f, "/etc"), "file");
	assert_string_equal(content(f, "/etc/a"), "-20");
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", 0), 0);
	assert_string_equal(content(f, "/etc/a"), "-2");
}

static void test_hard_links(void **state)
{
	struct fixture *f = *state;
	struct rootfs_stat a, b;

	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/etc/a", NULL, "/one", 0), 0); /* copies up first */
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/one", NULL, "/two", 0), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/etc/a", 0, &a), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/two", 0, &b), 0);
	assert_true(a.ino == b.ino && a.dev == b.dev && a.nlink == 3);
	assert_int_equal(write_to(f, "/two", "TWO", 0), 0);
	assert_string_equal(content(f, "/etc/a"), "TWOer a");
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/one", NULL, "/two", 0), 0); /* the same file: nothing happens */
	assert_string_equal(content(f, "/one"), "TWOer a");
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/etc", NULL, "/dir", 0), -EPERM);
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/one", NULL, "/etc/b", 0), -EEXIST);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/two", 0, &b), 0);
	assert_int_equal(b.nlink, 2);
}

static void test_flags_of_rename(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/b", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc", 0), -ENOTEMPTY); /* its own parent */
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/d", 0755), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/d", 0), -EISDIR);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/d", NULL, "/etc/a", 0), -ENOTDIR);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc", NULL, "/d", 0), -EXDEV); /* of the image */
}

/* ---- a tree deeper than anybody may hold open ---- */

static void test_depth(void **state)
{
	struct fixture *f = *state;
	struct rootfs_dir *at = rootfs_root(f->fs), *next;
	struct stat st;

	for (int i = 0; i < 900; i++) {
		assert_int_equal(rootfs_mkdir(f->fs, NULL, at, "deep", 0755), 0);
		assert_int_equal(rootfs_open_dir(f->fs, NULL, at, "deep", &next), 0);
		rootfs_dir_unref(at);
		at = next;
	}
	rootfs_dir_unref(at);
	assert_int_equal(rootfs_remove_tree(f->root_fd, "upper"), 0);
	assert_int_equal(fstatat(f->root_fd, "upper", &st, 0), -1);
	assert_int_equal(mkdirat(f->root_fd, "upper", 0755), 0);
}

/* ---- renames in the middle of walks ---- */

struct race {
	struct fixture *f;
	atomic_bool stop;
	atomic_int renames;
};

/* What is here a moment is gone the next: a directory, a link out, nothing. */
static void *shuffle(void *arg)
{
	struct race *r = arg;

	while (!r->stop) {
		renameat(r->f->upper, "x/y", r->f->upper, "z");
		symlinkat("../../..", r->f->upper, "x/y");
		renameat(r->f->upper, "x", r->f->upper, "w");
		unlinkat(r->f->upper, "w/y", 0);
		renameat(r->f->upper, "z", r->f->upper, "w/y");
		renameat(r->f->upper, "w", r->f->upper, "x");
		r->renames++;
	}
	return NULL;
}

static void test_walk_under_renames(void **state)
{
	static const char *const ways[] = {
		"/x/y/../../outside", "/x/y/../../../outside", "/x/y/../../../../outside", "x/y/q/../../../../outside",
		"/w/../outside",      "/x/y/outside",          "/x/y/q/../../../outside",
	};
	struct race r = { .f = *state };
	struct timespec start, now;
	struct rootfs_dir *at;
	pthread_t thread;
	int found = 0, walks = 0;

	assert_int_equal(mkdirat(r.f->upper, "x", 0755), 0);
	assert_int_equal(mkdirat(r.f->upper, "x/y", 0755), 0);
	assert_int_equal(mkdirat(r.f->upper, "x/y/q", 0755), 0);
	assert_int_equal(rootfs_open_dir(r.f->fs, NULL, NULL, "/x/y/q", &at), 0);
	assert_int_equal(pthread_create(&thread, NULL, shuffle, &r), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++, walks++)
			found += strcmp(content(r.f, ways[i]), "secret") == 0;
		/* From a position that is being moved about: its parents are those it was reached by. */
		struct rootfs_file file;

		if (rootfs_open(r.f->fs, NULL, at, "../../../../../outside", O_RDONLY | O_CLOEXEC, 0, &file) == 0) {
			found++;
			rootfs_file_done(&file);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 2);
	r.stop = true;
	pthread_join(thread, NULL);
	rootfs_dir_unref(at);
	assert_int_equal(found, 0);
	assert_true(walks > 1000 && r.renames > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rename_over_whiteouts, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_replaced_directory, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_hard_links, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_flags_of_rename, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_depth, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_walk_under_renames, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
