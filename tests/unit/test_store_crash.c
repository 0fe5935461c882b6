/* What was told as durable survives kill -9 of the process that wrote it, in the middle of a batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "util/alloc.h"

enum { ROUNDS = 4, BURST = 37 };

struct fixture {
	char dir[64];
};

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);

	strcpy(f->dir, "/tmp/sockerless-test-XXXXXX");
	*state = f;
	return mkdtemp(f->dir) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm" };
	struct fixture *f = *state;
	char path[128];
	int r;

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", f->dir, files[i]);
		unlink(path);
	}
	r = rmdir(f->dir);
	free(f);
	return r;
}

/* ---- the writer: rows in bursts, for ever; each burst is told when it is durable ---- */

static struct store *store;
static uint32_t next_row;
static int report_fd;

static void write_burst(void);

static void on_durable(void *arg)
{
	(void)arg;
	if (write(report_fd, &next_row, sizeof(next_row)) != sizeof(next_row))
		_exit(1);
	write_burst();
}

static void write_burst(void)
{
	for (int i = 0; i < BURST; i++) {
		char id[16];
		json_t *row = json_pack("{s:i, s:s}", "n", (int)next_row, "text", "a row that is long enough to fill pages");

		snprintf(id, sizeof(id), "%08u", next_row++);
		store_put(store, "row", id, row);
		json_decref(row);
	}
	store_on_durable(store, store_ticket(store), on_durable, NULL);
}

static void on_life(uv_timer_t *t)
{
	(void)t;
	_exit(3);
}

static void run_writer(const char *dir, uint32_t first, int fd)
{
	uv_loop_t loop;
	uv_timer_t life; /* the store alone does not keep a loop alive */

	uv_loop_init(&loop);
	uv_timer_init(&loop, &life);
	uv_timer_start(&life, on_life, 60000, 0);
	report_fd = fd;
	next_row = first;
	if (store_open(&loop, dir, &store, NULL) < 0)
		_exit(2);
	write_burst();
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(3);
}

/* ---- the reader ---- */

static int count_row(void *arg, const char *id, json_t *value)
{
	uint32_t *n = arg;

	/* In order and without a gap. */
	if (strtoul(id, NULL, 10) != *n || json_integer_value(json_object_get(value, "n")) != *n)
		return -1;
	(*n)++;
	return 0;
}

static uint32_t count_rows(const char *dir)
{
	struct store *s;
	uv_loop_t loop;
	uint32_t n = 0;
	int r;

	uv_loop_init(&loop);
	assert_int_equal(store_open(&loop, dir, &s, NULL), 0);
	r = store_load(s, "row", count_row, &n, NULL);
	store_close(s);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	assert_int_equal(r, 0);
	return n;
}

static void test_told_rows_survive(void **state)
{
	struct fixture *f = *state;
	uint32_t told = 0, there = 0;

	for (int round = 0; round < ROUNDS; round++) {
		int fds[2], status;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		if (pid == 0)
			run_writer(f->dir, there, fds[1]);
		close(fds[1]);
		for (int i = 0; i <= round * 7; i++)
			assert_int_equal(read(fds[0], &told, sizeof(told)), sizeof(told));
		kill(pid, SIGKILL);
		while (read(fds[0], &told, sizeof(told)) == sizeof(told))
			; /* what it told before it felt it */
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		there = count_rows(f->dir);
		assert_true(there >= told);
	}
	assert_true(told > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_told_rows_survive, setup, teardown),
	};

	return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
