/* A tar archive into a view. Every path goes through the view's own walk, so
 * nothing an archive says can lead out of the container. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/tar.h"
#include "util/locale.h"

enum { ENTRIES_MAX = 10000000 };

struct reader {
	tar_read_fn read;
	void *arg;
};

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct reader *r = data;
	ssize_t n = r->read(r->arg, ret);

	if (n < 0)
		archive_set_error(a, (int)-n, "read failed");
	return n;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static int make_parents(struct rootfs *fs, char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = rootfs_mkdir(fs, NULL, NULL, path, 0755);
		if (r == 0) /* whatever our umask */
			rootfs_chmod(fs, NULL, NULL, path, 0755, 0);
		*p = '/';
		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

static int put_bytes(struct rootfs_file *f, const void *data, size_t n, int64_t at)
{
	struct rootfs_growth growth;
	uint64_t room = n;
	int r = rootfs_grow_begin(f->dir, f->name, f->fd, at, &room, &growth);

	if (r < 0)
		return r;
	errno = 0;
	if (room < n)
		r = -ENOSPC;
	else if (pwrite(f->fd, data, n, at) != (ssize_t)n)
		r = errno ? -errno : -EIO;
	rootfs_grow_end(&growth);
	return r;
}

static int put_file(struct rootfs *fs, struct archive *a, const char *path, uint32_t mode, unsigned long long *left)
{
	struct rootfs_file f;
	const void *data;
	size_t n;
	la_int64_t at;
	int r, got = ARCHIVE_EOF;

	rootfs_unlink(fs, NULL, NULL, path, 0); /* a link is replaced, not followed */
	r = rootfs_open(fs, NULL, NULL, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 07777, &f);
	if (r < 0)
		return r;
	while (r == 0 && (got = archive_read_data_block(a, &data, &n, &at)) == ARCHIVE_OK) {
		r = n > *left ? -EFBIG : put_bytes(&f, data, n, at);
		*left -= n <= *left ? n : 0;
	}
	rootfs_file_done(&f);
	return r < 0 ? r : got == ARCHIVE_EOF ? 0 : -EBADMSG;
}

/* What lies where the entry goes and is of another kind: gone, or refused (moby: NoOverwriteDirNonDir). */
static int make_room(struct rootfs *fs, const char *path, bool is_dir, const struct tar_extract_options *opt, struct error *err)
{
	struct rootfs_stat st;

	if (rootfs_stat(fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st) < 0 || S_ISDIR(st.mode) == is_dir)
		return 0;
	if (opt->no_overwrite_dir_non_dir && is_dir)
		return error_set_class(err, ERROR_INVALID, "cannot overwrite non-directory \"%.300s\" with directory", path);
	if (opt->no_overwrite_dir_non_dir)
		return error_set_class(err, ERROR_INVALID, "cannot overwrite directory \"%.300s\" with non-directory", path);
	return rootfs_unlink(fs, NULL, NULL, path, is_dir ? 0 : AT_REMOVEDIR);
}

static int put_entry(struct rootfs *fs, struct archive *a, struct archive_entry *e, const char *base, char *path,
		     unsigned long long *left)
{
	uint32_t mode = archive_entry_mode(e);
	const char *link = archive_entry_hardlink(e);
	char from[8192];
	int r = make_parents(fs, path);

	if (r < 0)
		return r;
	if (link) {
		if (has_dotdot(link) || snprintf(from, sizeof(from), "%s/%s", base, link) >= (int)sizeof(from))
			return -EINVAL;
		rootfs_unlink(fs, NULL, NULL, path, 0);
		return rootfs_link(fs, NULL, NULL, from, NULL, path, 0);
	}
	switch (mode & S_IFMT) {
	case S_IFDIR: r = rootfs_mkdir(fs, NULL, NULL, path, mode & 07777); return r == -EEXIST ? 0 : r;
	case S_IFLNK:
		rootfs_unlink(fs, NULL, NULL, path, 0);
		return rootfs_symlink(fs, NULL, archive_entry_symlink(e), NULL, path);
	case S_IFREG: return put_file(fs, a, path, mode, left);
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
		rootfs_unlink(fs, NULL, NULL, path, 0);
		return rootfs_mknod(fs, NULL, NULL, path, mode, (uint64_t)archive_entry_rdev(e));
	default: return 0; /* tar has no sockets */
	}
}

static void set_attributes(struct rootfs *fs, struct archive_entry *e, const char *path, const struct tar_extract_options *opt)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { archive_entry_mtime(e), archive_entry_mtime_nsec(e) } };

	if (opt->copy_uid_gid)
		rootfs_chown(fs, NULL, NULL, path, opt->has_owner ? opt->uid : (uint32_t)archive_entry_uid(e),
			     opt->has_owner ? opt->gid : (uint32_t)archive_entry_gid(e), AT_SYMLINK_NOFOLLOW);
	if (archive_entry_filetype(e) != AE_IFLNK)
		rootfs_chmod(fs, NULL, NULL, path, archive_entry_mode(e) & 07777, 0);
	rootfs_utimens(fs, NULL, NULL, path, times, AT_SYMLINK_NOFOLLOW);
}

static int extract_all(struct rootfs *fs, struct archive *a, const char *base, const struct tar_extract_options *opt,
		       struct error *err)
{
	unsigned long long left = opt->max_bytes ? opt->max_bytes : ~0ull, entries = 0;
	struct archive_entry *e;
	char path[8192];
	int r, got;

	while ((got = archive_read_next_header(a, &e)) == ARCHIVE_OK || got == ARCHIVE_WARN) {
		const char *name = archive_entry_pathname(e);
		size_t n;

		if (!name || has_dotdot(name) || ++entries > (opt->max_entries ? opt->max_entries : ENTRIES_MAX))
			return error_set_class(err, ERROR_INVALID, "archive entry %.200s: not allowed", name ? name : "?");
		while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
			name++;
		if (snprintf(path, sizeof(path), "%s/%s", strcmp(base, "/") ? base : "", name) >= (int)sizeof(path))
			return error_set_class(err, ERROR_INVALID, "archive entry %.200s: name too long", name);
		for (n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
			path[n - 1] = '\0';
		if (strcmp(name, ".") == 0 || !*name)
			continue;
		r = make_room(fs, path, (archive_entry_mode(e) & S_IFMT) == S_IFDIR, opt, err);
		if (r == 0)
			r = put_entry(fs, a, e, base, path, &left);
		if (r < 0)
			return err && err->code ? err->code :
			       r == -EROFS ? error_set_class(err, ERROR_FORBIDDEN, "container rootfs is marked read-only") :
					     error_set(err, r, "%.300s: %s", path, strerror(-r));
		set_attributes(fs, e, path, opt);
	}
	if (got != ARCHIVE_EOF)
		return error_set_class(err, ERROR_INVALID, "invalid tar archive: %s", archive_error_string(a));
	return 0;
}

void tar_accept_compressions(struct archive *a)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
}

static int open_archive(struct archive *a, struct reader *rd, struct error *err)
{
	if (!a)
		return error_set(err, -ENOMEM, "out of memory");
	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	tar_accept_compressions(a);
	if (archive_read_open(a, rd, NULL, on_read, NULL) != ARCHIVE_OK)
		return error_set_class(err, ERROR_INVALID, "invalid tar archive: %s", archive_error_string(a));
	return 0;
}

int tar_extract(struct rootfs *fs, const char *path, const struct tar_extract_options *opt, tar_read_fn read, void *arg,
		struct error *err)
{
	struct reader rd = { read, arg };
	locale_t before = locale_enter_utf8(); /* names in archives are UTF-8 */
	struct archive *a = archive_read_new();
	int r = open_archive(a, &rd, err);

	if (r == 0)
		r = extract_all(fs, a, path, opt, err);
	archive_read_free(a);
	locale_leave(before);
	return r;
}

int tar_check(tar_read_fn read, void *arg, struct error *err)
{
	struct reader rd = { read, arg };
	locale_t before = locale_enter_utf8();
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	int r = open_archive(a, &rd, err), got = ARCHIVE_OK;

	while (r == 0 && (got == ARCHIVE_OK || got == ARCHIVE_WARN)) {
		got = archive_read_next_header(a, &e);
		if (got == ARCHIVE_OK || got == ARCHIVE_WARN)
			got = archive_read_data_skip(a);
	}
	if (r == 0 && got != ARCHIVE_EOF)
		r = error_set_class(err, ERROR_INVALID, "invalid tar archive: %s", archive_error_string(a));
	archive_read_free(a);
	locale_leave(before);
	return r;
}
