/* The driver chain: four vtables, instances with `next`, one dispatcher.
 *
 * A slot answers
 *   0                 accepted: the sink (or `done`) gets its events, none of
 *                     them before the slot has returned
 *   DRIVER_DECLINED   nothing was touched; the dispatcher asks the next driver
 *   -errno            final, *err set, no event comes, nobody else is asked
 * A NULL slot declines. Only the dispatcher (chain.c) walks `next`. The driver
 * that accepted a container or exec is bound to it and gets all later calls.
 * The last driver of a chain fills every slot: chain_check says which it does not.
 * Loop thread only; slots never block. */
#ifndef SOCKERLESS_DRIVERS_DRIVER_H
#define SOCKERLESS_DRIVERS_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>
#include <uv.h>

#include "sandbox/limits.h"
#include "sandbox/program.h"
#include "store/containers.h"
#include "util/error.h"

enum { DRIVER_DECLINED = 1 };

struct netns;
struct driver;
struct driver_process; /* a running main process or exec, made by a driver */

/* ---- what to run: made by the engine on the pool before the chain is asked ---- */

struct run_mount {
	unsigned kind;           /* enum rootfs_mount_kind */
	char *target, *source, *which, *fd_name;
	int lower_fd, upper_fd, fd; /* owned by the plan */
	bool is_readonly, is_bind;
	uint64_t size_limit_bytes;
};

struct run_rlimit {
	uint32_t resource;
	uint64_t soft, hard;
};

/* Everything about one process: resolved, merged, looked up. */
struct run_spec {
	char **argv, **env;
	char *cwd;
	uint32_t uid, gid;
	uint32_t *groups;
	size_t ngroups;
	bool tty, open_stdin, is_main;
	bool is_merged;          /* stdout and stderr may come as one stream, 1 */
	uint16_t rows, cols;
	struct run_rlimit *rlimits;
	size_t nrlimits;
	/* The facts that the drivers decide by: */
	int program_error;       /* 0, or -errno of the look-up of argv[0] */
	struct program program;  /* valid when program_error is 0 */
};

/* Everything about a container's root and limits; only for its main process. */
struct run_plan {
	struct run_mount *mounts;
	size_t nmounts;
	char *hostname, *domainname;
	bool init, is_readonly_root;
	struct limits limits;
	struct netns *netns;     /* where its sockets live (network/switch.h): a reference, the plan's; NULL: none */
	struct run_spec spec;
};

/* ---- what comes back ---- */

struct process_exit {
	int code;                /* 0–255; 128+n for a signal */
	bool is_oom;
	bool is_with_main;       /* an exec's: it ended because the container does */
	const char *reason;      /* NULL, or why the driver itself ended it */
};

struct process_sink_ops {
	/* Exactly one of these two comes first. After `failed` nothing comes. */
	void (*started)(void *arg, int host_pid);
	void (*failed)(void *arg, int exit_code, const struct error *err); /* 126, 127, 128 */
	/* stream: 1 stdout (and a terminal's output), 2 stderr. Borrowed bytes. */
	void (*output)(void *arg, int stream, const void *data, size_t len);
	/* Once, after all output has been given: `output` never comes after it. */
	void (*exited)(void *arg, const struct process_exit *exit);
	/* stdin's queue has room again after write_stdin answered -EAGAIN… (may be NULL) */
	void (*stdin_drained)(void *arg);
	/* A main process's: the limit of memory has killed a process of the container (may be NULL). */
	void (*oom)(void *arg);
};

struct process_sink {
	const struct process_sink_ops *ops;
	void *arg;
};

struct process_info {
	uint32_t pid, ppid, uid, tty, host_pid;
	uint64_t start_ns, cpu_ns, rss_bytes, vsz_bytes;
	char state;
	char comm[16];
	char command[256];
};
struct process_figures {
	uint64_t user_ns, system_ns, memory_bytes, memory_peak_bytes;
	uint32_t pids;
	uint64_t memory_limit_bytes;  /* 0: none, the machine is the limit */
	struct limits_figures limits; /* of --cpus and --memory: stats' throttling_data; all 0 where there is no such limit */
};

typedef void (*driver_done)(void *arg, const struct error *err); /* err NULL: well */

/* ---- the four vtables ---- */

struct exec_ops {
	/* Runs one more process in a running container. */
	int (*start)(struct driver *d, struct container *c, const struct run_spec *spec, struct process_sink sink,
		     struct driver_process **ret, struct error *err);
	int (*signal)(struct driver *d, struct driver_process *p, int signo, struct error *err);
};

struct lifecycle_ops {
	/* Takes the plan when it answers 0 (frees it when done). */
	int (*start)(struct driver *d, struct container *c, struct run_plan *plan, struct process_sink sink,
		     struct driver_process **ret, struct error *err);
	int (*signal)(struct driver *d, struct container *c, struct driver_process *p, int signo, struct error *err);
	int (*pause)(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
		     struct error *err);
	int (*unpause)(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
		       struct error *err);
	int (*top)(struct driver *d, struct container *c, struct driver_process *p,
		   void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err),
		   void *arg, struct error *err);
	int (*stats)(struct driver *d, struct container *c, struct driver_process *p,
		     void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
		     struct error *err);
	/* All limits as they are from now on; an error leaves those that there are. What was asked of the container before
	 * is done under the old ones. 0: `done` comes once, perhaps before this returns. */
	int (*update)(struct driver *d, struct container *c, struct driver_process *p, const struct limits *limits,
		      driver_done done, void *arg, struct error *err);
	/* The container is being removed: forget what the driver itself keeps. */
	int (*cleanup)(struct driver *d, struct container *c, struct error *err);
};

struct stream_slot_ops {
	/* Queues a copy. 0; 1: taken, but stop until stdin_drained; -EPIPE. */
	int (*write_stdin)(struct driver *d, struct driver_process *p, const void *data, size_t len);
	int (*close_stdin)(struct driver *d, struct driver_process *p);
	int (*resize)(struct driver *d, struct driver_process *p, uint16_t rows, uint16_t cols);
	/* Back-pressure: stop and go on calling sink.output. */
	int (*flow)(struct driver *d, struct driver_process *p, bool is_open);
	/* The owner is done with the handle: no sink call after this returns. */
	int (*release)(struct driver *d, struct driver_process *p);
};

/* ---- work on a container's files: docker cp, diff, export, ps --size ---- */

/* FILE_LAYER does nothing: does what the container changes lie in its upper directory? Needs no plan. */
enum file_op { FILE_STAT, FILE_GET, FILE_PUT, FILE_CHANGES, FILE_EXPORT, FILE_SIZE, FILE_LAYER };

struct path_stat {
	char *name;
	int64_t size;
	uint32_t go_mode;
	int64_t mtime_ns;
	char *link_target;
	bool is_gzip; /* GET: what is in the tar is compressed */
};

/* The engine fills the first part and keeps all of it alive until `done`. */
struct file_job {
	enum file_op op;
	struct container *container;
	const struct run_plan *plan; /* its mounts */
	const char *path; /* absolute in the container */
	int tar_fd; /* GET and EXPORT write it, PUT reads it; the position is the caller's */
	bool is_gzip; /* GET: what is written is compressed */
	bool no_overwrite_dir_non_dir;
	bool copy_uid_gid; /* PUT: all goes to uid and gid, else to whom the archive says */
	uint32_t uid, gid;
	void (*done)(struct file_job *job); /* from the loop, once, when the slot has answered 0 */

	struct path_stat stat; /* STAT, GET; strings malloc'd */
	json_t *changes; /* CHANGES: [{"Path", "Kind"}], new reference */
	uint64_t upper_bytes, total_bytes; /* SIZE */
	struct error err; /* err.code 0: well */
	uv_work_t work; /* the driver's, as the next two */
	struct driver *driver;
	void (*then)(struct file_job *job);
};

struct filesystem_ops {
	int (*run)(struct driver *d, struct file_job *job, struct error *err);
};

struct driver_ops {
	const char *name;
	const struct exec_ops *exec;
	const struct lifecycle_ops *lifecycle;
	const struct stream_slot_ops *stream;
	const struct filesystem_ops *filesystem;
	/* It serves containers with this runtime too, beside those with its own name; may be NULL. */
	bool (*takes_runtime)(const struct driver *d, const char *runtime);
	void (*free)(struct driver *d);
};

struct driver {
	const struct driver_ops *ops;
	struct driver *next;
};

/* Every driver_process begins with this. */
struct driver_process {
	struct driver *owner;
};

/* ---- the dispatcher (chain.c): routing is obeyed here ---- */

/* Builds agent (when there is one) → wasm → synthetic; each constructor lives in its file. */
struct chain;
int chain_check(struct driver *first, struct error *err); /* -EINVAL: the last does not fill every slot */
void chain_free(struct driver *first); /* every driver, and what it runs; sinks are not called any more; takes NULL */

/* `only`: name of the driver that routing chose, NULL for auto (the chain decides). */
int chain_exec_start(struct driver *first, struct container *c, const struct run_spec *spec, struct process_sink sink,
		     struct driver_process **ret, struct error *err);
int chain_lifecycle_start(struct driver *first, struct container *c, struct run_plan *plan, struct process_sink sink,
			  struct driver_process **ret, struct error *err);
/* To the driver that serves the container; to the first that will when none does yet. */
int chain_files(struct driver *first, struct file_job *job, struct error *err);
/* To all: a container is being removed. */
void chain_cleanup(struct driver *first, struct container *c);

void run_spec_copy(struct run_spec *ret, const struct run_spec *spec);
void run_spec_done(struct run_spec *spec);
/* Strings, arrays and descriptors. Takes NULL. */
void run_plan_free(struct run_plan *plan);
void plan_mounts_free(struct run_mount *mounts, size_t n);

#endif
