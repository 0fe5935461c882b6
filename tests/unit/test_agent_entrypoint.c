/* Commands wrapped into agents, and those that only keep a container alive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/entrypoint.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void test_keep_alive(void **state)
{
	(void)state;
	assert_true(entrypoint_is_keep_alive(ARGV("tail", "-f", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("tail", "-F", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("/usr/bin/tail", "--follow", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("tail", "/dev/null", "-f")));
	assert_true(entrypoint_is_keep_alive(ARGV("tail", "-n", "0", "-f", "--", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("tail", "-n0", "-f", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("busybox", "tail", "-f", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("sh", "-c", "tail -f /dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("/bin/bash", "-c", " exec  tail -f '/dev/null' ; ")));
	assert_true(entrypoint_is_keep_alive(ARGV("/bin/sh", "-ec", "/usr/bin/tail -F \"/dev/null\"")));
	assert_true(entrypoint_is_keep_alive(ARGV("tini", "--", "tail", "-f", "/dev/null")));
	assert_true(entrypoint_is_keep_alive(ARGV("/usr/bin/env", "tail", "-f", "/dev/null")));
}

static void test_not_keep_alive(void **state)
{
	const char *const nothing[] = { NULL };

	(void)state;
	assert_false(entrypoint_is_keep_alive(nothing));
	assert_false(entrypoint_is_keep_alive(ARGV("tail", "/dev/null")));
	assert_false(entrypoint_is_keep_alive(ARGV("tail", "-f", "/var/log/x")));
	assert_false(entrypoint_is_keep_alive(ARGV("tail", "-f", "/dev/null", "/var/log/x")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "-c", "start && tail -f /dev/null")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "-c", "tail -f /dev/null | cat")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "-c", "tail -f $FILE")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "-c", "tail -f /dev/null", "x")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "-c", "")));
	assert_false(entrypoint_is_keep_alive(ARGV("sh", "tail -f /dev/null")));
	assert_false(entrypoint_is_keep_alive(ARGV("head", "-f", "/dev/null")));
	assert_false(entrypoint_is_keep_alive(ARGV("mytail", "-f", "/dev/null")));
}

static void assert_line(char **argv, const char *expected)
{
	char *line = entrypoint_quote((const char *const *)argv);

	assert_string_equal(line, expected);
	free(line);
	entrypoint_free(argv);
}

static void test_builders(void **state)
{
	(void)state;
	assert_line(entrypoint_forward("/a", ":9111", ARGV("sh", "-c", "it's")),
		    "'/a' '--addr' ':9111' '--keep-alive' '--' 'sh' '-c' 'it'\\''s'");
	assert_line(entrypoint_reverse("/a", "ws://h/p?id=1", ARGV("true", "")),
		    "'/a' '--callback' 'ws://h/p?id=1' '--keep-alive' '--' 'true' ''");
	assert_line(entrypoint_forward("/a", ":9111", ARGV("tail", "-f", "/dev/null")), "'/a' '--addr' ':9111'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_not_keep_alive),
		cmocka_unit_test(test_builders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
