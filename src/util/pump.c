#include "util/pump.h"

#include <stdbool.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "util/list.h"

enum { CHUNK_BYTES = 256 << 10 };

struct pump {
	uv_loop_t *loop;
	uv_work_t work;
	struct stream *stream;
	pump_read_fn read;
	void (*closed)(void *arg);
	void *arg;
	ssize_t nchunk;
	bool is_busy, is_ended, is_closed; /* busy: the pool has it */
	char chunk[CHUNK_BYTES];
};

static void finish(struct pump *p)
{
	p->closed(p->arg);
	free(p);
}

static void read_chunk(uv_work_t *w)
{
	struct pump *p = container_of(w, struct pump, work);

	p->nchunk = p->read(p->arg, p->chunk, sizeof(p->chunk));
}

static void send_more(void *arg);

static void on_chunk(uv_work_t *w, int status)
{
	struct pump *p = container_of(w, struct pump, work);

	(void)status;
	p->is_busy = false;
	if (p->is_closed) {
		finish(p);
		return;
	}
	if (p->nchunk > 0 && stream_write(p->stream, p->chunk, (size_t)p->nchunk) == 0) {
		send_more(p);
		return;
	}
	p->is_ended = true;
	if (p->nchunk < 0)
		stream_abort(p->stream);
	else
		stream_end(p->stream);
}

static void send_more(void *arg)
{
	struct pump *p = arg;

	if (p->is_busy || p->is_ended || stream_is_full(p->stream))
		return;
	p->is_busy = true;
	uv_queue_work(p->loop, &p->work, read_chunk, on_chunk);
}

static void on_close(void *arg)
{
	struct pump *p = arg;

	p->is_closed = true;
	if (!p->is_busy)
		finish(p);
}

void pump_start(uv_loop_t *loop, struct stream *stream, pump_read_fn read, void (*closed)(void *arg), void *arg)
{
	static const struct stream_events events = { .on_drain = send_more, .on_close = on_close };
	struct pump *p = xnew(struct pump);

	p->loop = loop;
	p->stream = stream;
	p->read = read;
	p->closed = closed;
	p->arg = arg;
	stream_set_events(stream, &events, p);
	send_more(p);
}
