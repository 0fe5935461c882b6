/* The daemon's side of the sandbox, on libuv: starts the zygote, makes one
 * supervisor per running container, starts processes in it, and tells how
 * they end. Knows nothing of images, Docker or the store.
 *
 * Thread: loop. Blocks: never; what the
 * sockets do not take at once is queued. Callbacks run on the loop, never
 * from inside the call that names them; where a call returns an error its
 * callback never runs. Every accepted request is answered exactly once, with
 * -ECONNRESET if the container's supervisor goes away first (but see free).
 *
 * The order of one container: new, setup, spawn(main), then execs, signals,
 * pause, top, stats; free. Requests may be sent without waiting for earlier
 * answers (the supervisor works in order): new + setup + spawn in one go is
 * the fast way; when setup fails, the later answers fail too. */
#ifndef SOCKERLESS_SANDBOX_CLIENT_H
#define SOCKERLESS_SANDBOX_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "sandbox/limits.h"
#include "sandbox/proctable.h"
#include "sandbox/wire.h"
#include "util/error.h"

/* ---- the zygote: one per daemon ---- */

struct sandbox;

struct sandbox_options {
	const char *program; /* path of sockerless-sandbox; copied */
	/* Runs once if the zygote ends by itself (killed, crashed): running
	 * containers go on, new ones fail with -ECONNRESET until the owner
	 * stops this one and starts another. May be NULL. */
	void (*on_end)(void *ctx);
	void *ctx;
};

/* Starts the program with its socket on fd 3. Returns 0 or -errno (-ENOENT,
 * -EACCES: no such program). */
int sandbox_start(uv_loop_t *loop, const struct sandbox_options *options, struct sandbox **ret, struct error *err);
/* Closes the socket: the zygote kills everything below it and ends. `done`
 * (may be NULL) runs when it has been reaped (SIGKILL after 2 s) and the
 * handles are closed; `sb` is freed then. Takes NULL (done runs never).
 * Free all containers first. */
void sandbox_stop(struct sandbox *sb, void (*done)(void *ctx), void *ctx);

/* ---- a container that is running or about to ---- */

struct sandbox_container;

struct sandbox_container_events {
	/* The supervisor has gone, as after every main process's end or when
	 * something killed it. By then every process has been reported as
	 * exited (those it did not report itself: status SIGKILL) and every
	 * request answered. The container may be freed inside. May be NULL. */
	void (*on_gone)(void *ctx);
};

/* Makes the process table and asks the zygote
 * for a supervisor. `id` ≤ 64 bytes, shown to `ps` on the host. */
int sandbox_container_new(struct sandbox *sb, const char *id, const struct sandbox_container_events *events, void *ctx,
			  struct sandbox_container **ret, struct error *err);
/* Ends the connection; whatever still runs in the container is killed. None
 * of its callbacks run any more, also not for open requests. Takes NULL; may
 * be called inside any of its callbacks. */
void sandbox_container_free(struct sandbox_container *c);

struct sandbox_ready {
	int error;           /* 0, or -errno */
	const char *message; /* why, when error is set; else "" */
	int32_t supervisor_pid;
};

/* Hands over the description. `setup` and what it points to, and `fds` (the
 * network's and each mount's in wire.h's order, without the table's) are borrowed for the
 * call; the fds are duplicated where they must wait. setup->hostname,
 * domainname and limits also go into the table. */
int sandbox_container_setup(struct sandbox_container *c, const struct wire_setup *setup, const int *fds, size_t nfds,
			    void (*done)(void *ctx, const struct sandbox_ready *ready), void *ctx, struct error *err);

struct sandbox_started {
	int error;           /* 0: the guest program runs. Else nothing runs, on_exited will not be
	                        called, and message is Docker's text: -ENOENT "exec: \"x\": executable
	                        file not found in $PATH" (127), -EACCES and others (126) */
	const char *message;
	uint32_t vpid;       /* pid inside */
	int32_t host_pid;
};

struct sandbox_process_events {
	void (*on_started)(void *ctx, const struct sandbox_started *started);
	/* Once for every process that was started, after on_started. `status`
	 * is wait(2)'s; flags WIRE_EXIT_*. For the main process: nothing of
	 * the container runs any more, and all execs were reported before. */
	void (*on_exited)(void *ctx, int status, uint32_t flags);
	/* The main process's only: the limit of memory has killed a process of the container. May be NULL. */
	void (*on_oom)(void *ctx);
};

/* Starts the main process (spawn->is_main, once, first) or an exec.
 * `spawn` and `fds` (tty: [slave], else [stdin, stdout, stderr]) are
 * borrowed for the call. *ret_tag names the process for signals. */
int sandbox_container_spawn(struct sandbox_container *c, const struct wire_spawn *spawn, const int *fds, size_t nfds,
			    const struct sandbox_process_events *events, void *ctx, uint64_t *ret_tag, struct error *err);

/* error: 0 or -errno (-ESRCH: that process has ended). */
typedef void (*sandbox_done_fn)(void *ctx, int error);

/* tag 0: the main process. flags: WIRE_SIGNAL_ALL. As on Linux, the main
 * process does not feel signals that it has no handler for, but KILL and
 * STOP. `done` may be NULL. */
int sandbox_container_signal(struct sandbox_container *c, uint64_t tag, int signo, uint32_t flags, sandbox_done_fn done,
			     void *ctx);
int sandbox_container_pause(struct sandbox_container *c, sandbox_done_fn done, void *ctx);
int sandbox_container_unpause(struct sandbox_container *c, sandbox_done_fn done, void *ctx);
/* Somebody else has written into its mounts: those with a size add up their files anew. */
void sandbox_container_recount(struct sandbox_container *c);
/* Of a running container, from now on. `done` may be NULL. */
int sandbox_container_limit(struct sandbox_container *c, const struct limits *limits, sandbox_done_fn done, void *ctx);

/* Interrupts what sleeps in a socket call of the container: the network's epoch has risen. */
void sandbox_container_wake(struct sandbox_container *c);

/* `processes` is borrowed for the call; sorted by vpid. */
int sandbox_container_top(struct sandbox_container *c,
			  void (*done)(void *ctx, int error, const struct wire_process *processes, size_t n), void *ctx);

struct sandbox_figures {
	uint64_t cpu_user_ns, cpu_system_ns; /* since the start, ended processes included */
	uint64_t memory_bytes, peak_bytes, memory_limit_bytes; /* 0: no limit */
	uint32_t pids;
	struct limits_figures limits;
};
int sandbox_container_stats(struct sandbox_container *c,
			    void (*done)(void *ctx, int error, const struct sandbox_figures *figures), void *ctx);

#endif
