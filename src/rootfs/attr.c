/* Looking at things and changing what is written about them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "rootfs/internal.h"

int rootfs_dir_stat(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_stat *ret)
{
	const struct rootfs_mount *m = dir_mount(dir);
	struct stat host;
	int fd;

	(void)fs;
	if (m->kind == ROOTFS_MOUNT_VIRTUAL)
		return m->ops->stat(m->ctx, dir->node, ret);
	fd = dir_upper(dir) >= 0 ? dir->upper : dir->lower;
	if (fd < 0 || fstat(fd, &host) < 0)
		return fd < 0 ? -ENOENT : -errno;
	stat_from_host(&host, dir->mount, ret);
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	owner_apply(fd, ret);
	if (fd >= 0)
		close(fd);
	return 0;
}

int rootfs_fstat(struct rootfs *fs, int fd, struct rootfs_stat *ret)
{
	struct stat host;

	(void)fs;
	if (fstat(fd, &host) < 0)
		return -errno;
	stat_from_host(&host, 0, ret);
	owner_apply(S_ISREG(host.st_mode) ? fd : -1, ret);
	return 0;
}

int rootfs_stat(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		struct rootfs_stat *ret)
{
	struct place p;
	int r = walk_existing(fs, cred, at, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &p);

	if (r < 0)
		return r;
	r = place_stat(&p, ret);
	place_done(&p);
	return r;
}

ssize_t rootfs_readlink(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			char *buf, size_t size)
{
	struct place p;
	ssize_t n = walk_existing(fs, cred, at, path, WALK_NOFOLLOW, &p);

	if (n < 0)
		return n;
	if (p.name[0] == '\0' || p.entry.type != S_IFLNK) {
		n = -EINVAL;
	} else if (p.entry.place == ENTRY_VIRTUAL) {
		const struct rootfs_mount *m = dir_mount(p.dir);

		n = m->ops->readlink(m->ctx, p.entry.node, buf, size);
	} else {
		n = readlinkat(entry_layer(p.dir, &p.entry), p.name, buf, size);
		if (n < 0)
			n = -errno;
	}
	place_done(&p);
	return n;
}

int rootfs_access(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int mode,
		  int flags)
{
	struct rootfs_stat st;
	struct place p;
	int r = walk_existing(fs, cred, at, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, &p);

	if (r < 0)
		return r;
	r = place_stat(&p, &st);
	if (r == 0)
		r = check_access(cred, &st, mode);
	if (r == 0 && (mode & W_OK) && p.entry.place != ENTRY_VIRTUAL && !S_ISCHR(st.mode))
		r = check_writable(p.dir) == -EROFS ? -EROFS : 0;
	place_done(&p);
	return r;
}

/* The place as an entry of its parent, copied up: what changes need. */
static int walk_for_change(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			   int flags, bool with_content, struct place *p)
{
	int r = walk_existing(fs, cred, at, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, p);

	if (r < 0)
		return r;
	if (p->name[0] == '\0') {
		struct rootfs_dir *dir = p->dir;

		if (!dir->parent || dir->parent->mount != dir->mount) {
			r = dir_make_upper(dir); /* a mount's own root: "." names it */
			memcpy(p->name, ".", 2);
			p->entry = (struct entry){ .place = ENTRY_UPPER, .type = S_IFDIR };
		} else {
			memcpy(p->name, dir_name(dir), strlen(dir_name(dir)) + 1);
			p->dir = rootfs_dir_ref(dir->parent);
			rootfs_dir_unref(dir);
			r = entry_lookup(p->dir, p->name, &p->entry);
		}
	} else if (p->entry.place == ENTRY_MOUNT) {
		struct rootfs_dir *dir;

		r = entry_open_dir(p->dir, p->name, &p->entry, &dir);
		if (r == 0) {
			rootfs_dir_unref(p->dir);
			p->dir = dir;
			r = dir_make_upper(dir);
			memcpy(p->name, ".", 2);
			p->entry = (struct entry){ .place = ENTRY_UPPER, .type = S_IFDIR };
		}
	}
	if (r == 0)
		r = copy_up(p->dir, p->name, &p->entry, with_content);
	if (r < 0)
		place_done(p);
	return r;
}

static int stat_for_change(struct place *p, struct rootfs_stat *st)
{
	if (strcmp(p->name, ".") == 0)
		return rootfs_dir_stat(p->dir->fs, p->dir, st);
	return entry_stat(p->dir, p->name, &p->entry, st);
}

int rootfs_chmod(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t mode, int flags)
{
	struct rootfs_stat st;
	struct place p;
	int r = walk_for_change(fs, cred, at, path, flags, true, &p);

	if (r < 0)
		return r;
	r = stat_for_change(&p, &st);
	if (r == 0 && !cred_is_root(cred) && cred->uid != st.uid)
		r = -EPERM;
	if (r == 0 && S_ISLNK(st.mode))
		r = -EOPNOTSUPP;
	if (r == 0) {
		st.mode = (st.mode & S_IFMT) | (mode & 07777);
		r = owner_store(p.dir->upper, p.name, p.entry.type, &st);
	}
	place_done(&p);
	return r;
}

int rootfs_chown(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t uid, uint32_t gid, int flags)
{
	struct rootfs_stat st;
	struct place p;
	int r = walk_for_change(fs, cred, at, path, flags, true, &p);

	if (r < 0)
		return r;
	r = stat_for_change(&p, &st);
	if (r == 0 && !cred_is_root(cred) &&
	    (cred->uid != st.uid || (uid != UINT32_MAX && uid != st.uid) || (gid != UINT32_MAX && gid != cred->gid)))
		r = -EPERM;
	if (r == 0) {
		if (uid != UINT32_MAX)
			st.uid = uid;
		if (gid != UINT32_MAX)
			st.gid = gid;
		/* As Linux: a change of owner takes set-user-ID away. */
		if (S_ISREG(st.mode))
			st.mode &= ~(uint32_t)(S_ISUID | ((st.mode & S_IXGRP) ? S_ISGID : 0));
		r = owner_store(p.dir->upper, p.name, p.entry.type, &st);
	}
	place_done(&p);
	return r;
}

/* By descriptor: the second wall allows no path here, because Landlock would not look at it. */
static int set_times(int dir_fd, const char *name, uint32_t type, const struct timespec ts[2])
{
	int r, fd = open_for_attributes(dir_fd, name, type);

	if (fd < 0)
		return 0; /* symlinks and FIFOs keep their own: docs/rootfs.md */
	r = futimens(fd, ts) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int rootfs_utimens(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		   const struct timespec ts[2], int flags)
{
	struct rootfs_stat st;
	struct place p;
	int r = walk_for_change(fs, cred, at, path, flags, true, &p);

	if (r < 0)
		return r;
	r = stat_for_change(&p, &st);
	if (r == 0 && !cred_is_root(cred) && cred->uid != st.uid)
		r = ts ? -EPERM : check_access(cred, &st, W_OK);
	if (r == 0)
		r = set_times(p.dir->upper, p.name, p.entry.type, ts);
	place_done(&p);
	return r;
}

int rootfs_truncate(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    int64_t size)
{
	struct rootfs_file f;
	int r;

	if (size < 0)
		return -EINVAL;
	r = rootfs_open(fs, cred, at, path, O_WRONLY | O_CLOEXEC, 0, &f);
	if (r < 0)
		return r;
	if (f.fd < 0)
		r = f.name[0] ? -EINVAL : -EISDIR;
	else if (ftruncate(f.fd, size) < 0)
		r = -errno;
	rootfs_file_done(&f);
	return r;
}

int rootfs_statfs(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		  struct rootfs_space *ret)
{
	const struct rootfs_mount *m;
	struct statvfs sv;
	struct place p;
	int fd, r = walk_existing(fs, cred, at, path, 0, &p);

	if (r < 0)
		return r;
	m = p.entry.place == ENTRY_MOUNT ? &fs->mounts[p.entry.mount] : dir_mount(p.dir);
	place_done(&p);
	*ret = (struct rootfs_space){ .name_max = 255, .is_readonly = m->is_readonly, .kind = m->kind };
	if (m->kind == ROOTFS_MOUNT_VIRTUAL)
		return 0;
	fd = m->kind != ROOTFS_MOUNT_UNION ? m->fd : m->upper_fd >= 0 ? m->upper_fd : m->lower_fd;
	if (fstatvfs(fd, &sv) < 0)
		return -errno;
	ret->total_bytes = (uint64_t)sv.f_blocks * sv.f_frsize;
	ret->free_bytes = (uint64_t)sv.f_bavail * sv.f_frsize;
	ret->files = sv.f_files;
	ret->free_files = sv.f_ffree;
	return 0;
}

/* Extended attributes of the guest's own are not kept: every caller copes. */
ssize_t rootfs_getxattr(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			const char *name, void *buf, size_t size, int flags)
{
	struct rootfs_stat st;
	int r = rootfs_stat(fs, cred, at, path, flags, &st);

	(void)name, (void)buf, (void)size;
	return r < 0 ? r : -EOPNOTSUPP;
}

int rootfs_setxattr(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    const char *name, const void *buf, size_t size, int xflags, int flags)
{
	(void)xflags, (void)buf;
	return (int)rootfs_getxattr(fs, cred, at, path, name, NULL, size, flags);
}

ssize_t rootfs_listxattr(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			 char *buf, size_t size, int flags)
{
	return rootfs_getxattr(fs, cred, at, path, "", buf, size, flags);
}

int rootfs_removexattr(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		       const char *name, int flags)
{
	return (int)rootfs_getxattr(fs, cred, at, path, name, NULL, 0, flags);
}
