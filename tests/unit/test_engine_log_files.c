/* The files of a log: what a reader sees while they are rotated, compressed and removed, and after a crash. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/log.h"
#include "engine/log_files.h"

struct scene {
	char dir[64], aside[96], path[96];
	struct log_files *files;
};

/* How often anything has looked at files by their names: the C library's own are not reached. */
static unsigned nlooks;

int open(const char *name, int flags, ...)
{
	va_list list;
	int mode;

	va_start(list, flags);
	mode = flags & O_CREAT ? va_arg(list, int) : 0;
	va_end(list);
	__atomic_add_fetch(&nlooks, 1, __ATOMIC_RELAXED);
	return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}

int stat(const char *name, struct stat *st)
{
	__atomic_add_fetch(&nlooks, 1, __ATOMIC_RELAXED);
	return fstatat(AT_FDCWD, name, st, 0);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	snprintf(s->dir, sizeof(s->dir), "/tmp/sockerless-log-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->aside, sizeof(s->aside), "%s.log", s->dir);
	snprintf(s->path, sizeof(s->path), "%s/output.log", s->dir);
	s->files = log_files_new(s->dir);
	*state = s;
	return 0;
}

static unsigned remove_all(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += unlinkat(dirfd(d), e->d_name, 0) == 0;
	if (d)
		closedir(d);
	rmdir(dir);
	return n;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	remove_all(s->dir);
	remove_all(s->aside);
	log_files_unref(s->files);
	free(s);
	return 0;
}

/* Another daemon. */
static void start_again(struct scene *s)
{
	log_files_unref(s->files);
	s->files = log_files_new(s->dir);
}

static const char *name(const struct scene *s, const char *suffix)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s%s", s->path, suffix);
	return text;
}

static bool is_there(const struct scene *s, const char *suffix)
{
	struct stat st;

	return stat(name(s, suffix), &st) == 0;
}

static void put(const struct scene *s, const char *suffix, const char *text)
{
	int fd = open(name(s, suffix), O_WRONLY | O_CREAT | O_APPEND, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void rotate(const struct scene *s, unsigned max_files)
{
	const struct log_limits limits = { .max_bytes = 1, .max_files = max_files, .is_kept = true };

	log_files_rotate(s->files, &limits);
}

/* Writes a file and makes it an old one. */
static void fill(const struct scene *s, const char *text, unsigned max_files, bool is_compressed)
{
	put(s, "", text);
	rotate(s, max_files);
	if (is_compressed)
		log_files_compress(s->files);
}

/* What is left from there on: the place moves, and stays where it ends. */
static const char *read_on(struct log_place *at)
{
	static char text[4096];
	size_t len = 0, n;

	while ((n = log_place_read(at, text + len, 3)) > 0) /* small pieces: also inside a compressed block */
		len += n;
	text[len] = '\0';
	return text;
}

static void expect_all(const struct scene *s, const char *wanted)
{
	struct log_place at;

	log_place_enter(&at, s->files, false);
	assert_string_equal(read_on(&at), wanted);
	log_place_leave(&at);
}

static void expect_names(const struct scene *s, unsigned n)
{
	DIR *d = opendir(s->dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			n--;
			assert_int_equal(strncmp(e->d_name, "output.log", 10), 0);
		}
	closedir(d);
	assert_int_equal(n, 0);
}

static void test_order(void **state)
{
	const struct scene *s = *state;

	expect_all(s, "");
	fill(s, "one ", 4, true);
	assert_true(is_there(s, ".1.gz") && !is_there(s, ".1"));
	expect_names(s, 1);
	fill(s, "two ", 4, true);
	fill(s, "three ", 4, false); /* as before the option, or when the disk was full */
	put(s, "", "four");
	assert_true(is_there(s, ".3.gz") && is_there(s, ".2.gz") && is_there(s, ".1"));
	expect_all(s, "one two three four");
	fill(s, "", 4, true);
	assert_true(is_there(s, ".3.gz") && is_there(s, ".2") && !is_there(s, ".4.gz"));
	expect_all(s, "two three four");
}

static void test_one_file(void **state)
{
	const struct scene *s = *state;

	fill(s, "one", 1, false);
	expect_names(s, 0);
	put(s, "", "two");
	expect_all(s, "two");
}

/* It is in the newest file, which is rotated, compressed, and rotated again. */
static void test_reader_keeps_its_place(void **state)
{
	const struct scene *s = *state;
	struct log_place at;

	fill(s, "one ", 5, true);
	put(s, "", "two ");
	log_place_enter(&at, s->files, false);
	assert_string_equal(read_on(&at), "one two ");
	put(s, "", "end ");
	fill(s, "", 5, true);
	put(s, "", "three ");
	assert_string_equal(read_on(&at), "end three ");
	fill(s, "", 5, true);
	fill(s, "four ", 5, true);
	fill(s, "five ", 5, true);
	assert_string_equal(read_on(&at), "four five ");
	put(s, "", "six");
	assert_string_equal(read_on(&at), "six");
	log_place_leave(&at);
}

/* ---- what is held for a reader ---- */

/* It reads so slowly that all of it has been rotated away: what it has not opened yet is there, and goes when it has
 * come by. Another one that comes later has the log as it is. */
static void check_overtaken(const struct scene *s, unsigned max_files, bool is_compressed, const char *wanted_later)
{
	struct log_place at;
	char c[4];

	put(s, "", "one ");
	log_place_enter(&at, s->files, false);
	assert_int_equal(log_place_read(&at, c, 4), 4);
	fill(s, "", max_files, is_compressed);
	fill(s, "two ", max_files, is_compressed);
	fill(s, "three ", max_files, is_compressed);
	fill(s, "four ", max_files, is_compressed);
	put(s, "", "five");
	expect_all(s, wanted_later);
	assert_string_equal(read_on(&at), "two three four five");
	expect_names(s, max_files);
	log_place_leave(&at);
	expect_names(s, max_files);
}

static void test_reader_is_overtaken(void **state)
{
	check_overtaken(*state, 3, false, "three four five");
}

static void test_reader_is_overtaken_compressed(void **state)
{
	check_overtaken(*state, 3, true, "three four five");
}

static void test_reader_is_overtaken_one_file(void **state)
{
	check_overtaken(*state, 1, false, "five");
}

/* It has not begun. */
static void test_reader_has_entered(void **state)
{
	const struct scene *s = *state;
	struct log_place first, second;

	fill(s, "one ", 2, false);
	log_place_enter(&first, s->files, false);
	fill(s, "two ", 2, false);
	log_place_enter(&second, s->files, false);
	fill(s, "three ", 2, false);
	put(s, "", "four");
	assert_string_equal(read_on(&second), "two three four");
	assert_string_equal(read_on(&first), "one two three four");
	expect_names(s, 2);
	log_place_leave(&first);
	log_place_leave(&second);
}

/* It counts first, as for --tail: all stays until the second time. */
static void test_reader_rewinds(void **state)
{
	const struct scene *s = *state;
	struct log_place at;

	fill(s, "one ", 2, false);
	put(s, "", "two ");
	log_place_enter(&at, s->files, true);
	assert_string_equal(read_on(&at), "one two ");
	fill(s, "", 2, false);
	fill(s, "three ", 2, false);
	log_place_rewind(&at);
	assert_string_equal(read_on(&at), "one two three ");
	expect_names(s, 1);
	log_place_leave(&at);
}

/* It leaves without having read any. */
static void test_reader_leaves(void **state)
{
	const struct scene *s = *state;
	struct log_place at;

	log_place_enter(&at, s->files, false);
	for (int i = 0; i < 5; i++)
		fill(s, "some", 2, true);
	assert_false(is_there(s, "")); /* held are the four before .1 */
	log_place_leave(&at);
	expect_names(s, 1);
}

static void test_held_files_are_limited(void **state)
{
	const struct scene *s = *state;
	struct log_place at;
	unsigned n = 0;
	char c;

	log_place_enter(&at, s->files, false);
	for (int i = 0; i < HELD_FILES_MAX + 50; i++)
		fill(s, i < 49 ? "-" : "+", 2, false);
	while (log_place_read(&at, &c, 1) > 0) {
		assert_int_equal(c, '+');
		n++;
	}
	assert_int_equal(n, HELD_FILES_MAX + 1);
	log_place_leave(&at);
	expect_names(s, 1);
}

static void test_held_bytes_are_limited(void **state)
{
	const struct scene *s = *state;
	struct log_place at;
	char c = 0;

	log_place_enter(&at, s->files, false);
	for (int i = 0; i < 4; i++) {
		put(s, "", i == 0 ? "0" : i == 1 ? "1" : "2");
		assert_int_equal(truncate(s->path, HELD_BYTES_MIN / 2), 0);
		rotate(s, 1);
	}
	assert_int_equal(log_place_read(&at, &c, 1), 1);
	assert_int_equal(c, '2');
	log_place_leave(&at);
	expect_names(s, 0);
}

/* Nobody reads: as if nothing could be held. */
static void test_nothing_is_held_for_nobody(void **state)
{
	const struct scene *s = *state;
	struct log_place at;

	for (int i = 0; i < 5; i++)
		fill(s, "some", 2, false);
	expect_names(s, 1);
	log_place_enter(&at, s->files, false);
	assert_string_equal(read_on(&at), "some");
	fill(s, "one ", 2, false);
	fill(s, "two ", 2, false);
	assert_string_equal(read_on(&at), "one two ");
	expect_names(s, 1);
	log_place_leave(&at);
}

/* ---- removal ---- */

static void test_removed(void **state)
{
	const struct scene *s = *state;
	struct log_place behind, before, ahead;
	struct stat st;
	char c[4];

	log_place_enter(&behind, s->files, false);
	fill(s, "one ", 3, false);
	fill(s, "two ", 3, true);
	log_place_enter(&before, s->files, true);
	fill(s, "three ", 3, false);
	put(s, "", "four");
	log_place_enter(&ahead, s->files, false);
	assert_string_equal(read_on(&ahead), "two three four");
	assert_int_equal(log_place_read(&behind, c, 4), 4);
	log_files_set_aside(s->files, s->aside);
	remove_all(s->dir);
	assert_string_equal(read_on(&behind), "two three four");
	assert_string_equal(read_on(&ahead), "");
	assert_string_equal(read_on(&before), "one two three four");
	log_place_rewind(&before);
	log_place_leave(&behind);
	log_place_leave(&ahead);
	assert_int_equal(stat(s->aside, &st), 0);
	assert_string_equal(read_on(&before), "one two three four");
	log_place_leave(&before);
	assert_int_equal(stat(s->aside, &st), -1);
	expect_all(s, "");
}

static void test_removed_with_no_reader(void **state)
{
	const struct scene *s = *state;
	struct stat st;

	fill(s, "one ", 3, false);
	log_files_set_aside(s->files, s->aside);
	assert_int_equal(stat(s->aside, &st), -1);
	assert_int_equal(remove_all(s->dir), 1);
	expect_all(s, "");
}

/* ---- many files ---- */

/* Each next file costs the same, however many there are. */
static void test_many_files(void **state)
{
	struct scene *s = *state;
	enum { N = 1000 };
	struct log_place at;
	unsigned n = 0;
	char c;

	for (unsigned i = 1; i < N; i++) {
		char suffix[16];

		snprintf(suffix, sizeof(suffix), ".%u", i);
		put(s, suffix, "-");
	}
	put(s, "", "-");
	nlooks = 0;
	log_place_enter(&at, s->files, false);
	while (log_place_read(&at, &c, 1) > 0)
		n++;
	log_place_leave(&at);
	assert_int_equal(n, N);
	assert_in_range(nlooks, N, 3 * N);
}

static void *write_many(void *arg)
{
	const struct scene *s = arg;

	for (int i = 0; i < HELD_FILES_MAX / 8; i++) {
		char text[16];

		snprintf(text, sizeof(text), "%d ", i);
		fill(s, text, 3, i % 10 == 0);
	}
	return NULL;
}

/* One writes, one reads, and none waits for the other. */
static void test_at_once(void **state)
{
	struct scene *s = *state;
	struct log_place at;
	char text[65536] = "", *end = text;
	size_t len = 0, n;
	pthread_t writer;
	int is_over = 0;

	log_place_enter(&at, s->files, false);
	assert_int_equal(pthread_create(&writer, NULL, write_many, s), 0);
	do {
		is_over = pthread_tryjoin_np(writer, NULL) == 0;
		while ((n = log_place_read(&at, text + len, sizeof(text) - 1 - len)) > 0)
			len += n;
		usleep(1000);
	} while (!is_over);
	for (long i = 0; i < HELD_FILES_MAX / 8; i++)
		assert_int_equal(strtol(end, &end, 10), i);
	log_place_leave(&at);
}

/* ---- after a crash ---- */

static void copy(const struct scene *s, const char *from, const char *to)
{
	int in = open(name(s, from), O_RDONLY), out = open(name(s, to), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char text[4096];
	ssize_t n = read(in, text, sizeof(text));

	assert_true(n > 0 && write(out, text, (size_t)n) == n);
	close(in);
	close(out);
}

static void test_crash(void **state)
{
	struct scene *s = *state;

	fill(s, "one ", 5, false);
	put(s, ".1.gz.half", "\x1f\x8b torn"); /* while it was compressed */
	put(s, "", "two ");
	start_again(s);
	expect_all(s, "one two ");
	assert_false(is_there(s, ".1.gz.half"));
	log_files_compress(s->files);
	expect_all(s, "one two ");
	fill(s, "", 5, false);
	copy(s, ".1", ".kept");
	log_files_compress(s->files);
	copy(s, ".kept", ".1"); /* before the plain one was removed */
	start_again(s);
	expect_all(s, "one two ");
	fill(s, "three", 5, true);
	assert_true(is_there(s, ".2") && !is_there(s, ".2.gz"));
	expect_all(s, "one two three");
}

/* What was held for readers goes with them. */
static void test_crash_with_readers(void **state)
{
	struct scene *s = *state;
	struct log_place at;

	log_place_enter(&at, s->files, false);
	for (int i = 0; i < 5; i++)
		fill(s, i < 4 ? "held " : "one ", 2, i % 2);
	put(s, "", "two");
	start_again(s);
	expect_all(s, "one two");
	expect_names(s, 2);
}

/* While files are moved one number is missing. */
static void test_crash_in_rotation(void **state)
{
	struct scene *s = *state;

	put(s, ".4", "one ");
	put(s, ".2.gz.half", "\x1f");
	put(s, ".2", "two ");
	put(s, ".02", "not one of them");
	put(s, ".1", "three ");
	expect_all(s, "one two three ");
	put(s, "", "four ");
	expect_all(s, "one two three four ");
	fill(s, "", 4, false);
	expect_all(s, "two three four ");
	assert_true(is_there(s, ".3") && is_there(s, ".2") && is_there(s, ".1") && !is_there(s, ".5"));
}

/* Not ours, or damaged: as much as can be read, and what comes after. */
static void test_damaged(void **state)
{
	struct scene *s = *state;

	fill(s, "one ", 5, true);
	fill(s, "two ", 5, true);
	put(s, ".3.gz", "no gzip at all");
	put(s, "", "three");
	start_again(s);
	expect_all(s, "one two three");
	assert_int_equal(truncate(name(s, ".2.gz"), 11), 0);
	expect_all(s, "two three");
	assert_int_equal(unlink(name(s, ".1.gz")), 0);
	expect_all(s, "three");
}

static void test_large(void **state)
{
	const struct scene *s = *state;
	enum { BYTES = 3 << 20 };
	char *data = malloc(BYTES), *got = malloc(BYTES + 1);
	struct log_place at;
	uint32_t random = 7;
	size_t len = 0, n;
	FILE *f = fopen(s->path, "w");

	for (size_t i = 0; i < BYTES; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (char)(i % 3 ? 'a' + (random >> 16) % 26 : random >> 16);
	}
	assert_int_equal(fwrite(data, 1, BYTES, f), BYTES);
	fclose(f);
	rotate(s, 3);
	log_files_compress(s->files);
	log_place_enter(&at, s->files, false);
	while ((n = log_place_read(&at, got + len, BYTES + 1 - len)) > 0)
		len += n;
	assert_int_equal(len, BYTES);
	assert_memory_equal(got, data, BYTES);
	log_place_leave(&at);
	free(data);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_keeps_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_is_overtaken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_is_overtaken_compressed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_is_overtaken_one_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_has_entered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_rewinds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reader_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_held_files_are_limited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_held_bytes_are_limited, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_held_for_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_with_no_reader, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash_with_readers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash_in_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
