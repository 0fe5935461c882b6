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
	size_t max_connections;      /* [10000] */
	size_t max_head_bytes;       /* [60 KiB] 431 above */
	size_t max_json_bytes;       /* [8 MiB] 413… Docker's text */
	uint64_t max_stream_bytes;   /* [0: none] */
	unsigned head_timeout_ms;    /* [20000] from accept or the end of the last reply's first byte */
	unsigned idle_timeout_ms;    /* [120000] */
};

/* Where a TLS relay will sit: given an accepted fd it answers another fd that
 * speaks plain HTTP (a socketpair's end), or -1 to drop. NULL: plain. */
typedef int (*http_wrap_fn)(void *ctx, int fd);

struct http_config {
	uv_loop_t *loop;
	struct router *router;       /* borrowed */
	struct http_gate gate;
	struct http_limits limits;
	void *context;               /* request_context() */
	const char *server_header;   /* "Docker/…" */
};

int http_server_new(const struct http_config *config, struct http_server **ret, struct error *err);

/* Adds a listening socket (bound and listening, non-blocking); takes fd. */
int http_server_listen(struct http_server *s, int take_fd, http_wrap_fn wrap, void *wrap_ctx, struct error *err);
void http_server_unlisten_all(struct http_server *s);

/* Stops: no more accepts, streams are aborted, hijacks closed, requests
 * answered or dropped; `done` is called from the loop when all is gone. */
void http_server_stop(struct http_server *s, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* after `done` */

struct http_counters { uint64_t connections, requests, open_connections, hijacked, refused; };
void http_server_counters(const struct http_server *s, struct http_counters *ret);

#endif
