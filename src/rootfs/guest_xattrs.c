/* Extended attributes as a guest sets and reads them: those of the name space "user", of regular files and directories in
 * layers and volumes. They are kept as those that archives bring (xattrs.c), and leave with the file as these do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"

enum { NAME_LONGEST = 255, VALUE_LONGEST = 65536 };

#define KEY_PREFIX "SCHILY.xattr."
#define USER "user."
#define OURS "user.containers." /* means something to whoever unpacks layers: no guest's business */

/* ---- the records of a file ---- */

struct records {
	char v[ROOTFS_XATTRS_MAX + 1];
	size_t n;
};

/* The one that begins at `at`. */
struct record {
	const char *name, *value;
	size_t len, name_len, value_len;
};

static void load(int fd, struct records *r)
{
	r->n = xattrs_load(fd, r->v);
	r->v[r->n] = '\0';
}

static bool read_record(const struct records *r, size_t at, struct record *ret)
{
	size_t before, len = xattrs_record(r->v, r->n, at, &before);
	const char *key = r->v + at + before, *end = r->v + at + len - 1, *equals;

	if (len == 0)
		return false;
	*ret = (struct record){ .name = key, .len = len };
	equals = memchr(key, '=', (size_t)(end - key));
	if (!equals || (size_t)(equals - key) < strlen(KEY_PREFIX) || strncmp(key, KEY_PREFIX, strlen(KEY_PREFIX)) != 0)
		return true; /* of no name */
	ret->name = key + strlen(KEY_PREFIX);
	ret->name_len = (size_t)(equals - ret->name);
	ret->value = equals + 1;
	ret->value_len = (size_t)(end - ret->value);
	return true;
}

static bool is_called(const struct record *r, const char *name)
{
	return r->name_len == strlen(name) && memcmp(r->name, name, r->name_len) == 0;
}

static bool find(const struct records *all, const char *name, size_t *ret_at, struct record *ret)
{
	for (size_t at = 0; read_record(all, at, ret); at += ret->len) {
		*ret_at = at;
		if (is_called(ret, name))
			return true;
	}
	return false;
}

/* Its length counts its own digits. */
static int append(struct records *all, const char *name, const void *value, size_t size)
{
	size_t rest = strlen(" " KEY_PREFIX "=\n") + strlen(name) + size, len = rest + 1;
	int n;

	while (snprintf(NULL, 0, "%zu", len) + rest > len)
		len++;
	if (len > ROOTFS_XATTRS_MAX - all->n)
		return -ENOSPC;
	n = snprintf(all->v + all->n, sizeof(all->v) - all->n, "%zu " KEY_PREFIX "%s=", len, name);
	memcpy(all->v + all->n + n, value, size);
	all->n += len;
	all->v[all->n - 1] = '\n';
	return 0;
}

static int change(int fd, const char *name, const void *value, size_t size, int flags)
{
	struct records all;
	struct record old;
	size_t at;
	bool is_there;
	int r;

	load(fd, &all);
	is_there = find(&all, name, &at, &old);
	if (is_there && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!is_there && (flags & XATTR_REPLACE || !value))
		return -ENODATA;
	if (is_there) {
		memmove(all.v + at, all.v + at + old.len, all.n - at - old.len);
		all.n -= old.len;
	}
	r = value ? append(&all, name, value, size) : 0;
	if (r < 0)
		return r;
	if (all.n == 0)
		return fremovexattr(fd, GUEST_XATTRS) < 0 ? -errno : 0;
	return fsetxattr(fd, GUEST_XATTRS, all.v, all.n, 0) < 0 ? -errno : 0;
}

static ssize_t get(int fd, const char *name, void *to, size_t size)
{
	struct records all;
	struct record found;
	size_t at;

	load(fd, &all);
	if (!find(&all, name, &at, &found))
		return -ENODATA;
	if (size > 0 && found.value_len > size)
		return -ERANGE;
	if (size > 0)
		memcpy(to, found.value, found.value_len);
	return (ssize_t)found.value_len;
}

static ssize_t list(int fd, char *to, size_t size)
{
	struct records all;
	struct record r;
	size_t total = 0;

	load(fd, &all);
	for (size_t at = 0; read_record(&all, at, &r); at += r.len) {
		if (r.name_len <= strlen(USER) || strncmp(r.name, USER, strlen(USER)) != 0 ||
		    strncmp(r.name, OURS, strlen(OURS)) == 0)
			continue;
		if (size > 0 && total + r.name_len + 1 > size)
			return -ERANGE;
		if (size > 0) {
			memcpy(to + total, r.name, r.name_len);
			to[total + r.name_len] = '\0';
		}
		total += r.name_len + 1;
	}
	return (ssize_t)total;
}

/* ---- who may do what ---- */

static int check_name(const char *name, bool is_change)
{
	size_t n = strlen(name);
	bool is_root_only = strncmp(name, "trusted.", 8) == 0 || strncmp(name, "security.", 9) == 0 ||
			    strncmp(name, OURS, strlen(OURS)) == 0;

	if (n == 0 || n > NAME_LONGEST)
		return -ERANGE;
	if (is_root_only)
		return is_change ? -EPERM : -ENODATA;
	if (strncmp(name, USER, strlen(USER)) != 0)
		return -EOPNOTSUPP;
	return n == strlen(USER) || strchr(name, '=') ? -EINVAL : 0; /* a record's name ends at the first '=' */
}

static int check(const struct rootfs_cred *cred, const struct rootfs_stat *st, bool is_change)
{
	if (!S_ISREG(st->mode) && !S_ISDIR(st->mode))
		return is_change ? -EPERM : -ENODATA;
	if (is_change && S_ISDIR(st->mode) && (st->mode & S_ISVTX) && !cred_is_root(cred) && cred->uid != st->uid)
		return -EPERM;
	return check_access(cred, st, is_change ? W_OK : R_OK);
}

/* A size limit counts blocks of files: what stands beside them would go past it. */
static int check_mount(const struct rootfs_dir *dir, bool is_change)
{
	if (!dir_has_marks(dir) || !dir->fs->keeps_xattrs[dir->mount] || dir_mount(dir)->size_limit_bytes)
		return -EOPNOTSUPP;
	return is_change ? check_writable(dir) : 0;
}

/* ---- by path ---- */

/* A descriptor for the records of what the path means; `ret_stat`: as it was. */
static int open_place(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		      int flags, bool is_change, bool is_listing)
{
	struct rootfs_stat st;
	struct target t;
	int fd, r = walk_for_change(fs, cred, at, path, flags, &t, &st);

	if (r < 0)
		return r;
	r = t.place.entry.place == ENTRY_UPPER || t.place.entry.place == ENTRY_LOWER ? check_mount(t.place.dir, is_change) :
										       -EOPNOTSUPP;
	if (r == 0 && !is_listing)
		r = check(cred, &st, is_change);
	if (r == 0 && is_change)
		r = make_changeable(&t);
	if (r == 0) {
		fd = open_for_attributes(is_change ? t.dir_fd : entry_layer(t.place.dir, &t.place.entry), t.place.name,
					 t.place.entry.type);
		r = fd < 0 ? is_change ? -EOPNOTSUPP : -ENODATA : fd;
	}
	place_done(&t.place);
	return r;
}

int rootfs_xattr_change(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			int flags, const char *name, const void *value, size_t size, int how)
{
	int fd, r = check_name(name, true);

	if (r == 0)
		r = size > VALUE_LONGEST ? -E2BIG : 0;
	if (r < 0)
		return r;
	fd = open_place(fs, cred, at, path, flags, true, false);
	if (fd < 0)
		return fd;
	r = change(fd, name, value, size, how);
	close(fd);
	return r;
}

ssize_t rootfs_xattr_get(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			 int flags, const char *name, void *to, size_t size)
{
	int fd, r = check_name(name, false);
	ssize_t n;

	if (r < 0)
		return r;
	fd = open_place(fs, cred, at, path, flags, false, false);
	if (fd < 0)
		return fd;
	n = get(fd, name, to, size);
	close(fd);
	return n;
}

ssize_t rootfs_xattr_list(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			  int flags, char *to, size_t size)
{
	int fd = open_place(fs, cred, at, path, flags, false, true);
	ssize_t n;

	if (fd < 0)
		return fd == -ENODATA ? 0 : fd;
	n = list(fd, to, size);
	close(fd);
	return n;
}

/* ---- of an open file of the upper layer ---- */

static int check_open(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, bool is_change, bool is_listing)
{
	struct rootfs_stat st;
	struct stat host;
	int r = check_mount(dir, is_change);

	if (r < 0 || is_listing)
		return r;
	if (fstat(fd, &host) < 0)
		return -errno;
	stat_from_host(&host, dir->mount, &st);
	owner_apply_fd(fd, &st);
	return check(cred, &st, is_change);
}

int rootfs_fxattr_change(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const char *name,
			 const void *value, size_t size, int how)
{
	int r = check_name(name, true);

	if (r == 0)
		r = size > VALUE_LONGEST ? -E2BIG : check_open(dir, cred, fd, true, false);
	return r < 0 ? r : change(fd, name, value, size, how);
}

ssize_t rootfs_fxattr_get(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const char *name, void *to, size_t size)
{
	int r = check_name(name, false);

	if (r == 0)
		r = check_open(dir, cred, fd, false, false);
	return r < 0 ? r : get(fd, name, to, size);
}

ssize_t rootfs_fxattr_list(struct rootfs_dir *dir, int fd, char *to, size_t size)
{
	int r = check_open(dir, NULL, fd, false, true);

	return r < 0 ? r : list(fd, to, size);
}
