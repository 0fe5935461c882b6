#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/buf.h"

char *file_text(const char *path, size_t max_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[4096];
	struct buf b;
	ssize_t n;

	buf_init(&b, max_bytes);
	while (fd >= 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		if (buf_append(&b, piece, (size_t)n) < 0)
			break;
	if (fd >= 0)
		close(fd);
	return buf_steal(&b);
}

enum { TRIES = 1000 };

int file_open_beneath(int base, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | flags,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve };
	long fd = -1;

	errno = EAGAIN;
	for (int i = 0; fd < 0 && errno == EAGAIN && i < TRIES; i++)
		fd = syscall(SYS_openat2, base, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}
