#include "support/net-fixture.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 60000

int net_fixture_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -1; /* the directory's own */

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

int net_fixture_setup(void **state)
{
	struct net_fixture *f = calloc(1, sizeof *f);
	struct error err = { 0 };

	if (uv_loop_init(&f->loop) < 0) /* libuv keeps a pipe after its first loop */
		return -1;
	uv_loop_close(&f->loop);
	f->fds_before = net_fixture_count_fds();
	if (uv_loop_init(&f->loop) < 0 || net_switch_new(&f->loop, NULL, &f->sw, &err) < 0)
		return -1;
	*state = f;
	return 0;
}

int net_fixture_teardown(void **state)
{
	struct net_fixture *f = *state;
	int left;

	net_switch_free(f->sw);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&f->loop) < 0)
		return fprintf(stderr, "handles are left\n"), -1;
	left = net_fixture_count_fds() - f->fds_before;
	if (left > 0)
		fprintf(stderr, "%d descriptors are left\n", left);
	free(f);
	return left > 0 ? -1 : 0;
}

struct netns *fixture_ns(struct net_fixture *f)
{
	return netns_new(f->sw, NETNS_PRIVATE, "0123456789abcdef");
}

struct netns_endpoint fixture_endpoint(unsigned network, unsigned host)
{
	static char ids[256][8];
	struct netns_endpoint ep = { .ip4 = { 172, (uint8_t)network, 0, (uint8_t)host },
				     .ip4_prefix = 16,
				     .gateway4 = { 172, (uint8_t)network, 0, 1 },
				     .mac = { 2, 0x42, 172, (uint8_t)network, 0, (uint8_t)host } };

	snprintf(ids[network & 255], sizeof ids[0], "net%u", network & 255);
	ep.network_id = ep.network_name = ids[network & 255];
	ep.has_embedded_dns = true;
	return ep;
}

void fixture_attach(struct netns *ns, unsigned network, unsigned host)
{
	struct netns_endpoint ep = fixture_endpoint(network, host);

	if (netns_attach(ns, &ep, NULL) < 0)
		abort();
}

void fixture_turn(struct net_fixture *f)
{
	for (int i = 0; i < 4; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
}

static bool is_ready(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

bool fixture_wait(struct net_fixture *f, int fd)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		fixture_turn(f);
		if (is_ready(fd, i ? 1 : 0))
			return true;
	}
	return false;
}

static int send_with(int fd, struct iovec *iov, int niov, const int *fds, int nfds)
{
	char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)niov };

	if (nfds > 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));

		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)nfds * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static ssize_t receive_with(int fd, struct iovec *iov, int niov, int *ret_fd)
{
	char control[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)niov, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	*ret_fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
	return n < 0 ? -errno : n;
}

int fixture_send(int door, const struct net_request *req, int file_fd)
{
	struct iovec iov = { (void *)req, sizeof *req };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    send_with(door, &iov, 1, (int[]){ pair[1], file_fd }, file_fd >= 0 ? 2 : 1) < 0)
		abort();
	close(pair[1]);
	return pair[0];
}

bool fixture_answer(int fd, struct net_reply *ret, int *ret_fd)
{
	struct iovec iov = { ret, sizeof *ret };

	return receive_with(fd, &iov, 1, ret_fd) == sizeof *ret;
}

int fixture_ask(struct net_fixture *f, int door, const struct net_request *req, int file_fd, struct net_reply *ret, int *ret_fd)
{
	int at = fixture_send(door, req, file_fd), ignored;
	bool is_there = fixture_wait(f, at) && fixture_answer(at, ret, ret_fd ? ret_fd : &ignored);

	close(at);
	if (!is_there)
		return -EIO;
	if (!ret_fd && ignored >= 0)
		close(ignored);
	return ret->result;
}

struct net_request fixture_tcp(uint32_t op)
{
	return (struct net_request){ .op = op, .domain = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP };
}

struct net_request fixture_udp(uint32_t op)
{
	return (struct net_request){ .op = op, .domain = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_UDP };
}

struct net_address fixture_address(const char *ip, uint16_t port)
{
	struct net_address a = { .port = port };

	if (!net_parse_ip(ip, a.ip))
		abort();
	a.family = net_ip_is_v4(a.ip) ? AF_INET : AF_INET6;
	return a;
}

int fixture_listen(struct net_fixture *f, int door, const char *ip, uint16_t port)
{
	struct net_request req = fixture_tcp(NET_BIND);
	struct net_reply reply;
	int channel, r, none;

	req.local = fixture_address(ip, port);
	req.domain = req.local.family;
	req.flags = NET_REUSE_ADDRESS;
	r = fixture_ask(f, door, &req, -1, &reply, &channel);
	if (r < 0)
		return r;
	req.op = NET_LISTEN;
	req.socket_id = reply.socket_id;
	req.value = 128;
	r = fixture_ask(f, door, &req, -1, &reply, &none);
	if (r < 0) {
		close(channel);
		return r;
	}
	return channel;
}

int fixture_connect(struct net_fixture *f, int door, const char *ip, uint16_t port, struct net_reply *ret)
{
	struct net_request req = fixture_tcp(NET_CONNECT);
	struct net_reply reply;
	int fd, r;

	req.peer = fixture_address(ip, port);
	req.domain = req.peer.family;
	r = fixture_ask(f, door, &req, -1, ret ? ret : &reply, &fd);
	if (r < 0 && fd >= 0)
		abort();
	return r < 0 ? r : fd;
}

int fixture_accept(struct net_fixture *f, int channel, struct net_arrival *ret)
{
	struct net_arrival ignored;
	struct iovec iov = { ret ? ret : &ignored, sizeof ignored };
	int fd;

	if (!fixture_wait(f, channel) || receive_with(channel, &iov, 1, &fd) != sizeof ignored)
		return -1;
	return fd;
}

int fixture_datagram_to(int channel, const char *ip, uint16_t port, const void *data, size_t len)
{
	struct net_datagram head = { 0 };
	struct iovec iov[] = { { &head, sizeof head }, { (void *)data, len } };

	if (ip)
		head.address = fixture_address(ip, port);
	return send_with(channel, iov, 2, NULL, 0);
}

int fixture_datagram_from(struct net_fixture *f, int channel, struct net_address *ret, void *data, size_t len)
{
	struct net_datagram head;
	struct iovec iov[] = { { &head, sizeof head }, { data, len } };
	ssize_t n;
	int fd;

	if (!fixture_wait(f, channel))
		return -EAGAIN;
	n = receive_with(channel, iov, 2, &fd);
	if (n < (ssize_t)sizeof head)
		return -EIO;
	if (ret)
		*ret = head.address;
	return head.error ? head.error : (int)(n - (ssize_t)sizeof head);
}
