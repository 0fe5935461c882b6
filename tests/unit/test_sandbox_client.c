/* The daemon's side of the sandbox against a supervisor that has been taken
 * over: short, repeated, forged and random answers. Every request is answered
 * exactly once, and nothing crashes. The test's own program, started as the
 * zygote, plays that part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/client.h"

static unsigned char room[WIRE_ROOM_BYTES];

/* ---- the hostile side ---- */

static void answer(int sock, uint32_t type, uint64_t tag, const uint32_t *words, size_t n)
{
	struct buf b;

	buf_init(&b, WIRE_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		wire_put_u32(&b, words[i]);
	wire_send(sock, type, tag, &b, NULL, 0);
	buf_done(&b);
}
#define ANSWER(type, tag, ...) \
	answer(sock, type, tag, (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void send_random(int sock, unsigned seed)
{
	static const uint32_t types[] = { 1,           WIRE_SETUP, WIRE_READY,     WIRE_STARTED,
					  WIRE_EXITED, WIRE_DONE,  WIRE_PROCESSES, WIRE_FIGURES };

	for (int i = 0; i < 300; i++) {
		uint32_t words[40];
		size_t n = (size_t)rand_r(&seed) % 40;

		for (size_t k = 0; k < n; k++)
			words[k] = rand_r(&seed) % 3 ? (uint32_t)rand_r(&seed) % 3 : (uint32_t)rand_r(&seed) * 2u;
		answer(sock, types[rand_r(&seed) % 8], (uint64_t)(rand_r(&seed) % 8), words, n);
	}
}

/* Tags: 1 setup, 2 spawn, 3 top, 4 stats, 5 signal. */
static void act(int sock, int scene)
{
	switch (scene) {
	case 0: /* gone at once */ return;
	case 1: /* cut off */
		ANSWER(WIRE_READY, 1, 0);
		ANSWER(WIRE_STARTED, 2, 0);
		ANSWER(WIRE_PROCESSES, 3, 1);
		ANSWER(WIRE_FIGURES, 4, 1);
		answer(sock, WIRE_DONE, 5, NULL, 0);
		return;
	case 2: /* told twice */
		for (int i = 0; i < 2; i++) {
			ANSWER(WIRE_READY, 1, 0, 0, 1);
			ANSWER(WIRE_STARTED, 2, 0, 0, 1, 1);
		}
		for (int i = 0; i < 2; i++)
			ANSWER(WIRE_EXITED, 2, 0, 0);
		return;
	case 3: /* ends before it starts */ ANSWER(WIRE_EXITED, 2, 0, 0); return;
	case 4: /* counts that no message could hold */ ANSWER(WIRE_PROCESSES, 3, 0xffffffff, 1, 2, 3); return;
	case 5: /* errors that are none */
		ANSWER(WIRE_READY, 1, 0xffffffff, 0, 0);
		ANSWER(WIRE_STARTED, 2, 0x80000000, 0, 0, 0);
		ANSWER(WIRE_DONE, 5, 0x80000000);
		return;
	case 6: /* no message at all */ (void)!write(sock, "x", 1); return;
	case 7: /* answers of the wrong kind */
		ANSWER(WIRE_DONE, 2, 0);
		ANSWER(WIRE_STARTED, 1, 0, 0, 1, 1);
		ANSWER(WIRE_READY, 3, 0, 0, 1);
		return;
	default: send_random(sock, (unsigned)scene);
	}
}

static int play_zygote(void)
{
	struct wire_message create, m;

	while (wire_recv(3, room, &create) == 1) {
		struct wire_reader r = { .data = create.data, .len = create.len };
		const char *id = wire_get_str(&r);

		for (int i = 0; i < 5 && wire_recv(create.fds[0], room, &m) == 1; i++)
			wire_message_done(&m);
		act(create.fds[0], id ? atoi(id) : 0);
		wire_message_done(&create);
	}
	return 0;
}

/* ---- the daemon's side ---- */

static struct counts {
	int ready, started, failed, exited, top, stats, done, gone;
} n;
static struct sandbox *sandbox;
static struct sandbox_container *container;

static void on_ready(void *ctx, const struct sandbox_ready *ready)
{
	(void)ctx;
	n.ready += strlen(ready->message) < 1000 && ready->error <= 0;
}

static void on_started(void *ctx, const struct sandbox_started *st)
{
	(void)ctx;
	if (st->error)
		n.failed += strlen(st->message) < 1000 && st->error < 0;
	else
		n.started++;
}

static void on_exited(void *ctx, int status, uint32_t flags)
{
	(void)ctx, (void)status, (void)flags;
	n.exited++;
}

static void on_top(void *ctx, int error, const struct wire_process *rows, size_t count)
{
	(void)ctx;
	n.top++;
	for (size_t i = 0; error == 0 && i < count; i++)
		n.top += strlen(rows[i].cmdline) > sizeof(rows[i].cmdline);
}

static void on_stats(void *ctx, int error, const struct sandbox_figures *f)
{
	(void)ctx, (void)f, (void)error;
	n.stats++;
}

static void on_done(void *ctx, int error)
{
	(void)ctx;
	n.done += error <= 0;
}

static void on_gone(void *ctx)
{
	(void)ctx;
	n.gone++;
	sandbox_container_free(container);
	sandbox_stop(sandbox, NULL, NULL);
}

static void play(int scene)
{
	static const struct sandbox_process_events events = { .on_started = on_started, .on_exited = on_exited };
	static const struct sandbox_container_events container_events = { on_gone };
	struct wire_mount mount = { .kind = 0, .target = "/" };
	struct wire_setup setup = { .id = "x", .mounts = &mount, .nmounts = 1 };
	const char *argv[] = { "sh", NULL }, *env[] = { NULL };
	struct wire_spawn spawn = { .is_main = true, .argv = argv, .env = env };
	struct sandbox_options options = { .program = "/proc/self/exe" };
	struct error err = { 0 };
	int fds[3] = { 0, 1, 2 };
	char id[16];
	uint64_t tag;

	memset(&n, 0, sizeof(n));
	snprintf(id, sizeof(id), "%d", scene);
	assert_int_equal(sandbox_start(uv_default_loop(), &options, &sandbox, &err), 0);
	assert_int_equal(sandbox_container_new(sandbox, id, &container_events, NULL, &container, &err), 0);
	assert_int_equal(sandbox_container_setup(container, &setup, NULL, 0, on_ready, NULL, &err), 0);
	assert_int_equal(sandbox_container_spawn(container, &spawn, fds, 3, &events, NULL, &tag, &err), 0);
	assert_int_equal(sandbox_container_top(container, on_top, NULL), 0);
	assert_int_equal(sandbox_container_stats(container, on_stats, NULL), 0);
	assert_int_equal(sandbox_container_signal(container, 0, SIGTERM, 0, on_done, NULL), 0);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void test_every_request_is_answered_once(void **state)
{
	(void)state;
	for (int scene = 0; scene < 40; scene++) {
		play(scene);
		assert_int_equal(n.ready, 1);
		assert_int_equal(n.started + n.failed, 1);
		assert_int_equal(n.exited, n.started);
		assert_int_equal(n.top, 1);
		assert_int_equal(n.stats, 1);
		assert_int_equal(n.done, 1);
		assert_int_equal(n.gone, 1);
	}
}

static void test_a_short_start_is_no_start(void **state)
{
	(void)state;
	play(1);
	assert_int_equal(n.started, 0);
	play(5);
	assert_int_equal(n.started, 0);
	play(2);
	assert_int_equal(n.started, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_request_is_answered_once),
		cmocka_unit_test(test_a_short_start_is_no_start),
	};

	if (!environ[0]) /* the client starts its program with no environment, nobody else does: we are that program */
		return play_zygote();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
