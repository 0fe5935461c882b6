/* See the header. */
#include "rootfs/tar_output.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/tar_internal.h"
#include "util/alloc.h"
#include "util/buf.h"

enum { BUFFER_BYTES = 1 << 16, RECORDS_MAX = 1 << 16, ID_MAX = 07777777 };
#define SIZE_MAX_OCTAL 077777777777LL

struct tar_output {
	tar_write_fn write;
	void *arg;
	struct archive *gzip;     /* NULL: as it is */
	int sink_error;
	size_t len;
	int64_t file_bytes;       /* that have been written of the entry */
	char buffer[BUFFER_BYTES];
};

static const char zeros[BUFFER_BYTES];

/* ---- bytes ---- */

static int sink(struct tar_output *out, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t done = out->write(out->arg, data, n);

		if (done <= 0)
			return done < 0 ? (int)done : -EIO;
		data += done;
		n -= (size_t)done;
	}
	return 0;
}

static la_ssize_t on_write(struct archive *a, void *data, const void *buf, size_t len)
{
	struct tar_output *out = data;

	out->sink_error = sink(out, buf, len);
	if (out->sink_error == 0)
		return (la_ssize_t)len;
	archive_set_error(a, -out->sink_error, "write failed");
	return -1;
}

static int failed(struct tar_output *out, int r, struct error *err)
{
	if (out->sink_error)
		r = out->sink_error;
	return error_set(err, r, "%s", error_text(-r));
}

static int pass_on(struct tar_output *out, const void *data, size_t n, struct error *err)
{
	int r = 0;

	if (!out->gzip)
		r = sink(out, data, n);
	else if (n > 0 && archive_write_data(out->gzip, data, n) < 0)
		r = -EIO;
	return r < 0 ? failed(out, r, err) : 0;
}

static int flush(struct tar_output *out, struct error *err)
{
	size_t n = out->len;

	out->len = 0;
	return pass_on(out, out->buffer, n, err);
}

static int put(struct tar_output *out, const void *data, size_t n, struct error *err)
{
	int r = 0;

	if (n > sizeof(out->buffer) - out->len)
		r = flush(out, err);
	if (r == 0 && n >= sizeof(out->buffer))
		return pass_on(out, data, n, err);
	if (r == 0) {
		memcpy(out->buffer + out->len, data, n);
		out->len += n;
	}
	return r;
}

static int put_zeros(struct tar_output *out, int64_t n, struct error *err)
{
	int r = 0;

	for (; r == 0 && n > 0; n -= BUFFER_BYTES)
		r = put(out, zeros, n < BUFFER_BYTES ? (size_t)n : BUFFER_BYTES, err);
	return r;
}

static int pad(struct tar_output *out, int64_t n, struct error *err)
{
	return put_zeros(out, -n & (TAR_BLOCK_BYTES - 1), err);
}

/* ---- headers ---- */

static void octal(unsigned char *field, int size, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*llo", size - 1, (unsigned long long)v);
	memcpy(field, text, (size_t)size - 1);
}

static void text(unsigned char *field, size_t size, const char *s)
{
	size_t n = strlen(s);

	memcpy(field, s, n < size ? n : size);
}

static int put_header(struct tar_output *out, const struct tar_entry *e, int64_t size, struct error *err)
{
	unsigned char b[TAR_BLOCK_BYTES] = { 0 };
	unsigned sum = 0;

	text(b, 100, e->name);
	octal(b + 100, 8, e->mode & 07777);
	octal(b + 108, 8, e->uid <= ID_MAX ? e->uid : 0);
	octal(b + 116, 8, e->gid <= ID_MAX ? e->gid : 0);
	octal(b + TAR_AT_SIZE, 12, size <= SIZE_MAX_OCTAL ? (uint64_t)size : 0);
	octal(b + 136, 12, e->mtime.tv_sec >= 0 && e->mtime.tv_sec <= SIZE_MAX_OCTAL ? (uint64_t)e->mtime.tv_sec : 0);
	memset(b + TAR_AT_SUM, ' ', 8);
	b[TAR_AT_TYPE] = (unsigned char)e->type;
	text(b + TAR_AT_LINK, 100, e->link);
	memcpy(b + TAR_AT_MAGIC, "ustar\00000", 8);
	octal(b + 329, 8, e->type == TAR_CHAR || e->type == TAR_BLOCK ? e->major & ID_MAX : 0);
	octal(b + 337, 8, e->type == TAR_CHAR || e->type == TAR_BLOCK ? e->minor & ID_MAX : 0);
	for (size_t i = 0; i < sizeof(b); i++)
		sum += b[i];
	octal(b + TAR_AT_SUM, 7, sum);
	b[TAR_AT_SUM + 6] = '\0';
	return put(out, b, sizeof(b), err);
}

/* "LENGTH KEY=VALUE\n", where the length counts itself. */
static void add_record(struct buf *records, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;

	for (size_t digits = 1, limit = 10; n >= limit; limit *= 10)
		n = rest + ++digits;
	buf_printf(records, "%zu %s=%s\n", n, key, value);
}

static void add_number(struct buf *records, const char *key, int64_t v)
{
	char value[24];

	snprintf(value, sizeof(value), "%lld", (long long)v);
	add_record(records, key, value);
}

static bool fits(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] >= 0x80)
			return false;
	return n <= 100;
}

/* In the alphabet's order, as Go writes them. */
static void add_records(struct buf *records, const struct tar_entry *e, int64_t size)
{
	if (e->nxattrs)
		buf_append(records, e->xattrs, e->nxattrs);
	if (e->gid > ID_MAX)
		add_number(records, "gid", e->gid);
	if (!fits(e->link))
		add_record(records, "linkpath", e->link);
	if (e->mtime.tv_sec < 0 || e->mtime.tv_sec > SIZE_MAX_OCTAL)
		add_number(records, "mtime", e->mtime.tv_sec);
	if (!fits(e->name))
		add_record(records, "path", e->name);
	if (size > SIZE_MAX_OCTAL)
		add_number(records, "size", size);
	if (e->uid > ID_MAX)
		add_number(records, "uid", e->uid);
}

int tar_output_entry(struct tar_output *out, const struct tar_entry *e, struct error *err)
{
	int64_t size = e->type == TAR_FILE ? e->size : 0;
	struct tar_entry pax = { .type = 'x', .name = "PaxHeaders.0/x", .link = "", .mode = 0644 };
	struct buf records;
	int r = 0;

	buf_init(&records, RECORDS_MAX);
	add_records(&records, e, size);
	if (records.len > 0) {
		r = put_header(out, &pax, (int64_t)records.len, err);
		if (r == 0)
			r = put(out, records.data, records.len, err);
		if (r == 0)
			r = pad(out, (int64_t)records.len, err);
	}
	buf_done(&records);
	out->file_bytes = 0;
	return r < 0 ? r : put_header(out, e, size, err);
}

/* ---- content ---- */

int tar_output_data(struct tar_output *out, const void *data, size_t n, struct error *err)
{
	return put(out, data, n, err);
}

/* Where the next bytes are that must be read, from `at` on; `size` when the rest is a hole. */
static int64_t next_data(int fd, int64_t at, int64_t size)
{
	int64_t data = lseek(fd, at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? size : at;
	return data < size ? data : size;
}

int tar_output_file(struct tar_output *out, int fd, int64_t size, struct error *err)
{
	char *buf = xmalloc(BUFFER_BYTES);
	int64_t at = 0, hole = 0;
	int r = 0;

	while (r == 0 && at < size) {
		size_t want;
		ssize_t n;

		if (at >= hole) { /* at the end of what is known to be there */
			int64_t data = size - at > BUFFER_BYTES ? next_data(fd, at, size) : at;

			r = put_zeros(out, data - at, err);
			at = data;
			hole = size - at > BUFFER_BYTES ? lseek(fd, at, SEEK_HOLE) : size;
			if (hole <= at || hole > size)
				hole = size;
			continue;
		}
		want = hole - at < BUFFER_BYTES ? (size_t)(hole - at) : BUFFER_BYTES;
		n = pread(fd, buf, want, at);
		if (n < 0)
			r = error_set(err, -errno, "%s", error_text(errno));
		else if (n == 0) { /* shorter than it was */
			r = put_zeros(out, size - at, err);
			at = size;
		} else {
			r = put(out, buf, (size_t)n, err);
			at += n;
		}
	}
	free(buf);
	return r < 0 ? r : pad(out, size, err);
}

/* ---- the object ---- */

static int open_gzip(struct tar_output *out, struct error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r = 0;

	out->gzip = archive_write_new();
	archive_write_set_format_raw(out->gzip);
	archive_write_add_filter_gzip(out->gzip);
	archive_write_set_filter_option(out->gzip, "gzip", "compression-level", "1");
	archive_write_set_filter_option(out->gzip, "gzip", "timestamp", NULL);
	archive_write_set_bytes_in_last_block(out->gzip, 1);
	archive_entry_set_filetype(e, AE_IFREG);
	if (archive_write_open(out->gzip, out, NULL, on_write, NULL) != ARCHIVE_OK ||
	    archive_write_header(out->gzip, e) != ARCHIVE_OK)
		r = error_set(err, -EIO, "%s", archive_error_string(out->gzip));
	archive_entry_free(e);
	return r;
}

int tar_output_new(tar_write_fn write, void *arg, bool is_gzip, struct tar_output **ret, struct error *err)
{
	struct tar_output *out = xnew(struct tar_output);
	int r;

	out->write = write;
	out->arg = arg;
	r = is_gzip ? open_gzip(out, err) : 0;
	if (r < 0)
		tar_output_free(out);
	else
		*ret = out;
	return r;
}

int tar_output_end(struct tar_output *out, struct error *err)
{
	int r = put_zeros(out, (int64_t)2 * TAR_BLOCK_BYTES, err);

	if (r == 0)
		r = flush(out, err);
	if (r == 0 && out->gzip && archive_write_close(out->gzip) != ARCHIVE_OK)
		r = failed(out, -EIO, err);
	return r;
}

/* What has been given to the compressor and not ended is of no use to the sink. */
void tar_output_free(struct tar_output *out)
{
	if (!out)
		return;
	if (out->gzip) {
		archive_write_fail(out->gzip);
		archive_write_free(out->gzip);
	}
	free(out);
}
