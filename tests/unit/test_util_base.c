/* Errors, ids, the log, and what happens when memory is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/alloc.h"
#include "util/error.h"
#include "util/id.h"
#include "util/log.h"
#include "util/map.h"

static void test_errors(void **state)
{
	struct error err = { 0 };
	char *longer = xmalloc(5000);

	(void)state;
	assert_int_equal(error_set(&err, -EIO, "disk %d", 3), -EIO);
	assert_int_equal(err.cls, ERROR_INTERNAL);
	error_prefix(&err, "pull %s", "x");
	assert_string_equal(err.message, "pull x: disk 3");
	assert_int_equal(err.code, -EIO);
	assert_int_equal(error_set_class(&err, ERROR_NOT_FOUND, "none"), -ENOENT);
	assert_int_equal(error_http_status(err.cls), 404);
	assert_int_equal(error_http_status(ERROR_INTERNAL), 500);
	assert_int_equal(error_http_status(ERROR_NOT_MODIFIED), 304);
	assert_true(error_set(NULL, -EIO, "nobody listens") < 0);
	memset(longer, 'a', 4999);
	longer[4999] = '\0';
	error_set(&err, -EIO, "%s", longer);
	assert_int_equal(strlen(err.message), ERROR_MESSAGE_MAX - 1);
	error_prefix(&err, "%s", longer); /* does not fit: cut, not overrun */
	assert_true(strlen(err.message) < ERROR_MESSAGE_MAX);
	error_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.message, "");
	free(longer);
}

static void test_ids(void **state)
{
	struct map seen;

	(void)state;
	map_init(&seen);
	for (int i = 0; i < 1000; i++) {
		char id[ID_LEN + 1];

		id_generate(id);
		assert_int_equal(strlen(id), ID_LEN);
		assert_true(id_is_hex(id));
		assert_true(strspn(id, "0123456789") < ID_SHORT_LEN); /* never a number */
		assert_null(map_put(&seen, id, &seen));
	}
	map_done(&seen);
	assert_false(id_is_hex(""));
	assert_false(id_is_hex("ABC"));
	assert_false(id_is_hex("12g"));
	assert_false(id_is_hex("00000000000000000000000000000000000000000000000000000000000000000")); /* 65 */
}

static char told[4096];

static void take(void *arg, enum log_level level, const char *text)
{
	assert_ptr_equal(arg, told);
	assert_int_equal(level, LOG_LEVEL_WARN);
	snprintf(told, sizeof(told), "%s", text);
}

static void test_log(void **state)
{
	enum log_level level;

	(void)state;
	assert_int_equal(log_parse_level("warn", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARN);
	assert_int_equal(log_parse_level("warning", &level), 0);
	assert_true(log_parse_level("loud", &level) < 0);
	log_redirect(take, told);
	log_configure(LOG_LEVEL_WARN, false);
	log_info("not told");
	assert_string_equal(told, "");
	log_warn("a \"name\"\nlevel=fatal");
	assert_string_equal(told, "a \\\"name\\\"\\u000alevel=fatal"); /* one line */
	log_redirect(NULL, NULL);
}

/* Out of memory: the process ends, with a word on stderr. */
static void test_out_of_memory_aborts(void **state)
{
	int fds[2], status;
	char text[100] = "";
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		xcalloc(SIZE_MAX / 4, 2);
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0); /* a sanitizer's allocator ends it its own way */
	assert_true(strstr(text, "memory") || strstr(text, "Sanitizer") || strstr(text, "==="));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_out_of_memory_aborts),
	};

	return cmocka_run_group_tests_name("util_base", tests, NULL, NULL);
}
