/* Options from the command line, the environment and a file: who overrides whom, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/listen.h"
#include "daemon/options.h"

static int setup(void **state)
{
	static const char *const names[] = { "HOST",   "DATA_ROOT", "EPHEMERAL",  "SYNTHETIC",      "IMAGES",
					     "CONFIG", "LOG_LEVEL", "LOG_FORMAT", "DEFAULT_RUNTIME" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "SOCKERLESS_%s", names[i]);
		unsetenv(name);
	}
	return 0;
}

/* Parses a command line written as one text. */
static int parse(const char *line, struct options *o, struct error *err)
{
	static char words[512];
	char *argv[32] = { (char *)"sockerlessd" }, *at = words, *word;
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	while ((word = strsep(&at, " ")))
		if (*word)
			argv[argc++] = word;
	memset(err, 0, sizeof(*err));
	return options_parse(argc, argv, o, err);
}

static void test_command_line(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	assert_int_equal(parse("-H unix:///a --host=tcp://127.0.0.1:1 --data-root /d --ephemeral --log-level debug --log-format json",
			       &o, &err),
			 0);
	assert_int_equal(o.nhosts, 2);
	assert_string_equal(o.hosts[1], "tcp://127.0.0.1:1");
	assert_string_equal(o.data_root, "/d");
	assert_true(o.is_ephemeral && o.is_log_json && !o.pretend);
	assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
	options_done(&o);
	assert_int_equal(parse("", &o, &err), 0); /* defaults for everything */
	assert_int_equal(o.nhosts, 1);
	assert_true(o.data_root && o.sandbox_path && o.guest_path);
	options_done(&o);
}

static void test_refusals(void **state)
{
	static const char *const bad[] = { "serve",
					   "--colour",
					   "--data-root",
					   "--ephemeral=yes",
					   "--host http://x",
					   "--host unix://",
					   "--host tcp://0.0.0.0:1",
					   "--data-root /a --data-root /b",
					   "--log-level loud",
					   "--log-format xml",
					   "--images some",
					   "--config /no/such/file" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct options o;
		struct error err;

		if (parse(bad[i], &o, &err) >= 0)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(err.cls, ERROR_INVALID);
		assert_true(strlen(err.message) > 5);
		options_done(&o);
	}
}

static void test_environment(void **state)
{
	struct options o;
	struct error err;

	(void)state;
	setenv("SOCKERLESS_DATA_ROOT", "/env", 1);
	setenv("SOCKERLESS_SYNTHETIC", "1", 1);
	setenv("SOCKERLESS_EPHEMERAL", "0", 1);
	setenv("SOCKERLESS_HOST", "unix:///env", 1);
	assert_int_equal(parse("--data-root /line -H unix:///line", &o, &err), 0);
	assert_string_equal(o.data_root, "/line");
	assert_int_equal(o.nhosts, 1);
	assert_string_equal(o.hosts[0], "unix:///line"); /* replaces, does not add */
	assert_true(o.pretend && !o.is_ephemeral);
	options_done(&o);
	setenv("SOCKERLESS_LOG_LEVEL", "loud", 1);
	assert_true(parse("", &o, &err) < 0);
	assert_non_null(strstr(err.message, "SOCKERLESS_LOG_LEVEL"));
	options_done(&o);
}

static void test_file(void **state)
{
	char path[] = "/tmp/sockerless-test-XXXXXX", line[128];
	static const char text[] = "{\"hosts\": [\"unix:///file\"], \"data-root\": \"/file\", \"ephemeral\": true}";
	int fd = mkstemp(path);
	struct options o;
	struct error err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	snprintf(line, sizeof(line), "--config %s", path);
	assert_int_equal(parse(line, &o, &err), 0);
	assert_string_equal(o.data_root, "/file");
	assert_string_equal(o.hosts[0], "unix:///file");
	assert_true(o.is_ephemeral);
	options_done(&o);
	snprintf(line, sizeof(line), "--data-root /other --config=%s", path); /* Docker's rule: not both ways */
	assert_true(parse(line, &o, &err) < 0);
	options_done(&o);
	assert_int_equal(ftruncate(fd, 10), 0);
	snprintf(line, sizeof(line), "--config %s", path);
	assert_true(parse(line, &o, &err) < 0);
	options_done(&o);
	close(fd);
	unlink(path);
}

/* A file with this text and this command line: 0, or what is wrong. */
static int with_file(const char *text, const char *line, struct options *o, struct error *err)
{
	char path[] = "/tmp/sockerless-test-XXXXXX", whole[256];
	int fd = mkstemp(path), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	snprintf(whole, sizeof(whole), "--config %s %s", path, line);
	r = parse(whole, o, err);
	unlink(path);
	return r;
}

static void test_lists(void **state)
{
	static const struct {
		const char *text, *line, *why;
	} bad[] = {
		{ "{\"hosts\": \"unix:///a\"}", "", "\"hosts\" has the wrong type" },
		{ "{\"hosts\": [1]}", "", "\"hosts\": an element has the wrong type" },
		{ "{\"hosts\": [{\"base\": \"10.0.0.0/8\", \"size\": 24}]}", "", "wrong type" },
		{ "{\"default-address-pools\": {}}", "", "\"default-address-pools\" has the wrong type" },
		{ "{\"hosts\": [\"unix:///a\"]}", "-H unix:///b", "both as a flag and in the configuration file" },
		{ "{\"host\": \"unix:///a\"}", "-H unix:///b", "both as a flag and in the configuration file" },
		{ "{\"agent-listens\": [\"unix:///a\"]}", "--agent-listen unix:///b", "both as a flag" },
		{ "{\"agent-listens\": [\"ftp://a\"]}", "", "--agent-listen ftp://a" },
	};
	struct options o;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (with_file(bad[i].text, bad[i].line, &o, &err) == 0 || !strstr(err.message, bad[i].why))
			fail_msg("%s %s: %s", bad[i].text, bad[i].line, err.message);
		options_done(&o);
	}
	assert_int_equal(with_file("{\"hosts\": [\"unix:///a\", \"unix:///b\"], \"agent-listens\": [\"unix:///c\"],"
				   " \"default-address-pools\": [{\"base\": \"10.0.0.0/8\", \"size\": 24}]}",
				   "", &o, &err),
			 0);
	assert_int_equal(o.nhosts, 2);
	assert_string_equal(o.agent_listens[0], "unix:///c");
	assert_string_equal(o.pools[0], "base=10.0.0.0/8,size=24");
	options_done(&o);
	/* The environment replaces what the file has, the command line what the environment has. */
	setenv("SOCKERLESS_HOST", "unix:///env", 1);
	setenv("SOCKERLESS_DEFAULT_ADDRESS_POOL", "base=10.1.0.0/16,size=24", 1);
	assert_int_equal(with_file("{\"hosts\": [\"unix:///a\", \"unix:///b\"]}", "", &o, &err), 0);
	assert_int_equal(o.nhosts, 1);
	assert_string_equal(o.hosts[0], "unix:///env");
	options_done(&o);
	assert_int_equal(parse("--default-address-pool base=10.2.0.0/16,size=24 --default-address-pool base=10.3.0.0/16,size=24",
			       &o, &err),
			 0);
	assert_int_equal(o.npools, 2);
	assert_string_equal(o.pools[0], "base=10.2.0.0/16,size=24");
	assert_null(o.pools[2]);
	options_done(&o);
	unsetenv("SOCKERLESS_HOST");
	unsetenv("SOCKERLESS_DEFAULT_ADDRESS_POOL");
}

static void test_registries(void **state)
{
	static const char *const bad[][2] = {
		{ "--registry-mirror mirror.example", "no scheme specified" },
		{ "--registry-mirror ftp://mirror.example", "unsupported scheme" },
		{ "--registry-mirror https://u:p@mirror.example", "username/password not allowed" },
		{ "--registry-mirror https://mirror.example/?q", "query or fragment" },
		{ "--insecure-registry http://reg.example", "should not contain '://'" },
		{ "--insecure-registry -x", "hyphen" },
		{ "--insecure-registry a/b", "invalid host" },
	};
	struct options o;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i][0], &o, &err) == 0 || !strstr(err.message, bad[i][1]))
			fail_msg("%s: %s", bad[i][0], err.message);
		options_done(&o);
	}
	assert_int_equal(parse("--registry-mirror https://m.example --insecure-registry 10.0.0.0/8 --insecure-registry reg:5000"
			       " --fetch /opt/fetch",
			       &o, &err),
			 0);
	assert_string_equal(o.mirrors[0], "https://m.example/");
	assert_null(o.mirrors[1]);
	assert_int_equal(o.ninsecure, 2);
	assert_string_equal(o.insecure[1], "reg:5000");
	assert_string_equal(o.fetch_path, "/opt/fetch");
	options_done(&o);
	assert_int_equal(with_file("{\"registry-mirrors\": [\"http://m.example/\"], \"insecure-registries\": [\"reg:5000\"]}",
				   "", &o, &err),
			 0);
	assert_string_equal(o.mirrors[0], "http://m.example/");
	assert_string_equal(o.insecure[0], "reg:5000");
	assert_non_null(strstr(o.fetch_path, "sockerless-fetch"));
	options_done(&o);
}

static void test_by_hand(void **state)
{
	struct options o, copy;
	struct error err = { 0 };

	(void)state;
	options_init(&o);
	assert_int_equal(options_set(&o, "host", "unix:///a", &err), 0);
	assert_int_equal(options_set(&o, "ephemeral", NULL, &err), 0);
	assert_true(options_set(&o, "ephemeral", "yes", &err) < 0);
	assert_true(options_set(&o, "data-root", NULL, &err) < 0);
	assert_true(options_set(&o, "config", "/x", &err) < 0);
	assert_true(options_set(&o, "help", NULL, &err) < 0);
	options_copy(&o, &copy);
	options_done(&o);
	options_complete(&copy);
	assert_string_equal(copy.hosts[0], "unix:///a");
	assert_non_null(copy.data_root);
	options_done(&copy);
}

static void test_listeners(void **state)
{
	static const char *const bad[] = { "tcp://127.0.0.1",       "tcp://127.0.0.1:",   "tcp://127.0.0.1:x",
					   "tcp://127.0.0.1:70000", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:0",
					   "tcp://127.0.0.300:1",   "tcp://[::1",         "fd://" };
	struct error err = { 0 };
	int fds[LISTEN_FDS_MAX];

	(void)state;
	unsetenv("LISTEN_FDS");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (listen_open(bad[i], fds, &err) >= 0)
			fail_msg("%s was opened", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_command_line, setup), cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_environment, setup),  cmocka_unit_test_setup(test_file, setup),
		cmocka_unit_test_setup(test_lists, setup),        cmocka_unit_test_setup(test_registries, setup),
		cmocka_unit_test_setup(test_by_hand, setup),      cmocka_unit_test_setup(test_listeners, setup),
	};

	return cmocka_run_group_tests_name("daemon_options", tests, NULL, NULL);
}
