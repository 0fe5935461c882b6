/* One request as a handler sees it, and the ways to answer it.
 *
 * Loop thread only. A handler gets a `struct request` and answers it exactly
 * once, at once or later (nothing needs to be declared for "later"). Until it is answered the
 * request stays valid even when its client has gone; answering then does
 * nothing. After a reply_* call the handler must not touch it again. A reply
 * leaves only when the store has committed what it tells (http/server.h,
 * struct http_gate). */
#ifndef SOCKERLESS_HTTP_REQUEST_H
#define SOCKERLESS_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/error.h"
#include "util/stream.h"

struct request;
struct route;

#define API_VERSION(major, minor) ((major) * 1000 + (minor))
#define API_VERSION_MIN API_VERSION(1, 24)
#define API_VERSION_MAX API_VERSION(1, 55)
#define API_VERSION_MIN_TEXT "1.24"
#define API_VERSION_MAX_TEXT "1.55"

/* ---- reading ---- */
const struct route *request_route(const struct request *req);
const char *request_method(const struct request *req);
const char *request_path(const struct request *req);    /* decoded, without the version */
int request_api_version(const struct request *req);     /* API_VERSION(…), the newest when the path has none */
void *request_context(const struct request *req);       /* the server's: struct engine * */
void *request_override_arg(const struct request *req);  /* router_override's; NULL in the table's own handlers */
/* A `{name}` of the route's pattern, percent-decoded. Never NULL for a name in the pattern. */
const char *request_param(const struct request *req, const char *name);
/* The first value of a query key, NULL when absent, "" when it has none. */
const char *request_query(const struct request *req, const char *key);
size_t request_query_count(const struct request *req, const char *key);
const char *request_query_nth(const struct request *req, const char *key, size_t n);
/* Docker's httputils.BoolValue: "", "0", "no", "false", "none" are false. */
bool request_query_bool(const struct request *req, const char *key);
bool request_query_bool_default(const struct request *req, const char *key, bool value);
/* An integer; a bad one is ERROR_INVALID in Go's strconv words. Absent: `value`. */
int request_query_int(const struct request *req, const char *key, int64_t value, int64_t *ret, struct error *err);
const char *request_header(const struct request *req, const char *name);

/* ROUTE_BODY_JSON: the parsed object, borrowed; NULL when the body was absent. */
json_t *request_json(const struct request *req);
/* The same as it was sent: NUL-terminated, borrowed; NULL when absent. */
const char *request_body_text(const struct request *req, size_t *ret_len);

/* ROUTE_BODY_STREAM: the body piece by piece. The handler runs when the head
 * is complete; it must call this before it returns. on_data consumes all; to
 * slow the client down call pause, later resume. on_end: result 0 at the end
 * of the body, -EPIPE when the client went. */
void request_body_start(struct request *req, void (*on_data)(void *arg, const void *data, size_t len),
			void (*on_end)(void *arg, int result), void *arg);
void request_body_pause(struct request *req);
void request_body_resume(struct request *req);

/* Called once if the client goes away before the reply is made (a long wait
 * may then stop its work). The request must still be answered. */
void request_on_gone(struct request *req, void (*gone)(void *arg), void *arg);

/* ---- answering ---- */
/* More response headers, before the reply_* call. Copied. */
void reply_header(struct request *req, const char *name, const char *value);
void reply_json(struct request *req, int status, json_t *take_body); /* compact JSON + "\n", as Docker */
void reply_empty(struct request *req, int status);                   /* 204, 304, 200 with no body */
void reply_bytes(struct request *req, int status, const char *content_type, const void *body, size_t len); /* copied */
void reply_text(struct request *req, int status, const char *content_type, const char *body);

/* An answer that is always the same and tells nothing of the store's: the server makes it once, and it does not
 * wait for what is still being saved. `headers`: name, value, name, value, NULL. All of it is static. */
struct constant_reply {
	int status;
	const char *content_type, *body;
	const char *const *headers;
};
void reply_constant(struct request *req, const struct constant_reply *what);
void reply_error(struct request *req, const struct error *err); /* {"message": …} with the class's status */
/* 200 (or `status`) with an unbounded chunked body; headers are flushed at once. */
struct stream *reply_stream(struct request *req, int status, const char *content_type);
/* 200 with lines of JSON that tell how an operation goes on. As the head of any reply, each leaves when what it tells is durable;
 * where that cannot be, an error line ends the stream. */
struct stream *reply_progress(struct request *req);
/* Takes the connection over (101 UPGRADED, or 200 raw for a client that sent no
 * Upgrade header). `ready` gets the stream when the head has left, or NULL when
 * the client has gone. Called from the loop, never from within. */
void reply_hijack(struct request *req, const char *content_type, void (*ready)(void *arg, struct stream *s), void *arg);
/* The same for a WebSocket: what is written becomes text or binary messages, on_data gets what is in the client's, of
 * either kind; a close of the client's is on_eof and then on_close; stream_end closes with status 1000. A request that
 * is no handshake is answered 400; `ready` then gets NULL, at once. */
void reply_websocket(struct request *req, bool is_binary, void (*ready)(void *arg, struct stream *s), void *arg);

#endif
