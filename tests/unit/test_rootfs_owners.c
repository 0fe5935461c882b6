/* Owners, modes and times: in xattrs, in records beside links and FIFOs, and in
 * records for everything where the file system has no user xattrs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/rootfs-fixture.h"

/* ---- a file system without user xattrs: these stand before the C library's ---- */

static bool has_no_xattrs;

ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	if (has_no_xattrs) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return syscall(SYS_fgetxattr, fd, name, value, size);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	if (has_no_xattrs) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

static int setup_with(void **state)
{
	has_no_xattrs = false;
	return fixture_setup(state);
}

static int setup_without(void **state)
{
	has_no_xattrs = true;
	return fixture_setup(state);
}

#define OWNER(f, path, u, g, m)                                                                         \
	do {                                                                                            \
		struct rootfs_stat st_;                                                                 \
		assert_int_equal(rootfs_stat((f)->fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st_), 0); \
		assert_int_equal(st_.uid, u);                                                           \
		assert_int_equal(st_.gid, g);                                                           \
		assert_int_equal(st_.mode, m);                                                          \
	} while (0)

static const struct rootfs_cred user = { .uid = 1000, .gid = 1000, .umask = 022 };

/* All of this must be the same on both kinds of file systems. */
static void test_files_and_directories(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/etc/a", 5, 6, 0), 0);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/etc/a", 04711, 0), 0);
	OWNER(f, "/etc/a", 5, 6, S_IFREG | 04711);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/etc", 7, 8, 0), 0);
	OWNER(f, "/etc", 7, 8, S_IFDIR | 0755);
	OWNER(f, "/etc/.", 7, 8, S_IFDIR | 0755);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/", 01777, 0), 0);
	OWNER(f, "/", 0, 0, S_IFDIR | 01777);
	assert_int_equal(rootfs_mkdir(f->fs, &user, NULL, "/mine", 0700), 0);
	OWNER(f, "/mine", 1000, 1000, S_IFDIR | 0700);
	assert_int_equal(rootfs_rename(f->fs, &user, NULL, "/mine", NULL, "/ours", 0), 0);
	OWNER(f, "/ours", 1000, 1000, S_IFDIR | 0700);
	assert_int_equal(rootfs_unlink(f->fs, &user, NULL, "/ours", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/ours", 0755), 0);
	OWNER(f, "/ours", 0, 0, S_IFDIR | 0755); /* nothing is left of the one before */
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/etc/a", NULL, "/hard", 0), 0);
	OWNER(f, "/hard", 5, 6, S_IFREG | 04711);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/hard", 9, 9, 0), 0);
	OWNER(f, "/etc/a", 9, 9, S_IFREG | 0711); /* one file; and a new owner takes set-user-ID away */
	assert_int_equal(fixture_reopen(f), 0);
	OWNER(f, "/hard", 9, 9, S_IFREG | 0711);
}

static void test_links_and_fifos(void **state)
{
	const struct timespec times[2] = { { 1000, 1 }, { 2000, 2 } };
	struct fixture *f = *state;
	struct rootfs_stat st;

	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/", 0777, 0), 0);
	assert_int_equal(rootfs_symlink(f->fs, &user, "target", NULL, "/link"), 0);
	OWNER(f, "/link", 1000, 1000, S_IFLNK | 0777);
	assert_int_equal(rootfs_mknod(f->fs, &user, NULL, "/fifo", S_IFIFO | 0640, 0), 0);
	OWNER(f, "/fifo", 1000, 1000, S_IFIFO | 0640);
	assert_int_equal(rootfs_chmod(f->fs, &user, NULL, "/fifo", 0600, 0), 0);
	OWNER(f, "/fifo", 1000, 1000, S_IFIFO | 0600);
	assert_int_equal(rootfs_utimens(f->fs, &user, NULL, "/link", times, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(rootfs_rename(f->fs, &user, NULL, "/link", NULL, "/moved", 0), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/moved", AT_SYMLINK_NOFOLLOW, &st), 0);
	assert_true(st.mtime.tv_sec == 2000 && st.mtime.tv_nsec == 2 && st.atime.tv_sec == 1000 && st.uid == 1000);
	assert_int_equal(rootfs_unlink(f->fs, &user, NULL, "/moved", 0), 0);
	assert_int_equal(rootfs_symlink(f->fs, NULL, "target", NULL, "/moved"), 0);
	OWNER(f, "/moved", 0, 0, S_IFLNK | 0777);
	assert_int_equal(write_to(f, "/plain", "x", O_CREAT), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/plain", NULL, "/fifo", 0), 0);
	OWNER(f, "/fifo", 0, 0, S_IFREG | 0644); /* the FIFO's record went with it */
}

static void test_copy_up_keeps_records(void **state)
{
	struct fixture *f = *state;
	struct rootfs_stat st;

	assert_int_equal(put_host(f->lower, ".wh..wh.own.abs", "33:44:0777;5.000000006;7.000000008"), 0);
	OWNER(f, "/abs", 33, 44, S_IFLNK | 0777);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/abs", UINT32_MAX, 45, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/abs", AT_SYMLINK_NOFOLLOW, &st), 0);
	assert_true(st.uid == 33 && st.gid == 45 && st.mtime.tv_sec == 7 && st.mtime.tv_nsec == 8);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/up", NULL, "/etc/up", 0), 0);
	OWNER(f, "/etc/up", 0, 0, S_IFLNK | 0777);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/abs", 0), 0);
	assert_int_equal(rootfs_stat(f->fs, NULL, NULL, "/abs", AT_SYMLINK_NOFOLLOW, &st), -ENOENT);
}

static void test_devices_are_placeholders(void **state)
{
	struct fixture *f = *state;
	struct rootfs_cred root = { 0 };
	struct rootfs_file file;
	struct stat host;

	assert_int_equal(rootfs_mknod(f->fs, &root, NULL, "/dev", S_IFCHR | 0600, makedev(1, 3)), -EPERM);
	assert_int_equal(rootfs_mknod(f->fs, NULL, NULL, "/null", S_IFCHR | 0666, makedev(1, 3)), 0);
	OWNER(f, "/null", 0, 0, S_IFCHR | 0666);
	assert_int_equal(fstatat(f->upper, "null", &host, 0), 0);
	assert_true(S_ISREG(host.st_mode)); /* nothing that the host could open as a device */
	assert_int_equal(rootfs_open(f->fs, NULL, NULL, "/null", O_RDWR, 0, &file), 0);
	assert_true(file.is_device && file.fd == -1 && file.st.rdev == makedev(1, 3));
	rootfs_file_done(&file);
}

/* ---- open files ---- */

static void test_open_files_whatever_their_name(void **state)
{
	struct fixture *f = *state;
	struct rootfs_file file;
	struct rootfs_stat st;

	assert_int_equal(rootfs_open(f->fs, NULL, NULL, "/f", O_RDWR | O_CREAT, 0644, &file), 0);
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/f", NULL, "/g", 0), 0);
	assert_int_equal(write_to(f, "/f", "another", O_CREAT), 0);
	assert_int_equal(rootfs_fchmod(file.dir, NULL, file.fd, 0700), 0);
	assert_int_equal(rootfs_fchown(file.dir, &user, file.fd, 1000, 1000), -EPERM);
	assert_int_equal(rootfs_fchown(file.dir, NULL, file.fd, 1000, 1000), 0);
	OWNER(f, "/f", 0, 0, S_IFREG | 0644);
	OWNER(f, "/g", 1000, 1000, S_IFREG | 0700);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/g", 0), 0);
	assert_int_equal(write(file.fd, "still", 5), 5);
	assert_int_equal(rootfs_fstat(f->fs, file.dir, file.name, file.fd, &st), 0);
	assert_true(st.nlink == 0 && st.size == 5 && st.uid == 1000);
	rootfs_file_done(&file);
}

/* ---- who may ---- */

static void test_permissions(void **state)
{
	const uint32_t groups[] = { 20 };
	struct rootfs_cred member = { .uid = 1001, .gid = 1001, .groups = groups, .ngroups = 1 };
	struct fixture *f = *state;
	struct stat host;

	assert_int_equal(rootfs_chmod(f->fs, &user, NULL, "/etc/a", 0777, 0), -EPERM);
	assert_int_equal(rootfs_chown(f->fs, &user, NULL, "/etc/a", 1000, 1000, 0), -EPERM);
	assert_int_equal(rootfs_utimens(f->fs, &user, NULL, "/etc/a", NULL, 0), -EACCES);
	assert_int_equal(fstatat(f->upper, "etc", &host, 0), -1); /* what is refused copies nothing up */
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/sticky", 01777), 0);
	assert_int_equal(write_to(f, "/sticky/root", "x", O_CREAT), 0);
	assert_int_equal(rootfs_mkdir(f->fs, &user, NULL, "/sticky/user", 0777), 0);
	assert_int_equal(rootfs_unlink(f->fs, &user, NULL, "/sticky/root", 0), -EPERM);
	assert_int_equal(rootfs_mknod(f->fs, &user, NULL, "/sticky/mine", S_IFREG | 0600, 0), 0);
	assert_int_equal(rootfs_rename(f->fs, &user, NULL, "/sticky/mine", NULL, "/sticky/root", 0), -EPERM);
	assert_int_equal(rootfs_rename(f->fs, &member, NULL, "/sticky/user", NULL, "/sticky/x", 0), -EPERM);
	assert_int_equal(rootfs_unlink(f->fs, &user, NULL, "/sticky/user", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/etc/b", 0, 20, 0), 0);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/etc/b", 0640, 0), 0);
	assert_int_equal(rootfs_access(f->fs, &member, NULL, "/etc/b", R_OK, 0), 0);
	assert_int_equal(rootfs_access(f->fs, &member, NULL, "/etc/b", W_OK, 0), -EACCES);
	assert_int_equal(rootfs_access(f->fs, &user, NULL, "/etc/b", R_OK, 0), -EACCES);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/etc", 0700, 0), 0);
	assert_int_equal(rootfs_access(f->fs, &member, NULL, "/etc/b", F_OK, 0), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files_and_directories, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_files_and_directories, setup_without, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_links_and_fifos, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_links_and_fifos, setup_without, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_copy_up_keeps_records, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_copy_up_keeps_records, setup_without, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_devices_are_placeholders, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_devices_are_placeholders, setup_without, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_open_files_whatever_their_name, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_permissions, setup_with, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_permissions, setup_without, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
