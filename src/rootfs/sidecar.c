/* Records beside a file, for what cannot carry an xattr: links, FIFOs, and
 * everything on file systems without user xattrs. The record of NAME is the
 * small file .wh..wh.own.NAME in the same directory: it moves with the
 * directory, and a backup of the layer takes it along. The names of a file with
 * several have one record with as many names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

static int record_name(const char *name, char out[256])
{
	return snprintf(out, 256, OWNER_PREFIX "%s", name) < 256 ? 0 : -ENAMETOOLONG;
}

bool sidecar_may_have(const struct rootfs_dir *dir, uint32_t type)
{
	return dir_has_marks(dir) && ((type != S_IFREG && type != S_IFDIR) || !dir->fs->keeps_xattrs[dir->mount]);
}

int sidecar_read(int dir_fd, const char *name, struct rootfs_stat *st)
{
	char record[256], text[160];
	long long a, m;
	long a_ns, m_ns;
	const char *times;
	ssize_t n;
	int fd, r = record_name(name, record);

	if (r < 0)
		return r;
	fd = openat(dir_fd, record, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -ENODATA;
	text[n] = '\0';
	r = owner_parse(text, st);
	times = strchr(text, ';');
	if (times && sscanf(times, ";%lld.%ld;%lld.%ld", &a, &a_ns, &m, &m_ns) == 4) {
		st->atime = (struct timespec){ (time_t)a, a_ns };
		st->mtime = (struct timespec){ (time_t)m, m_ns };
	}
	return r;
}

int sidecar_write(int dir_fd, const char *name, const struct rootfs_stat *st, bool with_times)
{
	char record[256], text[160];
	int fd, n, r = record_name(name, record);

	if (r < 0)
		return r;
	n = owner_print(text, sizeof(text), st);
	if (with_times)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ";%lld.%09ld;%lld.%09ld", (long long)st->atime.tv_sec,
			      st->atime.tv_nsec, (long long)st->mtime.tv_sec, st->mtime.tv_nsec);
	fd = openat(dir_fd, record, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = pwrite(fd, text, (size_t)n, 0) == n && ftruncate(fd, n) == 0 ? 0 : -EIO;
	close(fd);
	return r;
}

void sidecar_remove(int dir_fd, const char *name)
{
	char record[256];

	if (record_name(name, record) == 0)
		unlinkat(dir_fd, record, 0);
}

void sidecar_move(int from_fd, const char *from, int to_fd, const char *to)
{
	char record[256], moved[256];

	sidecar_remove(to_fd, to);
	if (record_name(from, record) == 0 && record_name(to, moved) == 0)
		renameat(from_fd, record, to_fd, moved);
}

void sidecar_link(int from_fd, const char *from, int to_fd, const char *to)
{
	char record[256], linked[256];

	if (record_name(from, record) == 0 && record_name(to, linked) == 0)
		(void)!linkat(from_fd, record, to_fd, linked, 0);
}
