/* Sockets: what they are, the descriptors behind them, and the questions that go to the switch. */
#include "sandbox/kernel/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROWS_BYTES_MAX = 16 << 20 };

int socket_get(int fd, struct ksocket **ret)
{
	struct kfile *f = fdtable_get(fd);

	if (!f || f->kind == KFILE_PATH)
		return -EBADF;
	if (f->kind != KFILE_SOCKET)
		return -ENOTSOCK;
	*ret = f->socket;
	return 0;
}

static uint32_t epoch_now(void)
{
	return self.container->net_page ? self.container->net_page->epoch : 0;
}

struct ksocket *socket_new(int domain, int type, int protocol)
{
	struct ksocket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->refs = 1;
	s->domain = domain;
	s->type = type;
	s->protocol = protocol;
	s->pending_fd = s->far_fd = -1;
	s->epoch = epoch_now();
	options_init(s);
	return s;
}

struct ksocket *socket_ref(struct ksocket *s)
{
	s->refs++;
	return s;
}

void socket_unref(struct ksocket *s)
{
	if (!s || --s->refs > 0)
		return;
	if (s->pending_fd >= 0)
		close(s->pending_fd);
	if (s->far_fd >= 0)
		close(s->far_fd);
	free(s);
}

bool socket_is_stream(const struct ksocket *s)
{
	return s->type == SOCK_STREAM || (s->domain == AF_UNIX && s->type == SOCK_SEQPACKET);
}

bool socket_is_channel(const struct ksocket *s)
{
	if (s->is_pair || s->domain == AF_NETLINK)
		return false;
	return socket_is_stream(s) ? s->state == SOCKET_BOUND || s->state == SOCKET_LISTENING : true;
}

bool socket_is_nonblocking(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/* ---- descriptors ---- */

/* What Linux says of a stream socket that is not connected: nothing to read but the end, nobody to write to. */
int socket_placeholder(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	close(pair[1]);
	return pair[0];
}

int socket_install(int take_fd, struct ksocket *take_s, int flags)
{
	struct kfile f = { .kind = KFILE_SOCKET, .is_cloexec = flags & SOCK_CLOEXEC, .flags = O_RDWR, .socket = take_s };

	if (!(flags & SOCK_CLOEXEC) && fcntl(take_fd, F_SETFD, 0) < 0)
		return -errno;
	fcntl(take_fd, F_SETFL, (flags & SOCK_NONBLOCK) ? O_NONBLOCK : 0);
	return fdtable_install(take_fd, &f);
}

int socket_replace(int fd, struct ksocket *s, int take_fd)
{
	fcntl(take_fd, F_SETFL, socket_is_nonblocking(fd) ? O_NONBLOCK : 0);
	options_apply(take_fd, s);
	return fdtable_replace(s, take_fd);
}

/* ---- the switch ---- */

struct net_request socket_request(const struct ksocket *s, enum net_op op)
{
	struct net_request req;

	memset(&req, 0, sizeof(req)); /* padding too: it goes to another process */
	req.op = op;
	req.domain = (uint32_t)s->domain;
	req.type = (uint32_t)s->type;
	req.protocol = (uint32_t)s->protocol;
	req.socket_id = s->id;
	req.flags = s->flags;
	req.vpid = self.vpid;
	req.uid = self.euid;
	req.gid = self.egid;
	return req;
}

static long send_request(const struct net_request *req, int reply_fd, int file_fd)
{
	int fds[2] = { reply_fd, file_fd };
	size_t size = sizeof(int) * (file_fd >= 0 ? 2 : 1);
	struct iovec iov = { (void *)req, sizeof(*req) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(size) };

	control.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(size), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.head), fds, size);
	return host_block(SYS_sendmsg, self.container->net_fd, (long)&msg, MSG_NOSIGNAL, 0, 0, 0);
}

int switch_ask(const struct net_request *req, int file_fd)
{
	int pair[2];
	long n;

	if (self.container->net_fd < 0)
		return -EAFNOSUPPORT;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	n = send_request(req, pair[1], file_fd);
	close(pair[1]);
	if (n == (long)sizeof(*req))
		return pair[0];
	close(pair[0]);
	return n == -EINTR ? -EINTR : n == -ETOOMANYREFS ? -ENOBUFS : -ENETDOWN;
}

static int take_fd(struct msghdr *msg)
{
	const struct cmsghdr *h = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	return fd;
}

int switch_answer(int reply_fd, bool is_waiting, struct net_reply *ret, int *ret_fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	long n = is_waiting ? host_block(SYS_recvmsg, reply_fd, (long)&msg, MSG_CMSG_CLOEXEC, 0, 0, 0) :
			      host_call(SYS_recvmsg, reply_fd, (long)&msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0, 0, 0);
	int fd = n < 0 ? -1 : take_fd(&msg), r;

	if (n < 0)
		return (int)n;
	r = n == (long)sizeof(*ret) && ret->result > -4096 && ret->result <= 0 ? ret->result : -ENFILE;
	if ((r < 0 || !ret_fd) && fd >= 0) {
		close(fd);
		fd = -1;
	}
	if (ret_fd)
		*ret_fd = fd;
	return r;
}

int switch_call(const struct net_request *req, int file_fd, struct net_reply *ret, int *ret_fd)
{
	int reply_fd = switch_ask(req, file_fd), r;

	if (reply_fd < 0)
		return reply_fd;
	do
		r = switch_answer(reply_fd, true, ret, ret_fd);
	while (r == -EINTR && signal_take_wake());
	close(reply_fd);
	return r;
}

int switch_rows(enum net_op op, size_t row_size, void **ret, size_t *ret_n)
{
	const struct ksocket none = { .domain = AF_INET };
	struct net_request req = socket_request(&none, op);
	struct net_reply reply;
	int fd, r = switch_call(&req, -1, &reply, &fd);
	size_t bytes;

	if (r < 0)
		return r;
	if (fd < 0)
		return -ENFILE;
	bytes = reply.count * row_size;
	*ret = bytes <= ROWS_BYTES_MAX ? calloc(reply.count + 1, row_size) : NULL;
	r = *ret ? 0 : -ENOMEM;
	if (r == 0 && pread(fd, *ret, bytes, 0) != (ssize_t)bytes) {
		free(*ret);
		r = -EIO;
	}
	*ret_n = reply.count;
	close(fd);
	return r;
}

/* ---- connections ---- */

void socket_look(int fd, struct ksocket *s)
{
	struct net_request req;
	struct net_reply reply;
	uint32_t now = epoch_now();
	int r;

	if (now == s->epoch || s->domain == AF_UNIX || s->is_pair || s->type != SOCK_STREAM || s->state < SOCKET_CONNECTING)
		return;
	req = socket_request(s, NET_CHECK);
	req.local = s->local;
	req.peer = s->peer;
	r = switch_call(&req, -1, &reply, NULL);
	if (r == -EINTR)
		return;
	s->epoch = now;
	if (r == 0)
		return;
	shutdown(fd, SHUT_RDWR);
	s->error = -r;
}

long socket_block(int fd, struct ksocket *s, long n, long a, long b, long c, long d, long e, long f)
{
	long r;

	do {
		socket_look(fd, s);
		r = socket_take_error(s);
		if (r == 0)
			r = host_block(n, a, b, c, d, e, f);
	} while (r == -EINTR && signal_take_wake());
	return r;
}

int socket_take_error(struct ksocket *s)
{
	int error = s->error;

	s->error = 0;
	return -error;
}

int socket_host_error(int fd, struct ksocket *s)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (s->error)
		return socket_take_error(s);
	if (!s->is_host_tcp || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return 0;
	return -error;
}

static int wait_writable(int fd, const struct ksocket *s, bool is_waiting)
{
	const struct timeval *limit = &s->timeout[1];
	struct timespec ts = { limit->tv_sec, limit->tv_usec * 1000 }, *timeout = &ts;
	struct pollfd p = { fd, POLLOUT, 0 };
	long r;

	if (!is_waiting)
		ts = (struct timespec){ 0 };
	else if (!ts.tv_sec && !ts.tv_nsec)
		timeout = NULL;
	do
		r = host_block(SYS_ppoll, (long)&p, 1, (long)timeout, 0, 8, 0);
	while (r == -EINTR && signal_take_wake());
	return r < 0 ? (int)r : r == 0 ? -EINPROGRESS : 0;
}

void socket_know_end(int fd, struct ksocket *s)
{
	socklen_t len = sizeof(int);
	int domain = AF_UNIX;

	if (s->domain != AF_UNIX)
		getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	s->is_host_tcp = domain != AF_UNIX;
}

/* The switch's answer to a connect: the descriptor takes its place. */
static int take_connection(int fd, struct ksocket *s, int r, const struct net_reply *reply, int new_fd)
{
	if (r < 0 || new_fd < 0) {
		s->state = SOCKET_NEW;
		return r < 0 ? r : -ENFILE;
	}
	s->local = reply->local;
	s->peer = reply->peer;
	s->local.family = s->peer.family = (uint16_t)s->domain;
	s->id = reply->socket_id ? reply->socket_id : s->id;
	s->epoch = reply->epoch;
	s->interface = reply->interface;
	s->peer_cred = (struct ucred){ reply->vpid, reply->uid, reply->gid };
	s->is_bound = true;
	socket_know_end(new_fd, s);
	s->state = reply->is_in_progress ? SOCKET_CONNECTING : SOCKET_CONNECTED;
	return socket_replace(fd, s, new_fd);
}

int socket_settle(int fd, struct ksocket *s, bool is_waiting)
{
	struct net_reply reply;
	int new_fd = -1, r;

	if (s->state != SOCKET_CONNECTING)
		return 0;
	if (s->pending_fd >= 0) {
		do
			r = switch_answer(s->pending_fd, is_waiting, &reply, &new_fd);
		while (r == -EINTR && signal_take_wake());
		if (r == -EINTR || r == -EAGAIN)
			return r == -EAGAIN ? -EINPROGRESS : r;
		close(s->pending_fd);
		s->pending_fd = -1;
		r = take_connection(fd, s, r, &reply, new_fd);
		if (r < 0 || s->state == SOCKET_CONNECTED)
			return r;
	}
	r = wait_writable(fd, s, is_waiting);
	if (r < 0)
		return r;
	r = socket_host_error(fd, s);
	s->state = r < 0 ? SOCKET_NEW : SOCKET_CONNECTED;
	return r;
}

void socket_poll_events(const struct ksocket *s, short *events)
{
	if (s->state == SOCKET_LISTENING)
		*events &= (short)~(POLLOUT | POLLWRNORM);
}
