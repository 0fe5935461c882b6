/* What the files of the agent program share. One thread, one loop. */
#ifndef SOCKERLESS_AGENT_PROGRAM_AGENT_H
#define SOCKERLESS_AGENT_PROGRAM_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <jansson.h>
#include <uv.h>

#include "agent/conn.h"
#include "agent/flow.h"
#include "agent/handshake.h"
#include "agent/message.h"
#include "util/error.h"
#include "util/list.h"

/* ---- process.c: one child, its streams, its end ---- */

struct child_spec {
	char **argv, **env;     /* env NULL: the agent's own */
	const char *cwd;        /* NULL: where the agent is */
	bool tty, has_stdin, has_user;
	unsigned rows, cols;
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t ngroups;
	struct {
		int resource;
		uint64_t soft, hard;
	} rlimits[16];
	size_t nrlimits;
	/* Instead of argv: a function of ours in a child of ours; what it answers is the exit code. */
	int (*run)(void *ctx);
	void *ctx;
};

struct child_events {
	void (*output)(void *arg, enum frame_kind kind, const void *data, size_t len);
	void (*exited)(void *arg, int code); /* once, after the last output */
	void (*reaped)(void *arg); /* before that: it has ended, its streams may be others' still; may be NULL */
	void (*stdin_written)(void *arg, size_t len); /* also of what nobody will read */
};

struct child;
/* 0; else -errno with *err, and *ret_code what a shell would answer (126, 127). */
int child_start(uv_loop_t *loop, const struct child_spec *spec, const struct child_events *events, void *arg,
		struct child **ret, int *ret_code, struct error *err);
pid_t child_pid(const struct child *c); /* 0 when it has ended */
int child_signal(struct child *c, int signo);
void child_write(struct child *c, const void *data, size_t len); /* takes a copy */
void child_close_stdin(struct child *c); /* after what is queued */
void child_resize(struct child *c, unsigned rows, unsigned cols);
void child_flow(struct child *c, bool is_open); /* output is read or waits */
/* No events any more. What runs is killed when `kill` says so. Takes NULL. */
void child_free(struct child *c, bool kill);
/* SIGCHLD: reaps whatever has ended, children of ours or orphans. */
void children_reap(void);
/* CPU time of all that was reaped, in nanoseconds. */
void children_reaped_times(uint64_t *ret_user_ns, uint64_t *ret_system_ns);

/* ---- tree.c: the processes around us ---- */

json_t *tree_top(void); /* [{pid, ppid, uid, …}] without the agent itself */
json_t *tree_stats(void);
void tree_signal(int signo); /* every one but ourselves */
void tree_pause(bool is_pause);
/* Calls for every one but ourselves, until a round finds nobody new: they may fork meanwhile, and what is done to a process
 * is to hold for its children. False: `each` has answered so, or there is no end to it. */
bool tree_each(bool (*each)(void *arg, int pid), void *arg);
void tree_end_session(int session); /* of our descendants those in a session of the system's (setsid) */

/* ---- files.c: docker cp; each runs in a child of its own ---- */

struct files_request {
	char op; /* s: stat, g: get, p: put */
	char *path;
	bool no_overwrite_dir_non_dir, has_owner, is_gzip;
	uid_t uid;
	gid_t gid;
};
int files_run(void *request); /* stdin and stdout carry the tar or the JSON; stderr says what is wrong */

/* ---- session.c ---- */

struct peer;
struct session;

struct agent {
	uv_loop_t *loop;
	struct list sessions, peers;
	struct main_process *main; /* NULL: none was started */
	char *token; /* NULL: none is asked for */
	char instance[TOKEN_LEN + 1]; /* tells this agent from another one with the same token */
	bool is_reverse, is_ending;
	rlim_t files_limit; /* of what it runs; the agent itself takes what it can get */
	unsigned grace_ms, linger_ms;
	uv_timer_t lonely; /* nobody is connected */
	uv_signal_t chld, term, intr;
	int exit_code;
};
extern struct agent agent;

/* --keep-alive -- cmd… */
int main_start(char **argv, int *ret_code, struct error *err);
/* {"pid", "exited", "exitCode"} into `o` when there is a main process. */
void main_describe(json_t *o);
void main_signal(int signo);
bool main_is_over(void); /* it has ended */
void main_maybe_end(void); /* the agent's end, when the main process's has been told to whom it concerns */
void sessions_forget_away(void); /* whose daemon has not come back */

/* Ends the program: whatever still runs is killed. */
void agent_finish(int exit_code) __attribute__((noreturn));

/* One connection to a daemon. */
struct peer *peer_new(int take_fd, bool is_server, bool has_protocol, const void *early, size_t early_len,
		      void (*gone)(void *arg, const char *reason), void *arg, struct error *err);
/* A server's answer to the handshake, before anything else. */
void peer_welcome(struct peer *p, const char *response);
void peers_changed(void); /* one came or went: the clock of loneliness */

/* ---- serve.c, dial.c ---- */
/* certificate NULL: without TLS. */
int serve_open(const char *addr, const char *certificate, const char *key, struct error *err);
/* authorities: a file: who vouches for a daemon at wss://; NULL: the system's. */
int dial_open(const char *url, const char *authorities, struct error *err);

/* ---- native.c ---- */
int native_main(int argc, char **argv);
/* limits.c: control groups of a native container, out of the environment of launchers (docs/agents.md). `id`: its own. */
void limits_make(const char *id);
/* Other limits, while it runs. -errno: `why` says what is in the way, and those of before hold. */
struct control_limits; /* agent/control.h */
int limits_change(const struct control_limits *l, char *why, size_t size);
void limits_enter(void); /* the calling process, and whom it starts from now on */
bool limits_end(void); /* removes them; true: memory has run out in them */
void limits_forget(const char *id); /* those that a killed helper left */
/* guard.c: runs proot. */
int guard_main(char **argv);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* a line on stderr */

#endif
