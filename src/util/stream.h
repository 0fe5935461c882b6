/* A byte stream towards a client, as those who produce bytes see it: a chunked
 * reply, a hijacked connection, a test's buffer. The HTTP layer implements it;
 * the engine's attach, logs, events and archives write to it.
 *
 * Loop thread only. Life: the implementation owns the stream. `on_close` is
 * called exactly once, from the loop and never from within a stream_* call,
 * when the client has gone or when everything has been sent after stream_end;
 * after it the stream is dead. Until then every call below is allowed. */
#ifndef SOCKERLESS_UTIL_STREAM_H
#define SOCKERLESS_UTIL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct stream;

struct stream_ops {
	/* Queues a copy. 0; -EPIPE when the client has gone or after end. Never
	 * refuses for fullness: producers watch `queued` and wait for on_drain. */
	int (*write)(struct stream *s, const void *data, size_t len);
	size_t (*queued)(const struct stream *s);
	void (*end)(struct stream *s);   /* sends what is queued, then closes */
	void (*abort)(struct stream *s); /* drops what is queued; a chunked reply ends without its last chunk */
	/* Input of a hijacked connection (NULL in one-way streams): bytes come by
	 * on_data between read_start and read_stop. */
	void (*read_start)(struct stream *s);
	void (*read_stop)(struct stream *s);
};

struct stream_events {
	void (*on_drain)(void *arg);     /* queued fell below STREAM_LOW after being above STREAM_HIGH */
	void (*on_close)(void *arg);
	void (*on_data)(void *arg, const void *data, size_t len);
	void (*on_eof)(void *arg);       /* the client half-closed; output goes on */
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_events *events; /* NULL: nobody listens (any more) */
	void *arg;
	bool is_mux;       /* frames of CLIENTS.md section 3, set by the consumer */
};

#define STREAM_HIGH (1u << 20) /* producers pause above */
#define STREAM_LOW (256u << 10)

static inline void stream_set_events(struct stream *s, const struct stream_events *ev, void *arg)
{
	s->events = ev;
	s->arg = arg;
}

static inline int stream_write(struct stream *s, const void *data, size_t len)
{
	return s->ops->write(s, data, len);
}

static inline bool stream_is_full(const struct stream *s)
{
	return s->ops->queued(s) > STREAM_HIGH;
}

static inline void stream_end(struct stream *s)
{
	s->ops->end(s);
}

static inline void stream_abort(struct stream *s)
{
	s->ops->abort(s);
}

static inline void stream_read_start(struct stream *s)
{
	if (s->ops->read_start)
		s->ops->read_start(s);
}

static inline void stream_read_stop(struct stream *s)
{
	if (s->ops->read_stop)
		s->ops->read_stop(s);
}

#endif
