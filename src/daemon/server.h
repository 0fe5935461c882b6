/* The daemon as an object: loop, engine, API and listeners, from start to stop.
 *
 * One thread makes all calls, but for server_stop and server_post. Nothing here touches what belongs to the
 * whole process (signals, umask, limits): that is main's, or the embedding program's. */
#ifndef SOCKERLESS_DAEMON_SERVER_H
#define SOCKERLESS_DAEMON_SERVER_H

#include <uv.h>

#include "daemon/options.h"
#include "http/route.h"

struct server;
struct sockerless_process_factory_ops;
struct sockerless_driver_ops;
struct engine_descriptor;

/* Makes the object; opens nothing yet. Borrows the options until server_free. */
int server_new(const struct options *o, struct server **ret, struct error *err);
struct router *server_router(struct server *s); /* for overrides, before the start */
void server_describe(struct server *s, const struct engine_descriptor *d); /* before the start; borrowed until free */
/* Execution of an embedder's (engine.h): before the start, or on the loop. Borrowed until free. */
int server_set_factory(struct server *s, const struct sockerless_process_factory_ops *ops, void *ctx, struct error *err);
int server_add_driver(struct server *s, const struct sockerless_driver_ops *ops, void *ctx, struct error *err);
struct engine *server_engine(struct server *s); /* NULL: it does not run */

/* Opens the data root, the engine and the listeners. Blocks. After an error only server_free may be called. */
int server_start(struct server *s, struct error *err);
int server_listen(struct server *s, const char *url, struct error *err);
int server_listen_fd(struct server *s, int take_fd, struct error *err); /* closed also on error */

uv_loop_t *server_loop(struct server *s); /* its own: handles of others must be closed before the stop ends */

/* Serves until the stop is complete. */
void server_run(struct server *s);
/* Or: serves from within another loop; `stopped` is called from it when the stop is complete. */
int server_attach(struct server *s, uv_loop_t *outer, void (*stopped)(void *arg), void *arg, struct error *err);

/* Any thread, also a signal handler. drain: a stop that lets what is under way come to its end, for so long. */
void server_drain(struct server *s, unsigned timeout_ms);
void server_stop(struct server *s);
/* Any thread: `call` runs on the loop. -ESHUTDOWN when a stop has begun. */
int server_post(struct server *s, void (*call)(void *arg), void *arg);

/* When it never started, or has stopped. Takes NULL. */
void server_free(struct server *s);

#endif
