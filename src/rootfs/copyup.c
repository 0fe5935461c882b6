/* Copy-up and whiteouts: how a change gets into the upper layer.
 *
 * A copy appears under its final name only when it is complete (made under a
 * marker name, renamed), so that two processes that copy the same file up at
 * once, or one that dies half-way, leave a whole file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"

int check_writable(const struct rootfs_dir *dir)
{
	const struct rootfs_mount *m = dir_mount(dir);

	if (m->kind == ROOTFS_MOUNT_VIRTUAL)
		return -EPERM;
	if (m->is_readonly || (m->kind == ROOTFS_MOUNT_UNION && m->upper_fd < 0))
		return -EROFS;
	return 0;
}

static void temporary_name(char out[300], const char *name)
{
	snprintf(out, 300, TEMPORARY_PREFIX "%d.%.200s", (int)gettid(), name);
}

static int copy_bytes(int from, int to)
{
	char buf[65536];

	for (;;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, 1u << 30, 0);

		if (n == 0)
			return 0;
		if (n < 0)
			break; /* not between these file systems: by hand */
	}
	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf)), done = 0;

		if (n <= 0)
			return n < 0 ? -errno : 0;
		while (done < n) {
			ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w < 0)
				return -errno;
			done += w;
		}
	}
}

static void copy_attributes(int from, int to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	char text[64];
	ssize_t n = fgetxattr(from, OWNER_XATTR, text, sizeof(text));

	if (n > 0)
		(void)!fsetxattr(to, OWNER_XATTR, text, (size_t)n, 0);
	xattrs_copy(from, to);
	(void)!fchmod(to, (st->st_mode & 0777) | S_IRUSR | S_IWUSR);
	(void)!futimens(to, times);
}

/* What the xattr could not carry over: records of the lower layer, and xattrs of it where the upper
 * has none. `was` is how the guest saw the file before. */
static int carry_record(struct rootfs_dir *dir, const char *name, const struct rootfs_stat *was)
{
	struct rootfs_stat is = { 0 };
	struct entry e = { 0 };
	bool is_same;

	if (fstatat(dir->upper, name, &e.host, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	e.place = ENTRY_UPPER;
	e.type = e.host.st_mode & S_IFMT;
	if (entry_stat(dir, name, &e, &is) < 0)
		return 0;
	is_same = is.uid == was->uid && is.gid == was->gid && is.mode == was->mode && is.rdev == was->rdev;
	if (e.type == S_IFREG || e.type == S_IFDIR)
		return is_same ? 0 : owner_store(dir->upper, name, e.type, true, was);
	/* A link or FIFO: its times as well. */
	return sidecar_write(dir->upper, name, was, true);
}

static int copy_regular(struct rootfs_dir *dir, const char *name, const struct entry *e, bool with_content)
{
	uint64_t wanted = with_content ? (uint64_t)e->host.st_size : 0, room = wanted;
	struct rootfs_growth growth = { .fd = -1 };
	bool is_mine = false;
	char temporary[300];
	int r = 0, from, to;

	temporary_name(temporary, name);
	from = openat(dir->lower, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	to = openat(dir->upper, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		r = -errno;
	if (r == 0)
		r = rootfs_grow_begin(dir, NULL, to, 0, &room, &growth);
	if (r == 0 && room < wanted)
		r = -ENOSPC;
	if (r == 0 && with_content)
		r = copy_bytes(from, to);
	if (r == 0) {
		copy_attributes(from, to, &e->host);
		/* Where somebody else was faster their copy stays: it may have been written to. */
		is_mine = linkat(dir->upper, temporary, dir->upper, name, 0) == 0;
		if (!is_mine && errno != EEXIST)
			r = -errno;
	}
	if (to >= 0) {
		if (!is_mine)
			(void)!ftruncate(to, 0);
		rootfs_grow_end(&growth);
		unlinkat(dir->upper, temporary, 0);
		close(to);
	}
	close(from);
	return r;
}

static int copy_directory(struct rootfs_dir *dir, const char *name, const struct entry *e)
{
	int from, to, r = 0;

	if (mkdirat(dir->upper, name, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	from = openat(dir->lower, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	to = openat(dir->upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || to < 0) {
		r = -errno;
	} else {
		copy_attributes(from, to, &e->host);
		(void)!fchmod(to, (e->host.st_mode & 01777) | S_IRWXU);
	}
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return r;
}

static int copy_link(struct rootfs_dir *dir, const char *name)
{
	char target[4096];
	ssize_t n = readlinkat(dir->lower, name, target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (symlinkat(target, dir->upper, name) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int copy_up(struct rootfs_dir *dir, const char *name, struct entry *e, bool with_content)
{
	struct rootfs_stat was;
	int r = check_writable(dir);

	if (r < 0 || e->place == ENTRY_UPPER)
		return r;
	if (e->place != ENTRY_LOWER)
		return e->place == ENTRY_NONE ? -ENOENT : -EBUSY;
	r = dir_make_upper(dir);
	if (r >= 0)
		r = entry_stat(dir, name, e, &was);
	if (r < 0)
		return r;
	switch (e->type) {
	case S_IFREG: r = copy_regular(dir, name, e, with_content); break;
	case S_IFDIR: r = copy_directory(dir, name, e); break;
	case S_IFLNK: r = copy_link(dir, name); break;
	case S_IFIFO: r = mkfifoat(dir->upper, name, 0600) < 0 && errno != EEXIST ? -errno : 0; break;
	default: r = -EPERM;
	}
	if (r == 0)
		r = carry_record(dir, name, &was);
	return r < 0 ? r : entry_lookup(dir, name, false, e);
}

int prepare_name(struct rootfs_dir *dir, const char *name, bool *ret_was_whited)
{
	char whiteout[300];
	int r;

	r = dir_make_upper(dir);
	if (r < 0)
		return r;
	*ret_was_whited = false;
	if (!dir_is_union(dir))
		return 0;
	make_whiteout_name(whiteout, name);
	*ret_was_whited = faccessat(dir->upper, whiteout, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	return 0;
}

static int make_mark(int dir_fd, const char *mark)
{
	int fd = openat(dir_fd, mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int make_whiteout(struct rootfs_dir *dir, const char *name)
{
	char whiteout[300];
	struct stat st;
	int r;

	if (!dir_is_union(dir) || dir->lower < 0)
		return 0;
	if (fstatat(dir->lower, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = dir_make_upper(dir);
	if (r < 0)
		return r;
	make_whiteout_name(whiteout, name);
	return make_mark(dir->upper, whiteout);
}

static int record_new(struct rootfs_dir *dir, const char *name, const struct rootfs_stat *owner)
{
	/* a placeholder file in the layer */
	bool is_device = S_ISCHR(owner->mode) || S_ISBLK(owner->mode) || S_ISSOCK(owner->mode);
	struct rootfs_stat st = *owner;
	int r;

	if (dir_mount(dir)->is_real)
		return owner_set_real(dir->upper, name, owner);
	if (S_ISLNK(st.mode) || S_ISFIFO(st.mode)) {
		clock_gettime(CLOCK_REALTIME, &st.mtime);
		st.atime = st.mtime;
	}
	r = owner_store(dir->upper, name, is_device ? S_IFREG : st.mode & S_IFMT, dir_has_marks(dir), &st);
	/* On a bind what cannot be recorded shows as root's. */
	return r == -EPERM && !dir_has_marks(dir) ? 0 : r;
}

/* The whiteout goes last: until then the name is either gone or complete. */
int finish_new(struct rootfs_dir *dir, const char *name, const struct rootfs_cred *cred, uint32_t mode, uint64_t rdev)
{
	char whiteout[300];
	struct rootfs_stat owner = {
		.uid = cred ? cred->uid : 0,
		.gid = cred ? cred->gid : 0,
		.mode = mode,
		.rdev = rdev,
	};
	uint32_t type = mode & S_IFMT;
	int r, fd;

	/* Only what differs from the default needs a record. */
	r = 0;
	if (!owner_is_default(&owner))
		r = record_new(dir, name, &owner);
	else if (sidecar_may_have(dir, type))
		sidecar_remove(dir->upper, name); /* of an earlier one that ended without its record */
	if (r < 0 || !dir_is_union(dir) || dir->lower < 0)
		return r;
	make_whiteout_name(whiteout, name);
	if (faccessat(dir->upper, whiteout, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (type == S_IFDIR) {
		fd = openat(dir->upper, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = make_mark(fd, OPAQUE_MARK);
		close(fd);
		if (r < 0)
			return r;
	}
	unlinkat(dir->upper, whiteout, 0);
	return 0;
}
