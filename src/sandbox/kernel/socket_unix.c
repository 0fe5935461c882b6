/* AF_UNIX names that are files: placeholders in the union file system, whose identity the switch knows them by. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

/* The path with its NUL; false: none, or an abstract name. */
static bool get_path(const struct net_address *a, char path[109])
{
	size_t n = a->path_len < 108 ? a->path_len : 108;

	if (n == 0 || a->path[0] == '\0')
		return false;
	memcpy(path, a->path, n);
	path[n] = '\0';
	return true;
}

/* -1 means "none": -EPERM has the same number and becomes -EACCES. */
static int open_path(const char *path, const struct rootfs_cred *cred)
{
	struct rootfs_dir *at;
	int r = path_base(AT_FDCWD, path, &at);

	if (r == 0)
		r = rootfs_open_socket(self.container->fs, cred, at, path);
	return r == -EPERM ? -EACCES : r;
}

int unix_open(const struct net_address *a)
{
	char path[109];

	if (!get_path(a, path))
		return a->path_len ? -1 : -EINVAL;
	return open_path(path, process_cred());
}

int unix_make(const struct net_address *a)
{
	struct rootfs_dir *at;
	char path[109];
	int r;

	if (!get_path(a, path))
		return -1;
	r = path_base(AT_FDCWD, path, &at);
	if (r == 0)
		r = rootfs_mknod(self.container->fs, process_cred(), at, path, S_IFSOCK | 0777, 0);
	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : r == -EPERM ? -EACCES : r;
	r = open_path(path, NULL);
	if (r < 0)
		unix_unmake(a);
	return r;
}

void unix_unmake(const struct net_address *a)
{
	struct rootfs_dir *at;
	char path[109];

	if (get_path(a, path) && path_base(AT_FDCWD, path, &at) == 0)
		rootfs_unlink(self.container->fs, process_cred(), at, path, 0);
}
