#include "fuzz/root.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

static struct rootfs *fs;
static int dir_fd = -1;
static char path[] = "/tmp/sockerless-fuzz-XXXXXX";

static void remove_root(void)
{
	rootfs_free(fs);
	close(dir_fd);
	rootfs_remove_tree(AT_FDCWD, path);
}

struct rootfs *fuzz_root(void)
{
	struct rootfs_mount root = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .fd = -1 };

	if (fs)
		return fs;
	FUZZ_CHECK(mkdtemp(path));
	dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	root.upper_fd = dir_fd;
	FUZZ_CHECK(dir_fd >= 0 && mkdirat(dir_fd, "etc", 0755) == 0 && rootfs_new(&root, 1, &fs) == 0);
	atexit(remove_root);
	return fs;
}

void fuzz_root_put(const char *name, const void *data, size_t len, mode_t mode)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}
