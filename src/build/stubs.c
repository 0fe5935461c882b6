#include "build/stubs.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "build/copy.h"
#include "build/internal.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/file.h"

struct stubs {
	struct rootfs *below, *all;
	int upper_fd;
};

static bool view(struct rootfs **ret, int lower_fd, int upper_fd)
{
	struct rootfs_mount mount = {
		.kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower_fd, .upper_fd = upper_fd, .fd = -1
	};

	return rootfs_new(&mount, 1, ret) == 0;
}

static bool has(struct rootfs *fs, const char *path, struct rootfs_stat *st)
{
	return rootfs_stat(fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, st) == 0;
}

/* An empty directory below the upper one. What lies there is a guest's making: no link of its may be followed. */
static void unlink_beneath(int upper_fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep) char *parent = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	CLEANUP(closep) int fd = file_open_beneath(upper_fd, parent, O_DIRECTORY, RESOLVE_NO_SYMLINKS);

	if (fd >= 0)
		unlinkat(fd, slash ? slash + 1 : path, AT_REMOVEDIR);
}

/* A directory of the lower root that was copied for nothing: when the copy is empty, the original shows again. */
static void drop_copy(struct stubs *s, const char *path, const struct rootfs_stat *before)
{
	struct rootfs_stat now;

	if (!S_ISDIR(before->mode) || !has(s->all, path, &now) || now.mode != before->mode || now.uid != before->uid ||
	    now.gid != before->gid)
		return;
	unlink_beneath(s->upper_fd, path + 1);
}

static void remove_one(struct stubs *s, const char *target)
{
	char path[BUILD_PATH_MAX];
	struct rootfs_stat before, now;

	snprintf(path, sizeof(path), "%s", target);
	while (path[0] == '/' && path[1]) {
		if (has(s->below, path, &before)) {
			drop_copy(s, path, &before);
		} else if (has(s->all, path, &now)) {
			bool is_dir = S_ISDIR(now.mode);

			if ((!is_dir && (!S_ISREG(now.mode) || now.size)) ||
			    rootfs_unlink(s->all, NULL, NULL, path, is_dir ? AT_REMOVEDIR : 0) < 0)
				return;
		}
		*strrchr(path, '/') = '\0';
	}
}

void stubs_remove(const char *below, const char *upper, char *const *targets, size_t n)
{
	CLEANUP(closep) int lower_fd = open(below, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int upper_fd = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stubs s = { .upper_fd = upper_fd };

	if (lower_fd < 0 || upper_fd < 0 || !view(&s.below, lower_fd, -1))
		return;
	if (view(&s.all, lower_fd, upper_fd)) {
		for (size_t i = 0; i < n; i++)
			remove_one(&s, targets[i]);
		rootfs_free(s.all);
	}
	rootfs_free(s.below);
}
