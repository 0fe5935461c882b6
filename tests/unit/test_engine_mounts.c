/* What requests write of mounts and volumes: -v, modes, paths, sizes, options of the local driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/mount_spec.h"
#include "engine/volume_options.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_paths(void **state)
{
	static const char *const clean[][2] = {
		{ "/", "/" },         { "//", "/" },       { "/a/", "/a" },  { "/a//b", "/a/b" },
		{ "/a/./b", "/a/b" }, { "/a/../b", "/b" }, { "/..", "/" },   { "/../../a", "/a" },
		{ "/a/..", "/" },     { "/...", "/..." },  { "/.a", "/.a" }, { "/a/b/../..", "/" },
	};
	static const char *const local[] = { "a", "a/b", ".", "./a", "a/..", "a/../b", "...", "..a", "a//b/" };
	static const char *const not_local[] = { "", "/", "/a", "..", "../a", "a/../..", "a/../../b", "./.." };

	(void)state;
	for (size_t i = 0; i < COUNT(clean); i++) {
		char *got = path_clean(clean[i][0]);

		assert_string_equal(got, clean[i][1]);
		free(got);
	}
	assert_null(path_clean(""));
	assert_null(path_clean("a/b"));
	for (size_t i = 0; i < COUNT(local); i++)
		if (!path_is_local(local[i]))
			fail_msg("\"%s\" was refused", local[i]);
	for (size_t i = 0; i < COUNT(not_local); i++)
		if (path_is_local(not_local[i]))
			fail_msg("\"%s\" was taken", not_local[i]);
}

static void test_modes(void **state)
{
	static const char *const good[] = { "", "ro", "rw,z", "ro,Z,rslave,nocopy,cached", "delegated", "private" };
	static const char *const bad[] = { "x",     "ro,", ",ro",          "ro,rw",
					   "ro,ro", "z,Z", "shared,slave", "cached,consistent",
					   "RO",    "ro z" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!mount_mode_is_valid(good[i]))
			fail_msg("\"%s\" was refused", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (mount_mode_is_valid(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_true(mount_mode_has("z,ro", "ro"));
	assert_false(mount_mode_has("z,roo", "ro"));
	assert_string_equal(mount_mode_propagation("ro,rslave"), "rslave");
	assert_null(mount_mode_propagation("ro,z"));
	assert_true(mount_is_propagation("rshared"));
	assert_false(mount_is_propagation("ro"));
	assert_false(mount_is_propagation(""));
}

static void check_bind(const char *text, const char *source, const char *target, const char *mode)
{
	struct bind_spec b;

	assert_int_equal(bind_spec_parse(text, &b, NULL), 0);
	assert_string_equal(b.source, source);
	assert_string_equal(b.target, target);
	assert_string_equal(b.mode, mode);
	bind_spec_done(&b);
}

static void test_binds(void **state)
{
	static const char *const bad[] = { "", ":", ":/a", "/a:", "/a:ro", "/a:z,ro", "a:b:ro:rw", "a:b:c:d:e" };
	struct bind_spec b;
	struct error err = { 0 };

	(void)state;
	check_bind("/a", "", "/a", "");
	check_bind("/a:/b", "/a", "/b", "");
	check_bind("name:/b:ro,nocopy", "name", "/b", "ro,nocopy");
	check_bind("/a:/b:", "/a", "/b", "");
	check_bind("/a::ro", "/a", "", "ro");
	for (size_t i = 0; i < COUNT(bad); i++) {
		char want[100];

		snprintf(want, sizeof(want), "invalid volume specification: '%s'", bad[i]);
		assert_true(bind_spec_parse(bad[i], &b, &err) < 0);
		assert_string_equal(err.message, want);
		assert_int_equal(err.cls, ERROR_INVALID);
	}
	assert_true(bind_spec_parse("/a:/b:odd", &b, &err) < 0);
	assert_string_equal(err.message, "invalid mode: odd");
}

static void test_sizes(void **state)
{
	static const char *const bad[] = { "",     "x",   "-1",  "1x",  "1kk", "1 kb x",
					   "0x10", "1e5", "nan", "inf", "1bb", "99999999999p" };
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },           { "12", 12 },         { "12b", 12 },       { "1k", 1024 },
		{ "1KB", 1024 },      { "1KiB", 1024 },     { "1.5m", 3 << 19 }, { "2 GB", 2ull << 30 },
		{ "1t", 1ull << 40 }, { "1P", 1ull << 50 },
	};
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		if (!size_parse(good[i].text, &n))
			fail_msg("\"%s\" was refused", good[i].text);
		assert_int_equal(n, good[i].bytes);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (size_parse(bad[i], &n))
			fail_msg("\"%s\" was taken", bad[i]);
}

static json_t *options(const char *type, const char *device, const char *o)
{
	return json_pack("{s:s*, s:s*, s:s*}", "type", type, "device", device, "o", o);
}

static void check_options(const char *type, const char *device, const char *o, enum volume_kind kind,
			  const char *printed, int errnum)
{
	json_t *opts = options(type, device, o);
	struct volume_options v;
	char *text = volume_options_print(opts, "/t");

	volume_options_read(opts, &v);
	assert_int_equal(v.kind, kind);
	assert_int_equal(v.errnum, errnum);
	assert_string_equal(text, printed);
	free(text);
	json_decref(opts);
}

static void test_volume_options(void **state)
{
	struct volume_options v;
	json_t *opts;

	(void)state;
	volume_options_read(NULL, &v);
	assert_int_equal(v.kind, VOLUME_PLAIN);
	assert_int_equal(volume_options_check(NULL, NULL), 0);
	check_options("none", "/d", "bind", VOLUME_BIND, "mount /d:/t, flags: 0x1000", 0);
	check_options("none", "/d", "ro,rbind", VOLUME_BIND, "mount /d:/t, flags: 0x5001", 0);
	check_options("ext4", "/d", "rw,bind,ro,rw", VOLUME_BIND, "mount /d:/t, flags: 0x1000", 0);
	check_options("none", "/d", NULL, VOLUME_FOREIGN, "mount /d:/t", ENODEV);
	check_options("tmpfs", "tmpfs", "size=1m,nosuid", VOLUME_TMPFS, "mount tmpfs:/t, flags: 0x2, data: size=1m", 0);
	check_options("tmpfs", "tmpfs", "colour=red", VOLUME_TMPFS, "mount tmpfs:/t, data: colour=red", EINVAL);
	check_options("cifs", "//h/s", "username=u,password=p", VOLUME_FOREIGN,
		      "mount //h/s:/t, data: username=u,password=********", EPERM);
	opts = options("tmpfs", "tmpfs", "ro,size=2m,uid=5,gid=6,mode=0700");
	volume_options_read(opts, &v);
	assert_true(v.is_readonly);
	assert_int_equal(v.tmpfs.size_bytes, 2 << 20);
	assert_int_equal(v.tmpfs.uid, 5);
	assert_int_equal(v.tmpfs.gid, 6);
	assert_int_equal(v.tmpfs.mode, 0700);
	json_decref(opts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths), cmocka_unit_test(test_modes),          cmocka_unit_test(test_binds),
		cmocka_unit_test(test_sizes), cmocka_unit_test(test_volume_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
