/* Addresses, prefixes, subnets and what is taken of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "network/ipam.h"
#include "util/clock.h"

static struct ip ip(const char *text)
{
	struct ip a;

	assert_int_equal(ip_parse(text, &a, NULL), 0);
	return a;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p, NULL), 0);
	return p;
}

static void assert_ip(struct ip a, const char *text)
{
	char got[IP_TEXT_MAX];

	ip_format(a, got);
	assert_string_equal(got, text);
}

static void assert_prefix(struct prefix p, const char *text)
{
	char got[PREFIX_TEXT_MAX];

	prefix_format(p, got);
	assert_string_equal(got, text);
}

/* ---- texts ---- */

static void test_addresses(void **state)
{
	static const char *const same[] = { "1.2.3.4", "0.0.0.0", "255.255.255.255", "fd00::1", "2001:db8::" };
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "x", "unable to parse IP" },
		{ "1.2.3", "IPv4 address too short" },
		{ "1.2.3.4.5", "IPv4 address too long" },
		{ "1.2.3.256", "IPv4 field has value >255" },
		{ "1.2.3.04", "IPv4 field has octet with leading zero" },
		{ "1..3.4", "IPv4 field must have at least one digit" },
		{ "1.2.3.x", "unexpected character" },
		{ "fd00:::1", "each colon-separated field must have at least one digit" },
	};
	uint8_t bytes[16];

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_ip(ip(same[i]), same[i]);
		ip_to_bytes(ip(same[i]), bytes);
		assert_ip(ip_from_bytes(bytes), same[i]);
	}
	assert_ip(ip("::ffff:1.2.3.4"), "1.2.3.4");
	assert_true(ip_is_none(ip("")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct ip a;

		assert_int_equal(ip_parse(bad[i].text, &a, &err), -EINVAL);
		assert_non_null(strstr(err.message, bad[i].why));
	}
}

static void test_prefixes(void **state)
{
	static const char *const bad[] = { "1.2.3.4",    "/8",         "1.2.3.4/33", "fd00::/129",
					   "1.2.3.4/-1", "1.2.3.4/08", "1.2.3.4/8x", "x/8" };
	struct prefix p;

	(void)state;
	assert_prefix(prefix("10.1.2.3/8"), "10.1.2.3/8");
	assert_prefix(prefix_masked(prefix("10.1.2.3/8")), "10.0.0.0/8");
	assert_prefix(prefix_masked(prefix("fd00:1:2::3/48")), "fd00:1:2::/48");
	assert_prefix(prefix_masked(prefix("9.9.9.9/0")), "0.0.0.0/0");
	assert_ip(prefix_last(prefix("10.0.0.0/30")), "10.0.0.3");
	assert_true(prefix_contains(prefix("10.0.0.0/30"), ip("10.0.0.3")));
	assert_false(prefix_contains(prefix("10.0.0.0/30"), ip("10.0.0.4")));
	assert_false(prefix_contains(prefix("0.0.0.0/0"), ip("fd00::1")));
	assert_true(prefix_overlaps(prefix("10.0.0.0/8"), prefix("10.9.0.0/16")));
	assert_false(prefix_overlaps(prefix("10.0.0.0/9"), prefix("10.128.0.0/9")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(prefix_parse(bad[i], &p, NULL), -EINVAL);
}

static void test_macs(void **state)
{
	static const char *const good[] = { "02:42:ac:11:00:0A", "02-42-AC-11-00-0a", "0242.ac11.000a" };
	static const char *const bad[] = { "x",
					   "02:42:ac:11:00",
					   "02:42:ac:11:00:0a:",
					   "02:42:ac:11:00:0a:01",
					   "02:42-ac:11:00:0a",
					   "0242ac11000a",
					   "02:42:ac:11:00:0",
					   "02:42:ac:11:00:g0",
					   ":02:42:ac:11:00:0a",
					   "" };
	uint8_t mac[6];
	char text[18];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(mac_parse(good[i], mac, NULL), 0);
		mac_format(mac, text);
		assert_string_equal(text, "02:42:ac:11:00:0a");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(mac_parse(bad[i], mac, NULL), -EINVAL);
}

/* ---- subnets ---- */

static int setup(void **state)
{
	struct ipam *all = ipam_new();

	for (size_t i = 0; i < ipam_default_npools; i++)
		assert_int_equal(ipam_add_pool(all, ipam_default_pools[i], NULL), 0);
	assert_int_equal(ipam_add_pool(all, ipam_ula_pool("a daemon"), NULL), 0);
	*state = all;
	return 0;
}

static int teardown(void **state)
{
	ipam_free(*state);
	return 0;
}

static struct ipam_subnet *any(struct ipam *all, const char *text)
{
	struct ipam_subnet *s = NULL;

	assert_int_equal(ipam_take_any_subnet(all, false, 0, NULL, 0, &s, NULL), 0);
	assert_prefix(ipam_subnet_prefix(s), text);
	return s;
}

static void test_default_pools(void **state)
{
	struct ipam *all = *state;
	struct ipam_subnet *s, *second = NULL;
	struct error err = { 0 };
	char text[32];

	for (int i = 17; i < 32; i++) {
		snprintf(text, sizeof(text), "172.%d.0.0/16", i);
		s = any(all, text);
		if (i == 18)
			second = s;
	}
	for (int i = 0; i < 256; i += 16) {
		snprintf(text, sizeof(text), "192.168.%d.0/20", i);
		any(all, text);
	}
	assert_int_equal(ipam_take_any_subnet(all, false, 0, NULL, 0, &s, &err), -EINVAL);
	assert_string_equal(err.message, "all predefined address pools have been fully subnetted");
	ipam_release_subnet(all, second);
	any(all, "172.18.0.0/16");
}

static void test_what_is_avoided(void **state)
{
	struct prefix avoid[] = { prefix("172.16.0.0/12"), prefix("192.168.1.0/24"), prefix("192.168.33.7/32") };
	struct ipam *all = *state;
	struct ipam_subnet *s;

	assert_int_equal(ipam_take_any_subnet(all, false, 0, avoid, 3, &s, NULL), 0);
	assert_prefix(ipam_subnet_prefix(s), "192.168.16.0/20");
	assert_int_equal(ipam_take_any_subnet(all, false, 24, avoid, 3, &s, NULL), 0);
	assert_prefix(ipam_subnet_prefix(s), "192.168.0.0/24");
	assert_int_equal(ipam_take_any_subnet(all, false, 24, avoid, 3, &s, NULL), 0);
	assert_prefix(ipam_subnet_prefix(s), "192.168.2.0/24");
}

static void test_overlaps(void **state)
{
	static const char *const over[] = { "10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "10.1.255.255/32" };
	struct ipam *all = *state;
	struct ipam_subnet *s, *t;
	struct error err = { 0 };

	assert_int_equal(ipam_take_subnet(all, prefix("10.1.0.0/16"), &s, NULL), 0);
	for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
		assert_int_equal(ipam_take_subnet(all, prefix(over[i]), &t, &err), -EACCES);
		assert_string_equal(err.message, "invalid pool request: Pool overlaps with other one on this address space");
	}
	assert_int_equal(ipam_take_subnet(all, prefix("10.0.0.0/16"), &t, NULL), 0);
	assert_int_equal(ipam_take_subnet(all, prefix("10.2.0.0/16"), &t, NULL), 0);
	ipam_release_subnet(all, s);
	assert_int_equal(ipam_take_subnet(all, prefix("10.1.2.0/24"), &t, NULL), 0);
}

static void test_pools_of_the_user(void **state)
{
	static const char *const bad[] = { "base=10.0.0.0/8",     "size=24", "base=x,size=24", "base=10.0.0.0/8,size=0",
					   "base=10.0.0.0/8,x=1", "" };
	struct ipam *all = ipam_new();
	struct ipam_subnet *s;
	struct ipam_pool pool;

	(void)state;
	assert_int_equal(ipam_parse_pool("base=10.10.0.0/16,size=17", &pool, NULL), 0);
	assert_int_equal(ipam_add_pool(all, pool, NULL), 0);
	any(all, "10.10.0.0/17");
	any(all, "10.10.128.0/17");
	assert_int_equal(ipam_take_any_subnet(all, false, 0, NULL, 0, &s, NULL), -EINVAL);
	pool.size = 8;
	assert_int_equal(ipam_add_pool(all, pool, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ipam_parse_pool(bad[i], &pool, NULL), -EINVAL);
	ipam_free(all);
}

static void test_ula(void **state)
{
	struct ipam_pool a = ipam_ula_pool("a"), b = ipam_ula_pool("b");
	struct ipam *all = *state;
	struct ipam_subnet *s, *t;
	char text[PREFIX_TEXT_MAX];
	struct ip first;

	assert_true(a.base.ip.n != b.base.ip.n);
	assert_true(ipam_ula_pool("a").base.ip.n == a.base.ip.n);
	prefix_format(a.base, text);
	assert_true(strncmp(text, "fd", 2) == 0 && strstr(text, "/48"));
	assert_int_equal(ipam_take_any_subnet(all, true, 0, NULL, 0, &s, NULL), 0);
	assert_int_equal(ipam_take_any_subnet(all, true, 0, NULL, 0, &t, NULL), 0);
	assert_int_equal(ipam_subnet_prefix(s).bits, 64);
	assert_false(prefix_overlaps(ipam_subnet_prefix(s), ipam_subnet_prefix(t)));
	assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &first), 0);
	assert_true(first.n == ipam_subnet_prefix(s).ip.n + 1); /* the first is all routers' */
	assert_true(ipam_available(s, (struct prefix){ 0 }) == UINT64_MAX - 1);
}

/* ---- addresses ---- */

static struct ipam_subnet *take(struct ipam *all, const char *text)
{
	struct ipam_subnet *s;

	assert_int_equal(ipam_take_subnet(all, prefix(text), &s, NULL), 0);
	return s;
}

static void assert_next(struct ipam_subnet *s, const char *range, const char *want)
{
	struct ip a;

	assert_int_equal(ipam_take_any(s, *range ? prefix(range) : (struct prefix){ 0 }, &a), 0);
	assert_ip(a, want);
}

static void test_small_subnet(void **state)
{
	struct ipam_subnet *s = take(*state, "10.5.0.0/29");
	struct error err = { 0 };
	struct ip a;

	assert_next(s, "", "10.5.0.1");
	assert_int_equal(ipam_take(s, ip("10.5.0.3"), NULL), 0);
	assert_next(s, "", "10.5.0.2");
	assert_next(s, "", "10.5.0.4");
	assert_next(s, "", "10.5.0.5");
	assert_int_equal(ipam_available(s, (struct prefix){ 0 }), 1);
	assert_next(s, "", "10.5.0.6");
	assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &a), -ENOSPC);
	assert_int_equal(ipam_in_use(s), 8);
	assert_int_equal(ipam_take(s, ip("10.5.0.3"), &err), -EACCES);
	assert_string_equal(err.message, "Address already in use");
	assert_int_equal(ipam_take(s, ip("10.5.0.0"), NULL), -EACCES);
	assert_int_equal(ipam_take(s, ip("10.5.0.7"), NULL), -EACCES);
	assert_int_equal(ipam_take(s, ip("10.5.0.8"), &err), -EINVAL);
	assert_string_equal(err.message, "requested address is out of range");
	ipam_give(s, ip("10.5.0.5"));
	ipam_give(s, ip("10.5.0.5")); /* once more: nothing */
	ipam_give(s, ip("10.6.0.5"));
	assert_next(s, "", "10.5.0.5");
}

static void test_range(void **state)
{
	struct ipam_subnet *s = take(*state, "10.5.0.0/16");
	struct ip a;

	assert_next(s, "10.5.9.0/30", "10.5.9.0");
	assert_next(s, "10.5.9.0/30", "10.5.9.1");
	assert_next(s, "", "10.5.0.1");
	assert_next(s, "10.5.9.0/30", "10.5.9.2");
	assert_int_equal(ipam_available(s, prefix("10.5.9.0/30")), 1);
	assert_next(s, "10.5.9.0/30", "10.5.9.3");
	assert_int_equal(ipam_take_any(s, prefix("10.5.9.0/30"), &a), -ENOSPC);
	assert_next(s, "", "10.5.0.2");
	assert_next(s, "10.5.255.252/30", "10.5.255.252");
	assert_true(ipam_is_taken(s, ip("10.5.255.255")));
}

static void test_points(void **state)
{
	struct ipam_subnet *two = take(*state, "10.5.0.0/31"), *one = take(*state, "10.6.0.1/32");
	struct ip a;

	assert_next(two, "", "10.5.0.0");
	assert_next(two, "", "10.5.0.1");
	assert_int_equal(ipam_take_any(two, (struct prefix){ 0 }, &a), -ENOSPC);
	assert_next(one, "", "10.6.0.1");
}

/* All of a /16, then every third back and again: in far less than the second that is allowed. */
static void test_large_subnet(void **state)
{
	struct ipam_subnet *s = take(*state, "10.5.0.0/16");
	int64_t begun = clock_monotonic_ns();
	struct ip a, first = ip("10.5.0.0");

	for (unsigned i = 1; i < 65535; i++) {
		assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &a), 0);
		assert_true(a.n == first.n + i);
	}
	assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &a), -ENOSPC);
	for (unsigned i = 3; i < 65535; i += 3)
		ipam_give(s, (struct ip){ first.n + i });
	for (unsigned i = 3; i < 65535; i += 3) {
		assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &a), 0);
		assert_true(a.n == first.n + i);
	}
	assert_int_equal(ipam_take_any(s, (struct prefix){ 0 }, &a), -ENOSPC);
	assert_int_equal(ipam_in_use(s), 65536);
	assert_true(clock_monotonic_ns() - begun < 1000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_macs),
		cmocka_unit_test_setup_teardown(test_default_pools, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_avoided, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlaps, setup, teardown),
		cmocka_unit_test(test_pools_of_the_user),
		cmocka_unit_test_setup_teardown(test_ula, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_subnet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_range, setup, teardown),
		cmocka_unit_test_setup_teardown(test_points, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_subnet, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
