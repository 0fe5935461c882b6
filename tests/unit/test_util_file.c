/* Opening beneath a directory: no way out of it, and a host that renames all the while. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/openat2.h>

#include <cmocka.h>

#include "util/file.h"

enum { OPENINGS = 20000 };

struct fixture {
	char dir[32];
	int fd;
	atomic_bool is_over;
	pthread_t renamer;
	bool is_renaming;
};

/* dir/a, dir/b/link -> ../a, dir/b/out -> ../../etc */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	snprintf(f->dir, sizeof(f->dir), "/tmp/beneath-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->fd = open(f->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return mkdirat(f->fd, "a", 0755) < 0 || mkdirat(f->fd, "b", 0755) < 0 ||
	       symlinkat("../a", f->fd, "b/link") < 0 || symlinkat("../../etc", f->fd, "b/out") < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->is_over, true);
	if (f->is_renaming)
		pthread_join(f->renamer, NULL);
	unlinkat(f->fd, "b/link", 0);
	unlinkat(f->fd, "b/out", 0);
	unlinkat(f->fd, "x", AT_REMOVEDIR);
	unlinkat(f->fd, "y", AT_REMOVEDIR);
	unlinkat(f->fd, "a", AT_REMOVEDIR);
	unlinkat(f->fd, "b", AT_REMOVEDIR);
	close(f->fd);
	rmdir(f->dir);
	free(f);
	return 0;
}

static int try_open(const struct fixture *f, const char *path, uint64_t resolve)
{
	int fd = file_open_beneath(f->fd, path, 0, resolve);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void test_no_way_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, "b/link", 0), 0);
	assert_int_equal(try_open(f, "b/../a", 0), 0);
	assert_int_equal(try_open(f, "b/out", 0), -EXDEV);
	assert_int_equal(try_open(f, "..", 0), -EXDEV);
	assert_int_equal(try_open(f, "/etc", 0), -EXDEV);
	assert_int_equal(try_open(f, "b/link", RESOLVE_NO_SYMLINKS), -ELOOP);
	assert_int_equal(try_open(f, "c", 0), -ENOENT);
}

static void *rename_on(void *arg)
{
	struct fixture *f = arg;

	mkdirat(f->fd, "x", 0755);
	while (!atomic_load(&f->is_over)) {
		renameat(f->fd, "x", f->fd, "y");
		renameat(f->fd, "y", f->fd, "x");
	}
	return NULL;
}

/* openat2(2): EAGAIN, where a rename comes in between, is for us to try again. */
static void test_renames_meanwhile(void **state)
{
	struct fixture *f = *state;

	f->is_renaming = pthread_create(&f->renamer, NULL, rename_on, f) == 0;
	assert_true(f->is_renaming);
	for (int i = 0; i < OPENINGS; i++)
		assert_int_equal(try_open(f, "b/link", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_way_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renames_meanwhile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
