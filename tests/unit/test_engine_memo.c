/* What is kept of an exec's look-ups: only what stays true, and only while it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/memo.h"
#include "support/rootfs-fixture.h"
#include "util/alloc.h"

enum { QUIET_MS = 2100 };

static void be_quiet(void)
{
	const struct timespec ts = { QUIET_MS / 1000, QUIET_MS % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* Looks `path` up as a plan would, and keeps what it found. */
static void look(struct view *view, const char *path, const json_t *config, int program_error)
{
	char *argv[] = { "word", "second", NULL }, *env[] = { "A=b", NULL };
	uint32_t groups[] = { 3, 4 };
	struct run_spec spec = { .argv = argv, .env = env, .cwd = "/", .uid = 5, .groups = groups, .ngroups = 2 };
	struct timespec changed;
	struct rootfs_stat st;

	memo_begin(view, &changed);
	rootfs_stat(view->fs, NULL, NULL, path, 0, &st);
	spec.program_error = program_error;
	strcpy(spec.program.path, path);
	memo_keep(view, config, NULL, &spec, &changed);
}

static bool recalls(const struct view *view, const json_t *config)
{
	struct run_spec got = { 0 };
	bool does = memo_recall(view, config, NULL, &got);

	if (does) {
		assert_string_equal(got.argv[1], "second");
		assert_string_equal(got.env[0], "A=b");
		assert_true(got.uid == 5 && got.ngroups == 2 && got.groups[1] == 4 && !got.argv[2]);
		run_spec_done(&got);
	}
	return does;
}

static void test_kept_while_nothing_changes(void **state)
{
	struct fixture *f = *state;
	struct view view = { .fs = f->fs };
	json_t *config = json_pack("{s:[s]}", "Cmd", "word"), *other = json_pack("{s:[s]}", "Cmd", "else");

	be_quiet();
	look(&view, "/etc/a", config, 0);
	assert_true(recalls(&view, config));
	assert_true(recalls(&view, config));
	assert_false(recalls(&view, other));
	look(&view, "/etc/nothing/there", config, 0); /* what is not there is known, too */
	assert_true(recalls(&view, config));
	assert_int_equal(rootfs_chmod(f->fs, NULL, NULL, "/", 0700, 0), 0);
	assert_false(recalls(&view, config));
	look(&view, "/etc/a", config, 0);
	assert_false(recalls(&view, config)); /* it may change again without another time */
	be_quiet();
	look(&view, "/etc/a", config, 0);
	assert_true(recalls(&view, config));
	assert_int_equal(write_to(f, "/etc/new", "x", O_CREAT), 0); /* copies the directory up */
	assert_false(recalls(&view, config));
	memo_free(view.memo);
	json_decref(config);
	json_decref(other);
}

static void test_not_kept_of_what_changes_unseen(void **state)
{
	struct fixture *f = *state;
	struct view view = { .fs = f->fs };
	json_t *config = json_pack("{s:[s]}", "Cmd", "word");

	assert_int_equal(write_to(f, "/etc/new", "x", O_CREAT), 0);
	assert_int_equal(write_to(f, "/top", "x", O_CREAT), 0);
	be_quiet();
	look(&view, "/etc/new", config, 0);
	assert_false(recalls(&view, config));
	look(&view, "/etc/a", config, 0); /* of the lower layer, under a directory that is in both */
	assert_false(recalls(&view, config));
	look(&view, "/etc/nothing", config, 0);
	assert_false(recalls(&view, config));
	look(&view, "/top", config, 0);
	assert_false(recalls(&view, config));
	look(&view, "/nothing", config, 0);
	assert_true(recalls(&view, config));
	look(&view, "/nothing", config, -ENOENT); /* nor is a failure */
	assert_false(recalls(&view, config));
	memo_free(view.memo);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_while_nothing_changes, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_not_kept_of_what_changes_unseen, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
