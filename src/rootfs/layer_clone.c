/* One root directory as another: files shared by hard links. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/layer.h"

static int clone_dir(int from, int to)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && r == 0 && (e = readdir(d))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (!S_ISDIR(st.st_mode))
			r = linkat(from, e->d_name, to, e->d_name, 0) < 0 ? -errno : 0;
		else if (mkdirat(to, e->d_name, 0700) < 0 || fchmodat(to, e->d_name, st.st_mode & 07777, 0) < 0)
			r = -errno;
		else {
			int sub = openat(from, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			int out = openat(to, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			r = sub < 0 || out < 0 ? -EIO : clone_dir(sub, out);
			close(sub);
			close(out);
		}
	}
	if (d)
		closedir(d);
	return r;
}

int layer_clone(int from_fd, int to_fd)
{
	return clone_dir(from_fd, to_fd);
}
