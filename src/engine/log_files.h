/* The files of one log: output.log, and rotated output.log.1 (the newest of the
 * old) onwards, each of the old ones plain or, with the option "compress", .gz.
 * All of it blocks and runs on the thread pool. */
#ifndef SOCKERLESS_ENGINE_LOG_FILES_H
#define SOCKERLESS_ENGINE_LOG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* ---- writing: by the log's owner only, one call at a time ---- */

/* The file at `path` becomes .1, each old one the next; at most max_files stay, the new one that will be at `path`
 * counted. */
void log_files_rotate(const char *path, unsigned max_files);
/* .1 becomes .1.gz: whoever reads it meanwhile reads on, a crash leaves one of the two whole. Nothing happens when it is
 * compressed already, or cannot be. Not while files are rotated. */
void log_files_compress(const char *path);

/* ---- reading, from the oldest file to the newest ---- */

struct log_source {
	int fd; /* -1: before the first file */
	struct inflater *gz; /* of a compressed one */
};

#define LOG_SOURCE_NONE { .fd = -1 }

/* Bytes of the file that it is at; 0: no more (yet). */
size_t log_source_read(struct log_source *s, char *buf, size_t size);
/* To the file that comes after, wherever files have moved in the meantime; from the beginning to the oldest. False:
 * there is none (yet). Only opens: what the writer may have added to the old file before it left it is still to be read
 * by then. */
bool log_source_next(const struct log_source *s, const char *path, struct log_source *ret);
void log_source_done(struct log_source *s);

#endif
