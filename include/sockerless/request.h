/* One request of the Engine API as a handler of yours sees it, and the ways to
 * answer it.
 *
 * Loop thread only. A handler answers its request exactly once, at once or
 * later: by a sockerless_reply… call or by sockerless_request_continue. After
 * that it must not touch the request again. Until then the request stays valid,
 * even when its client has gone (answering then does nothing). Strings that a
 * request answers are borrowed from it. */
#ifndef SOCKERLESS_REQUEST_H
#define SOCKERLESS_REQUEST_H

#include <stddef.h>

#include <sockerless/base.h>

SOCKERLESS_BEGIN

struct sockerless_request;
struct sockerless_stream;

typedef void (*sockerless_handler)(struct sockerless_request *req, void *arg);

/* ---- reading ---- */

SOCKERLESS_API const char *sockerless_request_operation(const struct sockerless_request *req); /* "ContainerStart" */
SOCKERLESS_API const char *sockerless_request_method(const struct sockerless_request *req);
/* Without the version, still percent-encoded: "/containers/web/json". */
SOCKERLESS_API const char *sockerless_request_path(const struct sockerless_request *req);
/* 1043 for 1.43; the newest when the path has none. */
SOCKERLESS_API int sockerless_request_api_version(const struct sockerless_request *req);
/* A {name} of the operation's path, decoded; "" when there is none of that name. */
SOCKERLESS_API const char *sockerless_request_param(const struct sockerless_request *req, const char *name);
/* The n-th value (from 0) of a query key, decoded; NULL when there is none. */
SOCKERLESS_API const char *sockerless_request_query(const struct sockerless_request *req, const char *key, size_t n);
/* NULL when it was not sent. */
SOCKERLESS_API const char *sockerless_request_header(const struct sockerless_request *req, const char *name);
/* The whole body of an operation that takes JSON, already known to be one object;
 * NUL-terminated. NULL and 0 where none was sent. */
SOCKERLESS_API const char *sockerless_request_body(const struct sockerless_request *req, size_t *ret_len);

/* For operations that take a stream of bytes (PutContainerArchive, ImageCreate): to be
 * called before the handler returns. `data` is called for each piece, `end` once: 0 at
 * the end of the body, -EPIPE when the client has gone. */
SOCKERLESS_API void sockerless_request_body_stream(struct sockerless_request *req,
						   void (*data)(void *arg, const void *bytes, size_t len),
						   void (*end)(void *arg, int result), void *arg);

/* Called once if the client goes away before the answer; the request must still be answered. */
SOCKERLESS_API void sockerless_request_on_gone(struct sockerless_request *req, void (*gone)(void *arg), void *arg);

/* ---- answering ---- */

/* The handler that was overridden answers: at once, or later, when yours has done its part. Of an operation that
 * takes a stream of bytes only from within the handler, before anything of the body was taken. */
SOCKERLESS_API void sockerless_request_continue(struct sockerless_request *req);

/* One more response header, before the answer. At most 16; more are left out. Copied. */
SOCKERLESS_API void sockerless_reply_header(struct sockerless_request *req, const char *name, const char *value);
/* A whole answer; `body` is copied. content_type NULL: none. */
SOCKERLESS_API void sockerless_reply(struct sockerless_request *req, int status, const char *content_type,
				     const void *body, size_t len);
/* {"message": …}, as Docker's errors are. */
SOCKERLESS_API void sockerless_reply_error(struct sockerless_request *req, int status, const char *message);

/* ---- long answers ---- */

struct sockerless_stream_events {
	size_t size;
	/* So much was queued that sockerless_stream_is_full; now there is room again. May be NULL. */
	void (*drained)(void *arg);
	/* Once, at the end, never from within a sockerless_stream_… call: the client has gone, or all is
	 * sent after sockerless_stream_end. The stream is dead then. May be NULL. */
	void (*closed)(void *arg);
	/* Input of a connection that was taken over; may be NULL. */
	void (*data)(void *arg, const void *bytes, size_t len);
	void (*eof)(void *arg); /* the client has closed its half; output goes on; may be NULL */
};

/* A chunked answer without a known length; its head leaves at once. `events` is copied; may be NULL. */
SOCKERLESS_API struct sockerless_stream *sockerless_reply_stream(struct sockerless_request *req, int status,
								 const char *content_type,
								 const struct sockerless_stream_events *events, void *arg);

/* Takes the connection over, as attach and exec do (only where the operation is one that does).
 * `ready` gets the stream when the head has left, or NULL when the client has gone (no event
 * comes then). */
SOCKERLESS_API void sockerless_reply_hijack(struct sockerless_request *req, const char *content_type,
					    void (*ready)(void *arg, struct sockerless_stream *s),
					    const struct sockerless_stream_events *events, void *arg);

/* Queues a copy, however much is queued. 0, or -EPIPE. */
SOCKERLESS_API int sockerless_stream_write(struct sockerless_stream *s, const void *data, size_t len);
/* More than 1 MiB is queued: wait for `drained`. */
SOCKERLESS_API int sockerless_stream_is_full(const struct sockerless_stream *s);
/* Sends what is queued, then closes. */
SOCKERLESS_API void sockerless_stream_end(struct sockerless_stream *s);
/* Drops what is queued; the client sees that the answer is not complete. */
SOCKERLESS_API void sockerless_stream_abort(struct sockerless_stream *s);

SOCKERLESS_END

#endif
