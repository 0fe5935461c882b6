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

#include "rootfs/rootfs.h"
#include "util/alloc.h"

struct fixture {
	char dir[64];
	int root_fd, lower, upper;
	struct rootfs *fs;
};

static void put(int dir_fd, const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .fd = -1 };

	memcpy(f->dir, "/tmp/sockerless-rootfs-XXXXXX", 30);
	if (!mkdtemp(f->dir))
		return -1;
	f->root_fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	mkdirat(f->root_fd, "lower", 0755);
	mkdirat(f->root_fd, "upper", 0755);
	f->lower = openat(f->root_fd, "lower", O_PATH | O_DIRECTORY);
	f->upper = openat(f->root_fd, "upper", O_PATH | O_DIRECTORY);
	mkdirat(f->lower, "etc", 0755);
	put(f->lower, "etc/a", "lower a");
	put(f->lower, "etc/b", "lower b");
	put(f->root_fd, "outside", "secret");
	symlinkat("../../outside", f->lower, "up");
	symlinkat("/etc/a", f->lower, "abs");
	m.lower_fd = f->lower;
	m.upper_fd = f->upper;
	*state = f;
	return rootfs_new(&m, 1, &f->fs);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rootfs_free(f->fs);
	close(f->lower);
	close(f->upper);
	close(f->root_fd);
	rootfs_remove_tree(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

/* The content of a file of the view, or "-errno". */
static const char *content(struct fixture *f, const char *path)
{
	static char text[64];
	struct rootfs_file file;
	ssize_t n;
	int r = rootfs_open(f->fs, NULL, NULL, path, O_RDONLY | O_CLOEXEC, 0, &file);

	if (r < 0) {
		snprintf(text, sizeof(text), "%d", r);
		return text;
	}
	n = file.fd >= 0 ? read(file.fd, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	rootfs_file_done(&file);
	return text;
}

static int write_to(struct fixture *f, const char *path, const char *text, int flags)
{
	struct rootfs_file file;
	int r = rootfs_open(f->fs, NULL, NULL, path, O_WRONLY | O_CLOEXEC | flags, 0644, &file);

	if (r < 0)
		return r;
	if (write(file.fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -EIO;
	rootfs_file_done(&file);
	return r;
}

static int collect(void *arg, const struct rootfs_dirent *e)
{
	char *text = arg;
	size_t n = strlen(text);

	if (e->name[0] != '.')
		snprintf(text + n, 256 - n, "%s ", e->name);
	return 0;
}

static const char *listing(struct fixture *f, const char *path)
{
	static char text[256];
	struct rootfs_dir *dir;
	struct rootfs_listing *l;
	uint64_t cookie = 0;

	text[0] = '\0';
	assert_int_equal(rootfs_open_dir(f->fs, NULL, NULL, path, &dir), 0);
	assert_int_equal(rootfs_listing_new(f->fs, dir, &l), 0);
	rootfs_listing_read(l, &cookie, collect, text);
	rootfs_listing_free(l);
	rootfs_dir_unref(dir);
	return text;
}

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
	assert_string_equal(listing(f, "/etc"), "b ");
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), -ENOENT);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", AT_REMOVEDIR), -ENOTEMPTY);
	assert_int_equal(write_to(f, "/etc/a", "again", O_CREAT | O_EXCL), 0);
	assert_string_equal(content(f, "/etc/a"), "again");
	assert_int_equal(write_to(f, "/etc/.wh.b", "x", O_CREAT), -EINVAL);
	assert_string_equal(content(f, "/etc/b"), "lower b");
}

static void test_opaque(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/b", 0), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc", AT_REMOVEDIR), 0);
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/etc", 0755), 0);
	assert_string_equal(listing(f, "/etc"), "");
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
	assert_string_equal(listing(f, "/e"), "x ");
}

static void test_no_way_out(void **state)
{
	struct fixture *f = *state;
	struct rootfs_stat st;

	assert_string_equal(content(f, "/up"), "-2");
	assert_string_equal(content(f, "/../../outside"), "-2");
	assert_string_equal(content(f, "/etc/../../outside"), "-2");
	assert_int_equal(rootfs_symlink(f->fs, NULL, "loop", NULL, "/loop"), 0);
	assert_string_equal(content(f, "/loop"), "-40");
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/up", NULL, "/hard", 0), 0);
	assert_string_equal(content(f, "/hard"), "-2");
	assert_int_equal(rootfs_mknod(f->fs, NULL, NULL, "/disk", S_IFBLK | 0600, 0x800), -EPERM);
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

static int collect_change(void *arg, const char *path, int kind)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 256 - n, "%c%s ", "CAD"[kind], path);
	return 0;
}

static void test_changes(void **state)
{
	struct fixture *f = *state;
	char text[256] = "";

	assert_int_equal(write_to(f, "/etc/new", "n", O_CREAT), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_changes(f->fs, collect_change, text), 0);
	assert_non_null(strstr(text, "C/etc "));
	assert_non_null(strstr(text, "A/etc/new "));
	assert_non_null(strstr(text, "D/etc/a "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whiteouts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_opaque, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owners, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
