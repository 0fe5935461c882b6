/* The sorted set against qsort and a walk; members of JSON objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/json.h"
#include "util/sorted.h"

enum { KEYS = 400, ROUNDS = 4000 };

static char keys[KEYS][8];
static bool is_in[KEYS];

static size_t walk(const char *prefix)
{
	size_t n = 0;

	for (size_t i = 0; i < KEYS; i++)
		n += is_in[i] && *prefix && strncmp(keys[i], prefix, strlen(prefix)) == 0;
	return n;
}

static void check(const struct sorted *s)
{
	static const char *const prefixes[] = { "", "k", "k1", "k12", "k123", "k1234", "a", "z", "k39" };
	size_t n = 0, at;

	for (size_t i = 0; i < KEYS; i++)
		n += is_in[i];
	assert_int_equal(s->n, n);
	for (size_t i = 1; i < s->n; i++)
		assert_true(strcmp(s->keys[i - 1], s->keys[i]) < 0);
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		n = sorted_matches(s, prefixes[i], &at);
		assert_int_equal(n, walk(prefixes[i]));
		for (size_t k = at; k < at + n; k++)
			assert_memory_equal(s->keys[k], prefixes[i], strlen(prefixes[i]));
	}
}

static void test_against_a_walk(void **state)
{
	struct sorted s = { 0 };
	unsigned seed = 7;

	(void)state;
	for (size_t i = 0; i < KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
	for (int i = 0; i < ROUNDS; i++) {
		size_t k;

		seed = seed * 1103515245 + 12345;
		k = (seed >> 8) % KEYS;
		if (is_in[k]) {
			assert_string_equal(s.keys[sorted_position(&s, keys[k])], keys[k]);
			sorted_remove(&s, keys[k]);
		} else {
			sorted_remove(&s, keys[k]); /* nothing */
			sorted_add(&s, keys[k]);
		}
		is_in[k] = !is_in[k];
		if (i % 50 == 0)
			check(&s);
	}
	assert_int_equal(sorted_position(&s, "~"), s.n);
	sorted_done(&s);
	assert_int_equal(s.n, 0);
}

static void test_members(void **state)
{
	json_t *o = json_pack("{s:s, s:i, s:b, s:[s, s]}", "t", "text", "n", 7, "f", 1, "w", "a", "b");
	const char **words = json_words(json_object_get(o, "w")), **none = json_words(NULL);
	json_t *child;

	(void)state;
	assert_string_equal(json_text(o, "t"), "text");
	assert_string_equal(json_text(o, "n"), "");
	assert_string_equal(json_text(NULL, "t"), "");
	assert_int_equal(json_number(o, "n"), 7);
	assert_int_equal(json_number(o, "t"), 0);
	assert_true(json_flag(o, "f"));
	assert_false(json_flag(o, "n"));
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "b");
	assert_null(words[2]);
	assert_null(none[0]);
	child = json_child(o, "c");
	assert_true(json_is_object(child));
	assert_ptr_equal(json_object_get(o, "c"), child);
	assert_ptr_equal(json_child(o, "c"), child);
	free(words);
	free(none);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_against_a_walk), cmocka_unit_test(test_members) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
