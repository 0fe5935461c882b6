/* Times as the Engine API writes and reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/clock.h"

#define S 1000000000LL

static void test_format(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0001-01-01T00:00:00Z" },
		{ 1, "1970-01-01T00:00:00.000000001Z" },
		{ 1136073600 * S, "2006-01-01T00:00:00Z" },
		{ 1136073600 * S + 120000000, "2006-01-01T00:00:00.12Z" },
		{ -1, "1969-12-31T23:59:59.999999999Z" },
		{ -S, "1969-12-31T23:59:59Z" },
	};
	char text[CLOCK_RFC3339_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		clock_format_rfc3339(cases[i].ns, text);
		assert_string_equal(text, cases[i].text);
	}
	clock_format_rfc3339_fixed(1136073600 * S, text);
	assert_string_equal(text, "2006-01-01T00:00:00.000000000Z");
	clock_format_rfc3339(INT64_MAX, text);
	clock_format_rfc3339(INT64_MIN, text);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 },           { "1s", S },           { "-1m", -60 * S },
		{ "1.5h", 5400 * S }, { "1h30m", 5400 * S }, { "300ms", 300000000 },
		{ "2us", 2000 },      { "2µs", 2000 },       { "7ns", 7 },
		{ "+3s", 3 * S },     { ".5s", S / 2 },
	};
	static const char *const bad[] = { "",    "-",     "1",          "s",     "1x",     "1s ",
					   " 1s", "1h-3m", "999999999h", "0x10s", "1e400s", "nan" };
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse_duration(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(clock_parse_duration(bad[i], &ns) < 0);
}

static void test_timestamps(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "1136073600", 1136073600 * S },
		{ "1136073600.000000001", 1136073600 * S + 1 },
		{ "0", 0 },
		{ "2006-01-01T00:00:00Z", 1136073600 * S },
		{ "2006-01-01T01:00:00+01:00", 1136073600 * S },
		{ "2006-01-01T00:00:00.5Z", 1136073600 * S + S / 2 },
		{ "2006-01-01", 1136073600 * S },
		{ "2006-01-01T00:00", 1136073600 * S },
		{ "10m", 1000 * S - 600 * S },
	};
	static const char *const bad[] = {
		"", "yesterday", "2006-13-01", "2006-01-01T00:00:00+1", "99999999999999999999", "9999-01-01", "0001-01-01", "-9200000000000000000ns"
	};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(clock_parse_timestamp(good[i].text, 1000 * S, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(clock_parse_timestamp(bad[i], INT64_MAX - S, &ns) < 0);
}

static void test_round_trip(void **state)
{
	int64_t ns, back;
	char text[CLOCK_RFC3339_MAX];

	(void)state;
	for (int i = 1; i < 2000; i++) {
		ns = (int64_t)i * 900719925474099;
		clock_format_rfc3339(ns, text);
		assert_int_equal(clock_parse_timestamp(text, 0, &back), 0);
		assert_int_equal(back, ns);
	}
	assert_true(clock_monotonic_ns() <= clock_monotonic_ns());
}

static void test_durations_are_printed(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} all[] = { { 0, "0s" },
		    { 1, "1ns" },
		    { 1100, "1.1\xc2\xb5s" },
		    { 150000000, "150ms" },
		    { 2200000, "2.2ms" },
		    { 1000000000, "1s" },
		    { 1500000000, "1.5s" },
		    { 30000000000, "30s" },
		    { 60000000000, "1m0s" },
		    { 3661001000000, "1h1m1.001s" },
		    { -90000000000, "-1m30s" },
		    { INT64_MIN, "-2562047h47m16.854775808s" },
		    { INT64_MAX, "2562047h47m16.854775807s" } };
	char text[CLOCK_DURATION_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		clock_format_duration(all[i].ns, text);
		assert_string_equal(text, all[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations_are_printed),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_timestamps),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests_name("util_clock", tests, NULL, NULL);
}
