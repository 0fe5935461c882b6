/* A temporary file between the loop and blocking work: bytes of an upload are
 * collected in it, bytes of an archive are sent from it, both by the thread
 * pool. The file has no name: it goes with its descriptor.
 *
 * Loop thread only; nothing here blocks. */
#ifndef SOCKERLESS_UTIL_SPOOL_H
#define SOCKERLESS_UTIL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "util/stream.h"

struct spool;

/* The file lies in directory `dir`. Opening one is cheap and done here. NULL: errno tells. */
struct spool *spool_new(uv_loop_t *loop, const char *dir);
int spool_fd(const struct spool *s); /* borrowed: for blocking work while nothing is written or sent */

/* Queues a copy. 1: taken, but stop until on_drain, which is called once then. */
int spool_write(struct spool *s, const void *data, size_t len);
void spool_on_drain(struct spool *s, void (*on_drain)(void *arg), void *arg);
/* No more writes: `done` is called from the loop, not from within, when all of it
 * is in the file and the position is at its start. result: 0 or -errno. */
void spool_finish(struct spool *s, void (*done)(void *arg, int result), void *arg);

/* Sends the file from its start to the stream, ends the stream, and frees the
 * spool when the stream has closed; `closed` is called then. Takes the spool. */
void spool_send(struct spool *s, struct stream *stream, void (*closed)(void *arg), void *arg);

/* Only while nothing is under way. Takes NULL. */
void spool_free(struct spool *s);

#endif
