/* A part of a view as a tar archive: in the order of names, parents before children. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "rootfs/tar.h"
#include "rootfs/tar_output.h"
#include "util/alloc.h"
#include "util/map.h"

enum { DEPTH_MAX = 256, NAME_BYTES = 8192 };

struct writer {
	struct rootfs *fs;
	struct tar_output *out;
	const struct tar_write_options *opt;
	struct error *err;
	struct map linked;       /* "dev:ino" of files with several names → the first name */
	uint64_t root_dev;
	char name[NAME_BYTES];   /* the entry's */
};

/* ---- entries ---- */

/* The name under which the same file has been written already; NULL: this is the first. */
static const char *first_name(struct writer *w, const struct rootfs_stat *st)
{
	char key[48];
	char *known;

	if (!S_ISREG(st->mode) || st->nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->dev, (unsigned long long)st->ino);
	known = map_get(&w->linked, key);
	if (!known)
		map_put(&w->linked, key, xstrdup(w->name));
	return known;
}

static int put_file(struct writer *w, struct rootfs_dir *at, const char *name, struct tar_entry *e)
{
	char xattrs[ROOTFS_XATTRS_MAX];
	struct rootfs_file f;
	int r = rootfs_open(w->fs, NULL, at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, &f);

	if (r == -ENOENT)
		return 0; /* what has gone meanwhile is not there */
	if (r < 0)
		return r;
	e->size = f.fd >= 0 && f.st.size > 0 ? f.st.size : 0;
	e->xattrs = xattrs;
	e->nxattrs = f.fd >= 0 ? rootfs_file_xattrs(&f, xattrs) : 0;
	r = tar_output_entry(w->out, e, w->err);
	if (r == 0 && e->size > 0)
		r = tar_output_file(w->out, f.fd, e->size, w->err);
	rootfs_file_done(&f);
	return r;
}

static char type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return TAR_DIR;
	case S_IFLNK: return TAR_SYMLINK;
	case S_IFIFO: return TAR_FIFO;
	case S_IFCHR: return TAR_CHAR;
	case S_IFBLK: return TAR_BLOCK;
	default: return TAR_FILE;
	}
}

static int put_entry(struct writer *w, struct rootfs_dir *at, const char *name, const struct rootfs_stat *st)
{
	struct tar_entry e = {
		.type = type_of(st->mode),
		.name = w->name,
		.link = "",
		.mode = st->mode & 07777,
		.uid = st->uid,
		.gid = st->gid,
		.major = major(st->rdev),
		.minor = minor(st->rdev),
		.mtime = st->mtime,
	};
	const char *first = first_name(w, st);
	char target[4096], xattrs[ROOTFS_XATTRS_MAX];
	ssize_t n;

	if (first) {
		e.type = TAR_LINK;
		e.link = first;
	} else if (S_ISREG(st->mode)) {
		return put_file(w, at, name, &e);
	} else if (S_ISLNK(st->mode)) {
		n = rootfs_readlink(w->fs, NULL, at, name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		e.link = target;
	} else if (S_ISDIR(st->mode)) {
		e.xattrs = xattrs;
		e.nxattrs = rootfs_xattrs(w->fs, at, name, xattrs);
	}
	return tar_output_entry(w->out, &e, w->err);
}

/* ---- trees ---- */

static int put_tree(struct writer *w, struct rootfs_dir *at, const char *name, size_t len, int depth);

/* A slash is put behind the first `len` bytes of the name; not behind the root's own. */
static bool wants_slash(const struct writer *w, size_t len)
{
	return len > 0 && w->name[len - 1] != '/';
}

/* len: of the directory's own name in w->name, without a slash behind it. */
static int put_children(struct writer *w, struct rootfs_dir *at, const char *name, size_t len, int depth)
{
	struct rootfs_names names;
	struct rootfs_dir *dir;
	int r = rootfs_open_dir(w->fs, NULL, at, name, &dir);

	if (r == -ENOENT && depth > 0)
		return 0;
	if (r < 0)
		return r;
	r = rootfs_names_read(w->fs, dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		int n = snprintf(w->name + len, sizeof(w->name) - len, "%s%s", wants_slash(w, len) ? "/" : "", names.v[i]);

		/* A byte is left for a directory's slash. */
		if (r == 0 && n + 1 >= (int)(sizeof(w->name) - len))
			r = -ENAMETOOLONG;
		if (r == 0)
			r = put_tree(w, dir, names.v[i], len + (size_t)n, depth + 1);
	}
	w->name[len] = '\0';
	rootfs_names_done(&names);
	rootfs_dir_unref(dir);
	return r;
}

static int put_tree(struct writer *w, struct rootfs_dir *at, const char *name, size_t len, int depth)
{
	struct rootfs_stat st;
	int r = rootfs_stat(w->fs, NULL, at, name, AT_SYMLINK_NOFOLLOW, &st);

	if (r == -ENOENT && depth > 0)
		return 0;
	if (r == 0 && depth > DEPTH_MAX)
		r = -ELOOP;
	if (r < 0)
		return r;
	if (S_ISSOCK(st.mode) && depth > 0)
		return 0; /* there is nothing in it, and tar has no word for it */
	if (depth == 0)
		w->root_dev = st.dev;
	if (S_ISDIR(st.mode) && wants_slash(w, len))
		memcpy(w->name + len, "/", 2);
	if (depth > 0 || !w->opt->contents_only)
		r = put_entry(w, at, name, &st);
	w->name[len] = '\0';
	if (r == 0 && S_ISDIR(st.mode) && !(w->opt->skip_mounts && st.dev != w->root_dev))
		r = put_children(w, at, name, len, depth);
	return r;
}

int tar_write(struct rootfs *fs, const char *path, const struct tar_write_options *opt, tar_write_fn write, void *arg,
	      struct error *err)
{
	static const struct tar_write_options none;
	struct error mine = { 0 };
	struct writer *w = xnew(struct writer);
	const char *base = strrchr(path, '/');
	const struct map_entry *known;
	size_t pos = 0;
	int r;

	w->fs = fs;
	w->opt = opt ? opt : &none;
	w->err = err ? err : &mine;
	map_init(&w->linked);
	base = w->opt->contents_only ? "" :
	       w->opt->rename_root   ? w->opt->rename_root :
	       base && base[1]       ? base + 1 :
				       "/";
	r = tar_output_new(write, arg, w->opt->is_gzip, &w->out, w->err);
	if (r == 0) {
		size_t len = strnlen(base, sizeof(w->name) - 2);

		memcpy(w->name, base, len);
		r = put_tree(w, NULL, path, len, 0);
		if (r == 0)
			r = tar_output_end(w->out, w->err);
	}
	if (r < 0 && !w->err->code)
		error_set(w->err, r, "%s: %s", path, strerror(-r));
	tar_output_free(w->out);
	while ((known = map_next(&w->linked, &pos)))
		free(known->value);
	map_done(&w->linked);
	free(w);
	return r;
}
