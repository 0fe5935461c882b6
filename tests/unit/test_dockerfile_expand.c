/* Variables, quotes and escapes of a Dockerfile's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dockerfile/expand.h"
#include "dockerfile/glob.h"

static const char *get(void *arg, const char *name)
{
	static const char *const known[][2] = { { "A", "a" },           { "EMPTY", "" },
						{ "TWO", "one two" },   { "P", "/usr/lib/x.tar.gz" },
						{ "N", "foo/bar/foo" }, { "LINES", "a\nb" },
						{ "U", "äöü" } };

	(void)arg;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i][0], name) == 0)
			return known[i][1];
	return NULL;
}

static const struct expand_source source = { get, NULL };

static void test_words(void **state)
{
	static const struct {
		const char *word, *wanted;
	} cases[] = {
		{ "plain", "plain" },
		{ "$A", "a" },
		{ "x${A}y", "xay" },
		{ "$AB", "" },
		{ "$A.b", "a.b" },
		{ "$", "$" },
		{ "$$A", "A" }, /* $$ is a special parameter, which is not set */
		{ "\\$A", "$A" },
		{ "'$A'", "$A" },
		{ "\"$A\"", "a" },
		{ "\"\\$A\"", "$A" },
		{ "\"a\\b\"", "a\\b" },
		{ "\"a\\\"b\"", "a\"b" },
		{ "a\\b", "ab" },
		{ "a\\", "a" },
		{ "''", "" },
		{ "\"'\"", "'" },
		{ "$1x", "x" },
		{ "$TWO", "one two" },
		{ "${NONE:-d}", "d" },
		{ "${EMPTY:-d}", "d" },
		{ "${EMPTY-d}", "" },
		{ "${NONE-d}", "d" },
		{ "${A:-d}", "a" },
		{ "${A:+y}", "y" },
		{ "${EMPTY:+y}", "" },
		{ "${EMPTY+y}", "y" },
		{ "${NONE+y}", "" },
		{ "${A:?no}", "a" },
		{ "${EMPTY?no}", "" },
		{ "${NONE:-${A}}", "a" },
		{ "${NONE:-${NONE:-$A}b}", "ab" },
		{ "${NONE:-'}'}", "}" },
		{ "${P#*/}", "usr/lib/x.tar.gz" },
		{ "${P##*/}", "x.tar.gz" },
		{ "${P%.*}", "/usr/lib/x.tar" },
		{ "${P%%.*}", "/usr/lib/x" },
		{ "${P#/usr}", "/lib/x.tar.gz" },
		{ "${P#lib}", "/usr/lib/x.tar.gz" },
		{ "${A#?}", "" },
		{ "${U#?}", "öü" },
		{ "${U%?}", "äö" },
		{ "${LINES#*b}", "a\nb" }, /* a star does not pass a line's end */
		{ "${N/foo/x}", "x/bar/foo" },
		{ "${N//foo/x}", "x/bar/x" },
		{ "${N//o/}", "f/bar/f" },
		{ "${N/b*r/-}", "foo/-/foo" },
		{ "${N//\\//_}", "foo_bar_foo" },
		{ "${NONE/a/b}", "" },
		{ "<<EOF", "<<EOF" },
		{ "a<b", "a<b" },
		{ "ünï$A", "ünïa" },
	};
	struct arena a = { 0 };
	char *got;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };

		if (expand_word(&a, cases[i].word, '\\', 0, &source, &got, &err) < 0)
			fail_msg("%s: %s", cases[i].word, err.message);
		if (strcmp(got, cases[i].wanted) != 0)
			fail_msg("%s: %s, wanted %s", cases[i].word, got, cases[i].wanted);
	}
	arena_done(&a);
}

static void test_errors(void **state)
{
	static const struct {
		const char *word, *wanted;
	} cases[] = {
		{ "${A", "failed to process \"${A\": syntax error: missing '}'" },
		{ "${", "failed to process \"${\": syntax error: missing '}'" },
		{ "${}", "failed to process \"${}\": syntax error: bad substitution" },
		{ "${:-x}", "failed to process \"${:-x}\": syntax error: bad substitution" },
		{ "${A:=x}", "failed to process \"${A:=x}\": unsupported modifier (:=) in substitution" },
		{ "${A@x}", "failed to process \"${A@x}\": unsupported modifier (@) in substitution" },
		{ "${A:#x}", "failed to process \"${A:#x}\": unsupported modifier (:#) in substitution" },
		{ "${NONE?gone}", "failed to process \"${NONE?gone}\": NONE: gone" },
		{ "${NONE?}", "failed to process \"${NONE?}\": NONE: is not allowed to be unset" },
		{ "${EMPTY:?}", "failed to process \"${EMPTY:?}\": EMPTY: is not allowed to be empty" },
		{ "'a", "failed to process \"'a\": unexpected end of statement while looking for matching single-quote" },
		{ "\"a", "failed to process \"\\\"a\": unexpected end of statement while looking for matching double-quote" },
		{ "${A/x", "failed to process \"${A/x\": syntax error: missing '/' in ${}" },
		{ "${A/x/y", "failed to process \"${A/x/y\": syntax error: missing '}'" },
		{ "${A#\\x}", "failed to process \"${A#\\\\x}\": invalid pattern (\\x) in substitution: invalid escape '\\x'" },
	};
	struct arena a = { 0 };
	char *got;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = { 0 };

		assert_true(expand_word(&a, cases[i].word, '\\', 0, &source, &got, &err) < 0);
		assert_string_equal(err.message, cases[i].wanted);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
	arena_done(&a);
}

static void test_splitting(void **state)
{
	static const struct {
		const char *text, *wanted; /* words joined by | */
	} cases[] = {
		{ "a b", "a|b" },
		{ "  a   b  ", "a|b" },
		{ "$TWO", "one|two" },
		{ "'$TWO' x", "$TWO|x" },
		{ "\"$TWO\" x", "one two|x" },
		{ "a\\ b", "a b" },
		{ "", "" },
		{ "<< EOF x", "<< EOF|x" },
		{ "80${EMPTY}81", "8081" },
	};
	struct arena a = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct words w = { 0 };

		assert_int_equal(expand_words(&a, cases[i].text, '\\', 0, &source, &w, NULL), 0);
		assert_string_equal(words_join(&a, &w, "|"), cases[i].wanted);
	}
	arena_done(&a);
}

static void test_other_escape_and_flags(void **state)
{
	struct arena a = { 0 };
	char *got;

	(void)state;
	assert_int_equal(expand_word(&a, "`$A\\x", '`', 0, &source, &got, NULL), 0);
	assert_string_equal(got, "$A\\x");
	assert_int_equal(expand_word(&a, "'$A' \"x\"", '\\', EXPAND_NO_QUOTES, &source, &got, NULL), 0);
	assert_string_equal(got, "'a' \"x\"");
	assert_int_equal(
		expand_word(&a, "${NO:-x} $NO '$A'", '\\', EXPAND_KEEP_UNSET | EXPAND_KEEP_QUOTES, &source, &got, NULL), 0);
	assert_string_equal(got, "${NO:-x} $NO '$A'");
	arena_done(&a);
}

/* What grows without end is refused. */
static const char *get_long(void *arg, const char *name)
{
	(void)name;
	return arg;
}

static void test_caps(void **state)
{
	char *value = calloc(1, 100001);
	struct expand_source big = { get_long, value };
	struct arena a = { 0 };
	struct error err = { 0 };
	char *got, deep[400] = "";

	(void)state;
	memset(value, 'x', 100000);
	assert_true(expand_word(&a, "$A$A$A", '\\', 0, &big, &got, &err) < 0);
	assert_non_null(strstr(err.message, "the expansion has more than"));
	for (int i = 0; i < 80; i++)
		strcat(deep, "${A-"); /* NOLINT: it fits */
	assert_true(expand_word(&a, deep, '\\', 0, &source, &got, &err) < 0);
	arena_done(&a);
	free(value);
}

static void test_path_patterns(void **state)
{
	static const struct {
		const char *pattern, *path;
		int wanted;
	} cases[] = {
		{ "*", "abc", 1 },    { "*", "a/b", 0 },       { "a*c", "abbc", 1 },  { "a*/b", "abc/b", 1 },
		{ "a?c", "abc", 1 },  { "a?c", "a/c", 0 },     { "[a-c]x", "bx", 1 }, { "[^a-c]x", "bx", 0 },
		{ "[^a]", "/", 0 },   { "a\\*", "a*", 1 },     { "a\\*", "ab", 0 },   { "*x*y", "axbxcy", 1 },
		{ "*/*", "a/b", 1 },  { "*/*", "a/b/c", 0 },   { "ä?", "äö", 1 },     { "[ä-ö]", "é", 1 },
		{ "[\\-x]", "-", 1 }, { "a*b*c", "abcbc", 1 }, { "a*b", "ab/b", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (glob_path_match(cases[i].pattern, cases[i].path) != cases[i].wanted)
			fail_msg("%s on %s", cases[i].pattern, cases[i].path);
	assert_false(glob_path_is_valid("["));
	assert_false(glob_path_is_valid("[]a]"));
	assert_false(glob_path_is_valid("a\\"));
	assert_false(glob_path_is_valid("[a-]"));
	assert_true(glob_path_is_valid("[a]*?\\["));
	assert_true(glob_path_has_wildcards("a[b]"));
	assert_false(glob_path_has_wildcards("a\\*b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),     cmocka_unit_test(test_errors),
		cmocka_unit_test(test_splitting), cmocka_unit_test(test_other_escape_and_flags),
		cmocka_unit_test(test_caps),      cmocka_unit_test(test_path_patterns),
	};

	return cmocka_run_group_tests_name("dockerfile_expand", tests, NULL, NULL);
}
