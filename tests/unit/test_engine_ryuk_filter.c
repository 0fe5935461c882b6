/* What the reaper's clients say, and what it takes for meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/ryuk_filter.h"

static int setup(void **state)
{
	*state = json_array();
	return 0;
}

static int teardown(void **state)
{
	json_decref(*state);
	return 0;
}

static void test_refusals_change_nothing(void **state)
{
	static const char *const bad[] = { "",          "&",           "label=%", "label=%4",
					   "label=%zz", "label=a%00b", "size=3",  "label=%ff" };
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(ryuk_filter_add(*state, bad[i], &err), 0);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
	assert_int_equal(json_array_size(*state), 0);
}

static void test_labels_are_all_wanted(void **state)
{
	json_t *labels = json_pack("{s:s, s:s}", "org.testcontainers", "true", "session", "a b");

	assert_int_equal(ryuk_filter_add(*state, "label=org.testcontainers%3Dtrue&label=session=a+b", NULL), 0);
	assert_true(ryuk_matches(*state, "1", "n", labels));
	json_object_del(labels, "session");
	assert_false(ryuk_matches(*state, "1", "n", labels));
	assert_false(ryuk_matches(*state, "1", "n", NULL));
	json_decref(labels);
}

static void test_lines_are_alternatives(void **state)
{
	json_t *labels = json_pack("{s:s}", "b", "2");

	assert_int_equal(ryuk_filter_add(*state, "label=a", NULL), 0);
	assert_false(ryuk_matches(*state, "1", "n", labels));
	assert_int_equal(ryuk_filter_add(*state, "label=b", NULL), 0);
	assert_true(ryuk_matches(*state, "1", "n", labels));
	assert_int_equal(ryuk_filter_add(*state, "label=b", NULL), 0);
	assert_int_equal(json_array_size(*state), 2); /* the same line again adds nothing */
	json_decref(labels);
}

static void test_names_and_ids(void **state)
{
	assert_int_equal(ryuk_filter_add(*state, "name=web&id=abc&id=12", NULL), 0);
	assert_true(ryuk_matches(*state, "abcdef", "web", NULL));
	assert_true(ryuk_matches(*state, "1234", "web-1", NULL));
	assert_false(ryuk_matches(*state, "abcdef", "db", NULL));
	assert_false(ryuk_matches(*state, "ffff", "web", NULL));
}

static void test_nothing_said_means_nothing(void **state)
{
	json_t *labels = json_pack("{s:s}", "a", "");

	assert_false(ryuk_matches(*state, "1", "n", labels));
	assert_int_equal(ryuk_filter_add(*state, "name=", NULL), 0); /* an empty name must not mean all of them */
	assert_false(ryuk_matches(*state, "1", "n", labels));
	json_decref(labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_labels_are_all_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_are_alternatives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_and_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_said_means_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
