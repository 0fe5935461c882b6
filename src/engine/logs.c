/* docker logs: the log's entries become lines again. Reading, parsing and
 * counting happen on the pool; what comes out is sent as the client takes it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/internal.h"
#include "engine/log.h"
#include "engine/log_files.h"
#include "util/alloc.h"
#include "util/clock.h"

enum {
	FOLLOW_MS = 20,
	YOUNG_MS = 100,
	TRIES_MAX = 100,
	READ_BYTES = 128 << 10,
	OUT_BYTES = 256 << 10,
	LINE_MAX_BYTES = 16384,
	ENTRY_MAX_BYTES = 64 << 20
};

/* The pool's while is_busy, else the loop's. */
struct log_reader {
	uv_work_t work;
	struct engine *engine;
	struct container *container; /* reference */
	int64_t started_ns;          /* of the process whose log is followed */
	int64_t asked_ns;            /* what comes later is followed, whatever the tail */
	struct logs_options opt;
	struct stream *stream;
	uv_timer_t timer;            /* follows the file: it is the one record of order */
	char *details;               /* what --details puts before a line; NULL: nothing */
	struct log_files *files;     /* reference */
	struct log_place place;
	struct buf raw;              /* bytes of the file that make no whole entry yet */
	struct buf partial[3];       /* lines without their end */
	int64_t partial_ns[3];
	struct buf out;              /* ready to be sent */
	int64_t lines, skip;         /* counted; before the tail */
	bool is_mux, is_counting, has_counted;
	bool is_last, is_at_end;     /* nothing more will come; all of it has been read */
	bool is_busy, is_closed, is_full;
	bool was_over;               /* the time was past --until, and all was in the file, when the reading began */
	uint64_t mark;               /* of the log when the reading began */
	unsigned tries;
	void (*ended)(void *arg, struct stream *s); /* instead of the stream's end: attach goes on */
	void *ended_arg;
};

/* ---- on the pool ---- */

static void put_line(struct log_reader *r, int stream, int64_t ns, const char *data, size_t len)
{
	unsigned char head[8] = { (unsigned char)stream };
	char when[CLOCK_RFC3339_MAX + 2] = "";
	size_t nwhen = 0, ndetails = r->details ? strlen(r->details) : 0, total;

	if ((stream == 1 && !r->opt.stdout_) || (stream == 2 && !r->opt.stderr_) ||
	    (r->opt.since_ns && ns < r->opt.since_ns) || (r->opt.until_ns && ns > r->opt.until_ns))
		return;
	if (r->is_counting && r->opt.follow && ns > r->asked_ns)
		return;
	r->lines++;
	if (r->is_counting || r->skip > 0) {
		r->skip -= !r->is_counting;
		return;
	}
	if (r->opt.timestamps) {
		clock_format_rfc3339_fixed(ns, when);
		nwhen = strlen(when);
		when[nwhen++] = ' ';
	}
	total = nwhen + ndetails + len;
	for (int i = 0; i < 4; i++)
		head[4 + i] = (unsigned char)(total >> (24 - 8 * i));
	if (r->is_mux)
		buf_append(&r->out, head, sizeof(head));
	buf_append(&r->out, when, nwhen);
	buf_append(&r->out, r->details, ndetails);
	buf_append(&r->out, data, len);
}

static void flush_partial(struct log_reader *r, int stream)
{
	struct buf *b = &r->partial[stream];

	if (b->len)
		put_line(r, stream, r->partial_ns[stream], b->data, b->len);
	buf_reset(b);
}

/* Cuts an entry into lines; long ones are cut at 16 KiB as Docker does. */
static void take_entry(struct log_reader *r, int stream, int64_t ns, const char *data, size_t len)
{
	struct buf *b = &r->partial[stream];

	while (len > 0) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) + 1 : len;

		if (b->len + n > LINE_MAX_BYTES)
			n = LINE_MAX_BYTES - b->len;
		if (b->len == 0)
			r->partial_ns[stream] = ns;
		buf_append(b, data, n);
		data += n;
		len -= n;
		if (b->len >= LINE_MAX_BYTES || b->data[b->len - 1] == '\n')
			flush_partial(r, stream);
	}
}

static bool take_one(struct log_reader *r)
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
	take_entry(r, stream, ns, r->raw.data + head, len);
	buf_consume(&r->raw, (size_t)head + len);
	return true;
}

static bool read_more(struct log_reader *r)
{
	size_t n;

	if (buf_reserve(&r->raw, READ_BYTES) < 0)
		return false;
	n = log_place_read(&r->place, r->raw.data + r->raw.len, READ_BYTES);
	r->raw.len += n;
	return n > 0;
}

static void read_all(struct log_reader *r)
{
	do {
		while ((r->is_counting || r->out.len < OUT_BYTES) && take_one(r))
			;
		if (!r->is_counting && r->out.len >= OUT_BYTES)
			return;
	} while (read_more(r));
	r->is_at_end = true;
	if (!r->is_last && !r->is_counting)
		return;
	flush_partial(r, 1);
	flush_partial(r, 2);
}

/* --tail: how many lines there are, less how many are wanted. */
static void find_tail(struct log_reader *r)
{
	r->has_counted = true;
	if (r->opt.tail < 0)
		return;
	r->is_counting = true;
	read_all(r);
	r->is_counting = false;
	r->skip = r->lines > r->opt.tail ? r->lines - r->opt.tail : 0;
	buf_reset(&r->raw);
	buf_reset(&r->partial[1]);
	buf_reset(&r->partial[2]);
	log_place_rewind(&r->place);
}

static void work(uv_work_t *w)
{
	struct log_reader *r = container_of(w, struct log_reader, work);

	if (!r->has_counted)
		find_tail(r);
	r->is_at_end = false;
	read_all(r);
}

static void leave(uv_work_t *w)
{
	log_place_leave(&container_of(w, struct log_reader, work)->place);
}

/* ---- on the loop ---- */

static void on_left(uv_work_t *w, int status)
{
	struct log_reader *r = container_of(w, struct log_reader, work);

	(void)status;
	for (int i = 1; i <= 2; i++)
		buf_done(&r->partial[i]);
	buf_done(&r->raw);
	buf_done(&r->out);
	container_unref(r->container);
	free(r->details);
	log_files_unref(r->files);
	free(r);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct log_reader *r = h->data;

	uv_queue_work(h->loop, &r->work, leave, on_left);
}

static void after(uv_work_t *w, int status);

/* A container that has ended, or never ran, adds nothing. */
static uint64_t mark_of(const struct log_reader *r)
{
	const struct crun *run = r->container->run;
	const struct log *log = run ? output_log(run->output) : NULL;

	return log ? log_mark(log) : 0;
}

/* What comes from now on is later than --until. */
static bool is_over(const struct log_reader *r)
{
	return r->opt.until_ns && clock_wall_ns() > r->opt.until_ns;
}

/* A log is followed to the end of the process, also when the container has a new one by then. */
static bool has_same_process(const struct log_reader *r)
{
	return container_has_process(r->container) && r->container->state.started_ns == r->started_ns;
}

/* Programs made for Docker, where a start takes a third of a second, read the log right after it and expect what the process
 * says first. Here a start takes milliseconds: so a log is followed for the container's first moments even unasked. */
static bool is_young(const struct log_reader *r)
{
	int64_t age_ns = clock_wall_ns() - r->started_ns;

	return !r->ended && age_ns >= 0 && age_ns < YOUNG_MS * INT64_C(1000000);
}

static void read_on(void *arg)
{
	struct log_reader *r = arg;

	if (r->is_busy || r->is_full)
		return;
	if (r->is_closed) {
		uv_close((uv_handle_t *)&r->timer, on_timer_closed);
		return;
	}
	r->is_busy = true;
	r->mark = mark_of(r);
	r->was_over = is_over(r) && r->mark != UINT64_MAX;
	r->is_last = !((r->opt.follow || is_young(r)) && has_same_process(r)) || is_over(r);
	uv_queue_work(r->engine->loop, &r->work, work, after);
}

static void on_timer(uv_timer_t *t)
{
	read_on(t->data);
}

static void finish(struct log_reader *r)
{
	struct stream *s = r->stream;

	if (!r->ended) {
		stream_end(s);
		return;
	}
	r->is_closed = true;
	stream_set_events(s, NULL, NULL);
	r->ended(r->ended_arg, s);
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static void after(uv_work_t *w, int status)
{
	struct log_reader *r = container_of(w, struct log_reader, work);

	(void)status;
	r->is_busy = false;
	if (r->is_closed) {
		uv_close((uv_handle_t *)&r->timer, on_timer_closed);
		return;
	}
	if (r->out.len)
		stream_write(r->stream, r->out.data, r->out.len);
	buf_reset(&r->out);
	r->is_full = stream_is_full(r->stream);
	/* What was written meanwhile belongs to it; but a container that never stops writing must not hold us. */
	if (r->is_at_end && r->is_last &&
	    ((r->mark == mark_of(r) && r->mark != UINT64_MAX) || r->tries++ == TRIES_MAX || r->was_over))
		finish(r);
	else if (!r->is_full)
		uv_timer_start(&r->timer, on_timer, r->is_at_end ? FOLLOW_MS : 0, 0);
}

static void on_log_drain(void *arg)
{
	struct log_reader *r = arg;

	if (!r->is_full)
		return;
	r->is_full = false;
	uv_timer_start(&r->timer, on_timer, 0, 0);
}

static void on_log_close(void *arg)
{
	struct log_reader *r = arg;

	r->is_closed = true;
	if (r->ended)
		r->ended(r->ended_arg, NULL);
	if (!r->is_busy)
		uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static const struct stream_events events = { .on_drain = on_log_drain, .on_close = on_log_close };

int engine_container_logs_check(struct engine *e, struct container *c, const struct logs_options *opt, struct error *err)
{
	struct log_limits limits;

	(void)e;
	if (!opt->stdout_ && !opt->stderr_)
		return error_set_class(err, ERROR_INVALID, "Bad parameters: you must choose at least one stream");
	if (log_parse_config(json_object_get(c->host_config, "LogConfig"), &limits, err) == 0 && !limits.is_kept)
		return error_set_class(err, ERROR_UNIMPLEMENTED, "configured logging driver does not support reading");
	return err->code;
}

static struct log_reader *reader_new(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s)
{
	struct log_reader *r = xnew(struct log_reader);

	r->engine = e;
	r->container = container_ref(c);
	r->started_ns = c->state.started_ns;
	r->asked_ns = clock_wall_ns();
	r->opt = *opt;
	r->stream = s;
	r->is_mux = s->is_mux;
	r->files = log_files_ref(crun_log_files(crun_of(e, c)));
	log_place_enter(&r->place, r->files, opt->tail >= 0);
	if (opt->details)
		r->details = log_details(json_object_get(json_object_get(c->host_config, "LogConfig"), "Config"), c->config);
	buf_init(&r->raw, ENTRY_MAX_BYTES + READ_BYTES);
	buf_init(&r->partial[1], 2 * LINE_MAX_BYTES);
	buf_init(&r->partial[2], 2 * LINE_MAX_BYTES);
	buf_init(&r->out, 4 * OUT_BYTES + ENTRY_MAX_BYTES);
	uv_timer_init(e->loop, &r->timer);
	r->timer.data = r;
	stream_set_events(s, &events, r);
	uv_timer_start(&r->timer, on_timer, 0, 0);
	return r;
}

void engine_container_logs(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s)
{
	reader_new(e, c, opt, s);
}

void logs_replay(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s,
		 void (*ended)(void *arg, struct stream *s), void *arg)
{
	struct log_reader *r = reader_new(e, c, opt, s);

	r->ended = ended;
	r->ended_arg = arg;
}

struct log_files *crun_log_files(struct crun *run)
{
	if (!run->log_files) {
		char *dir = xasprintf("%s/containers/%s", run->engine->options.data_root, run->container->id);

		run->log_files = log_files_new(dir);
		free(dir);
	}
	return run->log_files;
}

char *engine_container_log_path(struct engine *e, const struct container *c)
{
	struct log_limits limits;

	if (!c->state.started_ns || log_parse_config(json_object_get(c->host_config, "LogConfig"), &limits, NULL) < 0 ||
	    !limits.is_kept)
		return NULL;
	return xasprintf("%s/containers/%s/" LOG_FILE, e->options.data_root, c->id);
}
