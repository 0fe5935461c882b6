/* The HTTP server as its clients see it. */
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/http-fixture.h"

static void test_keep_alive_and_pipelining(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, PING);
	assert_int_equal(hear(fd).status, 200);
	say(fd, PING PING "\r\n" PING);
	for (int i = 0; i < 3; i++)
		assert_string_equal(hear(fd).body, "OK");
	usleep(2 * HEAD_MS * 1000); /* idle is no sin */
	say(fd, PING "GET /pi");
	assert_int_equal(hear(fd).status, 200);
	usleep(100000);
	say(fd, "ng HTTP/1.1\r\nHost: d\r\n\r\n");
	assert_int_equal(hear(fd).status, 200);
	close(fd);
}

/* Requests that end in the same turn: the first was waited for, the others were answered at once. */
static void test_pipelining_behind_one_that_waits(void **state)
{
	int fd = dial();

	(void)state;
	for (int round = 0; round < 2; round++) {
		say(fd, "GET /later HTTP/1.1\r\nHost: d\r\n\r\n" PING PING PING);
		for (int i = 0; i < 4; i++)
			assert_int_equal(hear(fd).status, 200);
	}
	close(fd);
}

static void test_override(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /override HTTP/1.1\r\nHost: d\r\n\r\n").status, 200);
	assert_int_equal(overridden, 1);
}

static void test_lowest_version(void **state)
{
	int fd = dial();

	(void)state;
	say(fd, "GET /v1.39/new/x HTTP/1.1\r\nHost: d\r\n\r\n");
	assert_refused(fd, 400, "GET /new/{name} requires minimum API version 1.40");
	say(fd, "GET /v1.40/new/x HTTP/1.1\r\nHost: d\r\n\r\n");
	assert_int_equal(hear(fd).status, 200);
	say(fd, "GET /new/x HTTP/1.1\r\nHost: d\r\n\r\n");
	assert_int_equal(hear(fd).status, 200);
	close(fd);
}

/* The first head and a later one: the same answer. */
static void test_refusals(void **state)
{
	static const struct {
		int status;
		const char *head, *message;
	} bad[] = {
		{ 400, "POST /echo HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
		  "more than one Content-Length" },
		{ 400, "POST /echo HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
		  "both Content-Length and Transfer-Encoding" },
		{ 501, "POST /echo HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip\r\n\r\n", "unsupported transfer encoding" },
		{ 400, "GET /ping HTTP/1.1\r\n\r\n", "missing required Host header" },
		{ 400, "GET /a%zz HTTP/1.1\r\nHost: d\r\n\r\n", "invalid URL escape" },
		{ 417, "GET /ping HTTP/1.1\r\nHost: d\r\nExpect: nothing\r\n\r\n", "unknown expectation" },
		{ 505, "GET /ping HTTP/3.0\r\nHost: d\r\n\r\n", "unsupported HTTP version" },
		{ 413, "POST /echo HTTP/1.1\r\nHost: d\r\nContent-Length: 1001\r\n\r\n", "request body too large" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int later_one = 0; later_one < 2; later_one++) {
			int fd = dial();

			if (later_one) {
				say(fd, PING);
				assert_int_equal(hear(fd).status, 200);
			}
			say(fd, bad[i].head);
			assert_refused(fd, bad[i].status, bad[i].message);
			assert_true(is_at_end(fd));
			close(fd);
		}
	}
}

static void test_later_heads_that_libmicrohttpd_refuses(void **state)
{
	static char large[100000];
	int fd = dial();

	(void)state;
	say(fd, PING);
	assert_int_equal(hear(fd).status, 200);
	memset(large, 'x', sizeof(large) - 1);
	memcpy(large, "GET /ping HTTP/1.1\r\nX: ", 23);
	say(fd, large);
	assert_refused(fd, 431, "request header fields too large");
	close(fd);
	fd = dial();
	say(fd, "PUT /upload/all HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	usleep(50000);
	say(fd, "nonsense\r\n");
	assert_refused(fd, 400, "malformed HTTP request");
	close(fd);
	eventually(&broken_uploads, 1);
	broken_uploads = 0;
}

static void test_slow_heads(void **state)
{
	int first = dial(), later_one = dial(), silent = dial();

	(void)state;
	say(later_one, PING);
	assert_int_equal(hear(later_one).status, 200);
	for (int i = 0; i < 2 * HEAD_MS / 150; i++) { /* a byte at a time keeps nothing alive */
		(void)!send(first, &PING[i % 20], 1, MSG_NOSIGNAL);
		(void)!send(later_one, &PING[i % 20], 1, MSG_NOSIGNAL);
		usleep(150000);
	}
	assert_int_equal(hear(first).status, 408);
	assert_int_equal(hear(later_one).status, 408);
	assert_true(is_at_end(first));
	assert_true(is_at_end(later_one));
	say(silent, PING); /* who has not begun has all the time */
	assert_int_equal(hear(silent).status, 200);
	close(first);
	close(later_one);
	close(silent);
}

static void put(int fd, const char *kind, const char *more, size_t length, size_t sent)
{
	static char chunk[65536];
	char head[300];

	snprintf(head, sizeof(head), "PUT /upload/%s HTTP/1.1\r\nHost: d\r\nContent-Length: %zu\r\n%s\r\n", kind, length, more);
	say(fd, head);
	while (sent > 0) {
		ssize_t n = send(fd, chunk, sent < sizeof(chunk) ? sent : sizeof(chunk), MSG_NOSIGNAL);

		assert_true(n > 0); /* no broken pipe, however much is sent after the answer */
		sent -= (size_t)n;
	}
}

static void test_errors_before_the_body(void **state)
{
	int fd = dial();

	(void)state;
	put(fd, "none", "", 20000000, 20000000); /* all is sent before the answer is read */
	assert_refused(fd, 404, "no such thing");
	assert_true(is_at_end(fd));
	close(fd);
	fd = dial();
	put(fd, "none", "", 20000000, 0); /* nothing is sent before it */
	assert_refused(fd, 404, "no such thing");
	close(fd);
	fd = dial();
	put(fd, "none", "Expect: 100-continue\r\n", 100, 0);
	assert_refused(fd, 404, "no such thing");
	close(fd);
	fd = dial();
	put(fd, "none", "", 100, 50); /* a little is missing: after a second it goes without */
	assert_refused(fd, 404, "no such thing");
	close(fd);
	fd = dial();
	put(fd, "none", "", 100, 100); /* a little body costs no connection */
	assert_refused(fd, 404, "no such thing");
	say(fd, PING);
	assert_int_equal(hear(fd).status, 200);
	close(fd);
	fd = dial();
	uploaded = ended_uploads = 0;
	put(fd, "stop", "", 20000000, 20000000); /* the handler has had enough in the middle */
	assert_refused(fd, 404, "no such thing");
	close(fd);
	eventually(&ended_uploads, 1);
}

static void test_uploads(void **state)
{
	int fd = dial();

	(void)state;
	whole_uploads = broken_uploads = 0;
	put(fd, "all", "Expect: 100-continue\r\n", 1000, 0);
	assert_int_equal(hear(fd).status, 100);
	put(fd, "x", "", 0, 0); /* these bytes are the body's beginning */
	close(fd);
	eventually(&broken_uploads, 1);
	fd = dial();
	put(fd, "all", "", 3000000, 3000000);
	shutdown(fd, SHUT_WR); /* half a close is the end of what it sends */
	assert_int_equal(hear(fd).status, 200);
	assert_int_equal(whole_uploads, 1);
	close(fd);
	for (int i = 0; i < 50; i++) {
		fd = dial();
		put(fd, "all", "", 100000, 5000);
		close(fd);
		eventually(&broken_uploads, i + 2);
	}
}

static void test_chunked_json_over_the_limit(void **state)
{
	char chunk[JSON_MAX + 20];
	int fd = dial();

	(void)state;
	memset(chunk, ' ', sizeof(chunk));
	memcpy(chunk, "3ea\r\n", 5);
	memcpy(chunk + JSON_MAX + 7, "\r\n0\r\n\r\n", 8);
	say(fd, "POST /echo HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
	assert_true(send(fd, chunk, JSON_MAX + 14, MSG_NOSIGNAL) > 0);
	assert_refused(fd, 413, "request body too large");
	close(fd);
}

static void test_half_closed(void **state)
{
	int idle = dial(), fd = dial();

	(void)state;
	say(idle, PING); /* microhttpd looks first at who has been quiet for longest */
	assert_int_equal(hear(idle).status, 200);
	say(fd, "GET /later HTTP/1.1\r\nHost: d\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_string_equal(hear(fd).body, "later");
	assert_true(is_at_end(fd));
	close(fd);
	fd = dial();
	say(fd, "GET /endless HTTP/1.1\r\nHost: d\r\n\r\n");
	shutdown(fd, SHUT_WR);
	assert_int_equal(hear(fd).status, 200);
	usleep(100000);
	assert_int_equal(open_streams, 1);
	close(fd);
	close(idle);
	eventually(&open_streams, 0);
}

static void test_hijack(void **state)
{
	static const char *const heads[] = { "POST /hijack HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
					     "POST /hijack HTTP/1.1\r\nHost: d\r\n\r\n", "POST /hijack HTTP/1.0\r\n\r\n" };
	char got[8] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		int fd = dial();

		say(fd, heads[i]);
		assert_int_equal(hear(fd).status, i == 0 ? 101 : 200);
		say(fd, "hello");
		assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 5);
		assert_string_equal(got, "hello");
		shutdown(fd, SHUT_WR);
		assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 3);
		assert_memory_equal(got, "bye", 3);
		close(fd);
		eventually(&open_streams, 0);
	}
}

/* What is on its way to us when we end does not make the client hear of a reset; nor are we held by who never closes. */
static void test_hijack_ends_with_something_unread(void **state)
{
	char input[150001] = "end", got[8];
	int fd = dial();

	(void)state;
	say(fd, "POST /hijack HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	assert_int_equal(hear(fd).status, 101);
	memset(input + 3, 'x', sizeof(input) - 4);
	say(fd, input);
	assert_int_equal(recv(fd, got, 3, MSG_WAITALL), 3);
	assert_int_equal(recv(fd, got, 1, 0), 0);
	say(fd, "and more"); /* which is thrown away, too */
	eventually(&open_streams, 0);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	close(fd);
}

static void test_claim(void **state)
{
	int fd = dial();
	char got[100] = { 0 };

	(void)state;
	say(fd, "GET /claimed HTTP/1.1\r\n");
	usleep(50000);
	assert_int_equal(claimed, 0);
	say(fd, "Host: d\r\n\r\nmore");
	assert_true(recv(fd, got, sizeof(got), 0) > 0);
	assert_string_equal(got, "GET /claimed HTTP/1.1\r\nHost: d\r\n\r\nmore");
	assert_true(is_at_end(fd));
	assert_int_equal(claimed, 1);
	close(fd);
}

static void test_wrap(void **state)
{
	(void)state;
	for (int i = 0; i < 6; i++) {
		int fd = dial_at(1);

		if (i % 3 == 2) {
			assert_true(is_at_end(fd)); /* the wrapper did not like it */
		} else {
			say(fd, PING);
			assert_int_equal(hear(fd).status, 200);
			say(fd, "POST /hijack HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
			assert_int_equal(hear(fd).status, 101);
		}
		close(fd);
	}
	eventually(&open_streams, 0);
}

/* One that is served: the server may not have seen yet that others have gone. */
static int dial_when_there_is_room(void)
{
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		int fd = dial(), status;

		(void)!send(fd, PING, strlen(PING), MSG_NOSIGNAL);
		status = hear(fd).status;
		if (status == 200)
			return fd;
		close(fd);
		assert_int_equal(status, 503);
		usleep(10000);
	}
	fail_msg("there is never any room");
	return -1;
}

static void test_too_many(void **state)
{
	int fds[CONNECTIONS_MAX], fd;

	(void)state;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = dial_when_there_is_room();
	fd = dial();
	assert_refused(fd, 503, "too many connections");
	assert_true(is_at_end(fd));
	close(fd);
	close(fds[0]);
	close(dial_when_there_is_room());
	for (int i = 1; i < CONNECTIONS_MAX; i++)
		close(fds[i]);
}

/* Everything at once is in flight when the server stops (this one has its own). */
static void test_stop_with_all_in_flight(void **state)
{
	static const char *const begun[] = { "GET /later HTTP/1.1\r\nHost: d\r\n\r\n",
					     "GET /endless HTTP/1.1\r\nHost: d\r\n\r\n",
					     PING,
					     "GET /pi",
					     "PUT /upload/all HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\n\r\nabc",
					     "PUT /upload/none HTTP/1.1\r\nHost: d\r\nContent-Length: 900000\r\n\r\nabc",
					     "POST /hijack HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nabc" };
	int fds[8];

	broken_uploads = begun_uploads = 0;
	for (int i = 0; i < 7; i++) {
		fds[i] = dial();
		say(fds[i], begun[i]);
	}
	fds[7] = dial_at(1); /* still with its wrapper */
	eventually(&begun_uploads, 2);
	http_fixture_teardown(state);
	assert_int_equal(open_streams, 0);
	assert_int_equal(broken_uploads, 1);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	wrapped = 0;
	http_fixture_setup(state);
}

/* Requests have come that nobody has read yet, and an answer waits for the gate: what is left of either when the server
 * stops must not be suspended. */
static void test_stop_before_it_reads(void **state)
{
	static const char request[] = "GET /later HTTP/1.1\r\nHost: d\r\n\r\n";
	int idle = dial(), waiting = dial(), holding = dial(), fresh;

	say(idle, PING);
	assert_int_equal(hear(idle).status, 200);
	gate_state = GATE_SHUTS;
	say(waiting, PING);
	eventually(&gate_state, GATE_KEEPS);
	say(holding, "GET /hold HTTP/1.1\r\nHost: d\r\n\r\n");
	eventually(&held, 1);
	say(idle, request);
	fresh = dial();
	say(fresh, request);
	http_fixture_wish_stop();
	held = 0; /* all of it in one turn of the loop */
	http_fixture_finish();
	assert_true(is_at_end(fresh));
	assert_true(is_at_end(waiting));
	close(fresh);
	close(holding);
	close(waiting);
	close(idle);
	wrapped = 0;
	http_fixture_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_alive_and_pipelining),
		cmocka_unit_test(test_pipelining_behind_one_that_waits),
		cmocka_unit_test(test_override),
		cmocka_unit_test(test_lowest_version),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_later_heads_that_libmicrohttpd_refuses),
		cmocka_unit_test(test_slow_heads),
		cmocka_unit_test(test_errors_before_the_body),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_chunked_json_over_the_limit),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_hijack),
		cmocka_unit_test(test_hijack_ends_with_something_unread),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_stop_with_all_in_flight),
		cmocka_unit_test(test_stop_before_it_reads),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_too_many),
	};

	return cmocka_run_group_tests_name("http_server", tests, http_fixture_setup, http_fixture_teardown);
}
