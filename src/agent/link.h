/* The daemon's side of one agent: sessions on it, over however many connections they live through.
 * Loop thread only. Events never come from within a call, but for those of agent_link_free. */
#ifndef SOCKERLESS_AGENT_LINK_H
#define SOCKERLESS_AGENT_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "util/error.h"

struct agent_link;
struct agent_session;

enum { LINK_LOST_CODE = 255 }; /* the exit code where nobody knows the true one; `reason` says why */

struct agent_link_events {
	/* It is connected, for the first time or again. hello: what our own agent says of itself; NULL: a plain one. */
	void (*up)(void *arg, json_t *hello);
	/* The connection has ended. Sessions of our own agent live on until the grace is over. */
	void (*down)(void *arg, const char *reason);
	/* The grace is over: every session has been told its end. */
	void (*lost)(void *arg, const char *reason);
};

struct agent_link *agent_link_new(uv_loop_t *loop, unsigned grace_ms, const struct agent_link_events *events, void *arg);
/* Takes a connection after its handshake, in place of an older one. `early`: bytes that came with it; `preface`: what is
 * sent first (NULL: nothing). */
int agent_link_connect(struct agent_link *l, int take_fd, bool is_server, bool is_ours, const char *preface,
		       const void *early, size_t early_len);
bool agent_link_is_up(const struct agent_link *l);
bool agent_link_is_ours(const struct agent_link *l); /* of the last connection: it speaks our subprotocol */
/* The agent is to end, and everything that runs there. What is told is told no more. Takes NULL. */
void agent_link_free(struct agent_link *l, bool ends_agent);

struct agent_session_events {
	void (*started)(void *arg, int pid);
	void (*failed)(void *arg, int exit_code, const char *message); /* instead of started and all others */
	void (*output)(void *arg, int stream, const void *data, size_t len);
	void (*exited)(void *arg, int code, const char *reason); /* reason NULL: the true one */
	void (*drained)(void *arg); /* stdin has room again */
};

/* message: {"type": "exec" | "attach" | "files", …} without id and channel. Sent now or when it is up. NULL: too many. */
struct agent_session *agent_session_open(struct agent_link *l, json_t *take_message,
					 const struct agent_session_events *events, void *arg);
int agent_session_stdin(struct agent_session *s, const void *data, size_t len); /* 0; 1: stop until drained; -EPIPE */
void agent_session_close_stdin(struct agent_session *s);
int agent_session_signal(struct agent_session *s, int signo); /* -ESRCH: it has ended */
void agent_session_resize(struct agent_session *s, unsigned rows, unsigned cols);
void agent_session_flow(struct agent_session *s, bool is_open);
/* No events any more; what runs is killed. Takes NULL. */
void agent_session_release(struct agent_session *s);

/* top, stats, pause, unpause. -ENOTCONN; else `done` once, value NULL with err set when it was lost. */
int agent_link_query(struct agent_link *l, const char *what,
		     void (*done)(void *arg, json_t *value, const struct error *err), void *arg);

#endif
