/* Heads, byte by byte: what is sound, what is not yet complete, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

enum { MAX = 8192 };

#define HOST "Host: d\r\n"

static int status_of(const char *head, size_t n)
{
	struct head_verdict v = { 0 };
	size_t len = 0;
	enum head_state state = head_check(head, n, MAX, &len, &v);

	return state == HEAD_BAD ? v.status : state == HEAD_GOOD ? (int)len : 0;
}

static void test_good(void **state)
{
	static const char *const good[] = {
		"GET /_ping HTTP/1.1\r\n" HOST "\r\n",
		"GET /_ping HTTP/1.0\r\n\r\n",
		"GET /a%2Fb?x=%20&y HTTP/1.1\r\nhost:d\r\nX-Empty:\r\nX-Tab: a\tb \r\n\r\n",
		"GET http://d/_ping HTTP/1.1\r\n" HOST "\r\n",
		"OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
		"POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
		"POST / HTTP/1.1\r\n" HOST "transfer-encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: [::1]:2375\r\nX: \xc3\xa9\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t n = strlen(good[i]);

		assert_int_equal(status_of(good[i], n), n);
		for (size_t k = 0; k < n; k++) /* every beginning of it is a beginning */
			assert_int_equal(status_of(good[i], k), 0);
	}
}

static void test_what_follows_is_not_the_heads(void **state)
{
	static const char two[] = "\r\nPOST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET";

	(void)state;
	assert_int_equal(status_of(two, sizeof(two) - 1), sizeof(two) - 7);
}

static void test_refused(void **state)
{
	static const struct {
		int status;
		const char *head;
	} bad[] = {
		{ 400, "\x16\x03\x01\x02" },
		{ 400, "hello world, this is no HTTP at all\r\n" },
		{ 400, "GET\r\n" },
		{ 400, "NEVERENDINGNEVERENDINGNEVERENDINGNEVERENDING" },
		{ 400, " GET / HTTP/1.1\r\n" },
		{ 400, "GET  / HTTP/1.1\r\n" },
		{ 400, "GET /\r\n" },
		{ 400, "GET / http/1.1\r\n" },
		{ 400, "GET / HTTP/1.1 \r\n" },
		{ 400, "GET / HTTP/11\r\n" },
		{ 505, "GET / HTTP/2.0\r\n" },
		{ 505, "GET / HTTP/0.9\r\n" },
		{ 400, "GET no-slash HTTP/1.1\r\n" },
		{ 400, "GET /a\tb HTTP/1.1\r\n" },
		{ 400, "GET /a\x7f HTTP/1.1\r\n" },
		{ 400, "GET /a%zz HTTP/1.1\r\n" },
		{ 400, "GET /a%2 HTTP/1.1\r\n" },
		{ 400, "GET /a%00 HTTP/1.1\r\n" },
		{ 400, "GET / HTTP/1.1\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: d\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: d\rX" },
		{ 400, "GET / HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST " folded\r\n" },
		{ 400, "GET / HTTP/1.1\r\nHost : d\r\n" },
		{ 400, "GET / HTTP/1.1\r\n: d\r\n" },
		{ 400, "GET / HTTP/1.1\r\nno colon\r\n" },
		{ 400, "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b chunked\r\n\r\n" },
		{ 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
		{ 417, "POST / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(status_of(bad[i].head, strlen(bad[i].head)), bad[i].status);
}

static void test_nul(void **state)
{
	static const char in_target[] = "GET /_ping\0/x HTTP/1.1\r\n" HOST "\r\n",
			  in_value[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
			  in_name[] = "GET / HTTP/1.1\r\nHo\0st: a\r\n\r\n", in_method[] = "G\0T / HTTP/1.1\r\n";

	(void)state;
	assert_int_equal(status_of(in_target, sizeof(in_target) - 1), 400);
	assert_int_equal(status_of(in_value, sizeof(in_value) - 1), 400);
	assert_int_equal(status_of(in_name, sizeof(in_name) - 1), 400);
	assert_int_equal(status_of(in_method, sizeof(in_method) - 1), 400);
}

/* Also what is short as text and long in libmicrohttpd's memory. */
static void test_too_large(void **state)
{
	static const char begin[] = "GET / HTTP/1.1\r\n" HOST;
	char head[2 * MAX];
	size_t n = strlen(begin);

	(void)state;
	memset(head, 'a', sizeof(head));
	memcpy(head, begin, n);
	assert_int_equal(status_of(head, MAX - 1), 0);
	assert_int_equal(status_of(head, MAX), 431);
	for (int i = 0; i < 200; i++, n += 6)
		memcpy(head + n, "a: b\r\n", 6);
	memcpy(head + n, "\r\n", 2);
	assert_int_equal(status_of(head, n + 2), 431);
	memset(head, '&', sizeof(head));
	memcpy(head, "GET /?", 6);
	memcpy(head + 206, " HTTP/1.1\r\n" HOST "\r\n", 22);
	assert_int_equal(status_of(head, 228), 431);
}

static void test_targets(void **state)
{
	char many[2 * HEAD_QUERIES_MAX + 2];

	(void)state;
	memset(many, '&', sizeof(many));
	memcpy(many, "/?", 2);
	assert_int_equal(head_check_target(many, HEAD_QUERIES_MAX + 1).status, 0);
	assert_int_equal(head_check_target(many, HEAD_QUERIES_MAX + 2).status, 400);
	assert_int_equal(head_check_target("", 0).status, 400);
	assert_int_equal(head_check_target("*", 1).status, 0);
	assert_int_equal(head_check_target("*x", 2).status, 400);
	assert_int_equal(head_check_target("/%41", 4).status, 0);
	assert_int_equal(head_check_target("/a&b&c", 6).status, 0);
}

/* No bytes make it read beyond them (the sanitizer looks), and none but a whole head is good. */
static void test_noise(void **state)
{
	static const char words[][12] = { "GET ",  "/", "_ping",   " HTTP/1.1", "\r\n", "\n",
					  "Host:", "d", "Content", "-Length:",  "3",    "\r" };
	uint32_t seed = 7;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char *head = NULL;
		size_t n = 0, parts = 1 + i % 13, len;
		struct head_verdict v;

		for (size_t k = 0; k < parts; k++) {
			const char *w;

			seed = seed * 1664525 + 1013904223;
			w = words[(seed >> 16) % 12];
			head = realloc(head, n + strlen(w) + 1);
			memcpy(head + n, w, strlen(w));
			n += strlen(w);
		}
		head = realloc(head, n);
		if (head_check(head, n, MAX, &len, &v) == HEAD_GOOD)
			assert_memory_equal(head + len - 4, "\r\n\r\n", 4);
		free(head);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),      cmocka_unit_test(test_what_follows_is_not_the_heads),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_nul),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_targets),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
