/* Who owns a file in the guest's eyes. The daemon's user cannot give files
 * away, so owners, modes and device numbers live in an xattr of the form that
 * fuse-overlayfs uses: "uid:gid:mode[:type[-major-minor]]", ids and device
 * numbers decimal, mode octal. A file without it that belongs to the daemon's
 * user shows as root's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"

void stat_from_host(const struct stat *host, unsigned mount, struct rootfs_stat *ret)
{
	*ret = (struct rootfs_stat){
		.dev = mount + 1,
		.ino = host->st_ino,
		.mode = host->st_mode,
		.nlink = (uint32_t)host->st_nlink,
		.uid = host->st_uid,
		.gid = host->st_gid,
		.blksize = (uint32_t)host->st_blksize,
		.size = host->st_size,
		.blocks = host->st_blocks,
		.atime = host->st_atim,
		.mtime = host->st_mtim,
		.ctime = host->st_ctim,
	};
}

int owner_print(char *text, size_t size, const struct rootfs_stat *st)
{
	int n = snprintf(text, size, "%u:%u:%04o", st->uid, st->gid, st->mode & 07777);

	if (S_ISCHR(st->mode) || S_ISBLK(st->mode))
		n += snprintf(text + n, size - (size_t)n, ":%s-%u-%u", S_ISCHR(st->mode) ? "char" : "block",
			      major(st->rdev), minor(st->rdev));
	else if (S_ISSOCK(st->mode))
		n += snprintf(text + n, size - (size_t)n, ":socket");
	return n;
}

static void parse_type(const char *text, struct rootfs_stat *st)
{
	unsigned major = 0, minor = 0;
	uint32_t type = 0;

	if (strncmp(text, "char", 4) == 0)
		type = S_IFCHR;
	else if (strncmp(text, "block", 5) == 0)
		type = S_IFBLK;
	else if (strncmp(text, "pipe", 4) == 0)
		type = S_IFIFO;
	else if (strncmp(text, "socket", 6) == 0)
		type = S_IFSOCK;
	if (!type)
		return;
	text = strchr(text, '-');
	if (text && sscanf(text, "-%u-%u", &major, &minor) == 2)
		st->rdev = makedev(major, minor);
	st->mode = (st->mode & 07777) | type;
}

int owner_parse(const char *text, struct rootfs_stat *st)
{
	unsigned uid, gid, mode;
	int at = 0;

	if (sscanf(text, "%u:%u:%o%n", &uid, &gid, &mode, &at) != 3)
		return -EINVAL;
	st->uid = uid;
	st->gid = gid;
	st->mode = (st->mode & S_IFMT) | (mode & 07777);
	if (text[at] == ':')
		parse_type(text + at + 1, st);
	return 0;
}

int owner_set_real(int dir_fd, const char *name, const struct rootfs_stat *st)
{
	if (fchownat(dir_fd, name, st->uid, st->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return !S_ISLNK(st->mode) && fchmodat(dir_fd, name, st->mode & 07777, 0) < 0 ? -errno : 0;
}

/* The daemon's user, which never changes: asked once. */
static bool is_own_user(uint32_t uid)
{
	static _Atomic int64_t own = -1;

	if (own < 0)
		own = geteuid();
	return own == uid;
}

static bool is_own_group(uint32_t gid)
{
	static _Atomic int64_t own = -1;

	if (own < 0)
		own = getegid();
	return own == gid;
}

static void apply_defaults(struct rootfs_stat *st)
{
	if (is_own_user(st->uid))
		st->uid = 0;
	if (is_own_group(st->gid))
		st->gid = 0;
}

int owner_apply_fd(int fd, struct rootfs_stat *st)
{
	char text[64];
	ssize_t n = fgetxattr(fd, OWNER_XATTR, text, sizeof(text) - 1);
	int r = n < 0 ? -errno : n == 0 ? -ENODATA : 0;

	if (r == 0) {
		text[n] = '\0';
		r = owner_parse(text, st);
	}
	if (r < 0)
		apply_defaults(st);
	return r;
}

int open_for_attributes(int dir_fd, const char *name, uint32_t type)
{
	if (type != S_IFREG && type != S_IFDIR)
		return -1;
	return fd_floored(openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
}

void owner_apply_open(int fd, int dir_fd, const char *name, bool has_marks, struct rootfs_stat *st)
{
	int r = fd < 0 ? -EOPNOTSUPP : owner_apply_fd(fd, st);

	if (fd < 0)
		apply_defaults(st);
	if (r == -EOPNOTSUPP && has_marks)
		sidecar_read(dir_fd, name, st);
}

void owner_apply(int dir_fd, const char *name, uint32_t type, bool has_marks, struct rootfs_stat *st)
{
	int fd = open_for_attributes(dir_fd, name, type);

	owner_apply_open(fd, dir_fd, name, has_marks, st);
	if (fd >= 0)
		close(fd);
}

void owner_key(struct rootfs_dir *dir, int *ret_fd, const char **ret_name)
{
	bool is_upper = dir_upper(dir) >= 0;

	*ret_fd = is_upper ? dir->upper : dir->lower;
	*ret_name = ".";
	if (!dir->parent || dir->parent->mount != dir->mount)
		return;
	*ret_fd = is_upper ? dir_upper(dir->parent) : dir->parent->lower;
	*ret_name = dir->name;
}

int owner_store_fd(int fd, uint32_t type, const struct rootfs_stat *st)
{
	char text[64];
	int n = owner_print(text, sizeof(text), st);

	if (fsetxattr(fd, OWNER_XATTR, text, (size_t)n, 0) < 0)
		return -errno;
	/* Our own access must not end where the guest's does. */
	return fchmod(fd, (st->mode & 0777) | S_IRUSR | S_IWUSR | (type == S_IFDIR ? S_IXUSR : 0)) < 0 ? -errno : 0;
}

bool owner_is_default(const struct rootfs_stat *st)
{
	return st->uid == 0 && st->gid == 0 && !(st->mode & 07000) && (st->mode & 0600) == 0600 &&
	       !(S_ISDIR(st->mode) && !(st->mode & 0100)) && !S_ISCHR(st->mode) && !S_ISBLK(st->mode) && !S_ISSOCK(st->mode);
}

/* Without xattrs and without marks, on a bind of such a file system, an owner
 * can only be refused, as the kernel does there. */
int owner_store(int dir_fd, const char *name, uint32_t type, bool has_marks, const struct rootfs_stat *st)
{
	int fd = open_for_attributes(dir_fd, name, type), r = fd < 0 ? -EOPNOTSUPP : owner_store_fd(fd, type, st);

	if (r == -EOPNOTSUPP && has_marks)
		r = sidecar_write(dir_fd, name, st, type != S_IFREG && type != S_IFDIR);
	else if (r == -EOPNOTSUPP)
		r = -EPERM;
	if (fd >= 0)
		close(fd);
	return r;
}

bool cred_is_root(const struct rootfs_cred *cred)
{
	return !cred || cred->uid == 0;
}

bool cred_has_group(const struct rootfs_cred *cred, uint32_t gid)
{
	if (cred->gid == gid)
		return true;
	for (size_t i = 0; i < cred->ngroups; i++)
		if (cred->groups[i] == gid)
			return true;
	return false;
}

int check_access(const struct rootfs_cred *cred, const struct rootfs_stat *st, int bits)
{
	uint32_t mode = st->mode;

	if (cred_is_root(cred)) {
		/* Even root executes only what somebody may. */
		if (cred && (bits & X_OK) && !S_ISDIR(mode) && !(mode & 0111))
			return -EACCES;
		return 0;
	}
	if (cred->uid == st->uid)
		mode >>= 6;
	else if (cred_has_group(cred, st->gid))
		mode >>= 3;
	return ((uint32_t)bits & ~mode & 7) ? -EACCES : 0;
}

int check_dir_access(const struct rootfs_cred *cred, struct rootfs_dir *dir, int bits)
{
	struct rootfs_stat st;
	int r;

	if (cred_is_root(cred))
		return 0;
	r = rootfs_dir_stat(dir->fs, dir, &st);
	return r < 0 ? r : check_access(cred, &st, bits);
}
