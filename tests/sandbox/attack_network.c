/* The network as a worker that is taken over would use it: what the second wall must refuse of sockets, and what the
 * daemon's switch must stand. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"
#include "tests/sandbox/attacks.h"

static uint64_t seed = 88172645463325252u;

static uint32_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 16);
}

/* A connection within the container, as any guest may have one: its two ends. */
static bool connect_to_self(int ends[2])
{
	const struct ksocket tcp = { .domain = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP };
	struct net_request req = socket_request(&tcp, NET_LISTEN);
	struct net_reply reply;
	struct net_arrival from;
	struct iovec iov = { &from, sizeof(from) };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	int channel;

	if (switch_call(&req, -1, &reply, &channel) < 0)
		return false;
	req = socket_request(&tcp, NET_CONNECT);
	req.peer = reply.local;
	req.peer.family = AF_INET;
	memset(req.peer.ip, 0, 16);
	memcpy(req.peer.ip + 10, (const uint8_t[]){ 255, 255, 127, 0, 0, 1 }, 6);
	if (switch_call(&req, -1, &reply, &ends[0]) < 0 || recvmsg(channel, &msg, 0) != (ssize_t)sizeof(from))
		return false;
	memcpy(&ends[1], CMSG_DATA(&control.head), sizeof(int));
	return true;
}

void attack_connections(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	char text[] = "x";
	struct iovec iov = { text, 1 };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr several = { .msg_hdr = msg };
	struct sock_filter code = { 0x06, 0, 0, 0 };
	struct sock_fprog program = { 1, &code };
	int ends[2], on = 1;
	unsigned char out[64];
	socklen_t len = sizeof(out);

	if (!connect_to_self(ends)) {
		broke("a connection", "cannot be tried");
		return;
	}
	HELD(connect(ends[0], (struct sockaddr *)&to, sizeof(to)));
	HELD(connect(ends[0], &nowhere, sizeof(nowhere)));
	HELD(bind(ends[0], (struct sockaddr *)&to, sizeof(to)));
	HELD(listen(ends[0], 1));
	HELD(sendmsg(ends[0], &msg, MSG_FASTOPEN | MSG_NOSIGNAL));
	HELD(syscall(SYS_sendto, ends[0], text, 1, MSG_FASTOPEN | MSG_NOSIGNAL, &to, sizeof(to)));
	HELD(syscall(SYS_sendto, ends[0], text, 1, MSG_NOSIGNAL, NULL, 0));
	HELD(syscall(SYS_sendmmsg, ends[0], &several, 1, MSG_NOSIGNAL));
	HELD(setsockopt(ends[0], IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */, &on, sizeof(on)));
	HELD(setsockopt(ends[0], IPPROTO_TCP, 23 /* TCP_FASTOPEN */, &on, sizeof(on)));
	HELD(setsockopt(ends[0], IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 3));
	HELD(setsockopt(ends[0], IPPROTO_TCP, 19 /* TCP_REPAIR */, &on, sizeof(on)));
	HELD(setsockopt(ends[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
	HELD(setsockopt(ends[0], SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	HELD(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	HELD(setsockopt(ends[0], SOL_SOCKET, SO_MARK, &on, sizeof(on)));
	HELD(getsockopt(self.container->net_fd, SOL_SOCKET, SO_PEERCRED, out, &len));
	HELD(getsockopt(self.container->net_fd, SOL_SOCKET, 77 /* SO_PEERPIDFD */, out, &len));
	HELD(getsockname(ends[0], (struct sockaddr *)out, &len));
	HELD(accept(ends[0], NULL, NULL));
	HELD(syscall(SYS_recvmmsg, ends[0], &several, 1, MSG_DONTWAIT, NULL));
}

/* ---- requests that are none ---- */

static void send_packet(int to, const void *data, size_t len, const int *fds, size_t nfds)
{
	struct iovec iov = { (void *)data, len };
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.head = (struct cmsghdr){ CMSG_LEN(nfds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.head), fds, nfds * sizeof(int));
	}
	(void)!sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void fill_random(void *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)p)[i] = (unsigned char)next_random();
}

static void make_request(struct net_request *req)
{
	static const uint32_t domains[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, 0, UINT32_MAX };
	static const uint32_t protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 255 };

	fill_random(req, sizeof(*req));
	if (next_random() % 8 == 0)
		return;
	req->op = next_random() % 14;
	req->domain = domains[next_random() % 6];
	req->type = next_random() % 7;
	req->protocol = protocols[next_random() % 6];
	req->socket_id = next_random() % 3 ? next_random() % 64 : req->socket_id;
	req->local.family = next_random() % 4 ? (uint16_t)req->domain : 0;
	req->peer.family = next_random() % 4 ? (uint16_t)req->domain : 0;
	if (next_random() % 2)
		memset(req->local.ip, 0, 16);
	if (next_random() % 2)
		memcpy(req->peer.ip, (const uint8_t[16]){ [10] = 255, 255, 127, 0, 0, 1 }, 16);
}

static void send_odd_requests(void)
{
	struct net_request req;
	int pair[2];

	for (int i = 0; i < 20000; i++) {
		int fds[8] = { 0, self.container->null_fd, 1, 0, 0, 0, 0, 0 };
		size_t len = next_random() % 16 ? sizeof(req) : next_random() % sizeof(req);

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
			broke("socketpair", strerror(errno));
			return;
		}
		fds[0] = pair[1];
		make_request(&req);
		send_packet(self.container->net_fd, &req, len, fds,
			    next_random() % 8 ? 1 + next_random() % 2 : next_random() % 8);
		close(pair[0]);
		close(pair[1]);
	}
}

/* What is said on a channel: heads that are none, ports and paths of nobody, descriptors. */
static void send_odd_datagrams(void)
{
	const struct ksocket udp = { .domain = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_UDP };
	struct net_request req = socket_request(&udp, NET_OPEN);
	struct {
		struct net_datagram head;
		char bytes[256];
	} packet;
	struct net_reply reply;
	int channel;

	if (switch_call(&req, -1, &reply, &channel) < 0) {
		broke("a datagram socket", "cannot be had");
		return;
	}
	for (int i = 0; i < 5000; i++) {
		int fds[2] = { self.container->null_fd, 1 };

		fill_random(&packet, sizeof(packet));
		packet.head.address.family = (uint16_t)(next_random() % 12);
		send_packet(channel, &packet, next_random() % sizeof(packet), fds, next_random() % 3);
	}
	close(channel);
}

/* Nothing that came along may be kept. */
static void look_for_kept_descriptors(void)
{
	struct net_request req = { .op = 99 };
	int reply[2], extra[2], fds[2];
	struct pollfd end = { .events = POLLIN };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reply) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, extra) < 0) {
		broke("socketpair", strerror(errno));
		return;
	}
	fds[0] = reply[1];
	fds[1] = extra[1];
	send_packet(self.container->net_fd, &req, sizeof(req), fds, 2);
	close(reply[1]);
	close(extra[1]);
	end.fd = extra[0];
	if (poll(&end, 1, 3000) != 1)
		broke("a descriptor", "is kept by the switch");
}

void attack_switch(void)
{
	struct net_interface *rows;
	size_t n;
	int ends[2];

	send_odd_requests();
	send_odd_datagrams();
	look_for_kept_descriptors();
	if (netinfo_interfaces(&rows, &n) < 0 || n != 2)
		broke("the switch", "does not stand any more");
	if (!connect_to_self(ends))
		broke("the switch", "connects nobody any more");
}
