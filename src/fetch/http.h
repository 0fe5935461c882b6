/* One HTTP request after another over libcurl: redirects, trust, limits, and errors in Go's words.
 *
 * A `struct http` belongs to one thread and keeps its connections. Everything blocks. */
#ifndef SOCKERLESS_FETCH_HTTP_H
#define SOCKERLESS_FETCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/error.h"

#define HTTP_HEADERS_MAX 128
#define HTTP_HEADER_BYTES_MAX (256u << 10)

/* How a host proves itself, and we to it. */
struct http_trust {
	bool is_insecure;          /* any certificate does */
	const char *ca_file;       /* NULL: the system's */
	const char *cert, *key;    /* NULL: none */
};

struct http_options {
	const char *user_agent;
	long connect_timeout_s, stall_timeout_s;
};

struct http_response {
	int status;
	char reason[64];
	char *names[HTTP_HEADERS_MAX], *values[HTTP_HEADERS_MAX];
	size_t nheaders, header_bytes;
	int64_t content_length;    /* -1: not told */
	struct buf body;           /* unless on_body took it */
};

struct http_request {
	const char *method, *url;
	const struct http_trust *trust;    /* for the URL's own host and port; others get the system's */
	const char *authorization;         /* likewise; NULL: none */
	const char *const *headers;        /* "Name: value", NULL-ended; may be NULL */
	const void *body;                  /* sent as it is; NULL: none */
	size_t body_len;
	int upload_fd;                     /* when upload_size > 0: sent from upload_offset on */
	int64_t upload_offset, upload_size;
	void (*on_sent)(void *arg, int64_t sent);
	/* Before the body of a final 2xx reply; then its bytes. 0, or -errno with *err set, which ends it. */
	int (*on_head)(void *arg, const struct http_response *head, struct error *err);
	int (*on_body)(void *arg, const void *data, size_t len, struct error *err);
	void *arg;
	size_t body_max;                   /* of a body that is kept; more is an error when it is a 2xx */
	long timeout_s;                    /* of all of it; 0: none but the stall's */
	bool is_downgrade_allowed;         /* https may redirect to http */
};

/* Why there was no reply. */
enum http_failure {
	HTTP_ANSWERED,
	HTTP_NAMELESS,    /* the host's name means nothing: unreachable, too */
	HTTP_UNREACHABLE, /* no connection, no trust */
	HTTP_BROKEN,      /* a connection, but no whole reply: it may go better next time */
	HTTP_ENDED,       /* by on_head, on_body or a limit: the error is theirs */
};

static inline bool http_is_unreachable(enum http_failure f)
{
	return f == HTTP_NAMELESS || f == HTTP_UNREACHABLE;
}

struct http;
struct http *http_new(const struct http_options *opt);
void http_free(struct http *h);

/* 0: a reply, of whatever status. -errno: *err says why, *ret_failure what kind. The response is to be
 * freed in both cases. */
int http_send(struct http *h, const struct http_request *req, struct http_response *ret, enum http_failure *ret_failure,
	      struct error *err);
void http_response_done(struct http_response *r);
/* The first one of that name; NULL: none. */
const char *http_header(const struct http_response *r, const char *name);

/* `where` may be absolute, or a path, relative to `base`: malloc'd; NULL: it is no URL of http or https. */
char *http_resolve(const char *base, const char *where);
/* Same scheme, host and port. */
bool http_is_same_origin(const char *a, const char *b);

#endif
