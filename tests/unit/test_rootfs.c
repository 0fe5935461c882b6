/* The union file system over real directories: copy-up, whiteouts, opaque
 * directories, owners, renames, and the ways out that must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/rootfs-fixture.h"

static void test_copy_up(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_string_equal(content(f, "/etc/a"), "lower a");
	assert_int_equal(write_to(f, "/etc/a", "UPPER", 0), 0);
	assert_string_equal(content(f, "/etc/a"), "UPPER a");
	assert_int_equal(fstatat(f->lower, "etc/a", &st, 0), 0);
	assert_int_equal(st.st_size, 7);
	assert_int_equal(fstatat(f->upper, "etc/b", &st, 0), -1); /* only what was touched */
	assert_int_equal(write_to(f, "/etc/a", "x", O_TRUNC), 0);
	assert_string_equal(content(f, "/etc/a"), "x");
	assert_string_equal(content(f, "/abs"), "x");
}

static void test_whiteouts(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_string_equal(content(f, "/etc/a"), "-2");
	assert_string_equal(listing(f, "/etc", 0), "b ");
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), -ENOENT);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", AT_REMOVEDIR), -ENOTEMPTY);
	assert_int_equal(write_to(f, "/etc/a", "again", O_CREAT | O_EXCL), 0);
	assert_string_equal(content(f, "/etc/a"), "again");
	assert_int_equal(write_to(f, "/etc/.wh.b", "x", O_CREAT), 0); /* a name as any other */
	assert_string_equal(content(f, "/etc/b"), "lower b");
}

static void test_opaque(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/b", 0), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/etc", 0755), 0);
	assert_string_equal(listing(f, "/etc", 0), "");
	assert_string_equal(content(f, "/etc/b"), "-2");
}

static void test_rename(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/b", 0), 0);
	assert_string_equal(content(f, "/etc/b"), "lower a");
	assert_string_equal(content(f, "/etc/a"), "-2");
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc", NULL, "/other", 0), -EXDEV);
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/d", 0755), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/d", NULL, "/d/e", 0), -EINVAL);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/d", NULL, "/e", 0), 0);
	assert_int_equal(write_to(f, "/e/x", "y", O_CREAT), 0);
	assert_string_equal(listing(f, "/e", 0), "x ");
}

static void test_no_way_out(void **state)
{
	struct fixture *f = *state;
	struct rootfs_cred root = { 0 };
	struct rootfs_stat st;

	assert_string_equal(content(f, "/up"), "-2");
	assert_string_equal(content(f, "/../../outside"), "-2");
	assert_string_equal(content(f, "/etc/../../outside"), "-2");
	assert_int_equal(rootfs_symlink(f->fs, NULL, "loop", NULL, "/loop"), 0);
	assert_string_equal(content(f, "/loop"), "-40");
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/up", NULL, "/hard", 0), 0);
	assert_string_equal(content(f, "/hard"), "-2");
	assert_int_equal(rootfs_mknod(f->fs, &root, NULL, "/disk", S_IFBLK | 0600, 0x800), -EPERM);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/..", 0, &st), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/..", AT_REMOVEDIR), -EINVAL);
}

static void test_owners(void **state)
{
	struct fixture *f = *state;
	struct rootfs_cred user = { .uid = 1000, .gid = 1000, .umask = 022 };
	struct rootfs_stat st;

	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/etc/a", 5, 6, 0), 0);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/etc/a", 04600, 0), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/etc/a", 0, &st), 0);
	assert_int_equal(st.uid, 5);
	assert_int_equal(st.gid, 6);
	assert_int_equal(st.mode, S_IFREG | 04600);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/etc/b", 0, &st), 0);
	assert_int_equal(st.uid, 0);
	assert_int_equal(rootfs_access(f->fs, &user, NULL, "/etc/a", R_OK, 0), -EACCES);
	assert_int_equal(rootfs_access(f->fs, &user, NULL, "/etc/b", R_OK, 0), 0);
	assert_int_equal(rootfs_mkdir(f->fs, &user, NULL, "/mine", 0755), -EACCES);
	assert_int_equal(rootfs_chown(f->fs, &user, NULL, "/etc/b", 1000, 1000, 0), -EPERM);
}

static void test_changes(void **state)
{
	struct fixture *f = *state;
	const char *text;

	assert_int_equal(write_to(f, "/etc/new", "n", O_CREAT), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	text = changes(f);
	assert_non_null(strstr(text, "C/etc "));
	assert_non_null(strstr(text, "A/etc/new "));
	assert_non_null(strstr(text, "D/etc/a "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy_up, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_whiteouts, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_opaque, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_rename, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_way_out, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_owners, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_changes, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
