/* What a tar says beyond its headers' fields: PAX records, and where the bytes of a sparse file belong (GNU's old
 * format, and 0.0, 0.1 and 1.0 in PAX records). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rootfs/tar_internal.h"
#include "util/alloc.h"

enum { OLD_MAP_AT = 386, OLD_MAP_IN_HEADER = 4, OLD_MAP_IN_BLOCK = 21, OLD_EXTENDED_AT = 482, OLD_SIZE_AT = 483 };

/* ---- extents ---- */

void tar_extents_reserve(struct tar_input *in, size_t n)
{
	if (n <= in->extents_size)
		return;
	in->extents_size = n > 2 * in->extents_size ? n : 2 * in->extents_size;
	in->extents = xrealloc(in->extents, in->extents_size * sizeof(*in->extents));
}

/* As many as a map of a mebibyte can tell. */
static int add_extent(struct tar_input *in, int64_t at, int64_t len)
{
	if (in->nextents >= TAR_TEXT_MAX / 4)
		return -EINVAL;
	tar_extents_reserve(in, in->nextents + 1);
	in->extents[in->nextents++] = (struct tar_extent){ at, len };
	return 0;
}

/* In order, within the file, and of just the bytes that are stored. */
static bool is_sound(const struct tar_input *in)
{
	int64_t end = 0, sum = 0;

	for (size_t i = 0; i < in->nextents; i++) {
		const struct tar_extent *x = &in->extents[i];

		if (x->at < end || x->len < 0 || x->len > in->entry.size - x->at)
			return false;
		end = x->at + x->len;
		sum += x->len;
	}
	return sum == in->stored_left;
}

/* ---- PAX records ---- */

static int decimal(const char *text, int64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoll(text, &end, 10);
	return errno || end == text || *end || text[0] == ' ' || text[0] == '+' ? -EINVAL : 0;
}

/* Seconds, with a fraction of any length. */
static int pax_time(const char *text, struct timespec *ret)
{
	bool is_negative = text[0] == '-';
	char *end;
	long ns = 0, unit = 100000000;

	errno = 0;
	ret->tv_sec = strtoll(text, &end, 10);
	if (errno || (end == text && *end != '.'))
		return -EINVAL;
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			ns += (*end - '0') * unit;
	if (*end)
		return -EINVAL;
	if (is_negative && ns) {
		ret->tv_sec--;
		ns = 1000000000 - ns;
	}
	ret->tv_nsec = ns;
	return 0;
}

struct sparse_words {
	int64_t major, minor, size;
	const char *name, *map;
	int64_t offset; /* the former record, of 0.0 */
	bool has_offset;
};

static int id_record(const char *value, uint32_t *ret)
{
	int64_t v;

	if (decimal(value, &v) < 0 || v < 0 || v >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)v;
	return 0;
}

static int sparse_record(struct tar_input *in, struct sparse_words *s, const char *key, char *value)
{
	int64_t v;

	if (strcmp(key, "name") == 0) {
		s->name = value;
		return 0;
	}
	if (strcmp(key, "map") == 0) {
		s->map = value;
		return 0;
	}
	if (decimal(value, &v) < 0)
		return -EINVAL;
	if (strcmp(key, "major") == 0)
		s->major = v;
	else if (strcmp(key, "minor") == 0)
		s->minor = v;
	else if (strcmp(key, "size") == 0 || strcmp(key, "realsize") == 0)
		s->size = v;
	else if (strcmp(key, "offset") == 0) {
		s->offset = v;
		s->has_offset = true;
	} else if (strcmp(key, "numbytes") == 0) {
		if (!s->has_offset)
			return -EINVAL;
		s->has_offset = false;
		return add_extent(in, s->offset, v);
	}
	return 0;
}

/* An empty value takes back what was said before. */
static int record(struct tar_input *in, struct sparse_words *s, const char *key, char *value)
{
	struct tar_entry *e = &in->entry;

	if (strncmp(key, "GNU.sparse.", 11) == 0)
		return sparse_record(in, s, key + 11, value);
	if (!*value)
		return 0;
	if (strcmp(key, "path") == 0)
		e->name = value;
	else if (strcmp(key, "linkpath") == 0)
		e->link = value;
	else if (strcmp(key, "size") == 0)
		return decimal(value, &e->size) < 0 || e->size < 0 ? -EINVAL : 0;
	else if (strcmp(key, "uid") == 0)
		return id_record(value, &e->uid);
	else if (strcmp(key, "gid") == 0)
		return id_record(value, &e->gid);
	else if (strcmp(key, "mtime") == 0)
		return pax_time(value, &e->mtime);
	return 0;
}

/* "LENGTH KEY=VALUE\n"; the length counts all of it. */
static int next_record(char **at, size_t *left, char **key, char **value)
{
	char *p = *at, *end, *equals;
	unsigned long n = 0;

	for (; *p >= '0' && *p <= '9' && n < TAR_TEXT_MAX; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	if (*p != ' ' || n > *left || n < (size_t)(p - *at) + 3)
		return -EINVAL;
	end = *at + n - 1;
	p++;
	equals = memchr(p, '=', (size_t)(end - p));
	if (*end != '\n' || !equals || equals == p)
		return -EINVAL;
	*end = *equals = '\0';
	*key = p;
	*value = equals + 1;
	/* A NUL within: in a name it would say something else than it shows. */
	if (strlen(*key) != (size_t)(equals - p))
		return -EINVAL;
	if (strlen(*value) != (size_t)(end - *value)) {
		if (strcmp(*key, "path") == 0 || strcmp(*key, "linkpath") == 0)
			return -EINVAL;
	}
	*at += n;
	*left -= n;
	return 0;
}

/* "offset,length,offset,length": 0.1. */
static int read_map_record(struct tar_input *in, const char *p)
{
	in->nextents = 0;
	while (*p) {
		int64_t v[2];

		for (int i = 0; i < 2; i++) {
			char *end;

			errno = 0;
			v[i] = strtoll(p, &end, 10);
			if (errno || end == p || (*end != ',' && *end != '\0') || (i == 0 && *end == '\0'))
				return -EINVAL;
			p = *end ? end + 1 : end;
		}
		if (add_extent(in, v[0], v[1]) < 0)
			return -EINVAL;
	}
	return 0;
}

/* As it came: next_record has put NULs where it ends, and where its key does. */
static void keep_xattr(struct tar_input *in, const char *from, size_t len, const char *value)
{
	struct tar_entry *e = &in->entry;
	char *to = in->xattrs + e->nxattrs;

	if (len > sizeof(in->xattrs) - e->nxattrs)
		return;
	memcpy(to, from, len);
	to[value - from - 1] = '=';
	to[len - 1] = '\n';
	e->xattrs = in->xattrs;
	e->nxattrs += len;
}

int tar_apply_pax(struct tar_input *in, struct error *err)
{
	struct sparse_words s = { .size = -1, .major = -1, .minor = -1 };
	char *at = in->pax.data, *key, *value;
	size_t left = in->pax.len;

	in->nextents = 0;
	in->sparse_size = -1;
	in->has_map_ahead = false;
	while (left > 0) {
		const char *from = at;

		if (next_record(&at, &left, &key, &value) < 0 || record(in, &s, key, value) < 0)
			return tar_broken(err);
		if (strncmp(key, "SCHILY.xattr.", 13) == 0)
			keep_xattr(in, from, (size_t)(at - from), value);
	}
	if (s.name && *s.name)
		in->entry.name = s.name;
	if (s.major == 1 && s.minor == 0)
		in->has_map_ahead = true;
	else if (s.map && read_map_record(in, s.map) < 0)
		return tar_broken(err);
	if (in->has_map_ahead || in->nextents || s.map)
		in->sparse_size = s.size < 0 ? in->entry.size : s.size;
	return 0;
}

/* ---- maps in blocks ---- */

static int old_entries(struct tar_input *in, const unsigned char *at, int n)
{
	for (int i = 0; i < n && at[0]; i++, at += 24) {
		int64_t offset, length;

		if (tar_number(at, 12, &offset) < 0 || tar_number(at + 12, 12, &length) < 0 ||
		    add_extent(in, offset, length) < 0)
			return -EINVAL;
	}
	return 0;
}

static int read_old_map(struct tar_input *in, struct error *err)
{
	unsigned char block[TAR_BLOCK_BYTES];
	bool goes_on = in->block[OLD_EXTENDED_AT];
	int r = old_entries(in, in->block + OLD_MAP_AT, OLD_MAP_IN_HEADER);

	if (r < 0 || tar_number(in->block + OLD_SIZE_AT, 12, &in->sparse_size) < 0)
		return tar_broken(err);
	while (goes_on) {
		ssize_t n = tar_take(in, block, sizeof(block), err);

		if (n < 0)
			return (int)n;
		if (n < (ssize_t)sizeof(block))
			return tar_cut_short(err);
		if (old_entries(in, block, OLD_MAP_IN_BLOCK) < 0)
			return tar_broken(err);
		goes_on = block[504];
	}
	in->entry.type = TAR_FILE;
	return 0;
}

/* 1.0: lines of one number each, in the first blocks of the content. */
struct lines {
	struct tar_input *in;
	char block[TAR_BLOCK_BYTES];
	size_t at;
	int64_t taken;
};

static int next_line(struct lines *l, int64_t *ret, struct error *err)
{
	int64_t v = 0;

	for (int digits = 0;; digits++) {
		char c;

		if (l->at == sizeof(l->block)) {
			ssize_t n = l->in->stored_left < TAR_BLOCK_BYTES || l->taken > TAR_TEXT_MAX ?
					    0 :
					    tar_take(l->in, l->block, sizeof(l->block), err);

			if (n < 0)
				return (int)n;
			if (n < (ssize_t)sizeof(l->block))
				return l->in->stored_left < TAR_BLOCK_BYTES || l->taken > TAR_TEXT_MAX ? tar_broken(err) :
													 tar_cut_short(err);
			l->at = 0;
			l->taken += n;
			l->in->stored_left -= n;
		}
		c = l->block[l->at++];
		if (c == '\n' && digits > 0)
			break;
		if (c < '0' || c > '9' || digits > 17)
			return tar_broken(err);
		v = v * 10 + (c - '0');
	}
	*ret = v;
	return 0;
}

static int read_map_ahead(struct tar_input *in, struct error *err)
{
	struct lines l = { .in = in, .at = TAR_BLOCK_BYTES };
	int64_t count, offset, length;
	int r = next_line(&l, &count, err);

	for (; r == 0 && count > 0; count--) {
		r = next_line(&l, &offset, err);
		if (r == 0)
			r = next_line(&l, &length, err);
		if (r == 0 && add_extent(in, offset, length) < 0)
			r = tar_broken(err);
	}
	return r;
}

int tar_read_sparse_map(struct tar_input *in, struct error *err)
{
	bool is_sparse = true;
	int r = 0;

	if (in->entry.type == 'S')
		r = read_old_map(in, err);
	else if (in->has_pax && in->sparse_size >= 0 && in->entry.type == TAR_FILE)
		r = in->has_map_ahead ? read_map_ahead(in, err) : 0;
	else
		is_sparse = false;
	if (r < 0)
		return r;
	if (!is_sparse) {
		in->nextents = 0;
		return 0;
	}
	in->entry.size = in->sparse_size;
	if (in->sparse_size < 0 || !is_sound(in))
		return tar_broken(err);
	if (in->nextents == 0) /* a hole from end to end */
		in->extents[in->nextents++] = (struct tar_extent){ 0, 0 };
	return 0;
}
