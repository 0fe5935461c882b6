/* The files of volumes: everything here blocks and runs on the pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/volumes.h"
#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static int make_data(const char *path)
{
	CLEANUP(freep) char *parent = xstrdup(path);

	*strrchr(parent, '/') = '\0';
	if (mkdir(parent, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? 0 : -errno;
	return chmod(path, 0755) < 0 ? -errno : 0; /* whatever our umask */
}

/* Component by component, following nothing: what a guest made in it cannot lead out. */
static int open_below(int take_fd, const char *subpath)
{
	CLEANUP(freep) char *copy = xstrdup(subpath);
	char *at = copy, *part;
	int fd = take_fd;

	while (fd >= 0 && (part = strsep(&at, "/"))) {
		int next;

		if (!*part)
			continue;
		next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			next = -errno;
		close(fd);
		fd = next;
	}
	return fd;
}

int volume_open_data(const char *path, const char *subpath, struct error *err)
{
	int r = make_data(path), fd;

	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (subpath)
		fd = open_below(fd, subpath);
	if (fd < 0)
		return error_set_class(err, ERROR_INVALID, "cannot access path %s/%.200s: %s", path,
				       subpath ? subpath : "", strerror(-fd));
	return fd;
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

int volume_populate(int lower_fd, int upper_fd, const char *path, const char *destination, struct error *err)
{
	int data = volume_open_data(path, NULL, err), tar, r = 0;
	struct rootfs_mount image = {
		.kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower_fd, .upper_fd = upper_fd, .fd = -1
	};
	struct rootfs_mount volume = { .kind = ROOTFS_MOUNT_DIR, .target = "/", .lower_fd = -1, .upper_fd = -1, .fd = data };
	struct rootfs *from = NULL, *to = NULL;
	struct rootfs_stat st;

	if (data < 0)
		return data;
	if (rootfs_new(&image, 1, &from) == 0 && rootfs_new(&volume, 1, &to) == 0 && is_empty(to) &&
	    rootfs_stat(from, NULL, NULL, destination, 0, &st) == 0 && S_ISDIR(st.mode)) {
		tar = open(path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		r = tar < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) :
			      copy_tree(from, destination, to, &st, tar, err);
		if (tar >= 0)
			close(tar);
	}
	rootfs_free(from);
	rootfs_free(to);
	close(data);
	return r;
}
