/* Targets, escapes and the look-up over a route table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/internal.h"

static void one(struct request *req)
{
	(void)req;
}
static void other(struct request *req)
{
	(void)req;
}

static const struct route table[] = {
	{ .operation = "List", .method = "GET", .pattern = "/things/json", .handler = one },
	{ .operation = "Inspect", .method = "GET", .pattern = "/things/{name}/json", .handler = one },
	{ .operation = "Delete", .method = "DELETE", .pattern = "/things/{name}", .handler = one },
	{ .operation = "Image", .method = "GET", .pattern = "/images/{name...}/json", .handler = one },
	{ .operation = "Any", .method = "OPTIONS", .pattern = "/{any...}", .handler = one },
	{ .operation = "Inner", .method = "DELETE", .pattern = "/long/{name...}/inner/{id}", .handler = one },
	{ .operation = "Long", .method = "DELETE", .pattern = "/long/{name...}", .handler = one },
	{ .operation = "Two", .method = "GET", .pattern = "/a/{x}/b/{y}", .handler = one },
};

static int make(void **state)
{
	struct router *r;

	if (router_new(table, sizeof(table) / sizeof(table[0]), &r, NULL) < 0)
		return -1;
	*state = r;
	return 0;
}

static int done(void **state)
{
	router_free(*state);
	return 0;
}

/* The operation and its first parameter, or NULL. */
static const char *look_up(struct router *r, const char *method, const char *path, char param[64])
{
	struct route_match m;

	param[0] = '\0';
	if (!router_match(r, method, path, &m))
		return NULL;
	if (m.nparams)
		strncpy(param, m.values[0], 63);
	route_match_done(&m);
	return m.route->operation;
}

static void test_matches(void **state)
{
	static const struct {
		const char *method, *path, *operation, *param;
	} good[] = {
		{ "GET", "/things/json", "List", "" },
		{ "GET", "/things/json/json", "Inspect", "json" },
		{ "GET", "/things/a%2Fb/json", "Inspect", "a/b" },
		{ "GET", "/things/%41%20b+c/json", "Inspect", "A b+c" },
		{ "DELETE", "/things/x", "Delete", "x" },
		{ "GET", "/images/a/b/c:1/json", "Image", "a/b/c:1" },
		{ "GET", "/images/a%2Fb/json", "Image", "a/b" },
		{ "GET", "/images/json/json", "Image", "json" },
		{ "OPTIONS", "/x/y/z", "Any", "x/y/z" },
		{ "GET", "/a/1/b/2", "Two", "1" },
		{ "DELETE", "/long/a", "Long", "a" },
		{ "DELETE", "/long/a/b", "Long", "a/b" },
		{ "DELETE", "/long/a/inner", "Long", "a/inner" },
		{ "DELETE", "/long/inner/b", "Long", "inner/b" },
		{ "DELETE", "/long/a/inner/long-id", "Inner", "a" },
		{ "DELETE", "/long/a/b/inner/c", "Inner", "a/b" },
		{ "DELETE", "/long/a/inner/inner/c", "Inner", "a/inner" },
		{ "DELETE", "/long/a%2Finner/b", "Long", "a/inner/b" },
	};
	char param[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const char *operation = look_up(*state, good[i].method, good[i].path, param);

		assert_non_null(operation);
		assert_string_equal(operation, good[i].operation);
		assert_string_equal(param, good[i].param);
	}
}

static void test_no_match(void **state)
{
	static const struct {
		const char *method, *path;
	} bad[] = {
		{ "GET", "" },
		{ "GET", "/" },
		{ "GET", "*" },
		{ "GET", "/things" },
		{ "GET", "/things/" },
		{ "POST", "/things/json" },
		{ "HEAD", "/things/json" },
		{ "get", "/things/json" },
		{ "GET", "/things/json/" },
		{ "GET", "//things/json" },
		{ "GET", "/things//json" },
		{ "GET", "/things/../json" },
		{ "GET", "/things/./json" },
		{ "GET", "/x/../things/json" },
		{ "DELETE", "/things/.." },
		{ "GET", "/images/json" },
		{ "DELETE", "/long/" },
		{ "DELETE", "/long//inner/b" },
		{ "GET", "/images//json" },
		{ "GET", "/images/a//b/json" },
		{ "GET", "/images/a/../b/json" },
		{ "OPTIONS", "/" },
		{ "GET", "/a/1/b" },
		{ "GET", "/a/1/c/2" },
	};
	char param[64];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(look_up(*state, bad[i].method, bad[i].path, param));
}

static void test_override(void **state)
{
	struct route_match m;
	struct error err = { 0 };

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(router_override(*state, table[i].operation, other, NULL, NULL), 0);
	assert_true(router_match(*state, "GET", "/things/x/json", &m));
	assert_ptr_equal(m.handler, other);
	assert_ptr_equal(m.route->handler, one); /* the table itself stays */
	route_match_done(&m);
	assert_true(router_override(*state, "Nothing", other, NULL, &err) < 0);
	assert_int_equal(err.cls, ERROR_NOT_FOUND);
}

static void test_doubles(void **state)
{
	static const struct route twice[] = { { .operation = "A", .method = "GET", .pattern = "/a" },
					      { .operation = "A", .method = "GET", .pattern = "/b" } };
	static const struct route same[] = { { .operation = "A", .method = "GET", .pattern = "/a" },
					     { .operation = "B", .method = "GET", .pattern = "/a" } };
	struct router *r = NULL;
	struct error err = { 0 };

	(void)state;
	assert_true(router_new(twice, 2, &r, &err) < 0);
	assert_true(router_new(same, 2, &r, &err) < 0);
	assert_string_equal(err.message, "route B is there twice");
	assert_null(r);
}

static void test_decode(void **state)
{
	static const struct {
		const char *text, *plain, *form;
	} cases[] = {
		{ "", "", "" },
		{ "a+b", "a+b", "a b" },
		{ "%2f%2F", "//", "//" },
		{ "%", "%", "%" },
		{ "%4", "%4", "%4" },
		{ "%zz", "%zz", "%zz" },
		{ "%25%32%35", "%25", "%25" },
		{ "a%c3%a9", "a\xc3\xa9", "a\xc3\xa9" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *plain = http_decode(cases[i].text, strlen(cases[i].text), false);
		char *form = http_decode(cases[i].text, strlen(cases[i].text), true);

		assert_string_equal(plain, cases[i].plain);
		assert_string_equal(form, cases[i].form);
		free(plain);
		free(form);
	}
}

/* ---- targets ---- */

static struct http_server server;

static struct request *parse(const char *target)
{
	struct request *req;

	if (!server.requests.next)
		list_init(&server.requests);
	req = request_new(&server, target);
	request_parse_target(req);
	return req;
}

static void drop(struct request *req)
{
	req->is_complete = true;
	request_maybe_free(req);
}

static void test_targets(void **state)
{
	static const struct {
		const char *target;
		int version;
		const char *path;
	} cases[] = {
		{ "/_ping", API_VERSION_MAX, "/_ping" },
		{ "/v1.43/info?x", API_VERSION(1, 43), "/info" },
		{ "/v1.24/v1.25/x", API_VERSION(1, 24), "/v1.25/x" },
		{ "/v99.1/info", API_VERSION(99, 1), "/info" },
		{ "/v1.43", API_VERSION_MAX, "/v1.43" },
		{ "/v1/info", API_VERSION(1, 0), "/info" },
		{ "/v1.2.3/info", API_VERSION(1, 2), "/info" },
		{ "/v1.43.0/info", API_VERSION(1, 43), "/info" },
		{ "/v" API_VERSION_MAX_TEXT ".1/info", API_VERSION_MAX + 1, "/info" },
		{ "/v/info", API_VERSION_MAX, "/v/info" },
		{ "/v.../info", 0, "/info" },
		{ "/v1.+43/info", API_VERSION_MAX, "/v1.+43/info" },
		{ "/v99999999999.1/info", API_VERSION(999, 1), "/info" },
		{ "/volumes", API_VERSION_MAX, "/volumes" },
		{ "http://d/v1.40/info", API_VERSION(1, 40), "/info" },
		{ "HTTP://d:80/info?a=/v1.40/", API_VERSION_MAX, "/info" },
		{ "http://d", API_VERSION_MAX, "" },
		{ "http://d?a", API_VERSION_MAX, "" },
		{ "*", API_VERSION_MAX, "*" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request *req = parse(cases[i].target);

		assert_string_equal(request_path(req), cases[i].path);
		assert_int_equal(request_api_version(req), cases[i].version);
		drop(req);
	}
}

static void test_queries(void **state)
{
	struct request *req = parse("/x?a=1&a=2&b&c=&d=%26%3d+e?f&&=v&n=12x&m=-5&t=False&u=yes");
	struct error err = { 0 };
	int64_t n;

	(void)state;
	assert_string_equal(request_query(req, "a"), "1");
	assert_string_equal(request_query_nth(req, "a", 1), "2");
	assert_null(request_query_nth(req, "a", 2));
	assert_int_equal(request_query_count(req, "a"), 2);
	assert_string_equal(request_query(req, "b"), "");
	assert_string_equal(request_query(req, "c"), "");
	assert_string_equal(request_query(req, "d"), "&= e?f");
	assert_null(request_query(req, "e"));
	assert_false(request_query_bool(req, "b"));
	assert_false(request_query_bool(req, "t"));
	assert_true(request_query_bool(req, "u"));
	assert_true(request_query_bool_default(req, "absent", true));
	assert_true(request_query_int(req, "n", 0, &n, &err) < 0);
	assert_string_equal(err.message, "strconv.Atoi: parsing \"12x\": invalid syntax");
	assert_int_equal(request_query_int(req, "m", 0, &n, NULL), 0);
	assert_int_equal(n, -5);
	assert_int_equal(request_query_int(req, "absent", 7, &n, NULL), 0);
	assert_int_equal(n, 7);
	drop(req);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_matches, make, done),
		cmocka_unit_test_setup_teardown(test_no_match, make, done),
		cmocka_unit_test_setup_teardown(test_override, make, done),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_queries),
	};

	return cmocka_run_group_tests_name("http_router", tests, NULL, NULL);
}
