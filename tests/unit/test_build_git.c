/* Contexts of Git repositories: what of a URL is what, and what git must never see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "build/git.h"
#include "build/remote.h"

static void test_parts(void **state)
{
	static const struct {
		const char *text, *url, *ref, *dir;
	} cases[] = {
		{ "https://h/x.git", "https://h/x.git", "HEAD", "" },
		{ "https://h/x.git#", "https://h/x.git", "HEAD", "" },
		{ "https://h/x.git#v1", "https://h/x.git", "v1", "" },
		{ "https://h/x.git#:d", "https://h/x.git", "HEAD", "d" },
		{ "https://h/x.git#a/b:d/e", "https://h/x.git", "a/b", "d/e" },
		{ "https://h/x.git#v1:a:b", "https://h/x.git", "v1", "a:b" },
		{ "git://h/x#0123abc", "git://h/x", "0123abc", "" },
		{ "git@h:o/x.git#v1", "git@h:o/x.git", "v1", "" },
		{ "github.com/o/x#v1", "https://github.com/o/x", "v1", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct git_source s;

		assert_true(remote_is_git(cases[i].text));
		assert_int_equal(git_source_parse(cases[i].text, &s, NULL), 0);
		assert_string_equal(s.url, cases[i].url);
		assert_string_equal(s.ref, cases[i].ref);
		assert_string_equal(s.dir, cases[i].dir);
		git_source_done(&s);
	}
}

static void test_refused(void **state)
{
	static const char *const refs[] = {
		"-u", "--upload-pack=x", "a..b", "a b",  "a~1",        "a^", "a?", "a*", "a[b]", "a\\b",
		"+a", "a@{1}",           "a\n",  "\177", "refs/heads/"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		struct git_source s;
		struct error err = { 0 };
		char text[300] = "https://h/x.git#";

		strcat(text, refs[i]);
		assert_int_not_equal(git_source_parse(text, &s, &err), 0);
		assert_non_null(strstr(err.message, "invalid refspec: "));
	}
	assert_int_not_equal(git_source_parse("https://h/x\n.git", &(struct git_source){ 0 }, NULL), 0);
	assert_int_not_equal(git_source_parse("https://h/x.git#v1:a\tb", &(struct git_source){ 0 }, NULL), 0);
}

static void test_what_is_none(void **state)
{
	static const char *const texts[] = {
		"",       "https://h/x",   "https://h/x.git/y", "ext::sh -c x.git",  "file:///x.git",
		"-u.git", "ssh://h/x.git", "./x.git",           "https://h/x#y.git", ".git"
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(remote_is_git(texts[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
