/* Calls that make, name and connect sockets. The switch does what would reach the network (network/netwire.h); here
 * are Linux's rules of what may follow on what. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

enum { TYPE_FLAGS = SOCK_CLOEXEC | SOCK_NONBLOCK };

/* ---- socket, socketpair ---- */

static int check_inet(int type, int protocol, int domain)
{
	int icmp = domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

	switch (type) {
	case SOCK_STREAM: return protocol == 0 || protocol == IPPROTO_TCP ? IPPROTO_TCP : -EPROTONOSUPPORT;
	case SOCK_DGRAM:
		if (protocol == icmp)
			return icmp;
		return protocol == 0 || protocol == IPPROTO_UDP ? IPPROTO_UDP : -EPROTONOSUPPORT;
	case SOCK_RAW:
		if (!process_is_root())
			return -EPERM;
		return protocol == icmp ? icmp : -EPROTONOSUPPORT;
	default: return -ESOCKTNOSUPPORT;
	}
}

/* The protocol by its full number, or -errno. */
static int check_kind(int domain, int type, int protocol)
{
	switch (domain) {
	case AF_INET:
	case AF_INET6: return check_inet(type, protocol, domain);
	case AF_UNIX:
		if (protocol && protocol != PF_UNIX)
			return -EPROTONOSUPPORT;
		return type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET ? 0 : -ESOCKTNOSUPPORT;
	case AF_NETLINK:
		if (type != SOCK_RAW && type != SOCK_DGRAM)
			return -ESOCKTNOSUPPORT;
		return protocol == 0 /* NETLINK_ROUTE */ ? 0 : -EPROTONOSUPPORT;
	default: return -EAFNOSUPPORT;
	}
}

/* Both ends are ours: a request is answered by writing into the far one. */
static int open_netlink(struct ksocket *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->far_fd = fd_to_floor(pair[1]);
	if (s->far_fd >= 0)
		fcntl(s->far_fd, F_SETFL, O_NONBLOCK);
	s->is_bound = true;
	s->local.scope_id = (uint32_t)self.vpid;
	return pair[0];
}

static int open_end(struct ksocket *s)
{
	struct net_request req;
	struct net_reply reply;
	int fd, r;

	if (s->domain == AF_NETLINK)
		return open_netlink(s);
	if (socket_is_stream(s))
		return socket_placeholder();
	req = socket_request(s, NET_OPEN);
	r = switch_call(&req, -1, &reply, &fd);
	if (r < 0)
		return r;
	s->id = reply.socket_id;
	return fd < 0 ? -ENFILE : fd_to_lowest(fd);
}

SYS(socket)
{
	int domain = (int)a[0], type = (int)a[1] & ~TYPE_FLAGS, flags = (int)a[1] & TYPE_FLAGS, protocol, fd;
	struct ksocket *s;

	if (self.container->net_fd < 0)
		return -EAFNOSUPPORT;
	protocol = check_kind(domain, type, (int)a[2]);
	if (protocol < 0)
		return protocol;
	s = socket_new(domain, type, protocol);
	if (!s)
		return -ENOMEM;
	fd = open_end(s);
	if (fd < 0) {
		socket_unref(s);
		return fd;
	}
	return socket_install(fd, s, flags);
}

SYS(socketpair)
{
	int domain = (int)a[0], type = (int)a[1] & ~TYPE_FLAGS, flags = (int)a[1] & TYPE_FLAGS, pair[2], fds[2];

	if (domain != AF_UNIX)
		return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
	if (check_kind(domain, type, (int)a[2]) < 0)
		return check_kind(domain, type, (int)a[2]);
	/* The host's datagram pairs can send to anybody: packets in order do as well. */
	if (socketpair(AF_UNIX, (type == SOCK_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		struct ksocket *s = socket_new(domain, type, 0);

		if (!s) {
			close(pair[i]);
			fds[i] = -ENOMEM;
			continue;
		}
		s->is_pair = true;
		s->state = SOCKET_CONNECTED;
		s->peer_cred = (struct ucred){ self.vpid, self.euid, self.egid };
		fds[i] = socket_install(pair[i], s, flags);
	}
	if (fds[0] >= 0 && fds[1] >= 0 && copy_out(a[3], fds, sizeof(fds)) == 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			fdtable_close(fds[i]);
	return fds[0] < 0 ? fds[0] : fds[1] < 0 ? fds[1] : -EFAULT;
}

/* ---- addresses ---- */

static int copy_in_address(const struct ksocket *s, uint64_t addr, uint32_t len, struct net_address *ret)
{
	unsigned char raw[SOCKADDR_MAX];

	if (len > sizeof(raw))
		return -EINVAL;
	if (copy_in(raw, addr, len) < 0)
		return -EFAULT;
	return address_parse(s->domain, raw, len, ret);
}

/* Writes what fits and says how long it is. */
static int copy_out_address(int domain, const struct net_address *a, uint64_t addr, uint64_t len_addr)
{
	unsigned char raw[SOCKADDR_MAX];
	uint32_t have, len = (uint32_t)address_print(domain, a, raw);

	if (copy_in(&have, len_addr, 4) < 0)
		return -EFAULT;
	if ((int32_t)have < 0)
		return -EINVAL;
	if (have > len)
		have = len;
	if (have && copy_out(addr, raw, have) < 0)
		return -EFAULT;
	return copy_out(len_addr, &len, 4);
}

/* ---- bind, listen ---- */

static int bind_at_switch(int fd, struct ksocket *s, const struct net_address *a, int file_fd)
{
	struct net_request req = socket_request(s, NET_BIND);
	struct net_reply reply;
	int new_fd = -1, r;

	req.local = *a;
	r = switch_call(&req, file_fd, &reply, &new_fd);
	if (r < 0)
		return r;
	s->id = reply.socket_id ? reply.socket_id : s->id;
	s->local = *a;
	if (s->domain != AF_UNIX || a->path_len == 0) {
		s->local = reply.local;
		s->local.family = (uint16_t)s->domain;
	}
	s->is_bound = true;
	if (!socket_is_stream(s)) {
		if (new_fd >= 0)
			close(new_fd);
		return 0;
	}
	if (new_fd < 0)
		return -ENFILE;
	s->state = SOCKET_BOUND;
	return socket_replace(fd, s, new_fd);
}

SYS(bind)
{
	struct net_address address;
	struct ksocket *s;
	int fd = (int)a[0], r = socket_get(fd, &s), file_fd = -1;

	if (r == 0 && s->domain == AF_NETLINK)
		return 0;
	if (r == 0)
		r = copy_in_address(s, a[1], (uint32_t)a[2], &address);
	if (r < 0)
		return r;
	if (s->is_bound || s->is_pair || s->state != SOCKET_NEW)
		return -EINVAL;
	if (s->domain == AF_UNIX) {
		file_fd = unix_make(&address);
		if (file_fd < -1)
			return file_fd;
	}
	r = bind_at_switch(fd, s, &address, file_fd);
	if (file_fd >= 0) {
		close(file_fd);
		if (r < 0)
			unix_unmake(&address);
	}
	return r;
}

SYS(listen)
{
	struct net_request req;
	struct net_reply reply;
	struct ksocket *s;
	int fd = (int)a[0], r = socket_get(fd, &s), new_fd = -1;

	if (r < 0)
		return r;
	if (!socket_is_stream(s) || s->domain == AF_NETLINK)
		return -EOPNOTSUPP;
	if (s->is_pair || s->state >= SOCKET_CONNECTING || (s->domain == AF_UNIX && s->state == SOCKET_NEW))
		return -EINVAL;
	req = socket_request(s, NET_LISTEN);
	req.value = (int32_t)a[1];
	r = switch_call(&req, -1, &reply, &new_fd);
	if (r < 0)
		return r;
	if (s->state == SOCKET_NEW) {
		s->id = reply.socket_id;
		s->local = reply.local;
		s->local.family = (uint16_t)s->domain;
		s->is_bound = true;
		if (new_fd < 0)
			return -ENFILE;
		r = socket_replace(fd, s, new_fd);
	} else if (new_fd >= 0) {
		close(new_fd);
	}
	s->state = SOCKET_LISTENING;
	return r;
}

/* ---- accept ---- */

static struct ksocket *accepted(const struct ksocket *listener, const struct net_arrival *from, int fd)
{
	struct ksocket *s = socket_new(listener->domain, listener->type, listener->protocol);

	if (!s)
		return NULL;
	s->state = SOCKET_CONNECTED;
	s->is_bound = true;
	s->epoch = from->epoch;
	s->interface = from->interface;
	s->local = listener->domain == AF_UNIX ? listener->local : from->local;
	s->peer = from->peer;
	s->peer_cred = (struct ucred){ from->vpid, from->uid, from->gid };
	/* As Linux hands them on. */
	s->linger = listener->linger;
	s->flags = listener->flags;
	memcpy(s->timeout, listener->timeout, sizeof(s->timeout));
	memcpy(s->options, listener->options, sizeof(s->options));
	socket_know_end(fd, s);
	options_apply(fd, s);
	return s;
}

/* One arrival: its descriptor (close-on-exec), or -errno. */
static int receive_arrival(int fd, struct ksocket *s, struct net_arrival *ret)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	long n = socket_block(fd, s, SYS_recvmsg, fd, (long)&msg, MSG_CMSG_CLOEXEC, 0, 0, 0);
	int got = -1;

	if (n < 0)
		return (int)n;
	if (CMSG_FIRSTHDR(&msg) && control.head.cmsg_type == SCM_RIGHTS && control.head.cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(&control.head), sizeof(got));
	if (got >= 0 && n == (long)sizeof(*ret))
		return got;
	if (got >= 0)
		close(got);
	return n == 0 ? -ENETDOWN : (msg.msg_flags & MSG_CTRUNC) ? -EMFILE : -ECONNABORTED;
}

static int64_t do_accept(int fd, uint64_t addr, uint64_t len_addr, int flags)
{
	struct net_arrival from;
	struct ksocket *s, *t;
	int r = socket_get(fd, &s), new_fd;

	if (r < 0)
		return r;
	if (flags & ~TYPE_FLAGS)
		return -EINVAL;
	if (!socket_is_stream(s))
		return -EOPNOTSUPP;
	if (s->state != SOCKET_LISTENING)
		return -EINVAL;
	new_fd = receive_arrival(fd, s, &from);
	if (new_fd < 0)
		return new_fd;
	t = accepted(s, &from, new_fd);
	if (!t) {
		close(new_fd);
		return -ENOMEM;
	}
	new_fd = socket_install(new_fd, t, flags);
	if (new_fd < 0 || !addr)
		return new_fd;
	r = copy_out_address(t->domain, &t->peer, addr, len_addr);
	if (r == 0)
		return new_fd;
	fdtable_close(new_fd);
	return r;
}

SYS(accept)
{
	return do_accept((int)a[0], a[1] & UINT32_MAX, a[2], 0);
}
SYS(accept4)
{
	return do_accept((int)a[0], a[1] & UINT32_MAX, a[2], (int)a[3]);
}

/* ---- connect ---- */

static int connect_datagram(struct ksocket *s, const struct net_address *peer, int file_fd)
{
	struct net_request req = socket_request(s, NET_CONNECT);
	struct net_reply reply;
	int r;

	req.peer = *peer;
	r = switch_call(&req, file_fd, &reply, NULL);
	if (r < 0)
		return r;
	s->is_peer_set = peer->family != 0;
	s->peer = *peer;
	if (s->domain != AF_UNIX) {
		s->local = reply.local;
		s->local.family = (uint16_t)s->domain;
		s->is_bound = s->is_bound || reply.local.port;
	}
	return 0;
}

/* TCP's way back: the socket is as new. */
static int disconnect(int fd, struct ksocket *s)
{
	int new_fd;

	if (s->state == SOCKET_NEW || s->domain == AF_UNIX)
		return s->domain == AF_UNIX ? -EINVAL : 0;
	if (s->state != SOCKET_CONNECTED && s->state != SOCKET_CONNECTING)
		return -EINVAL;
	new_fd = socket_placeholder();
	if (new_fd < 0)
		return new_fd;
	s->state = SOCKET_NEW;
	s->is_host_tcp = s->is_bound = s->is_shut[0] = s->is_shut[1] = false;
	s->id = 0;
	return socket_replace(fd, s, new_fd);
}

static void wait_readable(int fd, struct timespec *timeout)
{
	struct pollfd p = { fd, POLLIN, 0 };

	host_block(SYS_ppoll, (long)&p, 1, (long)timeout, 0, 8, 0);
}

static int connect_stream(int fd, struct ksocket *s, const struct net_address *peer, int file_fd)
{
	bool is_waiting = !socket_is_nonblocking(fd);
	struct net_request req = socket_request(s, NET_CONNECT);
	struct timespec while_ns = { 0, 20000000 };
	int reply_fd, r;

	req.peer = *peer;
	if (s->is_bound)
		req.local = s->local;
	reply_fd = switch_ask(&req, file_fd);
	if (reply_fd < 0)
		return reply_fd;
	s->pending_fd = fd_to_floor(reply_fd);
	if (s->pending_fd < 0)
		return -EMFILE;
	s->peer = *peer;
	s->state = SOCKET_CONNECTING;
	/* The switch answers at once, but for a backlog that is full. */
	if (!is_waiting)
		wait_readable(s->pending_fd, &while_ns);
	r = socket_settle(fd, s, is_waiting);
	if (r == -EINPROGRESS && s->domain == AF_UNIX && s->pending_fd >= 0) {
		close(s->pending_fd);
		s->pending_fd = -1;
		s->state = SOCKET_NEW;
		return -EAGAIN;
	}
	return r;
}

static int connect_to(int fd, struct ksocket *s, const struct net_address *peer)
{
	int file_fd = -1, r;

	if (s->is_pair || s->state == SOCKET_LISTENING)
		return s->is_pair ? -EISCONN : socket_is_stream(s) && s->domain != AF_UNIX ? -EISCONN : -EINVAL;
	if (socket_is_stream(s) && s->state == SOCKET_CONNECTED)
		return -EISCONN;
	if (s->state == SOCKET_CONNECTING) {
		r = socket_settle(fd, s, !socket_is_nonblocking(fd));
		return r == -EINPROGRESS && socket_is_nonblocking(fd) ? -EALREADY : r;
	}
	if (s->domain == AF_UNIX) {
		file_fd = unix_open(peer);
		if (file_fd < -1)
			return file_fd;
	}
	r = socket_is_stream(s) ? connect_stream(fd, s, peer, file_fd) : connect_datagram(s, peer, file_fd);
	if (file_fd >= 0)
		close(file_fd);
	return r;
}

SYS(connect)
{
	struct net_address peer;
	struct ksocket *s;
	int fd = (int)a[0], r = socket_get(fd, &s);
	uint16_t family;

	if (r < 0)
		return r;
	if (s->domain == AF_NETLINK)
		return 0;
	if ((uint32_t)a[2] < 2)
		return -EINVAL;
	if (copy_in(&family, a[1], 2) < 0)
		return -EFAULT;
	if (family == AF_UNSPEC) {
		memset(&peer, 0, sizeof(peer));
		return socket_is_stream(s) ? disconnect(fd, s) : connect_datagram(s, &peer, -1);
	}
	r = copy_in_address(s, a[1], (uint32_t)a[2], &peer);
	return r < 0 ? r : connect_to(fd, s, &peer);
}

/* ---- names, shutdown ---- */

/* A datagram socket may have been bound by its first packet. */
static void refresh_name(struct ksocket *s)
{
	struct net_request req;
	struct net_reply reply;

	if (socket_is_stream(s) || !s->id || s->domain == AF_UNIX || s->is_bound)
		return;
	req = socket_request(s, NET_NAME);
	if (switch_call(&req, -1, &reply, NULL) < 0)
		return;
	s->local = reply.local;
	s->local.family = (uint16_t)s->domain;
}

SYS(getsockname)
{
	struct ksocket *s;
	int r = socket_get((int)a[0], &s);

	if (r < 0)
		return r;
	refresh_name(s);
	return copy_out_address(s->domain, &s->local, a[1], a[2]);
}

SYS(getpeername)
{
	struct ksocket *s;
	int r = socket_get((int)a[0], &s);

	if (r < 0)
		return r;
	if (s->state == SOCKET_CONNECTING)
		socket_settle((int)a[0], s, false);
	if (s->state != SOCKET_CONNECTED && !s->is_peer_set)
		return -ENOTCONN;
	return copy_out_address(s->domain, &s->peer, a[1], a[2]);
}

SYS(shutdown)
{
	struct ksocket *s;
	int fd = (int)a[0], how = (int)a[1], r = socket_get(fd, &s);

	if (r < 0)
		return r;
	if (how < SHUT_RD || how > SHUT_RDWR)
		return -EINVAL;
	if (s->state == SOCKET_CONNECTING)
		socket_settle(fd, s, false);
	if (s->state == SOCKET_LISTENING && how != SHUT_WR)
		return shutdown(fd, SHUT_RD) < 0 ? -errno : 0;
	if (s->state != SOCKET_CONNECTED && !s->is_peer_set)
		return -ENOTCONN;
	s->is_shut[0] = s->is_shut[0] || how != SHUT_WR;
	s->is_shut[1] = s->is_shut[1] || how != SHUT_RD;
	if (socket_is_channel(s)) /* the switch would take it for the end of the socket */
		return 0;
	return shutdown(fd, how) < 0 ? -errno : 0;
}
