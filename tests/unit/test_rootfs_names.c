/* Names of the guest that look like our markers: they are names as all others,
 * whatever is done with them, and no mark is ever seen or forged. */
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

static const struct rootfs_cred guest = { .umask = 022 };

static void test_made_listed_removed(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write_to(f, "/etc/.wh.a", "mine", O_CREAT | O_EXCL), 0);
	assert_int_equal(write_to(f, "/etc/.wh..wh..opq", "opaque?", O_CREAT | O_EXCL), 0);
	assert_int_equal(write_to(f, "/etc/.wh..wh.esc.x", "escaped?", O_CREAT | O_EXCL), 0);
	assert_int_equal(write_to(f, "/etc/.wh.", "bare", O_CREAT | O_EXCL), 0);
	assert_string_equal(content(f, "/etc/.wh.a"), "mine");
	assert_string_equal(content(f, "/etc/.wh..wh..opq"), "opaque?");
	assert_string_equal(content(f, "/etc/a"), "lower a"); /* nothing was whited out */
	assert_string_equal(content(f, "/etc/b"), "lower b"); /* nothing was made opaque */
	assert_int_equal(fixture_reopen(f), 0);
	assert_non_null(strstr(listing(f, "/etc", 1), ".wh.a "));
	assert_non_null(strstr(listing(f, "/etc", 1), ".wh..wh..opq "));
	assert_non_null(strstr(listing(f, "/etc", 1), ".wh..wh.esc.x "));
	assert_non_null(strstr(listing(f, "/etc", 1), ".wh. "));
	assert_int_equal(rootfs_unlink(f->fs, &guest, NULL, "/etc/.wh.a", 0), 0);
	assert_string_equal(content(f, "/etc/.wh.a"), "-2");
	assert_string_equal(content(f, "/etc/a"), "lower a");
}

static void test_marks_are_no_names(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0); /* leaves the whiteout of a */
	assert_string_equal(content(f, "/etc/.wh.a"), "-2");
	assert_int_equal(rootfs_unlink(f->fs, &guest, NULL, "/etc/.wh.a", 0), -ENOENT);
	assert_string_equal(content(f, "/etc/a"), "-2");
	assert_int_equal(rootfs_symlink(f->fs, &(struct rootfs_cred){ .uid = 5 }, "x", NULL, "/link"), -EACCES);
	assert_int_equal(rootfs_symlink(f->fs, NULL, "x", NULL, "/link"), 0);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/link", 5, 6, AT_SYMLINK_NOFOLLOW), 0); /* leaves a record */
	assert_null(strstr(listing(f, "/", 1), ".wh."));
	assert_non_null(strstr(listing(f, "/", 1), "link "));
	assert_string_equal(content(f, "/.wh..wh.own.link"), "-2");
	assert_int_equal(rootfs_unlink(f->fs, &guest, NULL, "/.wh..wh.own.link", 0), -ENOENT);
}

static void test_whiteout_of_such_a_name(void **state)
{
	struct fixture *f = *state;

	/* In the image, as an import stores it. */
	assert_int_equal(put_host(f->lower, "etc/.wh..wh.esc.low", "of the image"), 0);
	assert_string_equal(content(f, "/etc/.wh.low"), "of the image");
	assert_int_equal(write_to(f, "/etc/low", "other", O_CREAT), 0);
	assert_int_equal(rootfs_unlink(f->fs, &guest, NULL, "/etc/.wh.low", 0), 0);
	assert_string_equal(content(f, "/etc/.wh.low"), "-2");
	assert_string_equal(content(f, "/etc/low"), "other");
	assert_null(strstr(listing(f, "/etc", 1), ".wh.low"));
	assert_non_null(strstr(changes(f), "D/etc/.wh.low "));
	assert_int_equal(write_to(f, "/etc/.wh.low", "new", O_CREAT | O_EXCL), 0);
	assert_string_equal(content(f, "/etc/.wh.low"), "new");
	assert_non_null(strstr(changes(f), "C/etc/.wh.low "));
}

static void test_directories_and_moves(void **state)
{
	struct fixture *f = *state;
	struct rootfs_dir *dir;
	char path[64];

	assert_int_equal(rootfs_mkdir(f->fs, &guest, NULL, "/.wh.d", 0755), 0);
	assert_int_equal(write_to(f, "/.wh.d/.wh.f", "deep", O_CREAT), 0);
	assert_int_equal(rootfs_open_dir(f->fs, NULL, NULL, "/.wh.d", &dir), 0);
	assert_int_equal(rootfs_dir_path(dir, path, sizeof(path)), 6);
	assert_string_equal(path, "/.wh.d");
	rootfs_dir_unref(dir);
	assert_int_equal(rootfs_rename(f->fs, &guest, NULL, "/.wh.d", NULL, "/.wh.d/in", 0), -EINVAL);
	assert_int_equal(rootfs_rename(f->fs, &guest, NULL, "/.wh.d", NULL, "/.wh.e", 0), 0);
	assert_string_equal(content(f, "/.wh.e/.wh.f"), "deep");
	assert_int_equal(rootfs_rename(f->fs, &guest, NULL, "/.wh.e/.wh.f", NULL, "/plain", 0), 0);
	assert_string_equal(content(f, "/plain"), "deep");
	assert_int_equal(rootfs_link(f->fs, &guest, NULL, "/plain", NULL, "/.wh.hard", 0), 0);
	assert_string_equal(content(f, "/.wh.hard"), "deep");
	assert_int_equal(rootfs_unlink(f->fs, &guest, NULL, "/.wh.e", AT_REMOVEDIR), 0);
}

static void test_length(void **state)
{
	struct fixture *f = *state;
	char path[300] = "/.wh.";

	memset(path + 5, 'x', 243); /* with its eight more 255 bytes in the layer */
	assert_int_equal(write_to(f, path, "long", O_CREAT), 0);
	assert_string_equal(content(f, path), "long");
	memset(path + 5, 'x', 244);
	assert_int_equal(write_to(f, path, "long", O_CREAT), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_listed_removed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_marks_are_no_names, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_whiteout_of_such_a_name, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_directories_and_moves, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_length, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
