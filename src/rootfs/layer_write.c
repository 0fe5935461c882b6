/* The upper layer of a view as an image layer's tar: its entries as they are, whiteouts for what they hide. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "rootfs/internal.h"
#include "rootfs/layer.h"
#include "rootfs/tar_output.h"
#include "util/alloc.h"
#include "util/map.h"

enum { DEPTH_MAX = 256, PATH_BYTES = 8192 };

struct layer_writer {
	struct tar_output *out;
	const struct layer_write_options *opt;
	struct error *err;
	struct map linked;         /* "dev:ino" of files with several names → the first */
	uint64_t entries;
	char path[PATH_BYTES];     /* the entry's, without a slash in front */
};

/* A directory of the upper layer, and what of the lower one shows through it. */
struct level {
	int upper, lower;          /* -1: nothing */
	size_t len;                /* of its path in `path` */
	int depth;
};

/* ---- the names of a directory ---- */

struct name {
	char *stored;
	char guest[256];
	bool is_whiteout;
};

struct names {
	struct name *v;
	size_t n, size;
};

/* By the guest's names; a whiteout before what is there all the same. */
static int by_guest(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int r = strcmp(x->guest, y->guest);

	return r ? r : (int)y->is_whiteout - (int)x->is_whiteout;
}

static int read_names(int dir_fd, struct names *ret)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((e = readdir(d))) {
		struct name *n;
		enum name_kind kind;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (ret->n == ret->size) {
			ret->size = ret->size ? 2 * ret->size : 16;
			ret->v = xrealloc(ret->v, ret->size * sizeof(*ret->v));
		}
		n = &ret->v[ret->n];
		kind = name_read(e->d_name, n->guest);
		if (kind == NAME_MARK)
			continue;
		n->is_whiteout = kind == NAME_WHITEOUT;
		n->stored = xstrdup(e->d_name);
		ret->n++;
	}
	closedir(d);
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_guest);
	return 0;
}

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i].stored);
	free(names->v);
}

/* ---- entries ---- */

static bool is_in_lower(const struct level *l, const char *stored)
{
	return l->lower >= 0 && faccessat(l->lower, stored, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int put(struct layer_writer *w, const struct tar_entry *e)
{
	w->entries++;
	return tar_output_entry(w->out, e, w->err);
}

static int put_with_xattrs(struct layer_writer *w, const struct tar_entry *e, int fd)
{
	char xattrs[ROOTFS_XATTRS_MAX];
	struct tar_entry whole = *e;

	whole.xattrs = xattrs;
	whole.nxattrs = xattrs_load(fd, xattrs);
	return put(w, &whole);
}

/* "DIR/PREFIX NAME" as the entry's path. */
static int set_path(struct layer_writer *w, size_t len, const char *prefix, const char *name, const char *suffix)
{
	int n = snprintf(w->path + len, sizeof(w->path) - len, "%s%s%s%s", len ? "/" : "", prefix, name, suffix);

	if (n >= (int)(sizeof(w->path) - len))
		return error_set(w->err, -ENAMETOOLONG, "/%.200s: %s", w->path, error_text(ENAMETOOLONG));
	return 0;
}

static int put_mark(struct layer_writer *w, size_t len, const char *prefix, const char *name)
{
	struct tar_entry e = { .type = TAR_FILE, .name = w->path, .link = "" };
	int r = set_path(w, len, prefix, name, "");

	return r < 0 ? r : put(w, &e);
}

static char type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return TAR_FILE;
	case S_IFDIR: return TAR_DIR;
	case S_IFLNK: return TAR_SYMLINK;
	case S_IFIFO: return TAR_FIFO;
	case S_IFCHR: return TAR_CHAR;
	case S_IFBLK: return TAR_BLOCK;
	default: return 0; /* sockets: tar has no word for them */
	}
}

/* The name under which the same file has been written; NULL: this is the first. */
static const char *first_name(struct layer_writer *w, const struct stat *host)
{
	char key[48];
	char *known;

	if (S_ISDIR(host->st_mode) || host->st_nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)host->st_dev, (unsigned long long)host->st_ino);
	known = map_get(&w->linked, key);
	if (!known)
		map_put(&w->linked, key, xstrdup(w->path));
	return known;
}

/* fd -1: it could not be opened, and errno tells why. */
static int put_file(struct layer_writer *w, int fd, struct tar_entry *e)
{
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0; /* what has gone meanwhile is not there */
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(w->err, -errno, "/%.200s: %s", w->path, error_text(errno));
	e->size = st.st_size;
	r = put_with_xattrs(w, e, fd);
	return r < 0 ? r : tar_output_file(w->out, fd, e->size, w->err);
}

static int put_symlink(struct layer_writer *w, const struct level *l, const char *stored, const struct tar_entry *e)
{
	struct tar_entry with_target = *e;
	char target[4096];
	ssize_t n = readlinkat(l->upper, stored, target, sizeof(target) - 1);

	if (n < 0)
		return errno == ENOENT ? 0 : error_set(w->err, -errno, "/%.200s: %s", w->path, error_text(errno));
	target[n] = '\0';
	with_target.link = target;
	return put(w, &with_target);
}

static int put_other(struct layer_writer *w, const struct level *l, const char *stored, const struct stat *host, int fd,
		     struct tar_entry *e)
{
	const char *first = first_name(w, host);

	if (first) {
		e->type = TAR_LINK;
		e->link = first;
		return put(w, e);
	}
	if (e->type == TAR_FILE)
		return put_file(w, fd, e);
	return e->type == TAR_SYMLINK ? put_symlink(w, l, stored, e) : put(w, e);
}

static int put_level(struct layer_writer *w, const struct level *l);

/* The directory, and below it; what is of the lower one stays there or is hidden by an opaque mark. */
static int put_dir(struct layer_writer *w, const struct level *l, const struct name *n, bool is_whited, int fd,
		   const struct tar_entry *e)
{
	struct level sub = { .upper = fd, .len = strlen(w->path) - 1, .depth = l->depth + 1, .lower = -1 };
	int r;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ?
			       0 :
			       error_set(w->err, -errno, "/%.200s: %s", w->path, error_text(errno));
	r = put_with_xattrs(w, e, sub.upper);
	w->path[sub.len] = '\0'; /* without its slash */
	if (r == 0 && l->lower >= 0)
		sub.lower = openat(l->lower, n->stored, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub.lower >= 0 && (is_whited || faccessat(sub.upper, OPAQUE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)) {
		close(sub.lower);
		sub.lower = -1;
		r = put_mark(w, sub.len, "", OPAQUE_MARK);
	}
	if (r == 0)
		r = put_level(w, &sub);
	if (sub.lower >= 0)
		close(sub.lower);
	return r;
}

/* Left out, it would be missing from the image without a word; told as it is, it would remove another file. */
static int no_such_name(struct layer_writer *w)
{
	return error_set_class(w->err, ERROR_INVALID,
			       "/%.300s cannot be in an image: names that begin with \".wh.\" mean that a file is removed",
			       w->path);
}

/* fd: the file or directory, open; -1: it is of another kind, or errno tells why not. */
static int put_opened(struct layer_writer *w, const struct level *l, const struct name *n, bool is_whited,
		      const struct stat *host, int fd)
{
	struct tar_entry e = { .name = w->path, .link = "" };
	int open_errno = errno, r;
	struct rootfs_stat st;

	stat_from_host(host, 0, &st);
	owner_apply_open(fd, l->upper, n->stored, true, &st);
	e.type = type_of(st.mode);
	e.mode = S_ISLNK(st.mode) ? 0777 : st.mode & 07777;
	e.uid = st.uid;
	e.gid = st.gid;
	e.major = major(st.rdev);
	e.minor = minor(st.rdev);
	e.mtime.tv_sec = st.mtime.tv_sec;
	if (w->opt->max_mtime_s && e.mtime.tv_sec > w->opt->max_mtime_s)
		e.mtime.tv_sec = w->opt->max_mtime_s;
	if (!e.type) /* hides what is below all the same */
		return is_in_lower(l, n->stored) ? put_mark(w, l->len, WHITEOUT_PREFIX, n->guest) : 0;
	r = set_path(w, l->len, "", n->guest, S_ISDIR(st.mode) ? "/" : "");
	if (r == 0 && strncmp(n->guest, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
		return no_such_name(w);
	if (r < 0)
		return r;
	errno = open_errno;
	return S_ISDIR(st.mode) ? put_dir(w, l, n, is_whited, fd, &e) : put_other(w, l, n->stored, host, fd, &e);
}

static int put_entry(struct layer_writer *w, const struct level *l, const struct name *n, bool is_whited)
{
	struct stat host;
	int fd, r;

	if (fstatat(l->upper, n->stored, &host, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	fd = open_for_attributes(l->upper, n->stored, host.st_mode & S_IFMT);
	r = put_opened(w, l, n, is_whited, &host, fd);
	if (fd >= 0)
		close(fd);
	return r;
}

static int put_level(struct layer_writer *w, const struct level *l)
{
	struct names names = { 0 };
	int r = l->depth > DEPTH_MAX ? -ELOOP : read_names(l->upper, &names);

	if (r < 0)
		r = error_set(w->err, r, "/%.200s: %s", w->path, error_text(-r));
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		const struct name *n = &names.v[i];
		bool is_with_next = i + 1 < names.n && strcmp(n->guest, names.v[i + 1].guest) == 0;

		if (n->is_whiteout && !is_with_next && is_in_lower(l, n->stored + strlen(WHITEOUT_PREFIX)))
			r = put_mark(w, l->len, WHITEOUT_PREFIX, n->guest);
		else if (!n->is_whiteout)
			r = put_entry(w, l, n, i > 0 && strcmp(n->guest, names.v[i - 1].guest) == 0);
		w->path[l->len] = '\0';
	}
	names_done(&names);
	return r;
}

int layer_write(struct rootfs *fs, const struct layer_write_options *opt, tar_write_fn write, void *arg,
		uint64_t *ret_entries, struct error *err)
{
	static const struct layer_write_options none;
	struct layer_writer w = { .opt = opt ? opt : &none, .err = err };
	struct level root = { .upper = fs->mounts[0].upper_fd, .lower = fs->mounts[0].lower_fd };
	const struct map_entry *known;
	size_t pos = 0;
	int r = tar_output_new(write, arg, false, &w.out, err);

	if (r < 0)
		return r;
	map_init(&w.linked);
	if (root.upper >= 0)
		r = put_level(&w, &root);
	if (r == 0)
		r = tar_output_end(w.out, err);
	tar_output_free(w.out);
	while ((known = map_next(&w.linked, &pos)))
		free(known->value);
	map_done(&w.linked);
	if (r == 0)
		*ret_entries = w.entries;
	return r;
}
