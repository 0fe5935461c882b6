/* Socket calls as a guest makes them, in its own numbers and structures, and the answers of Linux. Native code in a
 * guest's place can say every detail; what whole programs see of it is in parts/sockets.sh. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"
#include "tests/sandbox/attacks.h"

/* Guest numbers. */
enum {
	N_READ = 0,
	N_WRITE = 1,
	N_CLOSE = 3,
	N_FSTAT = 5,
	N_POLL = 7,
	N_DUP = 32,
	N_SENDFILE = 40,
	N_SOCKET = 41,
	N_CONNECT = 42,
	N_ACCEPT = 43,
	N_SENDTO = 44,
	N_SHUTDOWN = 48,
	N_BIND = 49,
	N_LISTEN = 50,
	N_GETSOCKNAME = 51,
	N_GETPEERNAME = 52,
	N_SOCKETPAIR = 53,
	N_FORK = 57,
	N_EXIT = 60,
	N_WAIT4 = 61,
	N_FCNTL = 72,
	N_UNLINK = 87,
	N_EPOLL_WAIT = 232,
	N_EPOLL_CTL = 233,
	N_ACCEPT4 = 288,
	N_EPOLL_CREATE1 = 291,
	N_IOCTL = 514,
	N_RECVFROM = 517,
	N_SENDMSG = 518,
	N_RECVMSG = 519,
	N_SETSOCKOPT = 541,
	N_GETSOCKOPT = 542,
};

static int wrong;
static uint32_t area, next;

static uint32_t put(const void *data, size_t len)
{
	uint32_t at = area + next;

	next = (next + (uint32_t)len + 15) & ~15u;
	if (next > 60000)
		next = 0;
	copy_out(at, data, len);
	return at;
}

static uint32_t room(size_t len)
{
	static const char zero[65536];

	return put(zero, len);
}

static int64_t call(uint32_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	return guest_syscall(n, a, b, c, d, e, f);
}
#define CALL6(n, a, b, c, d, e, f, ...) \
	call(n, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), (uint64_t)(f))
#define CALL(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

static void is_result(const char *what, int line, int64_t got, int64_t wanted)
{
	if (got == wanted)
		return;
	printf("line %d: %s: %ld, wanted %ld\n", line, what, (long)got, (long)wanted);
	wrong++;
}
#define IS(wanted, call) is_result(#call, __LINE__, (int64_t)(call), wanted)

/* ---- helpers in the guest's terms ---- */

static uint32_t in4(uint32_t address, uint16_t port)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address) };

	return put(&in, sizeof(in));
}

static uint16_t port_of(int64_t fd, uint32_t which)
{
	const uint32_t size = 64;
	uint32_t len = put(&size, 4), at = room(64);
	struct sockaddr_in in = { 0 };

	if (CALL(which, fd, at, len) < 0)
		return 0;
	copy_in(&in, at, sizeof(in));
	return ntohs(in.sin_port);
}

static int get_option(int64_t fd, int level, int name)
{
	const uint32_t size = 4;
	uint32_t len = put(&size, 4), at = room(4);
	int value = -1;
	int64_t r = CALL(N_GETSOCKOPT, fd, level, name, at, len);

	copy_in(&value, at, 4);
	return r < 0 ? (int)r : value;
}

static int64_t set_option(int64_t fd, int level, int name, int value)
{
	return CALL(N_SETSOCKOPT, fd, level, name, put(&value, 4), 4);
}

static short poll_events(int64_t fd, short events)
{
	struct pollfd p = { (int)fd, events, 0 };
	uint32_t at = put(&p, sizeof(p));

	CALL(N_POLL, at, 1, 0);
	copy_in(&p, at, sizeof(p));
	return p.revents;
}

static void wait_readable(int64_t fd)
{
	struct pollfd p = { (int)fd, POLLIN, 0 };

	IS(1, CALL(N_POLL, put(&p, sizeof(p)), 1, 2000));
}

static int64_t send_text(int64_t fd, const char *text, int flags)
{
	return CALL(N_SENDTO, fd, put(text, strlen(text)), strlen(text), flags | MSG_NOSIGNAL, 0, 0);
}

static bool receives(int64_t fd, const char *text, int flags)
{
	char got[256] = "";
	uint32_t at = room(sizeof(got));
	int64_t n = CALL(N_RECVFROM, fd, at, sizeof(got) - 1, flags, 0, 0);

	if (n < 0 || n >= (int64_t)sizeof(got))
		return false;
	copy_in(got, at, (size_t)n);
	return strcmp(got, text) == 0;
}

static int64_t listen_on(uint16_t port, int type)
{
	int64_t fd = CALL(N_SOCKET, AF_INET, SOCK_STREAM | type, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	IS(0, CALL(N_BIND, fd, in4(INADDR_ANY, port), 16));
	IS(0, CALL(N_LISTEN, fd, 5));
	return fd;
}

static void connect_pair(int64_t listener, uint16_t port, int64_t ends[2])
{
	ends[0] = CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0);
	IS(0, CALL(N_CONNECT, ends[0], in4(INADDR_LOOPBACK, port), 16));
	ends[1] = CALL(N_ACCEPT, listener, 0, 0);
}

static void close_all(const int64_t *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		IS(0, CALL(N_CLOSE, fds[i]));
}

/* ---- what may not be ---- */

static void test_refusals(void)
{
	int64_t fd;

	IS(-EAFNOSUPPORT, CALL(N_SOCKET, AF_PACKET, SOCK_RAW, 0));
	IS(-EAFNOSUPPORT, CALL(N_SOCKET, 77, SOCK_STREAM, 0));
	IS(-EPROTONOSUPPORT, CALL(N_SOCKET, AF_INET, SOCK_STREAM, IPPROTO_UDP));
	IS(-ESOCKTNOSUPPORT, CALL(N_SOCKET, AF_INET, SOCK_SEQPACKET, 0));
	IS(-EBADF, CALL(N_BIND, 999, in4(0, 0), 16));
	IS(-ENOTSOCK, CALL(N_BIND, 0, in4(0, 0), 16));
	IS(-ENOTSOCK, CALL(N_SENDTO, 0, area, 1, 0, 0, 0));
	fd = CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0);
	IS(-EINVAL, CALL(N_BIND, fd, in4(0, 0), 8));
	IS(-EFAULT, CALL(N_BIND, fd, 0, 16));
	IS(-EADDRNOTAVAIL, CALL(N_BIND, fd, in4(0x08080808, 80), 16));
	IS(-EINVAL, CALL(N_ACCEPT, fd, 0, 0));
	IS(-ENOTCONN, CALL(N_RECVFROM, fd, area, 1, 0, 0, 0));
	IS(-EPIPE, send_text(fd, "x", 0));
	IS(-ENOTCONN, CALL(N_GETPEERNAME, fd, area, area + 64));
	IS(-ENOTCONN, CALL(N_SHUTDOWN, fd, SHUT_WR));
	IS(-ECONNREFUSED, CALL(N_CONNECT, fd, in4(INADDR_LOOPBACK, 9), 16));
	IS(-ECONNREFUSED, CALL(N_CONNECT, fd, in4(INADDR_LOOPBACK, 9), 16));
	IS(-ENETUNREACH, CALL(N_CONNECT, fd, in4(0x08080808, 80), 16));
	IS(POLLOUT | POLLHUP, poll_events(fd, POLLIN | POLLOUT) & ~POLLIN);
	IS(-ESPIPE, CALL(8 /* lseek */, fd, 0, 0));
	close_all(&fd, 1);
	fd = CALL(N_SOCKET, AF_INET, SOCK_DGRAM, 0);
	IS(0, CALL(N_DUP, fd) - fd - 1); /* the lowest numbers, as ever */
	CALL(N_CLOSE, fd + 1);
	IS(-EOPNOTSUPP, CALL(N_LISTEN, fd, 1));
	IS(-EDESTADDRREQ, send_text(fd, "x", 0));
	close_all(&fd, 1);
}

/* ---- TCP ---- */

static void test_listening(void)
{
	int64_t fd = listen_on(7001, SOCK_NONBLOCK), other = CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0), ends[2];

	IS(7001, port_of(fd, N_GETSOCKNAME));
	IS(1, get_option(fd, SOL_SOCKET, SO_ACCEPTCONN));
	IS(-EADDRINUSE, CALL(N_BIND, other, in4(INADDR_ANY, 7001), 16));
	IS(-EINVAL, CALL(N_BIND, fd, in4(INADDR_ANY, 7002), 16));
	IS(-EAGAIN, CALL(N_ACCEPT, fd, 0, 0));
	IS(0, poll_events(fd, POLLIN | POLLOUT));
	ends[0] = CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0);
	IS(0, CALL(N_CONNECT, ends[0], in4(INADDR_LOOPBACK, 7001), 16));
	IS(-EISCONN, CALL(N_CONNECT, ends[0], in4(INADDR_LOOPBACK, 7001), 16));
	IS(POLLIN, poll_events(fd, POLLIN | POLLOUT));
	ends[1] = CALL(N_ACCEPT4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
	IS(FD_CLOEXEC, CALL(N_FCNTL, ends[1], F_GETFD, 0));
	IS(O_NONBLOCK, CALL(N_FCNTL, ends[1], F_GETFL, 0) & O_NONBLOCK);
	IS(0, CALL(N_FCNTL, ends[0], F_GETFL, 0) & O_NONBLOCK);
	IS(7001, port_of(ends[0], N_GETPEERNAME));
	IS(7001, port_of(ends[1], N_GETSOCKNAME));
	IS(port_of(ends[0], N_GETSOCKNAME), port_of(ends[1], N_GETPEERNAME));
	IS(-EAGAIN, CALL(N_RECVFROM, ends[1], area, 1, 0, 0, 0));
	close_all(ends, 2);
	close_all(&other, 1);
	close_all(&fd, 1);
	/* The port is free as soon as the last copy has gone. */
	fd = listen_on(7001, 0);
	close_all(&fd, 1);
}

static void test_bytes(void)
{
	int64_t fd = listen_on(7002, 0), ends[2];
	int n = 0;
	uint32_t at = room(4);

	connect_pair(fd, 7002, ends);
	IS(5, send_text(ends[0], "hello", 0));
	IS(0, CALL(N_IOCTL, ends[1], 0x541b /* FIONREAD */, at));
	copy_in(&n, at, 4);
	IS(5, n);
	IS(true, receives(ends[1], "hello", MSG_PEEK));
	IS(true, receives(ends[1], "hello", 0));
	IS(-EAGAIN, CALL(N_RECVFROM, ends[1], area, 1, MSG_DONTWAIT, 0, 0));
	IS(3, CALL(N_WRITE, ends[1], put("abc", 3), 3));
	IS(2, CALL(N_READ, ends[0], room(2), 2));
	IS(true, receives(ends[0], "c", 0));
	IS(0, CALL(N_SHUTDOWN, ends[0], SHUT_WR));
	IS(0, CALL(N_READ, ends[1], room(8), 8));
	IS(-EPIPE, send_text(ends[0], "x", 0));
	IS(4, send_text(ends[1], "back", 0));
	IS(true, receives(ends[0], "back", 0));
	close_all(ends + 1, 1);
	IS(0, CALL(N_READ, ends[0], room(8), 8));
	close_all(ends, 1);
	/* What is unread when it is closed resets the other side. */
	connect_pair(fd, 7002, ends);
	IS(1, send_text(ends[0], "x", 0));
	close_all(ends + 1, 1);
	IS(-ECONNRESET, CALL(N_READ, ends[0], room(8), 8));
	close_all(ends, 1);
	close_all(&fd, 1);
}

static void test_shared_numbers(void)
{
	int64_t fd = listen_on(7003, 0), a = CALL(N_SOCKET, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), b, ends[2], status;
	uint32_t where = room(4);

	b = CALL(N_DUP, a); /* before it is anything */
	IS(0, CALL(N_CONNECT, a, in4(INADDR_LOOPBACK, 7003), 16));
	ends[1] = CALL(N_ACCEPT, fd, 0, 0);
	IS(7003, port_of(b, N_GETPEERNAME));
	IS(O_NONBLOCK, CALL(N_FCNTL, b, F_GETFL, 0) & O_NONBLOCK);
	close_all(&a, 1);
	IS(2, send_text(b, "hi", 0));
	ends[0] = b;
	status = CALL(N_FORK);
	if (status == 0) { /* a child answers, as httpd's does */
		receives(ends[1], "hi", 0);
		send_text(ends[1], "child", 0);
		CALL(N_EXIT, 7);
	}
	close_all(ends + 1, 1);
	IS(status, CALL(N_WAIT4, status, where, 0, 0));
	IS(true, receives(b, "child", 0));
	wait_readable(b);
	IS(0, CALL(N_READ, b, room(8), 8));
	close_all(&b, 1);
	close_all(&fd, 1);
}

static void test_options(void)
{
	const struct timeval tenth = { 0, 50000 };
	const struct linger linger = { 1, 0 };
	int64_t fd = listen_on(7004, 0), ends[2];

	connect_pair(fd, 7004, ends);
	IS(SOCK_STREAM, get_option(ends[0], SOL_SOCKET, SO_TYPE));
	IS(AF_INET, get_option(ends[0], SOL_SOCKET, SO_DOMAIN));
	IS(IPPROTO_TCP, get_option(ends[0], SOL_SOCKET, SO_PROTOCOL));
	IS(0, get_option(ends[0], SOL_SOCKET, SO_ERROR));
	IS(0, set_option(ends[0], IPPROTO_TCP, TCP_NODELAY, 1));
	IS(1, get_option(ends[0], IPPROTO_TCP, TCP_NODELAY));
	IS(0, set_option(ends[0], SOL_SOCKET, SO_KEEPALIVE, 5));
	IS(1, get_option(ends[0], SOL_SOCKET, SO_KEEPALIVE));
	IS(0, set_option(ends[0], SOL_SOCKET, SO_RCVBUF, 10000));
	IS(20000, get_option(ends[0], SOL_SOCKET, SO_RCVBUF));
	IS(0, CALL(N_SETSOCKOPT, ends[0], SOL_SOCKET, SO_LINGER, put(&linger, 8), 8));
	IS(-ENOPROTOOPT, set_option(ends[0], SOL_SOCKET, 9999, 1));
	IS(-EINVAL, CALL(N_SETSOCKOPT, ends[0], SOL_SOCKET, SO_KEEPALIVE, area, 2));
	IS(0, CALL(N_SETSOCKOPT, ends[0], SOL_SOCKET, SO_RCVTIMEO, put(&tenth, 16), 16));
	IS(-EAGAIN, CALL(N_READ, ends[0], room(8), 8));
	close_all(ends, 2);
	close_all(&fd, 1);
}

static void test_epoll(void)
{
	struct __attribute__((packed)) {
		uint32_t events;
		uint64_t data;
	} event = { POLLIN, 42 };
	int64_t fd = listen_on(7005, 0), ep = CALL(N_EPOLL_CREATE1, 0), ends[2];
	uint32_t out = room(64);

	ends[0] = CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0);
	IS(0, CALL(N_EPOLL_CTL, ep, 1, ends[0], put(&event, sizeof(event)))); /* before it is connected */
	IS(0, CALL(N_CONNECT, ends[0], in4(INADDR_LOOPBACK, 7005), 16));
	ends[1] = CALL(N_ACCEPT, fd, 0, 0);
	IS(0, CALL(N_EPOLL_WAIT, ep, out, 4, 0));
	IS(1, send_text(ends[1], "x", 0));
	IS(1, CALL(N_EPOLL_WAIT, ep, out, 4, 1000));
	copy_in(&event, out, sizeof(event));
	IS(42, (int64_t)event.data);
	close_all(ends, 2);
	close_all(&ep, 1);
	close_all(&fd, 1);
}

/* ---- UDP ---- */

static int64_t send_to(int64_t fd, const char *text, uint16_t port)
{
	return CALL(N_SENDTO, fd, put(text, strlen(text)), strlen(text), 0, in4(INADDR_LOOPBACK, port), 16);
}

static void test_datagrams(void)
{
	const uint32_t size = 16;
	int64_t a = CALL(N_SOCKET, AF_INET, SOCK_DGRAM, 0), b = CALL(N_SOCKET, AF_INET, SOCK_DGRAM, 0);
	uint32_t at = room(16), name = room(16), len = put(&size, 4);
	struct sockaddr_in in;
	int n = 0;

	IS(0, CALL(N_BIND, a, in4(INADDR_ANY, 7010), 16));
	IS(5, send_to(b, "first", 7010));
	IS(6, send_to(b, "second", 7010));
	wait_readable(a);
	IS(0, CALL(N_IOCTL, a, 0x541b, at));
	copy_in(&n, at, 4);
	IS(5, n);
	IS(5, CALL(N_RECVFROM, a, at, 3, MSG_PEEK | MSG_TRUNC, 0, 0));
	IS(3, CALL(N_RECVFROM, a, at, 3, 0, name, len)); /* the rest is lost */
	copy_in(&in, name, sizeof(in));
	IS(port_of(b, N_GETSOCKNAME), ntohs(in.sin_port));
	IS(INADDR_LOOPBACK, ntohl(in.sin_addr.s_addr));
	wait_readable(a);
	IS(true, receives(a, "second", 0));
	IS(-EAGAIN, CALL(N_RECVFROM, a, at, 16, MSG_DONTWAIT, 0, 0));
	IS(-EMSGSIZE, CALL(N_SENDTO, b, area, 65508, 0, in4(INADDR_LOOPBACK, 7010), 16));
	IS(-EACCES, CALL(N_SENDTO, b, area, 1, 0, in4(INADDR_BROADCAST, 7010), 16));
	/* connected: write, and an answer that nobody is there */
	IS(0, CALL(N_CONNECT, b, in4(INADDR_LOOPBACK, 7010), 16));
	IS(2, CALL(N_WRITE, b, put("hi", 2), 2));
	wait_readable(a);
	IS(true, receives(a, "hi", 0));
	close_all(&a, 1);
	for (int i = 0; i < 100 && CALL(N_WRITE, b, put("hi", 2), 2) == 2 && !poll_events(b, POLLIN); i++)
		usleep(1000);
	IS(-ECONNREFUSED, CALL(N_READ, b, at, 16));
	close_all(&b, 1);
}

/* ---- AF_UNIX ---- */

static uint32_t un(const char *path, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, path, len);
	return put(&a, sizeof(a));
}

static void test_unix_streams(void)
{
	const char *path = "/tmp/calls.sock";
	int64_t fd = CALL(N_SOCKET, AF_UNIX, SOCK_STREAM, 0), other = CALL(N_SOCKET, AF_UNIX, SOCK_STREAM, 0), ends[2];
	const uint32_t size = 12;
	uint32_t cred = room(12), len = put(&size, 4);
	int32_t pid = 0;

	CALL(83 /* mkdir */, put("/tmp", 5), 0777);
	IS(-EINVAL, CALL(N_LISTEN, fd, 1));
	IS(-ENOENT, CALL(N_CONNECT, other, un(path, 15), 110));
	IS(0, CALL(N_BIND, fd, un(path, 15), 110));
	IS(-EADDRINUSE, CALL(N_BIND, other, un(path, 15), 110));
	IS(-ECONNREFUSED, CALL(N_CONNECT, other, un(path, 15), 110)); /* not listening yet */
	IS(0, CALL(N_LISTEN, fd, 5));
	IS(0, CALL(N_CONNECT, other, un(path, 15), 110));
	ends[0] = other;
	ends[1] = CALL(N_ACCEPT, fd, 0, 0);
	IS(5, send_text(ends[0], "hello", 0));
	IS(true, receives(ends[1], "hello", 0));
	IS(0, CALL(N_GETSOCKOPT, ends[1], SOL_SOCKET, SO_PEERCRED, cred, len));
	copy_in(&pid, cred, 4);
	IS(self.vpid, pid);
	close_all(ends, 2);
	close_all(&fd, 1);
	other = CALL(N_SOCKET, AF_UNIX, SOCK_STREAM, 0);
	IS(-ECONNREFUSED, CALL(N_CONNECT, other, un(path, 15), 110)); /* the file outlives its socket */
	IS(0, CALL(N_UNLINK, put(path, 16)));
	IS(-ENOENT, CALL(N_CONNECT, other, un(path, 15), 110));
	close_all(&other, 1);
}

static void test_unix_names(void)
{
	int64_t fd = CALL(N_SOCKET, AF_UNIX, SOCK_SEQPACKET, 0), ends[2];

	IS(0, CALL(N_BIND, fd, un("\0name", 5), 7));
	IS(0, CALL(N_LISTEN, fd, 5));
	ends[0] = CALL(N_SOCKET, AF_UNIX, SOCK_SEQPACKET, 0);
	IS(-ECONNREFUSED, CALL(N_CONNECT, ends[0], un("\0nam", 4), 6));
	IS(0, CALL(N_CONNECT, ends[0], un("\0name", 5), 7));
	ends[1] = CALL(N_ACCEPT, fd, 0, 0);
	IS(3, send_text(ends[0], "one", 0));
	IS(3, send_text(ends[0], "two", 0));
	IS(true, receives(ends[1], "one", 0));
	IS(true, receives(ends[1], "two", 0));
	close_all(ends, 2);
	close_all(&fd, 1);
}

static void test_unix_datagrams(void)
{
	int64_t a = CALL(N_SOCKET, AF_UNIX, SOCK_DGRAM, 0), b = CALL(N_SOCKET, AF_UNIX, SOCK_DGRAM, 0);

	IS(0, CALL(N_BIND, a, un("/tmp/dgram", 10), 110));
	IS(2, CALL(N_SENDTO, b, put("hi", 2), 2, 0, un("/tmp/dgram", 10), 110));
	wait_readable(a);
	IS(true, receives(a, "hi", 0));
	IS(0, CALL(N_CONNECT, b, un("/tmp/dgram", 10), 110));
	IS(2, CALL(N_WRITE, b, put("ho", 2), 2));
	wait_readable(a);
	IS(true, receives(a, "ho", 0));
	close_all(&a, 1);
	close_all(&b, 1);
	IS(0, CALL(N_UNLINK, put("/tmp/dgram", 11)));
}

static void test_pairs(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int fds[2];

	for (int i = 0; i < 3; i++) {
		uint32_t at = room(8);

		IS(0, CALL(N_SOCKETPAIR, AF_UNIX, types[i] | SOCK_NONBLOCK, 0, at));
		copy_in(fds, at, sizeof(fds));
		IS(types[i], get_option(fds[0], SOL_SOCKET, SO_TYPE));
		IS(2, send_text(fds[0], "hi", 0));
		IS(true, receives(fds[1], "hi", 0));
		IS(-EAGAIN, CALL(N_READ, fds[1], room(8), 8));
		CALL(N_CLOSE, fds[0]);
		CALL(N_CLOSE, fds[1]);
	}
}

/* ---- messages ---- */

static void test_messages(void)
{
	struct {
		uint32_t base, len;
	} parts[2] = { { put("ab", 2), 2 }, { put("cde", 3), 3 } };
	struct {
		uint32_t name, name_len, iov;
		int32_t iov_len;
		uint32_t control, control_len;
		int32_t flags;
	} m = { 0, 0, put(parts, sizeof(parts)), 2, 0, 0, 0 };
	struct {
		uint32_t len;
		int32_t level, type, fd;
	} rights = { 16, SOL_SOCKET, SCM_RIGHTS, 0 };
	uint32_t at = room(8), message;
	int fds[2];

	CALL(N_SOCKETPAIR, AF_UNIX, SOCK_DGRAM, 0, at);
	copy_in(fds, at, sizeof(fds));
	IS(5, CALL(N_SENDMSG, fds[0], put(&m, sizeof(m)), 0));
	parts[0].base = parts[1].base = room(4);
	parts[1].len = 1;
	m.iov = put(parts, sizeof(parts));
	message = put(&m, sizeof(m));
	IS(3, CALL(N_RECVMSG, fds[1], message, 0));
	copy_in(&m, message, sizeof(m));
	IS(MSG_TRUNC, m.flags);
	m.control = put(&rights, sizeof(rights));
	m.control_len = sizeof(rights);
	IS(-EOPNOTSUPP, CALL(N_SENDMSG, fds[0], put(&m, sizeof(m)), 0));
	m.iov_len = 5000;
	IS(-EMSGSIZE, CALL(N_SENDMSG, fds[0], put(&m, sizeof(m)), 0));
	CALL(N_CLOSE, fds[0]);
	CALL(N_CLOSE, fds[1]);
}

/* Descriptors below and above the floor, after many connections. */
static void test_many(void)
{
	int64_t fd = listen_on(7020, 0), ends[2];
	int high = fcntl(0, F_DUPFD_CLOEXEC, FD_GUEST_MAX), low, after;

	for (int i = 0; i < 2000; i++) {
		connect_pair(fd, 7020, ends);
		close_all(ends, 2);
	}
	low = (int)CALL(N_SOCKET, AF_INET, SOCK_STREAM, 0);
	after = fcntl(0, F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	IS(fd + 1, low);
	IS(high + 1, after);
	close(high);
	close(after);
	CALL(N_CLOSE, low);
	close_all(&fd, 1);
}

int socket_calls_main(void)
{
	fuzz_start_program();
	area = (uint32_t)guest_syscall(9, 0, 131072, 3, 0x22, (uint64_t)-1, 0);
	test_refusals();
	test_listening();
	test_bytes();
	test_shared_numbers();
	test_options();
	test_epoll();
	test_datagrams();
	test_unix_streams();
	test_unix_names();
	test_unix_datagrams();
	test_pairs();
	test_messages();
	test_many();
	return wrong;
}
