/* Ports of the host that lead into a namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/net-fixture.h"

static const uint8_t container_ip[16] = { [10] = 0xff, [11] = 0xff, [12] = 172, [13] = 20, [15] = 2 };

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

static uint16_t publish(struct netns *ns, const char *ip, uint16_t first, uint16_t last, const char *protocol)
{
	struct net_publish p = { .host_ip = ip, .host_port_first = first, .host_port_last = last, .port = 80, .protocol = protocol };
	struct error err = { 0 };
	uint16_t port = 0;
	int r = netns_publish(ns, &p, container_ip, &port, &err);

	if (r < 0)
		print_message("%s\n", err.message);
	return r < 0 ? 0 : port;
}

static int client(int type, const char *ip, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	bool is_v4 = inet_pton(AF_INET, ip, &in.sin_addr) == 1;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);

	if (!is_v4)
		inet_pton(AF_INET6, ip, &in6.sin6_addr);
	if (connect(fd, is_v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6, is_v4 ? sizeof in : sizeof in6) == 0)
		return fd;
	close(fd);
	return -errno;
}

/* ---- refusals ---- */

static void ports_that_are_taken(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f), other = one_new(f);
	struct net_publish p = { .host_ip = "127.0.0.1", .port = 80, .protocol = "tcp" };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;
	struct error err = { 0 };
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp"), none = 7;
	int stranger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[128];

	assert_true(port > 0);
	p.host_port_first = port;
	assert_int_equal(netns_publish(other.ns, &p, container_ip, &none, &err), -EADDRINUSE);
	snprintf(text, sizeof text, "Bind for 127.0.0.1:%u failed: port is already allocated", port);
	assert_string_equal(err.message, text);
	p.host_ip = "0.0.0.0";
	assert_int_equal(netns_publish(other.ns, &p, container_ip, &none, &err), -EADDRINUSE);
	snprintf(text, sizeof text, "Bind for 0.0.0.0:%u failed: port is already allocated", port);
	assert_string_equal(err.message, text);
	assert_int_equal(none, 7);

	assert_int_equal(bind(stranger, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(stranger, 1), 0);
	assert_int_equal(getsockname(stranger, (struct sockaddr *)&in, &len), 0);
	p.host_ip = "127.0.0.1";
	p.host_port_first = ntohs(in.sin_port);
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &none, &err), -EADDRINUSE);
	snprintf(text, sizeof text, "failed to bind host port for 127.0.0.1:%u:172.20.0.2:80/tcp: address already in use",
		 p.host_port_first);
	assert_string_equal(err.message, text);
	close(stranger);

	p.host_ip = "192.0.2.77";
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &none, &err), -EADDRNOTAVAIL);
	p.host_ip = "nonsense";
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &none, &err), -EINVAL);
	p.protocol = "sctp";
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &none, &err), -EPROTONOSUPPORT);
	one_free(&o);
	one_free(&other);
}

static void a_range_takes_the_first_free_port(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = 0, next;

	for (uint16_t first = 41000; first < 42000 && !port; first += 7) { /* neighbours may have some */
		port = publish(o.ns, "127.0.0.1", first, first, "tcp");
		next = port ? publish(o.ns, "127.0.0.1", port, (uint16_t)(port + 5), "tcp") : 0;
		if (port && next) {
			assert_true(next > port && next <= port + 5);
			assert_int_equal(publish(o.ns, "127.0.0.1", port, next, "udp") == 0, 0);
		}
	}
	assert_true(port > 0);
	one_free(&o);
}

static void nobody_listens_inside(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp");
	int fd = client(SOCK_STREAM, "127.0.0.1", port);
	char c;

	assert_true(fd >= 0);
	assert_true(fixture_wait(f, fd));
	assert_int_equal(read(fd, &c, 1), 0); /* no reset: it may be heard before connect() has told that there is a connection */
	close(fd);
	netns_unpublish_all(o.ns);
	assert_int_equal(client(SOCK_STREAM, "127.0.0.1", port), -ECONNREFUSED);
	one_free(&o);
}

/* ---- TCP ---- */

static void a_connection_is_handed_over(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "", 0, 0, "tcp");
	int listener = fixture_listen(f, o.door, "0.0.0.0", 80), fd = client(SOCK_STREAM, "127.0.0.1", port), in;
	struct net_arrival arrival;
	char text[8] = "";

	assert_true(listener >= 0 && fd >= 0);
	in = fixture_accept(f, listener, &arrival);
	assert_true(in >= 0);
	assert_int_equal(write(in, "hello", 5), 5);
	assert_int_equal(read(fd, text, 5), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(arrival.local.port, 80);
	assert_memory_equal(arrival.local.ip, container_ip, 16);
	assert_memory_equal(arrival.peer.ip, fixture_address("172.20.0.1", 0).ip, 16); /* the gateway: it was loopback */
	close(in);
	close(fd);
	close(listener);
	one_free(&o);
}

/* Right after the start: who comes before the listener waits for it. */
static void a_connection_before_its_listener(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp");
	int fd = client(SOCK_STREAM, "127.0.0.1", port), listener, in;
	char text[8] = "";

	assert_true(fd >= 0);
	fixture_turn(f);
	listener = fixture_listen(f, o.door, "0.0.0.0", 80);
	in = fixture_accept(f, listener, NULL);
	assert_true(in >= 0);
	assert_int_equal(write(in, "hello", 5), 5);
	assert_int_equal(read(fd, text, 5), 5);
	assert_string_equal(text, "hello");
	close(in);
	close(fd);
	close(listener);
	one_free(&o);
}

/* As the kernel sees it. */
static bool has_ipv6(void)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static void ipv6_of_the_host(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "::1", 0, 0, "tcp");
	int listener, fd, in;

	assert_int_equal(port != 0, has_ipv6());
	if (!port) { /* refused, as it must be */
		one_free(&o);
		return;
	}
	listener = fixture_listen(f, o.door, "172.20.0.2", 80);
	fd = client(SOCK_STREAM, "::1", port);
	in = fixture_accept(f, listener, NULL);
	assert_true(fd >= 0 && in >= 0);
	close(in);
	close(fd);
	close(listener);
	one_free(&o);
}

/* More than the channel and the queue hold: those that come too early wait, none is lost. */
static void a_slow_listener(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp");
	int listener = fixture_listen(f, o.door, "0.0.0.0", 80), clients[400], accepted = 0;

	for (size_t i = 0; i < 400; i++) {
		clients[i] = client(SOCK_STREAM, "127.0.0.1", port);
		assert_true(clients[i] >= 0);
		if (i % 50 == 0)
			fixture_turn(f);
	}
	for (int i = 0; i < 20; i++)
		fixture_turn(f);
	for (int i = 0; i < 400; i++) {
		int fd = fixture_accept(f, listener, NULL);

		accepted += fd >= 0;
		close(fd);
	}
	assert_int_equal(accepted, 400);
	for (size_t i = 0; i < 400; i++)
		close(clients[i]);
	close(listener);
	one_free(&o);
}

static void ten_thousand_connections(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp");
	int listener = fixture_listen(f, o.door, "0.0.0.0", 80), good = 0;

	for (int i = 0; i < 10000; i++) {
		int fd = client(SOCK_STREAM, "127.0.0.1", port), in = fixture_accept(f, listener, NULL);
		uint32_t got = 0;

		good += fd >= 0 && in >= 0 && write(fd, &i, sizeof i) == sizeof i &&
			read(in, &got, sizeof got) == sizeof got && got == (uint32_t)i;
		close(fd);
		close(in);
	}
	assert_int_equal(good, 10000);
	close(listener);
	one_free(&o);
}

/* ---- UDP ---- */

static int udp_open(struct net_fixture *f, int door, const char *ip, uint16_t port)
{
	struct net_request req = fixture_udp(NET_BIND);
	struct net_reply reply;
	int channel;

	req.local = fixture_address(ip, port);
	req.domain = req.local.family;
	return fixture_ask(f, door, &req, -1, &reply, &channel) < 0 ? reply.result : channel;
}

static void datagrams_and_their_answers(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "udp");
	int channel = udp_open(f, o.door, "0.0.0.0", 80), a = client(SOCK_DGRAM, "127.0.0.1", port),
	    b = client(SOCK_DGRAM, "127.0.0.1", port);
	struct net_address from_a, from_b;
	char text[16] = "", ip[46];

	assert_true(port && channel >= 0);
	assert_int_equal(send(a, "ping", 4, 0), 4);
	assert_int_equal(fixture_datagram_from(f, channel, &from_a, text, sizeof text), 4);
	assert_memory_equal(text, "ping", 4);
	assert_int_equal(send(b, "pong!", 5, 0), 5);
	assert_int_equal(fixture_datagram_from(f, channel, &from_b, text, sizeof text), 5);
	assert_int_not_equal(from_a.port, from_b.port);
	net_format_ip(from_a.ip, ip);
	assert_string_equal(ip, "172.20.0.1");
	assert_int_equal(fixture_datagram_to(channel, ip, from_a.port, "to a", 4), 0);
	assert_int_equal(fixture_datagram_to(channel, ip, from_b.port, "to b", 4), 0);
	assert_true(fixture_wait(f, a) && fixture_wait(f, b));
	assert_int_equal(recv(a, text, sizeof text, MSG_DONTWAIT), 4);
	assert_memory_equal(text, "to a", 4);
	assert_int_equal(recv(b, text, sizeof text, MSG_DONTWAIT), 4);
	assert_memory_equal(text, "to b", 4);
	close(a);
	close(b);
	close(channel);
	one_free(&o);
}

/* ---- services of the daemon ---- */

static int served = -1;
static struct net_arrival served_from;

static void on_served(void *arg, int take_fd, const struct net_arrival *from)
{
	(void)arg;
	if (served >= 0)
		close(served);
	served = take_fd;
	served_from = *from;
}

static void services_of_the_daemon(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f);
	struct net_service *s, *again;
	uint16_t port = publish(o.ns, "127.0.0.1", 0, 0, "tcp");
	int fd;
	char c;

	assert_int_equal(netns_serve(o.ns, 80, on_served, NULL, &s, NULL), 0);
	assert_int_equal(netns_serve(o.ns, 80, on_served, NULL, &again, NULL), -EADDRINUSE);
	assert_true(netns_is_listening(o.ns, 80));
	fd = fixture_connect(f, o.door, "172.20.0.2", 80, NULL);
	assert_true(fd >= 0 && served >= 0);
	assert_int_equal(read(served, &c, 1), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	close(served);
	served = -1;
	fd = client(SOCK_STREAM, "127.0.0.1", port);
	assert_true(fd >= 0);
	for (int i = 0; i < 100 && served < 0; i++)
		uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_true(served >= 0);
	assert_int_equal(served_from.local.port, 80);
	close(served);
	served = -1;
	close(fd);
	net_service_free(s);
	assert_false(netns_is_listening(o.ns, 80));
	one_free(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ports_that_are_taken),     TEST(a_range_takes_the_first_free_port),
		TEST(nobody_listens_inside),    TEST(a_connection_is_handed_over),
		TEST(ipv6_of_the_host),         TEST(a_slow_listener),
		TEST(ten_thousand_connections), TEST(datagrams_and_their_answers),
		TEST(services_of_the_daemon),   TEST(a_connection_before_its_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
