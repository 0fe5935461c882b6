/* Mounts with a size: after any operation the counter says what adding up says. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/rootfs-fixture.h"

enum { LIMIT = 128 << 10, STEPS = 3000 };

static _Atomic uint64_t used;

static struct rootfs *limited(struct fixture *f, uint64_t limit)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = f->lower, .upper_fd = f->upper, .fd = -1 };
	struct rootfs *fs;

	m.size_limit_bytes = limit;
	m.used_bytes = &used;
	assert_int_equal(rootfs_new(&m, 1, &fs), 0);
	rootfs_count_used(fs);
	return fs;
}

/* As the sandbox's kernel writes. Bytes, or -errno. */
static ssize_t write_counted(struct rootfs *fs, const char *path, int flags, int64_t at, size_t len)
{
	static const char zeros[64 << 10];
	struct rootfs_growth g;
	struct rootfs_file file;
	uint64_t room = len;
	ssize_t n = rootfs_open(fs, NULL, NULL, path, O_WRONLY | flags, 0644, &file);

	if (n < 0)
		return n;
	n = rootfs_grow_begin(file.dir, file.name, file.fd, at, &room, &g);
	if (n == 0) {
		n = at >= 0 ? pwrite(file.fd, zeros, room, at) : write(file.fd, zeros, room);
		rootfs_grow_end(&g);
	}
	rootfs_file_done(&file);
	return n;
}

static void assert_counted(struct rootfs *fs, const char *what)
{
	uint64_t told = used;

	rootfs_count_used(fs);
	if (used != told)
		fail_msg("after %s: told %llu, is %llu", what, (unsigned long long)told, (unsigned long long)used);
}

static void test_full(void **state)
{
	struct rootfs *fs = limited(*state, LIMIT);
	ssize_t n, sum = 0;

	while ((n = write_counted(fs, "/f", O_CREAT | O_APPEND, -1, 1000)) > 0)
		sum += n;
	assert_int_equal(n, -ENOSPC);
	assert_true(sum <= LIMIT && sum > LIMIT - 3 * 4096);
	assert_int_equal(rootfs_mkdir(fs, NULL, NULL, "/d", 0755), -ENOSPC);
	assert_int_equal(write_counted(fs, "/f", 0, 0, 1000), 1000); /* in its place */
	assert_int_equal(rootfs_truncate(fs, NULL, NULL, "/f", 0), 0);
	assert_counted(fs, "truncation");
	assert_int_equal(rootfs_mkdir(fs, NULL, NULL, "/d", 0755), 0);
	rootfs_free(fs);
}

static void test_copy_up(void **state)
{
	static char text[20000];
	struct fixture *f = *state;
	struct rootfs *fs;

	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(put_host(f->lower, "big", text), 0);
	fs = limited(f, 16384);
	assert_int_equal(write_counted(fs, "/big", O_APPEND, -1, 1), -ENOSPC);
	assert_counted(fs, "a copy that does not fit");
	assert_int_equal(write_counted(fs, "/big", O_TRUNC, -1, 1), 1); /* nothing to copy */
	rootfs_free(fs);
}

static void test_any_order(void **state)
{
	struct rootfs *fs = limited(*state, LIMIT);
	unsigned seed = 1;
	char a[16], b[16], what[64];

	for (int i = 0; i < STEPS; i++) {
		int op = rand_r(&seed) % 8;

		snprintf(a, sizeof(a), "/%s%d", rand_r(&seed) % 3 ? "" : "d/", rand_r(&seed) % 6);
		snprintf(b, sizeof(b), "/%s%d", rand_r(&seed) % 3 ? "" : "d/", rand_r(&seed) % 6);
		snprintf(what, sizeof(what), "step %d: %d %s %s", i, op, a, b);
		switch (op) {
		case 0: rootfs_mkdir(fs, NULL, NULL, rand_r(&seed) % 2 ? "/d" : a, 0755); break;
		case 1: rootfs_unlink(fs, NULL, NULL, a, 0); break;
		case 2: rootfs_unlink(fs, NULL, NULL, a, AT_REMOVEDIR); break;
		case 3: rootfs_rename(fs, NULL, NULL, a, NULL, b, 0); break;
		case 4: rootfs_truncate(fs, NULL, NULL, a, rand_r(&seed) % 40000); break;
		case 5: write_counted(fs, a, O_CREAT | O_TRUNC, -1, (size_t)rand_r(&seed) % 30000); break;
		case 6: write_counted(fs, a, O_CREAT | O_APPEND, -1, (size_t)rand_r(&seed) % 30000); break;
		default: write_counted(fs, a, 0, rand_r(&seed) % 60000, (size_t)rand_r(&seed) % 9000);
		}
		assert_counted(fs, what);
		assert_true(used <= LIMIT + 4096);
	}
	rootfs_free(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_copy_up, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_any_order, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("rootfs_quota", tests, NULL, NULL);
}
