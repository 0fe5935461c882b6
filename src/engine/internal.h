/* What the files of the engine share. */
#ifndef SOCKERLESS_ENGINE_INTERNAL_H
#define SOCKERLESS_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/mount_spec.h"
#include "util/buf.h"
#include "util/list.h"

struct log;    /* log.h */
struct log_files; /* log_files.h */
struct output; /* output.c */

/* Run-time part of a container; made at the first need, dies with it. */
struct crun {
	struct engine *engine;
	struct container *container;   /* no reference: it owns us */
	struct driver_process *process;
	struct driver *driver;
	struct output *output;         /* whom stdout and stderr go to */
	struct list waits;
	engine_done start_done;
	void *start_arg;
	uv_timer_t stop_timer;
	struct list stop_waits;        /* waiters: for the end of the main process */
	struct list after_start;       /* waiters: for the end of the start that is under way, however it ends */
	struct list after_update;      /* waiters: for the end of the update that is under way */
	struct log_files *log_files;   /* reference; NULL: nobody has asked for them */
	bool has_timer, is_starting, is_restarting, is_updating;
	uv_timer_t backoff;            /* until the restart policy starts it again */
	bool has_backoff;
	bool is_restart_cancelled;     /* by hand: until the next start by hand */
	bool is_starting_again;        /* is_starting, by the policy */
	bool is_to_revive;             /* restart.c: the daemon has come up, and will start it yet */
	bool is_adopted;               /* an embedder's process: no policy starts it again */
	unsigned backoff_ms;           /* the last one; 0: none yet */
	struct health *health;         /* health.h; NULL: has none, or never ran */
	unsigned handles;              /* open ones: it is freed with the last */
	int rows, cols;
	int64_t start_ns;              /* when the driver was asked; wall clock */
	bool is_stdin_closed;
	struct process_exit exit;      /* held until the log is written */
};

/* A start is under way, by hand or by the restart policy. Whatever would change such a container waits in after_start. */
static inline bool crun_is_starting(const struct container *c)
{
	const struct crun *run = c->run;

	return run && run->is_starting;
}

/* Never NULL. crun_free: when the container goes; its clients' streams end. */
struct crun *crun_of(struct engine *e, struct container *c);
void crun_free(struct container *c);
void crun_abandon(struct crun *run); /* at the daemon's stop: answers whoever waits */

/* ---- output.c: fan-out of one process's output to log and clients ---- */

struct output_client;
struct output *output_new(void);
void output_free(struct output *o);
/* Detaches everybody: their streams end. */
void output_end(struct output *o);
void output_set_log(struct output *o, struct log *take_log); /* NULL: none */
struct log *output_log(const struct output *o);
/* A copy goes to the log and to every client. */
void output_write(struct output *o, int stream, const void *data, size_t len);
/* Somebody must be waited for: the process is told by flow. */

struct input {
	int (*write)(void *arg, const void *data, size_t len); /* 1: pause */
	void (*close)(void *arg);
	void (*flow)(void *arg, bool is_open);
	void (*detached)(void *arg); /* the client's keys asked for it; may be NULL */
	void *arg;
};

/* Serves a client's stream until it ends or the output does. `in` is copied; NULL write: no stdin.
 * Detach keys are looked for only at a terminal.
 * Before the start nothing is read from the client: output_stdin_drained begins it. */
void output_attach(struct output *o, struct stream *s, bool want_stdout, bool want_stderr, const struct input *in,
		   bool is_terminal, const char *detach_keys, bool is_before_start);
/* How to slow the process down; output_attach's input sets the same. */
void output_set_flow(struct output *o, void (*flow)(void *arg, bool is_open), void *arg);
void output_stdin_drained(struct output *o);

/* ---- logs.c ---- */
/* Borrowed; made at the first need. */
struct log_files *crun_log_files(struct crun *run);
/* Everything that is logged so far, then `ended` with the stream, between which and the next
 * entry nothing is lost. If the client leaves first, `ended` gets NULL. */
void logs_replay(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s,
		 void (*ended)(void *arg, struct stream *s), void *arg);

/* ---- create.c ---- */
/* A Config with what the other one says where it says nothing (moby: daemon/commit.go merge). New. */
json_t *config_merge(json_t *own, json_t *defaults);

/* ---- mounts.c ---- */
/* Fills c->mounts from its host_config and config; creates nothing. ERROR_INVALID in Docker's words;
 * ERROR_NOT_FOUND for a container of --volumes-from. `missing`: as in struct container_create. */
int mounts_resolve(struct engine *e, struct container *c, json_t *missing, struct error *err);

/* ---- plan.c ---- */
enum plan_kind {
	PLAN_POPULATE, /* the content of new volumes only */
	PLAN_MOUNTS, /* for work on files */
	PLAN_OWNER, /* the same, with the container's user in spec.uid and gid */
	PLAN_START, /* the main process; prepares tmpfs and mount points */
	PLAN_EXEC, /* a further process */
};
typedef void (*plan_done)(void *arg, struct run_plan *take_plan, const struct error *err);
/* RLIMIT_… of a name as "nofile"; ret_resource may be NULL. */
bool ulimit_find(const char *name, uint32_t *ret_resource);
/* Made on the pool; `done` gets it from the loop, once, never from within. */
void plan_make(struct engine *e, struct container *c, enum plan_kind kind, json_t *exec_config, plan_done done, void *arg);

/* ---- validate.c ---- */
/* `body` is decoded (schema.h). Refuses in Docker's words what cannot be; changes nothing. */
int validate_create(json_t *body, struct error *err);
/* ERROR_INVALID in Docker's words. */
int validate_restart(json_t *policy, bool is_auto_removed, struct error *err);
/* Adds a text for everything that is kept but has no effect, and drops what Docker drops with such a text. */
void validate_warn(json_t *body, json_t *warnings);

/* ---- resources.c ---- */
/* `host`: a HostConfig, or the body of an update. */
int resources_check(json_t *host, bool is_update, struct error *err);
void resources_adapt(json_t *host, json_t *warnings); /* as validate_warn */
/* --storage-opt size, 0: none. */
int resources_storage(json_t *host, uint64_t *ret_bytes, struct error *err);
/* `host` has been checked. */
void resources_limits(json_t *host, struct limits *ret);

/* ---- routing.c ---- */
struct image;
/* `requested`: HostConfig.Runtime, may be NULL; labels: the container's own. ret, ret_why (may become NULL): malloc'd.
 * ERROR_INVALID for a name that is no runtime. */
int routing_decide(struct engine *e, const struct image *image, const char *requested, json_t *labels, char **ret,
		   char **ret_why, struct error *err);

/* ---- users.c (any thread, blocks) ---- */
struct rootfs;
/* Fills uid, gid and groups of *s (the caller frees them, also after an error) and *ret_home (malloc'd, always).
 * ERROR_INVALID in Docker's words for a name that is not there. */
int users_resolve(struct rootfs *fs, const char *user, json_t *group_add, struct run_spec *s, char **ret_home,
		  struct error *err);

/* ---- start.c ---- */
/* Answers whoever asked for the start. */
void crun_finish_start(struct crun *run, const struct error *err);
/* For the restart policy: without an end of its counting and waiting. */
void crun_start_again(struct crun *run);
void crun_flow(void *arg, bool is_open); /* arg: struct crun */

/* ---- embed.c ---- */
struct sockerless_process_factory_ops;
/* The name under which adopted containers stand, and a driver that starts none by itself. */
extern const struct sockerless_process_factory_ops backend_factory;

/* ---- signals.c ---- */
/* -ESRCH when it has no process. */
int crun_signal(struct crun *run, int signo, struct error *err);
/* A signal by hand, with its event: such a container is not started again by itself, when the signal is one that
 * is meant to end it. One that waits for its restart is ended instead. A process that has ended is no error. */
int crun_kill(struct crun *run, int signo, struct error *err);

/* ---- stop.c ---- */
int stop_timeout(const struct container *c); /* its own, in seconds; -1: for ever */
/* The main process has ended, or with `err` it will not: whoever waits for that is told, and no stop's time runs on. */
void crun_answer_stops(struct crun *run, const struct error *err);

/* ---- waiters.c: lists of callbacks, each called once, from the loop, never from within ---- */
void waiters_add(struct list *waiters, engine_done done, void *arg);
void waiters_answer(struct engine *e, struct list *waiters, const struct error *err); /* empties it */
void waiters_drop(struct list *waiters, engine_done done, const void *arg); /* that one is not called */

/* ---- restart.c ---- */
/* Pure. Would its policy start it again after such an end? */
bool restart_is_due(const struct container *c, int exit_code);
/* Pure. The wait that follows on one of before_ms (0: the first). */
unsigned restart_backoff(unsigned before_ms, int64_t ran_ns);
/* The same for one that ends now, with what was done by hand; the wait is in run->backoff_ms then. */
bool restart_decide(struct crun *run, int exit_code);
void restart_begin(struct crun *run);
/* By hand. One that waits has exited, and whoever waits for that is answered. */
void restart_cancel(struct crun *run);
/* When the daemon starts: whom their policies want to run. */
void restart_all(struct engine *e);

/* ---- shutdown.c ---- */
void shutdown_go_on(struct engine *e); /* a removal has ended */

/* ---- waits.c ---- */
/* is_removed: those who wait for the removal too. */
void crun_answer_waits(struct crun *run, bool is_removed);

/* ---- exec.c ---- */
/* An exec of the engine's own. */
struct exec_watch_ops {
	void (*started)(void *arg);
	void (*output)(void *arg, const void *data, size_t len); /* stdout and stderr */
	/* Once; with err it did not start. is_with_main: because the container ends. The exec is forgotten then. */
	void (*ended)(void *arg, int exit_code, bool is_with_main, const struct error *err);
};
/* Runs a command as docker exec would, with its events; the container has a process. `take_command`: words, at least one.
 * Nothing is called from within. */
struct exec *exec_watched(struct engine *e, struct container *c, json_t *take_command, const struct exec_watch_ops *ops,
			  void *arg);
/* Before it has ended: it is killed, and nothing is called any more. */
void exec_unwatch(struct exec *x);
void execs_done(struct engine *e); /* at the end: all of them, after the drivers */
void execs_forget(struct engine *e, struct container *c); /* those of a removed container */

/* Calls back once, from the loop, not from within. */
void engine_later(struct engine *e, engine_done done, void *arg, const struct error *err);

#endif
