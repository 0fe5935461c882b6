#include "util/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/pump.h"

enum { QUEUE_HIGH = 2 << 20, QUEUE_MAX = 64 << 20 };

struct spool {
	uv_loop_t *loop;
	int fd;
	uv_work_t work;
	bool is_busy; /* the pool has it: what is `writing`, `is_last` and `wrote` is the pool's for as long */
	int result;
	/* collecting */
	struct buf queued, writing;
	bool is_last; /* nothing comes after what is being written */
	int wrote;
	bool is_full;
	void (*on_drain)(void *arg);
	void *drain_arg;
	void (*done)(void *arg, int result);
	void *done_arg;
	/* sending */
	void (*closed)(void *arg);
	void *closed_arg;
};

struct spool *spool_new(uv_loop_t *loop, const char *dir)
{
	int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	struct spool *s;

	if (fd < 0)
		return NULL;
	s = xnew(struct spool);
	s->loop = loop;
	s->fd = fd;
	buf_init(&s->queued, QUEUE_MAX);
	buf_init(&s->writing, QUEUE_MAX);
	return s;
}

int spool_fd(const struct spool *s)
{
	return s->fd;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	close(s->fd);
	buf_done(&s->queued);
	buf_done(&s->writing);
	free(s);
}

/* ---- collecting ---- */

static void write_all(uv_work_t *w)
{
	struct spool *s = container_of(w, struct spool, work);

	for (size_t at = 0; at < s->writing.len && s->wrote == 0;) {
		ssize_t n = write(s->fd, s->writing.data + at, s->writing.len - at);

		if (n < 0)
			s->wrote = -errno;
		else
			at += (size_t)n;
	}
	if (s->is_last && lseek(s->fd, 0, SEEK_SET) < 0 && s->wrote == 0)
		s->wrote = -errno;
}

static void go_on(struct spool *s);

static void take_back(struct spool *s)
{
	s->is_busy = false;
	if (s->result == 0)
		s->result = s->wrote;
}

static void on_written(uv_work_t *w, int status)
{
	struct spool *s = container_of(w, struct spool, work);

	(void)status;
	take_back(s);
	buf_reset(&s->writing);
	if (s->is_full) {
		s->is_full = false;
		if (s->on_drain)
			s->on_drain(s->drain_arg);
	}
	go_on(s);
}

static void on_finished(uv_work_t *w, int status)
{
	struct spool *s = container_of(w, struct spool, work);

	(void)status;
	take_back(s);
	s->done(s->done_arg, s->result);
}

static void go_on(struct spool *s)
{
	struct buf swap = s->writing;

	if (s->is_busy || (s->queued.len == 0 && !s->done))
		return;
	s->is_busy = true;
	s->writing = s->queued;
	s->queued = swap;
	s->is_last = s->done != NULL;
	s->wrote = s->result;
	uv_queue_work(s->loop, &s->work, write_all, s->is_last ? on_finished : on_written);
}

int spool_write(struct spool *s, const void *data, size_t len)
{
	if (buf_append(&s->queued, data, len) < 0 && s->result == 0)
		s->result = -ENOBUFS; /* a producer that does not stop */
	s->is_full = s->queued.len > QUEUE_HIGH;
	go_on(s);
	return s->is_full ? 1 : 0;
}

void spool_on_drain(struct spool *s, void (*on_drain)(void *arg), void *arg)
{
	s->on_drain = on_drain;
	s->drain_arg = arg;
}

void spool_finish(struct spool *s, void (*done)(void *arg, int result), void *arg)
{
	s->done = done;
	s->done_arg = arg;
	s->is_full = false;
	go_on(s);
}

/* ---- sending ---- */

static ssize_t read_file(void *arg, char *to, size_t size)
{
	return read(((struct spool *)arg)->fd, to, size);
}

static void on_sent(void *arg)
{
	struct spool *s = arg;

	s->closed(s->closed_arg);
	spool_free(s);
}

void spool_send(struct spool *s, struct stream *stream, void (*closed)(void *arg), void *arg)
{
	s->closed = closed;
	s->closed_arg = arg;
	lseek(s->fd, 0, SEEK_SET);
	pump_start(s->loop, stream, read_file, on_sent, s);
}
