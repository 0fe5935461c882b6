/* The builder behind POST /build: a context and a Dockerfile become an image,
 * step by step as Docker's classic builder does it, RUN in real containers.
 *
 * Loop thread only; nothing here blocks: contexts are unpacked and files are
 * copied on the pool. */
#ifndef SOCKERLESS_BUILD_BUILD_H
#define SOCKERLESS_BUILD_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/error.h"

struct engine;

struct build_options {
	const char *dockerfile;  /* path in the context; NULL or "": "Dockerfile" */
	const char *remote;      /* a URL instead of a body; NULL or "": none */
	const char *target, *platform, *network_mode, *id; /* may be NULL; `id` is what a cancel names */
	json_t *tags;            /* array of strings; all JSON here is borrowed and may be NULL */
	json_t *args;            /* name → string or null */
	json_t *labels;          /* name → string */
	json_t *cache_from, *extra_hosts, *ulimits; /* arrays */
	json_t *auths;           /* of X-Registry-Config: registry → credentials */
	bool is_quiet, no_cache, pulls, removes, force_removes, squashes;
	int64_t memory, memory_swap, cpu_shares, cpu_period, cpu_quota, shm_size;
	const char *cpuset_cpus, *cpuset_mems, *cgroup_parent; /* may be NULL */
	bool wants_aux;          /* {"aux": {"ID": …}} */
};

struct build_result {
	const char *image_id; /* NULL: there is none, err tells */
	int exit_code;        /* of a RUN that failed; 0: it was something else */
};

struct build_sink {
	/* A piece of the reply: whole JSON messages. */
	void (*output)(void *arg, const void *data, size_t len);
	/* Once, last, never from within. */
	void (*done)(void *arg, const struct build_result *r, const struct error *err);
	size_t (*queued)(void *arg); /* what output has not sent yet: above STREAM_HIGH a RUN waits until build_drained */
	void (*on_drain)(void *arg); /* after build_write answered 1 */
	void *arg;
};

struct build;
/* Copies the options. NULL: err tells, and `done` never runs. ERROR_INVALID for options that are none. */
struct build *build_start(struct engine *e, const struct build_options *opt, const struct build_sink *sink, struct error *err);
/* The context, as it comes: a tar in any compression. 1: pause until on_drain. */
int build_write(struct build *b, const void *data, size_t len);
void build_end(struct build *b, int result); /* 0: the body is complete; -errno: it is not */
void build_drained(struct build *b);
/* The client has gone, or somebody asked: what runs is stopped. `done` still comes. */
void build_cancel(struct build *b);
void build_cancel_by_id(struct engine *e, const char *id); /* those started with that id */

/* The message that ends a stream with an error; malloc'd. */
char *build_error_line(const struct error *err, int exit_code);

/* Begins and ends with the engine: removes what a crash has left of builds (blocks: start-up); stops all that run. */
void builds_open(struct engine *e);
void builds_stop(struct engine *e);
void builds_close(struct engine *e); /* nothing runs any more */

#endif
