/* What is told of a body that is no JSON: the words are those that Go's encoding/json (1.22) has for the same texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/json_fault.h"
#include "util/alloc.h"

static void test_faults(void **state)
{
	static const struct {
		const char *text, *fault;
	} cases[] = {
		{ "{invalid json", "invalid character 'i' looking for beginning of object key string" },
		{ "nonsense", "invalid character 'o' in literal null (expecting 'u')" },
		{ "trve", "invalid character 'v' in literal true (expecting 'u')" },
		{ "", "unexpected EOF" },
		{ "{\"a\": 1", "unexpected EOF" },
		{ "{\"a\" 1}", "invalid character '1' after object key" },
		{ "{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair" },
		{ "{\"a\":1,}", "invalid character '}' looking for beginning of object key string" },
		{ "[1 2]", "invalid character '2' after array element" },
		{ "[1,]", "invalid character ']' looking for beginning of value" },
		{ "[}", "invalid character '}' looking for beginning of value" },
		{ "{\"a\":}", "invalid character '}' looking for beginning of value" },
		{ "\"a\nb\"", "invalid character '\\n' in string literal" },
		{ "\"a\x01\"", "invalid character '\\x01' in string literal" },
		{ "\"\\q\"", "invalid character 'q' in string escape code" },
		{ "\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape" },
		{ "-x", "invalid character 'x' in numeric literal" },
		{ "1.x", "invalid character 'x' after decimal point in numeric literal" },
		{ "1e+x", "invalid character 'x' in exponent of numeric literal" },
		{ "'a'", "invalid character '\\'' looking for beginning of value" },
		{ "\\", "invalid character '\\\\' looking for beginning of value" },
		{ "\xc3", "invalid character '\xc3\x83' looking for beginning of value" },
		{ "\x80", "invalid character '\\u0080' looking for beginning of value" },
		{ "[1,2", "unexpected EOF" },
	};
	char fault[JSON_FAULT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(json_fault(cases[i].text, strlen(cases[i].text), fault));
		assert_string_equal(fault, cases[i].fault);
	}
}

static void test_what_is_sound(void **state)
{
	static const char *const sound[] = { "{}", " [ ] ",
					     "{\"a\":[1,-2.5e+3,true,false,null,\"\\u00e9\\n\"],\"b\":{}}", "0", "{} x" };
	char fault[JSON_FAULT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
		assert_false(json_fault(sound[i], strlen(sound[i]), fault));
}

/* A million brackets neither fault nor overflow the stack. */
static void test_depth(void **state)
{
	char fault[JSON_FAULT_MAX], *deep = xmalloc(1000000);

	(void)state;
	memset(deep, '[', 1000000);
	assert_false(json_fault(deep, 1000000, fault));
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_what_is_sound),
		cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
