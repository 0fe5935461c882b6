/* What kind of programs a root holds: decides where containers of the image
 * run. Made once, when it is unpacked. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/internal.h"

enum { DEPTH_MAX = 256 };

static bool is_native(int dir_fd, const char *name)
{
	char magic[4] = "";
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is = fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

static bool classify(int dir_fd, uint64_t *bytes, int depth)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	bool has_native = false;
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((e = readdir(d))) {
		/* Most of the built-in root is links, and every start of the daemon comes by here. */
		if (e->d_type == DT_LNK || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode)) {
			*bytes += (uint64_t)st.st_size;
			has_native = has_native || ((st.st_mode & 0111) && is_native(fd, e->d_name));
		} else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			int sub = openat(fd, e->d_name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			if (sub >= 0) {
				has_native = classify(sub, bytes, depth + 1) || has_native;
				close(sub);
			}
		}
	}
	closedir(d);
	return has_native;
}

bool classify_tree(int dir_fd, uint64_t *bytes)
{
	return classify(dir_fd, bytes, 0);
}
