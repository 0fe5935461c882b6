/* --chmod: octal numbers and chmod(1)'s words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "build/mode.h"

static void test_changes(void **state)
{
	static const struct {
		const char *text;
		uint32_t before, after;
	} cases[] = {
		{ "", S_IFREG | 0644, 0644 },
		{ "755", S_IFREG | 0644, 0755 },
		{ "04711", S_IFREG, 04711 },
		{ "0", S_IFREG | 0777, 0 },
		{ "u+x", S_IFREG | 0644, 0744 },
		{ "+x", S_IFREG | 0644, 0755 },
		{ "go-rwx", S_IFREG | 0777, 0700 },
		{ "a=r", S_IFREG | 0777, 0444 },
		{ "u=rw,g=r,o=", S_IFREG | 0777, 0640 },
		{ "X", S_IFREG | 0644, 0 },
		{ "a+X", S_IFREG | 0644, 0644 },
		{ "a+X", S_IFREG | 0744, 0755 },
		{ "a+X", S_IFDIR | 0644, 0755 },
		{ "g=u", S_IFREG | 0740, 0770 },
		{ "o-w,u+s,+t", S_IFREG | 0757, 05755 },
		{ "g+s", S_IFDIR | 0755, 02755 },
		{ "u=rwx", S_IFDIR | 02755, 02755 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mode_change m;

		if (cases[i].text[0] == 'X') { /* no operator */
			assert_true(mode_parse(cases[i].text, &m, NULL) < 0);
			continue;
		}
		assert_int_equal(mode_parse(cases[i].text, &m, NULL), 0);
		if (mode_apply(&m, cases[i].before) != cases[i].after)
			fail_msg("%s on %o: %o", cases[i].text, cases[i].before, mode_apply(&m, cases[i].before));
	}
}

static void test_refusals(void **state)
{
	static const char *const bad[] = { "8", "10000", "u", "u+q", "u+x,", ",u+x", "q=r", "755x", "u+ug" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct mode_change m;

		if (mode_parse(bad[i], &m, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("build_mode", tests, NULL, NULL);
}
