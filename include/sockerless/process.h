/* Execution of your own where the sandbox sits: a factory makes processes, each
 * process answers for itself. The factory stands before the sandbox in the driver
 * chain and is asked for every container that is started; what it declines goes on
 * to the sandbox. (A whole driver: sockerless/driver.h.)
 *
 * Everything here is called, and calls back, on the loop thread only; nothing
 * may block. Work of other threads comes in by sockerless_server_post. A slot
 * that may be NULL says so. Strings and arrays in arguments are borrowed for the
 * call. Functions that return int answer 0 or a negative errno. */
#ifndef SOCKERLESS_PROCESS_H
#define SOCKERLESS_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include <sockerless/base.h>

SOCKERLESS_BEGIN

enum { SOCKERLESS_DECLINED = 1 }; /* nothing was touched: somebody else may run it */

struct sockerless_mount {
	size_t size;
	const char *source; /* on the host: a directory or file; "tmpfs" */
	const char *target; /* absolute, in the container */
	int is_readonly;
};

struct sockerless_process_spec {
	size_t size;
	const char *container_id, *container_name, *image; /* the image as it was asked for */
	const char *const *argv, *const *env;              /* NULL-terminated */
	const char *cwd, *hostname;
	uint32_t uid, gid;
	int is_tty, has_stdin;
	uint16_t rows, columns;                            /* of the terminal, 0: not known */
	/* The container's root: a read-only directory, and over it the container's own (overlayfs-like,
	 * as docs/rootfs.md writes down). */
	const char *root_lower, *root_upper;
	const struct sockerless_mount *const *mounts;      /* NULL-terminated; NULL for an exec */
	uint64_t memory_bytes;                             /* 0: no limit */
	uint32_t pids_max;     /* 0: no limit */
};

struct sockerless_process_stats {
	size_t size;
	uint64_t cpu_user_ns, cpu_system_ns, memory_bytes, memory_peak_bytes;
	uint32_t pids;
};

struct sockerless_process_row { /* a line of docker top */
	size_t size;
	uint32_t pid, ppid, uid;
	int64_t started_ns;     /* wall clock */
	uint64_t cpu_ns, memory_bytes;
	const char *command;
};

/* Whom a process tells what happens to it. */
struct sockerless_process_listener {
	size_t size;
	void (*output)(void *arg, int stream, const void *data, size_t len); /* 1: stdout or terminal, 2: stderr; copied */
	void (*stdin_drained)(void *arg); /* after write_stdin answered 1 */
};

struct sockerless_container_process_ops {
	size_t size;

	/* `exited` must be called once, after the last output: code 0–255, 128 + n for a signal. It may be
	 * called from within. */
	int (*wait)(void *process, void (*exited)(void *arg, int code), void *arg);
	int (*signal)(void *process, int signo);
	/* What the process wrote to stdout before anybody subscribed; asked once, right before subscribe.
	 * May be NULL. */
	const void *(*log_bytes)(void *process, size_t *ret_len);
	/* From here on output goes to the listener. It is valid until close. */
	int (*subscribe)(void *process, const struct sockerless_process_listener *listener, void *arg);
	/* 0; 1: taken, but send no more before stdin_drained; -EPIPE. Both may be NULL: no stdin. */
	int (*write_stdin)(void *process, const void *data, size_t len);
	void (*close_stdin)(void *process);
	/* A further process in the container (docker exec), and a shell at a terminal: an exec with a terminal
	 * whose command is_shell_command. May be NULL: refused; without interactive_shell run_exec gets
	 * those too. The process made is an object of its own. */
	int (*run_exec)(void *process, const struct sockerless_process_spec *spec,
			const struct sockerless_container_process_ops **ret_ops, void **ret_process,
			struct sockerless_error *err);
	int (*interactive_shell)(void *process, const struct sockerless_process_spec *spec,
				 const struct sockerless_container_process_ops **ret_ops, void **ret_process,
				 struct sockerless_error *err);
	int (*stats)(void *process, struct sockerless_process_stats *ret); /* may be NULL: all zero */
	/* Calls `row` for every process. May be NULL: docker top is refused. */
	int (*top)(void *process, void (*row)(void *arg, const struct sockerless_process_row *r), void *arg);
	/* A host directory that is the container's root while it runs: docker cp and export work on it. NULL,
	 * as slot or answer: they work on root_upper over root_lower. */
	const char *(*root_path)(void *process);
	/* The process may be forgotten; nothing of the listener or `exited` may be called any more. A
	 * process that still runs is to be killed. */
	void (*close)(void *process);

	int (*resize)(void *process, uint16_t rows, uint16_t columns); /* may be NULL */
	int (*pause)(void *process); /* both may be NULL: refused */
	int (*unpause)(void *process);
	int (*flow)(void *process, int is_open); /* stop, go on giving output; may be NULL: output is queued */
	int (*host_pid)(void *process); /* State.Pid of inspect; may be NULL: 0 */
};

struct sockerless_process_factory_ops {
	size_t size;
	const char *name; /* [a-z0-9-]+; inspect and events show it, docker run --runtime takes it */

	/* A container's main process. 0: it is made, and runs or is about to; SOCKERLESS_DECLINED; -ENOENT: no
	 * such command (exit code 127), -EACCES: not to be executed (126), else 128. *err may say more. */
	int (*new_process)(void *ctx, const struct sockerless_process_spec *spec,
			   const struct sockerless_container_process_ops **ret_ops, void **ret_process,
			   struct sockerless_error *err);
	/* Does the command line begin a shell that somebody types into? May be NULL: no. */
	int (*is_shell_command)(void *ctx, const char *const *argv);
	/* A container was removed: forget what was kept for it. May be NULL. */
	void (*container_removed)(void *ctx, const char *container_id);
	/* The server stops, or another factory has taken its place; every process was closed before. May be NULL. */
	void (*close)(void *ctx);
};

SOCKERLESS_END

#endif
