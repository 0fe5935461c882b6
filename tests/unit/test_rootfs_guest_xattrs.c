/* Extended attributes of the guest's own: what setxattr and its relatives do, whose they are, and how they go along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "support/rootfs-fixture.h"

static const struct rootfs_cred user = { .uid = 1000, .gid = 1000, .umask = 022 };

static int set_as(struct fixture *f, const struct rootfs_cred *cred, const char *path, const char *name,
		  const char *value, int how)
{
	return rootfs_xattr_change(f->fs, cred, NULL, path, 0, name, value, value ? strlen(value) : 0, how);
}

static int set(struct fixture *f, const char *path, const char *name, const char *value)
{
	return set_as(f, NULL, path, name, value, 0);
}

/* The value, or "-errno" as a number in *ret. Static memory. */
static const char *get(struct fixture *f, const char *path, const char *name)
{
	static char value[4097];
	ssize_t n = rootfs_xattr_get(f->fs, NULL, NULL, path, 0, name, value, sizeof(value) - 1);

	if (n < 0)
		return n == -ENODATA    ? "ENODATA" :
		       n == -EOPNOTSUPP ? "EOPNOTSUPP" :
		       n == -ENOENT     ? "ENOENT" :
					  "another error";
	value[n] = '\0';
	return value;
}

/* With a blank after each. */
static const char *list(struct fixture *f, const char *path)
{
	static char names[4097];
	ssize_t n = rootfs_xattr_list(f->fs, NULL, NULL, path, 0, names, sizeof(names) - 1);

	if (n < 0)
		return "an error";
	for (ssize_t i = 0; i < n; i++)
		if (!names[i])
			names[i] = ' ';
	names[n] = '\0';
	return names;
}

static void of_a_file(void **state)
{
	struct fixture *f = *state;
	char small[2];

	assert_string_equal(list(f, "/etc/a"), "");
	assert_string_equal(get(f, "/etc/a", "user.x"), "ENODATA");
	assert_string_equal(changes(f), ""); /* looking copies nothing up */
	assert_int_equal(set(f, "/etc/a", "user.x", "one"), 0);
	assert_int_equal(set(f, "/etc/a", "user.xy", "a=b\nc"), 0);
	assert_int_equal(set(f, "/etc/a", "user.empty", ""), 0);
	assert_string_equal(get(f, "/etc/a", "user.x"), "one");
	assert_string_equal(get(f, "/etc/a", "user.xy"), "a=b\nc");
	assert_string_equal(get(f, "/etc/a", "user.empty"), "");
	assert_string_equal(list(f, "/etc/a"), "user.x user.xy user.empty ");
	assert_int_equal(set(f, "/etc/a", "user.x", "another one"), 0);
	assert_string_equal(get(f, "/etc/a", "user.x"), "another one");
	assert_int_equal(set(f, "/etc/a", "user.xy", NULL), 0);
	assert_int_equal(set(f, "/etc/a", "user.xy", NULL), -ENODATA);
	assert_string_equal(list(f, "/etc/a"), "user.empty user.x ");
	assert_int_equal(rootfs_xattr_get(f->fs, NULL, NULL, "/etc/a", 0, "user.x", NULL, 0), 11);
	assert_int_equal(rootfs_xattr_get(f->fs, NULL, NULL, "/etc/a", 0, "user.x", small, 2), -ERANGE);
	assert_int_equal(rootfs_xattr_list(f->fs, NULL, NULL, "/etc/a", 0, NULL, 0), 18);
	assert_int_equal(rootfs_xattr_list(f->fs, NULL, NULL, "/etc/a", 0, small, 2), -ERANGE);
	assert_string_equal(content(f, "/etc/a"), "lower a");
	assert_string_equal(changes(f), "C/etc C/etc/a ");
}

static void how_it_is_to_be(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_as(f, NULL, "/etc/a", "user.x", "1", XATTR_REPLACE), -ENODATA);
	assert_string_equal(list(f, "/etc/a"), "");
	assert_int_equal(set_as(f, NULL, "/etc/a", "user.x", "1", XATTR_CREATE), 0);
	assert_int_equal(set_as(f, NULL, "/etc/a", "user.x", "2", XATTR_CREATE), -EEXIST);
	assert_string_equal(get(f, "/etc/a", "user.x"), "1");
	assert_int_equal(set_as(f, NULL, "/etc/a", "user.x", "2", XATTR_REPLACE), 0);
	assert_string_equal(get(f, "/etc/a", "user.x"), "2");
}

static void names(void **state)
{
	struct fixture *f = *state;
	char longest[258];

	assert_int_equal(set(f, "/etc/a", "user.", "1"), -EINVAL);
	assert_int_equal(set(f, "/etc/a", "user.a=b", "1"), -EINVAL);
	assert_int_equal(set(f, "/etc/a", "", "1"), -ERANGE);
	assert_int_equal(set(f, "/etc/a", "none", "1"), -EOPNOTSUPP);
	assert_int_equal(set(f, "/etc/a", "system.posix_acl_access", "1"), -EOPNOTSUPP);
	assert_int_equal(set(f, "/etc/a", "trusted.x", "1"), -EPERM);
	assert_int_equal(set(f, "/etc/a", "security.capability", "1"), -EPERM);
	assert_int_equal(set(f, "/etc/a", "user.containers.override_stat", "0:0:4777"), -EPERM);
	assert_int_equal(set(f, "/etc/a", "user.containers.guest_xattrs", NULL), -EPERM);
	assert_string_equal(get(f, "/etc/a", "user.containers.override_stat"), "ENODATA");
	assert_string_equal(get(f, "/etc/a", "security.capability"), "ENODATA");
	assert_string_equal(get(f, "/etc/a", "system.posix_acl_access"), "EOPNOTSUPP");
	memset(longest, 'x', sizeof(longest) - 1);
	memcpy(longest, "user.", 5);
	longest[256] = '\0';
	assert_int_equal(set(f, "/etc/a", longest, "1"), -ERANGE);
	longest[255] = '\0';
	assert_int_equal(set(f, "/etc/a", longest, "1"), 0);
	assert_string_equal(get(f, "/etc/a", longest), "1");
}

/* Around the places where a record's length grows by a digit, and where there is no more room. */
static void sizes(void **state)
{
	struct fixture *f = *state;
	char value[4096];
	size_t most = 0;

	for (size_t n = 1; n < sizeof(value); n += n < 110 || n > 950 ? 1 : 50) {
		memset(value, 'v', n);
		value[n] = '\0';
		if (set(f, "/etc/a", "user.x", value) < 0)
			break;
		assert_string_equal(get(f, "/etc/a", "user.x"), value);
		assert_string_equal(list(f, "/etc/a"), "user.x ");
		most = n;
	}
	/* Some file systems have a little less room than we would take. */
	assert_in_range(most, 3800, ROOTFS_XATTRS_MAX - strlen("4096 SCHILY.xattr.user.x=\n"));
	assert_int_equal(set(f, "/etc/a", "user.y", "1"), -ENOSPC);
	assert_int_equal(strlen(get(f, "/etc/a", "user.x")), most);
	assert_int_equal(set(f, "/etc/a", "user.x", NULL), 0);
	assert_int_equal(set(f, "/etc/a", "user.y", "1"), 0);
	assert_int_equal(rootfs_xattr_change(f->fs, NULL, NULL, "/etc/a", 0, "user.z", value, 65537, 0), -E2BIG);
}

static void whose_they_are(void **state)
{
	struct fixture *f = *state;
	char to[8];

	assert_int_equal(set_as(f, &user, "/etc/a", "user.x", "1", 0), -EACCES);
	assert_string_equal(changes(f), ""); /* what is refused copies nothing up */
	assert_int_equal(set(f, "/etc/a", "user.x", "1"), 0);
	assert_int_equal(rootfs_xattr_get(f->fs, &user, NULL, "/etc/a", 0, "user.x", to, sizeof(to)), 1);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/etc/a", 0600, 0), 0);
	assert_int_equal(rootfs_xattr_get(f->fs, &user, NULL, "/etc/a", 0, "user.x", to, sizeof(to)), -EACCES);
	assert_int_equal(rootfs_xattr_list(f->fs, &user, NULL, "/etc/a", 0, to, sizeof(to)), 7);
	assert_int_equal(rootfs_chown(f->fs, NULL, NULL, "/etc/a", 1000, 1000, 0), 0);
	assert_int_equal(set_as(f, &user, "/etc/a", "user.x", "2", 0), 0);
	assert_string_equal(get(f, "/etc/a", "user.x"), "2"); /* chmod and chown leave them */
	assert_int_equal(rootfs_mkdir(f->fs, NULL, NULL, "/t", 01777), 0);
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/t", 01777, 0), 0);
	assert_int_equal(set_as(f, &user, "/t", "user.x", "1", 0), -EPERM);
	assert_int_equal(set(f, "/t", "user.x", "1"), 0);
}

static void what_may_have_them(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, "/etc", "user.d", "dir"), 0);
	assert_int_equal(set(f, "/", "user.r", "root"), 0);
	assert_string_equal(get(f, "/etc", "user.d"), "dir");
	assert_string_equal(get(f, "/etc/.", "user.d"), "dir");
	assert_string_equal(get(f, "/", "user.r"), "root");
	assert_int_equal(set(f, "/abs", "user.x", "through the link"), 0);
	assert_string_equal(get(f, "/etc/a", "user.x"), "through the link");
	assert_int_equal(rootfs_xattr_change(f->fs, NULL, NULL, "/abs", AT_SYMLINK_NOFOLLOW, "user.x", "1", 1, 0), -EPERM);
	assert_int_equal(rootfs_xattr_list(f->fs, NULL, NULL, "/abs", AT_SYMLINK_NOFOLLOW, NULL, 0), 0);
	assert_int_equal(rootfs_mknod(f->fs, NULL, NULL, "/p", S_IFIFO | 0644, 0), 0);
	assert_int_equal(set(f, "/p", "user.x", "1"), -EPERM);
	assert_string_equal(get(f, "/p", "user.x"), "ENODATA");
	assert_string_equal(get(f, "/nowhere", "user.x"), "ENOENT");
}

static void they_go_along(void **state)
{
	struct fixture *f = *state;
	struct rootfs_file file;
	char records[ROOTFS_XATTRS_MAX];
	size_t n;

	assert_int_equal(set(f, "/etc/a", "user.x", "1"), 0);
	assert_int_equal(rootfs_link(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/l", 0), 0);
	assert_string_equal(get(f, "/etc/l", "user.x"), "1");
	assert_int_equal(rootfs_rename(f->fs, NULL, NULL, "/etc/a", NULL, "/etc/m", 0), 0);
	assert_string_equal(get(f, "/etc/m", "user.x"), "1");
	assert_int_equal(fixture_reopen(f), 0);
	assert_string_equal(get(f, "/etc/m", "user.x"), "1");
	n = rootfs_xattrs(f->fs, NULL, "/etc/m", records); /* what archives get */
	assert_int_equal(n, strlen("25 SCHILY.xattr.user.x=1\n"));
	assert_memory_equal(records, "25 SCHILY.xattr.user.x=1\n", n);
	/* What an archive brought is seen, but for what is no guest's business. */
	assert_int_equal(rootfs_open(f->fs, NULL, NULL, "/new", O_WRONLY | O_CREAT, 0644, &file), 0);
	rootfs_set_xattrs(&file, "40 SCHILY.xattr.security.capability=abc\n27 SCHILY.xattr.user.mine=2\n", 67);
	rootfs_file_done(&file);
	assert_string_equal(list(f, "/new"), "user.mine ");
	assert_int_equal(set(f, "/new", "user.mine", NULL), 0);
	n = rootfs_xattrs(f->fs, NULL, "/new", records);
	assert_int_equal(n, 40);
}

static void of_an_open_file(void **state)
{
	struct fixture *f = *state;
	struct rootfs_file file;
	char to[16];

	assert_int_equal(rootfs_open(f->fs, NULL, NULL, "/etc/a", O_RDWR, 0, &file), 0);
	assert_int_equal(rootfs_unlink(f->fs, NULL, NULL, "/etc/a", 0), 0);
	assert_int_equal(rootfs_fxattr_change(file.dir, NULL, file.fd, "user.x", "1", 1, 0), 0);
	assert_int_equal(rootfs_fxattr_get(file.dir, NULL, file.fd, "user.x", to, sizeof(to)), 1);
	assert_int_equal(rootfs_fxattr_get(file.dir, &user, file.fd, "user.x", to, sizeof(to)), 1);
	assert_int_equal(rootfs_fxattr_change(file.dir, &user, file.fd, "user.x", "2", 1, 0), -EACCES);
	assert_int_equal(rootfs_fxattr_list(file.dir, file.fd, to, sizeof(to)), 7);
	assert_int_equal(rootfs_fxattr_change(file.dir, NULL, file.fd, "user.x", NULL, 0, 0), 0);
	assert_int_equal(rootfs_fxattr_list(file.dir, file.fd, to, sizeof(to)), 0);
	rootfs_file_done(&file);
}

/* No record of ours goes beside a bind's files, and what a size counts has no room for them. */
static void other_mounts(void **state)
{
	struct fixture *f = *state;
	struct rootfs_mount mounts[] = {
		{ .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = f->lower, .upper_fd = f->upper, .fd = -1 },
		{ .kind = ROOTFS_MOUNT_DIR, .target = "/etc", .lower_fd = -1, .upper_fd = -1, .fd = f->upper, .is_bind = true },
	};
	struct rootfs *whole = f->fs;

	assert_int_equal(put_host(f->upper, "b", "b"), 0);
	assert_int_equal(rootfs_new(mounts, 2, &f->fs), 0);
	assert_int_equal(set(f, "/etc/b", "user.x", "1"), -EOPNOTSUPP);
	assert_int_equal(set(f, "/etc", "user.x", "1"), -EOPNOTSUPP);
	assert_string_equal(get(f, "/etc/b", "user.x"), "EOPNOTSUPP");
	rootfs_free(f->fs);
	mounts[1].is_bind = false;
	mounts[1].size_limit_bytes = 1 << 20;
	assert_int_equal(rootfs_new(mounts, 2, &f->fs), 0);
	assert_int_equal(set(f, "/etc/b", "user.x", "1"), -EOPNOTSUPP);
	rootfs_free(f->fs);
	mounts[1].size_limit_bytes = 0;
	assert_int_equal(rootfs_new(mounts, 2, &f->fs), 0);
	assert_int_equal(set(f, "/etc/b", "user.x", "1"), 0);
	assert_int_equal(set(f, "/etc", "user.x", "top"), 0);
	assert_string_equal(get(f, "/etc/b", "user.x"), "1");
	assert_string_equal(get(f, "/etc", "user.x"), "top");
	rootfs_free(f->fs);
	mounts[1].is_readonly = true;
	assert_int_equal(rootfs_new(mounts, 2, &f->fs), 0);
	assert_int_equal(set(f, "/etc/b", "user.x", "2"), -EROFS);
	assert_string_equal(get(f, "/etc/b", "user.x"), "1");
	rootfs_free(f->fs);
	f->fs = whole;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_a_file),     TEST(how_it_is_to_be), TEST(names),
		TEST(sizes),         TEST(whose_they_are),  TEST(what_may_have_them),
		TEST(they_go_along), TEST(of_an_open_file), TEST(other_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
