/* A tar archive into a view. Every directory is reached by the view's own walk, so
 * nothing an archive says can lead out of the container; what follows in the same
 * directory starts from there. */
#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "rootfs/tar.h"
#include "rootfs/tar_input.h"
#include "util/alloc.h"

enum { ENTRIES_MAX = 10000000, PATH_BYTES = 4096, REMOVE_DEPTH_MAX = 256 };

/* A directory's time, which is set when all is in it. */
struct dir_time {
	char *path;
	struct timespec mtime;
};

struct extraction {
	struct rootfs *fs;
	const char *base;
	const struct tar_extract_options *opt;
	struct tar_input *in;
	const struct tar_entry *entry;
	unsigned long long bytes_left, entries_left;
	char name[PATH_BYTES];        /* the entry's, below base; clean */
	char path[2 * PATH_BYTES];    /* the same in the view */
	char parent_path[2 * PATH_BYTES];
	struct rootfs_dir *parent;    /* of the entry before this one; NULL: there was none */
	struct dir_time *times;
	size_t ntimes, times_size;
	struct error *err;
};

/* ---- places ---- */

static int make_parents(struct rootfs *fs, char *path)
{
	for (char *p = strchr(path + 1, '/');; p = strchr(p + 1, '/')) {
		int r;

		if (p)
			*p = '\0';
		r = rootfs_mkdir(fs, NULL, NULL, path, 0755);
		if (r == 0) /* whatever our umask */
			rootfs_chmod(fs, NULL, NULL, path, 0755, 0);
		if (p)
			*p = '/';
		if (r < 0 && r != -EEXIST)
			return r;
		if (!p)
			return 0;
	}
}

/* The directory that x->path lies in, made where it is missing; *ret_name is its last component. */
static int find_parent(struct extraction *x, const char **ret_name)
{
	char *slash = strrchr(x->path, '/');
	struct rootfs_dir *dir;
	size_t n = slash == x->path ? 1 : (size_t)(slash - x->path);
	int r;

	*ret_name = slash + 1;
	if (x->parent && strlen(x->parent_path) == n && memcmp(x->parent_path, x->path, n) == 0)
		return 0;
	memcpy(x->parent_path, x->path, n);
	x->parent_path[n] = '\0';
	rootfs_dir_unref(x->parent);
	x->parent = NULL;
	r = rootfs_open_dir(x->fs, NULL, NULL, x->parent_path, &dir);
	if (r == -ENOENT) {
		r = make_parents(x->fs, x->parent_path);
		if (r == 0)
			r = rootfs_open_dir(x->fs, NULL, NULL, x->parent_path, &dir);
	}
	if (r == 0)
		x->parent = dir;
	return r;
}

/* As moby's RemoveAll; not into what is mounted there. */
static int remove_all(struct rootfs *fs, struct rootfs_dir *at, const char *name, int depth)
{
	struct rootfs_names names;
	struct rootfs_dir *dir;
	int r = rootfs_unlink(fs, NULL, at, name, 0);

	if (r == -EISDIR)
		r = rootfs_unlink(fs, NULL, at, name, AT_REMOVEDIR);
	if (r != -ENOTEMPTY || depth > REMOVE_DEPTH_MAX)
		return r == -ENOENT ? 0 : r;
	r = rootfs_open_dir(fs, NULL, at, name, &dir);
	if (r < 0)
		return r;
	r = rootfs_names_read(fs, dir, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = remove_all(fs, dir, names.v[i], depth + 1);
	rootfs_names_done(&names);
	rootfs_dir_unref(dir);
	return r < 0 ? r : rootfs_unlink(fs, NULL, at, name, AT_REMOVEDIR);
}

/* What lies where the entry goes is gone, or the entry is refused (moby: NoOverwriteDirNonDir). 1: it is a directory
 * and stays. */
static int make_room(struct extraction *x, const char *name)
{
	bool is_dir = x->entry->type == TAR_DIR;
	struct rootfs_stat st;
	int r = rootfs_stat(x->fs, NULL, x->parent, name, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISDIR(st.mode) && is_dir)
		return 1;
	if (x->opt->no_overwrite_dir_non_dir && S_ISDIR(st.mode) != is_dir)
		return error_set_class(x->err, ERROR_INVALID,
				       is_dir ? "cannot overwrite non-directory \"%.300s\" with directory \"%.300s\"" :
						"cannot overwrite directory \"%.300s\" with non-directory \"%.300s\"",
				       x->path, x->base);
	return remove_all(x->fs, x->parent, name, 0);
}

/* ---- files ---- */

static int put_bytes(struct rootfs_file *f, const char *data, size_t n, int64_t at)
{
	while (n > 0) {
		struct rootfs_growth growth;
		uint64_t room = n;
		ssize_t done;
		int r = rootfs_grow_begin(f->dir, f->name, f->fd, at, &room, &growth);

		if (r < 0)
			return r;
		done = room < n ? (errno = ENOSPC, -1) : pwrite(f->fd, data, n, at);
		r = -errno;
		rootfs_grow_end(&growth);
		if (done <= 0)
			return done < 0 ? r : -EIO;
		data += done;
		n -= (size_t)done;
		at += done;
	}
	return 0;
}

static int put_content(struct extraction *x, struct rootfs_file *f)
{
	const void *data;
	int64_t at, end = 0;
	size_t n;

	for (;;) {
		int r = tar_input_data(x->in, &data, &n, &at, x->err);

		if (r < 0)
			return r;
		if (n == 0)
			break;
		r = put_bytes(f, data, n, at);
		if (r < 0)
			return r;
		end = at + (int64_t)n;
	}
	/* What ends in a hole. */
	return end < x->entry->size && ftruncate(f->fd, x->entry->size) < 0 ? -errno : 0;
}

static void wanted_owner(const struct extraction *x, uint32_t *uid, uint32_t *gid)
{
	*uid = *gid = 0;
	if (x->opt->copy_uid_gid) {
		*uid = x->opt->has_owner ? x->opt->uid : x->entry->uid;
		*gid = x->opt->has_owner ? x->opt->gid : x->entry->gid;
	}
}

/* By name, for all that has no descriptor. */
static void set_attributes(struct extraction *x, const char *name, bool is_new)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, x->entry->mtime };
	uint32_t uid, gid;

	wanted_owner(x, &uid, &gid);
	if (uid || gid || !is_new)
		rootfs_chown(x->fs, NULL, x->parent, name, uid, gid, AT_SYMLINK_NOFOLLOW);
	if (x->entry->type != TAR_SYMLINK)
		rootfs_chmod(x->fs, NULL, x->parent, name, x->entry->mode, 0);
	if (x->entry->type != TAR_DIR)
		rootfs_utimens(x->fs, NULL, x->parent, name, times, AT_SYMLINK_NOFOLLOW);
}

/* The file is new and whole, and its name may mean another one by now: the descriptor has the say, where it can. */
static void set_file_attributes(struct extraction *x, const char *name, struct rootfs_file *f)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, x->entry->mtime };
	uint32_t uid, gid;
	int r = 0;

	wanted_owner(x, &uid, &gid);
	if (f->st.uid != uid || f->st.gid != gid)
		r = rootfs_fchown(f->dir, NULL, f->fd, uid, gid);
	if (r == 0 && ((f->st.mode & 07777) != x->entry->mode || ((uid || gid) && (x->entry->mode & 06000))))
		r = rootfs_fchmod(f->dir, NULL, f->fd, x->entry->mode);
	if (r == 0)
		r = rootfs_futimens(f->dir, NULL, f->fd, times);
	if (r < 0)
		set_attributes(x, name, false);
}

static int put_file(struct extraction *x, const char *name)
{
	struct rootfs_file f;
	int r = rootfs_open(x->fs, NULL, x->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, x->entry->mode, &f);

	if (r < 0)
		return r;
	r = put_content(x, &f);
	if (r == 0)
		set_file_attributes(x, name, &f);
	if (r == 0 && x->entry->nxattrs)
		rootfs_set_xattrs(&f, x->entry->xattrs, x->entry->nxattrs);
	rootfs_file_done(&f);
	return r;
}

/* ---- the others ---- */

static int put_link(struct extraction *x, const char *name)
{
	char target[PATH_BYTES], from[2 * PATH_BYTES];

	if (tar_clean_path(x->entry->link, target, sizeof(target)) < 0)
		return error_set_class(x->err, ERROR_INVALID, "invalid hardlink \"%.300s\" -> \"%.300s\"", x->path,
				       x->entry->link);
	tar_join(x->base, target, from, sizeof(from));
	return rootfs_link(x->fs, NULL, NULL, from, x->parent, name, 0);
}

static int create(struct extraction *x, const char *name)
{
	static const uint32_t types[] = { [TAR_CHAR - '0'] = S_IFCHR, [TAR_BLOCK - '0'] = S_IFBLK, [TAR_FIFO - '0'] = S_IFIFO };
	const struct tar_entry *e = x->entry;
	int r;

	switch (e->type) {
	case TAR_FILE: return put_file(x, name);
	case TAR_LINK: return put_link(x, name);
	case TAR_DIR: r = rootfs_mkdir(x->fs, NULL, x->parent, name, e->mode); break;
	case TAR_SYMLINK: r = rootfs_symlink(x->fs, NULL, e->link, x->parent, name); break;
	case TAR_CHAR:
	case TAR_BLOCK:
	case TAR_FIFO:
		r = rootfs_mknod(x->fs, NULL, x->parent, name, types[e->type - '0'] | e->mode, makedev(e->major, e->minor));
		break;
	default: return error_set_class(x->err, ERROR_INVALID, "unhandled tar header type %d", e->type);
	}
	if (r == 0)
		set_attributes(x, name, true);
	return r;
}

static void remember_time(struct extraction *x)
{
	if (x->ntimes == x->times_size) {
		x->times_size = x->times_size ? 2 * x->times_size : 64;
		x->times = xrealloc(x->times, x->times_size * sizeof(*x->times));
	}
	x->times[x->ntimes++] = (struct dir_time){ xstrdup(x->path), x->entry->mtime };
}

static void set_dir_times(struct extraction *x)
{
	for (size_t i = 0; i < x->ntimes; i++) {
		struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, x->times[i].mtime };

		rootfs_utimens(x->fs, NULL, NULL, x->times[i].path, times, AT_SYMLINK_NOFOLLOW);
	}
}

static int put_entry(struct extraction *x)
{
	const char *name;
	int r = find_parent(x, &name);

	if (r < 0)
		return r;
	r = create(x, name);
	if (r == -EEXIST || r == -EISDIR) {
		r = make_room(x, name);
		if (r == 1)
			set_attributes(x, name, false);
		else if (r == 0)
			r = create(x, name);
	}
	if (r >= 0 && x->entry->type == TAR_DIR) {
		if (x->entry->nxattrs)
			(void)rootfs_add_dir_xattrs(x->fs, x->parent, name, x->entry->xattrs, x->entry->nxattrs);
		remember_time(x);
	}
	return r < 0 ? r : 0;
}

/* ---- archives ---- */

/* What is wrong with the archive, in the words of the program that unpacks for dockerd. */
static int blame_archive(struct error *err, int r)
{
	if (err && err->cls == ERROR_INVALID)
		error_prefix(err, "Error processing tar file(exit status 1)");
	return r;
}

static int take_path(struct extraction *x)
{
	const struct tar_entry *e = x->entry;
	int r = tar_clean_path(e->name, x->name, sizeof(x->name));

	if (r == -EXDEV)
		return error_set_class(x->err, ERROR_INVALID, "\"%.300s\" is outside of \"%.300s\"", e->name, x->base);
	if (r == 0)
		r = tar_join(x->base, x->name, x->path, sizeof(x->path));
	if (r < 0)
		return error_set_class(x->err, ERROR_INVALID, "archive entry %.200s: name too long", e->name);
	if (x->entries_left-- == 0)
		return error_set_class(x->err, ERROR_INVALID, "the archive has too many entries");
	if (e->type == TAR_FILE && (unsigned long long)e->stored_bytes > x->bytes_left)
		return error_set_class(x->err, ERROR_INVALID, "the archive is too large");
	if (e->type == TAR_FILE)
		x->bytes_left -= (unsigned long long)e->stored_bytes;
	return 0;
}

static int extract_all(struct extraction *x)
{
	for (;;) {
		int r = tar_input_next(x->in, &x->entry, x->err);

		if (r < 0)
			return blame_archive(x->err, r);
		if (!x->entry)
			return 0;
		r = take_path(x);
		if (r < 0)
			return r;
		if (!x->name[0]) /* the directory itself stays as it is */
			continue;
		r = put_entry(x);
		if (r < 0)
			return x->err->code ? x->err->code :
			       r == -EROFS ? error_set_class(x->err, ERROR_FORBIDDEN, "container rootfs is marked read-only") :
					     error_set(x->err, r, "%.300s: %s", x->path, strerror(-r));
	}
}

void tar_accept_compressions(struct archive *a)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
}

int tar_extract(struct rootfs *fs, const char *path, const struct tar_extract_options *opt, tar_read_fn read, void *arg,
		struct error *err)
{
	struct error mine = { 0 };
	struct extraction *x = xnew(struct extraction);
	int r;

	*x = (struct extraction){ .fs = fs,
				  .base = path,
				  .opt = opt,
				  .bytes_left = opt->max_bytes ? opt->max_bytes : ~0ull,
				  .entries_left = opt->max_entries ? opt->max_entries : ENTRIES_MAX,
				  .err = err ? err : &mine };
	r = tar_input_new(read, arg, &x->in, x->err);
	r = r < 0 ? blame_archive(x->err, r) : extract_all(x);
	set_dir_times(x);
	for (size_t i = 0; i < x->ntimes; i++)
		free(x->times[i].path);
	free(x->times);
	rootfs_dir_unref(x->parent);
	tar_input_free(x->in);
	free(x);
	return r;
}

int tar_check(tar_read_fn read, void *arg, struct error *err)
{
	const struct tar_entry *e = NULL;
	struct tar_input *in = NULL;
	int r = tar_input_new(read, arg, &in, err);

	do
		r = r < 0 ? r : tar_input_next(in, &e, err);
	while (r == 0 && e);
	tar_input_free(in);
	return r < 0 ? blame_archive(err, r) : 0;
}
