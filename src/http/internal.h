/* What the files of the HTTP layer share. Only here is microhttpd.h seen. */
#ifndef SOCKERLESS_HTTP_INTERNAL_H
#define SOCKERLESS_HTTP_INTERNAL_H

#include <microhttpd.h>

#include "http/request.h"
#include "http/route.h"
#include "http/server.h"
#include "util/buf.h"
#include "util/list.h"

/* Whom an event of the watch belongs to. */
struct watched {
	void (*event)(struct watched *w, uint32_t events);
};

/* Something that ends unless it gets on. */
struct timed {
	struct list link;         /* of the server's `timed`; linked: the clock runs */
	uint64_t at_ms;
	void (*expired)(struct timed *t);
};

struct http_server {
	struct http_config config;
	struct MHD_Daemon *mhd;
	uv_poll_t watch_poll;
	uv_timer_t sweep;
	uv_idle_t kick;
	int watch_fd;             /* epoll over every connection, and over microhttpd's own epoll */
	struct list listeners, wraps, connections, lingers, requests, hijacks, timed;
	struct list readable;     /* connections with bytes that microhttpd may read in the next turn */
	struct list over;         /* favoured ones whose request is over */
	struct websockets *websockets; /* NULL: none was ever asked for */
	bool is_draining, is_stopping;
	struct connection *adopted; /* while microhttpd is being given it */
	uint64_t turn;            /* counts runs of microhttpd */
	unsigned nlingers;
	char *peek;               /* room for the largest head */
	unsigned handles;
	void (*done)(void *arg);
	void *done_arg;
	struct http_counters counters;
	struct {
		const struct constant_reply *key;
		struct MHD_Response *response;
	} constant[4]; /* made so far */
};

enum connection_state {
	CONNECTION_HEAD,          /* ours: the first head is not complete */
	CONNECTION_IDLE,          /* microhttpd's, and no request has begun */
	CONNECTION_BUSY,          /* microhttpd's, with a request */
	CONNECTION_AWAY,          /* microhttpd is about to let it go */
};

/* One connection from accept to close; inside microhttpd its socket context. */
struct connection {
	struct watched watched;
	struct timed timed;
	struct list link, readable, over;
	struct http_server *server;
	struct MHD_Connection *mhd; /* NULL: not yet inside */
	struct request *request;  /* the current one */
	enum connection_state state;
	int fd;
	bool is_at_end;           /* the client sends no more */
	bool is_favoured;         /* has a time-out of its own */
	bool is_local;            /* a Unix socket: half a close is no leaving */
	uint64_t idle_turn, bytes_turn; /* when the last request ended, and for which turn the last bytes came */
};

struct query {
	char *key, *value;
};

enum body_kind { BODY_NONE, BODY_JSON, BODY_STREAM };

struct request {
	struct list link;
	struct http_server *server;
	struct MHD_Connection *mhd;
	struct connection *connection;
	char *target;             /* raw, as sent */
	char *method, *path;
	int version;
	char *version_said;       /* "1.43"; NULL: none */
	struct route_match match;
	struct query *queries;
	size_t nqueries;
	struct buf body;
	json_t *json;
	bool was_seen, was_called, is_body_done, is_body_paused, is_too_large;
	bool is_1_0, has_body, expects_continue, is_cut; /* cut: answered by hand, what still comes is discarded */
	uint64_t discarded;       /* bytes of the body that nobody wanted */
	bool is_suspended, is_gone, is_answered, is_complete, is_ending, may_send, is_waiting_for_gate;
	void (*on_data)(void *arg, const void *data, size_t len);
	void (*on_end)(void *arg, int result);
	void *body_arg;
	void (*gone)(void *arg);
	void *gone_arg;
	/* the reply */
	struct MHD_Response *response;
	bool is_response_shared;  /* the server's own: reply_constant */
	const char *text;         /* a plain reply's body: the response's */
	size_t text_len;
	int status;
	struct {
		char *name, *value;
	} headers[16];
	size_t nheaders;
	struct reply_stream *stream;
	void (*hijack_ready)(void *arg, struct stream *s);
	void *hijack_arg;
	bool is_websocket, is_binary;
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
/* The reply's own headers so far. */
void request_forget_headers(struct request *req);
void request_resume(struct request *req);
/* The client has left before the reply. */
void request_set_gone(struct request *req);

/* reply.c */
enum { REPLY_FIXED = 3 };
extern const struct reply_field {
	const char *name, *value;
} reply_fixed[REPLY_FIXED];
/* Queues what has been answered, if the gate lets it. */
enum MHD_Result reply_queue(struct request *req);
/* Any answer goes through here or reply.c's answer(): {"message": …}. */
void reply_message(struct request *req, int status, const char *message);
void replies_free_constant(struct http_server *s);
/* The connection leaves microhttpd without an answer of its: `ready` as of reply_hijack. */
void reply_raw(struct request *req, void (*ready)(void *arg, struct stream *s), void *arg);

/* stream.c */
struct reply_stream;
struct reply_stream *reply_stream_new(struct request *req);
struct stream *reply_stream_base(struct reply_stream *rs);
struct MHD_Response *reply_stream_response(struct reply_stream *rs);
void reply_stream_closed(struct reply_stream *rs);
void reply_stream_abort(struct reply_stream *rs);
/* From now on nothing leaves before the gate lets it; what it refuses becomes an error line, and the end. Copies the gate. */
void reply_stream_hold(struct reply_stream *rs, const struct http_gate *gate);
bool reply_stream_is_ended(const struct reply_stream *rs); /* all has been written to it */

/* hijack.c */
struct MHD_Response *hijack_response(struct request *req);
/* For a client that asked for no upgrade: 200 and the raw connection. */
void hijack_by_hand(struct request *req);
void hijack_close_all(struct http_server *s);
size_t hijack_unsent(const struct http_server *s); /* those that have ended, and whose bytes have not gone yet */

/* websocket.c */
/* The answer may go: libwebsockets makes it. */
void websocket_begin(struct request *req);
/* How many handles of the server's are still to be closed: server_handle_closed tells. */
unsigned websockets_close_all(struct http_server *s);
size_t websockets_count(const struct http_server *s);

/* access.c: microhttpd's callbacks */
void *access_target(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result access_handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
			      const char *version, const char *data, size_t *len, void **con_cls);
void access_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why);
/* The answer is there and may go, but the body is still coming: it goes past
 * it, now or when the body takes too long. */
void access_answered_early(struct request *req, bool is_now);

/* accept.c */
void accept_forget_wraps(struct http_server *s);

/* connection.c */
/* A new descriptor that speaks HTTP. */
void connection_new(struct http_server *s, int take_fd);
void connection_notify(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code);
/* It has bytes for microhttpd, new ones or kept back ones. */
void connection_goes_on(struct connection *c);
void connection_request_begins(struct connection *c, struct request *req);
void connection_request_ends(struct connection *c);
/* Before microhttpd's connection is resumed. */
void connection_favour(struct connection *c);
/* microhttpd finds fault, in a log line: with whom, and an answer of ours. */
void connection_blame(struct http_server *s, int status);
/* When microhttpd has read all: heads that have begun and not come to their end. */
void connection_after_turn(struct http_server *s);
void connection_close_all(struct http_server *s);
/* Those without a request; the others close when theirs has been answered. */
void connection_drain_all(struct http_server *s);

/* refuse.c: answers past microhttpd, for connections that end with them */
struct head_verdict;
/* Queues what fits; the client may still be sending. */
void refuse_send(struct http_server *s, int fd, int status, const char *message);
/* The request's own plain answer. */
void refuse_send_reply(struct request *req);
/* No more from us; reads and drops what still comes, for a while, and closes:
 * closed at once, the client's write fails before it has seen the answer. */
void refuse_linger(struct http_server *s, int take_fd);
void refuse_close_all(struct http_server *s);

/* server.c */
void server_kick(struct http_server *s);
void server_handle_closed(struct http_server *s);
void timed_start(struct http_server *s, struct timed *t, unsigned ms);
void timed_stop(struct timed *t);
/* One or the other for ever: `fd` is watched, edge-triggered or by level. */
int server_watch(struct http_server *s, int fd, struct watched *w, uint32_t events);
void server_unwatch(struct http_server *s, int fd);

#endif
