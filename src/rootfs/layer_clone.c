/* The copy of a root that the next layer is applied to: directories anew, files by hard links. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"
#include "rootfs/layer.h"
#include "rootfs/layer_internal.h"

enum { DEPTH_MAX = 300 }; /* more than layer_apply makes; two descriptors each */

static int copy_xattr(int from, int to)
{
	char text[64];
	ssize_t n = fgetxattr(from, OWNER_XATTR, text, sizeof(text));

	xattrs_copy(from, to);
	if (n < 0)
		return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -errno;
	return fsetxattr(to, OWNER_XATTR, text, (size_t)n, 0) < 0 ? -errno : 0;
}

static int copy_attributes(int from, int to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r = copy_xattr(from, to);

	if (r == 0 && fchmod(to, st->st_mode & 01777) < 0)
		r = -errno;
	return r == 0 && futimens(to, times) < 0 ? -errno : r;
}

/* ---- one file, where a link cannot be ---- */

static int copy_data(int from, int to, int64_t size)
{
	char buf[65536];
	int64_t at = 0, end;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	while (at < size) {
		int64_t data = lseek(from, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break; /* a hole up to the end */
		at = data < 0 ? at : data;
		end = data < 0 ? size : lseek(from, at, SEEK_HOLE);
		while (at < end) {
			size_t want = end - at < (int64_t)sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
			ssize_t n = pread(from, buf, want, at);

			if (n <= 0)
				return n < 0 ? -errno : -EIO;
			int r = layer_write_all(to, buf, (size_t)n, at);

			if (r < 0)
				return r;
			at += n;
		}
	}
	return ftruncate(to, size) < 0 ? -errno : 0;
}

static int copy_special(int from_fd, const char *from, int to_fd, const char *to, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	char target[PATH_MAX];
	ssize_t n;

	if (S_ISFIFO(st->st_mode)) {
		if (mkfifoat(to_fd, to, 0600) < 0 || fchmodat(to_fd, to, st->st_mode & 0777, 0) < 0)
			return -errno;
	} else {
		n = readlinkat(from_fd, from, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		if (symlinkat(target, to_fd, to) < 0)
			return -errno;
	}
	return utimensat(to_fd, to, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int layer_copy_file(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat st;
	int in, out, r;

	if (fstatat(from_fd, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISLNK(st.st_mode))
		return copy_special(from_fd, from, to_fd, to, &st);
	if (!S_ISREG(st.st_mode))
		return -EPERM;
	in = openat(from_fd, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0)
		return -errno;
	out = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	r = out < 0 ? -errno : copy_data(in, out, st.st_size);
	if (r == 0)
		r = copy_attributes(in, out, &st);
	if (out >= 0)
		close(out);
	close(in);
	return r;
}

/* ---- the tree ---- */

static int clone_dir(int take_from, int to_fd, int depth);

static int clone_sub(int from_fd, int to_fd, const char *name, int depth)
{
	int from = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), to, r;

	if (from < 0)
		return -errno;
	to = mkdirat(to_fd, name, 0700) < 0 ? -1 : openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0) {
		r = -errno;
		close(from);
		return r;
	}
	r = clone_dir(from, to, depth);
	close(to);
	return r;
}

/* readdir knows the type on every file system that we would keep images on. */
static bool is_dir(int dir_fd, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int clone_entry(int from_fd, int to_fd, const struct dirent *e, int depth)
{
	if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
		return 0;
	if (is_dir(from_fd, e))
		return clone_sub(from_fd, to_fd, e->d_name, depth + 1);
	if (linkat(from_fd, e->d_name, to_fd, e->d_name, 0) == 0)
		return 0;
	/* No more names for that file, another file system, or one that has no links. */
	if (errno == EMLINK || errno == EXDEV || errno == EPERM)
		return layer_copy_file(from_fd, e->d_name, to_fd, e->d_name);
	return -errno;
}

/* The directory's own attributes last: its time is changed by what is made in it. */
static int clone_dir(int take_from, int to_fd, int depth)
{
	DIR *d = fdopendir(take_from);
	struct dirent *e;
	struct stat st;
	int r = 0;

	if (!d) {
		r = -errno;
		close(take_from);
		return r;
	}
	if (depth > DEPTH_MAX)
		r = -ELOOP;
	while (r == 0 && (e = readdir(d)))
		r = clone_entry(take_from, to_fd, e, depth);
	if (r == 0 && fstat(take_from, &st) < 0)
		r = -errno;
	if (r == 0)
		r = copy_attributes(take_from, to_fd, &st);
	closedir(d);
	return r;
}

int layer_clone(int from_fd, int to_fd)
{
	int from = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (from < 0 || to < 0)
		r = -errno;
	if (r == 0)
		r = clone_dir(from, to, 0);
	else if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return r;
}
