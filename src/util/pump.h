/* Bytes that are read by blocking work, sent to a stream as fast as its client takes them: a file, an archive that is
 * made as it goes. Loop thread; `read` runs on the pool. */
#ifndef SOCKERLESS_UTIL_PUMP_H
#define SOCKERLESS_UTIL_PUMP_H

#include <stddef.h>
#include <sys/types.h>

#include <uv.h>

#include "util/stream.h"

/* More bytes, 0 at the end, negative for a failure, which aborts the stream. */
typedef ssize_t (*pump_read_fn)(void *arg, char *to, size_t size);

/* Takes the stream's events, and ends it behind the last byte. `closed` runs once, from the loop, when the stream has closed
 * and `read` runs no more. */
void pump_start(uv_loop_t *loop, struct stream *stream, pump_read_fn read, void (*closed)(void *arg), void *arg);

#endif
