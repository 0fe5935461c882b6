/* Which trees hold native programs, and how large they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "image/internal.h"
#include "rootfs/rootfs.h"

struct tree {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	strcpy(t->path, "/tmp/sockerless-test-XXXXXX");
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return t->fd < 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	close(t->fd);
	rootfs_remove_tree(AT_FDCWD, t->path);
	free(t);
	return 0;
}

static void put(struct tree *t, const char *name, const char *data, size_t len, mode_t mode)
{
	int fd = openat(t->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static void test_scripts_only(void **state)
{
	struct tree *t = *state;
	uint64_t bytes = 5;

	put(t, "script", "#!/bin/sh\n", 10, 0755);
	put(t, "module", "\0asm\1\0\0\0", 8, 0755);
	assert_int_equal(mkfifoat(t->fd, "fifo", 0600), 0); /* is not opened for ever */
	assert_int_equal(symlinkat("/bin/true", t->fd, "link"), 0);
	assert_false(classify_tree(t->fd, &bytes));
	assert_int_equal(bytes, 5 + 18); /* added */
}

static void test_native(void **state)
{
	struct tree *t = *state;
	uint64_t bytes = 0;

	assert_int_equal(mkdirat(t->fd, "deep", 0700), 0);
	put(t, "deep/library", "\177ELF....", 8, 0644); /* not executable */
	assert_false(classify_tree(t->fd, &bytes));
	put(t, "deep/program", "\177ELF....", 8, 0755);
	assert_true(classify_tree(t->fd, &bytes));
	put(t, "deep/program", "\177EL", 3, 0755); /* too short to be one */
}

static void test_nothing(void **state)
{
	struct tree *t = *state;
	uint64_t bytes = 0;

	assert_false(classify_tree(t->fd, &bytes));
	assert_false(classify_tree(-1, &bytes));
	assert_int_equal(bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scripts_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_native, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	};

	return cmocka_run_group_tests_name("image_classify", tests, NULL, NULL);
}
