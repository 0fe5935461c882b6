/* The server over a route table of its own, with limits small enough to reach:
 * it runs on a thread, the tests are blocking clients. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "http/request.h"
#include "http/server.h"

enum { GATE_OPEN, GATE_SHUTS, GATE_KEEPS }; /* shuts: behind the next answer */
enum { HEAD_MS = 600, JSON_MAX = 1000, CONNECTIONS_MAX = 12, PATIENCE_S = 10 };

static struct {
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t stop;
	struct http_server *server;
	struct router *router;
	char path[2][64];
} f;

static atomic_int open_streams, broken_uploads, whole_uploads, ended_uploads, uploaded, wrapped, claimed, overridden,
	held, gate_state;

/* ---- handlers ---- */

static void ping(struct request *req)
{
	reply_text(req, 200, "text/plain", "OK");
}

static void ping_instead(struct request *req)
{
	overridden++;
	ping(req);
}

static void echo(struct request *req)
{
	reply_json(req, 200, request_json(req) ? json_incref(request_json(req)) : json_null());
}

static void refuse_upload(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_NOT_FOUND, "no such thing");
	reply_error(req, &err);
}

static void upload_data(void *arg, const void *data, size_t len)
{
	(void)data;
	uploaded += (int)len;
	if (strcmp(request_param(arg, "kind"), "stop") == 0 && uploaded > 100000) {
		uploaded = 0;
		refuse_upload(arg);
	}
}

static void upload_end(void *arg, int result)
{
	if (result < 0)
		broken_uploads++;
	else
		whole_uploads++;
	if (strcmp(request_param(arg, "kind"), "stop") != 0)
		reply_empty(arg, 200);
	ended_uploads++;
}

static void upload(struct request *req)
{
	if (strcmp(request_param(req, "kind"), "none") == 0)
		refuse_upload(req);
	else
		request_body_start(req, upload_data, upload_end, req);
}

static void stream_closed(void *arg)
{
	(void)arg;
	open_streams--;
}

static void endless(struct request *req)
{
	static const struct stream_events events = { .on_close = stream_closed };
	struct stream *s = reply_stream(req, 200, "text/plain");

	open_streams++;
	stream_set_events(s, &events, s);
}

/* An echo; after "end" nothing more is wanted of the client. */
static void hijack_data(void *arg, const void *data, size_t len)
{
	stream_write(arg, data, len < 16 ? len : 3);
	if (len >= 3 && !memcmp(data, "end", 3)) {
		stream_read_stop(arg);
		stream_end(arg);
	}
}

static void hijack_eof(void *arg)
{
	stream_write(arg, "bye", 3);
	stream_end(arg);
}

static void hijack_ready(void *arg, struct stream *s)
{
	static const struct stream_events events = { .on_close = stream_closed, .on_data = hijack_data, .on_eof = hijack_eof };

	(void)arg;
	if (!s)
		return;
	open_streams++;
	stream_set_events(s, &events, s);
	stream_read_start(s);
}

static void hijack(struct request *req)
{
	reply_hijack(req, "text/plain", hijack_ready, NULL);
}

/* The loop stands still, until it is let go. */
static void hold(struct request *req)
{
	held++;
	while (held)
		usleep(1000);
	ping(req);
}

/* The one answer that the gate keeps. */
static struct {
	void (*go)(void *arg);
	void *arg;
} kept;

static bool gate(void *ctx, void (*go)(void *arg), void *arg)
{
	(void)ctx;
	if (gate_state != GATE_SHUTS)
		return true;
	kept.go = go;
	kept.arg = arg;
	gate_state = GATE_KEEPS;
	return false;
}

static void later_closed(uv_handle_t *h)
{
	free(h);
}

static void later_due(uv_timer_t *t)
{
	reply_text(t->data, 200, "text/plain", "later");
	uv_close((uv_handle_t *)t, later_closed);
}

static void later(struct request *req)
{
	uv_timer_t *t = malloc(sizeof(*t));

	uv_timer_init(&f.loop, t);
	t->data = req;
	uv_timer_start(t, later_due, 100, 0);
}

static const struct route routes[] = {
	{ .operation = "Ping", .method = "GET", .pattern = "/ping", .handler = ping },
	{ .operation = "Echo", .method = "POST", .pattern = "/echo", .handler = echo, .flags = ROUTE_BODY_JSON },
	{ .operation = "Upload", .method = "PUT", .pattern = "/upload/{kind}", .handler = upload, .flags = ROUTE_BODY_STREAM },
	{ .operation = "Endless", .method = "GET", .pattern = "/endless", .handler = endless, .flags = ROUTE_STREAM },
	{ .operation = "Hijack", .method = "POST", .pattern = "/hijack", .handler = hijack, .flags = ROUTE_HIJACK },
	{ .operation = "Hold", .method = "GET", .pattern = "/hold", .handler = hold },
	{ .operation = "Later", .method = "GET", .pattern = "/later", .handler = later },
	{ .operation = "New", .method = "GET", .pattern = "/new/{name}", .handler = ping, .min_version = API_VERSION(1, 40) },
	{ .operation = "Override", .method = "GET", .pattern = "/override", .handler = later },
};

/* ---- what stands before the server ---- */

struct relay {
	int fd[2];
	atomic_uint left; /* threads; the last closes */
};

static void relay_one_way(struct relay *r, int from, int to)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0 || (n < 0 && errno == EAGAIN))
		if (n > 0)
			(void)!write(to, buf, (size_t)n);
		else
			usleep(1000);
	shutdown(to, SHUT_WR);
	if (atomic_fetch_sub(&r->left, 1) > 1)
		return;
	close(from);
	close(to);
	free(r);
}

static void *relay_forth(void *arg)
{
	struct relay *r = arg;

	relay_one_way(r, r->fd[0], r->fd[1]);
	return NULL;
}

static void *relay_back(void *arg)
{
	struct relay *r = arg;

	relay_one_way(r, r->fd[1], r->fd[0]);
	return NULL;
}

static void relay_start(int from, int to)
{
	struct relay *r = malloc(sizeof(*r));
	pthread_attr_t attr;
	pthread_t thread;

	*r = (struct relay){ { from, to }, 2 };
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_create(&thread, &attr, relay_forth, r);
	pthread_create(&thread, &attr, relay_back, r);
	pthread_attr_destroy(&attr);
}

struct pending {
	uv_timer_t timer;
	http_plain_fn plain;
	void *token;
	int fd;
};

static void give(uv_timer_t *t)
{
	struct pending *p = t->data;

	p->plain(p->token, p->fd);
	uv_close((uv_handle_t *)t, later_closed);
}

/* A relay through a socket pair, ready only after a while; every third connection it does not like. */
static void wrap(void *ctx, int take_fd, http_plain_fn plain, void *token)
{
	struct pending *p;
	int pair[2];

	(void)ctx;
	if (wrapped++ % 3 == 2) {
		close(take_fd);
		plain(token, -1);
		return;
	}
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	relay_start(take_fd, pair[0]);
	p = malloc(sizeof(*p));
	p->plain = plain;
	p->token = token;
	p->fd = pair[1];
	uv_timer_init(&f.loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, give, 20, 0);
}

static bool claims(const char *head, size_t len)
{
	return len >= 12 && memcmp(head, "GET /claimed", 12) == 0;
}

static void claim(void *ctx, const char *head, size_t len, int take_fd)
{
	char buf[256];

	(void)ctx, (void)head;
	claimed++;
	len = (size_t)read(take_fd, buf, sizeof(buf)); /* still there */
	(void)!write(take_fd, buf, len);
	close(take_fd);
}

/* ---- the server's thread ---- */

static void on_stopped(void *arg)
{
	uv_close(arg, NULL);
}

static void on_stop(uv_async_t *a)
{
	http_server_stop(f.server, on_stopped, a);
}

static void run(void *arg)
{
	(void)arg;
	uv_run(&f.loop, UV_RUN_DEFAULT);
}

static int make_listener(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static int start(void **state)
{
	struct http_config c = { .loop = &f.loop,
				 .claims = claims,
				 .claim = claim,
				 .gate = { gate, NULL, NULL },
				 .limits = { CONNECTIONS_MAX, 0, JSON_MAX, HEAD_MS } };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&f.loop);
	uv_async_init(&f.loop, &f.stop, on_stop);
	assert_int_equal(router_new(routes, sizeof(routes) / sizeof(routes[0]), &f.router, NULL), 0);
	assert_int_equal(router_override(f.router, "Override", ping_instead, NULL, NULL), 0);
	c.router = f.router;
	assert_int_equal(http_server_new(&c, &f.server, NULL), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(f.path[i], sizeof(f.path[i]), "/tmp/sockerless-http-%d-%d", (int)getpid(), i);
		assert_int_equal(http_server_listen(f.server, make_listener(f.path[i]), i ? wrap : NULL, NULL, NULL), 0);
	}
	uv_thread_create(&f.thread, run, NULL);
	return 0;
}

static int finish(void)
{
	uv_thread_join(&f.thread);
	if (kept.go)
		kept.go(kept.arg);
	kept.go = NULL;
	gate_state = GATE_OPEN;
	http_server_free(f.server);
	router_free(f.router);
	assert_int_equal(uv_loop_close(&f.loop), 0);
	for (int i = 0; i < 2; i++)
		unlink(f.path[i]);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	uv_async_send(&f.stop);
	return finish();
}

/* ---- clients ---- */

static int dial_at(int which)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct timeval patience = { PATIENCE_S, 0 };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, f.path[which]);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int dial(void)
{
	return dial_at(0);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

struct answer {
	int status;
	bool is_closing;
	char head[4096], body[4096];
};

/* One reply: the head byte by byte, then what its Content-Length says. Status 0: the end came first. */
static struct answer hear(int fd)
{
	struct answer a = { 0 };
	const char *length;
	size_t n = 0, len;

	while (n < sizeof(a.head) - 1 && recv(fd, a.head + n, 1, 0) == 1)
		if (++n >= 4 && memcmp(a.head + n - 4, "\r\n\r\n", 4) == 0)
			break;
	sscanf(a.head, "HTTP/1.1 %d", &a.status);
	a.is_closing = strcasestr(a.head, "\r\nConnection: close\r\n") != NULL;
	length = strcasestr(a.head, "\r\nContent-Length: ");
	len = length ? (size_t)atoi(length + 18) : 0;
	if (len && len < sizeof(a.body))
		(void)!recv(fd, a.body, len, MSG_WAITALL);
	return a;
}

static bool is_at_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static struct answer ask(const char *text)
{
	int fd = dial();
	struct answer a;

	say(fd, text);
	a = hear(fd);
	close(fd);
	return a;
}

static void assert_refused(int fd, int status, const char *message)
{
	struct answer a = hear(fd);
	char body[300];

	snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", message);
	assert_int_equal(a.status, status);
	assert_string_equal(a.body, body);
	assert_non_null(strcasestr(a.head, "Content-Type: application/json\r\n"));
	assert_non_null(strcasestr(a.head, "Api-Version: "));
}

static void eventually(atomic_int *what, int value)
{
	for (int i = 0; i < PATIENCE_S * 100 && *what != value; i++)
		usleep(10000);
	assert_int_equal(*what, value);
}

#define PING "GET /ping HTTP/1.1\r\nHost: d\r\n\r\n"

/* ---- tests ---- */

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
	for (int i = 0; i < 40; i++) { /* a byte at a time keeps nothing alive */
		(void)!send(first, &PING[i % 20], 1, MSG_NOSIGNAL);
		(void)!send(later_one, &PING[i % 20], 1, MSG_NOSIGNAL);
		usleep(50000);
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
	int fd = dial();

	(void)state;
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

static void test_too_many(void **state)
{
	int fds[CONNECTIONS_MAX], fd;

	(void)state;
	usleep(200000); /* those of the tests before are gone */
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		fds[i] = dial();
		say(fds[i], PING);
		assert_int_equal(hear(fds[i]).status, 200);
	}
	fd = dial();
	assert_refused(fd, 503, "too many connections");
	assert_true(is_at_end(fd));
	close(fd);
	close(fds[0]);
	usleep(100000);
	assert_int_equal(ask(PING).status, 200);
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

	broken_uploads = 0;
	for (int i = 0; i < 7; i++) {
		fds[i] = dial();
		say(fds[i], begun[i]);
	}
	fds[7] = dial_at(1); /* still with its wrapper */
	usleep(30000);
	stop(state);
	assert_int_equal(open_streams, 0);
	assert_int_equal(broken_uploads, 1);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
	wrapped = 0;
	start(state);
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
	uv_async_send(&f.stop);
	held = 0; /* all of it in one turn of the loop */
	finish();
	assert_true(is_at_end(fresh));
	assert_true(is_at_end(waiting));
	close(fresh);
	close(holding);
	close(waiting);
	close(idle);
	wrapped = 0;
	start(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_alive_and_pipelining),
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

	return cmocka_run_group_tests_name("http_server", tests, start, stop);
}
