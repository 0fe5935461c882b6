/* The engine: what containers, execs and their files do. Handlers, the
 * builder, restarts and embedders call these; none of them repeats it.
 *
 * Loop thread only; nothing here blocks. Operations that take time answer
 * through a callback, called exactly once, from the loop, never from within the call:
 * err is NULL on success. Pointers to containers given to callbacks are
 * borrowed; a container may vanish between two turns of the loop, so keep a
 * reference (container_ref) across them. */
#ifndef SOCKERLESS_ENGINE_ENGINE_H
#define SOCKERLESS_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "drivers/agent.h"
#include "drivers/driver.h"
#include "store/containers.h"
#include "store/events.h"
#include "util/error.h"
#include "util/stream.h"

struct builder;  /* build/build.h */
struct images;   /* image/images.h */
struct registry; /* registry/registry.h */
struct volumes;  /* engine/volumes.h */
struct networks; /* engine/networks.h */
struct sockerless_process_factory_ops; /* sockerless/process.h */
struct sockerless_container_process_ops;
struct sockerless_driver_ops; /* sockerless/driver.h */

/* What info and version tell of the server; NULL and 0: its own. */
struct engine_descriptor {
	char *id, *name, *driver, *operating_system, *os_type, *architecture, *server_version;
	unsigned cpus;
	uint64_t memory_bytes;
};

struct engine_options {
	uv_loop_t *loop;
	const char *data_root;       /* exists, 0700 */
	const char *socket_path;     /* our own, for binds of docker.sock; may be NULL */
	const char *default_runtime; /* "auto" */
	const char *const *routes;   /* --route: "PATTERN=RUNTIME", NULL-ended; NULL: none */
	const char *sandbox_path;    /* sockerless-sandbox */
	const char *guest_path;      /* the built-in image's root file system (directory or tar) */
	bool is_ephemeral;
	bool pretend;                /* --synthetic */
	const char *images_mode;     /* auto | registry | synthetic */
	const char *fetch_path;      /* sockerless-fetch; need not be there */
	const char *const *registry_mirrors, *const *insecure_registries; /* NULL-ended; NULL: none */
	const char *const *address_pools; /* --default-address-pool: "base=…,size=…", NULL-ended; NULL: Docker's own */
	const char *bip, *host_gateway_ip; /* may be NULL */
	bool allow_host_loopback;
	struct agent_options agents; /* drivers/agent.h */
	const struct engine_descriptor *descriptor; /* may be NULL; borrowed for the engine's life */
};

struct engine {
	uv_loop_t *loop;
	struct engine_options options; /* strings owned */
	char *id; /* info's ID, kept in the store */
	struct store *store;
	struct events *events;
	struct containers containers;
	struct images *images;
	struct registry *registry;
	struct volumes *volumes;
	struct networks *networks;
	struct views *views; /* views.h */
	struct driver *drivers; /* the chain */
	struct driver *agents; /* of it: drivers/agent.h */
	struct driver *factory; /* the one of it that is an embedder's process factory; NULL: none */
	struct driver *backend; /* runs what an embedder has adopted */
	struct map execs; /* exec id → struct exec */
	struct builder *builder; /* build/build.h's; NULL: none */
	int64_t started_ns;
	bool is_pruning; /* containers or networks: one prune at a time */
	bool is_stopping; /* nothing is started any more */
	size_t nremovals; /* containers that are on their way out */
	struct shutdown *shutdown; /* shutdown.c: while one is under way */
};

/* Opens store, images, volumes, drivers; reconciles what was running (exited
 * 137); sweeps half-made files and orphaned processes; begins to start again whom
 * their restart policies want to run. Blocks: start-up. */
int engine_open(const struct engine_options *opt, struct engine **ret, struct error *err);
/* The first half of a stop: starts nothing more, and ends the containers as docker stop does, each with its own signal and
 * its own time. `done` once, from the loop: they have ended, which has been told to those who wait for it, or the daemon's time is over. That is 15 s, or 5 s more than
 * the longest that a container may take; for ever, if one may. What their restart policies want is done at the next start. */
void engine_shut_down(struct engine *e, void (*done)(void *arg), void *arg);
/* The second: kills what is left (as SIGKILL to the daemon would leave none). */
void engine_stop(struct engine *e, void (*done)(void *arg), void *arg);
void engine_free(struct engine *e);

typedef void (*engine_done)(void *arg, const struct error *err);

/* ---- containers ---- */

struct container_create {
	const char *name; /* NULL: generated */
	const char *platform;
	json_t *body; /* Config + HostConfig + NetworkingConfig, decoded (schema.h); is changed */
	json_t *missing; /* of engine_container_look; NULL: nothing is known to be missing */
};
/* Before the creation: which sources of --mount are not there. `done` has them as the keys of an object, borrowed, once,
 * from the loop. False: there is nothing to look for, `done` never runs. */
bool engine_container_look(struct engine *e, json_t *body, void (*done)(void *arg, json_t *missing), void *arg);
/* Validates everything, changes nothing on error. `ret_warnings`: new array of
 * strings. ERROR_NOT_FOUND "No such image: x:tag" makes clients pull. */
int engine_container_create(struct engine *e, const struct container_create *req, struct container **ret,
			    json_t **ret_warnings, struct error *err);
/* After engine_container_create: makes its volumes and gives new ones what the image has. False: there is nothing to
 * do, `done` never runs. When it fails the container is gone again, and `done` has the error. */
bool engine_container_prepare(struct engine *e, struct container *c, engine_done done, void *arg);
/* Container is told `started` (204). ERROR_NOT_MODIFIED when it runs already.
 * A failed start sets State.ExitCode and Error (126, 127, 128). Until the start has ended, stop, restart, kill, pause and
 * remove wait for that. */
void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg);
/* timeout_s -1: for ever; INT_MIN: the container's own StopTimeout. signal NULL: its own. */
void engine_container_stop(struct engine *e, struct container *c, const char *signal, int timeout_s, engine_done done,
			   void *arg);
/* stop: ERROR_NOT_MODIFIED when it does not run; ERROR_INVALID for an unknown signal. The timeout's end is KILL.
 * restart: starts what does not run. */
void engine_container_restart(struct engine *e, struct container *c, const char *signal, int timeout_s,
			      engine_done done, void *arg);
/* kill: ERROR_INVALID for an unknown signal, ERROR_CONFLICT when it does not run. SIGKILL answers when it has ended.
 * pause, unpause: ERROR_CONFLICT
 * when it does not run or is so already. */
void engine_container_kill(struct engine *e, struct container *c, const char *signal, engine_done done, void *arg);
/* "TERM", "SIGTERM", "15"; -EINVAL */
int signal_number(const char *name);
void engine_container_pause(struct engine *e, struct container *c, engine_done done, void *arg);
void engine_container_unpause(struct engine *e, struct container *c, engine_done done, void *arg);
/* ERROR_INVALID for a name that Docker would not take, ERROR_CONFLICT for one in use. */
int engine_container_rename(struct engine *e, struct container *c, const char *name, struct error *err);
/* Takes the link's `name`, "parent/alias", from `child`, which was found by it, and the link from the parent. An error
 * when that is the container's own name. */
int engine_container_unlink(struct engine *e, struct container *child, const char *name, struct error *err);
/* Remembers the size, for a start too. ERROR_CONFLICT when it does not run. */
int engine_container_resize(struct engine *e, struct container *c, int rows, int cols, struct error *err);
/* ERROR_CONFLICT while it runs (without force) or is being removed. Named volumes stay. */
void engine_container_remove(struct engine *e, struct container *c, bool force, bool remove_volumes, engine_done done,
			     void *arg);

/* docker update: a running container has the new limits when `done` comes: once, perhaps before this returns, with an
 * error or with the warnings. `body`: the request's object, decoded (schema.h); is changed.
 * ERROR_INVALID before ERROR_NOT_FOUND; ERROR_CONFLICT for what contradicts the settings it has. */
typedef void (*engine_updated)(void *arg, json_t *take_warnings, const struct error *err);
void engine_container_update(struct engine *e, const char *name, json_t *body, engine_updated done, void *arg);

/* "80", "80/udp", "8000-8010/tcp"; the protocol in lower case, tcp when none is said. */
bool port_parse(const char *text, unsigned *ret_first, unsigned *ret_last, char ret_protocol[8]);

enum wait_condition { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };
struct wait_result {
	int exit_code;
	const char *error; /* NULL: none */
};
struct container_wait;
/* The waiter is registered when this returns. Cancel from anywhere but inside `done`. */
struct container_wait *engine_container_wait(struct engine *e, struct container *c, enum wait_condition cond,
					     void (*done)(void *arg, const struct wait_result *r), void *arg);
void engine_container_wait_cancel(struct container_wait *w);

struct attach_options {
	bool logs, stream, stdin_, stdout_, stderr_;
	const char *detach_keys; /* NULL: the default ctrl-p,ctrl-q */
};
/* Checks before the connection is taken over. */
int engine_container_attach_check(struct engine *e, struct container *c, const struct attach_options *opt, struct error *err);
/* Serves the stream until it ends; the stream's events are the engine's from here on.
 * s->is_mux must be set by the caller (false for a terminal). */
void engine_container_attach(struct engine *e, struct container *c, const struct attach_options *opt, struct stream *s);

/* Where the log is (malloc'd), NULL when there is none. */
char *engine_container_log_path(struct engine *e, const struct container *c);
struct logs_options {
	bool stdout_, stderr_, follow, timestamps, details;
	int64_t since_ns, until_ns; /* 0: none */
	int64_t tail; /* -1: all */
};
int engine_container_logs_check(struct engine *e, struct container *c, const struct logs_options *opt, struct error *err);
void engine_container_logs(struct engine *e, struct container *c, const struct logs_options *opt, struct stream *s);

/* docker top: every process. ERROR_CONFLICT when it is not running; `done` then never runs. */
int engine_top(struct engine *e, struct container *c,
	       void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err), void *arg,
	       struct error *err);
/* What its processes use now and have used. ERROR_CONFLICT when it has none; `done` then never runs, else once, perhaps
 * from within. */
int engine_stats(struct engine *e, struct container *c,
		 void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
		 struct error *err);
/* As Docker's reply: [{"Path": …, "Kind": 0 | 1 | 2}], by path. */
void engine_container_changes(struct engine *e, struct container *c,
			      void (*done)(void *arg, json_t *borrow_array, const struct error *err), void *arg);
/* SizeRw and SizeRootFs, for ?size=1. */
void engine_container_size(struct engine *e, struct container *c,
			   void (*done)(void *arg, int64_t rw, int64_t rootfs, const struct error *err), void *arg);

/* ---- exec ---- */

struct exec {
	char id[ID_LEN + 1];
	struct container *container; /* reference */
	json_t *config; /* as created: Cmd, Env, User, Tty, AttachStdin, … */
	bool is_running, is_started;
	bool has_exit_code;
	int exit_code;
	int pid;
	int64_t finished_ns; /* wall clock; 0: not yet */
	char *driver;
	void *run; /* the engine's */
};
/* ERROR_CONFLICT when the container does not run or is paused; ERROR_INVALID without a command. `config`: the request's
 * object, decoded (schema.h), borrowed. */
int engine_exec_create(struct engine *e, struct container *c, json_t *config, struct exec **ret, struct error *err);
/* ERROR_NOT_FOUND "No such exec instance: x". */
int engine_exec_find(struct engine *e, const char *id, struct exec **ret, struct error *err);
/* Conflicts that must be told before the connection is taken over. */
int engine_exec_start_check(struct engine *e, struct exec *x, struct error *err);
/* Attached: serves the stream to its end; a failed start goes into the stream as text. rows 0:
 * the size that was given at creation. s->is_mux is the caller's. */
void engine_exec_start_attached(struct engine *e, struct exec *x, int rows, int cols, struct stream *s);
/* `done` when the process runs, or why it does not. */
void engine_exec_start_detached(struct engine *e, struct exec *x, engine_done done, void *arg);
/* ERROR_CONFLICT when it does not run. */
int engine_exec_resize(struct engine *e, struct exec *x, int rows, int cols, struct error *err);

/* ---- files ---- */

void engine_archive_stat(struct engine *e, struct container *c, const char *path,
			 void (*done)(void *arg, const struct path_stat *st, const struct error *err), void *arg);
/* First `head` (before any byte; err set: nothing follows), which answers the stream to
 * write the tar to (NULL: cancelled). */
void engine_archive_get(struct engine *e, struct container *c, const char *path, bool is_gzip,
			struct stream *(*head)(void *arg, const struct path_stat *st, const struct error *err), void *arg);
/* The whole root without other mounts, in the same way. */
void engine_export(struct engine *e, struct container *c, struct stream *(*head)(void *arg, const struct error *err),
		   void *arg);

/* An upload of bytes from the loop into blocking work on a thread (archive put,
 * import, load): write may answer 1 = "pause until on_drain". */
struct upload;
int upload_write(struct upload *u, const void *data, size_t len);
void upload_end(struct upload *u, int result); /* 0: the body is complete; -errno: it is not */
/* `done` once, after upload_end. NULL with *err set: nothing was begun, `done` never runs. */
struct upload *engine_archive_put(struct engine *e, struct container *c, const char *path,
				  bool no_overwrite_dir_non_dir, bool copy_uid_gid, void (*on_drain)(void *arg),
				  engine_done done, void *arg, struct error *err);

/* ---- images and their containers ---- */

struct image;
/* ERROR_INVALID for moby/buildkit, which buildx asks for where an engine has no BuildKit; else 0. */
int engine_check_builder(const char *image_name, struct error *err);
size_t engine_image_users(struct engine *e, const struct image *i); /* containers made of it */
/* docker commit: an image of the container's, upon that which it was made of. `done` once, not from within, unless this
 * fails: ERROR_INVALID for a bad name or change, ERROR_CONFLICT for a container that is being removed, or whose files are
 * not kept here. */
struct engine_commit_options {
	const char *repo, *tag, *comment, *author; /* may be NULL */
	bool is_paused; /* meanwhile */
	const char *const *changes; /* Dockerfile instructions, NULL-ended */
	json_t *config; /* decoded (schema.h); before the container's own; NULL: nothing */
};
int engine_commit(struct engine *e, struct container *c, const struct engine_commit_options *opt,
		  void (*done)(void *arg, struct image *i, const struct error *err), void *arg, struct error *err);
/* images_remove with the container that uses the image, if one does. */
int engine_image_remove(struct engine *e, const char *ref, bool force, bool no_prune, json_t **ret_report, struct error *err);
/* An image without a name that nothing is upon and nobody uses, by id; adds what that frees. False: it stays. */
bool engine_step_remove(struct engine *e, const char *id, uint64_t *bytes);
/* Those that nobody uses and that match: a new report as images_remove's. */
json_t *engine_images_prune(struct engine *e, bool (*match)(void *arg, const struct image *i), void *arg, int64_t *ret_bytes);

/* ---- embed.c: execution of an embedder's ---- */

/* Is all there that must be, and the name free in every engine? ERROR_INVALID. */
int engine_check_driver(const struct sockerless_driver_ops *ops, struct error *err);
int engine_check_factory(const struct sockerless_process_factory_ops *ops, struct error *err);
/* In front of the server's own drivers, behind those that were added before. ERROR_INVALID: it is not complete, or its
 * name is another driver's. */
int engine_add_driver(struct engine *e, const struct sockerless_driver_ops *ops, void *ctx, struct error *err);
/* In place of the factory before, which goes when nothing of it runs any more. NULL: none from now on. */
int engine_set_factory(struct engine *e, const struct sockerless_process_factory_ops *ops, void *ctx, struct error *err);
/* What is told of the server: never NULL. */
const struct engine_descriptor *engine_descriptor(const struct engine *e);
const char *engine_storage_driver(const struct engine *e);
/* start.c: the container runs from now on as a process that the embedder has started. Restart policies leave it alone.
 * Takes the process when it answers 0. */
int engine_container_adopt(struct engine *e, struct container *c, const struct sockerless_container_process_ops *ops,
			   void *process, struct error *err);

/* Names that --runtime and --default-runtime take. */
bool routing_is_runtime(const char *name);
/* The same and those of an embedder's drivers. */
bool engine_is_runtime(const struct engine *e, const char *name);
/* Are the default runtime and those of --route there? When all drivers are. ERROR_INVALID. */
int engine_check_routes(struct engine *e, struct error *err);

/* ---- events in Docker's attributes ---- */
void engine_container_event(struct engine *e, struct container *c, const char *action, json_t *take_extra);

/* Counters of info: running, paused, stopped. */
void engine_counts(struct engine *e, size_t *ret_running, size_t *ret_paused, size_t *ret_stopped);

#endif
