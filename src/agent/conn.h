/* One WebSocket between daemon and agent over a socket that is open: messages in and out, pings, the end.
 * Loop thread only. Used by both sides, so by the static agent too. */
#ifndef SOCKERLESS_AGENT_CONN_H
#define SOCKERLESS_AGENT_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>
#include <uv.h>

#include "agent/ws.h"

enum { CONN_PING_MS = 10000, CONN_DEAD_MS = 30000 };
#define CONN_HIGH (128u << 10)  /* bulk stops above: what others send must not wait behind it */
#define CONN_QUEUE_MAX (64u << 20)

struct agent_conn;

struct agent_conn_events {
	void (*message)(void *arg, bool is_binary, const void *data, size_t len); /* borrowed bytes */
	void (*drained)(void *arg);  /* the queue has emptied after having been full */
	void (*closed)(void *arg, const char *reason); /* once, from the loop, never from within a call; the last call */
};

/* Takes a connected stream socket whose handshake is over; `early`: what came with it. -errno: nothing was taken. */
int agent_conn_new(uv_loop_t *loop, int take_fd, bool is_server, const void *early, size_t early_len,
		   const struct agent_conn_events *events, void *arg, struct agent_conn **ret);
/* Bytes that go before the first frame: a server's answer to the handshake. */
void agent_conn_preface(struct agent_conn *c, const char *text);

/* Queue a copy. After the end they do nothing. */
void agent_conn_send_json(struct agent_conn *c, json_t *take_message);
void agent_conn_send_text(struct agent_conn *c, const char *text, size_t len);
void agent_conn_send_binary(struct agent_conn *c, const void *head, size_t head_len, const void *data, size_t len);

bool agent_conn_is_full(const struct agent_conn *c);
size_t agent_conn_queued(const struct agent_conn *c);
/* Stops reading: for peers that know no flow control. */
void agent_conn_pause(struct agent_conn *c, bool is_paused);
void agent_conn_set_events(struct agent_conn *c, const struct agent_conn_events *events, void *arg);
/* What is queued goes, then a close frame with this status; `closed` comes. Later calls do nothing. */
void agent_conn_close(struct agent_conn *c, int status, const char *reason);
/* At once and silently: no `closed`, the object is gone for the caller. Takes NULL. */
void agent_conn_drop(struct agent_conn *c);

#endif
