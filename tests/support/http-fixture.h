/* Unit tests of the HTTP server: one over a route table of its own, with limits small enough to reach. It runs on a
 * thread, the tests are blocking clients. */
#ifndef SOCKERLESS_TESTS_HTTP_FIXTURE_H
#define SOCKERLESS_TESTS_HTTP_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>

enum { GATE_OPEN, GATE_SHUTS, GATE_KEEPS }; /* shuts: behind the next answer */
enum { HEAD_MS = 2000, JSON_MAX = 1000, CONNECTIONS_MAX = 12, PATIENCE_S = 60 };

/* What the handlers and the wrapper have seen; `held` is set to 0 by the test, `gate_state` to GATE_SHUTS. */
extern atomic_int open_streams, broken_uploads, whole_uploads, begun_uploads, ended_uploads, uploaded, wrapped, claimed,
	overridden, held, gate_state;

/* cmocka's setup and teardown; a test may stop the server and start another. The stop in two parts: the wish, and its end. */
int http_fixture_setup(void **state);
int http_fixture_teardown(void **state);
void http_fixture_wish_stop(void);
int http_fixture_finish(void);

/* A connection to the server's plain listener (0), or to the one behind a wrapper (1). */
int dial_at(int which);
int dial(void);
void say(int fd, const char *text);

struct answer {
	int status;
	bool is_closing;
	char head[4096], body[4096];
};
struct answer hear(int fd);
bool is_at_end(int fd); /* the server has closed it */
struct answer ask(const char *text); /* over a connection of its own */
void assert_refused(int fd, int status, const char *message);
void eventually(atomic_int *what, int value);

#define PING "GET /ping HTTP/1.1\r\nHost: d\r\n\r\n"

#endif
