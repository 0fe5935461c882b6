/* Sessions: a process, or the main process, as one daemon sees it. What peer.c asks and session.c does. */
#ifndef SOCKERLESS_AGENT_PROGRAM_SESSION_H
#define SOCKERLESS_AGENT_PROGRAM_SESSION_H

#include "agent/program/agent.h"

/* One connection. In our subprotocol (`is_ours`) its sessions outlive it, until the daemon comes back for them. */
struct peer {
	struct list link;       /* agent.peers */
	struct list waiting;    /* sessions with something to send */
	struct session **channels; /* by number, of our subprotocol */
	size_t nchannels;
	struct agent_conn *conn;
	bool is_ours, is_resumed;
	char *daemon;           /* who it is, by its resume; NULL: not said */
	void (*gone)(void *arg, const char *reason);
	void *arg;
};

struct session {
	struct list link;       /* agent.sessions */
	struct list waiting;    /* of the peer, when linked */
	struct list attached;   /* of the main process, when linked */
	struct peer *peer;      /* NULL: away */
	char *id, *daemon;      /* daemon NULL: a plain peer's */
	uint32_t channel;
	bool is_ours, is_main, has_exited, is_exit_told;
	bool is_whole; /* a container's main process on an agent that serves several: all of it ends with it */
	int pid;
	struct child *child; /* its own; NULL: attached to the main process, or ended */
	struct flow_out out;
	struct flow_in in;
	uint64_t nsignals; /* the daemon numbers them: those that came */
	int code;
	uint64_t away_ms;
};

/* The message is the peer's; answers go to it. */
void session_exec(struct peer *p, const struct message *m);
void session_attach(struct peer *p, const struct message *m);
void session_files(struct peer *p, const struct message *m);
struct session *session_find(struct peer *p, const char *id);
struct session *session_by_channel(struct peer *p, uint32_t channel);
void session_stdin(struct session *s, const void *data, size_t len);
void session_close_stdin(struct session *s);
void session_signal(struct session *s, int signo);
void session_resize(struct session *s, unsigned cols, unsigned rows);
/* Sends what may be sent, and lets the process write on, or not. */
void session_pump(struct session *s); /* a plain peer's may be freed by it */
void session_update_flow(struct session *s);
bool session_is_open(const struct session *s); /* may its process write on? */
void session_output(struct session *s, enum frame_kind kind, const void *data, size_t len);
void session_exited(struct session *s, int code); /* which may free it */
void session_stdin_written(struct session *s, size_t len);
void session_resume(struct peer *p, json_t *sessions);
/* Its connection has ended. */
void session_away(struct session *s);
void session_free(struct session *s, bool kill);

void peer_error(struct peer *p, const char *id, int code, const char *message);

/* main.c's: the main process. */
struct child *main_child(void);
/* Replays what it has written; tells its exit when that was. */
void main_attach(struct session *s);
void main_detach(struct session *s);
void main_flow(void);
void main_other_ended(void); /* a session's own process has ended */
bool sessions_are_over(void); /* none has a process of its own that runs */
/* The session is the first word of a daemon about a main process of its own: it runs as one. */
int main_adopt(struct session *s, const struct child_spec *spec, int *ret_code, struct error *err);
#endif
