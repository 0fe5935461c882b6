/* Names: what the server at 127.0.0.11 knows itself, and whom it asks about the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/dns.h"
#include "support/net-fixture.h"

/* ---- messages ---- */

static size_t put_name(uint8_t *at, const char *name)
{
	size_t n = 0;

	while (*name) {
		size_t len = strcspn(name, ".");

		at[n++] = (uint8_t)len;
		memcpy(at + n, name, len);
		n += len;
		name += len + (name[len] == '.');
	}
	at[n++] = 0;
	return n;
}

static size_t make_query(uint8_t *msg, const char *name, uint16_t type)
{
	size_t n = DNS_HEADER;

	memset(msg, 0, DNS_HEADER);
	memcpy(msg, "\x12\x34\x01\x00\x00\x01", 6);
	n += put_name(msg + n, name);
	msg[n++] = (uint8_t)(type >> 8);
	msg[n++] = (uint8_t)type;
	msg[n++] = 0;
	msg[n++] = 1;
	return n;
}

static unsigned rcode(const uint8_t *msg)
{
	return msg[3] & 15;
}

static unsigned count(const uint8_t *msg)
{
	return (unsigned)(msg[6] << 8 | msg[7]);
}

static void odd_messages(void **state)
{
	static const uint8_t endless[] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 'a' };
	static const uint8_t pointer[] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1 };
	uint8_t msg[512], answer[512];
	struct dns_question q;
	size_t n = make_query(msg, "web", DNS_A);

	(void)state;
	assert_int_equal(dns_parse_query(msg, 11, &q), -EINVAL);
	for (size_t len = DNS_HEADER; len < n; len++)
		assert_int_equal(dns_parse_query(msg, len, &q), -EBADMSG);
	assert_int_equal(dns_parse_query(msg, n, &q), 0);
	assert_string_equal(q.name, "web");
	assert_int_equal(dns_parse_query(endless, sizeof endless, &q), -EBADMSG);
	assert_int_equal(dns_parse_query(pointer, sizeof pointer, &q), -EBADMSG);
	msg[2] = 0x28; /* an update */
	assert_int_equal(dns_parse_query(msg, n, &q), -ENOTSUP);
	assert_int_equal(dns_build_answer(msg, &q, DNS_NOTIMP, NULL, 0, answer, sizeof answer), DNS_HEADER);
	assert_int_equal(rcode(answer), DNS_NOTIMP);
	msg[2] = 0x80; /* an answer */
	assert_int_equal(dns_parse_query(msg, n, &q), -EINVAL);
}

static void what_does_not_fit_is_left_out(void **state)
{
	struct dns_record records[40] = { 0 };
	uint8_t msg[512], answer[DNS_UDP_MAX];
	struct dns_question q;
	size_t n = make_query(msg, "Web.Example", DNS_A);

	(void)state;
	for (size_t i = 0; i < 40; i++)
		records[i].type = DNS_A;
	assert_int_equal(dns_parse_query(msg, n, &q), 0);
	assert_string_equal(q.name, "web.example");
	assert_int_equal(q.answer_bytes, DNS_UDP_MAX);
	n = dns_build_answer(msg, &q, DNS_OK, records, 40, answer, sizeof answer);
	assert_true(n <= DNS_UDP_MAX && n > DNS_UDP_MAX - 16);
	assert_true(dns_is_truncated(answer));
	assert_memory_equal(answer + DNS_HEADER, "\3Web", 4); /* as it was asked */
	assert_true(dns_is_answer(answer, n, msg, q.end, 0x1234));
	assert_false(dns_is_answer(answer, n, msg, q.end, 0x1235));
	answer[DNS_HEADER + 1] = 'x';
	assert_false(dns_is_answer(answer, n, msg, q.end, 0x1234));
}

static void names_of_addresses(void **state)
{
	uint8_t ip[16];
	char text[46];

	(void)state;
	assert_true(dns_parse_reverse("3.0.20.172.in-addr.arpa", ip));
	net_format_ip(ip, text);
	assert_string_equal(text, "172.20.0.3");
	assert_true(dns_parse_reverse("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ip));
	net_format_ip(ip, text);
	assert_string_equal(text, "2001:db8::1");
	assert_false(dns_parse_reverse("300.0.20.172.in-addr.arpa", ip));
	assert_false(dns_parse_reverse("0.20.172.in-addr.arpa", ip));
	assert_false(dns_parse_reverse("x.0.20.172.in-addr.arpa", ip));
	assert_false(dns_parse_reverse("1.0.ip6.arpa", ip));
	assert_false(dns_parse_reverse("web", ip));
}

/* ---- a namespace that asks ---- */

struct asking {
	struct netns *ns, *web, *second, *stranger;
	int door, channel;
	uint8_t msg[4096];
	size_t len;
};

static struct netns *named(struct net_fixture *f, unsigned network, unsigned host, const char *name)
{
	struct netns *ns = fixture_ns(f);
	struct netns_endpoint ep = fixture_endpoint(network, host);
	const char *names[] = { name, "shared", NULL };

	ep.names = names;
	assert_int_equal(netns_attach(ns, &ep, NULL), 0);
	return ns;
}

static struct asking *asking_new(struct net_fixture *f)
{
	static const char *const links[] = { "db", "web", NULL };
	struct asking *a = calloc(1, sizeof *a);
	struct netns_endpoint ep = fixture_endpoint(20, 2);
	struct net_request req = fixture_udp(NET_OPEN);
	struct net_reply reply;

	ep.links = links;
	a->ns = fixture_ns(f);
	assert_int_equal(netns_attach(a->ns, &ep, NULL), 0);
	a->web = named(f, 20, 3, "web");
	a->second = named(f, 20, 4, "second");
	a->stranger = named(f, 21, 3, "stranger");
	a->door = netns_open_socket(a->ns, NULL);
	assert_int_equal(fixture_ask(f, a->door, &req, -1, &reply, &a->channel), 0);
	return a;
}

static void asking_free(struct asking *a)
{
	close(a->channel);
	close(a->door);
	netns_unref(a->ns);
	netns_unref(a->web);
	netns_unref(a->second);
	netns_unref(a->stranger);
	free(a);
}

/* The answer is in a->msg. */
static void ask(struct net_fixture *f, struct asking *a, const char *name, uint16_t type)
{
	struct net_address from;
	int n;

	a->len = make_query(a->msg, name, type);
	assert_int_equal(fixture_datagram_to(a->channel, "127.0.0.11", 53, a->msg, a->len), 0);
	n = fixture_datagram_from(f, a->channel, &from, a->msg, sizeof a->msg);
	assert_true(n >= DNS_HEADER);
	assert_int_equal(from.port, 53);
	assert_memory_equal(from.ip, fixture_address("127.0.0.11", 0).ip, 16);
	assert_memory_equal(a->msg, "\x12\x34", 2);
	a->len = (size_t)n;
}

static void assert_ip(const struct asking *a, const char *ip)
{
	assert_int_equal(rcode(a->msg), DNS_OK);
	assert_int_equal(count(a->msg), 1);
	assert_memory_equal(a->msg + a->len - 4, fixture_address(ip, 0).ip + 12, 4);
}

static void set_server(struct asking *a, const char *server, const char *second)
{
	const char *servers[] = { server, second, NULL };

	netns_set_dns(a->ns, &(struct netns_dns){ .servers = servers });
}

static void neighbours_by_name(void **state)
{
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);

	ask(f, a, "web", DNS_A);
	assert_ip(a, "172.20.0.3");
	ask(f, a, "WEB", DNS_A);
	assert_ip(a, "172.20.0.3");
	ask(f, a, "web.net20", DNS_A);
	assert_ip(a, "172.20.0.3");
	ask(f, a, "db", DNS_A); /* a link */
	assert_ip(a, "172.20.0.3");
	ask(f, a, "web", DNS_AAAA);
	assert_int_equal(rcode(a->msg), DNS_OK);
	assert_int_equal(count(a->msg), 0);
	ask(f, a, "web", 15); /* MX */
	assert_int_equal(rcode(a->msg), DNS_OK);
	assert_int_equal(count(a->msg), 0);
	ask(f, a, "shared", DNS_A);
	assert_int_equal(count(a->msg), 2);
	ask(f, a, "3.0.20.172.in-addr.arpa", DNS_PTR);
	assert_int_equal(count(a->msg), 1);
	assert_memory_equal(a->msg + a->len - 11, "\3web\5net20", 11);
	netns_detach(a->web, "net20");
	set_server(a, "nonsense", NULL);
	set_server(a, "127.0.0.1#1", NULL); /* nobody */
	ask(f, a, "web", DNS_A);
	assert_int_equal(rcode(a->msg), DNS_SERVFAIL);
	ask(f, a, "stranger", DNS_A);
	assert_int_equal(rcode(a->msg), DNS_SERVFAIL);
	asking_free(a);
}

static void extra_hosts_come_first(void **state)
{
	static const char *const hosts[] = { "web", "192.0.2.9", "bad", "nonsense", NULL };
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);

	netns_set_dns(a->ns, &(struct netns_dns){ .extra_hosts = hosts });
	ask(f, a, "web", DNS_A);
	assert_ip(a, "192.0.2.9");
	asking_free(a);
}

static void no_way_out_no_question(void **state)
{
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);
	struct netns_endpoint ep = fixture_endpoint(22, 2);

	netns_detach(a->ns, "net20");
	ep.is_internal = true;
	assert_int_equal(netns_attach(a->ns, &ep, NULL), 0);
	ask(f, a, "example.com", DNS_A);
	assert_int_equal(rcode(a->msg), DNS_SERVFAIL);
	netns_detach(a->ns, "net22");
	assert_int_equal(fixture_connect(f, a->door, "127.0.0.11", 53, NULL), -ECONNREFUSED);
	asking_free(a);
}

/* ---- servers elsewhere ---- */

static int upstream(int type, char server[32])
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	snprintf(server, 32, "127.0.0.1#%u", ntohs(in.sin_port));
	return fd;
}

static size_t reply_to(uint8_t *msg, size_t n)
{
	static const struct dns_record record = { .type = DNS_A, .ip = { [12] = 192, [14] = 2, [15] = 7 } };
	struct dns_question q;
	uint8_t answer[DNS_UDP_MAX];

	assert_int_equal(dns_parse_query(msg, n, &q), 0);
	n = dns_build_answer(msg, &q, DNS_OK, &record, 1, answer, sizeof answer);
	memcpy(msg, answer, n);
	return n;
}

static void asked_by_udp(void **state)
{
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);
	char server[32];
	int up = upstream(SOCK_DGRAM, server), n;
	struct sockaddr_in from;
	socklen_t len = sizeof from;
	uint8_t msg[512];

	set_server(a, "127.0.0.1#1", server); /* the first refuses */
	n = (int)make_query(msg, "example.com", DNS_A);
	assert_int_equal(fixture_datagram_to(a->channel, "127.0.0.11", 53, msg, (size_t)n), 0);
	assert_true(fixture_wait(f, up));
	n = (int)recvfrom(up, msg, sizeof msg, 0, (struct sockaddr *)&from, &len);
	assert_true(n > 0);
	n = (int)reply_to(msg, (size_t)n);
	msg[0] ^= 1; /* somebody guesses the id */
	assert_int_equal(sendto(up, msg, (size_t)n, 0, (struct sockaddr *)&from, len), n);
	fixture_turn(f);
	msg[0] ^= 1;
	msg[DNS_HEADER + 1] ^= 1; /* another question */
	assert_int_equal(sendto(up, msg, (size_t)n, 0, (struct sockaddr *)&from, len), n);
	fixture_turn(f);
	msg[DNS_HEADER + 1] ^= 1;
	assert_int_equal(sendto(up, msg, (size_t)n, 0, (struct sockaddr *)&from, len), n);
	n = fixture_datagram_from(f, a->channel, NULL, a->msg, sizeof a->msg);
	a->len = (size_t)n;
	assert_memory_equal(a->msg, "\x12\x34", 2);
	assert_ip(a, "192.0.2.7");
	close(up);
	asking_free(a);
}

static void a_silent_server_is_passed_by(void **state)
{
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);
	char server[32], path[] = "/tmp/resolv.XXXXXX";
	int up = upstream(SOCK_DGRAM, server), fd = mkstemp(path);
	struct net_switch *second;
	struct netns_endpoint ep = fixture_endpoint(20, 2);

	/* A switch of its own, whose host has a resolv.conf with that server. */
	dprintf(fd, "# comment\nnameserver %s\noptions ndots:1 timeout:1\n", server);
	assert_int_equal(net_switch_new(&f->loop, &(struct net_switch_options){ .resolv_conf = path }, &second, NULL), 0);
	close(a->door);
	close(a->channel);
	netns_unref(a->ns);
	a->ns = netns_new(second, NETNS_PRIVATE, "x");
	assert_int_equal(netns_attach(a->ns, &ep, NULL), 0);
	a->door = netns_open_socket(a->ns, NULL);
	assert_int_equal(fixture_ask(f, a->door, &(struct net_request){ .op = NET_OPEN, .domain = AF_INET, .type = SOCK_DGRAM },
				     -1, &(struct net_reply){ 0 }, &a->channel),
			 0);
	ask(f, a, "example.com", DNS_A);
	assert_int_equal(rcode(a->msg), DNS_SERVFAIL);
	unlink(path);
	close(fd);
	close(up);
	asking_free(a);
	net_switch_free(second);
}

static void asked_by_tcp(void **state)
{
	struct net_fixture *f = *state;
	struct asking *a = asking_new(f);
	char server[32];
	int up = upstream(SOCK_STREAM, server), fd, in;
	uint8_t msg[512];
	size_t n = make_query(msg + 2, "web", DNS_A);

	fd = fixture_connect(f, a->door, "127.0.0.11", 53, NULL);
	assert_true(fd >= 0);
	msg[0] = 0;
	msg[1] = (uint8_t)n;
	for (size_t i = 0; i < n + 2; i++) { /* byte by byte */
		assert_int_equal(write(fd, msg + i, 1), 1);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_true(fixture_wait(f, fd));
	n = (size_t)read(fd, msg, sizeof msg);
	assert_int_equal(msg[1], n - 2);
	assert_int_equal(count(msg + 2), 1);

	set_server(a, server, NULL);
	n = make_query(msg + 2, "example.com", DNS_A);
	msg[1] = (uint8_t)n;
	assert_int_equal(write(fd, msg, n + 2), n + 2);
	assert_true(fixture_wait(f, up));
	in = accept(up, NULL, NULL);
	assert_true(fixture_wait(f, in));
	n = (size_t)read(in, msg, sizeof msg);
	n = reply_to(msg + 2, n - 2);
	msg[1] = (uint8_t)n;
	assert_int_equal(write(in, msg, n + 2), n + 2);
	assert_true(fixture_wait(f, fd));
	n = (size_t)read(fd, msg, sizeof msg);
	assert_memory_equal(msg + 2, "\x12\x34", 2);
	assert_int_equal(count(msg + 2), 1);
	msg[0] = 0xff; /* longer than a question may be: the connection ends */
	assert_int_equal(write(fd, msg, 2), 2);
	assert_true(fixture_wait(f, fd));
	assert_int_equal(read(fd, msg, sizeof msg), 0);
	close(in);
	close(fd);
	close(up);
	asking_free(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_fixture_setup, net_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_messages),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(names_of_addresses),
		TEST(neighbours_by_name),
		TEST(extra_hosts_come_first),
		TEST(no_way_out_no_question),
		TEST(asked_by_udp),
		TEST(a_silent_server_is_passed_by),
		TEST(asked_by_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
