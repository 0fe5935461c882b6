#include "rootfs/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/map.h"

enum { PATH_LONGEST = 8192, DEPTH_MAX = 512, CHUNK = 1 << 20 };

struct transfer {
	struct rootfs *from, *to;
	struct map names;       /* device and inode of a file with several names → the one that came first */
	int from_fd, to_fd;     /* -1: nothing is linked */
};

struct transfer *rootfs_transfer_new(struct rootfs *from, struct rootfs *to)
{
	struct transfer *t = xnew(struct transfer);

	t->from = from;
	t->to = to;
	t->from_fd = t->to_fd = -1;
	map_init(&t->names);
	return t;
}

void rootfs_transfer_free(struct transfer *t)
{
	const struct map_entry *e;
	size_t pos = 0;

	while ((e = map_next(&t->names, &pos)))
		free(e->value);
	map_done(&t->names);
	free(t);
}

void transfer_allow_links(struct transfer *t, int from_fd, int to_fd)
{
	t->from_fd = from_fd;
	t->to_fd = to_fd;
}

/* ---- removal ---- */

static bool join(char *out, const char *dir, const char *name)
{
	return snprintf(out, PATH_LONGEST, "%s/%s", strcmp(dir, "/") ? dir : "", name) < PATH_LONGEST;
}

/* The names in a directory; NULL-ended. */
struct names {
	char **v;
	size_t n;
};

static int add_name(void *arg, const struct rootfs_dirent *e)
{
	struct names *names = arg;

	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return 0;
	names->v = xrealloc(names->v, (names->n + 1) * sizeof(*names->v));
	names->v[names->n++] = xstrdup(e->name);
	return 0;
}

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

static int list(struct rootfs *fs, const char *path, struct names *ret)
{
	struct rootfs_listing *l;
	struct rootfs_dir *dir;
	uint64_t cookie = 0;
	int r = rootfs_open_dir(fs, NULL, NULL, path, &dir);

	*ret = (struct names){ 0 };
	if (r < 0)
		return r;
	r = rootfs_listing_new(fs, dir, &l);
	rootfs_dir_unref(dir);
	if (r < 0)
		return r;
	r = rootfs_listing_read(l, &cookie, add_name, ret);
	rootfs_listing_free(l);
	return r < 0 ? r : 0;
}

static int remove_below(struct rootfs *fs, const char *path, int depth)
{
	char below[PATH_LONGEST];
	struct rootfs_stat st;
	struct names names;
	int r = rootfs_stat(fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR ? 0 : r;
	if (!S_ISDIR(st.mode))
		return rootfs_unlink(fs, NULL, NULL, path, 0);
	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = list(fs, path, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = join(below, path, names.v[i]) ? remove_below(fs, below, depth + 1) : -ENAMETOOLONG;
	names_done(&names);
	return r < 0 ? r : rootfs_unlink(fs, NULL, NULL, path, AT_REMOVEDIR);
}

int view_remove(struct rootfs *fs, const char *path)
{
	return remove_below(fs, path, 0);
}

/* ---- one entry ---- */

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_alike(const struct rootfs_stat *a, const struct rootfs_stat *b)
{
	if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
		return false;
	if (S_ISDIR(a->mode))
		return true; /* its time follows from what happens in it, and is set after that */
	return is_same_time(a->mtime, b->mtime) && (!S_ISREG(a->mode) || a->size == b->size) &&
	       ((!S_ISCHR(a->mode) && !S_ISBLK(a->mode)) || a->rdev == b->rdev);
}

static bool is_same_link(struct transfer *t, const char *path)
{
	char a[4096], b[4096];
	ssize_t n = rootfs_readlink(t->from, NULL, NULL, path, a, sizeof(a));

	return n >= 0 && rootfs_readlink(t->to, NULL, NULL, path, b, sizeof(b)) == n && memcmp(a, b, (size_t)n) == 0;
}

static int copy_bytes(int from, int to)
{
	ssize_t n;
	off_t at = 0, data;

	while ((data = lseek(from, at, SEEK_DATA)) >= 0) { /* holes stay holes */
		off_t hole = lseek(from, data, SEEK_HOLE);

		if (hole < 0 || lseek(from, data, SEEK_SET) < 0 || lseek(to, data, SEEK_SET) < 0)
			return -errno;
		while (data < hole) {
			size_t want = hole - data < CHUNK ? (size_t)(hole - data) : CHUNK;

			n = copy_file_range(from, NULL, to, NULL, want, 0);
			if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
				static char buffer[CHUNK];

				n = read(from, buffer, want);
				if (n > 0 && write(to, buffer, (size_t)n) != n)
					return errno ? -errno : -EIO;
			}
			if (n < 0)
				return -errno;
			if (n == 0) /* it has shrunk */
				return 0;
			data += n;
		}
		at = hole;
	}
	return errno == ENXIO ? 0 : -errno;
}

static int copy_file(struct transfer *t, const char *path, const struct rootfs_stat *st)
{
	struct rootfs_file in, out;
	int r = rootfs_open(t->from, NULL, NULL, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, &in);

	if (r < 0)
		return r;
	r = rootfs_open(t->to, NULL, NULL, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &out);
	if (r == 0) {
		r = ftruncate(out.fd, st->size) < 0 ? -errno : copy_bytes(in.fd, out.fd);
		rootfs_file_done(&out);
	}
	rootfs_file_done(&in);
	return r;
}

/* The file as it is in the layer, when that is what it is to look like. */
static bool link_file(struct transfer *t, const char *path, const struct rootfs_stat *st)
{
	struct stat host;

	if (t->from_fd < 0 || fstatat(t->from_fd, path + 1, &host, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (host.st_ino != st->ino || st->uid != 0 || st->gid != 0 || host.st_uid != geteuid() ||
	    host.st_gid != getegid() || (host.st_mode & 07777) != (st->mode & 07777))
		return false;
	return linkat(t->from_fd, path + 1, t->to_fd, path + 1, 0) == 0;
}

static int make(struct transfer *t, const char *path, const struct rootfs_stat *st)
{
	char target[4096];
	ssize_t n;

	switch (st->mode & S_IFMT) {
	case S_IFDIR: return rootfs_mkdir(t->to, NULL, NULL, path, 0700);
	case S_IFREG: return copy_file(t, path, st);
	case S_IFLNK:
		n = rootfs_readlink(t->from, NULL, NULL, path, target, sizeof(target) - 1);
		if (n < 0)
			return (int)n;
		target[n] = '\0';
		return rootfs_symlink(t->to, NULL, target, NULL, path);
	default:
		n = rootfs_mknod(t->to, NULL, NULL, path, (st->mode & S_IFMT) | 0600, st->rdev);
		if (n == -EPERM && (S_ISCHR(st->mode) || S_ISBLK(st->mode))) /* not in a user namespace: an empty file stands for it */
			n = rootfs_mknod(t->to, NULL, NULL, path, S_IFREG | 0600, 0);
		return (int)n;
	}
}

/* Its other name, when that has been transferred; NULL otherwise, and from now on this is the first. */
static const char *first_name(struct transfer *t, const char *path, const struct rootfs_stat *st)
{
	char key[48];
	char *known;

	if (S_ISDIR(st->mode) || st->nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->dev, (unsigned long long)st->ino);
	known = map_get(&t->names, key);
	if (!known)
		map_put(&t->names, key, xstrdup(path));
	return known && strcmp(known, path) != 0 ? known : NULL;
}

static int set_attributes(struct transfer *t, const char *path, const struct rootfs_stat *st)
{
	struct timespec times[2] = { st->atime, st->mtime };
	int r = rootfs_chown(t->to, NULL, NULL, path, st->uid, st->gid, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && !S_ISLNK(st->mode))
		r = rootfs_chmod(t->to, NULL, NULL, path, st->mode & 07777, 0);
	if (r == 0)
		r = rootfs_utimens(t->to, NULL, NULL, path, times, AT_SYMLINK_NOFOLLOW);
	return r;
}

static int link_to_first(struct transfer *t, const char *first, const char *path)
{
	struct rootfs_stat a, b;

	if (rootfs_stat(t->to, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &b) == 0) {
		if (rootfs_stat(t->to, NULL, NULL, first, AT_SYMLINK_NOFOLLOW, &a) == 0 && a.ino == b.ino && a.dev == b.dev)
			return 0;
		view_remove(t->to, path);
	}
	return rootfs_link(t->to, NULL, NULL, first, NULL, path, 0);
}

int transfer_entry(struct transfer *t, const char *path)
{
	struct rootfs_stat st, old;
	const char *first;
	bool is_there;
	int r = rootfs_stat(t->from, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0)
		return r == -ENOENT ? 0 : r; /* it has gone meanwhile */
	if (S_ISSOCK(st.mode))
		return 0; /* nobody listens to it any more */
	is_there = rootfs_stat(t->to, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &old) == 0;
	first = first_name(t, path, &st);
	if (first && link_to_first(t, first, path) == 0)
		return 0;
	if (is_there && is_alike(&st, &old) && (!S_ISLNK(st.mode) || is_same_link(t, path)))
		return 0;
	if (!is_there || !S_ISDIR(st.mode) || !S_ISDIR(old.mode)) {
		if (is_there)
			r = view_remove(t->to, path);
		if (r == 0 && S_ISREG(st.mode) && link_file(t, path, &st))
			return 0;
		if (r == 0)
			r = make(t, path, &st);
	}
	return r < 0 ? r : set_attributes(t, path, &st);
}

/* ---- trees ---- */

static int transfer_below(struct transfer *t, const char *path, int depth)
{
	char below[PATH_LONGEST];
	struct timespec times[2];
	struct rootfs_stat st;
	struct names names;
	int r = transfer_entry(t, path);

	if (r < 0 || rootfs_stat(t->from, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st) < 0 || !S_ISDIR(st.mode))
		return r;
	if (depth > DEPTH_MAX)
		return -ELOOP;
	r = list(t->from, path, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = join(below, path, names.v[i]) ? transfer_below(t, below, depth + 1) : -ENAMETOOLONG;
	names_done(&names);
	times[0] = st.atime;
	times[1] = st.mtime;
	return r < 0 ? r : rootfs_utimens(t->to, NULL, NULL, path, times, 0);
}

int transfer_tree(struct transfer *t, const char *path)
{
	return transfer_below(t, path, 0);
}

int transfer_remove_others(struct transfer *t, const char *path)
{
	char below[PATH_LONGEST];
	struct rootfs_stat st;
	struct names names;
	int r = list(t->to, path, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		if (!join(below, path, names.v[i]))
			r = -ENAMETOOLONG;
		else if (rootfs_stat(t->from, NULL, NULL, below, AT_SYMLINK_NOFOLLOW, &st) == -ENOENT)
			r = view_remove(t->to, below);
	}
	names_done(&names);
	return r;
}
