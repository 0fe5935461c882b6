/* Launchers: scripts that start an agent somewhere (src/launchers, docs/agents.md). Which there are, which of them work
 * on this host, and their runs. Loop thread only. */
#ifndef SOCKERLESS_DRIVERS_LAUNCHERS_H
#define SOCKERLESS_DRIVERS_LAUNCHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "drivers/driver.h"

enum launcher_root { LAUNCHER_NONE, LAUNCHER_OVERLAY, LAUNCHER_COPY };
enum launcher_state { LAUNCHER_UNKNOWN, LAUNCHER_WORKS, LAUNCHER_FAILS };

struct launcher {
	char *name, *path;
	enum launcher_root root;
	bool is_remote; /* its agent connects to --agent-listen */
	bool is_alone; /* it works without a user namespace only */
	int grade; /* 0: never taken unless it is asked for */
	enum launcher_state state;
	char why[200]; /* it fails */
	int64_t failed_ns; /* when that was found; monotonic */
	bool is_wanted_again; /* its check is to be repeated; until then it fails */
};

struct launchers;
struct launchers_options {
	uv_loop_t *loop;
	const char *dirs; /* "DIR:DIR", the first that has a name wins */
	const char *agent_path, *data_root;
	const char *native; /* "auto", "none", or the name that images with native programs go to */
	const char *callback; /* what remote agents connect to: "ws://HOST:PORT"; may be NULL */
	const char *authorities; /* a file: who vouches for that, with wss://; may be NULL */
	unsigned again_ms; /* 0: a minute. So long images with native programs go by a check that failed */
};
/* Reads the directories; the checks begin at the first need. */
struct launchers *launchers_new(const struct launchers_options *o);
void launchers_free(struct launchers *ls); /* what runs is killed */

const struct launcher *launchers_find(const struct launchers *ls, const char *name);
const struct launcher *launchers_next(const struct launchers *ls, const struct launcher *after); /* NULL begins */
/* For native images: the best that works; NULL: none, or (*ret_is_known false) not known yet. Begins the checks; those that
 * failed a minute ago are repeated, beside what works meanwhile. */
const struct launcher *launchers_best(struct launchers *ls, bool *ret_is_known);
/* Is it known whether it works, as far as that matters to a container that asks for it: how to start it, in a user
 * namespace or without one? What failed is not, but for a second after its check. */
bool launchers_is_known(const struct launcher *l);
/* In words: where native images go, and why not to others. malloc'd. */
char *launchers_tell(struct launchers *ls);
/* Calls back once, now or later, when that is known of `l`; NULL: when the best is known. Not any more when the launchers
 * have been freed. */
void launchers_when_known(struct launchers *ls, const struct launcher *l, void (*known)(void *arg), void *arg);

/* ---- a run ---- */

/* The status of a run whose changes could not be taken into the container's layer (--native of the agent's). */
enum { LAUNCH_FAILED = 125 };

struct launch_end {
	int status, signo;
	bool is_oom; /* it had no memory left under its limit */
	const char *said; /* the end of what it wrote to stderr */
};

struct launch;
/* The agent of container `c` is started with this token. *ret_fd: the daemon's end of its connection, -1 for a remote
 * one. `exited`: once, later. */
struct launch *launch_start(struct launchers *ls, const struct launcher *l, const struct container *c,
			    const struct run_plan *plan, const char *token,
			    void (*exited)(void *arg, const struct launch_end *end), void *arg, int *ret_fd,
			    struct error *err);
int launch_pid(const struct launch *l);
bool launch_has_root(const struct launch *l); /* the container's files are changed outside of its layer */
/* Ends it: politely, then not. */
void launch_stop(struct launch *l);
/* What is asked of the helper that made its root (launch_has_root). Once, later: 0, or -errno (-EOPNOTSUPP for
 * what cannot be on this host) and why. */
typedef void (*launch_answered)(void *arg, int r, const char *why);
/* The changes so far are to be in the container's layer. */
void launch_take_changes(struct launch *l, launch_answered done, void *arg);
/* Other limits for what runs. ERROR_UNIMPLEMENTED for those that are set at the start alone; `done` comes not then. */
int launch_limit(struct launch *l, const struct limits *limits, launch_answered done, void *arg, struct error *err);
/* Nobody is told any more; it is killed. Takes NULL. */
void launch_drop(struct launch *l);

#endif
