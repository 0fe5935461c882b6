/* util/decode: what Go's decoder would take, and its words where it would not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/decode.h"

static const struct decode_type small = { .kind = DECODE_INT, .go = "uint16", .min = 0, .max = 65535 };
static const struct decode_field inner_fields[] = { { "Small", &small }, { "Pair", &decode_size }, { NULL, NULL } };
static const struct decode_type inner = { .kind = DECODE_STRUCT, .go = "Inner", .fields = inner_fields };
static const struct decode_field fields[] = {
	{ "Text", &decode_string },    { "Words", &decode_words },  { "Inner", &inner },
	{ "Map", &decode_string_map }, { "List", &decode_strings }, { NULL, NULL },
};
static const struct decode_type outer = { .kind = DECODE_STRUCT, .go = "Outer", .fields = fields };

static void check(const char *in, const char *out)
{
	json_t *given = json_loads(in, 0, NULL), *wanted = json_loads(out, 0, NULL), *got = NULL;
	struct error err = { 0 };

	assert_int_equal(decode_json(given, &outer, &got, &err), 0);
	assert_true(json_equal(got, wanted));
	json_decref(given);
	json_decref(wanted);
	json_decref(got);
}

static void check_refused(const char *in, const char *message)
{
	json_t *given = json_loads(in, 0, NULL), *got = NULL;
	struct error err = { 0 };

	assert_true(decode_json(given, &outer, &got, &err) < 0);
	assert_null(got);
	assert_int_equal(err.cls, ERROR_INVALID);
	assert_string_equal(err.message, message);
	json_decref(given);
}

static void test_names(void **state)
{
	(void)state;
	check("{\"TEXT\": \"a\", \"unknown\": {\"x\": 1}}", "{\"Text\": \"a\"}");
	check("{\"text\": \"a\", \"Text\": \"b\"}", "{\"Text\": \"b\"}");
	check("{\"inner\": {\"SMALL\": 5}}", "{\"Inner\": {\"Small\": 5}}");
	check("{\"Map\": {\"Key\": \"v\", \"KEY\": \"w\"}}", "{\"Map\": {\"Key\": \"v\", \"KEY\": \"w\"}}");
}

static void test_null_is_absent(void **state)
{
	(void)state;
	check("{\"Text\": null, \"Inner\": null, \"Words\": null}", "{}");
	check("{\"Map\": {\"a\": null}, \"List\": [null]}", "{\"Map\": {\"a\": \"\"}, \"List\": [\"\"]}");
}

static void test_shapes(void **state)
{
	(void)state;
	check("{\"Words\": \"one\"}", "{\"Words\": [\"one\"]}");
	check("{\"Inner\": {\"Pair\": [1]}}", "{\"Inner\": {\"Pair\": [1, 0]}}");
	check("{\"Inner\": {\"Pair\": [1, 2, 3]}}", "{\"Inner\": {\"Pair\": [1, 2]}}");
}

static void test_refusals(void **state)
{
	(void)state;
	check_refused("[]", "json: cannot unmarshal array into Go value of type Outer");
	check_refused("{\"Text\": 5}", "json: cannot unmarshal number into Go struct field Outer.Text of type string");
	check_refused("{\"Inner\": {\"Small\": 65536}}",
		      "json: cannot unmarshal number 65536 into Go struct field Inner.Inner.Small of type uint16");
	check_refused("{\"Inner\": {\"Small\": -1}}",
		      "json: cannot unmarshal number -1 into Go struct field Inner.Inner.Small of type uint16");
	check_refused("{\"Inner\": {\"Small\": 1.5}}",
		      "json: cannot unmarshal number 1.5 into Go struct field Inner.Inner.Small of type uint16");
	check_refused("{\"Words\": [1]}", "json: cannot unmarshal array into Go value of type string");
	check_refused("{\"List\": [true]}", "json: cannot unmarshal bool into Go struct field Outer.List of type string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_null_is_absent),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
