/* A container's log: entries of a time, a stream and bytes as they came, so
 * that binary output survives. "<ns> <stream> <length>\n" and the bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

char *log_path(struct engine *e, const struct container *c)
{
	return xasprintf("%s/containers/%s/output.log", e->options.data_root, c->id);
}

static bool has_log(const struct container *c)
{
	const char *type = json_string_value(json_object_get(json_object_get(c->host_config, "LogConfig"), "Type"));

	return !type || strcmp(type, "none") != 0;
}

int log_open(struct engine *e, const struct container *c)
{
	CLEANUP(freep) char *path = log_path(e, c);

	return has_log(c) ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

void log_append(int fd, int stream, const void *data, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%lld %d %zu\n", (long long)clock_wall_ns(), stream, len);

	if (write(fd, head, (size_t)n) != n || write(fd, data, len) != (ssize_t)len)
		return; /* a full disk: the reader stops at the torn entry */
}

enum { FOLLOW_MS = 20 };

/* ---- reading: lines of both streams, in order ---- */

struct log_reader {
	struct engine *engine;
	struct container *container; /* reference */
	struct logs_options opt;
	struct stream *stream;
	uv_timer_t timer;            /* follows the file: it is the one record of order */
	int fd;
	struct buf raw;              /* bytes of the file that make no whole entry yet */
	struct buf partial[3];       /* lines without their end */
	int64_t partial_ns[3];
	int64_t skip;                /* lines before the tail */
	bool is_closed, is_full;
};

static void write_line(struct log_reader *r, int stream, int64_t ns, const char *data, size_t len)
{
	unsigned char head[8] = { (unsigned char)stream };
	char when[CLOCK_RFC3339_MAX + 1] = "";
	size_t nwhen = 0, total;

	if (r->skip > 0) {
		r->skip--;
		return;
	}
	if ((stream == 1 && !r->opt.stdout_) || (stream == 2 && !r->opt.stderr_) ||
	    (r->opt.since_ns && ns < r->opt.since_ns) || (r->opt.until_ns && ns > r->opt.until_ns))
		return;
	if (r->opt.timestamps) {
		clock_format_rfc3339_fixed(ns, when);
		nwhen = strlen(when);
		when[nwhen++] = ' ';
	}
	total = nwhen + len;
	for (int i = 0; i < 4; i++)
		head[4 + i] = (unsigned char)(total >> (24 - 8 * i));
	if (r->stream->is_mux)
		stream_write(r->stream, head, sizeof(head));
	stream_write(r->stream, when, nwhen);
	stream_write(r->stream, data, len);
}

static void flush_partial(struct log_reader *r, int stream,
			  void (*each)(struct log_reader *, int, int64_t, const char *, size_t))
{
	struct buf *b = &r->partial[stream];

	if (b->len)
		each(r, stream, r->partial_ns[stream], b->data, b->len);
	buf_reset(b);
}

/* Cuts an entry into lines; long ones are cut at 16 KiB as Docker does. */
static void take_entry(struct log_reader *r, int stream, int64_t ns, const char *data, size_t len,
		       void (*each)(struct log_reader *, int, int64_t, const char *, size_t))
{
	struct buf *b = &r->partial[stream];

	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) + 1 : len;

		if (b->len + n > 16384)
			n = 16384 - b->len;
		if (b->len == 0)
			r->partial_ns[stream] = ns;
		buf_append(b, data, n);
		data += n;
		len -= n;
		if (b->len >= 16384 || b->data[b->len - 1] == '\n')
			flush_partial(r, stream, each);
	}
}

static bool take_one(struct log_reader *r, void (*each)(struct log_reader *, int, int64_t, const char *, size_t))
{
	long long ns;
	size_t len;
	int stream, head = 0;
	const char *newline = r->raw.len ? memchr(r->raw.data, '\n', r->raw.len < 64 ? r->raw.len : 64) : NULL;

	if (!newline || sscanf(r->raw.data, "%lld %d %zu%n", &ns, &stream, &len, &head) != 3 || stream < 1 || stream > 2)
		return false;
	head = (int)(newline - r->raw.data) + 1;
	if (r->raw.len < (size_t)head + len)
		return false;
	take_entry(r, stream, ns, r->raw.data + head, len, each);
	buf_consume(&r->raw, (size_t)head + len);
	return true;
}

static bool read_more(struct log_reader *r)
{
	ssize_t n;

	if (r->fd < 0 || buf_reserve(&r->raw, 131072) < 0)
		return false;
	n = read(r->fd, r->raw.data + r->raw.len, 131072);
	if (n <= 0)
		return false;
	r->raw.len += (size_t)n;
	return true;
}

static void count_line(struct log_reader *r, int stream, int64_t ns, const char *data, size_t len)
{
	(void)stream, (void)ns, (void)data, (void)len;
	r->skip++;
}

static void reset(struct log_reader *r)
{
	buf_reset(&r->raw);
	buf_reset(&r->partial[1]);
	buf_reset(&r->partial[2]);
	lseek(r->fd, 0, SEEK_SET);
}

/* --tail: how many lines there are, less how many are wanted. */
static void find_tail(struct log_reader *r)
{
	if (r->opt.tail < 0 || r->fd < 0)
		return;
	do {
		while (take_one(r, count_line))
			;
	} while (read_more(r));
	flush_partial(r, 1, count_line);
	flush_partial(r, 2, count_line);
	r->skip = r->skip > r->opt.tail ? r->skip - r->opt.tail : 0;
	reset(r);
}

static void on_reader_closed(uv_handle_t *h)
{
	struct log_reader *r = h->data;

	buf_done(&r->raw);
	buf_done(&r->partial[1]);
	buf_done(&r->partial[2]);
	if (r->fd >= 0)
		close(r->fd);
	container_unref(r->container);
	free(r);
}

static bool is_live(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;
}

static void on_timer(uv_timer_t *t);

static void pump(struct log_reader *r)
{
	bool was_live = is_live(r->container);

	if (r->is_closed)
		return;
	for (;;) {
		while (!stream_is_full(r->stream) && take_one(r, write_line))
			;
		if (stream_is_full(r->stream)) {
			r->is_full = true;
			return;
		}
		if (!read_more(r))
			break;
	}
	if (r->opt.follow && was_live) {
		uv_timer_start(&r->timer, on_timer, FOLLOW_MS, 0);
		return;
	}
	flush_partial(r, 1, write_line);
	flush_partial(r, 2, write_line);
	stream_end(r->stream);
}

static void on_timer(uv_timer_t *t)
{
	pump(t->data);
}

static void on_log_drain(void *arg)
{
	struct log_reader *r = arg;

	if (r->is_full) {
		r->is_full = false;
		uv_timer_start(&r->timer, on_timer, 0, 0);
	}
}

static void on_log_close(void *arg)
{
	struct log_reader *r = arg;

	r->is_closed = true;
	uv_close((uv_handle_t *)&r->timer, on_reader_closed);
}

static const struct stream_events events = { .on_drain = on_log_drain, .on_close = on_log_close };

int engine_container_logs_check(struct engine *e, struct container *c, const struct logs_options *opt, struct error *err)
{
	(void)e;
	if (!opt->stdout_ && !opt->stderr_)
		return error_set_class(err, ERROR_INVALID, "Bad parameters: you must choose at least one stream");
	if (!has_log(c))
		return error_set_class(err, ERROR_UNIMPLEMENTED, "configured logging driver does not support reading");
	return 0;
}

void engine_container_logs(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s)
{
	CLEANUP(freep) char *path = log_path(e, c);
	struct log_reader *r = xnew(struct log_reader);

	r->engine = e;
	r->container = container_ref(c);
	r->opt = *opt;
	r->stream = s;
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	buf_init(&r->raw, 64 << 20);
	buf_init(&r->partial[1], 32768);
	buf_init(&r->partial[2], 32768);
	uv_timer_init(e->loop, &r->timer);
	r->timer.data = r;
	stream_set_events(s, &events, r);
	find_tail(r);
	uv_timer_start(&r->timer, on_timer, 0, 0);
}
