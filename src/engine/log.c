#include "engine/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/log_files.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/list.h"

enum { QUEUE_HIGH = 1 << 20, QUEUE_MAX = 256 << 20 };

struct flush_wait {
	struct list link;
	void (*done)(void *arg);
	void *arg;
};

struct log {
	uv_loop_t *loop;
	uv_work_t work;
	struct log_files *files;     /* reference */
	struct log_limits limits;
	struct buf queued, writing;
	struct list waits;           /* for the batch that is being written, or queued */
	void (*on_room)(void *arg);
	void *room_arg;
	bool is_busy, is_full, is_freed;
	uint64_t appended;
	uv_work_t compression;
	bool is_compressing; /* the newest of the old files: no batch that begins meanwhile rotates */
	bool is_stalled;     /* the batch waits for that: is_busy */
	/* The pool's while is_busy. */
	int fd;
	uint64_t size;
	size_t at;           /* of the batch: what is written */
	bool may_rotate, has_rotated;
};

/* ---- on the pool ---- */

static bool open_file(struct log *log)
{
	struct stat st;

	if (log->fd >= 0)
		return true;
	log->fd = log_files_open(log->files);
	if (log->fd < 0)
		return false;
	log->size = fstat(log->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	return true;
}

/* An entry is never torn between two files, so a batch ends at the limit and the next entry begins a new file. */
static size_t piece(const struct log *log, size_t at)
{
	const struct buf *b = &log->writing;
	uint64_t room = log->limits.max_bytes > log->size ? log->limits.max_bytes - log->size : 0;
	size_t end = at;

	if (!log->limits.max_bytes)
		return b->len - at;
	while (end < b->len && (end == at || end - at < room)) {
		const char *newline = memchr(b->data + end, '\n', b->len - end);
		size_t len = 0;

		if (!newline || sscanf(b->data + end, "%*d %*d %zu", &len) != 1)
			return b->len - at;
		end = (size_t)(newline - b->data) + 1 + len;
	}
	return end - at;
}

static bool is_full_file(const struct log *log)
{
	return log->fd >= 0 && log->limits.max_bytes && log->size >= log->limits.max_bytes;
}

/* One file is compressed at a time: the one that has just become the newest of the old. */
static bool may_rotate(const struct log *log)
{
	return log->may_rotate && !(log->limits.is_compressed && log->has_rotated);
}

static void rotate(struct log *log)
{
	close(log->fd);
	log->fd = -1;
	log_files_rotate(log->files, &log->limits);
	log->has_rotated = true;
}

/* All of the batch, or what there is room for until the files may be rotated again. */
static void write_all(uv_work_t *w)
{
	struct log *log = container_of(w, struct log, work);

	while (log->at < log->writing.len) {
		size_t n;

		if (is_full_file(log)) {
			if (!may_rotate(log))
				return;
			rotate(log);
		}
		if (!open_file(log))
			break;
		n = piece(log, log->at);
		for (size_t done = 0; done < n;) {
			ssize_t got = write(log->fd, log->writing.data + log->at + done, n - done);

			if (got < 0) { /* a full disk: what follows is lost, and the reader stops at the torn entry */
				log->at = log->writing.len;
				return;
			}
			done += (size_t)got;
		}
		log->at += n;
		log->size += n;
	}
	log->at = log->writing.len; /* a full file stays the newest until there is more, as Docker's does */
}

static void compress_work(uv_work_t *w)
{
	log_files_compress(container_of(w, struct log, compression)->files);
}

/* ---- on the loop ---- */

struct log *log_new(uv_loop_t *loop, struct log_files *files, const struct log_limits *limits)
{
	struct log *log = xnew(struct log);

	log->loop = loop;
	log->files = log_files_ref(files);
	log->limits = *limits;
	log->fd = -1;
	list_init(&log->waits);
	buf_init(&log->queued, QUEUE_MAX);
	buf_init(&log->writing, QUEUE_MAX);
	return log;
}

static void destroy(struct log *log)
{
	if (log->fd >= 0)
		close(log->fd);
	buf_done(&log->queued);
	buf_done(&log->writing);
	log_files_unref(log->files);
	free(log);
}

static void go_on(struct log *log);

static void answer_waits(struct log *log)
{
	struct list waits;

	list_init(&waits);
	list_for_each_safe(it, &log->waits) {
		list_remove(it);
		list_append(&waits, it);
	}
	list_for_each_safe(it, &waits) {
		struct flush_wait *w = container_of(it, struct flush_wait, link);

		list_remove(it);
		w->done(w->arg);
		free(w);
	}
}

static void on_written(uv_work_t *w, int status);

static void write_batch(struct log *log)
{
	log->may_rotate = !log->is_compressing;
	uv_queue_work(log->loop, &log->work, write_all, on_written);
}

static bool is_idle(const struct log *log)
{
	return !log->is_busy && log->queued.len == 0 && !log->is_compressing;
}

static void on_compressed(uv_work_t *w, int status)
{
	struct log *log = container_of(w, struct log, compression);

	(void)status;
	log->is_compressing = false;
	if (log->is_stalled) {
		log->is_stalled = false;
		write_batch(log);
	} else if (log->is_freed && is_idle(log)) {
		destroy(log);
	}
}

/* False: the batch has to wait. */
static bool compress(struct log *log)
{
	if (log->has_rotated && log->limits.is_compressed) {
		log->is_compressing = true;
		uv_queue_work(log->loop, &log->compression, compress_work, on_compressed);
	}
	log->has_rotated = false;
	if (log->at >= log->writing.len)
		return true;
	/* A file is full while the one before is being compressed: the end of that wakes us. */
	log->is_stalled = log->is_compressing;
	if (!log->is_stalled)
		write_batch(log);
	return false;
}

static void on_written(uv_work_t *w, int status)
{
	struct log *log = container_of(w, struct log, work);

	(void)status;
	if (!compress(log))
		return;
	buf_reset(&log->writing);
	log->at = 0;
	log->is_busy = false;
	go_on(log);
	if (log->is_busy)
		return;
	if (log->is_freed) {
		if (is_idle(log))
			destroy(log);
		return;
	}
	log->is_busy = true; /* a callback may free us */
	if (log->is_full && log->on_room)
		log->on_room(log->room_arg);
	log->is_full = false;
	answer_waits(log);
	log->is_busy = false;
	if (log->is_freed && is_idle(log))
		destroy(log);
	else
		go_on(log);
}

static void go_on(struct log *log)
{
	struct buf swap = log->writing;

	if (log->is_busy || log->queued.len == 0)
		return;
	log->is_busy = true;
	log->writing = log->queued;
	log->queued = swap;
	write_batch(log);
}

static void append_entry(struct log *log, int64_t ns, int stream, const char *data, size_t len)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%lld %d %zu\n", (long long)ns, stream, len);

	buf_append(&log->queued, head, (size_t)n);
	buf_append(&log->queued, data, len);
}

/* Files that rotate hold entries much smaller than themselves, cut at the end of a line where there is one. */
static size_t entry_length(const struct log *log, const char *data, size_t len)
{
	size_t most = log->limits.max_bytes ? log->limits.max_bytes / 4 + 1 : len;
	const char *newline;

	if (len <= most)
		return len;
	newline = memrchr(data, '\n', most);
	return newline ? (size_t)(newline - data) + 1 : most;
}

bool log_append(struct log *log, int stream, const void *data, size_t len)
{
	int64_t ns = clock_wall_ns();
	const char *at = data;

	if (!log->limits.is_kept)
		return false;
	if (log->queued.len + 2 * len + 64 > QUEUE_MAX) /* a producer that does not stop */
		return true;
	log->appended++;
	while (len > 0) {
		size_t n = entry_length(log, at, len);

		append_entry(log, ns, stream, at, n);
		at += n;
		len -= n;
	}
	log->is_full = log->is_full || log->queued.len > QUEUE_HIGH;
	go_on(log);
	return log->is_full;
}

void log_on_room(struct log *log, void (*on_room)(void *arg), void *arg)
{
	log->on_room = on_room;
	log->room_arg = arg;
}

void log_flush(struct log *log, void (*done)(void *arg), void *arg)
{
	struct flush_wait *w;

	if (!log->is_busy && log->queued.len == 0) {
		done(arg);
		return;
	}
	w = xnew(struct flush_wait);
	w->done = done;
	w->arg = arg;
	list_append(&log->waits, &w->link);
}

uint64_t log_mark(const struct log *log)
{
	return log->is_busy || log->queued.len ? UINT64_MAX : log->appended;
}

void log_free(struct log *log)
{
	if (!log)
		return;
	list_for_each_safe(it, &log->waits) {
		list_remove(it);
		free(container_of(it, struct flush_wait, link));
	}
	log->on_room = NULL;
	log->is_freed = true;
	if (is_idle(log))
		destroy(log);
}
