/* What an upper layer changed, how large it is, and its removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

enum { DEPTH_MAX = 512, REMOVE_DEPTH_MAX = 100, CHANGE_MODIFIED = 0, CHANGE_ADDED, CHANGE_DELETED };

static DIR *open_dir_at(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* ---- changes ---- */

struct differ {
	int (*emit)(void *arg, const char *path, int kind);
	void *arg;
	char path[8192];
};

static int diff_dir(struct differ *df, int upper, int lower, size_t len, int depth);

static int diff_entry(struct differ *df, int upper, int lower, const char *name, size_t len, int depth)
{
	char shown[256];
	struct stat st, old;
	enum name_kind kind = name_read(name, shown);
	const char *stored = kind == NAME_WHITEOUT ? name + strlen(WHITEOUT_PREFIX) : name;
	size_t n = len + 1 + strlen(shown);
	bool was_there;
	int r;

	if (kind == NAME_MARK)
		return 0; /* of a directory or beside a file */
	if (n >= sizeof(df->path))
		return -ENAMETOOLONG;
	df->path[len] = '/';
	memcpy(df->path + len + 1, shown, strlen(shown) + 1);
	was_there = lower >= 0 && fstatat(lower, stored, &old, AT_SYMLINK_NOFOLLOW) == 0;
	if (kind == NAME_WHITEOUT)
		return df->emit(df->arg, df->path, CHANGE_DELETED);
	if (fstatat(upper, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = df->emit(df->arg, df->path, was_there ? CHANGE_MODIFIED : CHANGE_ADDED);
	if (r || !S_ISDIR(st.st_mode))
		return r;
	int up = openat(upper, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int low = was_there && S_ISDIR(old.st_mode) ? openat(lower, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (up >= 0)
		r = diff_dir(df, up, low, n, depth + 1);
	if (up >= 0)
		close(up);
	if (low >= 0)
		close(low);
	return r;
}

static int diff_dir(struct differ *df, int upper, int lower, size_t len, int depth)
{
	struct dirent *e;
	int r = 0;
	DIR *d;

	if (depth >= DEPTH_MAX)
		return -ELOOP;
	d = open_dir_at(upper, ".");
	if (!d)
		return -errno;
	while (r == 0 && (e = readdir(d)))
		if (!is_dot(e->d_name))
			r = diff_entry(df, upper, lower, e->d_name, len, depth);
	closedir(d);
	return r;
}

int rootfs_changes(struct rootfs *fs, int (*emit)(void *arg, const char *path, int kind), void *arg)
{
	struct differ df = { .emit = emit, .arg = arg };

	if (fs->mounts[0].upper_fd < 0)
		return 0;
	return diff_dir(&df, fs->mounts[0].upper_fd, fs->mounts[0].lower_fd, 0, 0);
}

/* ---- sizes ---- */

static int add_tree(int dir_fd, uint64_t *bytes, int depth)
{
	struct dirent *e;
	char shown[256];
	struct stat st;
	DIR *d;

	if (depth >= DEPTH_MAX)
		return -ELOOP;
	d = open_dir_at(dir_fd, ".");
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (is_dot(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode) && name_read(e->d_name, shown) == NAME_ENTRY)
			*bytes += (uint64_t)st.st_size;
		if (S_ISDIR(st.st_mode)) {
			int fd = openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (fd >= 0) {
				add_tree(fd, bytes, depth + 1);
				close(fd);
			}
		}
	}
	closedir(d);
	return 0;
}

int rootfs_usage(struct rootfs *fs, uint64_t *ret_upper_bytes, uint64_t *ret_total_bytes)
{
	uint64_t upper = 0, lower = 0;

	if (fs->mounts[0].upper_fd >= 0)
		add_tree(fs->mounts[0].upper_fd, &upper, 0);
	if (fs->mounts[0].lower_fd >= 0)
		add_tree(fs->mounts[0].lower_fd, &lower, 0);
	*ret_upper_bytes = upper;
	*ret_total_bytes = upper + lower;
	return 0;
}

/* ---- removal ---- */

/* What lies too deep to hold all its parents open is moved up, and removed from there. */
struct remover {
	int top_fd;
	unsigned moved;
};

static void moved_name(char out[48], unsigned n)
{
	snprintf(out, 48, TEMPORARY_PREFIX "deep.%d.%u", (int)gettid(), n);
}

static int remove_tree(struct remover *rm, int dir_fd, const char *name, int depth)
{
	char moved[48];
	struct dirent *e;
	DIR *d;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (depth >= REMOVE_DEPTH_MAX) {
		moved_name(moved, rm->moved++);
		return renameat(dir_fd, name, rm->top_fd, moved) < 0 ? -errno : 0;
	}
	d = open_dir_at(dir_fd, name);
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (!is_dot(e->d_name))
			remove_tree(rm, dirfd(d), e->d_name, depth + 1);
	closedir(d);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int rootfs_remove_tree(int dir_fd, const char *name)
{
	struct remover rm = { .top_fd = dir_fd };
	int r = remove_tree(&rm, dir_fd, name, 0);
	char moved[48];

	for (unsigned i = 0; r == 0 && i < rm.moved; i++) {
		moved_name(moved, i);
		r = remove_tree(&rm, dir_fd, moved, 0);
	}
	return r;
}

/* ---- mount points ---- */

int rootfs_make_mountpoint(struct rootfs *fs, const char *target, bool is_file)
{
	char path[4096];
	struct rootfs_stat st;
	size_t n = strlen(target);

	if (n >= sizeof(path))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		bool is_last = i == n;

		if (target[i] != '/' && !is_last)
			continue;
		memcpy(path, target, i);
		path[i] = '\0';
		if (rootfs_stat(fs, NULL, NULL, path, 0, &st) == 0)
			continue;
		int r = is_last && is_file ? rootfs_mknod(fs, NULL, NULL, path, S_IFREG | 0644, 0) :
					     rootfs_mkdir(fs, NULL, NULL, path, 0755);

		if (r < 0 && r != -EEXIST)
			return r;
		if (r == 0) /* whatever the caller's umask */
			rootfs_chmod(fs, NULL, NULL, path, is_last && is_file ? 0644 : 0755, 0);
	}
	return 0;
}
