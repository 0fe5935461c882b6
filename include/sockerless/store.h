/* What the server keeps: containers, images, networks, volumes; and a container
 * that runs somewhere of yours.
 *
 * Loop thread only, between start and the end of the stop: from handlers, from slots, and
 * from whatever sockerless_server_post brings in. Nothing blocks. What is
 * borrowed is valid until you return to the loop. */
#ifndef SOCKERLESS_STORE_H
#define SOCKERLESS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include <sockerless/process.h>

SOCKERLESS_BEGIN

struct sockerless_server;

/* ---- as the API shows them ---- */

enum sockerless_kind { SOCKERLESS_CONTAINER, SOCKERLESS_IMAGE, SOCKERLESS_NETWORK, SOCKERLESS_VOLUME };

/* One object as its inspect shows it, in the newest version's form. `name` as in the API: a name, an id, a unique
 * beginning of an id. free() it. NULL with *err set: 404 when there is none. */
SOCKERLESS_API char *sockerless_inspect_json(struct sockerless_server *s, enum sockerless_kind kind, const char *name,
					     struct sockerless_error *err);
/* All of a kind as a JSON array, as its list shows them (containers that do not run too). free() it. */
SOCKERLESS_API char *sockerless_list_json(struct sockerless_server *s, enum sockerless_kind kind);

/* ---- containers, without JSON ---- */

struct sockerless_container;

/* NULL with *err set (404, or 400 for a beginning of several ids). */
SOCKERLESS_API const struct sockerless_container *sockerless_container_find(struct sockerless_server *s, const char *name,
									    struct sockerless_error *err);
/* The next younger one; NULL begins with the oldest. NULL behind the last. */
SOCKERLESS_API const struct sockerless_container *sockerless_container_next(struct sockerless_server *s,
									    const struct sockerless_container *after);

/* Borrowed. */
SOCKERLESS_API const char *sockerless_container_id(const struct sockerless_container *c);
SOCKERLESS_API const char *sockerless_container_name(const struct sockerless_container *c);   /* without the slash */
SOCKERLESS_API const char *sockerless_container_image(const struct sockerless_container *c); /* as it was asked for */
SOCKERLESS_API const char *sockerless_container_status(const struct sockerless_container *c); /* "running" */
/* Who ran it last: "wasm", a factory's or driver's name; NULL: it never ran. */
SOCKERLESS_API const char *sockerless_container_driver(const struct sockerless_container *c);
/* The n-th word (from 0) of entrypoint and command; of the environment; NULL behind the last. */
SOCKERLESS_API const char *sockerless_container_argument(const struct sockerless_container *c, size_t n);
SOCKERLESS_API const char *sockerless_container_environment(const struct sockerless_container *c, size_t n);
SOCKERLESS_API const char *sockerless_container_label(const struct sockerless_container *c, const char *key); /* or NULL */
SOCKERLESS_API int sockerless_container_has_tty(const struct sockerless_container *c);
SOCKERLESS_API int sockerless_container_exit_code(const struct sockerless_container *c); /* of its last run */

/* ---- a container that runs at your place ---- */

/* It runs, from this call on, as a process of yours: for a handler of ContainerStart that has started it elsewhere, and
 * for a program that begins and knows that it still runs there. Lists, events, waits, attached clients and the log
 * follow `process` as they follow a factory's (sockerless/process.h): what it writes, how it ends. Slots that are NULL
 * are refused to clients; no restart policy starts it again, and no local network or published port is made.
 * The slots wait, subscribe and log_bytes are called from within. 0: the process is the server's until `close`.
 * -EALREADY (status 304): it runs or is starting already; -EEXIST (409): it is paused or being removed; -EINVAL: a slot
 * that must be there is NULL; -ENOENT: no such container; -EAGAIN, -ESHUTDOWN: the server is stopping.
 */
SOCKERLESS_API int sockerless_container_adopt(struct sockerless_server *s, const char *name,
					      const struct sockerless_container_process_ops *ops, void *process,
					      struct sockerless_error *err);

SOCKERLESS_END

#endif
