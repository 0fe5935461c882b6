#include "engine/log_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>
#include <zlib.h>

#include "engine/log.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum {
	CHUNK = 65536,
	GZIP_WINDOW = 15 + 16, /* zlib's way to ask for gzip's format */
};

/* An old one. Its number changes with each rotation, its place in the order never does. */
struct old_file {
	uint64_t seq;
	unsigned n;              /* 0: it is just being rotated */
	bool is_gz, is_held; /* held: beyond what the log may keep, and no number counts */
	uint64_t held_bytes;
};

struct log_files {
	unsigned refs;        /* the loop's */
	uv_mutex_t moving;    /* the pool's: while files are renamed, deleted or opened */
	char *dir;
	bool is_known, is_aside, is_gone;
	struct old_file *old; /* the oldest first: those that are held, then .n down to .1 */
	size_t nold, nheld;
	uint64_t held_bytes;
	uint64_t newest;      /* what output.log is, or will be when it is made */

	uv_mutex_t entering;  /* anybody's, for moments only: what follows */
	struct list places;
	uint64_t first;       /* the oldest that is not held; 0: not known yet */
};

/* ---- on the loop ---- */

struct log_files *log_files_new(const char *dir)
{
	struct log_files *f = xnew(struct log_files);

	f->refs = 1;
	f->dir = xstrdup(dir);
	f->newest = 1;
	list_init(&f->places);
	uv_mutex_init(&f->moving);
	uv_mutex_init(&f->entering);
	return f;
}

struct log_files *log_files_ref(struct log_files *f)
{
	f->refs++;
	return f;
}

void log_files_unref(struct log_files *f)
{
	if (!f || --f->refs > 0)
		return;
	uv_mutex_destroy(&f->moving);
	uv_mutex_destroy(&f->entering);
	free(f->old);
	free(f->dir);
	free(f);
}

void log_place_enter(struct log_place *p, struct log_files *f, bool will_rewind)
{
	*p = (struct log_place){ .files = f, .will_rewind = will_rewind, .here.fd = -1, .next.fd = -1 };
	uv_mutex_lock(&f->entering);
	p->passed = f->first ? f->first - 1 : 0;
	p->at = p->passed;
	list_append(&f->places, &p->link);
	uv_mutex_unlock(&f->entering);
}

/* ---- which files there are ---- */

static char *newest_name(const char *dir)
{
	return xasprintf("%s/" LOG_FILE, dir);
}

static char *old_name(const char *dir, const struct old_file *o)
{
	const char *gz = o->is_gz ? ".gz" : "";

	if (o->is_held)
		return xasprintf("%s/held.%llu%s", dir, (unsigned long long)o->seq, gz);
	if (o->n == 0)
		return newest_name(dir);
	return xasprintf("%s/" LOG_FILE ".%u%s", dir, o->n, gz);
}

static bool has_end(const char *name, const char *end)
{
	size_t n = strlen(name), nend = strlen(end);

	return n >= nend && strcmp(name + n - nend, end) == 0;
}

/* What a daemon that was killed has left: held for readers that went with it, or compressed by half. */
static bool is_left_over(const char *name)
{
	return strncmp(name, "held.", 5) == 0 ||
	       (strncmp(name, LOG_FILE ".", sizeof(LOG_FILE)) == 0 && has_end(name, ".half"));
}

static bool parse_name(const char *name, struct old_file *ret)
{
	struct old_file o = { .is_gz = has_end(name, ".gz") };
	char same[64];

	if (sscanf(name, LOG_FILE ".%u", &o.n) != 1 || o.n == 0)
		return false;
	snprintf(same, sizeof(same), LOG_FILE ".%u%s", o.n, o.is_gz ? ".gz" : "");
	*ret = o;
	return strcmp(same, name) == 0;
}

static int oldest_first(const void *a, const void *b)
{
	const struct old_file *x = a, *y = b;

	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return x->is_gz - y->is_gz;
}

static void list_directory(struct log_files *f)
{
	DIR *d = opendir(f->dir);
	struct dirent *e;
	size_t room = 0;

	while (d && (e = readdir(d))) {
		struct old_file o;

		if (is_left_over(e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
		if (!parse_name(e->d_name, &o))
			continue;
		if (f->nold == room) {
			room = room ? 2 * room : 16;
			f->old = xrealloc(f->old, room * sizeof(*f->old));
		}
		f->old[f->nold++] = o;
	}
	if (d)
		closedir(d);
}

static void tell_first(struct log_files *f)
{
	uv_mutex_lock(&f->entering);
	f->first = f->nheld < f->nold ? f->old[f->nheld].seq : f->newest;
	uv_mutex_unlock(&f->entering);
}

/* After a crash one may be there both plain and compressed, and the same: then the plain one counts. */
static void look(struct log_files *f)
{
	size_t n = 0;

	if (f->is_known)
		return;
	f->is_known = true;
	list_directory(f);
	if (f->nold)
		qsort(f->old, f->nold, sizeof(*f->old), oldest_first);
	for (size_t i = 0; i < f->nold; i++) {
		struct old_file o = f->old[i];

		if (n > 0 && f->old[n - 1].n == o.n) {
			CLEANUP(freep) char *name = old_name(f->dir, &o);

			unlink(name);
			continue;
		}
		o.seq = n + 1;
		f->old[n++] = o;
	}
	f->nold = n;
	f->newest = n + 1;
	tell_first(f);
}

/* The first old one after this. */
static size_t index_after(const struct log_files *f, uint64_t seq)
{
	size_t low = 0, high = f->nold;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (f->old[middle].seq > seq)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ---- deleting, and holding instead ---- */

/* Up to which one all places have passed; UINT64_MAX: there is no place. */
static uint64_t passed_by_all(struct log_files *f)
{
	uint64_t passed = UINT64_MAX;

	uv_mutex_lock(&f->entering);
	list_for_each(it, &f->places) {
		const struct log_place *p = container_of(it, struct log_place, link);

		passed = p->passed < passed ? p->passed : passed;
	}
	uv_mutex_unlock(&f->entering);
	return passed;
}

static void forget(struct log_files *f, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		f->nheld -= f->old[i].is_held;
		f->held_bytes -= f->old[i].held_bytes;
	}
	if (n > 0)
		memmove(f->old + first, f->old + first + n, (f->nold - first - n) * sizeof(*f->old));
	f->nold -= n;
}

static void drop(struct log_files *f, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++) {
		CLEANUP(freep) char *name = old_name(f->dir, &f->old[i]);

		unlink(name);
	}
	forget(f, first, n);
}

/* What is held for nobody. */
static void release(struct log_files *f)
{
	uint64_t passed;
	size_t n = 0;

	if (f->nheld == 0)
		return;
	passed = passed_by_all(f);
	while (n < f->nheld && f->old[n].seq <= passed)
		n++;
	drop(f, 0, n);
}

/* False: it is gone. Only the oldest that is not held yet. */
static bool hold(struct log_files *f, size_t i)
{
	struct old_file held = f->old[i];
	CLEANUP(freep) char *from = old_name(f->dir, &held), *to = NULL;
	struct stat st;

	held.is_held = true;
	to = old_name(f->dir, &held);
	if (held.seq <= passed_by_all(f) || rename(from, to) < 0 || stat(to, &st) < 0) {
		drop(f, i, 1);
		return false;
	}
	held.held_bytes = (uint64_t)st.st_size;
	f->held_bytes += held.held_bytes;
	f->nheld++;
	f->old[i] = held;
	return true;
}

static void limit_held(struct log_files *f, const struct log_limits *limits)
{
	uint64_t most = limits->max_bytes * limits->max_files, bytes = f->held_bytes;
	size_t n = 0;

	if (most < HELD_BYTES_MIN)
		most = HELD_BYTES_MIN;
	while (n < f->nheld && (bytes > most || f->nheld - n > HELD_FILES_MAX))
		bytes -= f->old[n++].held_bytes;
	drop(f, 0, n);
}

/* ---- writing ---- */

int log_files_open(struct log_files *f)
{
	CLEANUP(freep) char *name = NULL;
	int fd;

	uv_mutex_lock(&f->moving);
	name = newest_name(f->dir);
	fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	uv_mutex_unlock(&f->moving);
	return fd;
}

/* False: it is not there any more. */
static bool move_up(struct log_files *f, size_t i)
{
	struct old_file *o = &f->old[i];
	CLEANUP(freep) char *from = old_name(f->dir, o), *to = NULL;

	o->n++;
	to = old_name(f->dir, o);
	if (rename(from, to) == 0)
		return true;
	forget(f, i, 1);
	return false;
}

void log_files_rotate(struct log_files *f, const struct log_limits *limits)
{
	uv_mutex_lock(&f->moving);
	look(f);
	f->old = xrealloc(f->old, (f->nold + 1) * sizeof(*f->old));
	f->old[f->nold++] = (struct old_file){ .seq = f->newest++ };
	for (size_t i = f->nheld; i < f->nold;) {
		bool is_there = f->old[i].n + 1 < limits->max_files ? move_up(f, i) : hold(f, i);

		i += is_there;
	}
	release(f);
	limit_held(f, limits);
	tell_first(f);
	uv_mutex_unlock(&f->moving);
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

static bool deflate_file(int from, int to)
{
	unsigned char *in = xmalloc(2 * CHUNK), *out = in + CHUNK;
	z_stream z = { 0 };
	bool is_well;
	int r = Z_OK;

	is_well = deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
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

/* Whole on the disk before the other goes: a torn one could not be read at all. */
static void replace(struct log_files *f, uint64_t seq, const char *half)
{
	size_t i = index_after(f, seq - 1);
	CLEANUP(freep) char *from = NULL, *to = NULL;
	struct old_file gz;

	if (i == f->nold || f->old[i].seq != seq)
		return;
	gz = f->old[i];
	gz.is_gz = true;
	from = old_name(f->dir, &f->old[i]);
	to = old_name(f->dir, &gz);
	if (rename(half, to) < 0)
		return;
	unlink(from);
	f->old[i] = gz;
}

/* The newest of the old ones, and a file for what it becomes. */
static bool begin_compression(struct log_files *f, uint64_t *ret_seq, int *ret_from, char **ret_half)
{
	const struct old_file *o;
	char *name;

	look(f);
	o = f->nold > f->nheld ? &f->old[f->nold - 1] : NULL;
	if (!o || o->is_gz || f->is_gone)
		return false;
	name = old_name(f->dir, o);
	*ret_seq = o->seq;
	*ret_from = open(name, O_RDONLY | O_CLOEXEC);
	*ret_half = xasprintf("%s/" LOG_FILE ".%llu.half", f->dir, (unsigned long long)o->seq);
	free(name);
	return *ret_from >= 0;
}

void log_files_compress(struct log_files *f)
{
	CLEANUP(closep) int from = -1, to = -1;
	CLEANUP(freep) char *half = NULL;
	uint64_t seq = 0;

	uv_mutex_lock(&f->moving);
	if (begin_compression(f, &seq, &from, &half))
		to = open(half, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uv_mutex_unlock(&f->moving);
	if (to < 0)
		return;
	if (deflate_file(from, to) && fdatasync(to) == 0) {
		uv_mutex_lock(&f->moving);
		replace(f, seq, half);
		uv_mutex_unlock(&f->moving);
	}
	unlink(half);
}

/* ---- removal ---- */

static void move_aside(struct log_files *f, const char *aside)
{
	CLEANUP(freep) char *newest = newest_name(f->dir), *to_newest = newest_name(aside);

	look(f);
	forget(f, 0, index_after(f, passed_by_all(f)));
	mkdir(aside, 0700);
	for (size_t i = 0; i < f->nold; i++) {
		CLEANUP(freep) char *from = old_name(f->dir, &f->old[i]), *to = old_name(aside, &f->old[i]);

		(void)!rename(from, to);
	}
	(void)!rename(newest, to_newest);
	free(f->dir);
	f->dir = xstrdup(aside);
}

void log_files_set_aside(struct log_files *f, const char *aside)
{
	uv_mutex_lock(&f->moving);
	if (!f->is_aside && !f->is_gone) {
		f->is_aside = passed_by_all(f) < UINT64_MAX;
		f->is_gone = !f->is_aside;
		if (f->is_aside)
			move_aside(f, aside);
	}
	uv_mutex_unlock(&f->moving);
}

static void remove_aside(struct log_files *f)
{
	CLEANUP(freep) char *newest = newest_name(f->dir);

	drop(f, 0, f->nold);
	unlink(newest);
	rmdir(f->dir);
	f->is_gone = true;
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

static void source_done(struct log_source *s)
{
	if (s->gz)
		inflateEnd(&s->gz->z);
	free(s->gz);
	if (s->fd >= 0)
		close(s->fd);
	*s = (struct log_source){ .fd = -1 };
}

static size_t source_read(struct log_source *s, char *buf, size_t size)
{
	ssize_t n;

	if (s->fd < 0)
		return 0;
	if (s->gz)
		return inflate_some(s, buf, size);
	n = read(s->fd, buf, size);
	return n > 0 ? (size_t)n : 0;
}

static bool source_open(struct log_source *s, const char *name, bool is_gz, uint64_t seq)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	*s = (struct log_source){ .fd = fd, .seq = seq };
	if (is_gz) {
		s->gz = xnew(struct inflater);
		if (inflateInit2(&s->gz->z, GZIP_WINDOW) != Z_OK)
			s->gz->is_at_end = true;
	}
	return true;
}

static void pass(struct log_place *p, uint64_t seq)
{
	if (p->will_rewind)
		return;
	uv_mutex_lock(&p->files->entering);
	p->passed = seq;
	uv_mutex_unlock(&p->files->entering);
	release(p->files);
}

/* Those that somebody has deleted are skipped. */
static bool open_next(struct log_place *p)
{
	struct log_files *f = p->files;
	bool is_open = false;

	uv_mutex_lock(&f->moving);
	look(f);
	for (size_t i = index_after(f, p->at); i < f->nold && !is_open; i++) {
		CLEANUP(freep) char *name = old_name(f->dir, &f->old[i]);

		is_open = source_open(&p->next, name, f->old[i].is_gz, f->old[i].seq);
	}
	if (!is_open && p->at < f->newest) {
		CLEANUP(freep) char *name = newest_name(f->dir);

		is_open = source_open(&p->next, name, false, f->newest);
	}
	if (is_open)
		pass(p, p->next.seq);
	uv_mutex_unlock(&f->moving);
	return is_open;
}

size_t log_place_read(struct log_place *p, char *buf, size_t size)
{
	for (;;) {
		bool has_next = p->next.fd >= 0;
		size_t n = source_read(&p->here, buf, size);

		if (n > 0)
			return n;
		/* Opened first, read of the old one once more: the writer may have added to that before it left it. */
		if (!has_next && !open_next(p))
			return 0;
		if (!has_next && p->here.fd >= 0)
			continue;
		source_done(&p->here);
		p->here = p->next;
		p->at = p->here.seq;
		p->next = (struct log_source){ .fd = -1 };
	}
}

void log_place_rewind(struct log_place *p)
{
	source_done(&p->here);
	source_done(&p->next);
	p->will_rewind = false;
	p->at = p->passed;
}

void log_place_leave(struct log_place *p)
{
	struct log_files *f = p->files;

	source_done(&p->here);
	source_done(&p->next);
	uv_mutex_lock(&f->moving);
	uv_mutex_lock(&f->entering);
	list_remove(&p->link);
	uv_mutex_unlock(&f->entering);
	release(f);
	if (f->is_aside && passed_by_all(f) == UINT64_MAX)
		remove_aside(f);
	uv_mutex_unlock(&f->moving);
}
