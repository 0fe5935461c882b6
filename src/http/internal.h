/* What the files of the HTTP layer share. Only here is microhttpd.h seen. */
#ifndef SOCKERLESS_HTTP_INTERNAL_H
#define SOCKERLESS_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "http/request.h"
#include "http/route.h"
#include "http/server.h"
#include "util/buf.h"
#include "util/list.h"

struct http_server {
	struct http_config config;
	struct MHD_Daemon *mhd;
	uv_poll_t mhd_poll, watch_poll;
	uv_timer_t timer;
	uv_idle_t kick;
	int watch_fd;             /* epoll of EPOLLRDHUP: microhttpd sees no client leave while suspended */
	struct list listeners, requests, hijacks;
	bool is_stopping;
	unsigned handles;
	void (*done)(void *arg);
	void *done_arg;
	struct http_counters counters;
	struct { const struct constant_reply *key; struct MHD_Response *response; } constant[4]; /* made so far */
};

/* One connection inside microhttpd; its socket context. */
struct connection {
	struct http_server *server;
	struct request *request;  /* the current one */
	int fd;
};

struct query { char *key, *value; };

enum body_kind { BODY_NONE, BODY_JSON, BODY_STREAM };

struct request {
	struct list link;
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct connection *connection;
	char *target;             /* raw, as sent */
	char *method, *path;
	int version;
	struct route_match match;
	struct query *queries;
	size_t nqueries;
	struct buf body;
	json_t *json;
	bool was_seen, was_called, is_body_done, is_body_paused, is_too_large;
	bool is_suspended, is_gone, is_answered, is_complete, may_send, is_waiting_for_gate;
	void (*on_data)(void *arg, const void *data, size_t len);
	void (*on_end)(void *arg, int result);
	void *body_arg;
	void (*gone)(void *arg);
	void *gone_arg;
	/* the reply */
	struct MHD_Response *response;
	bool is_response_shared;  /* the server's own: reply_constant */
	int status;
	struct { char *name, *value; } headers[16];
	size_t nheaders;
	struct reply_stream *stream;
	void (*hijack_ready)(void *arg, struct stream *s);
	void *hijack_arg;
};

/* router.c */
/* Percent-decodes n bytes; what is no escape stays. malloc'd, with a NUL (and perhaps others inside). Pure. */
char *http_decode(const char *text, size_t n, bool plus_is_space);

/* request.c */
/* In the server's list, to be freed by request_maybe_free. */
struct request *request_new(struct http_server *s, const char *target);
/* Fills version, path and queries from target. Pure. */
void request_parse_target(struct request *req);
/* Last reference: when microhttpd is done with it and it has been answered. */
void request_maybe_free(struct request *req);
/* Lets microhttpd go on with a suspended connection, at the loop's next turn. */
void request_resume(struct request *req);
/* The client has left before the reply. */
void request_set_gone(struct request *req);

/* reply.c */
/* Queues what has been answered, if the gate lets it. */
enum MHD_Result reply_queue(struct request *req);
/* Any answer goes through here or reply.c's answer(): {"message": …}. */
void reply_message(struct request *req, int status, const char *message);
void replies_free_constant(struct http_server *s);

/* stream.c */
struct reply_stream;
struct reply_stream *reply_stream_new(struct request *req);
struct stream *reply_stream_base(struct reply_stream *rs);
struct MHD_Response *reply_stream_response(struct reply_stream *rs);
void reply_stream_closed(struct reply_stream *rs);
void reply_stream_abort(struct reply_stream *rs);

/* hijack.c */
struct MHD_Response *hijack_response(struct request *req);
void hijack_close_all(struct http_server *s);

/* server.c */
void server_kick(struct http_server *s);

#endif
