/* Bytes and packets. On a connected end they are the host's own calls; on a channel each packet has a struct
 * net_datagram in front, which the guest never sees. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandbox/kernel/module.h"
#include "sandbox/kernel/socket.h"

enum {
	SEND_FLAGS = MSG_OOB | MSG_DONTROUTE | MSG_DONTWAIT | MSG_EOR | MSG_CONFIRM | MSG_NOSIGNAL | MSG_MORE,
	RECEIVE_FLAGS = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL | MSG_CMSG_CLOEXEC,
	NETLINK_REQUEST_MAX = 4096,
	SEGMENT_BYTES = 1448, /* of TCP in a packet of 1500: there are none here, but they are counted */
};

void socket_count(const struct ksocket *s, bool is_sent, int64_t n)
{
	struct net_counters *counters = self.container->net_counters;
	uint64_t packets = ((uint64_t)n + SEGMENT_BYTES - 1) / SEGMENT_BYTES;
	uint32_t i = s->interface % NET_COUNTERS;

	if (n <= 0 || !s->interface || !counters)
		return;
	atomic_fetch_add_explicit(is_sent ? &counters->of[i].tx_bytes : &counters->of[i].rx_bytes, (uint64_t)n,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(is_sent ? &counters->of[i].tx_packets : &counters->of[i].rx_packets, packets,
				  memory_order_relaxed);
}

/* What is in the way of reading or writing; 0: the host's call tells. */
static int check_connected(int fd, struct ksocket *s, int flags)
{
	int r;

	switch (s->state) {
	case SOCKET_CONNECTING:
		r = socket_settle(fd, s, !(flags & MSG_DONTWAIT) && !socket_is_nonblocking(fd));
		return r == -EINPROGRESS ? -EAGAIN : r;
	case SOCKET_BOUND:
	case SOCKET_LISTENING: return s->domain == AF_UNIX ? -EINVAL : -ENOTCONN;
	default: return 0;
	}
}

/* ---- sending ---- */

static int check_destination(const struct ksocket *s, const struct net_address *to)
{
	static const uint8_t everybody[4] = { 255, 255, 255, 255 };

	if (!to)
		return s->is_peer_set ? 0 : s->domain == AF_UNIX ? -ENOTCONN : -EDESTADDRREQ;
	if (s->domain != AF_UNIX && address_is_v4(to) && memcmp(to->ip + 12, everybody, 4) == 0 && !(s->flags & NET_BROADCAST))
		return -EACCES;
	return 0;
}

static int64_t send_datagram(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags, const struct net_address *to)
{
	struct net_datagram head;
	struct iovec v[IOV_MAX];
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = v, .msg_iovlen = niov + 1 };
	size_t len = 0;
	int file_fd = -1;
	long n = s->is_shut[SHUT_WR] ? -EPIPE : check_destination(s, to);

	if (n < 0 || niov >= IOV_MAX)
		return n < 0 ? n : -EMSGSIZE;
	memset(&head, 0, sizeof(head));
	head.address = to ? *to : s->peer;
	v[0] = (struct iovec){ &head, sizeof(head) };
	for (size_t i = 0; i < niov; i++) {
		v[i + 1] = iov[i];
		len += iov[i].iov_len;
	}
	if (len > NET_DATAGRAM_MAX)
		return -EMSGSIZE;
	if (s->domain == AF_UNIX) {
		file_fd = unix_open(&head.address);
		if (file_fd < -1)
			return file_fd;
	}
	if (file_fd >= 0) {
		control.head = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), &file_fd, sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	n = socket_block(fd, s, SYS_sendmsg, fd, (long)&msg, flags & SEND_FLAGS, 0, 0, 0);
	if (file_fd >= 0)
		close(file_fd);
	return n < 0 ? n : n - (long)sizeof(head);
}

static int64_t send_netlink(struct ksocket *s, const struct iovec *iov, size_t niov)
{
	_Alignas(8) unsigned char request[NETLINK_REQUEST_MAX];
	size_t len = 0;

	for (size_t i = 0; i < niov; i++) {
		if (iov[i].iov_len > sizeof(request) - len)
			return -EMSGSIZE;
		if (guest_copy(request + len, iov[i].iov_base, iov[i].iov_len) < 0)
			return -EFAULT;
		len += iov[i].iov_len;
	}
	return netlink_send(s, request, len);
}

int64_t socket_send(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags, const struct net_address *to)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = niov };
	long n;
	int r;

	if (flags & MSG_FASTOPEN)
		return -EOPNOTSUPP;
	if (s->domain == AF_NETLINK)
		return send_netlink(s, iov, niov);
	if (!s->is_pair && !socket_is_stream(s))
		return send_datagram(fd, s, iov, niov, flags, to);
	r = check_connected(fd, s, flags);
	if (r == 0 && to && s->domain == AF_UNIX)
		r = s->state == SOCKET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (r == 0 && s->state == SOCKET_NEW && s->domain == AF_UNIX)
		r = -ENOTCONN;
	if (r < 0)
		return r;
	n = socket_block(fd, s, SYS_sendmsg, fd, (long)&msg, flags & SEND_FLAGS, 0, 0, 0);
	socket_count(s, true, n);
	return n;
}

/* ---- receiving ---- */

static int64_t receive_datagram(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags,
				struct net_address *ret_from, int *ret_flags)
{
	struct net_datagram head;
	struct iovec v[IOV_MAX];
	struct msghdr msg = { .msg_iov = v, .msg_iovlen = niov + 1 };
	long n;

	if (s->is_shut[SHUT_RD])
		return 0;
	if (niov >= IOV_MAX)
		return -EMSGSIZE;
	v[0] = (struct iovec){ &head, sizeof(head) };
	memcpy(v + 1, iov, niov * sizeof(*iov));
	n = socket_block(fd, s, SYS_recvmsg, fd, (long)&msg, flags & RECEIVE_FLAGS & ~(MSG_OOB | MSG_WAITALL), 0, 0, 0);
	if (n < 0)
		return n;
	if (n < (long)sizeof(head)) /* the channel's end: nobody is there any more */
		return -ENETDOWN;
	if (head.error)
		return head.error < 0 && head.error > -4096 ? head.error : -EIO;
	*ret_from = head.address;
	ret_from->family = (uint16_t)s->domain;
	*ret_flags = msg.msg_flags & MSG_TRUNC;
	return n - (long)sizeof(head);
}

static int64_t receive_bytes(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags, int *ret_flags)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = niov };
	int r = check_connected(fd, s, flags);
	long n;

	if (r == 0 && s->state == SOCKET_NEW && s->domain != AF_NETLINK)
		r = s->domain == AF_UNIX && s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	if (r < 0)
		return r;
	n = socket_block(fd, s, SYS_recvmsg, fd, (long)&msg, flags & RECEIVE_FLAGS, 0, 0, 0);
	*ret_flags = msg.msg_flags & (MSG_TRUNC | MSG_OOB | MSG_EOR);
	if (!(flags & MSG_PEEK))
		socket_count(s, false, n);
	return n;
}

int64_t socket_receive(int fd, struct ksocket *s, struct iovec *iov, size_t niov, int flags,
		       struct net_address *ret_from, int *ret_flags)
{
	memset(ret_from, 0, sizeof(*ret_from));
	*ret_flags = 0;
	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;
	if (s->domain == AF_NETLINK)
		ret_from->family = AF_NETLINK;
	if (s->is_pair || s->domain == AF_NETLINK || socket_is_stream(s))
		return receive_bytes(fd, s, iov, niov, flags, ret_flags);
	return receive_datagram(fd, s, iov, niov, flags, ret_from, ret_flags);
}

/* ---- read and write ---- */

int64_t socket_transfer(int fd, bool is_write, struct iovec *iov, size_t niov)
{
	struct ksocket *s;
	struct net_address from;
	int r = socket_get(fd, &s), flags;
	long n;

	if (r < 0)
		return r;
	if (s->state != SOCKET_CONNECTED)
		return is_write ? socket_send(fd, s, iov, niov, 0, NULL) : socket_receive(fd, s, iov, niov, 0, &from, &flags);
	if (niov == 1)
		n = socket_block(fd, s, is_write ? SYS_write : SYS_read, fd, (long)iov->iov_base, (long)iov->iov_len, 0, 0, 0);
	else
		n = socket_block(fd, s, is_write ? SYS_writev : SYS_readv, fd, (long)iov, (long)niov, 0, 0, 0);
	socket_count(s, is_write, n);
	return n;
}

/* Of packets the first one's length, as Linux has it. */
int socket_readable_bytes(int fd, struct ksocket *s)
{
	struct net_datagram head;
	struct iovec iov = { &head, sizeof(head) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	long n = host_call(SYS_recvmsg, fd, (long)&msg, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, 0, 0, 0);

	(void)s;
	return n < (long)sizeof(head) || head.error ? 0 : (int)(n - (long)sizeof(head));
}
