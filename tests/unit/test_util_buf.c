/* The growable buffer: its cap, its NUL, and what a failed append leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/buf.h"

static void test_cap_is_kept(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_int_equal(buf_puts(&b, "abc"), 0);
	assert_true(buf_puts(&b, "def") < 0);
	assert_string_equal(b.data, "abc"); /* as it was */
	assert_int_equal(buf_puts(&b, "de"), 0);
	assert_string_equal(b.data, "abcde");
	assert_true(buf_reserve(&b, SIZE_MAX) < 0);
	buf_done(&b);
}

static void test_printf(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (int i = 0; i < 20; i++)
		assert_int_equal(buf_printf(&b, "%d,", i), 0);
	assert_int_equal(b.len, strlen(b.data));
	assert_non_null(strstr(b.data, ",18,19,"));
	assert_true(buf_printf(&b, "%200d", 1) < 0);
	buf_done(&b);
}

static void test_consume(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_append(&b, "a\0bc", 4);
	buf_consume(&b, 2);
	assert_int_equal(b.len, 2);
	assert_string_equal(b.data, "bc");
	buf_consume(&b, 7); /* more than there is */
	assert_int_equal(b.len, 0);
	buf_puts(&b, "again");
	assert_string_equal(b.data, "again");
	buf_done(&b);
}

static void test_steal(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 100);
	p = buf_steal(&b);
	assert_string_equal(p, ""); /* never NULL */
	free(p);
	buf_puts(&b, "mine");
	p = buf_steal(&b);
	assert_string_equal(p, "mine");
	assert_int_equal(b.len, 0);
	free(p);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cap_is_kept),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_consume),
		cmocka_unit_test(test_steal),
	};

	return cmocka_run_group_tests_name("util_buf", tests, NULL, NULL);
}
