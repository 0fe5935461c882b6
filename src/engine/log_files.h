/* The files of one log: output.log, and rotated output.log.1 (the newest of the
 * old) onwards, each of the old ones plain or, with the option "compress", .gz.
 *
 * Which files there are is looked up once; from then on it is known here, for whoever moves a file does it here. A file
 * that a reader has yet to come to outlives its rotation and the log's removal: it is set aside, not deleted, until that
 * reader has opened it or has left. So a reader has two descriptors at most, however many files there are. */
#ifndef SOCKERLESS_ENGINE_LOG_FILES_H
#define SOCKERLESS_ENGINE_LOG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct log_files;
struct log_limits; /* log.h */

/* ---- on the loop: none of these blocks ---- */

/* Of the log in this directory, which need not be there yet. One reference. */
struct log_files *log_files_new(const char *dir);
struct log_files *log_files_ref(struct log_files *f);
void log_files_unref(struct log_files *f); /* takes NULL */

/* ---- on the pool: all of these block ---- */

/* The newest file, to append to; made if need be. -1: cannot. */
int log_files_open(struct log_files *f);
/* The newest becomes .1, each old one the next; at most max_files stay, the new one that will come counted. Those beyond
 * are held for readers that have yet to open them: as many bytes as the log itself may have, but HELD_BYTES_MIN at
 * least, and HELD_FILES_MAX files. A reader that lags further goes on with the oldest that is left. */
void log_files_rotate(struct log_files *f, const struct log_limits *limits);
/* .1 becomes .1.gz: whoever reads it meanwhile reads on, a crash leaves one of the two whole. Nothing happens when it is
 * compressed already, or cannot be. */
void log_files_compress(struct log_files *f);
/* Before its directory is removed: what readers have yet to open goes to the directory `aside` on the same file system,
 * which goes with the last of them. Later ones find nothing. */
void log_files_set_aside(struct log_files *f, const char *aside);

enum { HELD_FILES_MAX = 4000, HELD_BYTES_MIN = 16 << 20 };

/* ---- a reader, from the oldest file to the newest ---- */

struct log_source {
	int fd; /* -1: none */
	struct inflater *gz; /* of a compressed one */
	uint64_t seq;
};

struct log_place {
	struct list link; /* under the files' lock */
	struct log_files *files;
	uint64_t passed; /* files up to this one need not be held; under the lock too */
	uint64_t at; /* the file that it is in, or the one before its first */
	bool will_rewind;
	struct log_source here, next;
};

/* Loop; does not block. From now on all that is there is held. With `will_rewind` until log_place_rewind. */
void log_place_enter(struct log_place *p, struct log_files *f, bool will_rewind);
/* The rest is the pool's. Bytes of the log; 0: no more (yet). */
size_t log_place_read(struct log_place *p, char *buf, size_t size);
/* Back to the beginning. */
void log_place_rewind(struct log_place *p);
/* Deletes what was held for it alone. */
void log_place_leave(struct log_place *p);

#endif
