/* The hash map against a plain array, through growth and deletions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#include <cmocka.h>

#include "util/map.h"
#include "util/list.h"

enum { KEYS = 500, ROUNDS = 20000 };

static void test_against_an_array(void **state)
{
	void *expected[KEYS] = { 0 };
	const struct map_entry *e;
	unsigned seed = 1;
	size_t count = 0, pos = 0, seen = 0;
	struct map m;

	(void)state;
	map_init(&m);
	for (int i = 0; i < ROUNDS; i++) {
		char key[16];
		size_t k;
		void *old;

		seed = seed * 1103515245 + 12345;
		k = (seed >> 8) % KEYS;
		snprintf(key, sizeof(key), "key-%zu", k);
		assert_ptr_equal(map_get(&m, key), expected[k]);
		assert_int_equal(map_has(&m, key), expected[k] != NULL);
		if (seed >> 30) {
			old = map_put(&m, key, &expected[(k + (size_t)i) % KEYS]);
			assert_ptr_equal(old, expected[k]);
			count += expected[k] == NULL;
			expected[k] = &expected[(k + (size_t)i) % KEYS];
		} else {
			assert_ptr_equal(map_remove(&m, key), expected[k]);
			count -= expected[k] != NULL;
			expected[k] = NULL;
		}
		assert_int_equal(m.count, count);
	}
	while ((e = map_next(&m, &pos))) {
		assert_ptr_equal(e->value, expected[strtoul(e->key + 4, NULL, 10)]);
		seen++;
	}
	assert_int_equal(seen, count);
	map_done(&m);
}

static void test_empty(void **state)
{
	struct map m;
	size_t pos = 0;

	(void)state;
	map_init(&m);
	assert_null(map_get(&m, ""));
	assert_null(map_remove(&m, "x"));
	assert_null(map_next(&m, &pos));
	map_put(&m, "", &m); /* the empty key is one */
	assert_ptr_equal(map_get(&m, ""), &m);
	map_done(&m);
	assert_null(map_get(&m, ""));
	map_done(&m);
}

struct item {
	struct list link;
	int n;
};

static int sum(struct list *head)
{
	int total = 0;

	list_for_each(it, head)
		total = total * 10 + container_of(it, struct item, link)->n;
	return total;
}

static void test_list(void **state)
{
	struct item items[4] = { { .n = 1 }, { .n = 2 }, { .n = 3 }, { .n = 4 } };
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	for (int i = 0; i < 3; i++)
		list_append(&head, &items[i].link);
	list_insert_before(&items[1].link, &items[3].link);
	assert_int_equal(sum(&head), 1423);
	list_remove(&items[3].link);
	list_remove(&items[3].link); /* twice does no harm */
	assert_int_equal(sum(&head), 123);
	list_for_each_safe(it, &head)
		list_remove(it);
	assert_true(list_is_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_an_array),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests_name("util_map", tests, NULL, NULL);
}
