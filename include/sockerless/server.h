/* The server as an object: what sockerlessd is, inside a program of yours.
 *
 *	struct sockerless_options *o = sockerless_options_new();
 *	sockerless_options_set(o, "host", "unix:///tmp/engine.sock", &err);
 *	sockerless_server_new(o, &server, &err);      (copies the options)
 *	sockerless_server_override(server, "SystemPing", my_ping, NULL, &err);
 *	sockerless_server_start(server, &err);
 *	sockerless_server_run(server);
 *	sockerless_server_free(server);
 *
 * One thread, the loop thread, makes all calls to a server, but for those that
 * say otherwise. The library neither exits nor touches the signal handlers, the
 * umask, the locale or the limits of the process, with two exceptions: running
 * out of memory aborts, and starting the sandbox lets libuv watch SIGCHLD. The
 * program must have SIGPIPE ignored or handled: start refuses otherwise. */
#ifndef SOCKERLESS_SERVER_H
#define SOCKERLESS_SERVER_H

#include <sockerless/driver.h>
#include <sockerless/process.h>
#include <sockerless/request.h>

SOCKERLESS_BEGIN

struct uv_loop_s;

/* ---- options: those of sockerlessd's command line ---- */

struct sockerless_options;

SOCKERLESS_API struct sockerless_options *sockerless_options_new(void);
/* `name` as on the command line, without dashes: "host" (may be set several times), "data-root",
 * "ephemeral", …; flags take NULL. Copied. -EINVAL: no such option or a bad value; also for what is
 * the program's own: help, version, config, and log-level and log-format (sockerless_log_to). What is
 * not set has sockerlessd's default; no option is read from the environment. */
SOCKERLESS_API int sockerless_options_set(struct sockerless_options *o, const char *name, const char *value,
					  struct sockerless_error *err);
SOCKERLESS_API void sockerless_options_free(struct sockerless_options *o); /* takes NULL */

/* ---- the server ---- */

struct sockerless_server;

SOCKERLESS_API int sockerless_server_new(const struct sockerless_options *o, struct sockerless_server **ret,
					 struct sockerless_error *err);

/* The n-th operation (from 0) that can be overridden; NULL behind the last. */
SOCKERLESS_API const char *sockerless_operation(size_t n);
/* Before the start: `handler` serves the operation from now on. -ENOENT: no such operation. */
SOCKERLESS_API int sockerless_server_override(struct sockerless_server *s, const char *operation,
					      sockerless_handler handler, void *arg, struct sockerless_error *err);

/* What docker info and docker version tell of the server; NULL and 0: its own. */
struct sockerless_descriptor {
	size_t size;
	const char *id;               /* info's ID: else made at the first start, and kept */
	const char *name;             /* the host's name */
	const char *driver;           /* of storage, in info and inspect: "sockerless" */
	const char *operating_system; /* "Debian GNU/Linux 12 (bookworm) (sockerless)" */
	const char *os_type;          /* "linux" */
	const char *architecture;     /* "x86_64"; version and images say amd64 for it */
	unsigned cpus;
	uint64_t memory_bytes;
	const char *server_version;   /* the library's */
};
/* Before the start; copied. */
SOCKERLESS_API int sockerless_server_describe(struct sockerless_server *s, const struct sockerless_descriptor *d,
					      struct sockerless_error *err);

/* `ops` (borrowed until its close or free) runs containers. Before the start from any thread; afterwards on the loop
 * thread: the chain is built anew with it, containers that run stay with who runs them, and the factory before it is
 * closed when the last of its processes has ended. ops NULL: no factory from now on. -EINVAL: a slot that it must
 * fill is NULL, or its name is another driver's. */
SOCKERLESS_API int sockerless_server_set_process_factory(struct sockerless_server *s,
							 const struct sockerless_process_factory_ops *ops, void *ctx,
							 struct sockerless_error *err);
/* One more driver of yours, behind those added before and in front of all others. When: as above. `ops` and its
 * tables are borrowed until its close or free. */
SOCKERLESS_API int sockerless_server_add_driver(struct sockerless_server *s, const struct sockerless_driver_ops *ops,
						void *ctx, struct sockerless_error *err);

/* Opens the data root (made with mode 0700 when it is missing; one that is there keeps its mode, and what is made
 * in it goes by the umask) and the listeners of the options ("host"; none set: sockerlessd's default).
 * Blocks for some milliseconds. -EEXIST: another server has the data root or a socket. After an error only
 * sockerless_server_free may be called. */
SOCKERLESS_API int sockerless_server_start(struct sockerless_server *s, struct sockerless_error *err);
/* One more listener, after the start: unix://PATH, tcp://127.0.0.1:PORT or fd://. */
SOCKERLESS_API int sockerless_server_listen(struct sockerless_server *s, const char *url, struct sockerless_error *err);
/* The same for a socket of yours that is bound and listening; takes fd, also on error. */
SOCKERLESS_API int sockerless_server_listen_fd(struct sockerless_server *s, int take_fd, struct sockerless_error *err);

/* Serves on this thread, with a loop of the server's own, until it is stopped. */
SOCKERLESS_API void sockerless_server_run(struct sockerless_server *s);
/* Or: serves as part of a libuv loop of yours and returns at once. `stopped` (may be NULL) is called from
 * that loop when a stop has been completed. */
SOCKERLESS_API int sockerless_server_attach(struct sockerless_server *s, struct uv_loop_s *loop,
					    void (*stopped)(void *arg), void *arg, struct sockerless_error *err);

/* Any thread, between start and free: runs `call` on the loop thread, in order. -ESHUTDOWN once a stop
 * has gone so far that all containers have ended: it will not run. */
SOCKERLESS_API int sockerless_server_post(struct sockerless_server *s, void (*call)(void *arg), void *arg);
/* Begins to stop gently: listeners close, connections that have nothing to do are closed, requests under way (waits,
 * attached clients, followed logs too) go on, and when the last is answered, or after timeout_ms, the stop begins.
 * Containers run on until then. Any thread, and from a signal handler, between start and free. */
SOCKERLESS_API void sockerless_server_drain(struct sockerless_server *s, unsigned timeout_ms);
/* Begins the stop: nothing is started any more, containers get their stop signal and the time that each has to obey
 * (as docker stop; 15 s in all unless one has more), then listeners close and clients are let go. Any thread, and
 * from a signal handler, between start and free. */
SOCKERLESS_API void sockerless_server_stop(struct sockerless_server *s);
/* After run has returned, after `stopped`, or when it was never started (or failed to). Takes NULL. */
SOCKERLESS_API void sockerless_server_free(struct sockerless_server *s);

/* ---- the log ---- */

enum sockerless_log_level {
	SOCKERLESS_LOG_DEBUG,
	SOCKERLESS_LOG_INFO,
	SOCKERLESS_LOG_WARN,
	SOCKERLESS_LOG_ERROR,
	SOCKERLESS_LOG_FATAL,
};

/* Of the whole process, before the first server starts: lines go to `write` (from any thread, one at a
 * time, no newline, borrowed) instead of stderr. NULL: to stderr again. */
SOCKERLESS_API void sockerless_log_to(enum sockerless_log_level threshold,
				      void (*write)(void *arg, enum sockerless_log_level level, const char *text), void *arg);

/* SOCKERLESS_VERSION of the library that is linked. */
SOCKERLESS_API const char *sockerless_version(void);

SOCKERLESS_END

#endif
