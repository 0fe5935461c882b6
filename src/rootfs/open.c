/* open(2) over the view. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

enum { TRIES_MAX = 100 }; /* of an open that meets others who make and remove the same file */

static int access_bits(int flags)
{
	if (flags & O_PATH)
		return 0;
	switch (flags & O_ACCMODE) {
	case O_RDONLY: return (flags & O_TRUNC) ? R_OK | W_OK : R_OK;
	case O_WRONLY: return W_OK;
	default: return R_OK | W_OK;
	}
}

static bool wants_write(int flags)
{
	return (access_bits(flags) & W_OK) != 0;
}

static int create(struct place *p, const struct rootfs_cred *cred, int flags, uint32_t mode, int *ret_fd)
{
	uint32_t bits = mode & 07777 & ~(cred ? cred->umask : 0);
	bool was_whited;
	int r, fd;

	if (p->wants_dir)
		return -EISDIR;
	r = check_dir_access(cred, p->dir, W_OK | X_OK);
	if (r == 0)
		r = prepare_name(p->dir, p->name, &was_whited);
	if (r < 0)
		return r;
	fd = openat(p->dir->upper, p->name, (flags & ~(O_DIRECTORY | O_TRUNC)) | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY,
		    (bits & 0777) | S_IRUSR | S_IWUSR);
	if (fd < 0)
		return -errno;
	r = finish_new(p->dir, p->name, cred, bits | S_IFREG, 0);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int open_layer(struct place *p, int flags, struct rootfs_file *f)
{
	if (wants_write(flags)) {
		int r = p->entry.type == S_IFREG ? copy_up(p->dir, p->name, &p->entry, !(flags & O_TRUNC)) :
						   check_writable(p->dir);

		if (r < 0)
			return r;
	}
	f->is_lower = p->entry.place == ENTRY_LOWER;
	f->fd = openat(entry_layer(p->dir, &p->entry), p->name, (flags & ~(O_CREAT | O_EXCL)) | O_NOFOLLOW | O_NOCTTY);
	if (f->fd >= 0 && wants_write(flags) && p->entry.type == S_IFREG && dir_has_marks(p->dir))
		xattrs_drop_capabilities(f->fd);
	if (f->fd >= 0 && (flags & O_TRUNC) && p->entry.type == S_IFREG)
		quota_give(p->dir, (uint64_t)p->entry.host.st_blocks * 512);
	return f->fd < 0 ? -errno : 0;
}

static int open_mounted_file(struct place *p, int flags, struct rootfs_file *f)
{
	const struct rootfs_mount *m = &p->dir->fs->mounts[p->entry.mount];

	if (wants_write(flags) && m->is_readonly)
		return -EROFS;
	f->is_lower = m->is_readonly; /* its attributes go by name, where that is known */
	f->fd = openat(m->fd, m->ctx, (flags & ~(O_CREAT | O_EXCL)) | O_NOFOLLOW | O_NOCTTY);
	return f->fd < 0 ? -errno : 0;
}

/* A file that is only read is opened at once, and its record read of the descriptor. False: go by its name. */
static bool open_first(struct place *p, int flags, struct rootfs_file *f)
{
	bool is_plain = p->entry.type == S_IFREG && (p->entry.place == ENTRY_UPPER || p->entry.place == ENTRY_LOWER);
	int r;

	is_plain = is_plain && !dir_mount(p->dir)->is_real; /* what the host says is all there is */
	if (!is_plain || (flags & (O_PATH | O_DIRECTORY)) || wants_write(flags) || open_layer(p, flags, f) < 0)
		return false;
	stat_from_host(&p->entry.host, p->dir->mount, &f->st);
	r = owner_apply_fd(f->fd, &f->st);
	if (r == -EOPNOTSUPP && dir_has_marks(p->dir))
		sidecar_read(entry_layer(p->dir, &p->entry), p->name, &f->st);
	if (S_ISREG(f->st.mode))
		return true;
	close(f->fd); /* it stands for a device or a socket */
	f->fd = -1;
	f->is_lower = false;
	return false;
}

static int open_existing(struct place *p, const struct rootfs_cred *cred, int bits, int flags, struct rootfs_file *f)
{
	const struct rootfs_mount *m = dir_mount(p->dir);
	int r;

	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (p->entry.type == S_IFLNK && p->entry.place != ENTRY_VIRTUAL && !(flags & O_PATH))
		return -ELOOP;
	if (open_first(p, flags, f))
		return check_access(cred, &f->st, bits);
	r = place_stat(p, &f->st);
	if (r == 0)
		r = check_access(cred, &f->st, bits);
	if (r < 0)
		return r;
	if (S_ISDIR(f->st.mode)) {
		struct rootfs_dir *d;

		if (wants_write(flags) || (flags & O_CREAT))
			return -EISDIR;
		if (p->name[0] == '\0')
			return 0;
		r = entry_open_dir(p->dir, p->name, &p->entry, &d);
		if (r < 0)
			return r;
		rootfs_dir_unref(p->dir);
		p->dir = d;
		p->name[0] = '\0';
		return 0;
	}
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	f->is_device = S_ISCHR(f->st.mode) || S_ISBLK(f->st.mode);
	if (p->entry.place == ENTRY_VIRTUAL && !f->is_device) {
		f->fd = m->ops->open(m->ctx, p->entry.node, flags);
		return f->fd < 0 ? f->fd : 0;
	}
	if (f->is_device)
		return 0;
	if (S_ISSOCK(f->st.mode))
		return -ENXIO;
	return p->entry.place == ENTRY_MOUNT ? open_mounted_file(p, flags, f) : open_layer(p, flags, f);
}

/* The end of an opening: the file, with its place, or nothing of it. */
static int give(struct place *p, struct rootfs_file *f, int r, struct rootfs_file *ret)
{
	if (r < 0) {
		if (f->fd >= 0)
			close(f->fd);
		place_done(p);
		return r;
	}
	f->dir = p->dir;
	name_show(p->dir, p->name, f->name);
	*ret = *f;
	return 0;
}

/* *ret_has_changed: another process has made or removed the file between our look and the open. */
static int open_once(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		     int flags, uint32_t mode, struct rootfs_file *ret, bool *ret_has_changed)
{
	struct rootfs_file f = { .fd = -1 };
	bool nofollow = (flags & O_NOFOLLOW) || ((flags & O_CREAT) && (flags & O_EXCL));
	bool was_there;
	struct place p;
	int r;

	r = walk(fs, cred, at, path, nofollow ? WALK_NOFOLLOW : 0, &p);
	if (r < 0)
		return r;
	was_there = !p.name[0] || p.entry.place != ENTRY_NONE;
	if (!was_there)
		r = (flags & O_CREAT) ? create(&p, cred, flags, mode, &f.fd) : -ENOENT;
	else
		r = open_existing(&p, cred, access_bits(flags), flags, &f);
	*ret_has_changed = (flags & O_CREAT) && (was_there ? r == -ENOENT : r == -EEXIST && !(flags & O_EXCL));
	if (r == 0 && f.fd >= 0 && f.st.mode == 0)
		r = rootfs_fstat(fs, p.dir, NULL, f.fd, &f.st);
	return give(&p, &f, r, ret);
}

int rootfs_open(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		uint32_t mode, struct rootfs_file *ret)
{
	bool has_changed = true;
	int r = -EOPNOTSUPP;

	if ((flags & O_TMPFILE) == O_TMPFILE)
		return r;
	for (int i = 0; i < TRIES_MAX && has_changed; i++) {
		has_changed = false;
		r = open_once(fs, cred, at, path, flags, mode, ret, &has_changed);
	}
	return r;
}

void rootfs_file_done(struct rootfs_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	rootfs_dir_unref(f->dir);
	f->dir = NULL;
}

int rootfs_open_program(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			struct rootfs_file *ret)
{
	struct rootfs_file f = { .fd = -1 };
	struct place p;
	int r = walk_existing(fs, cred, at, path, 0, &p);

	if (r < 0)
		return r;
	r = open_existing(&p, cred, X_OK, O_RDONLY | O_CLOEXEC | O_NONBLOCK, &f);
	if (r == 0 && (f.fd < 0 || !S_ISREG(f.st.mode)))
		r = -EACCES;
	return give(&p, &f, r, ret);
}

int rootfs_open_socket(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path)
{
	struct rootfs_file f = { .fd = -1 };
	struct place p;
	int r = walk_existing(fs, cred, at, path, 0, &p);

	if (r < 0)
		return r;
	r = place_stat(&p, &f.st);
	if (r == 0 && !S_ISSOCK(f.st.mode))
		r = -ECONNREFUSED;
	if (r == 0)
		r = check_access(cred, &f.st, W_OK);
	if (r == 0 && (p.entry.type != S_IFREG || (p.entry.place != ENTRY_UPPER && p.entry.place != ENTRY_LOWER)))
		r = -ECONNREFUSED;
	if (r == 0)
		r = open_layer(&p, O_RDONLY | O_CLOEXEC, &f);
	place_done(&p);
	return r < 0 ? r : f.fd;
}
