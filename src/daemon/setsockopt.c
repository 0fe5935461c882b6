/* setsockopt(2) that tells microhttpd what it waits to hear. On a Unix socket
 * the kernel answers a TCP option with EOPNOTSUPP; microhttpd 0.9.75 expects
 * ENOPROTOOPT there, and not hearing it tries two options again with every
 * reply, a twentieth of the daemon's time for a small request. This program's
 * definition comes before the C library's; all else passes through unchanged. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int r = (int)syscall(SYS_setsockopt, fd, level, name, value, len);

	if (r < 0 && errno == EOPNOTSUPP && level == IPPROTO_TCP)
		errno = ENOPROTOOPT;
	return r;
}
