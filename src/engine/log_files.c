#include "engine/log_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "engine/log.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum {
	CHUNK = 65536,
	GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip's format */
	SCANS_MAX = 100,
	EXTRA_AT = 12,         /* of gzip's header: the first extra field, where there is one */
};

/* Which file the compressed one has been: a reader that is still in that one finds its place by it. An extra field of
 * gzip's header (RFC 1952, 2.3.1.1) with the identifier "Sl". */
struct origin {
	char id[2];
	uint8_t len[2]; /* little endian */
	uint64_t dev, ino;
} __attribute__((packed));

static char *file_name(const char *path, unsigned n, bool is_gz)
{
	return n ? xasprintf("%s.%u%s", path, n, is_gz ? ".gz" : "") : xstrdup(path);
}

/* ---- rotation ---- */

static void drop(const char *path, unsigned n)
{
	CLEANUP(freep) char *plain = file_name(path, n, false), *gz = file_name(path, n, true);

	unlink(plain);
	if (n > 0)
		unlink(gz);
}

/* After a crash both may be there, and are the same: then the plain one counts. */
static void move(const char *path, unsigned n)
{
	CLEANUP(freep) char *plain = file_name(path, n, false), *gz = file_name(path, n, true);
	CLEANUP(freep) char *to = file_name(path, n + 1, false), *to_gz = file_name(path, n + 1, true);

	if (rename(plain, to) == 0 && n > 0)
		unlink(gz);
	else if (n > 0)
		rename(gz, to_gz);
}

void log_files_rotate(const char *path, unsigned max_files)
{
	drop(path, max_files - 1);
	for (unsigned n = max_files - 1; n > 0; n--)
		move(path, n - 1);
}

/* ---- compression ---- */

static bool write_all(int fd, const unsigned char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool deflate_file(int from, int to, const struct stat *st)
{
	static const char id[2] = { 'S', 'l' };
	struct origin origin = { .len = { sizeof(origin) - 4 }, .dev = st->st_dev, .ino = st->st_ino };
	gz_header head = { .os = 3, .extra = (Bytef *)&origin, .extra_len = sizeof(origin) };
	unsigned char *in = xmalloc(2 * CHUNK), *out = in + CHUNK;
	z_stream z = { 0 };
	bool is_well;
	int r = Z_OK;

	memcpy(origin.id, id, sizeof(id));
	is_well = deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK &&
		  deflateSetHeader(&z, &head) == Z_OK;
	while (is_well && r != Z_STREAM_END) {
		ssize_t n = z.avail_in ? 0 : read(from, in, CHUNK);

		if (n < 0) {
			is_well = false;
			break;
		}
		if (n > 0) {
			z.next_in = in;
			z.avail_in = (unsigned)n;
		}
		z.next_out = out;
		z.avail_out = CHUNK;
		r = deflate(&z, z.avail_in ? Z_NO_FLUSH : Z_FINISH);
		is_well = r != Z_STREAM_ERROR && write_all(to, out, CHUNK - z.avail_out);
	}
	deflateEnd(&z);
	free(in);
	return is_well;
}

void log_files_compress(const char *path)
{
	CLEANUP(freep) char *plain = file_name(path, 1, false), *gz = file_name(path, 1, true);
	CLEANUP(freep) char *half = xasprintf("%s.half", gz);
	int from = open(plain, O_RDONLY | O_CLOEXEC);
	int to = from < 0 ? -1 : open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat st;

	/* Whole on the disk before the other goes: a torn one could not be read at all. */
	if (to >= 0 && fstat(from, &st) == 0 && deflate_file(from, to, &st) && fdatasync(to) == 0 && rename(half, gz) == 0)
		unlink(plain);
	else if (to >= 0)
		unlink(half);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
}

/* ---- which files there are ---- */

struct found {
	unsigned n;
	bool is_gz;
	dev_t dev;
	ino_t ino;
	uint64_t origin_dev, origin_ino; /* of a compressed one: the plain one that it was; 0: not known */
};

struct scan {
	struct found *v; /* the newest first */
	size_t n;
};

static void read_origin(const char *name, struct found *f)
{
	unsigned char head[EXTRA_AT + sizeof(struct origin)];
	struct origin o;
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	bool is_ours = fd >= 0 && read(fd, head, sizeof(head)) == sizeof(head) && (head[3] & 4 /* FEXTRA */);

	if (fd >= 0)
		close(fd);
	memcpy(&o, head + EXTRA_AT, sizeof(o));
	if (!is_ours || o.id[0] != 'S' || o.id[1] != 'l')
		return;
	f->origin_dev = o.dev;
	f->origin_ino = o.ino;
}

static bool look(const char *path, unsigned n, struct found *ret)
{
	struct stat st;

	for (int is_gz = 0; is_gz <= (n > 0); is_gz++) {
		CLEANUP(freep) char *name = file_name(path, n, is_gz);

		if (stat(name, &st) < 0)
			continue;
		*ret = (struct found){ .n = n, .is_gz = is_gz, .dev = st.st_dev, .ino = st.st_ino };
		if (is_gz)
			read_origin(name, ret);
		return true;
	}
	return false;
}

/* One number may be missing while files are rotated, and 0 always, between two files. */
static struct scan scan_once(const char *path)
{
	struct scan s = { 0 };
	unsigned missing = 0;

	for (unsigned n = 0; n <= LOG_FILES_MAX && missing < 2; n++) {
		struct found f;

		if (!look(path, n, &f)) {
			missing += n > 0;
			continue;
		}
		s.v = xrealloc(s.v, (s.n + 1) * sizeof(*s.v));
		s.v[s.n++] = f;
	}
	return s;
}

static bool are_equal(const struct scan *a, const struct scan *b)
{
	bool are = a->n == b->n;

	for (size_t i = 0; are && i < a->n; i++)
		are = a->v[i].n == b->v[i].n && a->v[i].is_gz == b->v[i].is_gz && a->v[i].dev == b->v[i].dev &&
		      a->v[i].ino == b->v[i].ino;
	return are;
}

/* The writer may be moving them: what two looks agree in is how it was. */
static struct scan scan(const char *path)
{
	struct scan before = scan_once(path);

	for (int i = 0; i < SCANS_MAX; i++) {
		struct scan now = scan_once(path);
		bool are = are_equal(&before, &now);

		free(before.v);
		before = now;
		if (are)
			break;
	}
	return before;
}

/* The one that is this file, or was: then the newest, since numbers of files that are gone are used again. */
static size_t place_of(const struct scan *s, const struct stat *mine)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].ino == mine->st_ino && s->v[i].dev == mine->st_dev)
			return i;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].is_gz && s->v[i].origin_ino == mine->st_ino && s->v[i].origin_dev == mine->st_dev)
			return i;
	return s->n; /* older than all: it has been dropped */
}

/* ---- reading ---- */

struct inflater {
	z_stream z;
	bool is_at_end;
	unsigned char in[CHUNK];
};

static size_t inflate_some(struct log_source *s, char *buf, size_t size)
{
	struct inflater *g = s->gz;

	g->z.next_out = (Bytef *)buf;
	g->z.avail_out = size > UINT32_MAX ? UINT32_MAX : (unsigned)size;
	while (!g->is_at_end && g->z.next_out == (Bytef *)buf) {
		ssize_t n = g->z.avail_in ? (ssize_t)g->z.avail_in : read(s->fd, g->in, CHUNK);
		int r;

		if (n <= 0) {
			g->is_at_end = true; /* cut: what there was has been told */
			break;
		}
		if (!g->z.avail_in) {
			g->z.next_in = g->in;
			g->z.avail_in = (unsigned)n;
		}
		r = inflate(&g->z, Z_NO_FLUSH);
		g->is_at_end = r != Z_OK && r != Z_BUF_ERROR;
	}
	return (size_t)((char *)g->z.next_out - buf);
}

size_t log_source_read(struct log_source *s, char *buf, size_t size)
{
	ssize_t n;

	if (s->fd < 0)
		return 0;
	if (s->gz)
		return inflate_some(s, buf, size);
	n = read(s->fd, buf, size);
	return n > 0 ? (size_t)n : 0;
}

static bool open_found(const char *path, const struct found *f, struct log_source *ret)
{
	CLEANUP(freep) char *name = file_name(path, f->n, f->is_gz);
	struct log_source s = { .fd = open(name, O_RDONLY | O_CLOEXEC) };
	struct stat st;

	if (s.fd < 0 || fstat(s.fd, &st) < 0 || st.st_ino != f->ino || st.st_dev != f->dev) {
		if (s.fd >= 0)
			close(s.fd);
		return false; /* it has moved since */
	}
	if (f->is_gz) {
		s.gz = xnew(struct inflater);
		if (inflateInit2(&s.gz->z, GZIP_WINDOW) != Z_OK)
			s.gz->is_at_end = true;
	}
	*ret = s;
	return true;
}

static bool is_newest(const struct stat *mine, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_ino == mine->st_ino && st.st_dev == mine->st_dev;
}

bool log_source_next(const struct log_source *s, const char *path, struct log_source *ret)
{
	bool is_open = false, is_there = true;
	struct stat mine;

	if (s->fd >= 0 && (fstat(s->fd, &mine) < 0 || is_newest(&mine, path)))
		return false;
	for (int i = 0; i < SCANS_MAX && !is_open && is_there; i++) {
		struct scan files = scan(path);
		size_t at = s->fd >= 0 ? place_of(&files, &mine) : files.n;

		is_there = at > 0;
		is_open = is_there && open_found(path, &files.v[at - 1], ret);
		free(files.v);
	}
	return is_open;
}

void log_source_done(struct log_source *s)
{
	if (s->gz)
		inflateEnd(&s->gz->z);
	free(s->gz);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct log_source)LOG_SOURCE_NONE;
}
