/* setxattr, getxattr, listxattr, removexattr and their relatives: by path, by path of a link itself, by descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include "sandbox/kernel/kernel.h"

/* As much as a file can have: a longer value, or a larger room for one, makes no difference. */
enum { NAME_SIZE = 256, ROOM = ROOTFS_XATTRS_MAX };

/* Whose attributes are meant: a path of `at`, or (at NULL, path empty) none but an open file. */
struct subject {
	struct arg_path path;
	int flags;
	int fd; /* -1: by path */
	struct rootfs_dir *dir;
};

static int by_path(struct subject *s, uint64_t addr, int flags)
{
	s->fd = -1;
	s->flags = flags;
	return arg_path_get(&s->path, AT_FDCWD, addr);
}

static int by_fd(struct subject *s, uint64_t fd)
{
	struct kfile *f = fdtable_get((int)fd);
	const char *name;

	if (!f || f->kind == KFILE_PATH)
		return -EBADF;
	s->fd = f->kind == KFILE_FILE && !f->is_lower && f->dir ? (int)fd : -1;
	s->dir = f->dir;
	s->flags = AT_SYMLINK_NOFOLLOW;
	if (s->fd >= 0)
		return 0;
	if (kfile_by_name(f, &s->path.at, &name) < 0)
		return -EOPNOTSUPP; /* a pipe, a socket */
	strncpy(s->path.text, name, sizeof(s->path.text) - 1);
	s->path.text[sizeof(s->path.text) - 1] = '\0';
	return 0;
}

static int name_in(char name[NAME_SIZE], uint64_t addr)
{
	ssize_t n = copy_in_string(name, addr, NAME_SIZE);

	return n == -ENAMETOOLONG || n == 0 ? -ERANGE : n < 0 ? (int)n : 0;
}

static int64_t set(struct subject *s, int r, uint64_t name_addr, uint64_t addr, uint64_t size, uint64_t how)
{
	char name[NAME_SIZE], value[ROOM];

	size &= UINT32_MAX;
	if ((int)how & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (r == 0)
		r = name_in(name, name_addr);
	if (r == 0 && size > ROOM)
		r = size > XATTR_SIZE_MAX ? -E2BIG : -ENOSPC;
	if (r == 0 && size > 0)
		r = copy_in(value, addr, size);
	if (r < 0)
		return r;
	return s->fd >= 0 ? rootfs_fxattr_change(s->dir, process_cred(), s->fd, name, value, size, (int)how) :
			    rootfs_xattr_change(self.container->fs, process_cred(), s->path.at, s->path.text, s->flags,
						name, value, size, (int)how);
}

static int64_t drop(struct subject *s, int r, uint64_t name_addr)
{
	char name[NAME_SIZE];

	if (r == 0)
		r = name_in(name, name_addr);
	if (r < 0)
		return r;
	return s->fd >= 0 ? rootfs_fxattr_change(s->dir, process_cred(), s->fd, name, NULL, 0, 0) :
			    rootfs_xattr_change(self.container->fs, process_cred(), s->path.at, s->path.text, s->flags,
						name, NULL, 0, 0);
}

static int64_t give(uint64_t addr, const char *from, int64_t n, uint64_t size)
{
	return n > 0 && size > 0 && copy_out(addr, from, (size_t)n) < 0 ? -EFAULT : n;
}

static int64_t get(struct subject *s, int r, uint64_t name_addr, uint64_t addr, uint64_t size)
{
	char name[NAME_SIZE], value[ROOM];
	size_t room = (size &= UINT32_MAX) < ROOM ? size : ROOM;

	if (r == 0)
		r = name_in(name, name_addr);
	if (r < 0)
		return r;
	return give(addr, value,
		    s->fd >= 0 ? rootfs_fxattr_get(s->dir, process_cred(), s->fd, name, value, room) :
				 rootfs_xattr_get(self.container->fs, process_cred(), s->path.at, s->path.text,
						  s->flags, name, value, room),
		    size);
}

static int64_t list(struct subject *s, int r, uint64_t addr, uint64_t size)
{
	char names[ROOM];
	size_t room = (size &= UINT32_MAX) < ROOM ? size : ROOM;

	if (r < 0)
		return r;
	return give(addr, names,
		    s->fd >= 0 ? rootfs_fxattr_list(s->dir, s->fd, names, room) :
				 rootfs_xattr_list(self.container->fs, process_cred(), s->path.at, s->path.text,
						   s->flags, names, room),
		    size);
}

SYS(setxattr)
{
	struct subject s;

	return set(&s, by_path(&s, a[0], 0), a[1], a[2], a[3], a[4]);
}
SYS(lsetxattr)
{
	struct subject s;

	return set(&s, by_path(&s, a[0], AT_SYMLINK_NOFOLLOW), a[1], a[2], a[3], a[4]);
}
SYS(fsetxattr)
{
	struct subject s;

	return set(&s, by_fd(&s, a[0]), a[1], a[2], a[3], a[4]);
}
SYS(getxattr)
{
	struct subject s;

	return get(&s, by_path(&s, a[0], 0), a[1], a[2], a[3]);
}
SYS(lgetxattr)
{
	struct subject s;

	return get(&s, by_path(&s, a[0], AT_SYMLINK_NOFOLLOW), a[1], a[2], a[3]);
}
SYS(fgetxattr)
{
	struct subject s;

	return get(&s, by_fd(&s, a[0]), a[1], a[2], a[3]);
}
SYS(listxattr)
{
	struct subject s;

	return list(&s, by_path(&s, a[0], 0), a[1], a[2]);
}
SYS(llistxattr)
{
	struct subject s;

	return list(&s, by_path(&s, a[0], AT_SYMLINK_NOFOLLOW), a[1], a[2]);
}
SYS(flistxattr)
{
	struct subject s;

	return list(&s, by_fd(&s, a[0]), a[1], a[2]);
}
SYS(removexattr)
{
	struct subject s;

	return drop(&s, by_path(&s, a[0], 0), a[1]);
}
SYS(lremovexattr)
{
	struct subject s;

	return drop(&s, by_path(&s, a[0], AT_SYMLINK_NOFOLLOW), a[1]);
}
SYS(fremovexattr)
{
	struct subject s;

	return drop(&s, by_fd(&s, a[0]), a[1]);
}
