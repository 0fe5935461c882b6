/* Platforms as texts (containerd: platforms.Parse), and which runs where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "image/platform.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_taken(void **state)
{
	static const char *const cases[][2] = {
		{ "linux", "linux/amd64" },
		{ "Linux", "linux/amd64" },
		{ "macos", "darwin/amd64" },
		{ "zos", "zos/amd64" },
		{ "windows(10.0.17763+win32k)", "windows/amd64" },
		{ "windows()/arm64", "windows/arm64" },
		{ "arm64", "linux/arm64" },
		{ "aarch64", "linux/arm64" },
		{ "x86_64", "linux/amd64" },
		{ "armhf", "linux/arm/v7" },
		{ "armel", "linux/arm/v6" },
		{ "linux/arm64/v8", "linux/arm64/v8" },
		{ "linux/arm64", "linux/arm64" },
		{ "linux/arm/7", "linux/arm/v7" },
		{ "linux/amd64/v1", "linux/amd64" },
		{ "linux/amd64/v3", "linux/amd64/v3" },
		{ "any/thing", "any/thing" },
		{ "macos/arm64", "darwin/arm64" },
	};
	struct image_platform p;
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (image_platform_parse(cases[i][0], &p, NULL) < 0)
			fail_msg("\"%s\" was refused", cases[i][0]);
		image_platform_format(&p, text, sizeof(text));
		assert_string_equal(text, cases[i][1]);
	}
}

static void test_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "foobar", "unknown operating system or architecture" },
		{ "win32k", "unknown operating system or architecture" },
		{ "", "is an invalid OS component" },
		{ "   ", "is an invalid OS component" },
		{ "/amd64", "is an invalid OS component" },
		{ "a.b/amd64", "is an invalid OS component" },
		{ "windows(1", "is an invalid OS component" },
		{ "windows(1+)", "is an invalid OS component" },
		{ "windows(1)x", "is an invalid OS component" },
		{ "(1)", "is an invalid OS component" },
		{ "linux/", "is an invalid component" },
		{ "linux/!", "is an invalid component" },
		{ "linux/arm/v 7", "is an invalid component" },
		{ "linux/arm/v7/x", "cannot parse platform specifier" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct image_platform p;
		struct error err = { 0 };

		if (image_platform_parse(cases[i][0], &p, &err) == 0)
			fail_msg("\"%s\" was taken", cases[i][0]);
		assert_int_equal(err.cls, ERROR_INVALID);
		if (!strstr(err.message, cases[i][1]))
			fail_msg("\"%s\": %s", cases[i][0], err.message);
	}
}

static bool runs(const char *wanted, const char *is)
{
	struct image_platform w, p;

	assert_int_equal(image_platform_parse(wanted, &w, NULL), 0);
	assert_int_equal(image_platform_parse(is, &p, NULL), 0);
	return image_platform_matches(&w, &p);
}

static void test_matches(void **state)
{
	(void)state;
	assert_true(runs("linux", "linux/amd64"));
	assert_true(runs("linux/arm64/v8", "linux/arm64"));
	assert_true(runs("linux/amd64/v3", "linux/amd64"));
	assert_false(runs("linux/arm64", "linux/amd64"));
	assert_false(runs("windows", "linux/amd64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
