/* Who may talk to whom, asked by the wire as a sandbox's worker asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net-fixture.h"

/* Two namespaces and their doors; attached as the test says. */
struct two {
	struct netns *a, *b;
	int at_a, at_b;
};

static struct two two_new(struct net_fixture *f)
{
	struct two t = { .a = fixture_ns(f), .b = fixture_ns(f) };

	t.at_a = netns_open_socket(t.a, NULL);
	t.at_b = netns_open_socket(t.b, NULL);
	return t;
}

static void two_free(struct two *t)
{
	close(t->at_a);
	close(t->at_b);
	netns_unref(t->a);
	netns_unref(t->b);
}

/* ---- refusals ---- */

static void nobody_listens(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	assert_int_equal(fixture_connect(f, t.at_a, "127.0.0.1", 80, NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.2", 80, NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.9", 80, NULL), -EHOSTUNREACH);
	assert_int_equal(fixture_connect(f, t.at_a, "::1", 80, NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "2001:db8::1", 80, NULL), -ENETUNREACH);
	assert_int_equal(fixture_connect(f, t.at_a, "224.0.0.1", 80, NULL), -ENETUNREACH);
	two_free(&t);
}

static void networks_that_are_not_shared(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	int listener;

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 21, 3);
	listener = fixture_listen(f, t.at_b, "0.0.0.0", 80);
	assert_true(listener >= 0);
	assert_int_equal(fixture_connect(f, t.at_a, "172.21.0.3", 80, NULL), -ETIMEDOUT);
	assert_int_equal(fixture_connect(f, t.at_a, "127.0.0.1", 80, NULL), -ECONNREFUSED);
	netns_detach(t.a, "net20");
	assert_int_equal(fixture_connect(f, t.at_a, "172.21.0.3", 80, NULL), -ENETUNREACH);
	close(listener);
	two_free(&t);
}

static void neighbours_that_are_isolated(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct netns_endpoint ep = fixture_endpoint(20, 2);
	int listener;

	ep.is_isolated = true;
	assert_int_equal(netns_attach(t.a, &ep, NULL), 0);
	assert_int_equal(netns_attach(t.a, &ep, NULL), -EEXIST);
	fixture_attach(t.b, 20, 3);
	listener = fixture_listen(f, t.at_b, "0.0.0.0", 80);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL), -ETIMEDOUT);
	close(listener);
	two_free(&t);
}

static void internal_networks_have_no_way_out(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct netns_endpoint ep = fixture_endpoint(20, 2);

	ep.is_internal = true;
	assert_int_equal(netns_attach(t.a, &ep, NULL), 0);
	assert_int_equal(fixture_connect(f, t.at_a, "198.51.100.1", 80, NULL), -ENETUNREACH);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.1", 80, NULL), -EHOSTUNREACH);
	two_free(&t);
}

/* ---- what is allowed ---- */

static void neighbours_talk(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_arrival arrival;
	struct net_reply reply;
	int listener, here, there;
	char text[8] = "";

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	listener = fixture_listen(f, t.at_b, "0.0.0.0", 80);
	assert_true(listener >= 0);
	assert_true(netns_is_listening(t.b, 80));
	assert_false(netns_is_listening(t.a, 80));
	here = fixture_connect(f, t.at_a, "172.20.0.3", 80, &reply);
	assert_true(here >= 0);
	there = fixture_accept(f, listener, &arrival);
	assert_true(there >= 0);
	assert_int_equal(write(here, "hello", 5), 5);
	assert_int_equal(read(there, text, sizeof text), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(arrival.peer.port, reply.local.port);
	assert_true(arrival.peer.port >= 32768 && arrival.peer.port <= 60999);
	assert_memory_equal(arrival.peer.ip, fixture_address("172.20.0.2", 0).ip, 16);
	assert_memory_equal(arrival.local.ip, fixture_address("172.20.0.3", 0).ip, 16);
	assert_int_equal(arrival.local.port, 80);
	close(here);
	assert_int_equal(read(there, text, sizeof text), 0);
	close(there);
	close(listener);
	fixture_turn(f);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL), -ECONNREFUSED);
	two_free(&t);
}

static void loopback_is_the_namespaces_own(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	int a, b, fd, in;
	struct net_arrival arrival;

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	a = fixture_listen(f, t.at_a, "127.0.0.1", 80);
	b = fixture_listen(f, t.at_b, "127.0.0.1", 80);
	assert_true(a >= 0 && b >= 0);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL), -ECONNREFUSED);
	assert_int_equal(fixture_connect(f, t.at_a, "172.20.0.2", 80, NULL), -ECONNREFUSED);
	fd = fixture_connect(f, t.at_a, "127.0.0.1", 80, NULL);
	in = fixture_accept(f, a, &arrival);
	assert_true(fd >= 0 && in >= 0);
	assert_memory_equal(arrival.peer.ip, fixture_address("127.0.0.1", 0).ip, 16);
	close(fd);
	close(in);
	fd = fixture_connect(f, t.at_a, "0.0.0.0", 80, NULL); /* as Linux has it */
	assert_true(fd >= 0);
	close(fd);
	close(a);
	close(b);
	two_free(&t);
}

static void dual_stack(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_arrival arrival;
	int listener, fd, in;

	fixture_attach(t.a, 20, 2);
	listener = fixture_listen(f, t.at_a, "::", 80);
	assert_true(listener >= 0);
	assert_int_equal(fixture_listen(f, t.at_a, "0.0.0.0", 80), -EADDRINUSE);
	fd = fixture_connect(f, t.at_a, "172.20.0.2", 80, NULL);
	in = fixture_accept(f, listener, &arrival);
	assert_true(fd >= 0 && in >= 0);
	assert_int_equal(arrival.peer.family, AF_INET6);
	assert_true(net_ip_is_v4(arrival.peer.ip));
	close(fd);
	close(in);
	close(listener);
	two_free(&t);
}

/* ---- leaving ---- */

static int wakes;
static void on_wake(void *arg)
{
	(void)arg;
	wakes++;
}

static void detaching_raises_the_epoch_of_both(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	const struct net_page *page = mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, netns_page_fd(t.a), 0);
	struct net_request req = fixture_tcp(NET_CHECK);
	struct net_reply reply;
	uint32_t before;

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	req.local = fixture_address("172.20.0.2", 1234);
	req.peer = fixture_address("172.20.0.3", 80);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), 0);
	before = atomic_load(&((struct net_page *)page)->epoch);
	assert_int_equal(before, reply.epoch);
	wakes = 0;
	netns_add_waker(t.a, on_wake, f);
	assert_int_equal(netns_detach(t.b, "net20"), 0);
	assert_int_equal(netns_detach(t.b, "net20"), -ENOENT);
	assert_int_equal(wakes, 1);
	assert_int_equal(atomic_load(&((struct net_page *)page)->epoch), before + 1);
	assert_int_equal(fixture_ask(f, t.at_a, &req, -1, &reply, NULL), -ENETUNREACH);
	assert_int_equal(reply.epoch, before + 1);
	netns_remove_waker(t.a, f);
	netns_detach(t.a, "net20");
	assert_int_equal(wakes, 1);
	assert_true(mmap(NULL, sizeof *page, PROT_WRITE, MAP_SHARED, netns_page_fd(t.a), 0) == MAP_FAILED);
	munmap((void *)page, sizeof *page);
	two_free(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

/* ---- what /proc/net/tcp shows ---- */

/* Rows in a state; the last one of them in *ret. */
static int rows_in_state(struct net_fixture *f, int door, uint32_t state, struct net_socket_row *ret)
{
	struct net_request req = { .op = NET_SOCKETS };
	struct net_socket_row row;
	struct net_reply reply;
	int fd, n = 0;

	assert_int_equal(fixture_ask(f, door, &req, -1, &reply, &fd), 0);
	while (read(fd, &row, sizeof row) == sizeof row) {
		if (row.state != state)
			continue;
		*ret = row;
		n++;
	}
	close(fd);
	return n;
}

static void connections_are_told(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_socket_row mine, theirs, none;
	struct net_arrival arrival;
	int channel, near, far;

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	channel = fixture_listen(f, t.at_b, "0.0.0.0", 80);
	near = fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL);
	far = fixture_accept(f, channel, &arrival);
	assert_true(near >= 0 && far >= 0);
	assert_int_equal(rows_in_state(f, t.at_a, 1, &mine), 1);
	assert_int_equal(rows_in_state(f, t.at_b, 1, &theirs), 1);
	assert_int_equal(mine.peer.port, 80);
	assert_int_equal(theirs.local.port, 80);
	assert_int_equal(theirs.peer.port, mine.local.port);
	assert_memory_equal(mine.local.ip, theirs.peer.ip, 16);
	assert_int_equal(rows_in_state(f, t.at_b, 10, &none), 1);
	close(near);
	usleep(120000); /* so long what the kernel said is believed */
	fixture_turn(f);
	assert_int_equal(rows_in_state(f, t.at_a, 1, &none), 0);
	assert_int_equal(rows_in_state(f, t.at_b, 1, &none), 1); /* it has not closed yet */
	close(far);
	close(channel);
	two_free(&t);
}

/* Those that have come and gone take no room. */
static void connections_are_forgotten(void **state)
{
	struct net_fixture *f = *state;
	struct two t = two_new(f);
	struct net_socket_row row;
	struct net_arrival arrival;
	int channel;

	fixture_attach(t.a, 20, 2);
	fixture_attach(t.b, 20, 3);
	channel = fixture_listen(f, t.at_b, "0.0.0.0", 80);
	for (int i = 0; i < 1500; i++) {
		int near = fixture_connect(f, t.at_a, "172.20.0.3", 80, NULL), far = fixture_accept(f, channel, &arrival);

		assert_true(near >= 0 && far >= 0);
		close(near);
		close(far);
		if (i % 500 == 499) {
			usleep(120000);
			fixture_turn(f);
		}
	}
	assert_int_equal(rows_in_state(f, t.at_a, 1, &row), 0);
	assert_in_range(netns_connection_count(t.a), 0, 1024);
	close(channel);
	two_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connections_are_told),
		TEST(connections_are_forgotten),
		TEST(nobody_listens),
		TEST(networks_that_are_not_shared),
		TEST(neighbours_that_are_isolated),
		TEST(internal_networks_have_no_way_out),
		TEST(neighbours_talk),
		TEST(loopback_is_the_namespaces_own),
		TEST(dual_stack),
		TEST(detaching_raises_the_epoch_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
