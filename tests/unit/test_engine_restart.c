/* Restart policies as pure decisions: who is started again, and after how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/internal.h"

static bool is_due(const char *name, int max, unsigned count, bool is_manual, int exit_code)
{
	struct container c = { .host_config = name ? json_pack("{s:{s:s, s:i}}", "RestartPolicy", "Name", name,
							       "MaximumRetryCount", max) :
						     json_object(),
			       .state = { .restart_count = count, .is_manually_stopped = is_manual } };
	bool r = restart_is_due(&c, exit_code);

	json_decref(c.host_config);
	return r;
}

static void test_policies(void **state)
{
	(void)state;
	assert_false(is_due(NULL, 0, 0, false, 1));
	assert_false(is_due("no", 0, 0, false, 1));
	assert_true(is_due("always", 0, 9, false, 0));
	assert_true(is_due("always", 0, 9, true, 0));
	assert_true(is_due("unless-stopped", 0, 9, false, 0));
	assert_false(is_due("unless-stopped", 0, 0, true, 1));
	assert_true(is_due("on-failure", 0, 1000, false, 1));
	assert_false(is_due("on-failure", 0, 0, false, 0));
	assert_true(is_due("on-failure", 2, 1, false, 1));
	assert_false(is_due("on-failure", 2, 2, false, 1));
}

static void test_backoff(void **state)
{
	static const unsigned wanted[] = { 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000 };
	unsigned ms = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		ms = restart_backoff(ms, 9999999999);
		assert_int_equal(ms, wanted[i]);
	}
	assert_int_equal(restart_backoff(ms, 10000000000), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_backoff),
	};

	return cmocka_run_group_tests_name("engine_restart", tests, NULL, NULL);
}
