/* The row of blocks and headers. What PAX and the sparse formats say is read in tar_extended.c. */
#include "rootfs/tar_input.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rootfs/tar_internal.h"
#include "util/alloc.h"

enum { IN_A_ROW_MAX = 64 /* headers about one entry */, PAGE_BYTES = 4096, HOLE_MIN = 32768 };

/* ---- bytes ---- */

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct tar_input *in = data;
	ssize_t n = in->read(in->arg, ret);

	if (n < 0) {
		in->source_error = (int)n;
		archive_set_error(a, (int)-n, "%s", error_text((int)-n));
	}
	in->is_at_end = n <= 0;
	return n;
}

int tar_broken(struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "archive/tar: invalid tar header");
}

int tar_cut_short(struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "unexpected EOF");
}

static int source_failed(struct tar_input *in, struct error *err)
{
	const char *text = archive_error_string(in->archive);

	if (in->source_error)
		return error_set(err, in->source_error, "%s", error_text(-in->source_error));
	/* A compressor's end that is missing has many words, or none. */
	if (!text || strcasestr(text, "truncated") || strstr(text, "No progress is possible"))
		return tar_cut_short(err);
	return error_set_class(err, ERROR_INVALID, "invalid tar archive: %s", text);
}

/* 1: there are bytes in in->at; 0: the end. */
static int fill(struct tar_input *in, struct error *err)
{
	const void *data;
	la_int64_t offset;
	size_t n;
	int r;

	while (in->left == 0) {
		if (in->has_ended)
			return 0;
		r = archive_read_data_block(in->archive, &data, &n, &offset);
		if (r == ARCHIVE_EOF) {
			in->has_ended = true;
			return 0;
		}
		if (r < ARCHIVE_WARN)
			return source_failed(in, err);
		in->at = data;
		in->left = n;
	}
	return 1;
}

ssize_t tar_take(struct tar_input *in, void *to, size_t n, struct error *err)
{
	size_t done = 0;

	while (done < n) {
		size_t now;
		int r = fill(in, err);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		now = in->left < n - done ? in->left : n - done;
		if (to)
			memcpy((char *)to + done, in->at, now);
		in->at += now;
		in->left -= now;
		done += now;
	}
	return (ssize_t)done;
}

int tar_input_drain(struct tar_input *in, struct error *err)
{
	const void *data;
	ssize_t n = 1;

	in->left = 0;
	in->has_ended = true;
	while (!in->is_at_end && (n = in->read(in->arg, &data)) > 0)
		;
	return n < 0 ? error_set(err, (int)n, "%s", error_text((int)-n)) : 0;
}

/* ---- one header ---- */

static bool is_zero(const unsigned char *block)
{
	for (int i = 0; i < TAR_BLOCK_BYTES; i++)
		if (block[i])
			return false;
	return true;
}

int tar_number(const unsigned char *field, size_t n, int64_t *ret)
{
	uint64_t v = 0;

	if (field[0] & 0x80) { /* base 256: the first byte's second bit is the sign */
		bool is_negative = field[0] & 0x40;

		for (size_t i = 0; i < n; i++) {
			unsigned char c = is_negative ? (unsigned char)~field[i] : field[i];

			if (i == 0)
				c &= 0x7f;
			if (v >> 55)
				return -EINVAL;
			v = v << 8 | c;
		}
		*ret = is_negative ? ~(int64_t)v : (int64_t)v;
		return 0;
	}
	while (n > 0 && (*field == ' ' || *field == '\0')) {
		field++;
		n--;
	}
	for (; n > 0 && *field >= '0' && *field <= '7'; field++, n--) {
		if (v >> 60)
			return -EINVAL;
		v = v << 3 | (uint64_t)(*field - '0');
	}
	/* Behind it, a NUL ends all, and blanks may be there. */
	while (n > 0 && *field == ' ') {
		field++;
		n--;
	}
	*ret = (int64_t)v;
	return n == 0 || *field == '\0' ? 0 : -EINVAL;
}

static bool has_good_sum(const unsigned char *block)
{
	int64_t said, plain = 8 * ' ', as_signed = 8 * ' ';

	if (tar_number(block + TAR_AT_SUM, 8, &said) < 0)
		return false;
	for (int i = 0; i < TAR_BLOCK_BYTES; i++) {
		if (i >= TAR_AT_SUM && i < TAR_AT_SUM + 8)
			continue;
		plain += block[i];
		as_signed += (signed char)block[i];
	}
	return said == plain || said == as_signed;
}

static size_t field_text(char *to, const unsigned char *field, size_t size)
{
	size_t n = strnlen((const char *)field, size);

	memcpy(to, field, n);
	to[n] = '\0';
	return n;
}

static bool is_magic(const unsigned char *block, const char *magic)
{
	return memcmp(block + TAR_AT_MAGIC, magic, 8) == 0;
}

static void read_name(struct tar_input *in)
{
	const unsigned char *b = in->block;
	bool is_star = memcmp(b + TAR_AT_MAGIC, "ustar\0", 6) == 0 && memcmp(b + 508, "tar\0", 4) == 0;
	size_t n = 0;

	if (memcmp(b + TAR_AT_MAGIC, "ustar\0", 6) == 0 && b[TAR_AT_PREFIX]) {
		n = field_text(in->short_name, b + TAR_AT_PREFIX, is_star ? 131 : 155);
		in->short_name[n++] = '/';
	}
	field_text(in->short_name + n, b, 100);
	field_text(in->short_link, b + TAR_AT_LINK, 100);
}

static int as_id(int64_t v, uint32_t *ret)
{
	if (v < 0 || v >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int read_header(struct tar_input *in, struct error *err)
{
	const unsigned char *b = in->block;
	struct tar_entry *e = &in->entry;
	int64_t mode, uid, gid, mtime, major = 0, minor = 0;
	bool has_devices = is_magic(b, "ustar\00000") || is_magic(b, "ustar  \0");

	if (!has_good_sum(b) || tar_number(b + 100, 8, &mode) < 0 || tar_number(b + 108, 8, &uid) < 0 ||
	    tar_number(b + 116, 8, &gid) < 0 || tar_number(b + TAR_AT_SIZE, 12, &e->size) < 0 ||
	    tar_number(b + 136, 12, &mtime) < 0)
		return tar_broken(err);
	if (has_devices && (tar_number(b + 329, 8, &major) < 0 || tar_number(b + 337, 8, &minor) < 0))
		return tar_broken(err);
	if (e->size < 0 || as_id(uid, &e->uid) < 0 || as_id(gid, &e->gid) < 0)
		return tar_broken(err);
	e->type = (char)b[TAR_AT_TYPE];
	e->mode = (uint32_t)mode & 07777;
	e->mtime = (struct timespec){ mtime, 0 };
	e->major = (uint32_t)major;
	e->minor = (uint32_t)minor;
	read_name(in);
	e->name = in->short_name;
	e->link = in->short_link;
	return 0;
}

/* ---- entries ---- */

/* The content of a header that speaks about the next one, with a NUL behind it. */
static int take_text(struct tar_input *in, struct tar_text *to, struct error *err)
{
	size_t n = (size_t)in->entry.size, padded = (n + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
	ssize_t got;

	if (in->entry.size > TAR_TEXT_MAX)
		return error_set_class(err, ERROR_INVALID, "archive/tar: header field too long");
	if (to->size < padded + 1) {
		to->data = xrealloc(to->data, padded + 1);
		to->size = padded + 1;
	}
	got = tar_take(in, to->data, padded, err);
	if (got < 0)
		return (int)got;
	if ((size_t)got < n)
		return tar_cut_short(err);
	to->data[n] = '\0';
	to->len = n;
	return 0;
}

static int skip_rest(struct tar_input *in, struct error *err)
{
	while (in->stored_left > 0) {
		size_t n = in->stored_left < 1 << 30 ? (size_t)in->stored_left : 1 << 30;
		ssize_t got = tar_take(in, NULL, n, err);

		if (got < 0)
			return (int)got;
		if ((size_t)got < n)
			return tar_cut_short(err);
		in->stored_left -= got;
	}
	if (in->padding) {
		ssize_t got = tar_take(in, NULL, in->padding, err);

		if (got < 0)
			return (int)got;
	}
	in->padding = 0;
	return 0;
}

/* 1: a header is in in->block; 0: the end of the archive. */
static int next_block(struct tar_input *in, struct error *err)
{
	for (int zeros = 0;; zeros++) {
		ssize_t n = tar_take(in, in->block, TAR_BLOCK_BYTES, err);

		if (n <= 0)
			return (int)n;
		if (n < TAR_BLOCK_BYTES)
			return tar_cut_short(err);
		if (!is_zero(in->block))
			return zeros ? tar_broken(err) : 1;
		if (zeros)
			return 0;
	}
}

static bool has_no_content(char type)
{
	return type >= TAR_LINK && type <= TAR_FIFO;
}

/* What the headers before it have said about the entry that in->block is of. */
static int finish_entry(struct tar_input *in, struct error *err)
{
	struct tar_entry *e = &in->entry;
	size_t n;
	int r;

	in->nextents = 0;
	in->extent = 0;
	e->nxattrs = 0;
	r = in->has_pax ? tar_apply_pax(in, err) : 0;
	if (r < 0)
		return r;
	if (in->has_long_name)
		e->name = in->long_name.data;
	if (in->has_long_link)
		e->link = in->long_link.data;
	n = strlen(e->name);
	if (e->type == '\0' || e->type == '7')
		e->type = e->type == '\0' && n > 0 && e->name[n - 1] == '/' ? TAR_DIR : TAR_FILE;
	if (has_no_content(e->type))
		e->size = 0;
	in->stored_left = e->size;
	in->padding = (size_t)(-e->size & (TAR_BLOCK_BYTES - 1));
	r = tar_read_sparse_map(in, err);
	e->stored_bytes = in->stored_left;
	if (r == 0 && in->nextents == 0)
		in->extents[in->nextents++] = (struct tar_extent){ 0, e->size };
	return r;
}

int tar_input_next(struct tar_input *in, const struct tar_entry **ret, struct error *err)
{
	int r = skip_rest(in, err);

	in->has_pax = in->has_long_name = in->has_long_link = false;
	for (int row = 0; r == 0; row++) {
		r = next_block(in, err);
		if (r == 0)
			*ret = NULL;
		if (r <= 0) /* not between an entry and what is said about it */
			return r == 0 && row > 0 ? tar_cut_short(err) : r;
		r = row > IN_A_ROW_MAX ? tar_broken(err) : read_header(in, err);
		if (r < 0)
			return r;
		switch (in->entry.type) {
		case 'x':
			r = take_text(in, &in->pax, err);
			in->has_pax = true;
			break;
		case 'g': r = take_text(in, &in->global, err); break; /* moby ignores it, too */
		case 'L':
			r = take_text(in, &in->long_name, err);
			in->has_long_name = true;
			break;
		case 'K':
			r = take_text(in, &in->long_link, err);
			in->has_long_link = true;
			break;
		default: *ret = &in->entry; return finish_entry(in, err);
		}
	}
	return r;
}

static bool is_zero_page(const unsigned char *p)
{
	return p[0] == 0 && p[PAGE_BYTES - 1] == 0 && memcmp(p, p + 1, PAGE_BYTES - 1) == 0;
}

/* The bytes before the first long row of zeros that begins at a page of the file; *ret_zeros is its length. */
static size_t before_zeros(const unsigned char *data, size_t n, int64_t at, size_t *ret_zeros)
{
	size_t i = (size_t)(-at & (PAGE_BYTES - 1)), end;

	for (*ret_zeros = 0; n >= HOLE_MIN && i + PAGE_BYTES <= n; i = end > i ? end : i + PAGE_BYTES) {
		for (end = i; end + PAGE_BYTES <= n && is_zero_page(data + end);)
			end += PAGE_BYTES;
		if (end - i >= HOLE_MIN) {
			*ret_zeros = end - i;
			return i;
		}
	}
	return n;
}

/* What is at hand of the entry's content. */
static void consume(struct tar_input *in, struct tar_extent *x, size_t n)
{
	in->at += n;
	in->left -= n;
	in->stored_left -= (int64_t)n;
	x->at += (int64_t)n;
	x->len -= (int64_t)n;
}

int tar_input_data(struct tar_input *in, const void **ret, size_t *ret_len, int64_t *ret_at, struct error *err)
{
	*ret_len = 0;
	while (*ret_len == 0) {
		struct tar_extent *x;
		size_t n, zeros;
		int r;

		while (in->extent < in->nextents && in->extents[in->extent].len == 0)
			in->extent++;
		if (in->extent == in->nextents || in->stored_left == 0)
			return 0;
		x = &in->extents[in->extent];
		r = fill(in, err);
		if (r <= 0)
			return r < 0 ? r : tar_cut_short(err);
		n = (int64_t)in->left < x->len ? in->left : (size_t)x->len;
		*ret = in->at;
		*ret_at = x->at;
		*ret_len = before_zeros(in->at, n, x->at, &zeros);
		consume(in, x, *ret_len ? *ret_len : zeros);
	}
	return 0;
}

/* ---- names ---- */

int tar_clean_path(const char *name, char *out, size_t size)
{
	bool is_absolute = name[0] == '/';
	size_t n = 0;

	while (*name) {
		size_t len = strcspn(name, "/");

		if (len == 2 && name[0] == '.' && name[1] == '.') {
			if (n == 0 && !is_absolute)
				return -EXDEV;
			while (n > 0 && out[--n] != '/')
				;
		} else if (len > 0 && !(len == 1 && name[0] == '.')) {
			if (n + len + 2 > size)
				return -ENAMETOOLONG;
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, name, len);
			n += len;
		}
		name += len;
		name += strspn(name, "/");
	}
	out[n] = '\0';
	return 0;
}

int tar_join(const char *base, const char *name, char *out, size_t size)
{
	size_t n = strlen(base), m = strlen(name);

	while (n > 0 && base[n - 1] == '/')
		n--;
	if (n + 1 + m + 1 > size)
		return -ENAMETOOLONG;
	memcpy(out, base, n);
	out[n] = '/';
	memcpy(out + n + 1, name, m + 1);
	return 0;
}

/* ---- the object ---- */

int tar_input_new(tar_read_fn read, void *arg, struct tar_input **ret, struct error *err)
{
	struct tar_input *in = xnew(struct tar_input);
	struct archive_entry *e;
	int r = 0, got;

	in->read = read;
	in->arg = arg;
	in->archive = archive_read_new();
	if (!in->archive) {
		free(in);
		return error_set(err, -ENOMEM, "out of memory");
	}
	tar_extents_reserve(in, 1);
	archive_read_support_format_raw(in->archive);
	archive_read_support_format_empty(in->archive);
	tar_accept_compressions(in->archive);
	if (archive_read_open(in->archive, in, NULL, on_read, NULL) != ARCHIVE_OK)
		r = source_failed(in, err);
	if (r == 0) {
		got = archive_read_next_header(in->archive, &e);
		in->has_ended = got == ARCHIVE_EOF;
		if (got != ARCHIVE_EOF && got < ARCHIVE_WARN)
			r = source_failed(in, err);
	}
	if (r < 0) {
		tar_input_free(in);
		return r;
	}
	*ret = in;
	return 0;
}

void tar_input_free(struct tar_input *in)
{
	if (!in)
		return;
	archive_read_free(in->archive);
	free(in->pax.data);
	free(in->global.data);
	free(in->long_name.data);
	free(in->long_link.data);
	free(in->extents);
	free(in);
}
