/* Names of images: what they normalise to, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_upper_case),
	};

	return cmocka_run_group_tests_name("image_reference", tests, NULL, NULL);
}
