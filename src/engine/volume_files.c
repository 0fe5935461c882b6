/* The files of volumes: everything here blocks and runs on the pool. */
#include "engine/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/file.h"

int volume_make(const char *path, struct error *err)
{
	CLEANUP(freep) char *parent = xstrdup(path);

	*strrchr(parent, '/') = '\0';
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "error while creating volume root path '%s': mkdir %s: %s", parent,
				 parent, error_text(errno));
	if (mkdir(path, 0755) < 0) {
		if (errno == EEXIST)
			return 0;
		return error_set(err, -errno, "error while creating volume data path '%s': mkdir %s: %s", path, path,
				 error_text(errno));
	}
	return chmod(path, 0755) < 0 ? error_set(err, -errno, "%s: %s", path, error_text(errno)) : 0; /* whatever our umask */
}

/* ---- a tmpfs: a directory that nobody looks at again once it is unmounted ---- */

static void remove_older(const char *parent, const char *current)
{
	DIR *d = opendir(parent);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strncmp(entry->d_name, "tmpfs.", 6) == 0 && strcmp(entry->d_name, current) != 0)
			rootfs_remove_tree(dirfd(d), entry->d_name);
	if (d)
		closedir(d);
}

static int set_owner(const char *path, const struct tmpfs_options *o)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), r;
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_DIR, .target = "/", .lower_fd = -1, .upper_fd = -1, .fd = fd };
	struct rootfs *fs;

	if (fd < 0)
		return -errno;
	r = rootfs_new(&mount, 1, &fs);
	if (r == 0) {
		if (o->uid || o->gid)
			r = rootfs_chown(fs, NULL, NULL, "/", o->uid, o->gid, 0);
		if (r == 0)
			r = rootfs_chmod(fs, NULL, NULL, "/", o->mode, 0);
		rootfs_free(fs);
	}
	close(fd);
	return r;
}

/* It appears complete, under its name, or not at all: others may be waiting to open it. */
static int make_tmpfs(const struct mount_backing *b)
{
	CLEANUP(freep) char *parent = xstrdup(b->path), *fresh = xasprintf("%s.%d", b->path, (int)gettid());
	char *slash = strrchr(parent, '/');
	int r;

	*slash = '\0';
	if (access(b->path, F_OK) == 0)
		return 0;
	if (mkdir(fresh, 0755) < 0)
		return -errno;
	r = set_owner(fresh, &b->tmpfs);
	if (r == 0 && rename(fresh, b->path) < 0 && errno != EEXIST && errno != ENOTEMPTY)
		r = -errno;
	if (r < 0)
		return r;
	remove_older(parent, b->path + (slash - parent) + 1);
	return 0;
}

/* ---- opening ---- */

/* What was found is no directory: its own, and its name in it. */
static int open_parent(int base, int fd, struct run_mount *m)
{
	char link[64], whole[4096], top[4096];
	ssize_t n, nbase;
	char *slash;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", base);
	nbase = readlink(link, top, sizeof(top) - 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, whole, sizeof(whole) - 1);
	if (n < 0 || nbase < 0 || n <= nbase || strncmp(whole, top, (size_t)nbase) != 0 || whole[nbase] != '/')
		return -ENOENT;
	whole[n] = '\0';
	slash = strrchr(whole + nbase, '/');
	*slash = '\0';
	m->fd_name = xstrdup(slash + 1);
	m->kind = ROOTFS_MOUNT_FILE;
	return file_open_beneath(base, slash == whole + nbase ? "." : whole + nbase + 1, O_DIRECTORY, RESOLVE_NO_SYMLINKS);
}

static int open_subpath(const struct mount_backing *b, int base, const char *subpath, struct run_mount *m, struct error *err)
{
	int fd = file_open_beneath(base, subpath, 0, 0);
	struct stat st;

	if (fd == -EXDEV)
		return error_set_class(err, ERROR_INVALID,
				       "path concatenation escapes the base directory, base: %.400s, subpath: %.200s",
				       b->path, subpath);
	if (fd == -ENOENT || fd == -ELOOP)
		return error_set_class(err, ERROR_NOT_FOUND, "cannot access path %.350s/%.100s: lstat %.350s/%.100s: %s",
				       b->path, subpath, b->path, subpath, error_text(-fd));
	if (fd < 0)
		return error_set(err, fd, "openat2 %.200s: %s", subpath, error_text(-fd));
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
		int parent = open_parent(base, fd, m);

		close(fd);
		if (parent < 0)
			return error_set(err, parent, "openat2 %.200s: %s", subpath, error_text(-parent));
		fd = parent;
	}
	return fd;
}

/* A volume with options is told as Docker tells a mount(2) that failed. */
static int tell(const struct mount_backing *b, int code, struct error *err)
{
	if (!b->attempt)
		return error_set(err, code, "%s: %s", b->path, error_text(-code));
	return error_set(err, code, "error while mounting volume '%.300s': failed to mount local volume: %.600s: %s",
			 b->mountpoint, b->attempt, error_text(-code));
}

int volume_open(const struct mount_backing *b, const char *subpath, struct run_mount *m, struct error *err)
{
	int r = b->errnum ? -b->errnum : b->is_tmpfs ? make_tmpfs(b) : 0, fd;

	if (r < 0)
		return tell(b, r, err);
	fd = open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && !b->attempt && volume_make(b->path, err) == 0)
		fd = open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err->code ? err->code : tell(b, -errno, err);
	m->kind = ROOTFS_MOUNT_DIR;
	m->is_bind = b->is_bind;
	m->is_readonly = m->is_readonly || b->is_readonly;
	m->size_limit_bytes = b->is_tmpfs ? b->tmpfs.size_bytes : 0;
	m->fd = fd;
	if (!subpath)
		return 0;
	m->fd = open_subpath(b, fd, subpath, m, err);
	close(fd);
	return m->fd < 0 ? m->fd : 0;
}

uint64_t volume_size(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = fd, .fd = -1 };
	uint64_t bytes = 0, total;
	struct rootfs *fs;

	if (fd < 0)
		return 0;
	if (rootfs_new(&mount, 1, &fs) == 0) {
		rootfs_usage(fs, &bytes, &total);
		rootfs_free(fs);
	}
	close(fd);
	return bytes;
}

/* ---- the image's content of a new volume ---- */

static ssize_t write_fd(void *arg, const void *data, size_t len)
{
	ssize_t n = write(*(int *)arg, data, len);

	return n < 0 ? -errno : n;
}

struct source {
	int fd;
	char buffer[65536];
};

static ssize_t read_fd(void *arg, const void **ret)
{
	struct source *s = arg;
	ssize_t n = read(s->fd, s->buffer, sizeof(s->buffer));

	*ret = s->buffer;
	return n < 0 ? -errno : n;
}

static int count(void *arg, const struct rootfs_dirent *d)
{
	*(int *)arg += strcmp(d->name, ".") != 0 && strcmp(d->name, "..") != 0;
	return 0;
}

static bool is_empty(struct rootfs *fs)
{
	struct rootfs_dir *root = rootfs_root(fs);
	struct rootfs_listing *l;
	uint64_t cookie = 0;
	int n = 0;

	if (rootfs_listing_new(fs, root, &l) == 0) {
		rootfs_listing_read(l, &cookie, count, &n);
		rootfs_listing_free(l);
	}
	rootfs_dir_unref(root);
	return n == 0;
}

/* A temporary tar in between keeps owners, links and times as docker cp does. */
static int copy_tree(struct rootfs *from, const char *path, struct rootfs *to, const struct rootfs_stat *st, int fd,
		     struct error *err)
{
	struct tar_write_options wopt = { .contents_only = true };
	struct tar_extract_options xopt = { .copy_uid_gid = true };
	struct source *s = xmalloc(sizeof(*s));
	int r = tar_write(from, path, &wopt, write_fd, &fd, err);

	s->fd = fd;
	lseek(fd, 0, SEEK_SET);
	if (r == 0)
		r = tar_extract(to, "/", &xopt, read_fd, s, err);
	free(s);
	rootfs_chown(to, NULL, NULL, "/", st->uid, st->gid, 0);
	rootfs_chmod(to, NULL, NULL, "/", st->mode & 07777, 0);
	return r;
}

int volume_populate(int lower_fd, int upper_fd, const struct run_mount *m, const char *destination, struct error *err)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* two containers may find the same volume empty */
	struct rootfs_mount image = {
		.kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower_fd, .upper_fd = upper_fd, .fd = -1
	};
	struct rootfs_mount volume = {
		.kind = ROOTFS_MOUNT_DIR, .target = "/", .lower_fd = -1, .upper_fd = -1, .fd = m->fd, .is_bind = m->is_bind
	};
	struct rootfs *from = NULL, *to = NULL;
	struct rootfs_stat st;
	int tar, r = 0;

	pthread_mutex_lock(&one_at_a_time);
	if (rootfs_new(&image, 1, &from) == 0 && rootfs_new(&volume, 1, &to) == 0 && is_empty(to) &&
	    rootfs_stat(from, NULL, NULL, destination, 0, &st) == 0 && S_ISDIR(st.mode)) {
		tar = openat(upper_fd, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		r = tar < 0 ? error_set(err, -errno, "%s: %s", destination, error_text(errno)) :
			      copy_tree(from, destination, to, &st, tar, err);
		if (tar >= 0)
			close(tar);
	}
	rootfs_free(from);
	rootfs_free(to);
	pthread_mutex_unlock(&one_at_a_time);
	return r;
}
