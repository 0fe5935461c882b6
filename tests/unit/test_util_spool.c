/* What goes into a spool comes out of its file, whatever the pool is at when the end comes. */
#include "util/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { SPOOLS = 8, PIECES = 300, PIECE = 10007, QUEUE_MAX = 64 << 20, MIB = 1 << 20 };

struct producer {
	struct spool *spool;
	unsigned sent, drained;
	bool is_done;
	int result;
};

static uv_loop_t loop;

static int start(void **state)
{
	(void)state;
	return uv_loop_init(&loop);
}

static int stop(void **state)
{
	(void)state;
	return uv_loop_close(&loop);
}

static void on_done(void *arg, int result)
{
	struct producer *p = arg;

	p->is_done = true;
	p->result = result;
}

static void produce(void *arg)
{
	struct producer *p = arg;
	char piece[PIECE];

	p->drained++;
	while (p->sent < PIECES) {
		memset(piece, (int)('a' + p->sent % 26), sizeof(piece));
		p->sent++;
		if (spool_write(p->spool, piece, sizeof(piece)) == 1)
			return;
	}
	spool_finish(p->spool, on_done, p);
}

/* Bit by bit, with a turn of the loop in between: the end comes while the pool writes. */
static void produce_slowly(struct producer *p)
{
	char piece[PIECE];

	memset(piece, (int)('a' + p->sent % 26), sizeof(piece));
	if (p->sent < PIECES)
		spool_write(p->spool, piece, sizeof(piece));
	if (++p->sent == PIECES)
		spool_finish(p->spool, on_done, p);
}

static void check(struct producer *p)
{
	char piece[PIECE], wanted[PIECE];

	assert_true(p->is_done);
	assert_int_equal(p->result, 0);
	for (unsigned i = 0; i < PIECES; i++) {
		size_t have = 0;
		ssize_t n;

		while (have < PIECE && (n = read(spool_fd(p->spool), piece + have, PIECE - have)) > 0)
			have += (size_t)n;
		memset(wanted, (int)('a' + i % 26), sizeof(wanted));
		assert_int_equal(have, PIECE);
		assert_memory_equal(piece, wanted, PIECE);
	}
	assert_int_equal(read(spool_fd(p->spool), piece, 1), 0);
	spool_free(p->spool);
}

static void test_all_of_it(void **state)
{
	struct producer p[SPOOLS] = { 0 };

	(void)state;
	for (int i = 0; i < SPOOLS; i++) {
		p[i].spool = spool_new(&loop, "/tmp");
		assert_non_null(p[i].spool);
		spool_on_drain(p[i].spool, produce, &p[i]);
		produce(&p[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	for (int i = 0; i < SPOOLS; i++) {
		assert_true(p[i].drained > 1); /* it was full in between */
		check(&p[i]);
	}
}

static void test_end_while_it_writes(void **state)
{
	struct producer p[SPOOLS] = { 0 };

	(void)state;
	for (int i = 0; i < SPOOLS; i++)
		p[i].spool = spool_new(&loop, "/tmp");
	for (int k = 0; k < PIECES; k++) {
		for (int i = 0; i < SPOOLS; i++)
			produce_slowly(&p[i]);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	for (int i = 0; i < SPOOLS; i++)
		check(&p[i]);
}

static void test_nothing(void **state)
{
	struct producer p = { .spool = spool_new(&loop, "/tmp") };
	char byte;

	(void)state;
	spool_finish(p.spool, on_done, &p);
	assert_false(p.is_done); /* not from within */
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(p.is_done);
	assert_int_equal(p.result, 0);
	assert_int_equal(read(spool_fd(p.spool), &byte, 1), 0);
	spool_free(p.spool);
}

/* The file cannot grow: the first failure is what is told, however much comes after it. */
static void test_no_room(void **state)
{
	struct producer p = { .spool = spool_new(&loop, "/tmp") };
	struct rlimit before, little;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	little = (struct rlimit){ 5 * PIECE, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	while (p.sent < PIECES) {
		produce_slowly(&p);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_true(p.is_done);
	assert_int_equal(p.result, -EFBIG);
	spool_free(p.spool);
}

/* A producer that does not stop when it is asked to: an error, though all that was taken could be written. */
static void test_too_much(void **state)
{
	struct producer p = { .spool = spool_new(&loop, "/tmp") };
	char *mib = calloc(1, MIB);

	(void)state;
	for (int i = 0; i < QUEUE_MAX / MIB + 2; i++)
		spool_write(p.spool, mib, MIB); /* the pool has the first, the others wait */
	free(mib);
	spool_finish(p.spool, on_done, &p);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_true(p.is_done);
	assert_int_equal(p.result, -ENOBUFS);
	spool_free(p.spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_of_it, start, stop),
		cmocka_unit_test_setup_teardown(test_end_while_it_writes, start, stop),
		cmocka_unit_test_setup_teardown(test_nothing, start, stop),
		cmocka_unit_test_setup_teardown(test_no_room, start, stop),
		cmocka_unit_test_setup_teardown(test_too_much, start, stop),
	};

	return cmocka_run_group_tests_name("util_spool", tests, NULL, NULL);
}
