/* Durable rows: (kind, id) → JSON. Changes collect on the loop and go in
 * batches to SQLite on a writer thread of its own; a ticket tells when a
 * change has been committed. This folder is the only user of sqlite3.h.
 *
 * Loop thread only, but for what the writer does inside. */
#ifndef SOCKERLESS_STORE_STORE_H
#define SOCKERLESS_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "util/error.h"

struct store;

/* Opens (creating) `path`/state.db, or nothing durable when path is NULL
 * (--ephemeral: every ticket is durable at once). Blocks: start-up only.
 * ERROR_CONFLICT when another process holds it. */
int store_open(uv_loop_t *loop, const char *path, struct store **ret, struct error *err);
/* Commits what is pending, ends the thread, and calls those who wait for a ticket: the store still answers
 * them. They must not change it any more. Blocks. Takes NULL. */
void store_close(struct store *s);

/* Calls `each` for every row of a kind in order of creation; `value` is borrowed.
 * Start-up only. Stops at a non-zero answer and returns it. */
int store_load(struct store *s, const char *kind, int (*each)(void *arg, const char *id, json_t *value), void *arg,
	       struct error *err);

/* Serialises `value` now (borrowed); later puts of the same row replace it. */
void store_put(struct store *s, const char *kind, const char *id, json_t *value);
void store_delete(struct store *s, const char *kind, const char *id);

/* The ticket of the newest change; durable when a commit has covered it. */
uint64_t store_ticket(const struct store *s);
bool store_is_durable(const struct store *s, uint64_t ticket);
/* Calls back once from the loop when `ticket` is durable, in ticket order, or when a commit has
 * failed (ask store_has_failed); never from within this call. After a failure it tries again. */
void store_on_durable(struct store *s, uint64_t ticket, void (*cb)(void *arg), void *arg);

/* The last commit failed (disk full): replies become 500 instead of telling what is not so. What it
 * held is kept and goes with the next try; true until one succeeds. */
bool store_has_failed(const struct store *s, struct error *err);

#endif
