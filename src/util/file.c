#include "util/file.h"

#include <fcntl.h>
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
