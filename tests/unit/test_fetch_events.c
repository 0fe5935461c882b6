/* The registry client's lines of output: the last one is the result or the error, whatever threads still have to say. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fetch/events.h"

static void end_well(void)
{
	event_result(json_pack("{s:i}", "size", 7));
}

static void end_badly(void)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_NOT_FOUND, "no such manifest");
	event_error(&err, 0);
}

/* A process's output that says something, ends, and goes on talking. */
static void talk_past(void (*end)(void), char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		event_progress("sha256:1", 1, 2);
		end();
		event_progress("sha256:1", 2, 2);
		event_emit("blob", json_pack("{s:s}", "digest", "sha256:1"));
		event_result(json_object());
		_exit(0);
	}
	close(fds[1]);
	while (len < size - 1 && (n = read(fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define PROGRESS "{\"digest\":\"sha256:1\",\"current\":1,\"total\":2,\"event\":\"progress\"}\n"

static void test_result_is_the_last(void **state)
{
	char text[1024];

	(void)state;
	talk_past(end_well, text, sizeof(text));
	assert_string_equal(text, PROGRESS "{\"size\":7,\"event\":\"result\"}\n");
}

static void test_error_is_the_last(void **state)
{
	char text[1024];

	(void)state;
	talk_past(end_badly, text, sizeof(text));
	assert_string_equal(text, PROGRESS "{\"class\":\"not_found\",\"message\":\"no such manifest\",\"unreachable\":false,"
					   "\"event\":\"error\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result_is_the_last),
		cmocka_unit_test(test_error_is_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
