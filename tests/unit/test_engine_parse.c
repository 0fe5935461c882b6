/* The texts that the engine reads: signals, log options, tmpfs options, detach keys, runtimes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>

#include <cmocka.h>

#include "engine/detach.h"
#include "engine/internal.h"
#include "engine/log.h"

static void test_signals(void **state)
{
	(void)state;
	assert_int_equal(signal_number("TERM"), SIGTERM);
	assert_int_equal(signal_number("sigterm"), SIGTERM);
	assert_int_equal(signal_number("SIGUSR1"), SIGUSR1);
	assert_int_equal(signal_number("9"), 9);
	assert_int_equal(signal_number("64"), 64);
	assert_int_equal(signal_number("SIGRTMIN"), 34);
	assert_int_equal(signal_number("rtmin+15"), 49);
	assert_int_equal(signal_number("RTMAX-14"), 50);
	assert_int_equal(signal_number("SIGRTMAX"), 64);
	assert_true(signal_number("RTMIN+16") < 0);
	assert_true(signal_number("RTMIN-1") < 0);
	assert_true(signal_number("RTMAX-15") < 0);
	assert_true(signal_number("RTMIN+") < 0);
	assert_true(signal_number("RTMIN+1x") < 0);
	assert_true(signal_number("0") < 0);
	assert_true(signal_number("65") < 0);
	assert_true(signal_number("-9") < 0);
	assert_true(signal_number("") < 0);
	assert_true(signal_number("SIG") < 0);
	assert_true(signal_number("TERMINATE") < 0);
	assert_true(signal_number("9 ") < 0);
}

static int parse_log(const char *type, const char *key, const char *value, struct log_limits *ret, struct error *err)
{
	json_t *config = json_pack("{s:s, s:{}}", "Type", type, "Config");
	int r;

	if (key)
		json_object_set_new(json_object_get(config, "Config"), key, json_string(value));
	r = log_parse_config(config, ret, err);
	json_decref(config);
	return r;
}

static void test_log_config(void **state)
{
	static const char *const bad_sizes[] = {
		"", "0", "-1", "x", "10x", "10kk", "1k2", "9999999999999999999999", "99999999999g"
	};
	struct log_limits l;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(log_parse_config(NULL, &l, NULL), 0);
	assert_true(l.is_kept && l.max_files == 1 && l.max_bytes == 0);
	assert_int_equal(parse_log("json-file", "max-size", "10m", &l, NULL), 0);
	assert_int_equal(l.max_bytes, 10000000);
	assert_int_equal(parse_log("json-file", "max-size", "3KB", &l, NULL), 0);
	assert_int_equal(l.max_bytes, 3000);
	assert_int_equal(parse_log("local", "max-file", "7", &l, NULL), 0);
	assert_int_equal(l.max_files, 7);
	assert_int_equal(parse_log("local", NULL, NULL, &l, NULL), 0);
	assert_int_equal(l.max_bytes, 20 << 20);
	assert_int_equal(parse_log("none", NULL, NULL, &l, NULL), 0);
	assert_false(l.is_kept);
	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
		assert_true(parse_log("json-file", "max-size", bad_sizes[i], &l, NULL) < 0);
	assert_true(parse_log("json-file", "max-file", "0", &l, NULL) < 0);
	assert_true(parse_log("json-file", "colour", "red", &l, &err) < 0);
	assert_string_equal(err.message, "unknown log opt 'colour' for json-file log driver");
	assert_true(parse_log("json-file", "max-size", "0", &l, &err) < 0);
	assert_string_equal(err.message, "max-size must be a positive number");
	assert_true(parse_log("json-file", "max-file", "x", &l, &err) < 0);
	assert_string_equal(err.message, "strconv.Atoi: parsing \"x\": invalid syntax");
	assert_true(parse_log("local", "colour", "red", &l, &err) < 0);
	assert_string_equal(err.message, "unknown log opt 'colour' for log driver local");
	assert_true(parse_log("local", "max-size", "x", &l, &err) < 0);
	assert_string_equal(err.message, "invalid value for max-size: x: invalid size: 'x'");
	assert_true(parse_log("local", "max-file", "x", &l, &err) < 0);
	assert_string_equal(err.message, "invalid value for max-file: x: strconv.Atoi: parsing \"x\": invalid syntax");
	assert_true(parse_log("local", "max-file", "-1", &l, &err) < 0);
	assert_string_equal(err.message, "max-file must not be negative");
	assert_true(parse_log("local", "max-file", "1", &l, &err) < 0);
	assert_string_equal(err.message, "compression cannot be enabled when max file count is 1");
	assert_true(parse_log("syslog", NULL, NULL, &l, &err) < 0);
	assert_int_equal(err.cls, ERROR_INVALID);
}

static void test_tmpfs(void **state)
{
	static const char *const bad[] = { "size", "size=", "size=x", "mode=9", "mode=", "colour=red", "size=-1" };
	struct tmpfs_options o;

	(void)state;
	assert_int_equal(tmpfs_parse("", &o, NULL), 0);
	assert_int_equal(o.mode, 01777);
	assert_int_equal(tmpfs_parse("rw,noexec,nosuid,size=64m,mode=755", &o, NULL), 0);
	assert_int_equal(o.size_bytes, 64 << 20);
	assert_int_equal(o.mode, 0755);
	assert_false(o.is_readonly);
	assert_int_equal(tmpfs_parse("ro", &o, NULL), 0);
	assert_true(o.is_readonly);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (tmpfs_parse(bad[i], &o, NULL) >= 0)
			fail_msg("\"%s\" was taken", bad[i]);
}

/* What of `typed` reaches the process; "left" is added where the sequence was complete. */
static void check_keys(const char *keys, const char *typed, const char *want)
{
	struct detach_keys d;
	struct buf out;

	buf_init(&out, 256);
	assert_true(detach_keys_parse(&d, keys));
	if (detach_keys_take(&d, typed, strlen(typed), &out))
		buf_puts(&out, " left");
	buf_append(&out, "", 1);
	assert_string_equal(out.data, want);
	buf_done(&out);
}

static void test_detach_keys(void **state)
{
	static const char *const bad[] = { "nonsense", "ctrl-", "ctrl-A", "a,,b", ",", "a,", "ctrl-p ctrl-q" };
	struct detach_keys d;

	(void)state;
	check_keys(NULL, "\x10\x11", " left");
	check_keys("", "ab\x10\x11", "ab left");
	check_keys(NULL, "\x10\x10\x11", "\x10\x10\x11"); /* as moby: the second is no beginning */
	check_keys(NULL, "\x10x\x11", "\x10x\x11");
	check_keys(NULL, "\x11\x10", "\x11"); /* held back */
	check_keys("a,b,c", "xabc", "x left");
	check_keys("ctrl-[,DEL", "\x1b\x7f", " left");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (detach_keys_parse(&d, bad[i]) || d.n)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void test_runtimes(void **state)
{
	(void)state;
	assert_true(routing_is_runtime("auto"));
	assert_true(routing_is_runtime("wasm"));
	assert_true(routing_is_runtime("synthetic"));
	assert_false(routing_is_runtime("runc"));
	assert_false(routing_is_runtime(""));
}

static struct limits limits_of(const char *json)
{
	json_t *host = json_loads(json, 0, NULL);
	struct limits l;

	resources_limits(host, &l);
	json_decref(host);
	return l;
}

static void test_limits(void **state)
{
	struct limits l = limits_of("{}");

	(void)state;
	for (size_t i = 0; i < sizeof(l); i++)
		assert_int_equal(((unsigned char *)&l)[i], 0);
	l = limits_of("{\"Memory\": 67108864, \"PidsLimit\": 9, \"CpuShares\": 512, \"NanoCpus\": 250000000}");
	assert_true(l.memory_bytes == 64 << 20 && l.pids_max == 9 && l.cpu_shares == 512);
	assert_true(l.cpu_quota_ns == 25000000 && l.cpu_period_ns == 100000000);
	l = limits_of("{\"Memory\": -1, \"PidsLimit\": -1, \"CpuQuota\": -1, \"CpuPeriod\": 50000}");
	assert_true(!l.memory_bytes && !l.pids_max && !l.cpu_quota_ns && !l.cpu_period_ns);
	l = limits_of("{\"CpuQuota\": 5000, \"CpuPeriod\": 50000, \"CpusetCpus\": \"0-2,5,64\"}");
	assert_true(l.cpu_quota_ns == 5000000 && l.cpu_period_ns == 50000000);
	assert_true(l.cpus[0] == 0x27 && l.cpus[1] == 1 && l.cpus[2] == 0);
	l = limits_of("{\"NanoCpus\": 1}"); /* as little as can be, not no limit */
	assert_true(l.cpu_quota_ns > 0 && l.cpu_period_ns > 0);
}

static void test_resources_refused(void **state)
{
	static const char *const bad[] = {
		"{\"CpusetCpus\": \"x\"}",
		"{\"CpusetCpus\": \"1-\"}",
		"{\"CpusetCpus\": \"2-1\"}",
		"{\"CpusetCpus\": \"0 \"}",
		"{\"CpusetCpus\": \"0-99999\"}",
		"{\"CpusetCpus\": \",0\"}",
		"{\"CpusetMems\": \"1\"}",
		"{\"CpusetCpus\": \"-1\"}",
		"{\"StorageOpt\": {\"size\": \"-1\"}}",
		"{\"StorageOpt\": {\"a\": \"\"}}",
		"{\"NanoCpus\": 99999000000000}",
		"{\"CpuPeriod\": 999}",
	};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *host = json_loads(bad[i], 0, NULL);

		err = (struct error){ 0 };
		if (resources_check(host, false, &err) == 0 || !err.message[0])
			fail_msg("%s was taken", bad[i]);
		json_decref(host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_log_config),
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_detach_keys),
		cmocka_unit_test(test_runtimes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_resources_refused),
	};

	return cmocka_run_group_tests_name("engine_parse", tests, NULL, NULL);
}
