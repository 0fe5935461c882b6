/* The files of a log: what a reader sees while they are rotated and compressed, and after a crash. */
#include <dirent.h>
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

#include "engine/log_files.h"

struct scene {
	char dir[64], path[96];
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	snprintf(s->dir, sizeof(s->dir), "/tmp/sockerless-log-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/output.log", s->dir);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
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

/* Writes a file and makes it an old one. */
static void fill(const struct scene *s, const char *text, unsigned max_files, bool is_compressed)
{
	put(s, "", text);
	log_files_rotate(s->path, max_files);
	if (is_compressed)
		log_files_compress(s->path);
}

/* What is left from there on: the source moves, and stays where it ends. */
static const char *read_on(const struct scene *s, struct log_source *at)
{
	static char text[4096];
	struct log_source next;
	size_t len = 0, n;

	do {
		while ((n = log_source_read(at, text + len, 3)) > 0) /* small pieces: also inside a compressed block */
			len += n;
		if (!log_source_next(at, s->path, &next))
			break;
		log_source_done(at);
		*at = next;
	} while (true);
	text[len] = '\0';
	return text;
}

static void expect_all(const struct scene *s, const char *wanted)
{
	struct log_source at = LOG_SOURCE_NONE;

	assert_string_equal(read_on(s, &at), wanted);
	log_source_done(&at);
}

static void test_order(void **state)
{
	const struct scene *s = *state;

	expect_all(s, "");
	fill(s, "one ", 4, true);
	assert_true(is_there(s, ".1.gz") && !is_there(s, ".1") && !is_there(s, ".1.gz.half"));
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
	put(s, "", "two");
	expect_all(s, "two");
}

/* It is in the newest file, which is rotated, compressed, and rotated again. */
static void test_reader_keeps_its_place(void **state)
{
	const struct scene *s = *state;
	struct log_source at = LOG_SOURCE_NONE;

	fill(s, "one ", 5, true);
	put(s, "", "two ");
	assert_string_equal(read_on(s, &at), "one two ");
	put(s, "", "end ");
	fill(s, "", 5, true);
	put(s, "", "three ");
	assert_string_equal(read_on(s, &at), "end three ");
	fill(s, "", 5, true);
	fill(s, "four ", 5, true);
	fill(s, "five ", 5, true);
	assert_string_equal(read_on(s, &at), "four five ");
	put(s, "", "six");
	assert_string_equal(read_on(s, &at), "six");
	log_source_done(&at);
}

/* What it has not read of has been dropped: it goes on with the oldest that is left. */
static void test_reader_is_overtaken(void **state)
{
	const struct scene *s = *state;
	struct log_source at = LOG_SOURCE_NONE;

	put(s, "", "one ");
	assert_string_equal(read_on(s, &at), "one ");
	fill(s, "", 3, true);
	fill(s, "two ", 3, true);
	fill(s, "three ", 3, true);
	fill(s, "four ", 3, true);
	put(s, "", "five");
	assert_string_equal(read_on(s, &at), "three four five");
	log_source_done(&at);
}

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
	const struct scene *s = *state;

	fill(s, "one ", 5, false);
	put(s, ".1.gz.half", "\x1f\x8b torn"); /* while it was compressed */
	put(s, "", "two ");
	expect_all(s, "one two ");
	log_files_compress(s->path);
	assert_false(is_there(s, ".1.gz.half"));
	expect_all(s, "one two ");
	fill(s, "", 5, false);
	copy(s, ".1", ".kept");
	log_files_compress(s->path);
	copy(s, ".kept", ".1"); /* before the plain one was removed */
	expect_all(s, "one two ");
	fill(s, "three", 5, true);
	assert_true(is_there(s, ".2") && !is_there(s, ".2.gz"));
	expect_all(s, "one two three");
}

/* Not ours, or damaged: as much as can be read, and what comes after. */
static void test_damaged(void **state)
{
	const struct scene *s = *state;

	fill(s, "one ", 5, true);
	fill(s, "two ", 5, true);
	put(s, ".3.gz", "no gzip at all");
	put(s, "", "three");
	expect_all(s, "one two three");
	assert_int_equal(truncate(name(s, ".2.gz"), 33), 0);
	expect_all(s, "two three");
}

static void test_large(void **state)
{
	const struct scene *s = *state;
	enum { BYTES = 3 << 20 };
	char *data = malloc(BYTES), *got = malloc(BYTES + 1);
	struct log_source at = LOG_SOURCE_NONE;
	uint32_t random = 7;
	size_t len = 0, n;
	FILE *f = fopen(s->path, "w");

	for (size_t i = 0; i < BYTES; i++) {
		random = random * 1664525 + 1013904223;
		data[i] = (char)(i % 3 ? 'a' + (random >> 16) % 26 : random >> 16);
	}
	assert_int_equal(fwrite(data, 1, BYTES, f), BYTES);
	fclose(f);
	log_files_rotate(s->path, 3);
	log_files_compress(s->path);
	assert_true(log_source_next(&at, s->path, &at));
	while ((n = log_source_read(&at, got + len, BYTES + 1 - len)) > 0)
		len += n;
	assert_int_equal(len, BYTES);
	assert_memory_equal(got, data, BYTES);
	log_source_done(&at);
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
		cmocka_unit_test_setup_teardown(test_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
