/* A driver of your own in the chain: four vtables, as the server's own drivers
 * fill them. A process factory (sockerless/process.h) is less work and does for
 * most; a driver also answers for files, limits and for what takes time.
 *
 * The chain. A container that starts is offered to one driver after the other:
 * yours in the order they were added, the process factory, the sandbox, and the
 * last one, which refuses in words. A slot answers
 *
 *   0                     accepted: no other driver is asked
 *   SOCKERLESS_DECLINED   nothing was touched: the next driver is asked
 *   a negative errno      failed, and final: nobody else is asked; *err may say more
 *
 * A slot that is NULL declines, and so does a table that is NULL. Who accepted a
 * container's start is bound to it, and gets all that is asked of it afterwards; what
 * it then declines the client is told as not implemented, but for exec.start
 * (whoever comes after it in the chain is asked) and files (see there).
 *
 * Loop thread only, in both directions; nothing may block. Work of other threads
 * comes in by sockerless_server_post. Strings and arrays in arguments are borrowed
 * for the call. */
#ifndef SOCKERLESS_DRIVER_H
#define SOCKERLESS_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include <sockerless/process.h>

SOCKERLESS_BEGIN

/* ---- what a process tells: from the start slot on, until `release` ---- */

struct sockerless_sink;

/* One of these two comes first. Both may be told from within the slot that starts; clients hear of it after it has
 * returned 0, and never when it does not. failed: exit_code 127 (no such command), 126 (not to be executed), 128. */
SOCKERLESS_API void sockerless_sink_started(struct sockerless_sink *sink, int host_pid);
SOCKERLESS_API void sockerless_sink_failed(struct sockerless_sink *sink, int exit_code, const char *message);
/* After started. stream 1: stdout or a terminal's output; 2: stderr. Copied. */
SOCKERLESS_API void sockerless_sink_output(struct sockerless_sink *sink, int stream, const void *data, size_t len);
/* Once, after all output: 0–255, 128 + n for a signal. */
SOCKERLESS_API void sockerless_sink_exited(struct sockerless_sink *sink, int code);
/* The limit of memory has killed (one of) its processes. */
SOCKERLESS_API void sockerless_sink_oom(struct sockerless_sink *sink);
/* After write_stdin answered 1. */
SOCKERLESS_API void sockerless_sink_stdin_drained(struct sockerless_sink *sink);

/* ---- an answer that takes time ---- */

/* A slot that takes one and returns 0 answers it exactly once, at once or later; else not at all. */
struct sockerless_answer;

SOCKERLESS_API void sockerless_answer_done(struct sockerless_answer *a);
SOCKERLESS_API void sockerless_answer_failed(struct sockerless_answer *a, int code, const char *message); /* a negative errno */
/* Before done: a line of docker top; the figures of docker stats. */
SOCKERLESS_API void sockerless_answer_row(struct sockerless_answer *a, const struct sockerless_process_row *row);
SOCKERLESS_API void sockerless_answer_stats(struct sockerless_answer *a, const struct sockerless_process_stats *stats);

/* ---- lifecycle: a container's main process ---- */

struct sockerless_limits {
	size_t size;
	uint64_t memory_bytes; /* 0: no limit */
	uint32_t pids_max; /* 0: no limit */
	uint64_t nano_cpus; /* 0: no limit */
};

struct sockerless_lifecycle_ops {
	size_t size;
	/* *ret_process is yours, and names the process in what follows. */
	int (*start)(void *ctx, const struct sockerless_process_spec *spec, struct sockerless_sink *sink,
		     void **ret_process, struct sockerless_error *err);
	int (*signal)(void *ctx, void *process, int signo, struct sockerless_error *err);
	int (*pause)(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err);
	int (*unpause)(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err);
	int (*top)(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err);
	int (*stats)(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err);
	int (*update)(void *ctx, void *process, const struct sockerless_limits *limits, struct sockerless_error *err);
	/* A container, anyone's, has been removed: forget what was kept for it. */
	void (*cleanup)(void *ctx, const char *container_id);
};

/* ---- exec: further processes in a container that one of yours runs ---- */

struct sockerless_exec_ops {
	size_t size;
	/* `main_process`: the container's. Only asked of the driver that runs the container. */
	int (*start)(void *ctx, void *main_process, const struct sockerless_process_spec *spec,
		     struct sockerless_sink *sink, void **ret_process, struct sockerless_error *err);
	int (*signal)(void *ctx, void *process, int signo, struct sockerless_error *err);
};

/* ---- stream: input, terminal, back-pressure, the end; of main processes and execs ---- */

struct sockerless_stream_ops {
	size_t size;
	/* 0; 1: taken, but send no more before sockerless_sink_stdin_drained; -EPIPE. NULL: no stdin. */
	int (*write_stdin)(void *ctx, void *process, const void *data, size_t len);
	void (*close_stdin)(void *ctx, void *process);
	int (*resize)(void *ctx, void *process, uint16_t rows, uint16_t columns);
	/* Stop, go on telling output. NULL: it is queued. */
	void (*flow)(void *ctx, void *process, int is_open);
	/* Must be there. The process may be forgotten, and its sink is dead; one that still runs is to be killed. */
	void (*release)(void *ctx, void *process);
};

/* ---- filesystem: docker cp, diff, export, ps --size ---- */

enum sockerless_file_op {
	SOCKERLESS_FILE_STAT,
	SOCKERLESS_FILE_GET, /* a tar of `path` to tar_fd */
	SOCKERLESS_FILE_PUT, /* the tar in tar_fd into the directory `path` */
	SOCKERLESS_FILE_CHANGES,
	SOCKERLESS_FILE_EXPORT, /* a tar of the whole root to tar_fd */
	SOCKERLESS_FILE_SIZE,
};

struct sockerless_file_job {
	size_t size;
	enum sockerless_file_op op;
	const char *container_id;
	const char *path; /* absolute in the container; NULL for changes, export, size */
	int tar_fd; /* get, export: write it; put: read it, to its end. Not yours to close. -1: none */
	int no_overwrite_dir_non_dir, copy_uid_gid;
};

/* What stat and get answer before done. */
struct sockerless_path_stat {
	size_t size;
	const char *name; /* the last part of the path */
	int64_t size_bytes;
	uint32_t mode; /* as stat(2)'s st_mode */
	int64_t mtime_ns;
	const char *link_target; /* NULL: no link */
};
SOCKERLESS_API void sockerless_answer_path(struct sockerless_answer *a, const struct sockerless_path_stat *stat);
enum sockerless_change { SOCKERLESS_MODIFIED, SOCKERLESS_ADDED, SOCKERLESS_DELETED };
SOCKERLESS_API void sockerless_answer_change(struct sockerless_answer *a, const char *path, enum sockerless_change change);
/* What the container's own layer takes, and that with the image. */
SOCKERLESS_API void sockerless_answer_size(struct sockerless_answer *a, uint64_t own_bytes, uint64_t total_bytes);

struct sockerless_filesystem_ops {
	size_t size;
	/* For every container that has no driver yet or was last run by this one. `main_process` is NULL while it does not
	 * run. `job` is valid until answered. -ENOENT: no such path. Declined, of a container of yours: it is done on the
	 * container's root here (root_upper over root_lower). */
	int (*run)(void *ctx, void *main_process, const struct sockerless_file_job *job,
		   struct sockerless_answer *answer, struct sockerless_error *err);
};

/* ---- the driver ---- */

struct sockerless_driver_ops {
	size_t size;
	const char *name; /* [a-z0-9-]+; inspect and events show it, docker run --runtime takes it */
	const struct sockerless_lifecycle_ops *lifecycle; /* with start and signal */
	const struct sockerless_exec_ops *exec; /* may be NULL */
	const struct sockerless_stream_ops *stream; /* with release */
	const struct sockerless_filesystem_ops *filesystem; /* may be NULL */
	/* The server stops; every process was released before. May be NULL. */
	void (*close)(void *ctx);
};

SOCKERLESS_END

#endif
