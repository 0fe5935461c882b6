/* A container's log on disk: entries of a time, a stream and bytes as they came,
 * so that binary output survives: "<ns> <stream> <length>\n" and the bytes.
 * Its files: log_files.h.
 *
 * Written and read on the thread pool; the functions here are the loop's. */
#ifndef SOCKERLESS_ENGINE_LOG_H
#define SOCKERLESS_ENGINE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <uv.h>

#include "util/error.h"

#define LOG_FILE "output.log" /* the newest, in the container's directory */

struct log_limits {
	uint64_t max_bytes;  /* of one file; 0: no rotation */
	unsigned max_files;  /* at least 1 */
	bool is_kept;        /* false for driver none */
	bool is_compressed;  /* rotated files are */
};

/* HostConfig.LogConfig: driver and options, in Docker's words when they are wrong. */
int log_parse_config(json_t *log_config, struct log_limits *ret, struct error *err);

/* The labels and variables that the options "labels", "env", "labels-regex" and "env-regex" name, as
 * `docker logs --details` shows them: "a=b,c=d " (malloc'd; " " when there are none). */
char *log_details(json_t *options, json_t *container_config);

struct log;
struct log_files;

/* Opens lazily: the first entry makes the file. Takes a reference to its files. */
struct log *log_new(uv_loop_t *loop, struct log_files *files, const struct log_limits *limits);
/* Queues a copy. True: the queue is long, stop until `on_room` has been called. */
bool log_append(struct log *log, int stream, const void *data, size_t len);
void log_on_room(struct log *log, void (*on_room)(void *arg), void *arg);
/* Calls back when all that was appended so far is in the file: at once when it is. */
void log_flush(struct log *log, void (*done)(void *arg), void *arg);
/* A mark that moves with every entry, for as long as all of it is in the file; UINT64_MAX: it is not. */
uint64_t log_mark(const struct log *log);
/* What is queued is still written. Takes NULL. */
void log_free(struct log *log);

enum { LOG_FILES_MAX = 1000 };

#endif
