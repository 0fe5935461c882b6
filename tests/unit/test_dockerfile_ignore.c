/* .dockerignore: which paths are left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/ignore.h"

static void test_patterns(void **state)
{
	static const struct {
		const char *text, *path;
		int wanted;
	} cases[] = {
		{ "a", "a", 1 },
		{ "a", "a/b", 1 },
		{ "a", "ab", 0 },
		{ "a", "b/a", 0 },
		{ "/a", "a", 1 },
		{ "a/", "a/b/c", 1 },
		{ "./a/../b", "b", 1 },
		{ "  a  \n", "a", 1 },
		{ "#a\na", "#a", 0 },
		{ "*", "x", 1 },
		{ "*", "x/y", 1 },
		{ "*.go", "x.go", 1 },
		{ "*.go", "d/x.go", 0 },
		{ "**/*.go", "x.go", 1 },
		{ "**/*.go", "d/e/x.go", 1 },
		{ "**/x", "x", 1 },
		{ "**/x", "d/x", 1 },
		{ "**/x", "d/yx", 0 },
		{ "**", "anything/at/all", 1 },
		{ "a/**", "a/b", 1 },
		{ "a/**", "a", 0 },
		{ "a/**/b", "a/b", 1 },
		{ "a/**/b", "a/x/y/b", 1 },
		{ "a/**/b", "a/xb", 0 },
		{ "a?c", "abc", 1 },
		{ "a?c", "a/c", 0 },
		{ "[a-c]", "b", 1 },
		{ "[^a-c]", "b", 0 },
		{ "a.b", "axb", 0 },
		{ "a+(b)|{c}$", "a+(b)|{c}$", 1 },
		{ "\\*", "*", 1 },
		{ "\\*", "x", 0 },
		{ "*\n!a", "a", 0 },
		{ "*\n!a", "b", 1 },
		{ "*\n!a/b", "a/b", 0 },
		{ "*\n!a/b", "a/c", 1 },
		{ "a\n!a/b\na/b/c", "a/b/c", 1 },
		{ "a\n!a/b\na/b/c", "a/b/d", 0 },
		{ "!a\na", "a", 1 },
		{ "! a\n", "a", 0 },
		{ ".", "a", 0 },
		{ "", "a", 0 },
		{ "\xef\xbb\xbf"
		  "a",
		  "a", 1 },
		{ "d?/ü*", "dä/üx", 1 },
		{ "a\r\nb\r\n", "b", 1 },
		{ "**/a/**", "x/a/y", 1 },
		{ "a*/**", "ab/c/d", 1 },
		{ "**a", "xa", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ignore *g;

		assert_int_equal(ignore_parse(cases[i].text, &g, NULL), 0);
		if (ignore_matches(g, cases[i].path) != cases[i].wanted)
			fail_msg("case %zu: %s on %s", i, cases[i].text, cases[i].path);
		ignore_free(g);
	}
}

static void test_the_root_stays(void **state)
{
	struct ignore *g;

	(void)state;
	assert_int_equal(ignore_parse("**\n.\n", &g, NULL), 0);
	assert_false(ignore_matches(g, "."));
	ignore_free(g);
}

static void test_bad_patterns(void **state)
{
	static const char *const bad[][2] = { { "!", "illegal exclusion pattern: \"!\"" },
					      { "a[", "syntax error in pattern" },
					      { "a\\", "syntax error in pattern" } };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct ignore *g;

		assert_true(ignore_parse(bad[i][0], &g, &err) < 0);
		assert_string_equal(err.message, bad[i][1]);
	}
}

static void test_exceptions_are_told(void **state)
{
	struct ignore *g;

	(void)state;
	assert_int_equal(ignore_parse(NULL, &g, NULL), 0);
	assert_int_equal(ignore_count(g), 0);
	assert_false(ignore_has_exceptions(g));
	assert_int_equal(ignore_add(g, "!x", NULL), 0);
	assert_true(ignore_has_exceptions(g));
	ignore_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_the_root_stays),
		cmocka_unit_test(test_bad_patterns),
		cmocka_unit_test(test_exceptions_are_told),
	};

	return cmocka_run_group_tests_name("dockerfile_ignore", tests, NULL, NULL);
}
