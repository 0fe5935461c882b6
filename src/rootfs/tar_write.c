/* A part of a view as a tar archive. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/locale.h"
#include "util/map.h"

enum { DEPTH_MAX = 256 };

struct writer {
	struct rootfs *fs;
	struct archive *archive;
	tar_write_fn write;
	void *arg;
	struct error *err;
	const struct tar_write_options *opt;
	struct map linked;       /* "dev:ino" of files with several names → the first name */
	uint64_t root_dev;
};

static la_ssize_t on_write(struct archive *a, void *data, const void *buf, size_t len)
{
	struct writer *w = data;
	ssize_t n = w->write(w->arg, buf, len);

	if (n < 0)
		archive_set_error(a, (int)-n, "write failed");
	return n;
}

static int put_content(struct writer *w, const char *path)
{
	struct rootfs_file f;
	char buf[65536];
	ssize_t n;
	int r = rootfs_open(w->fs, NULL, NULL, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, &f);

	if (r < 0)
		return r;
	while ((n = f.fd >= 0 ? read(f.fd, buf, sizeof(buf)) : 0) > 0)
		if (archive_write_data(w->archive, buf, (size_t)n) < 0)
			break;
	rootfs_file_done(&f);
	return 0;
}

/* The name under which the same file has been written already; NULL: this is the first. */
static const char *first_name(struct writer *w, const char *name, const struct rootfs_stat *st)
{
	char key[48];
	char *known;

	if (!S_ISREG(st->mode) || st->nlink < 2)
		return NULL;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->dev, (unsigned long long)st->ino);
	known = map_get(&w->linked, key);
	if (!known)
		map_put(&w->linked, key, xstrdup(name));
	return known;
}

static int put_entry(struct writer *w, const char *path, const char *name, const struct rootfs_stat *st)
{
	struct archive_entry *e = archive_entry_new();
	const char *link = first_name(w, name, st);
	bool has_content = S_ISREG(st->mode) && !link;
	char target[4096];
	int r = 0;

	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, st->mode);
	archive_entry_set_uid(e, st->uid);
	archive_entry_set_gid(e, st->gid);
	archive_entry_set_mtime(e, st->mtime.tv_sec, st->mtime.tv_nsec);
	archive_entry_set_size(e, has_content ? st->size : 0);
	if (S_ISCHR(st->mode) || S_ISBLK(st->mode))
		archive_entry_set_rdev(e, (dev_t)st->rdev);
	if (link)
		archive_entry_set_hardlink(e, link);
	if (S_ISLNK(st->mode)) {
		ssize_t n = rootfs_readlink(w->fs, NULL, NULL, path, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = '\0';
		archive_entry_set_symlink(e, target);
	}
	if (archive_write_header(w->archive, e) < ARCHIVE_WARN) /* a warning: a name in no character set */
		r = error_set(w->err, -EIO, "%s: %s", path, archive_error_string(w->archive));
	else if (has_content)
		r = put_content(w, path);
	archive_entry_free(e);
	return r;
}

static int put_tree(struct writer *w, const char *path, const char *name, int depth);

struct child {
	struct writer *w;
	const char *path, *name;
	int depth, result;
};

static int put_child(void *arg, const struct rootfs_dirent *d)
{
	struct child *c = arg;
	char path[8192], name[8192];

	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	if (snprintf(path, sizeof(path), "%s/%s", strcmp(c->path, "/") ? c->path : "", d->name) >= (int)sizeof(path) ||
	    snprintf(name, sizeof(name), "%s%s%s", c->name, *c->name ? "/" : "", d->name) >= (int)sizeof(name))
		c->result = -ENAMETOOLONG;
	else
		c->result = put_tree(c->w, path, name, c->depth + 1);
	return c->result != 0;
}

static int put_children(struct writer *w, const char *path, const char *name, int depth)
{
	struct child c = { w, path, name, depth, 0 };
	struct rootfs_listing *l;
	struct rootfs_dir *dir;
	uint64_t cookie = 0;
	int r = rootfs_open_dir(w->fs, NULL, NULL, path, &dir);

	if (r < 0)
		return r;
	r = rootfs_listing_new(w->fs, dir, &l);
	rootfs_dir_unref(dir);
	if (r < 0)
		return r;
	rootfs_listing_read(l, &cookie, put_child, &c);
	rootfs_listing_free(l);
	return c.result;
}

static int put_tree(struct writer *w, const char *path, const char *name, int depth)
{
	struct rootfs_stat st;
	char slashed[8192];
	int r = rootfs_stat(w->fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st);

	if (r == -ENOENT && depth > 0)
		return 0; /* what has gone meanwhile is not there */
	if (r == 0 && depth > DEPTH_MAX)
		r = -ELOOP;
	if (r < 0)
		return r;
	if (S_ISSOCK(st.mode) && depth > 0)
		return 0; /* there is nothing in it, and tar has no word for it */
	if (depth == 0)
		w->root_dev = st.dev;
	snprintf(slashed, sizeof(slashed), "%s%s", name, S_ISDIR(st.mode) ? "/" : "");
	if (depth > 0 || !w->opt->contents_only)
		r = put_entry(w, path, slashed, &st);
	if (r == 0 && S_ISDIR(st.mode) && !(w->opt->skip_mounts && st.dev != w->root_dev))
		r = put_children(w, path, name, depth);
	return r;
}

int tar_write(struct rootfs *fs, const char *path, const struct tar_write_options *opt, tar_write_fn write, void *arg,
	      struct error *err)
{
	static const struct tar_write_options none;
	struct writer w = { .fs = fs, .write = write, .arg = arg, .err = err, .opt = opt ? opt : &none };
	const char *base = strrchr(path, '/');
	const struct map_entry *known;
	size_t pos = 0;
	locale_t before;
	int r;

	w.archive = archive_write_new();
	if (!w.archive)
		return error_set(err, -ENOMEM, "out of memory");
	before = locale_enter_utf8(); /* names in archives are UTF-8 */
	archive_write_set_format_pax_restricted(w.archive);
	archive_write_set_bytes_in_last_block(w.archive, 1);
	if (w.opt->is_gzip && archive_write_add_filter_gzip(w.archive) == ARCHIVE_OK)
		archive_write_set_filter_option(w.archive, "gzip", "compression-level", "1");
	archive_write_open(w.archive, &w, NULL, on_write, NULL);
	map_init(&w.linked);
	base = w.opt->contents_only ? "" : w.opt->rename_root ? w.opt->rename_root : base && base[1] ? base + 1 : "/";
	r = put_tree(&w, path, base, 0);
	if (archive_write_close(w.archive) != ARCHIVE_OK && r == 0)
		r = error_set(err, -EIO, "%s", archive_error_string(w.archive));
	archive_write_free(w.archive);
	locale_leave(before);
	while ((known = map_next(&w.linked, &pos)))
		free(known->value);
	map_done(&w.linked);
	if (r < 0 && err && !err->code)
		error_set(err, r, "%s: %s", path, strerror(-r));
	return r;
}
