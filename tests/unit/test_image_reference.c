/* Names of images: what they normalise to, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/reference.h"

static void test_names(void **state)
{
	static const struct {
		const char *text, *tagged;
	} good[] = {
		{ "busybox", "busybox:latest" },
		{ "docker.io/library/busybox", "busybox:latest" },
		{ "index.docker.io/library/busybox:1", "busybox:1" },
		{ "library/busybox", "busybox:latest" },
		{ "docker.io/me/thing:v1.2", "me/thing:v1.2" },
		{ "docker.io/docker.io/x", "docker.io/docker.io/x:latest" }, /* found by fuzzing: docker.io/x is another */
		{ "index.docker.io/localhost/x", "docker.io/localhost/x:latest" },
		{ "docker.io/busybox:1", "busybox:1" },
		{ "docker.io/library/a/b", "library/a/b:latest" },
		{ "localhost/x", "localhost/x:latest" },
		{ "LocalHost/x", "LocalHost/x:latest" }, /* no path can be in upper case: a registry */
		{ "[::1]/x", "[::1]/x:latest" },
		{ "[2001:db8::1]:5000/x/y:t", "[2001:db8::1]:5000/x/y:t" },
		{ "10.0.0.1:443/x", "10.0.0.1:443/x:latest" },
		{ "foo_bar.com/x", "foo_bar.com/x:latest" }, /* no registry: a path */
		{ "a--b---c/d.e_f__g", "a--b---c/d.e_f__g:latest" },
		{ "sha256:12", "sha256:12" },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde/x",
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde/x:latest" },
		{ "localhost:5000/a/b__c/d-e:T_a.g-1", "localhost:5000/a/b__c/d-e:T_a.g-1" },
		{ "registry.example.org/x", "registry.example.org/x:latest" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct reference ref;
		char *tagged;

		assert_int_equal(reference_parse(good[i].text, &ref, NULL), 0);
		tagged = reference_tagged(&ref);
		assert_string_equal(tagged, good[i].tagged);
		free(tagged);
	}
}

static void test_digest(void **state)
{
	struct reference ref;

	(void)state;
	assert_int_equal(
		reference_parse("a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", &ref, NULL), 0);
	assert_string_equal(ref.name, "a");
	assert_string_equal(ref.tag, "");
	assert_int_equal(strlen(ref.digest), 71);
}

static void test_whole(void **state)
{
	static const char digest[] = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	static const struct {
		const char *text, *whole;
	} good[] = {
		{ "busybox", "docker.io/library/busybox:latest" },
		{ "me/x:1", "docker.io/me/x:1" },
		{ "index.docker.io/x", "docker.io/library/x:latest" },
		{ "localhost:1/x", "localhost:1/x:latest" },
		{ "foo_bar.com/x", "foo_bar.com/x:latest" },
		{ "x@%", "docker.io/library/x@%" },
		{ "x:1@%", "docker.io/library/x:1@%" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[200], want[200], *whole;
		const char *at = strchr(good[i].text, '%');

		snprintf(text, sizeof(text), "%.*s%s", (int)strcspn(good[i].text, "%"), good[i].text, at ? digest : "");
		snprintf(want, sizeof(want), "%.*s%s", (int)strcspn(good[i].whole, "%"), good[i].whole, at ? digest : "");
		whole = reference_whole(text);
		assert_string_equal(whole, want);
		free(whole);
	}
	assert_null(reference_whole("NO"));
}

/* The texts of distribution/reference and go-digest. */
static void test_errors(void **state)
{
#define HEX32 "0123456789abcdef0123456789abcdef"
	static const struct {
		const char *text, *message;
	} bad[] = {
		{ HEX32 HEX32, "invalid repository name (" HEX32 HEX32 "), cannot specify 64-byte hexadecimal strings" },
		{ "a/B", "invalid reference format: repository name (a/B) must be lowercase" },
		{ "r.io/B:t", "invalid reference format: repository name (B) must be lowercase" },
		{ "A_b/c", "repository name must be lowercase" },
		{ "x@sha256:" HEX32, "invalid checksum digest length" },
		{ "x@sha256:" HEX32 "0123456789ABCDEF0123456789abcdef", "invalid checksum digest format" },
		{ "x@sha512:" HEX32 HEX32, "invalid checksum digest length" },
		{ "x@md5:" HEX32, "unsupported digest algorithm" },
		{ "x@sha256+b64:" HEX32, "unsupported digest algorithm" },
		{ "x@sha256.:" HEX32, "invalid reference format" },
		{ "x@256:" HEX32, "invalid reference format" },
		{ "x@sha256:" HEX32 "g", "invalid reference format" },
		{ "-a.b/c", "invalid reference format" },
		{ "a.b-/c", "invalid reference format" },
		{ "a..b:1/c", "invalid reference format" },
		{ "h:/c", "invalid reference format" },
		{ "h:1x/c", "invalid reference format" },
		{ "[::1/x", "invalid reference format" },
		{ "[::g]/x", "invalid reference format" },
		{ "[]/x", "invalid reference format" },
		{ "a:b/c:d/e", "invalid reference format" },
		{ "a/_b", "invalid reference format" },
		{ "a/b\n", "invalid reference format" },
		{ "a/\xc3\xa9", "invalid reference format" },
	};
	char longest[300] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct reference ref;
		struct error err = { 0 };

		assert_true(reference_parse(bad[i].text, &ref, &err) < 0);
		assert_string_equal(err.message, bad[i].message);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
	for (size_t n = 247; n < 249; n++) {
		struct reference ref;
		struct error err = { 0 };
		int r;

		memset(longest, 'a', n); /* library/ comes before it */
		r = reference_parse(longest, &ref, &err);
		assert_int_equal(r, n == 247 ? 0 : -22);
		if (r < 0)
			assert_string_equal(err.message, "repository name must not be more than 255 characters");
	}
	memset(longest, 'a', 130);
	longest[1] = ':';
	longest[130] = '\0';
	assert_int_equal(reference_parse(longest, &(struct reference){ 0 }, NULL), 0);
	strcat(longest, "a");
	assert_true(reference_parse(longest, &(struct reference){ 0 }, NULL) < 0);
}

static void test_repo(void **state)
{
	struct reference ref;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(reference_of_repo("a:1", "2", &ref, NULL), 0);
	assert_string_equal(ref.tag, "2");
	assert_int_equal(reference_of_repo("a", NULL, &ref, NULL), 0);
	assert_string_equal(ref.tag, "latest");
	assert_true(reference_of_repo("a", "bad/tag", &ref, &err) < 0);
	assert_string_equal(err.message, "invalid tag format");
	assert_true(reference_of_repo("a@sha256:" HEX32 HEX32, "t", &ref, &err) < 0);
	assert_string_equal(err.message, "cannot import digest reference");
}

static void test_ids(void **state)
{
	char id[72];

	(void)state;
	assert_true(reference_is_id(HEX32 HEX32, id));
	assert_string_equal(id, "sha256:" HEX32 HEX32);
	assert_true(reference_is_id("sha256:" HEX32 HEX32, id));
	assert_false(reference_is_id(HEX32, id));
	assert_false(reference_is_id("sha256:" HEX32 HEX32 "0", id));
}

static void test_invalid(void **state)
{
	static const char *const bad[] = { "",      ":tag", "a:",          "a:b:c", "a//b", "-a", "a-", "a..b",
					   "a___b", "a b",  "a@sha256:12", "a:.x",  "/a",   "a/", "a@" };
	char longest[600];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct reference ref;
		struct error err = { 0 };

		assert_true(reference_parse(bad[i], &ref, &err) < 0);
		assert_string_equal(err.message, "invalid reference format");
		assert_int_equal(err.cls, ERROR_INVALID);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_true(reference_parse(longest, &(struct reference){ 0 }, NULL) < 0);
	longest[300] = '\0';
	assert_true(reference_parse(longest, &(struct reference){ 0 }, NULL) < 0);
}

static void test_upper_case(void **state)
{
	struct reference ref;
	struct error err = { 0 };

	(void)state;
	assert_true(reference_parse("Foo", &ref, &err) < 0);
	assert_string_equal(err.message, "invalid reference format: repository name (library/Foo) must be lowercase");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),      cmocka_unit_test(test_digest), cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_upper_case), cmocka_unit_test(test_whole),  cmocka_unit_test(test_errors),
		cmocka_unit_test(test_repo),       cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests_name("image_reference", tests, NULL, NULL);
}
