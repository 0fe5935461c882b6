/* UDP ports of native containers: clients in the switch, a server on the host's loopback; and the table of clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/datagram_ports.h"
#include "network/flows.h"
#include "support/net-fixture.h"

static const uint8_t container_ip[16] = { [10] = 0xff, [11] = 0xff, [12] = 172, [13] = 20, [15] = 2 };

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* A server, or with a port a client. */
static int udp(uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in at = loopback(port);
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (port) {
		assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
		return fd;
	}
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

struct one {
	struct netns *ns;
	struct datagram_ports *ports;
	int server;
	uint16_t inside, outside;
};

static struct one one_new(struct net_fixture *f, size_t clients_max, int64_t idle_ns)
{
	struct one o = { .ns = fixture_ns(f), .ports = datagram_ports_new(&f->loop, clients_max, idle_ns) };
	struct net_publish p = { .host_ip = "127.0.0.1", .protocol = "udp" };
	struct error err = { 0 };

	o.server = udp(0, &o.inside);
	fixture_attach(o.ns, 20, 2);
	p.port = o.inside;
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &o.outside, &err), 0);
	assert_int_equal(datagram_ports_add(o.ports, o.ns, o.inside, &err), 0);
	return o;
}

static void one_free(struct one *o)
{
	datagram_ports_free(o->ports);
	close(o->server);
	netns_unref(o->ns);
}

/* What the server is told, and by whom: the socket that stands for the client. */
static struct sockaddr_in heard(struct net_fixture *f, const struct one *o, const char *expected)
{
	struct sockaddr_in from = { 0 };
	socklen_t len = sizeof from;
	char text[64];
	ssize_t n;

	assert_true(fixture_wait(f, o->server));
	n = recvfrom(o->server, text, sizeof text, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(text, expected, strlen(expected));
	return from;
}

static void answer(struct net_fixture *f, const struct one *o, struct sockaddr_in to, int client, const char *word)
{
	char text[64];

	assert_int_equal(sendto(o->server, word, strlen(word), 0, (struct sockaddr *)&to, sizeof to), strlen(word));
	assert_true(fixture_wait(f, client));
	assert_int_equal(recv(client, text, sizeof text, MSG_DONTWAIT), strlen(word));
	assert_memory_equal(text, word, strlen(word));
}

static void two_clients_and_an_empty_datagram(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f, NET_FLOWS_MAX, NET_FLOW_IDLE_NS);
	int a = udp(o.outside, NULL), b = udp(o.outside, NULL);
	struct sockaddr_in from_a, from_b;

	assert_int_equal(send(a, "from a", 6, 0), 6);
	from_a = heard(f, &o, "from a");
	assert_int_equal(send(b, "", 0, 0), 0);
	from_b = heard(f, &o, "");
	assert_int_not_equal(from_a.sin_port, from_b.sin_port);
	answer(f, &o, from_b, b, "to b");
	answer(f, &o, from_a, a, "to a");
	answer(f, &o, from_a, a, "");
	assert_int_equal(send(a, "again", 5, 0), 5);
	assert_int_equal(heard(f, &o, "again").sin_port, from_a.sin_port);
	assert_int_equal(datagram_ports_clients(o.ports), 2);
	close(a);
	close(b);
	one_free(&o);
}

static void a_neighbour(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f, NET_FLOWS_MAX, NET_FLOW_IDLE_NS);
	struct netns *other = fixture_ns(f);
	int door = netns_open_socket(other, NULL), channel;
	struct net_request req = fixture_udp(NET_OPEN);
	struct net_reply reply;
	struct net_address from;
	struct sockaddr_in client;
	char text[16], ip[46];

	fixture_attach(other, 20, 3);
	assert_int_equal(fixture_ask(f, door, &req, -1, &reply, &channel), 0);
	assert_int_equal(fixture_datagram_to(channel, "172.20.0.2", o.inside, "hello", 5), 0);
	client = heard(f, &o, "hello");
	assert_int_equal(sendto(o.server, "welcome", 7, 0, (struct sockaddr *)&client, sizeof client), 7);
	assert_int_equal(fixture_datagram_from(f, channel, &from, text, sizeof text), 7);
	net_format_ip(from.ip, ip);
	assert_string_equal(ip, "172.20.0.2");
	assert_int_equal(from.port, o.inside);
	close(channel);
	close(door);
	netns_unref(other);
	one_free(&o);
}

static void too_many_clients(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f, 3, NET_FLOW_IDLE_NS);
	int clients[5], before = net_fixture_count_fds();
	struct sockaddr_in from[5];
	char word[8];

	for (int i = 0; i < 5; i++) {
		clients[i] = udp(o.outside, NULL);
		snprintf(word, sizeof word, "%d", i);
		assert_int_equal(send(clients[i], word, 1, 0), 1);
		from[i] = heard(f, &o, word);
	}
	fixture_turn(f);
	assert_int_equal(datagram_ports_clients(o.ports), 3);
	assert_int_equal(net_fixture_count_fds() - before, 5 + 3);
	for (int i = 2; i < 5; i++)
		answer(f, &o, from[i], clients[i], "still there");
	/* The first has been forgotten: it is a new one. */
	assert_int_equal(send(clients[0], "back", 4, 0), 4);
	answer(f, &o, heard(f, &o, "back"), clients[0], "welcome");
	for (int i = 0; i < 5; i++)
		close(clients[i]);
	one_free(&o);
}

static void idle_clients_lose_their_sockets(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f, NET_FLOWS_MAX, 50000000);
	int client = udp(o.outside, NULL), before = net_fixture_count_fds();

	assert_int_equal(send(client, "x", 1, 0), 1);
	heard(f, &o, "x");
	for (int i = 0; i < 5000 && datagram_ports_clients(o.ports) > 0; i++) {
		fixture_turn(f);
		usleep(1000);
	}
	fixture_turn(f);
	assert_int_equal(datagram_ports_clients(o.ports), 0);
	assert_int_equal(net_fixture_count_fds(), before);
	close(client);
	one_free(&o);
}

static void nobody_listens_yet(void **state)
{
	struct net_fixture *f = *state;
	struct one o = one_new(f, NET_FLOWS_MAX, NET_FLOW_IDLE_NS);
	int client = udp(o.outside, NULL);
	struct sockaddr_in at = loopback(o.inside);

	close(o.server);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(send(client, "lost", 4, 0), 4);
		fixture_turn(f);
	}
	o.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(o.server, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(send(client, "heard", 5, 0), 5);
	answer(f, &o, heard(f, &o, "heard"), client, "yes");
	close(client);
	one_free(&o);
}

static void its_own_number(void **state)
{
	struct net_fixture *f = *state;
	struct one o = { .ns = fixture_ns(f), .ports = datagram_ports_new(&f->loop, 4, NET_FLOW_IDLE_NS) };
	struct net_publish p = { .host_ip = "127.0.0.1", .protocol = "udp" };
	struct sockaddr_in at;
	struct error err = { 0 };
	uint16_t bound;

	fixture_attach(o.ns, 20, 2);
	close(udp(0, &o.inside));
	p.host_port_first = p.port = o.inside;
	at = loopback(o.inside);
	assert_int_equal(netns_publish(o.ns, &p, container_ip, &bound, &err), 0);
	o.server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(o.server, (struct sockaddr *)&at, sizeof at), -1);
	netns_unpublish_same(o.ns, "tcp", o.inside);
	assert_int_equal(bind(o.server, (struct sockaddr *)&at, sizeof at), -1);
	netns_unpublish_same(o.ns, "udp", o.inside);
	assert_int_equal(bind(o.server, (struct sockaddr *)&at, sizeof at), 0);
	one_free(&o);
}

/* ---- the table ---- */

static size_t forgotten;

static void on_forgotten(struct net_flow *flow)
{
	(void)flow;
	forgotten++;
}

static void the_table(void **state)
{
	struct net_address a = fixture_address("10.0.0.1", 1000), b = fixture_address("10.0.0.2", 1000);
	struct net_flow flows[4];
	struct net_flows t;

	(void)state;
	forgotten = 0;
	net_flows_init(&t, 2, 100, on_forgotten);
	assert_int_equal(net_flows_expire(&t, 0), 0);
	net_flows_add(&t, &flows[0], 53, &a, 0);
	net_flows_add(&t, &flows[1], 53, &b, 10);
	assert_ptr_equal(net_flows_find(&t, 53, &a, 99), &flows[0]);
	assert_ptr_equal(net_flows_find(&t, 53, &b, 99), &flows[1]);
	assert_null(net_flows_find(&t, 54, &a, 99)); /* of another port */
	assert_null(net_flows_find(&t, 53, &a, 100));
	net_flows_use(&t, &flows[0], 50);
	assert_ptr_equal(net_flows_find(&t, 53, &a, 100), &flows[0]);
	net_flows_add(&t, &flows[2], 54, &a, 60); /* b was the longest idle */
	assert_int_equal(forgotten, 1);
	assert_null(net_flows_find(&t, 53, &b, 60));
	assert_int_equal(net_flows_expire(&t, 70), 80);
	assert_int_equal(net_flows_expire(&t, 150), 10);
	assert_int_equal(forgotten, 2);
	net_flows_done(&t);
	assert_int_equal(forgotten, 3);
	assert_int_equal(t.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_clients_and_an_empty_datagram),
		TEST(a_neighbour),
		TEST(too_many_clients),
		TEST(idle_clients_lose_their_sockets),
		TEST(nobody_listens_yet),
		TEST(its_own_number),
		cmocka_unit_test(the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
