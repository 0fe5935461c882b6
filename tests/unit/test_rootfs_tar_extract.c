/* Archives into and out of a container's view: docker cp, export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/tar.h"
#include "rootfs/tar_input.h"
#include "support/layer-fixture.h"
#include "support/rootfs-fixture.h"
#include "util/alloc.h"

/* ---- in ---- */

static ssize_t from_buf(void *arg, const void **ret)
{
	struct buf *b = arg;
	size_t n = b->len;

	*ret = b->data;
	b->len = 0;
	return (ssize_t)n;
}

static int put_with(struct fixture *f, const char *path, const struct tar_extract_options *opt, struct buf *tar,
		    struct error *err)
{
	int r;

	tar_end(tar);
	error_clear(err);
	r = tar_extract(f->fs, path, opt, from_buf, tar, err);
	buf_reset(tar);
	return r;
}

static struct buf tar;
static struct error err;

static int setup(void **state)
{
	buf_init(&tar, 1 << 26);
	return fixture_setup(state);
}

static int teardown(void **state)
{
	buf_done(&tar);
	return fixture_teardown(state);
}

#define PUT(f, path, ...)                                                                             \
	do {                                                                                          \
		if (put_with(f, path, &(struct tar_extract_options){ __VA_ARGS__ }, &tar, &err) != 0) \
			fail_msg("%s", err.message);                                                  \
	} while (0)
#define REFUSED(f, path, says, ...)                                                                           \
	do {                                                                                                  \
		assert_true(put_with(f, path, &(struct tar_extract_options){ __VA_ARGS__ }, &tar, &err) < 0); \
		assert_string_equal(err.message, says);                                                       \
	} while (0)

static void assert_shown(struct fixture *f, const char *line)
{
	char *all = show_view(f->fs, true);

	if (!strstr(all, line))
		fail_msg("no %s in\n%s", line, all);
	free(all);
}

static void what_is_put_is_there(void **state)
{
	struct fixture *f = *state;

	TAR(&tar, .type = '5', .name = "d", .mode = 0750, .uid = 5, .gid = 6, .mtime = 100);
	TAR(&tar, .name = "d/f", .mode = 04755, .uid = 7, .mtime = 101, .content = "x");
	TAR(&tar, .name = "d/../d/e/g", .mode = 0666, .mtime = 102, .content = "deep");
	TAR(&tar, .type = '2', .name = "d/l", .link = "f", .gid = 9, .mtime = 103);
	TAR(&tar, .type = '1', .name = "d/h", .link = "d/f");
	TAR(&tar, .type = '6', .name = "d/p", .mode = 0600, .mtime = 104);
	TAR(&tar, .type = '3', .name = "d/n", .mode = 0666, .major = 1, .minor = 3, .mtime = 105);
	tar_pax(&tar, "path", "d/e\xcc\x81\xff", NULL);
	TAR(&tar, .name = "x", .mtime = 106);
	TAR(&tar, .type = '5', .name = "./", .mode = 0700, .mtime = 5); /* the place itself stays */
	PUT(f, "/etc", .copy_uid_gid = true);
	assert_shown(f, "/etc d 0755 0:0");
	assert_shown(f, "/etc/d d 0750 5:6 100\n/etc/d/e d 0755 0:0");
	assert_shown(f, "/etc/d/e/g - 0666 0:0 102 \"deep\"\n"
			"/etc/d/e\xcc\x81\xff - 0644 0:0 106 \"\"\n"
			"/etc/d/f - 4755 7:0 101 \"x\"\n/etc/d/h = /etc/d/f\n"
			"/etc/d/l l 0777 0:9 103 -> f\n/etc/d/n c 0666 0:0 105 1,3\n/etc/d/p p 0600 0:0 104\n");
	TAR(&tar, .name = "o", .uid = 7, .mtime = 1);
	PUT(f, "/etc");
	assert_shown(f, "/etc/o - 0644 0:0 1");
	TAR(&tar, .name = "o", .uid = 7, .mtime = 1);
	PUT(f, "/etc", .copy_uid_gid = true, .has_owner = true, .uid = 3, .gid = 4);
	assert_shown(f, "/etc/o - 0644 3:4 1");
}

static void one_goes_over_the_other(void **state)
{
	struct fixture *f = *state;

	TAR(&tar, .name = "a", .content = "new");
	TAR(&tar, .name = "dir/x/y", .content = "y");
	PUT(f, "/etc");
	assert_string_equal(content(f, "/etc/a"), "new");
	TAR(&tar, .name = "dir", .content = "a file");
	REFUSED(f, "/etc", "cannot overwrite directory \"/etc/dir\" with non-directory \"/etc\"",
		.no_overwrite_dir_non_dir = true);
	TAR(&tar, .name = "a", .type = '5');
	REFUSED(f, "/etc", "cannot overwrite non-directory \"/etc/a\" with directory \"/etc\"",
		.no_overwrite_dir_non_dir = true);
	TAR(&tar, .name = "dir", .content = "a file"); /* with all that was in it */
	TAR(&tar, .name = "a", .type = '5', .mtime = 7);
	TAR(&tar, .type = '2', .name = "b", .link = "/outside");
	TAR(&tar, .name = "b", .content = "not through the link", .mtime = 8);
	PUT(f, "/etc");
	assert_string_equal(content(f, "/etc/dir"), "a file");
	assert_shown(f, "/etc/a d 0755 0:0 7\n/etc/b - 0644 0:0 8 \"not through the link\"\n");
	TAR(&tar, .type = '5', .name = "etc", .mode = 0711, .uid = 4, .mtime = 9);
	PUT(f, "/", .copy_uid_gid = true);
	assert_shown(f, "/etc d 0711 4:0 9\n/etc/a d 0755 0:0 7\n");
}

static void nothing_leads_out(void **state)
{
	struct fixture *f = *state;

	TAR(&tar, .name = "../x");
	REFUSED(f, "/etc", "\"../x\" is outside of \"/etc\"");
	TAR(&tar, .type = '1', .name = "x", .link = "../etc/a");
	REFUSED(f, "/etc", "invalid hardlink \"/etc/x\" -> \"../etc/a\"");
	TAR(&tar, .type = '2', .name = "out", .link = "../../../../etc");
	TAR(&tar, .name = "out/x", .content = "in");
	PUT(f, "/etc");
	assert_string_equal(content(f, "/etc/x"), "in"); /* the container's own */
	TAR(&tar, .name = "x", .content = "1");
	tar.data[150] ^= 1;
	REFUSED(f, "/etc", "Error processing tar file(exit status 1): archive/tar: invalid tar header");
	TAR(&tar, .name = "x", .content = "12345");
	REFUSED(f, "/etc", "the archive is too large", .max_bytes = 4);
}

/* ---- out ---- */

static ssize_t into_buf(void *arg, const void *data, size_t len)
{
	return buf_append(arg, data, len) < 0 ? -ENOMEM : (ssize_t)len;
}

static void names_in(struct buf *archive, char *text, size_t size)
{
	const struct tar_entry *e;
	struct tar_input *in;
	size_t n = 0;

	text[0] = '\0';
	assert_int_equal(tar_input_new(from_buf, archive, &in, &err), 0);
	while (tar_input_next(in, &e, &err) == 0 && e)
		n += (size_t)snprintf(text + n, size - n, "%s ", e->name);
	tar_input_free(in);
}

static void names_and_order(void **state)
{
	struct fixture *f = *state;
	char text[1000];

	assert_int_equal(write_to(f, "/etc/\xe9", "x", O_CREAT), 0);
	assert_int_equal(rootfs_mknod(f->fs, NULL, NULL, "/etc/socket", S_IFSOCK | 0600, 0), 0);
	assert_int_equal(tar_write(f->fs, "/etc", NULL, into_buf, &tar, &err), 0);
	names_in(&tar, text, sizeof(text));
	assert_string_equal(text, "etc/ etc/a etc/b etc/\xe9 ");
	buf_reset(&tar);
	assert_int_equal(
		tar_write(f->fs, "/etc/a", &(struct tar_write_options){ .rename_root = "other" }, into_buf, &tar, &err), 0);
	names_in(&tar, text, sizeof(text));
	assert_string_equal(text, "other ");
	buf_reset(&tar);
	assert_int_equal(tar_write(f->fs, "/", &(struct tar_write_options){ .contents_only = true }, into_buf, &tar, &err), 0);
	names_in(&tar, text, sizeof(text));
	assert_string_equal(text, "abs etc/ etc/a etc/b etc/\xe9 up ");
	buf_reset(&tar);
	assert_int_equal(tar_write(f->fs, "/none", NULL, into_buf, &tar, &err), -ENOENT);
}

/* Through a tar and back: the same, with its holes. */
static void sparse_files_come_back(void **state)
{
	struct fixture *f = *state;
	struct rootfs_file file;
	char buf[8];

	assert_int_equal(rootfs_open(f->fs, NULL, NULL, "/sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600, &file), 0);
	assert_int_equal(pwrite(file.fd, "one", 3, 3 << 20), 3);
	assert_int_equal(ftruncate(file.fd, (8 << 20) + 5), 0);
	rootfs_file_done(&file);
	for (int is_gzip = 0; is_gzip < 2; is_gzip++) {
		struct tar_write_options opt = { .rename_root = is_gzip ? "zipped" : "plain", .is_gzip = is_gzip };
		struct stat st;

		assert_int_equal(tar_write(f->fs, "/sparse", &opt, into_buf, &tar, &err), 0);
		assert_true(is_gzip ? tar.len < 1 << 20 : tar.len > 8 << 20);
		assert_int_equal(tar_extract(f->fs, "/", &(struct tar_extract_options){ 0 }, from_buf, &tar, &err), 0);
		buf_reset(&tar);
		assert_int_equal(
			rootfs_open(f->fs, NULL, NULL, is_gzip ? "/zipped" : "/plain", O_RDONLY | O_CLOEXEC, 0, &file), 0);
		assert_int_equal(fstat(file.fd, &st), 0);
		assert_int_equal(st.st_size, (8 << 20) + 5);
		assert_true(st.st_blocks * 512 < 1 << 20);
		assert_int_equal(pread(file.fd, buf, 5, (3 << 20) - 1), 5);
		assert_memory_equal(buf, "\0one", 5);
		rootfs_file_done(&file);
	}
}

static int run(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_put_is_there), TEST(one_goes_over_the_other), TEST(nothing_leads_out),
		TEST(names_and_order),      TEST(sparse_files_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return run_as_both(run);
}
