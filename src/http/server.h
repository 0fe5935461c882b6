/* The HTTP server: listeners, accept, sniff, deadlines, libmicrohttpd and
 * hijacked connections on one libuv loop. Knows no Docker but the shape of
 * errors, versions and the fixed response headers. Loop thread only. */
#ifndef SOCKERLESS_HTTP_SERVER_H
#define SOCKERLESS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "http/route.h"
#include "util/error.h"

struct http_server;

/* Holds back the first byte of every reply until what it tells is durable. */
struct http_gate {
	/* True: may go now. False: `go(arg)` will be called from the loop. */
	bool (*may_send)(void *ctx, void (*go)(void *arg), void *arg);
	/* Asked in `go`: false, with *err, when it cannot be made durable. The reply becomes a 500. */
	bool (*is_safe)(void *ctx, struct error *err);
	void *ctx;
};

struct http_limits { /* zero: the default in brackets */
	size_t max_connections;      /* [10000] above it a connection is answered 503 and closed */
	size_t max_head_bytes;       /* [56 KiB, at most that] 431 above */
	size_t max_json_bytes;       /* [8 MiB] 413 above */
	unsigned head_timeout_ms;    /* [30000] from a head's first byte to its last */
};

/* What a relay in front of the server does, TLS for one: it takes the accepted
 * descriptor, speaks with the client, and gives one that speaks plain HTTP (a
 * socket pair's end) to `plain`, once, at once or later, from the loop; -1
 * drops the connection. After http_server_stop `plain` closes what it is given. */
typedef void (*http_plain_fn)(void *token, int take_fd);
typedef void (*http_wrap_fn)(void *ctx, int take_fd, http_plain_fn plain, void *token);

/* Looks at a connection's first head, complete and sound, before the server does. */
typedef bool (*http_claims_fn)(const char *head, size_t len);
/* Takes a connection with such a head, which is still unread in it. This is where WebSocket paths leave for another library. */
typedef void (*http_claim_fn)(void *ctx, const char *head, size_t len, int take_fd);

struct http_config {
	uv_loop_t *loop;
	struct router *router; /* borrowed */
	struct http_gate gate;
	struct http_limits limits;
	void *context; /* request_context() */
	http_claims_fn claims; /* NULL: nobody's */
	http_claim_fn claim;
	void *claim_ctx;
	const char *server_header; /* "Docker/…" */
};

int http_server_new(const struct http_config *config, struct http_server **ret, struct error *err);

/* Adds a listening socket (bound and listening, non-blocking); takes fd, also on failure. wrap NULL: plain. */
int http_server_listen(struct http_server *s, int take_fd, http_wrap_fn wrap, void *wrap_ctx, struct error *err);
void http_server_unlisten_all(struct http_server *s);

/* Replies that are complete and have not gone out: a stop would cut them off. */
size_t http_server_unsent(const struct http_server *s);
/* Towards a stop without haste: no more accepts, connections without a request are closed, the others with their
 * answer. Idle: there is none left. */
void http_server_drain(struct http_server *s);
bool http_server_is_idle(const struct http_server *s);

/* Stops: no more accepts, streams are aborted, hijacks closed, requests
 * answered or dropped; `done` is called from the loop when all is gone. */
void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* after `done` */

struct http_counters {
	uint64_t connections, requests, open_connections, hijacked, refused;
};
void http_server_counters(const struct http_server *s, struct http_counters *ret);

#endif
