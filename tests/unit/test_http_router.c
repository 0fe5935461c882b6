/* Which row of a table serves a request, and what percent-encoding means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/internal.h"

static void one(struct request *req) { (void)req; }
static void two(struct request *req) { (void)req; }

static const struct route table[] = {
	{ .operation = "List", .method = "GET", .pattern = "/things/json", .handler = one },
	{ .operation = "Inspect", .method = "GET", .pattern = "/things/{name}/json", .handler = one },
	{ .operation = "Image", .method = "GET", .pattern = "/images/{name...}/json", .handler = one },
	{ .operation = "Delete", .method = "DELETE", .pattern = "/images/{name...}", .handler = one },
};

static struct router *router;

static int setup(void **state)
{
	(void)state;
	return router_new(table, sizeof(table) / sizeof(table[0]), &router, NULL);
}

static int teardown(void **state)
{
	(void)state;
	router_free(router);
	return 0;
}

/* The operation and the first parameter, "-" where nothing matches. */
static void check(const char *method, const char *path, const char *operation, const char *param)
{
	struct route_match m;

	if (!router_match(router, method, path, &m)) {
		assert_string_equal(operation, "-");
		return;
	}
	assert_string_equal(m.route->operation, operation);
	if (param)
		assert_string_equal(m.values[0], param);
	else
		assert_int_equal(m.nparams, 0);
	route_match_done(&m);
}

static void test_matching(void **state)
{
	(void)state;
	check("GET", "/things/json", "List", NULL);
	check("POST", "/things/json", "-", NULL);
	check("GET", "/things/a/json", "Inspect", "a");
	check("GET", "/things//json", "-", NULL);
	check("GET", "/things/a/json/", "-", NULL);
	check("GET", "/things/a/b/json", "-", NULL);
	check("GET", "/things/a%2Fb/json", "Inspect", "a/b"); /* an escaped slash stays inside */
	check("GET", "/images/a/b/c/json", "Image", "a/b/c");
	check("GET", "/images/json", "-", NULL);
	check("DELETE", "/images/a/b:c", "Delete", "a/b:c");
	check("DELETE", "/images/", "-", NULL);
	check("GET", "", "-", NULL);
}

static void test_decoding(void **state)
{
	static const struct { const char *in, *path, *query; } cases[] = {
		{ "a%20b", "a b", "a b" }, { "a+b", "a+b", "a b" }, { "%", "%", "%" }, { "%4", "%4", "%4" }, { "%4g", "%4g", "%4g" },
		{ "%41%42", "AB", "AB" }, { "%e2%82%ac", "€", "€" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *path = http_decode(cases[i].in, strlen(cases[i].in), false);
		char *query = http_decode(cases[i].in, strlen(cases[i].in), true);

		assert_string_equal(path, cases[i].path);
		assert_string_equal(query, cases[i].query);
		free(path);
		free(query);
	}
}

static void test_overrides(void **state)
{
	struct route_match m;
	struct error err = { 0 };
	int arg;

	(void)state;
	assert_int_equal(router_override(router, "List", two, &arg, &err), 0);
	assert_true(router_match(router, "GET", "/things/json", &m));
	assert_ptr_equal(m.handler, two);
	assert_ptr_equal(m.arg, &arg);
	assert_ptr_equal(m.route->handler, one); /* to hand the request on */
	route_match_done(&m);
	assert_true(router_override(router, "Lists", two, NULL, &err) < 0);
	assert_int_equal(err.cls, ERROR_NOT_FOUND);
}

static void test_doubled_rows(void **state)
{
	static const struct route same_name[] = { { .operation = "A", .method = "GET", .pattern = "/a" },
						  { .operation = "A", .method = "GET", .pattern = "/b" } };
	static const struct route same_path[] = { { .operation = "A", .method = "GET", .pattern = "/a" },
						  { .operation = "B", .method = "GET", .pattern = "/a" } };
	struct router *r;

	(void)state;
	assert_true(router_new(same_name, 2, &r, NULL) < 0);
	assert_true(router_new(same_path, 2, &r, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matching),
		cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_overrides),
		cmocka_unit_test(test_doubled_rows),
	};

	return cmocka_run_group_tests_name("http_router", tests, setup, teardown);
}
