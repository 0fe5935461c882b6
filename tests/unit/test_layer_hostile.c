/* Archives that mean ill, or are broken: refused in Docker's words or kept within the root, nothing outside touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/layer-fixture.h"
#include "util/alloc.h"

#define REFUSED(f, says)                                       \
	do {                                                   \
		assert_true(apply(f) < 0);                     \
		assert_string_equal((f)->err.message, says);   \
		assert_int_equal((f)->err.cls, ERROR_INVALID); \
		assert_true(is_outside_untouched(f));          \
	} while (0)
#define CONFINED(f)                                       \
	do {                                              \
		if (apply(f) != 0)                        \
			fail_msg("%s", (f)->err.message); \
		assert_true(is_outside_untouched(f));     \
	} while (0)

/* ---- out of the root ---- */

static void names_that_lead_out(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "../outside/new", .content = "x");
	REFUSED(f, "\"../outside/new\" is outside of \"/\"");
	TAR(&f->tar, .name = "a/../../outside/new", .content = "x");
	REFUSED(f, "\"a/../../outside/new\" is outside of \"/\"");
	TAR(&f->tar, .name = "..", .type = '5');
	REFUSED(f, "\"..\" is outside of \"/\"");
	TAR(&f->tar, .name = "../.wh.outside");
	REFUSED(f, "\"../.wh.outside\" is outside of \"/\"");
	TAR(&f->tar, .name = "../outside/.wh..wh..opq");
	REFUSED(f, "\"../outside/.wh..wh..opq\" is outside of \"/\"");
	TAR(&f->tar, .type = '1', .name = "x", .link = "../outside/secret");
	REFUSED(f, "\"../outside/secret\" is outside of \"/\"");
	TAR(&f->tar, .name = "/../../outside/new", .content = "in");
	CONFINED(f);
	assert_non_null(strstr(shown(f), "/outside/new - 0644 0:0 0 \"in\"\n"));
}

static void links_that_lead_out(void **state)
{
	struct layer_fixture *f = *state;
	char *target = xasprintf("%s/outside", f->dir);

	TAR(&f->tar, .type = '2', .name = "up", .link = "../outside");
	TAR(&f->tar, .name = "up/new", .content = "x");
	REFUSED(f, "\"up\" is outside of \"/\"");
	TAR(&f->tar, .type = '2', .name = "d/back", .link = "../../root0/d");
	TAR(&f->tar, .name = "d/back/new", .content = "x");
	REFUSED(f, "\"d/back\" is outside of \"/\"");
	TAR(&f->tar, .type = '2', .name = "abs", .link = target);
	TAR(&f->tar, .name = "abs/new", .content = "x");
	TAR(&f->tar, .name = "abs/.wh.secret");
	TAR(&f->tar, .name = "abs/.wh..wh..opq");
	TAR(&f->tar, .type = '5', .name = "abs/", .mode = 0700);
	CONFINED(f);
	TAR(&f->tar, .type = '2', .name = "file", .link = "../outside/secret");
	TAR(&f->tar, .name = "file", .content = "not through it");
	TAR(&f->tar, .type = '2', .name = "dir", .link = "../outside");
	TAR(&f->tar, .type = '5', .name = "dir/", .mode = 0700);
	CONFINED(f);
	TAR(&f->tar, .type = '2', .name = "s", .link = "../outside/secret");
	TAR(&f->tar, .type = '1', .name = "h", .link = "s", .mode = 0777); /* of the link itself */
	CONFINED(f);
	TAR(&f->tar, .type = '2', .name = "up2", .link = "../outside");
	TAR(&f->tar, .type = '1', .name = "h2", .link = "up2/secret");
	REFUSED(f, "\"up2\" is outside of \"/\"");
	free(target);
}

static void links_that_lead_nowhere(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '2', .name = "a", .link = "b");
	TAR(&f->tar, .type = '2', .name = "b", .link = "a");
	TAR(&f->tar, .name = "a/x");
	REFUSED(f, "/a: too many levels of symbolic links");
	TAR(&f->tar, .type = '1', .name = "h", .link = "missing/file");
	REFUSED(f, "link /missing/file /h: no such file or directory");
	TAR(&f->tar, .type = '5', .name = "d");
	TAR(&f->tar, .type = '1', .name = "h", .link = "d");
	REFUSED(f, "link /d /h: operation not permitted");
	TAR(&f->tar, .type = '1', .name = "h", .link = ".wh..wh.own.x");
	REFUSED(f, "link /.wh..wh.own.x /h: no such file or directory");
	TAR(&f->tar, .type = '2', .name = "empty", .link = "");
	REFUSED(f, "symlink  /empty: no such file or directory");
	TAR(&f->tar, .name = "f", .content = "x", .mtime = 1);
	TAR(&f->tar, .type = '1', .name = "f", .link = "f");
	CONFINED(f);
	assert_non_null(strstr(shown(f), "/f - 0644 0:0 1 \"x\"\n"));
}

/* Between a look at a directory and its use, the same archive makes it something else. */
static void directories_that_become_links(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '5', .name = "d/e", .mtime = 5);
	TAR(&f->tar, .name = "d/e/x", .content = "x");
	TAR(&f->tar, .type = '2', .name = "d", .link = "../outside");
	TAR(&f->tar, .name = "d/e/y", .content = "y");
	REFUSED(f, "\"d/e\" is outside of \"/\"");
	TAR(&f->tar, .type = '5', .name = "a/b", .mtime = 5); /* its time is set at the end */
	TAR(&f->tar, .type = '2', .name = "a", .link = "/outside");
	CONFINED(f);
}

/* ---- what is no layer ---- */

static void files_as_parents(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "file", .content = "x");
	TAR(&f->tar, .name = "file/below", .content = "x");
	REFUSED(f, "/file: not a directory");
	TAR(&f->tar, .name = "./", .content = "x");
	REFUSED(f, "/: is a directory");
}

static void whiteouts_of_nothing(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "keep/x", .content = "x");
	CONFINED(f);
	assert_int_equal(next_root(f), 0);
	TAR(&f->tar, .name = "keep/.wh.");
	REFUSED(f, "invalid whiteout name: /keep/.wh.");
	TAR(&f->tar, .name = "keep/.wh..");
	REFUSED(f, "invalid whiteout name: /keep/.wh..");
	TAR(&f->tar, .name = "keep/.wh...");
	REFUSED(f, "invalid whiteout name: /keep/.wh...");
	assert_non_null(strstr(shown(f), "/keep/x"));
}

static void names_that_are_too_long(void **state)
{
	struct layer_fixture *f = *state;
	char name[6000];

	memset(name, 'n', 300);
	name[256] = '\0';
	tar_pax(&f->tar, "path", name, NULL);
	TAR(&f->tar, .name = "x", .content = "x");
	assert_true(apply(f) < 0);
	assert_non_null(strstr(f->err.message, ": file name too long"));
	assert_int_equal(f->err.cls, ERROR_INVALID);
	tar_pax(&f->tar, "path", name, NULL);
	TAR(&f->tar, .name = "x", .type = '5');
	assert_true(apply(f) < 0 && f->err.cls == ERROR_INVALID);
	name[255] = '\0';
	tar_pax(&f->tar, "path", name, NULL);
	TAR(&f->tar, .type = '2', .name = "x", .link = "y", .uid = 5); /* no room for the record: root's */
	CONFINED(f);
	assert_non_null(strstr(shown(f), "n l 0777 0:0"));
	for (int i = 0; i < 5998; i += 2)
		memcpy(name + i, "d/", 3);
	tar_pax(&f->tar, "path", name, NULL);
	TAR(&f->tar, .name = "x", .content = "x");
	assert_true(apply(f) < 0 && f->err.cls == ERROR_INVALID);
	name[2000] = '\0'; /* a thousand deep */
	tar_pax(&f->tar, "path", name, NULL);
	TAR(&f->tar, .name = "x", .content = "x");
	assert_true(apply(f) < 0 && f->err.cls == ERROR_INVALID);
	assert_true(is_outside_untouched(f));
}

static void limits_are_kept(void **state)
{
	struct layer_fixture *f = *state;

	f->limits = (struct layer_limits){ .max_bytes = 10, .max_entries = 3 };
	TAR(&f->tar, .name = "a", .content = "12345");
	TAR(&f->tar, .name = "b", .content = "12345");
	CONFINED(f);
	TAR(&f->tar, .name = "a", .content = "12345");
	TAR(&f->tar, .name = "b", .content = "123456");
	REFUSED(f, "the layer has more than 10 bytes");
	for (int i = 0; i < 4; i++)
		TAR(&f->tar, .name = "a");
	REFUSED(f, "the layer has more than 3 entries");
	f->limits = (struct layer_limits){ 0 };
	TAR(&f->tar, .name = "a", .size = 0777777777777); /* said, not sent */
	f->limits.max_bytes = 1 << 20;
	REFUSED(f, "the layer has more than 1048576 bytes");
	tar_pax(&f->tar, "size", "9223372036854775807", NULL);
	TAR(&f->tar, .name = "a");
	REFUSED(f, "the layer has more than 1048576 bytes");
}

static void headers_that_are_broken(void **state)
{
	static const char broken[] = "archive/tar: invalid tar header";
	struct layer_fixture *f = *state;
	char *big = xmalloc((1 << 20) + 512);

	TAR(&f->tar, .name = "a", .content = "x");
	f->tar.data[150] ^= 1;
	REFUSED(f, broken);
	TAR(&f->tar, .name = "a", .content = "x");
	memset(f->tar.data + 124, 'z', 5);
	REFUSED(f, broken);
	tar_pax(&f->tar, "size", "-1", NULL);
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	tar_pax(&f->tar, "size", "99999999999999999999", NULL);
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	tar_pax(&f->tar, "uid", "4294967295", NULL);
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	tar_pax(&f->tar, "mtime", "now", NULL);
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	TAR(&f->tar, .type = 'x', .name = "p", .content = "999 path=x\n");
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	TAR(&f->tar, .type = 'x', .name = "p", .content = "10 path=\0x\n", .len = 11);
	TAR(&f->tar, .name = "a");
	REFUSED(f, broken);
	for (int i = 0; i < 100; i++)
		TAR(&f->tar, .type = 'x', .name = "p");
	REFUSED(f, broken);
	memset(big, 'x', (1 << 20) + 1);
	TAR(&f->tar, .type = 'x', .name = "p", .content = big, .len = (1 << 20) + 1);
	REFUSED(f, "archive/tar: header field too long");
	TAR(&f->tar, .type = 'L', .name = "p", .content = big, .len = (1 << 20) + 1);
	REFUSED(f, "archive/tar: header field too long");
	TAR(&f->tar, .type = 'M', .name = "p");
	REFUSED(f, "unhandled tar header type 77");
	free(big);
}

static void archives_that_end_too_early(void **state)
{
	struct layer_fixture *f = *state;
	size_t whole;

	TAR(&f->tar, .name = "a", .content = "x");
	tar_pax(&f->tar, "mtime", "5", NULL);
	TAR(&f->tar, .name = "b", .content = "y");
	whole = f->tar.len;
	for (size_t n = 1; n < whole; n += 37) {
		bool may_end = n >= 513 && n <= 1024; /* but for the padding of a file's last block */
		int r = apply_bytes(f, f->root, f->tar.data, n);

		if (!may_end && n < whole - 511 && r == 0)
			fail_msg("%zu bytes: taken", n);
		if (r < 0 && strcmp(f->err.message, "unexpected EOF"))
			fail_msg("%zu bytes: %s", n, f->err.message);
	}
	assert_int_equal(apply_bytes(f, f->root, f->tar.data, whole), 0); /* without an end */
	assert_true(apply_bytes(f, f->root, "this is no archive", 18) < 0);
	assert_string_equal(f->err.message, "unexpected EOF");
	buf_reset(&f->tar);
}

static ssize_t fail_to_read(void *arg, const void **ret)
{
	(void)arg;
	(void)ret;
	return -ECONNRESET;
}

static void a_source_that_fails_is_not_the_archives_fault(void **state)
{
	struct layer_fixture *f = *state;

	assert_int_equal(layer_apply(f->root, NULL, fail_to_read, NULL, &f->figures, &f->err), -ECONNRESET);
	assert_int_equal(f->err.cls, ERROR_INTERNAL);
}

static int run(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, layer_fixture_setup, layer_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_that_lead_out),
		TEST(links_that_lead_out),
		TEST(links_that_lead_nowhere),
		TEST(directories_that_become_links),
		TEST(files_as_parents),
		TEST(whiteouts_of_nothing),
		TEST(names_that_are_too_long),
		TEST(limits_are_kept),
		TEST(headers_that_are_broken),
		TEST(archives_that_end_too_early),
		TEST(a_source_that_fails_is_not_the_archives_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(run);
}
