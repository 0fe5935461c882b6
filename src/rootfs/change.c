/* Making, moving and removing names. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

/* A free name that may be made: 0, and the upper directory is there. */
static int walk_new(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    struct place *p, bool *ret_was_whited)
{
	int r = walk(fs, cred, at, path, WALK_NOFOLLOW, p);

	if (r < 0)
		return r;
	if (p->name[0] == '\0' || p->entry.place != ENTRY_NONE)
		r = -EEXIST;
	if (r == 0)
		r = check_dir_access(cred, p->dir, W_OK | X_OK);
	if (r == 0)
		r = prepare_name(p->dir, p->name, ret_was_whited);
	if (r < 0)
		place_done(p);
	return r;
}

int rootfs_mkdir(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, uint32_t mode)
{
	uint32_t bits = mode & 01777 & ~(cred ? cred->umask : 0);
	struct place p;
	bool was_whited;
	int r = walk_new(fs, cred, at, path, &p, &was_whited);

	if (r < 0)
		return r;
	r = quota_take(p.dir, DIR_BYTES);
	if (r == 0 && mkdirat(p.dir->upper, p.name, (bits & 0777) | S_IRWXU) < 0) {
		r = -errno;
		quota_give(p.dir, DIR_BYTES);
	}
	if (r == 0)
		r = finish_new(p.dir, p.name, cred, bits | S_IFDIR, 0);
	place_done(&p);
	return r;
}

int rootfs_mknod(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t mode, uint64_t rdev)
{
	uint32_t bits = mode & 07777 & ~(cred ? cred->umask : 0), type = mode & S_IFMT;
	struct place p;
	bool was_whited;
	int fd, r;

	if (type == 0)
		type = S_IFREG;
	/* A guest gets no devices but those of /dev; an archive may bring some, and they stay what they are. */
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK && (cred || (type != S_IFCHR && type != S_IFBLK)))
		return -EPERM;
	r = walk_new(fs, cred, at, path, &p, &was_whited);
	if (r < 0)
		return r;
	if (type == S_IFIFO) {
		r = mkfifoat(p.dir->upper, p.name, (bits & 0777) | S_IRUSR | S_IWUSR) < 0 ? -errno : 0;
	} else if (dir_mount(p.dir)->is_real) {
		r = mknodat(p.dir->upper, p.name, type | (bits & 0777), (dev_t)rdev) < 0 ? -errno : 0;
	} else {
		fd = openat(p.dir->upper, p.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    (bits & 0777) | S_IRUSR | S_IWUSR);
		r = fd < 0 ? -errno : close(fd);
	}
	if (r == 0)
		r = finish_new(p.dir, p.name, cred, bits | type, rdev);
	place_done(&p);
	return r;
}

int rootfs_symlink(struct rootfs *fs, const struct rootfs_cred *cred, const char *target, struct rootfs_dir *at, const char *path)
{
	struct place p;
	bool was_whited;
	int r;

	if (target[0] == '\0')
		return -ENOENT;
	r = walk_new(fs, cred, at, path, &p, &was_whited);
	if (r < 0)
		return r;
	if (symlinkat(target, p.dir->upper, p.name) < 0)
		r = -errno;
	else
		r = finish_new(p.dir, p.name, cred, S_IFLNK | 0777, 0);
	place_done(&p);
	return r;
}

int rootfs_link(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *from_at, const char *from,
		struct rootfs_dir *to_at, const char *to, int flags)
{
	struct place a, b = { 0 };
	bool was_whited = false;
	int r = walk_existing(fs, cred, from_at, from, flags & AT_SYMLINK_FOLLOW ? 0 : WALK_NOFOLLOW, &a);

	if (r < 0)
		return r;
	r = walk_new(fs, cred, to_at, to, &b, &was_whited);
	if (r < 0) {
		place_done(&a);
		return r;
	}
	if (a.name[0] == '\0' || a.entry.type == S_IFDIR)
		r = -EPERM;
	else if (a.dir->mount != b.dir->mount || a.entry.place == ENTRY_MOUNT)
		r = -EXDEV;
	else
		r = copy_up(a.dir, a.name, &a.entry, true);
	if (r == 0 && linkat(a.dir->upper, a.name, b.dir->upper, b.name, 0) < 0)
		r = -errno;
	if (r == 0 && dir_has_marks(a.dir) && dir_has_marks(b.dir)) {
		sidecar_remove(b.dir->upper, b.name);
		sidecar_link(a.dir->upper, a.name, b.dir->upper, b.name);
	}
	if (r == 0 && was_whited) {
		char whiteout[300];

		make_whiteout_name(whiteout, b.name);
		unlinkat(b.dir->upper, whiteout, 0);
	}
	place_done(&a);
	place_done(&b);
	return r;
}

/* ---- removal ---- */

static int stop_at_first(void *arg, const struct rootfs_dirent *e)
{
	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return 0;
	*(bool *)arg = true;
	return 1;
}

static int check_empty(struct rootfs_dir *dir)
{
	struct rootfs_listing *l;
	uint64_t cookie = 0;
	bool has_any = false;
	int r = rootfs_listing_new(dir->fs, dir, &l);

	if (r < 0)
		return r;
	rootfs_listing_read(l, &cookie, stop_at_first, &has_any);
	rootfs_listing_free(l);
	return has_any ? -ENOTEMPTY : 0;
}

/* The sticky bit: in /tmp only an entry's or the directory's owner removes. */
static int check_sticky(const struct rootfs_cred *cred, struct place *p)
{
	struct rootfs_stat dir, st;

	if (cred_is_root(cred) || rootfs_dir_stat(p->dir->fs, p->dir, &dir) < 0 || !(dir.mode & S_ISVTX))
		return 0;
	if (place_stat(p, &st) < 0 || st.uid == cred->uid || dir.uid == cred->uid)
		return 0;
	return -EPERM;
}

/* Marks left in an otherwise empty upper directory. */
static void clear_marks(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return;
	while ((e = readdir(d)))
		if (strncmp(e->d_name, WHITEOUT_PREFIX, 4) == 0)
			unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
}

static int remove_entry(struct place *p)
{
	bool is_dir = p->entry.type == S_IFDIR;
	int r = make_whiteout(p->dir, p->name);

	if (r < 0 || p->entry.place != ENTRY_UPPER)
		return r;
	if (is_dir)
		clear_marks(p->dir->upper, p->name);
	if (unlinkat(p->dir->upper, p->name, is_dir ? AT_REMOVEDIR : 0) < 0)
		return -errno;
	quota_give_entry(p->dir, &p->entry);
	if (sidecar_may_have(p->dir, p->entry.type))
		sidecar_remove(p->dir->upper, p->name);
	return 0;
}

int rootfs_unlink(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags)
{
	bool is_dir, wants_dir = flags & AT_REMOVEDIR;
	struct rootfs_dir *d = NULL;
	struct place p;
	int r = walk_existing(fs, cred, at, path, WALK_NOFOLLOW, &p);

	if (r < 0)
		return r;
	is_dir = p.entry.type == S_IFDIR;
	if (p.name[0] == '\0')
		r = wants_dir ? -EINVAL : -EISDIR;
	else if (p.entry.place == ENTRY_MOUNT)
		r = -EBUSY;
	else if (is_dir != wants_dir)
		r = wants_dir ? -ENOTDIR : -EISDIR;
	else
		r = check_writable(p.dir);
	if (r == 0)
		r = check_dir_access(cred, p.dir, W_OK | X_OK);
	if (r == 0)
		r = check_sticky(cred, &p);
	if (r == 0 && is_dir) {
		r = entry_open_dir(p.dir, p.name, &p.entry, &d);
		if (r == 0)
			r = check_empty(d);
		rootfs_dir_unref(d);
	}
	if (r == 0)
		r = remove_entry(&p);
	place_done(&p);
	return r;
}

/* ---- rename ---- */

static int check_target(struct place *from, struct place *to)
{
	bool from_dir = from->entry.type == S_IFDIR, to_dir = to->entry.type == S_IFDIR;
	struct rootfs_dir *d;
	int r;

	if (to->entry.place == ENTRY_NONE)
		return 0;
	if (to->entry.place == ENTRY_MOUNT)
		return -EBUSY;
	if (from_dir != to_dir)
		return to_dir ? -EISDIR : -ENOTDIR;
	if (!to_dir)
		return 0;
	r = entry_open_dir(to->dir, to->name, &to->entry, &d);
	if (r < 0)
		return r;
	r = check_empty(d);
	rootfs_dir_unref(d);
	return r;
}

/* A directory with a lower part cannot move: what lies below it stays where it
 * is. EXDEV makes every program copy instead, as over the kernel's overlay. */
static int check_source(struct place *from)
{
	struct rootfs_dir *d;
	bool has_lower;
	int r;

	if (from->entry.place == ENTRY_MOUNT)
		return -EBUSY;
	if (from->entry.type != S_IFDIR)
		return 0;
	r = entry_open_dir(from->dir, from->name, &from->entry, &d);
	if (r < 0)
		return r;
	has_lower = d->lower >= 0;
	rootfs_dir_unref(d);
	return has_lower ? -EXDEV : 0;
}

static int move(struct place *from, struct place *to)
{
	bool is_dir = from->entry.type == S_IFDIR, was_whited = false;
	char whiteout[300];
	int fd, r = copy_up(from->dir, from->name, &from->entry, true);

	if (r == 0)
		r = prepare_name(to->dir, to->name, &was_whited);
	if (r < 0)
		return r;
	/* Nothing of the lower layer may show through at the new place. */
	if (is_dir && dir_is_union(to->dir)) {
		fd = openat(from->dir->upper, from->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			int mark = openat(fd, OPAQUE_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

			if (mark >= 0)
				close(mark);
			close(fd);
		}
		if (to->entry.place == ENTRY_UPPER)
			clear_marks(to->dir->upper, to->name);
	}
	if (renameat(from->dir->upper, from->name, to->dir->upper, to->name) < 0)
		return -errno;
	quota_give_entry(to->dir, &to->entry);
	if (sidecar_may_have(from->dir, from->entry.type) ||
	    (to->entry.place == ENTRY_UPPER && sidecar_may_have(to->dir, to->entry.type)))
		sidecar_move(from->dir->upper, from->name, to->dir->upper, to->name);
	if (was_whited) {
		make_whiteout_name(whiteout, to->name);
		unlinkat(to->dir->upper, whiteout, 0);
	}
	return make_whiteout(from->dir, from->name);
}

static bool is_below(const struct rootfs_dir *dir, const struct place *from)
{
	char path[4400], name[256];
	size_t n;

	name_show(from->dir, from->name, name);
	n = (size_t)snprintf(path, sizeof(path), "%s/%s", strcmp(from->dir->path, "/") ? from->dir->path : "", name);

	return strncmp(dir->path, path, n) == 0 && (dir->path[n] == '/' || dir->path[n] == '\0');
}

/* Two names of one file: a rename between them does nothing. */
static bool is_same_file(const struct entry *a, const struct entry *b)
{
	return a->place == b->place && (a->place == ENTRY_UPPER || a->place == ENTRY_LOWER) &&
	       a->host.st_ino == b->host.st_ino && a->host.st_dev == b->host.st_dev;
}

static int check_and_move(const struct rootfs_cred *cred, struct place *a, struct place *b)
{
	int r = check_writable(a->dir);

	if (r == 0)
		r = check_dir_access(cred, a->dir, W_OK | X_OK);
	if (r == 0)
		r = check_dir_access(cred, b->dir, W_OK | X_OK);
	if (r == 0)
		r = check_sticky(cred, a);
	if (r == 0 && b->entry.place != ENTRY_NONE)
		r = check_sticky(cred, b);
	if (r == 0)
		r = check_target(a, b);
	if (r == 0)
		r = check_source(a);
	return r == 0 ? move(a, b) : r;
}

int rootfs_rename(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *from_at, const char *from,
		  struct rootfs_dir *to_at, const char *to, unsigned flags)
{
	struct place a, b;
	int r;

	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;
	r = walk(fs, cred, from_at, from, WALK_NOFOLLOW, &a);
	if (r < 0)
		return r;
	r = walk(fs, cred, to_at, to, WALK_NOFOLLOW, &b);
	if (r < 0) {
		place_done(&a);
		return r;
	}
	if (a.dir->mount != b.dir->mount)
		r = -EXDEV;
	else if (a.name[0] == '\0' || b.name[0] == '\0')
		r = -EBUSY;
	else if (a.entry.place == ENTRY_NONE)
		r = -ENOENT;
	else if ((flags & RENAME_NOREPLACE) && b.entry.place != ENTRY_NONE)
		r = -EEXIST;
	else if (a.entry.type == S_IFDIR && is_below(b.dir, &a))
		r = -EINVAL;
	else if (b.entry.type == S_IFDIR && is_below(a.dir, &b))
		r = -ENOTEMPTY;
	if (r == 0 && !is_same_file(&a.entry, &b.entry))
		r = check_and_move(cred, &a, &b);
	place_done(&a);
	place_done(&b);
	return r;
}
