/* The wire of a worker who means ill, binding and its conflicts, and what a namespace may not exceed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net-fixture.h"

struct one {
	struct netns *ns;
	int door;
};

static struct one one_new(struct net_fixture *f)
{
	struct one o = { .ns = fixture_ns(f) };

	o.door = netns_open_socket(o.ns, NULL);
	fixture_attach(o.ns, 20, 2);
	return o;
}

static void one_free(struct one *o)
{
	close(o->door);
	netns_unref(o->ns);
}

/* ---- hostile requests ---- */

static void requests_that_make_no_sense(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request good = fixture_tcp(NET_BIND), req;
	struct net_reply reply;

	good.local = fixture_address("0.0.0.0", 80);
	req = good, req.op = 99;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EOPNOTSUPP);
	req = good, req.op = NET_PAIR;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EOPNOTSUPP);
	req = good, req.domain = 16;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EPROTONOSUPPORT);
	req = good, req.type = SOCK_RAW;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EPROTONOSUPPORT);
	req = good, req.protocol = 132;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EPROTONOSUPPORT);
	req = good, req.local.family = AF_INET6;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EINVAL);
	req = good, req.local = fixture_address("2001:db8::1", 80), req.local.family = AF_INET;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EINVAL);
	req = good, req.local.family = 0;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EINVAL);
	req = good, req.socket_id = 4711;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EBADF);
	req = good, req.op = NET_OPEN;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EINVAL);
	req = good, req.op = NET_CONNECT;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EINVAL);
	req.peer = fixture_address("127.0.0.1", 0);
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -ECONNREFUSED);
	one_free(&o);
}

enum { DESCRIPTORS_MAX = 16384 }; /* where more are allowed */

static void send_fds(int door, const void *data, size_t len, const int *fds, size_t n)
{
	char control[CMSG_SPACE(250 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n > 0) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(door, &msg, 0), len);
}

/* Short, long, empty, without a descriptor, with hundreds, with one that nobody can write to. The fixture counts
 * what is left open. */
static void packets_that_are_none(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request req = fixture_tcp(NET_SOCKETS);
	char big[sizeof req + 100];
	struct net_reply reply;
	int many[250], null = open("/dev/null", O_RDONLY | O_CLOEXEC), pair[2], none;

	memset(big, 0x41, sizeof big);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < 250; i++)
		many[i] = null;
	send_fds(o.door, "", 0, NULL, 0);
	send_fds(o.door, "", 0, pair, 1);
	assert_true(fixture_wait(f, pair[1]));
	send_fds(o.door, "x", 1, NULL, 0);
	send_fds(o.door, &req, sizeof req, NULL, 0);
	send_fds(o.door, &req, sizeof req, many, 250);
	send_fds(o.door, big, sizeof big, &pair[0], 1);
	assert_true(fixture_wait(f, pair[1]));
	assert_true(fixture_answer(pair[1], &reply, &none));
	assert_int_equal(reply.result, -EINVAL);
	assert_true(fixture_wait(f, pair[1]));
	assert_true(fixture_answer(pair[1], &reply, &none));
	assert_int_equal(reply.result, -EINVAL);
	fixture_turn(f);
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), 0); /* still served */
	close(pair[0]);
	close(pair[1]);
	close(null);
	one_free(&o);
}

static void an_asker_who_dies(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request req = fixture_tcp(NET_BIND);
	int at;

	req.local = fixture_address("0.0.0.0", 80);
	at = fixture_send(o.door, &req, -1);
	close(at); /* nobody takes the channel */
	for (int i = 0; i < 5; i++)
		fixture_turn(f);
	at = fixture_listen(f, o.door, "0.0.0.0", 80);
	assert_true(at >= 0);
	close(at);
	one_free(&o);
}

/* ---- binding ---- */

static int bound(struct net_fixture *f, int door, const char *ip, uint16_t port, uint32_t flags, uint32_t uid)
{
	struct net_request req = fixture_tcp(NET_BIND);
	struct net_reply reply;
	int channel, r;

	req.local = fixture_address(ip, port);
	req.domain = req.local.family;
	req.flags = flags;
	req.uid = uid;
	r = fixture_ask(f, door, &req, -1, &reply, &channel);
	return r < 0 ? r : channel;
}

static void conflicts(void **state)
{
	static const struct {
		const char *first, *second;
		uint32_t flags, second_flags;
		bool is_free;
	} rows[] = {
		{ "0.0.0.0", "0.0.0.0", 0, 0, false },
		{ "0.0.0.0", "127.0.0.1", 0, 0, false },
		{ "172.20.0.2", "127.0.0.1", 0, 0, true },
		{ "127.0.0.1", "127.0.0.2", 0, 0, true },
		{ "::", "0.0.0.0", 0, 0, false },
		{ "::", "172.20.0.2", 0, 0, false },
		{ "::", "0.0.0.0", NET_V6_ONLY, 0, true },
		{ "::1", "127.0.0.1", 0, 0, true },
		{ "::1", "0.0.0.0", 0, 0, true },
		{ "::1", "::", 0, 0, false },
		{ "0.0.0.0", "0.0.0.0", NET_REUSE_ADDRESS, NET_REUSE_ADDRESS, true }, /* none of them listens yet */
		{ "0.0.0.0", "0.0.0.0", NET_REUSE_ADDRESS, 0, false },
		{ "0.0.0.0", "0.0.0.0", NET_REUSE_PORT, NET_REUSE_PORT, true },
		{ "0.0.0.0", "0.0.0.0", NET_REUSE_PORT, 0, false },
	};
	struct net_fixture *f = *state;
	struct one o = one_new(f);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int a = bound(f, o.door, rows[i].first, 80, rows[i].flags, 0), b;

		assert_true(a >= 0);
		b = bound(f, o.door, rows[i].second, 80, rows[i].second_flags, 0);
		if (rows[i].is_free != (b >= 0))
			fail_msg("row %zu: %d", i, b);
		if (b >= 0)
			close(b);
		else
			assert_int_equal(b, -EADDRINUSE);
		close(a); /* the next bind meets it before the loop has told: it counts as closed */
	}
	one_free(&o);
}

static void sharing_a_port(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request req = fixture_tcp(NET_BIND);
	struct net_reply first, second, reply;
	int a, b;

	req.local = fixture_address("0.0.0.0", 80);
	req.flags = NET_REUSE_PORT;
	req.uid = 1;
	assert_int_equal(bound(f, o.door, "192.0.2.1", 80, 0, 0), -EADDRNOTAVAIL);
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &first, &a), 0);
	assert_int_equal(bound(f, o.door, "0.0.0.0", 80, NET_REUSE_PORT, 2), -EADDRINUSE); /* another user's */
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &second, &b), 0);
	req.op = NET_LISTEN;
	req.socket_id = first.socket_id;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), 0);
	req.socket_id = second.socket_id;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), 0);
	for (int i = 0; i < 4; i++)
		close(fixture_connect(f, o.door, "127.0.0.1", 80, NULL));
	for (int i = 0; i < 2; i++) { /* each has its half */
		close(fixture_accept(f, a, NULL));
		close(fixture_accept(f, b, NULL));
	}
	close(a);
	close(b);

	/* SO_REUSEADDR lets two be bound, but only one listen. */
	req = fixture_tcp(NET_BIND);
	req.local = fixture_address("0.0.0.0", 81);
	req.flags = NET_REUSE_ADDRESS;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &first, &a), 0);
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &second, &b), 0);
	req.op = NET_LISTEN;
	req.socket_id = first.socket_id;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), 0);
	req.socket_id = second.socket_id;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, NULL), -EADDRINUSE);
	close(a);
	close(b);
	one_free(&o);
}

static void ephemeral_ports(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request req = fixture_tcp(NET_LISTEN);
	struct net_reply reply;
	int channel, fd;

	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, &channel), 0); /* never bound */
	assert_true(channel >= 0);
	assert_true(reply.local.port >= 32768 && reply.local.port <= 60999);
	fd = fixture_connect(f, o.door, "127.0.0.1", reply.local.port, NULL);
	assert_true(fd >= 0);
	close(fd);
	close(channel);
	one_free(&o);
}

/* ---- tables ---- */

static void tables(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	int listener = fixture_listen(f, o.door, "0.0.0.0", 80), fd;
	struct net_request req = { .op = NET_SOCKETS };
	struct net_socket_row row;
	struct net_interface interfaces[2], counters;
	struct net_route routes[2];
	struct net_reply reply;

	fixture_attach(o.ns, 21, 2);
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, &fd), 0);
	assert_int_equal(reply.count, 1);
	assert_int_equal(read(fd, &row, sizeof row), sizeof row);
	assert_int_equal(row.state, 10);
	assert_int_equal(row.local.port, 80);
	close(fd);
	netns_detach(o.ns, "net21");
	req.op = NET_INTERFACES;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, &fd), 0);
	assert_int_equal(reply.count, 2);
	assert_int_equal(read(fd, interfaces, sizeof interfaces), sizeof interfaces);
	assert_string_equal(interfaces[0].name, "lo");
	assert_string_equal(interfaces[1].name, "eth0");
	assert_int_equal(interfaces[1].ip4_prefix, 16);
	close(fd);
	req.op = NET_ROUTES;
	assert_int_equal(fixture_ask(f, o.door, &req, -1, &reply, &fd), 0);
	assert_int_equal(reply.count, 2);
	assert_int_equal(read(fd, routes, sizeof routes), sizeof routes);
	assert_int_equal(routes[0].prefix, 96);
	assert_memory_equal(routes[0].gateway, fixture_address("172.20.0.1", 0).ip, 16);
	assert_int_equal(routes[1].prefix, 112);
	assert_memory_equal(routes[1].destination, fixture_address("172.20.0.0", 0).ip, 16);
	close(fd);
	assert_true(netns_counters(o.ns, "net20", &counters));
	assert_false(netns_counters(o.ns, "net21", &counters));
	close(listener);
	one_free(&o);
}

/* ---- limits ---- */

static void more_sockets_than_one_may_have(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f), other = one_new(f);
	struct rlimit rl;
	static int channels[5000];
	int n = 0, r = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_true(rl.rlim_cur <= DESCRIPTORS_MAX); /* so a sixteenth of it is less than we ask for */
	while (n < 5000 && r >= 0) {
		r = bound(f, o.door, "127.0.0.1", (uint16_t)(1000 + n), 0, 0);
		if (r >= 0)
			channels[n++] = r;
	}
	assert_int_equal(r, -ENFILE);
	r = bound(f, other.door, "127.0.0.1", 80, 0, 0); /* that was one container's limit */
	assert_true(r >= 0);
	close(r);
	while (n > 0)
		close(channels[--n]);
	one_free(&o);
	one_free(&other);
}

static void a_backlog_that_is_full(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_request req = fixture_tcp(NET_CONNECT);
	int listener = fixture_listen(f, o.door, "127.0.0.1", 80), waiting[600], answered = 0, refused = 0, fd;
	struct net_reply reply;

	req.peer = fixture_address("127.0.0.1", 80);
	for (size_t i = 0; i < 600; i++) {
		waiting[i] = fixture_send(o.door, &req, -1);
		if (i % 20 == 0)
			fixture_turn(f);
	}
	fixture_turn(f);
	for (size_t i = 0; i < 600; i++) {
		if (!fixture_answer(waiting[i], &reply, &fd))
			continue;
		answered += reply.result == 0;
		refused += reply.result == -ETIMEDOUT;
		if (fd >= 0)
			close(fd);
		close(waiting[i]);
		waiting[i] = -1;
	}
	assert_true(answered >= 64 && answered < 600 - 256);
	assert_int_equal(refused, 600 - answered - 256);
	close(listener); /* those who wait are refused */
	for (size_t i = 0; i < 600; i++) {
		if (waiting[i] < 0)
			continue;
		assert_true(fixture_wait(f, waiting[i]));
		assert_true(fixture_answer(waiting[i], &reply, &fd));
		assert_int_equal(reply.result, -ECONNREFUSED);
		close(waiting[i]);
	}
	one_free(&o);
}

/* Out of descriptors: an error, no crash, no spinning, and it goes on when there are some again. */
static void no_descriptors_left(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_publish p = { .host_ip = "127.0.0.1", .port = 80, .protocol = "tcp" };
	static const uint8_t ip[16] = { [10] = 0xff, [11] = 0xff, [12] = 172, [13] = 20, [15] = 2 };
	int listener = fixture_listen(f, o.door, "0.0.0.0", 80),
	    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), in, at;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct net_request req = fixture_tcp(NET_CONNECT);
	struct rlimit rl, low;
	struct net_reply reply;
	uint16_t port;
	int turns = 0;

	assert_int_equal(netns_publish(o.ns, &p, ip, &port, NULL), 0);
	to.sin_port = htons(port);
	fixture_turn(f);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
	req.peer = fixture_address("127.0.0.1", 80);
	at = fixture_send(o.door, &req, -1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
	low = (struct rlimit){ .rlim_cur = 3, .rlim_max = rl.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	for (int i = 0; i < 10; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	/* Nothing to do now but wait for the next try. */
	for (; turns < 20 && uv_backend_timeout(&f->loop) == 0; turns++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
	assert_true(turns < 20);
	assert_true(fixture_wait(f, at)); /* its end, or an error */
	assert_false(fixture_answer(at, &reply, &in) && reply.result == 0);
	close(at);
	close(client);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
	in = fixture_accept(f, listener, NULL);
	assert_true(in >= 0);
	close(in);
	close(client);
	close(listener);
	one_free(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_that_make_no_sense),
		TEST(packets_that_are_none),
		TEST(an_asker_who_dies),
		TEST(conflicts),
		TEST(sharing_a_port),
		TEST(ephemeral_ports),
		TEST(tables),
		TEST(more_sockets_than_one_may_have),
		TEST(a_backlog_that_is_full),
		TEST(no_descriptors_left),
	};
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur > DESCRIPTORS_MAX) {
		rl.rlim_cur = DESCRIPTORS_MAX; /* limits are shares of it */
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
