/* One run of sockerless-fetch (docs/registry.md) as the loop sees it: a request in, events out.
 * Loop thread only; nothing blocks but the start of the process. */
#ifndef SOCKERLESS_REGISTRY_HELPER_H
#define SOCKERLESS_REGISTRY_HELPER_H

#include <stdbool.h>

#include <jansson.h>
#include <uv.h>

#include "util/error.h"

struct helper;

struct helper_calls {
	/* May call helper_kill. `event` is borrowed. Not called for "error", nor after helper_kill. */
	void (*on_event)(void *arg, const char *kind, json_t *event);
	/* Once, unless killed: err NULL after a "result". The helper is gone then. */
	void (*on_end)(void *arg, const struct error *err, bool is_unreachable);
};

/* Sends the request (taken, wiped after it has left). NULL: err tells; ERROR_UNIMPLEMENTED when there is no such program. */
struct helper *helper_start(uv_loop_t *loop, const char *path, json_t *take_request, const struct helper_calls *calls,
			    void *arg, struct error *err);
/* One more line. Takes it. */
void helper_send(struct helper *h, json_t *take_line);
/* No more calls from now on; the process is killed. Takes NULL. */
void helper_kill(struct helper *h);

#endif
