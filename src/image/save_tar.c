#include "image/save_tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/blobs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/map.h"

enum { BLOCK = 512 };

struct entry {
	char *name;
	char *text, *path;      /* its content; neither: a directory */
	char diff_id[DIGEST_LEN + 1];
	uint64_t bytes;
	int64_t mtime_s;
};

struct save_tar {
	struct entry *entries;
	size_t count, size;
	struct map names;
	/* reading */
	bool is_sorted;
	size_t at;              /* the entry */
	enum { HEADER, CONTENT, PADDING } part;
	uint64_t done;          /* bytes of that part */
	unsigned char header[BLOCK];
	struct blob_reader *reader;
	const char *data;       /* what the reader has given and nobody has taken */
	size_t left;
};

struct save_tar *save_tar_new(void)
{
	struct save_tar *t = xnew(struct save_tar);

	map_init(&t->names);
	return t;
}

void save_tar_free(struct save_tar *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->entries[i].name);
		free(t->entries[i].text);
		free(t->entries[i].path);
	}
	free(t->entries);
	map_done(&t->names);
	blob_reader_close(t->reader);
	free(t);
}

static struct entry *add(struct save_tar *t, const char *name, int64_t mtime_s)
{
	struct entry *e;

	if (map_has(&t->names, name))
		return NULL;
	map_put(&t->names, name, t);
	if (t->count == t->size) {
		t->size = t->size ? 2 * t->size : 16;
		t->entries = xrealloc(t->entries, t->size * sizeof(*t->entries));
	}
	e = &t->entries[t->count++];
	*e = (struct entry){ .name = xstrdup(name), .mtime_s = mtime_s };
	return e;
}

void save_tar_add_dir(struct save_tar *t, const char *name)
{
	add(t, name, 0);
}

void save_tar_add_text(struct save_tar *t, const char *name, char *take_text, size_t len, int64_t mtime_s)
{
	struct entry *e = add(t, name, mtime_s);

	if (!e) {
		free(take_text);
		return;
	}
	e->text = take_text;
	e->bytes = len;
}

void save_tar_add_blob(struct save_tar *t, const char *name, char *take_path, const char *diff_id, uint64_t bytes, int64_t mtime_s)
{
	struct entry *e = add(t, name, mtime_s);

	if (!e) {
		free(take_path);
		return;
	}
	e->path = take_path;
	e->bytes = bytes;
	memcpy(e->diff_id, diff_id, sizeof(e->diff_id));
}

/* ---- headers ---- */

static void put_octal(unsigned char *field, size_t n, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%0*llo", (int)n - 1, (unsigned long long)value);
	memcpy(field, text, n - 1); /* the NUL behind it is there */
}

/* 8 GiB and more do not fit in octal digits: base 256, as GNU tar and Go write it. */
static void put_size(unsigned char *field, uint64_t value)
{
	if (value < 1ull << 33) {
		put_octal(field, 12, value);
		return;
	}
	field[0] = 0x80;
	for (int i = 11; i > 3; i--, value >>= 8)
		field[i] = (unsigned char)value;
}

static void make_header(struct save_tar *t, const struct entry *e)
{
	unsigned char *h = t->header;
	bool is_dir = !e->text && !e->path;
	unsigned sum = 0;

	memset(h, 0, BLOCK);
	memcpy(h, e->name, strlen(e->name)); /* ours are short */
	put_octal(h + 100, 8, is_dir ? 0755 : 0644);
	put_octal(h + 108, 8, 0);
	put_octal(h + 116, 8, 0);
	put_size(h + 124, e->bytes);
	put_octal(h + 136, 12, e->mtime_s > 0 && e->mtime_s < (int64_t)1 << 33 ? (uint64_t)e->mtime_s : 0);
	memset(h + 148, ' ', 8);
	h[156] = is_dir ? '5' : '0';
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

/* ---- reading ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int wrong_size(const struct entry *e, struct error *err)
{
	return error_set(err, -EIO, "layer %s is not what it was: its size differs", e->diff_id);
}

/* At the end of its content: is it what it has to be? */
static int close_blob(struct save_tar *t, const struct entry *e, struct error *err)
{
	char diff_id[DIGEST_LEN + 1];
	const void *data;
	int r = 0;

	if (t->left > 0 || blob_reader_read(t->reader, &data) > 0)
		return wrong_size(e, err);
	r = blob_reader_end(steal_ptr(t->reader), diff_id, err);
	if (r == 0 && strcmp(diff_id, e->diff_id) != 0)
		r = error_set(err, -EIO, "layer %s is not what it was: it has digest %s now", e->diff_id, diff_id);
	return r;
}

static ssize_t read_blob(struct save_tar *t, const struct entry *e, char *out, size_t want, struct error *err)
{
	const void *data;
	ssize_t n;

	if (!t->reader) {
		t->reader = blob_reader_open(e->path, err);
		t->left = 0;
		if (!t->reader)
			return err->code;
	}
	if (t->left == 0) {
		n = blob_reader_read(t->reader, &data);
		if (n < 0)
			return error_set(err, (int)n, "layer %s cannot be read: %s", e->diff_id, strerror((int)-n));
		if (n == 0)
			return wrong_size(e, err);
		t->data = data;
		t->left = (size_t)n;
	}
	if (want > t->left)
		want = t->left;
	memcpy(out, t->data, want);
	t->data += want;
	t->left -= want;
	return (ssize_t)want;
}

static uint64_t part_bytes(const struct save_tar *t, const struct entry *e)
{
	switch (t->part) {
	case HEADER: return BLOCK;
	case CONTENT: return e->bytes;
	case PADDING: return (BLOCK - e->bytes % BLOCK) % BLOCK;
	}
	return 0;
}

/* Up to `want` bytes of the current part. */
static ssize_t read_part(struct save_tar *t, const struct entry *e, char *out, size_t want, struct error *err)
{
	switch (t->part) {
	case HEADER:
		if (t->done == 0)
			make_header(t, e);
		memcpy(out, t->header + t->done, want);
		return (ssize_t)want;
	case CONTENT:
		if (e->path)
			return read_blob(t, e, out, want, err);
		memcpy(out, e->text + t->done, want);
		return (ssize_t)want;
	case PADDING: memset(out, 0, want); return (ssize_t)want;
	}
	return 0;
}

static int next_part(struct save_tar *t, const struct entry *e, struct error *err)
{
	int r = 0;

	if (t->part == CONTENT && e->path && !t->reader && e->bytes == 0) /* never asked for a byte */
		t->reader = blob_reader_open(e->path, err);
	if (t->part == CONTENT && e->path)
		r = t->reader ? close_blob(t, e, err) : err->code;
	t->done = 0;
	if (t->part == PADDING)
		t->part = HEADER, t->at++;
	else
		t->part++;
	return r;
}

/* Behind the last entry: two blocks of zeroes. */
static size_t read_trailer(struct save_tar *t, char *out, size_t size)
{
	size_t n = 2 * BLOCK - (size_t)t->done;

	if (n > size)
		n = size;
	memset(out, 0, n);
	t->done += n;
	return n;
}

ssize_t save_tar_read(struct save_tar *t, char *out, size_t size, struct error *err)
{
	size_t n = 0;

	if (!t->is_sorted)
		qsort(t->entries, t->count, sizeof(*t->entries), by_name);
	t->is_sorted = true;
	while (n < size && t->at < t->count) {
		const struct entry *e = &t->entries[t->at];
		uint64_t left = part_bytes(t, e) - t->done;
		ssize_t got = left == 0 ? 0 : read_part(t, e, out + n, left < size - n ? (size_t)left : size - n, err);

		if (got < 0)
			return got;
		n += (size_t)got;
		t->done += (uint64_t)got;
		if ((uint64_t)got == left && next_part(t, e, err) < 0)
			return err->code;
	}
	return t->at < t->count ? (ssize_t)n : (ssize_t)(n + read_trailer(t, out + n, size - n));
}
