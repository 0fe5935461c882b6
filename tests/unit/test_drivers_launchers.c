/* Which launchers work: what is checked when, and again. Their checks are scripts that count themselves and succeed when a
 * file is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/launchers.h"

struct fixture {
	uv_loop_t loop;
	char dir[64];
	struct launchers *ls;
	unsigned told;
};

static void write_launcher(const struct fixture *f, const char *name, int grade)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/launchers/%s", f->dir, name);
	out = fopen(path, "w");
	fprintf(out, "#!/bin/sh\n# root: overlay\n# grade: %d\necho >>%s/%s.checks\n[ -e %s/%s.works ] || { echo %s is off >&2; exit 1; }\n",
		grade, f->dir, name, f->dir, name, name);
	fclose(out);
	chmod(path, 0755);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[96];

	snprintf(f->dir, sizeof(f->dir), "/tmp/sockerless-launchers-XXXXXX");
	if (!mkdtemp(f->dir) || uv_loop_init(&f->loop) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/launchers", f->dir);
	mkdir(path, 0755);
	write_launcher(f, "good", 50);
	write_launcher(f, "poor", 10);
	*state = f;
	return 0;
}

static void begin(struct fixture *f, unsigned again_ms)
{
	char dirs[96];
	struct launchers_options o = {
		.loop = &f->loop, .dirs = dirs, .agent_path = "/bin/true", .data_root = f->dir, .again_ms = again_ms
	};

	snprintf(dirs, sizeof(dirs), "%s/launchers", f->dir);
	f->ls = launchers_new(&o);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[96];

	launchers_free(f->ls);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	if (uv_loop_close(&f->loop) < 0 || system(command) != 0) /* NOLINT(cert-env33-c) */
		return -1;
	free(f);
	return 0;
}

static void works(const struct fixture *f, const char *name, bool does)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.works", f->dir, name);
	if (does)
		fclose(fopen(path, "w"));
	else
		unlink(path);
}

static int checks(const struct fixture *f, const char *name)
{
	struct stat st = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.checks", f->dir, name);
	stat(path, &st);
	return (int)st.st_size;
}

static void on_known(void *arg)
{
	((struct fixture *)arg)->told++;
}

/* A container that asks for this one, or (NULL) for the best: as agent_driver_when_ready. What it finds. */
static const char *ask(struct fixture *f, const char *name)
{
	const struct launcher *l = name ? launchers_find(f->ls, name) : NULL;
	unsigned before = f->told;
	bool is_known;

	if (!name)
		launchers_best(f->ls, &is_known); /* as the container's creation does */
	if (!l || !launchers_is_known(l)) {
		launchers_when_known(f->ls, l, on_known, f);
		while (f->told == before)
			uv_run(&f->loop, UV_RUN_ONCE);
	}
	if (!l)
		l = launchers_best(f->ls, &is_known);
	return !l ? "none" : l->state == LAUNCHER_FAILS ? "fails" : l->name;
}

static void turn(struct fixture *f, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* Until a check that nobody waits for has been made. */
static void wait_for_checks(struct fixture *f, const char *name, int n)
{
	for (int i = 0; i < 5000 && checks(f, name) < n; i++)
		turn(f, 1);
	assert_int_equal(checks(f, name), n);
	turn(f, 50);
}

static void one_that_fails_is_not_asked_each_time(void **state)
{
	struct fixture *f = *state;

	works(f, "poor", true);
	begin(f, 0);
	for (int i = 0; i < 20; i++)
		assert_string_equal(ask(f, NULL), "poor");
	assert_int_equal(checks(f, "good"), 1);
	assert_int_equal(checks(f, "poor"), 1);
}

static void a_better_one_comes_back(void **state)
{
	struct fixture *f = *state;

	works(f, "poor", true);
	begin(f, 100);
	assert_string_equal(ask(f, NULL), "poor");
	works(f, "good", true);
	assert_string_equal(ask(f, NULL), "poor");
	turn(f, 120);
	assert_string_equal(ask(f, NULL), "poor"); /* at once: it is tried beside */
	wait_for_checks(f, "good", 2);
	assert_string_equal(ask(f, NULL), "good");
	turn(f, 120);
	ask(f, NULL);
	turn(f, 50);
	assert_int_equal(checks(f, "good"), 2);
	assert_int_equal(checks(f, "poor"), 1);
}

static void where_nothing_works_one_waits(void **state)
{
	struct fixture *f = *state;

	begin(f, 100);
	assert_string_equal(ask(f, NULL), "none");
	works(f, "poor", true);
	assert_string_equal(ask(f, NULL), "none");
	turn(f, 120);
	assert_string_equal(ask(f, NULL), "poor");
	assert_int_equal(checks(f, "good"), 2);
}

static void one_that_is_asked_for(void **state)
{
	struct fixture *f = *state;

	works(f, "poor", true);
	begin(f, 0);
	assert_string_equal(ask(f, NULL), "poor");
	works(f, "good", true);
	for (int i = 0; i < 20; i++) /* no storm: its failure is news yet */
		assert_string_equal(ask(f, "good"), "fails");
	assert_int_equal(checks(f, "good"), 1);
	turn(f, 1050);
	assert_string_equal(ask(f, "good"), "good");
	assert_int_equal(checks(f, "good"), 2);
	assert_string_equal(ask(f, NULL), "good"); /* and so for the others */
}

static void many_ask_at_once(void **state)
{
	struct fixture *f = *state;
	const struct launcher *l;

	begin(f, 0);
	assert_string_equal(ask(f, NULL), "none");
	turn(f, 1050);
	l = launchers_find(f->ls, "good");
	f->told = 0;
	for (int i = 0; i < 50; i++) {
		assert_false(launchers_is_known(l));
		launchers_when_known(f->ls, l, on_known, f);
	}
	while (f->told < 50)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(checks(f, "good"), 2);
	assert_true(launchers_is_known(l));
	assert_string_equal(l->why, "good is off");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_fails_is_not_asked_each_time),
		TEST(a_better_one_comes_back),
		TEST(where_nothing_works_one_waits),
		TEST(one_that_is_asked_for),
		TEST(many_ask_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
