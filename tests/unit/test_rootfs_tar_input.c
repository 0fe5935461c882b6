/* The reader of archives: formats, names as bytes, sparse files, compressions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/tar_input.h"
#include "rootfs/tar_output.h"
#include "support/layer-fixture.h"
#include "util/alloc.h"

#define APPLIED(f)                                                 \
	do {                                                       \
		if (apply(f) != 0)                                 \
			fail_msg("applied: %s", (f)->err.message); \
	} while (0)

/* ---- names ---- */

static void names_are_bytes(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .name = "latin-\xe9");
	tar_pax(&f->tar, "path", "pax-latin-\xe9", NULL);
	TAR(&f->tar, .name = "x");
	tar_pax(&f->tar, "path", "composed-\xc3\xa9", NULL);
	TAR(&f->tar, .name = "x");
	tar_pax(&f->tar, "path", "decomposed-e\xcc\x81", NULL); /* the same letter, another name */
	TAR(&f->tar, .name = "x");
	tar_pax(&f->tar, "linkpath", "to-e\xcc\x81\xff", NULL);
	TAR(&f->tar, .type = '2', .name = "link", .link = "x");
	APPLIED(f);
	shown(f);
	assert_non_null(strstr(f->shown, "/latin-\xe9 - "));
	assert_non_null(strstr(f->shown, "/pax-latin-\xe9 - "));
	assert_non_null(strstr(f->shown, "/composed-\xc3\xa9 - "));
	assert_non_null(strstr(f->shown, "/decomposed-e\xcc\x81 - "));
	assert_non_null(strstr(f->shown, " -> to-e\xcc\x81\xff\n"));
}

static void long_names_of_all_formats(void **state)
{
	struct layer_fixture *f = *state;
	char name[512], line[600];

	memset(name, 'n', sizeof(name));
	memcpy(name, "gnu/", 4);
	name[200] = '\0';
	TAR(&f->tar, .type = 'L', .name = "././@LongLink", .content = name, .len = 201, .is_gnu = true);
	TAR(&f->tar, .name = "gnu/nn", .is_gnu = true);
	TAR(&f->tar, .type = 'K', .name = "././@LongLink", .content = name, .len = 201, .is_gnu = true);
	TAR(&f->tar, .type = '2', .name = "gnu/link", .link = "gn", .is_gnu = true);
	memcpy(name, "pax/", 4);
	tar_pax(&f->tar, "path", name, "comment", "unheard", "SCHILY.xattr.user.x", "dropped", NULL);
	TAR(&f->tar, .name = "pax/nn");
	TAR(&f->tar, .name = "file");
	memcpy(f->tar.data + f->tar.len - 512 + 345, "ustar/dir", 9); /* the prefix, and the sum with it */
	{
		char *h = f->tar.data + f->tar.len - 512, sum[8];
		unsigned total = 0;

		memset(h + 148, ' ', 8);
		for (int i = 0; i < 512; i++)
			total += (unsigned char)h[i];
		snprintf(sum, sizeof(sum), "%06o", total & 0777777);
		memcpy(h + 148, sum, 7);
	}
	APPLIED(f);
	shown(f);
	memcpy(name, "gnu/", 4);
	snprintf(line, sizeof(line), "/%s - ", name);
	assert_non_null(strstr(f->shown, line));
	snprintf(line, sizeof(line), "/gnu/link l 0777 0:0 0 -> %s\n", name);
	assert_non_null(strstr(f->shown, line));
	memcpy(name, "pax/", 4);
	snprintf(line, sizeof(line), "/%s - ", name);
	assert_non_null(strstr(f->shown, line));
	assert_non_null(strstr(f->shown, "/ustar/dir/file - "));
}

static void records_overrule_headers(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = 'g', .name = "g", .content = "20 path=of-the-world\n");
	tar_pax(&f->tar, "path", "p", "uid", "3000000000", "gid", "70000", "mtime", "1234567890.75", "size", "3", NULL);
	TAR(&f->tar, .name = "x", .uid = 1, .content = "abc", .size = 0);
	tar_pax(&f->tar, "mtime", "-1.5", NULL); /* moby: at 1970 it begins */
	TAR(&f->tar, .name = "old");
	tar_pax(&f->tar, "path", "", NULL);
	TAR(&f->tar, .name = "kept");
	APPLIED(f);
	shown(f);
	assert_non_null(strstr(f->shown, "/p - 0644 3000000000:70000 1234567890 \"abc\"\n"));
	assert_non_null(strstr(f->shown, "/old - 0644 0:0 0 \"\"\n"));
	assert_non_null(strstr(f->shown, "/kept - "));
}

static void types_of_old(void **state)
{
	struct layer_fixture *f = *state;

	TAR(&f->tar, .type = '7', .name = "contiguous", .content = "x");
	TAR(&f->tar, .type = '0', .name = "v7dir/");
	f->tar.data[f->tar.len - 512 + 156] = '\0';
	memset(f->tar.data + f->tar.len - 512 + 148, ' ', 8);
	{
		char *h = f->tar.data + f->tar.len - 512, sum[8];
		unsigned total = 0;

		for (int i = 0; i < 512; i++)
			total += (unsigned char)h[i];
		snprintf(sum, sizeof(sum), "%06o", total & 0777777);
		memcpy(h + 148, sum, 7);
	}
	APPLIED(f);
	shown(f);
	assert_non_null(strstr(f->shown, "/contiguous - 0644 0:0 0 \"x\"\n"));
	assert_non_null(strstr(f->shown, "/v7dir d "));
}

/* ---- sparse files ---- */

static void check_sparse(struct layer_fixture *f, const char *name)
{
	struct stat st;
	char buf[8] = "";
	int fd = openat(f->root, name, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(pread(fd, buf, 4, (1 << 20) - 1), 4);
	assert_memory_equal(buf, "\0one", 4);
	assert_int_equal(pread(fd, buf, 4, (2 << 20)), 4);
	assert_memory_equal(buf, "two\0", 4);
	close(fd);
}

static void sparse_files_of_all_formats(void **state)
{
	struct layer_fixture *f = *state;
	char text[512] = "2\n1048576\n3\n2097152\n3\n", *h;
	unsigned total = 0;

	tar_pax(&f->tar, "GNU.sparse.size", "3145728", "GNU.sparse.numblocks", "2", "GNU.sparse.offset", "1048576",
		"GNU.sparse.numbytes", "3", "GNU.sparse.offset", "2097152", "GNU.sparse.numbytes", "3", NULL);
	TAR(&f->tar, .name = "s00", .content = "onetwo");
	tar_pax(&f->tar, "GNU.sparse.size", "3145728", "GNU.sparse.name", "s01", "GNU.sparse.map",
		"1048576,3,2097152,3,3145728,0", NULL);
	TAR(&f->tar, .name = "GNUSparseFile.1/s01", .content = "onetwo");
	tar_pax(&f->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "s10",
		"GNU.sparse.realsize", "3145728", NULL);
	memset(text + 22, 0, sizeof(text) - 22);
	TAR(&f->tar, .name = "GNUSparseFile.1/s10", .size = 518);
	buf_append(&f->tar, text, sizeof(text));
	memset(text, 0, sizeof(text));
	memcpy(text, "onetwo", 6);
	buf_append(&f->tar, text, sizeof(text));
	TAR(&f->tar, .type = 'S', .name = "old", .content = "onetwo", .is_gnu = true);
	h = f->tar.data + f->tar.len - 1024;
	memcpy(h + 386,
	       "00004000000\0"
	       "00000000003\0"
	       "00010000000\0"
	       "00000000003\0",
	       48);
	memcpy(h + 483, "00014000000", 12);
	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		total += (unsigned char)h[i];
	snprintf(text, sizeof(text), "%06o", total);
	memcpy(h + 148, text, 7);
	TAR(&f->tar, .name = "after", .content = "x");
	APPLIED(f);
	check_sparse(f, "s00");
	check_sparse(f, "s01");
	check_sparse(f, "s10");
	check_sparse(f, "old");
	assert_non_null(strstr(shown(f), "/after - 0644 0:0 0 \"x\"\n"));
	assert_int_equal(f->figures.bytes, 4 * (3 << 20) + 1);
}

static void maps_that_lie(void **state)
{
	static const char *const maps[] = {
		"0,7", "5,3,0,3", "0,3,2,3", "99,6", "0,3", "-1,6", "0,-6,0,12", "0", "x,y", "9223372036854775807,6", "0,6,9223372036854775807,9223372036854775807"
	};
	struct layer_fixture *f = *state;

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		tar_pax(&f->tar, "GNU.sparse.size", "100", "GNU.sparse.map", maps[i], NULL);
		TAR(&f->tar, .name = "x", .content = "onetwo");
		if (apply(f) == 0)
			fail_msg("%s: taken", maps[i]);
		assert_string_equal(f->err.message, "archive/tar: invalid tar header");
	}
	tar_pax(&f->tar, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.realsize", "100", NULL);
	TAR(&f->tar, .name = "x", .content = "99999999\n");
	assert_true(apply(f) < 0);
	assert_string_equal(f->err.message, "archive/tar: invalid tar header");
}

static void long_rows_of_zeros_become_holes(void **state)
{
	struct layer_fixture *f = *state;
	size_t n = 4 << 20;
	char *data = calloc(1, n), *back = malloc(n);
	struct stat st;
	int fd;

	data[0] = 'a';
	data[1 << 20] = 'b';
	data[(2 << 20) + 17] = 'c';
	f->chunk = 100003;
	TAR(&f->tar, .name = "x", .content = data, .len = n);
	data[n - 1] = 'd';
	TAR(&f->tar, .name = "y", .content = data, .len = n);
	APPLIED(f);
	for (const char *name = "x"; *name <= 'y'; name = *name == 'x' ? "y" : "z") {
		data[n - 1] = *name == 'y' ? 'd' : '\0';
		fd = openat(f->root, name, O_RDONLY);
		assert_int_equal(read(fd, back, n), n);
		assert_memory_equal(back, data, n);
		fstat(fd, &st);
		assert_int_equal(st.st_size, n);
		assert_true(st.st_blocks * 512 < 1 << 20);
		close(fd);
	}
	free(data);
	free(back);
}

/* ---- compressions ---- */

static la_ssize_t take(struct archive *a, void *arg, const void *data, size_t len)
{
	(void)a;
	buf_append(arg, data, len);
	return (la_ssize_t)len;
}

static void every_compression(void **state)
{
	static int (*const filters[])(struct archive *) = { archive_write_add_filter_gzip, archive_write_add_filter_bzip2,
							    archive_write_add_filter_xz, archive_write_add_filter_zstd };
	struct layer_fixture *f = *state;
	struct buf out, plain;

	buf_init(&plain, 1 << 20);
	TAR(&plain, .name = "x", .content = "squeezed", .mtime = 3);
	tar_end(&plain);
	for (size_t i = 0; i < 4; i++) {
		struct archive *a = archive_write_new();
		struct archive_entry *e = archive_entry_new();

		buf_init(&out, 1 << 20);
		archive_write_set_format_raw(a);
		filters[i](a);
		archive_write_set_bytes_in_last_block(a, 1);
		archive_write_open(a, &out, NULL, take, NULL);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_write_header(a, e);
		archive_write_data(a, plain.data, plain.len);
		archive_write_close(a);
		archive_write_free(a);
		archive_entry_free(e);
		if (apply_bytes(f, f->root, out.data, out.len) < 0)
			fail_msg("%zu: %s", i, f->err.message);
		assert_string_equal(strchr(shown(f), '\n') + 1, "/x - 0644 0:0 3 \"squeezed\"\n");
		if (apply_bytes(f, f->root, out.data, out.len / 2) == 0)
			fail_msg("%zu: half of it taken", i);
		assert_string_equal(f->err.message, "unexpected EOF");
		buf_done(&out);
	}
	buf_done(&plain);
}

/* ---- both ways ---- */

static ssize_t into_buf(void *arg, const void *data, size_t len)
{
	return buf_append(arg, data, len) < 0 ? -1 : (ssize_t)len;
}

static ssize_t from_buf(void *arg, const void **ret)
{
	struct buf *b = arg;
	size_t n = b->len;

	*ret = b->data;
	b->len = 0;
	return (ssize_t)n;
}

static void what_is_written_is_read(void **state)
{
	char name[300], link[300];
	struct tar_entry in = { .type = TAR_SYMLINK, .name = name, .link = link, .mode = 0777 };
	const struct tar_entry *back;
	struct tar_output *out;
	struct tar_input *input;
	struct error err = { 0 };
	struct buf tar;

	(void)state;
	for (size_t n = 1; n < 280; n++) {
		memset(name, 'a', sizeof(name));
		memset(link, n % 3 ? 'b' : '\xc3', sizeof(link));
		name[n] = link[n] = '\0';
		in.uid = n % 2 ? (uint32_t)n : 4000000000u - (uint32_t)n;
		in.gid = n % 5 ? 0 : 2097152;
		in.mtime.tv_sec = n % 7 ? (int64_t)n * 1000000 : 8589934592 + (int64_t)n;
		buf_init(&tar, 1 << 20);
		assert_int_equal(tar_output_new(into_buf, &tar, n % 4 == 0, &out, &err), 0);
		assert_int_equal(tar_output_entry(out, &in, &err), 0);
		assert_int_equal(tar_output_end(out, &err), 0);
		tar_output_free(out);
		assert_int_equal(tar_input_new(from_buf, &tar, &input, &err), 0);
		assert_int_equal(tar_input_next(input, &back, &err), 0);
		assert_non_null(back);
		assert_string_equal(back->name, name);
		assert_string_equal(back->link, link);
		assert_int_equal(back->uid, in.uid);
		assert_int_equal(back->gid, in.gid);
		assert_int_equal(back->mtime.tv_sec, in.mtime.tv_sec);
		assert_int_equal(tar_input_next(input, &back, &err), 0);
		assert_null(back);
		tar_input_free(input);
		buf_done(&tar);
	}
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, layer_fixture_setup, layer_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_are_bytes),
		TEST(long_names_of_all_formats),
		TEST(records_overrule_headers),
		TEST(types_of_old),
		TEST(sparse_files_of_all_formats),
		TEST(maps_that_lie),
		TEST(long_rows_of_zeros_become_holes),
		TEST(every_compression),
		TEST(what_is_written_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
