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
	if (m->is_real)
		return 0;
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (owner_apply_fd(fd, ret) == -EOPNOTSUPP && dir_has_marks(dir)) {
		const char *name;
		int key;

		owner_key(dir, &key, &name);
		sidecar_read(key, name, ret);
	}
	close(fd);
	return 0;
}

int rootfs_fstat(struct rootfs *fs, struct rootfs_dir *dir, const char *name, int fd, struct rootfs_stat *ret)
{
	struct stat host;
	char stored[256];
	struct entry e;

	(void)fs;
	if (fstat(fd, &host) < 0)
		return -errno;
	stat_from_host(&host, dir ? dir->mount : 0, ret);
	if (dir && dir_mount(dir)->is_real)
		return 0;
	if (owner_apply_fd(fd, ret) != -EOPNOTSUPP && S_ISREG(host.st_mode))
		return 0;
	/* A record goes by name: only while the name still means this file. */
	if (dir && name && dir_has_marks(dir) && name_store(dir, name, stored) == 0 &&
	    entry_lookup(dir, stored, false, &e) == 0 && (e.place == ENTRY_UPPER || e.place == ENTRY_LOWER) &&
	    e.host.st_ino == host.st_ino && e.host.st_dev == host.st_dev)
		sidecar_read(entry_layer(dir, &e), stored, ret);
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

int rootfs_access(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int mode, int flags)
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

static bool is_bound_file(const struct place *p)
{
	return p->entry.place == ENTRY_MOUNT && p->dir->fs->mounts[p->entry.mount].kind == ROOTFS_MOUNT_FILE;
}

/* The place as an entry of its parent; "." for a mount's own root. */
static int as_entry(struct place *p)
{
	struct rootfs_dir *dir = p->dir;
	int r = 0;

	if (p->name[0] == '\0' && dir->parent && dir->parent->mount == dir->mount) {
		memcpy(p->name, dir_name(dir), strlen(dir_name(dir)) + 1);
		p->dir = rootfs_dir_ref(dir->parent);
		rootfs_dir_unref(dir);
		return entry_lookup(p->dir, p->name, false, &p->entry);
	}
	if (p->name[0] && (p->entry.place != ENTRY_MOUNT || is_bound_file(p)))
		return 0;
	if (p->name[0]) {
		r = entry_open_dir(p->dir, p->name, &p->entry, &dir);
		if (r < 0)
			return r;
		rootfs_dir_unref(p->dir);
		p->dir = dir;
	}
	memcpy(p->name, ".", 2);
	p->entry = (struct entry){ .place = ENTRY_UPPER, .type = S_IFDIR };
	return r;
}

int walk_for_change(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    int flags, struct target *t, struct rootfs_stat *ret_stat)
{
	struct place *p = &t->place;
	int r = walk_existing(fs, cred, at, path, flags & AT_SYMLINK_NOFOLLOW ? WALK_NOFOLLOW : 0, p);

	if (r < 0)
		return r;
	r = as_entry(p);
	if (r == 0)
		r = strcmp(p->name, ".") == 0 ? rootfs_dir_stat(fs, p->dir, ret_stat) :
						entry_stat(p->dir, p->name, &p->entry, ret_stat);
	if (r < 0)
		place_done(p);
	return r;
}

int make_changeable(struct target *t)
{
	struct place *p = &t->place;
	int r;

	if (is_bound_file(p)) {
		const struct rootfs_mount *m = &p->dir->fs->mounts[p->entry.mount];

		*t = (struct target){ .place = *p, .dir_fd = m->fd, .name = m->ctx, .type = S_IFREG };
		return m->is_readonly ? -EROFS : 0;
	}
	r = strcmp(p->name, ".") == 0 ? dir_make_upper(p->dir) : copy_up(p->dir, p->name, &p->entry, true);
	t->dir_fd = dir_upper(p->dir);
	t->name = p->name;
	t->type = p->entry.type;
	t->has_marks = dir_has_marks(p->dir);
	return r < 0 ? r : 0;
}

static int store(struct target *t, const struct rootfs_stat *st)
{
	int r = make_changeable(t);

	if (r == 0 && dir_mount(t->place.dir)->is_real)
		return owner_set_real(t->dir_fd, t->name, st);
	return r < 0 ? r : owner_store(t->dir_fd, t->name, t->type, t->has_marks, st);
}

static void drop_capabilities(const struct target *t)
{
	int fd = open_for_attributes(t->dir_fd, t->name, t->type);

	if (fd < 0)
		return;
	xattrs_drop_capabilities(fd);
	close(fd);
}

static int change_mode(const struct rootfs_cred *cred, struct rootfs_stat *st, uint32_t mode)
{
	if (!cred_is_root(cred) && cred->uid != st->uid)
		return -EPERM;
	/* As Linux: nobody makes a file set-group-id to a group that is not their own. */
	if (!cred_is_root(cred) && S_ISREG(st->mode) && !cred_has_group(cred, st->gid))
		mode &= ~(uint32_t)S_ISGID;
	st->mode = (st->mode & S_IFMT) | (mode & 07777);
	return 0;
}

static int change_owner(const struct rootfs_cred *cred, struct rootfs_stat *st, uint32_t uid, uint32_t gid)
{
	if (!cred_is_root(cred) && (cred->uid != st->uid || (uid != UINT32_MAX && uid != st->uid) ||
				    (gid != UINT32_MAX && gid != st->gid && !cred_has_group(cred, gid))))
		return -EPERM;
	if (uid != UINT32_MAX)
		st->uid = uid;
	if (gid != UINT32_MAX)
		st->gid = gid;
	/* As Linux: a change of owner takes set-user-ID away. */
	if (S_ISREG(st->mode))
		st->mode &= ~(uint32_t)(S_ISUID | ((st->mode & S_IXGRP) ? S_ISGID : 0));
	return 0;
}

int rootfs_chmod(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t mode, int flags)
{
	struct rootfs_stat st;
	struct target t;
	int r = walk_for_change(fs, cred, at, path, flags, &t, &st);

	if (r < 0)
		return r;
	r = S_ISLNK(st.mode) ? -EOPNOTSUPP : change_mode(cred, &st, mode);
	if (r == 0)
		r = store(&t, &st);
	place_done(&t.place);
	return r;
}

int rootfs_chown(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t uid, uint32_t gid, int flags)
{
	struct rootfs_stat st, was;
	struct target t;
	int r = walk_for_change(fs, cred, at, path, flags, &t, &st);

	if (r < 0)
		return r;
	was = st;
	r = change_owner(cred, &st, uid, gid);
	if (r == 0 && (st.uid != was.uid || st.gid != was.gid || st.mode != was.mode)) {
		r = store(&t, &st);
		if (r == 0 && t.has_marks && t.type == S_IFREG)
			drop_capabilities(&t);
	} else if (r == 0)
		r = check_writable(t.place.dir);
	place_done(&t.place);
	return r;
}

static struct timespec chosen_time(const struct timespec *ts, struct timespec old)
{
	struct timespec now;

	if (ts && ts->tv_nsec == UTIME_OMIT)
		return old;
	if (ts && ts->tv_nsec != UTIME_NOW)
		return *ts;
	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

/* By descriptor: the second wall allows no path here, because Landlock would
 * not look at it. What cannot be opened has its times in its record; on a bind
 * only the daemon, before the wall, can set them. */
static int set_times(struct target *t, struct rootfs_stat *st, const struct timespec ts[2])
{
	int r = make_changeable(t), fd;

	if (r < 0)
		return r;
	fd = open_for_attributes(t->dir_fd, t->name, t->type);
	if (fd >= 0) {
		r = futimens(fd, ts) < 0 ? -errno : 0;
		close(fd);
		return r;
	}
	if (!t->has_marks)
		return utimensat(t->dir_fd, t->name, ts, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	st->atime = chosen_time(ts ? &ts[0] : NULL, st->atime);
	st->mtime = chosen_time(ts ? &ts[1] : NULL, st->mtime);
	return sidecar_write(t->dir_fd, t->name, st, true);
}

static int check_times(const struct rootfs_cred *cred, const struct rootfs_stat *st, const struct timespec ts[2])
{
	if (cred_is_root(cred) || cred->uid == st->uid)
		return 0;
	return ts ? -EPERM : check_access(cred, st, W_OK);
}

int rootfs_utimens(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		   const struct timespec ts[2], int flags)
{
	struct rootfs_stat st;
	struct target t;
	int r = walk_for_change(fs, cred, at, path, flags, &t, &st);

	if (r < 0)
		return r;
	r = check_times(cred, &st, ts);
	if (r == 0)
		r = set_times(&t, &st, ts);
	place_done(&t.place);
	return r;
}

/* ---- of open files ---- */

static int stat_open(struct rootfs_dir *dir, int fd, struct rootfs_stat *st)
{
	struct stat host;
	int r = check_writable(dir);

	if (r < 0)
		return r;
	if (fstat(fd, &host) < 0)
		return -errno;
	if (!S_ISREG(host.st_mode))
		return -EOPNOTSUPP;
	stat_from_host(&host, dir->mount, st);
	return owner_apply_fd(fd, st) == -EOPNOTSUPP ? -EOPNOTSUPP : 0;
}

int rootfs_fchmod(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, uint32_t mode)
{
	struct rootfs_stat st;
	int r = stat_open(dir, fd, &st);

	if (r == 0)
		r = change_mode(cred, &st, mode);
	return r < 0 ? r : owner_store_fd(fd, S_IFREG, &st);
}

int rootfs_fchown(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, uint32_t uid, uint32_t gid)
{
	struct rootfs_stat st;
	int r = stat_open(dir, fd, &st);

	if (r == 0)
		r = change_owner(cred, &st, uid, gid);
	if (r == 0 && dir_has_marks(dir))
		xattrs_drop_capabilities(fd);
	return r < 0 ? r : owner_store_fd(fd, S_IFREG, &st);
}

int rootfs_futimens(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const struct timespec ts[2])
{
	struct rootfs_stat st;
	int r = stat_open(dir, fd, &st);

	if (r == 0)
		r = check_times(cred, &st, ts);
	return r < 0 ? r : futimens(fd, ts) < 0 ? -errno : 0;
}

static int resize(struct rootfs_file *f, int64_t size)
{
	struct rootfs_growth growth;
	uint64_t none = 0;
	int r;

	rootfs_grow_begin(f->dir, f->name, f->fd, 0, &none, &growth);
	growth.dense_size = -1; /* what it grows by is a hole */
	r = ftruncate(f->fd, size) < 0 ? -errno : 0;
	rootfs_grow_end(&growth);
	return r;
}

int rootfs_truncate(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int64_t size)
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
	else
		r = resize(&f, size);
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
	if (m->size_limit_bytes && m->used_bytes) {
		uint64_t used = *m->used_bytes, room = used < m->size_limit_bytes ? m->size_limit_bytes - used : 0;

		ret->total_bytes = m->size_limit_bytes;
		ret->free_bytes = room < ret->free_bytes ? room : ret->free_bytes;
	}
	ret->files = sv.f_files;
	ret->free_files = sv.f_ffree;
	return 0;
}
