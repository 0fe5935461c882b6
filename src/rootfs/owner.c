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

void owner_apply(int fd, struct rootfs_stat *st)
{
	char text[64];
	unsigned uid, gid, mode;
	int at = 0;
	ssize_t n = fd >= 0 ? fgetxattr(fd, OWNER_XATTR, text, sizeof(text) - 1) : -1;

	if (n > 0) {
		text[n] = '\0';
		if (sscanf(text, "%u:%u:%o%n", &uid, &gid, &mode, &at) == 3) {
			st->uid = uid;
			st->gid = gid;
			st->mode = (st->mode & S_IFMT) | (mode & 07777);
			if (text[at] == ':')
				parse_type(text + at + 1, st);
			return;
		}
	}
	if (st->uid == geteuid())
		st->uid = 0;
	if (st->gid == getegid())
		st->gid = 0;
}

int open_for_attributes(int dir_fd, const char *name, uint32_t type)
{
	if (type != S_IFREG && type != S_IFDIR)
		return -1;
	return fd_floored(openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
}

int owner_store(int dir_fd, const char *name, uint32_t type, const struct rootfs_stat *st)
{
	char text[64];
	int r = 0, fd = open_for_attributes(dir_fd, name, type);

	if (fd < 0)
		return 0; /* symlinks and FIFOs keep no owner: docs/rootfs.md */
	snprintf(text, sizeof(text), "%u:%u:%04o", st->uid, st->gid, st->mode & 07777);
	if (fsetxattr(fd, OWNER_XATTR, text, strlen(text), 0) < 0 && errno != EOPNOTSUPP)
		r = -errno;
	/* Our own access must not end where the guest's does. */
	if (r == 0 && fchmod(fd, (st->mode & 0777) | S_IRUSR | S_IWUSR | (type == S_IFDIR ? S_IXUSR : 0)) < 0)
		r = -errno;
	close(fd);
	return r;
}

bool cred_is_root(const struct rootfs_cred *cred)
{
	return !cred || cred->uid == 0;
}

static bool is_in_group(const struct rootfs_cred *cred, uint32_t gid)
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
	else if (is_in_group(cred, st->gid))
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
