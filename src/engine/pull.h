/* Images that are wanted by name: pulled, or, where the engine was told so, made. API handlers and the builder call this.
 * Loop thread only. */
#ifndef SOCKERLESS_ENGINE_PULL_H
#define SOCKERLESS_ENGINE_PULL_H

#include "engine/engine.h"

struct image;

struct engine_pull_request {
	const char *name; /* as the client wrote it; without tag and digest: all tags, or what is built in */
	json_t *platform; /* {os, architecture, variant}; borrowed; NULL: ours */
	json_t *auth; /* of the X-Registry-Auth header; borrowed; may be NULL */
	/* A line of progress as docker pull shows it, taken. `is_passing`: one of many, may be dropped. */
	void (*on_line)(void *arg, json_t *take_line, bool is_passing);
	/* Once, from the loop, never from within. */
	void (*done)(void *arg, struct image *i, const struct error *err);
	void *arg;
};

/* --images decides: registry pulls; synthetic makes an image over the built-in root; auto pulls, and makes one only when no
 * registry answers at all. Stand-ins are always made; the built-in image is always up to date, except with registry.
 * NULL: err tells, at once. */
struct engine_pull;
struct engine_pull *engine_image_pull(struct engine *e, const struct engine_pull_request *req, struct error *err);
void engine_image_pull_cancel(struct engine_pull *p); /* `done` does not run */

#endif
