/* UDP, ICMP echo and AF_UNIX through the switch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net-fixture.h"

struct two {
	struct netns *a, *b;
	int at_a, at_b;
};

static struct two two_new(struct net_fixture *f)
{
	struct two t = { .a = fixture_ns(f), .b = fixture_ns(f) };

	t.at_a = netns_open_socket(t.a, NULL);
	t.at_b = netns_open_socket(t.b, NULL);
	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	return t;
}

static void two_free(struct two *t)
{
	close(t->at_a);
	close(t->at_b);
	netns_unref(t->a);
	netns_unref(t->b);
}

struct udp {
	int channel;
	uint64_t id;
};

/* `ip` NULL: opened only. */
static struct udp udp_new(struct net_fixture *f, int door, const char *ip, uint16_t port, uint32_t flags)
{
	struct net_request req = fixture_udp(ip ? NET_BIND : NET_OPEN);
	struct net_reply reply;
	struct udp u;

	if (ip)
		req.local = fixture_address(ip, port);
	if (ip)
		req.domain = req.local.family;
	req.flags = flags;
	u.channel = fixture_ask(f, door, &req, -1, &reply, &u.channel) < 0 ? reply.result : u.channel;
	u.id = reply.socket_id;
	return u;
}

static int udp_connect(struct net_fixture *f, int door, const struct udp *u, const char *ip, uint16_t port,
		       struct net_reply *ret)
{
	struct net_request req = fixture_udp(NET_CONNECT);

	req.socket_id = u->id;
	if (ip)
		req.peer = fixture_address(ip, port);
	return fixture_ask(f, door, &req, -1, ret, NULL);
}

static bool is_quiet(struct net_fixture *f, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	fixture_turn(f);
	return poll(&p, 1, 0) == 0;
}

/* ---- refusals ---- */

static void errors_of_sending(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp u = udp_new(f, t.at_a, NULL, 0, 0);
	struct net_reply reply;

	assert_int_equal(udp_new(f, t.at_a, "172.20.0.9", 0, 0).channel, -EADDRNOTAVAIL);
	fixture_datagram_to(u.channel, "172.20.0.3", 9, "x", 1); /* nobody: only a connected socket is told */
	assert_true(is_quiet(f, u.channel));
	fixture_datagram_to(u.channel, "172.20.255.255", 9, "x", 1);
	assert_int_equal(fixture_datagram_from(f, u.channel, NULL, NULL, 0), -EACCES);
	fixture_datagram_to(u.channel, "224.0.0.251", 5353, "x", 1);
	assert_int_equal(fixture_datagram_from(f, u.channel, NULL, NULL, 0), -ENETUNREACH);
	assert_int_equal(udp_connect(f, t.at_a, &u, "172.20.0.3", 9, &reply), 0);
	fixture_datagram_to(u.channel, NULL, 0, "x", 1);
	assert_int_equal(fixture_datagram_from(f, u.channel, NULL, NULL, 0), -ECONNREFUSED);
	u.id = 12345;
	assert_int_equal(udp_connect(f, t.at_a, &u, "172.20.0.3", 9, &reply), -EBADF);
	close(u.channel);
	two_free(&t);
}

static void garbage_is_ignored(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp u = udp_new(f, t.at_a, "0.0.0.0", 53, 0);
	struct net_address bad = { .family = AF_UNIX, .path_len = 255 };
	uint8_t head[256] = { 0 };

	memcpy(head + 8, &bad, sizeof bad);
	assert_int_equal(send(u.channel, "x", 1, 0), 1);
	assert_int_equal(send(u.channel, "", 0, 0), 0);
	assert_int_equal(send(u.channel, head, sizeof head, 0), sizeof head);
	fixture_turn(f);
	fixture_datagram_to(u.channel, "127.0.0.1", 53, "me", 2); /* it still works */
	assert_int_equal(fixture_datagram_from(f, u.channel, NULL, head, sizeof head), 2);
	close(u.channel);
	two_free(&t);
}

/* ---- UDP ---- */

static void there_and_back(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp a = udp_new(f, t.at_a, NULL, 0, 0), b = udp_new(f, t.at_b, "0.0.0.0", 7, 0);
	struct net_address from;
	struct net_reply reply;
	char *big = calloc(1, NET_DATAGRAM_MAX), text[46];

	big[NET_DATAGRAM_MAX - 1] = 'z';
	fixture_datagram_to(a.channel, "172.20.0.3", 7, big, NET_DATAGRAM_MAX);
	assert_int_equal(fixture_datagram_from(f, b.channel, &from, big, NET_DATAGRAM_MAX), NET_DATAGRAM_MAX);
	assert_int_equal(big[NET_DATAGRAM_MAX - 1], 'z');
	free(big);
	net_format_ip(from.ip, text);
	assert_string_equal(text, "172.20.0.2");
	fixture_datagram_to(b.channel, text, from.port, "", 0); /* an empty one is one */
	assert_int_equal(fixture_datagram_from(f, a.channel, &from, NULL, 0), 0);
	assert_int_equal(from.port, 7);

	struct net_request req = { .op = NET_NAME, .socket_id = a.id };

	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), 0);
	assert_true(reply.local.port >= 32768);
	close(a.channel);
	close(b.channel);
	two_free(&t);
}

static void connected_sockets_hear_only_their_peer(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp a = udp_new(f, t.at_a, "0.0.0.0", 7, 0), b = udp_new(f, t.at_b, "0.0.0.0", 7, 0),
		   other = udp_new(f, t.at_b, "0.0.0.0", 8, 0);
	struct net_reply reply;
	char text[8];

	assert_int_equal(udp_connect(f, t.at_a, &a, "172.20.0.3", 7, &reply), 0);
	assert_memory_equal(reply.local.ip, fixture_address("172.20.0.2", 0).ip, 16);
	fixture_datagram_to(other.channel, "172.20.0.2", 7, "no", 2);
	assert_true(is_quiet(f, a.channel));
	fixture_datagram_to(b.channel, "172.20.0.2", 7, "yes", 3);
	assert_int_equal(fixture_datagram_from(f, a.channel, NULL, text, sizeof text), 3);
	assert_int_equal(udp_connect(f, t.at_a, &a, NULL, 0, &reply), 0);
	fixture_datagram_to(other.channel, "172.20.0.2", 7, "no", 2);
	assert_int_equal(fixture_datagram_from(f, a.channel, NULL, text, sizeof text), 2);
	close(a.channel);
	close(b.channel);
	close(other.channel);
	two_free(&t);
}

static void broadcasts(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp a = udp_new(f, t.at_a, "0.0.0.0", 67, 8 /* NET_BROADCAST */), b = udp_new(f, t.at_b, "0.0.0.0", 67, 0);
	char text[8];

	fixture_datagram_to(a.channel, "255.255.255.255", 67, "hi", 2);
	assert_int_equal(fixture_datagram_from(f, b.channel, NULL, text, sizeof text), 2);
	assert_int_equal(fixture_datagram_from(f, a.channel, NULL, text, sizeof text), 2);
	close(a.channel);
	close(b.channel);
	two_free(&t);
}

static void a_flood_is_lost_and_hurts_nobody(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct udp a = udp_new(f, t.at_a, NULL, 0, 0), b = udp_new(f, t.at_b, "0.0.0.0", 7, 0), c;
	char text[1024] = "";

	for (int i = 0; i < 5000; i++) {
		fixture_datagram_to(a.channel, "172.20.0.3", 7, text, sizeof text);
		if (i % 10 == 0)
			uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	c = udp_new(f, t.at_a, "127.0.0.1", 9, 0); /* others are served */
	assert_true(c.channel >= 0);
	close(a.channel);
	close(b.channel);
	close(c.channel);
	two_free(&t);
}

/* ---- the host: only its sockets on other addresses than loopback are reached ---- */

static void the_hosts_loopback_is_out_of_reach(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;
	int host = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct net_reply reply;

	assert_int_equal(bind(host, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(host, 1), 0);
	assert_int_equal(getsockname(host, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(fixture_connect(f, t.at_a, "127.0.0.1", ntohs(in.sin_port), NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "::ffff:127.0.0.1", ntohs(in.sin_port), NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "0.0.0.0", ntohs(in.sin_port), NULL), -ECONNREFUSED);
	fd = fixture_connect(f, t.at_a, "172.20.0.1", ntohs(in.sin_port), &reply);
	if (fd >= 0) { /* under way to another address of the host, where nobody listens */
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int error = 0;
		socklen_t size = sizeof error;

		assert_true(reply.is_in_progress);
		assert_int_equal(poll(&p, 1, 60000), 1);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
		assert_int_equal(error, ECONNREFUSED);
		assert_memory_equal(reply.local.ip, fixture_address("172.20.0.2", 0).ip, 16);
		close(fd);
	} else {
		assert_int_equal(fd, -ECONNREFUSED);
	}
	close(host);
	two_free(&t);
}

static void udp_of_the_host_by_the_gateway(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof in;
	int host = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct udp u = udp_new(f, t.at_a, NULL, 0, 0);
	struct net_address from;
	struct net_reply reply;
	char text[8];
	int r;

	assert_int_equal(bind(host, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(getsockname(host, (struct sockaddr *)&in, &len), 0);
	r = udp_connect(f, t.at_a, &u, "172.20.0.1", ntohs(in.sin_port), &reply);
	assert_int_equal(r, 0);
	fixture_datagram_to(u.channel, NULL, 0, "hi", 2);
	fixture_turn(f);
	len = sizeof in;
	if (recvfrom(host, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&in, &len) == 2) {
		assert_int_equal(sendto(host, "yo!", 3, 0, (struct sockaddr *)&in, len), 3);
		assert_int_equal(fixture_datagram_from(f, u.channel, &from, text, sizeof text), 3);
		assert_memory_equal(from.ip, fixture_address("172.20.0.1", 0).ip, 16);
		close(host);
		host = -1;
		fixture_datagram_to(u.channel, NULL, 0, "hi", 2); /* now nobody: ICMP says so */
		assert_int_equal(fixture_datagram_from(f, u.channel, NULL, text, sizeof text), -ECONNREFUSED);
	} /* else: a host with loopback only */
	if (host >= 0)
		close(host);
	close(u.channel);
	two_free(&t);
}

static void host_mode(void **state)
{
	struct net_fixture *f = *state;
	struct netns *ns = netns_new(f->sw, NETNS_HOST, "h");
	int door = netns_open_socket(ns, NULL), listener, fd, in;
	struct net_request req = fixture_tcp(NET_BIND);
	struct net_arrival arrival;
	struct net_reply reply;
	struct udp a = udp_new(f, door, "127.0.0.1", 0, 0), b = udp_new(f, door, NULL, 0, 0);
	char text[8];

	req.local = fixture_address("127.0.0.1", 0);
	assert_int_equal(fixture_ask(f, door, &req, -1, &reply, &listener), 0);
	req.op = NET_LISTEN;
	req.socket_id = reply.socket_id;
	req.value = 5;
	assert_int_equal(fixture_ask(f, door, &req, -1, &reply, NULL), 0);
	assert_true(reply.local.port > 0);
	fd = fixture_connect(f, door, "127.0.0.1", reply.local.port, &reply);
	assert_true(fd >= 0);
	in = fixture_accept(f, listener, &arrival);
	assert_true(in >= 0);
	assert_int_equal(arrival.peer.port, reply.local.port);
	assert_int_equal(write(in, "hi", 2), 2);
	assert_true(fixture_wait(f, fd));
	assert_int_equal(read(fd, text, sizeof text), 2);

	req = (struct net_request){ .op = NET_NAME, .socket_id = a.id };
	assert_int_equal(fixture_ask(f, door, &req, -1, &reply, NULL), 0);
	fixture_datagram_to(b.channel, "127.0.0.1", reply.local.port, "udp", 3);
	assert_int_equal(fixture_datagram_from(f, a.channel, NULL, text, sizeof text), 3);
	close(fd);
	close(in);
	close(listener);
	close(a.channel);
	close(b.channel);
	close(door);
	netns_unref(ns);
}

/* ---- ICMP ---- */

static void echoes(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_request req = { .op = NET_OPEN, .domain = AF_INET, .type = SOCK_RAW, .protocol = IPPROTO_ICMP };
	uint8_t echo[16] = { 8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g' }, answer[64];
	struct net_reply reply;
	int raw;

	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, &raw), 0);
	fixture_datagram_to(raw, "172.20.0.3", 0, echo, sizeof echo);
	assert_int_equal(fixture_datagram_from(f, raw, NULL, answer, sizeof answer), 36);
	assert_int_equal(answer[0], 0x45);
	assert_int_equal(answer[9], IPPROTO_ICMP);
	assert_memory_equal(answer + 12, "\xac\x14\0\3\xac\x14\0\2", 8);
	assert_int_equal(answer[20], 0);
	assert_memory_equal(answer + 24, echo + 4, 12);
	fixture_datagram_to(raw, "172.20.0.1", 0, echo, sizeof echo);
	assert_int_equal(fixture_datagram_from(f, raw, NULL, answer, sizeof answer), 36);
	fixture_datagram_to(raw, "172.20.0.9", 0, echo, sizeof echo); /* nobody: lost */
	assert_true(is_quiet(f, raw));
	fixture_datagram_to(raw, "172.20.0.3", 0, echo, 4); /* too short */
	assert_int_equal(fixture_datagram_from(f, raw, NULL, answer, sizeof answer), -EINVAL);
	close(raw);
	two_free(&t);
}

/* ---- AF_UNIX ---- */

static struct net_request unix_request(uint32_t op, uint32_t type)
{
	return (struct net_request){ .op = op, .domain = AF_UNIX, .type = type, .vpid = 7, .uid = 1000, .gid = 100 };
}

static struct net_address path_of(const char *path, size_t len)
{
	struct net_address a = { .family = AF_UNIX, .path_len = (uint8_t)len };

	memcpy(a.path, path, len);
	return a;
}

static void sockets_of_files(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	char path[] = "/tmp/sock.XXXXXX", other[] = "/tmp/sock.XXXXXX", text[8];
	int file = mkstemp(path), another = mkstemp(other), proof = open(path, O_PATH | O_CLOEXEC), listener, fd, in;
	struct net_request req = unix_request(NET_BIND, SOCK_STREAM);
	struct net_arrival arrival;
	struct net_reply reply;

	req.local = path_of("/run/x.sock", 11);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), -EINVAL); /* no proof */
	assert_int_equal(fixture_ask(f, t.at_a, &req, proof, &reply, NULL), -EINVAL);
	assert_int_equal(fixture_ask(f, t.at_a, &req, file, &reply, &listener), 0);
	req.op = NET_LISTEN;
	req.socket_id = reply.socket_id;
	req.value = 5;
	req.local.family = 0;
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), 0);

	/* By a shared volume the other container meets it, whatever the path is there. */
	req = unix_request(NET_CONNECT, SOCK_STREAM);
	req.peer = path_of("/volume/x.sock", 14);
	assert_int_equal(fixture_ask(f, t.at_b, &req, another, &reply, NULL), -ECONNREFUSED);
	req.peer.dev = 1, req.peer.ino = 1; /* what is claimed counts nothing */
	assert_int_equal(fixture_ask(f, t.at_b, &req, file, &reply, &fd), 0);
	in = fixture_accept(f, listener, &arrival);
	assert_true(in >= 0);
	assert_int_equal(arrival.vpid, 7);
	assert_int_equal(arrival.uid, 1000);
	assert_int_equal(reply.vpid, 7);
	assert_int_equal(write(fd, "hi", 2), 2);
	assert_int_equal(read(in, text, sizeof text), 2);
	req.type = SOCK_SEQPACKET;
	assert_int_equal(fixture_ask(f, t.at_b, &req, file, &reply, NULL), -EPROTOTYPE);
	close(fd);
	close(in);
	close(listener);
	close(file);
	close(another);
	close(proof);
	unlink(path);
	unlink(other);
	two_free(&t);
}

static void abstract_names_are_the_namespaces_own(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_request req = unix_request(NET_BIND, SOCK_DGRAM);
	struct net_reply reply;
	int a, b;
	char text[8];

	req.local = path_of("\0log", 4);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, &a), 0);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), -EADDRINUSE);
	req.op = NET_OPEN;
	req.local.family = 0;
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, &b), 0);
	req.op = NET_CONNECT;
	req.socket_id = reply.socket_id;
	req.peer = path_of("\0lag", 4);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), -ECONNREFUSED);
	req.peer = path_of("\0log", 4);
	assert_int_equal(fixture_ask(f, t.at_b, &req, -1, &reply, NULL), -EBADF);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), 0);
	fixture_datagram_to(b, NULL, 0, "line", 4);
	assert_int_equal(fixture_datagram_from(f, a, NULL, text, sizeof text), 4);
	close(a);
	fixture_datagram_to(b, NULL, 0, "line", 4);
	assert_int_equal(fixture_datagram_from(f, b, NULL, text, sizeof text), -ECONNREFUSED);
	close(b);
	two_free(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_of_sending),
		TEST(garbage_is_ignored),
		TEST(there_and_back),
		TEST(connected_sockets_hear_only_their_peer),
		TEST(broadcasts),
		TEST(a_flood_is_lost_and_hurts_nobody),
		TEST(the_hosts_loopback_is_out_of_reach),
		TEST(udp_of_the_host_by_the_gateway),
		TEST(host_mode),
		TEST(echoes),
		TEST(sockets_of_files),
		TEST(abstract_names_are_the_namespaces_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
