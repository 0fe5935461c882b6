/* What the two files of the public API share. */
#ifndef SOCKERLESS_DAEMON_PUBLIC_H
#define SOCKERLESS_DAEMON_PUBLIC_H

#include <sockerless/request.h>

#include "http/request.h"

struct engine;
struct error;
struct sockerless_server;

/* Into the caller's error, as far as that reaches; answers its code. `ret` may be NULL. */
int public_tell(struct sockerless_error *ret, const struct error *err);
/* NULL with *ret_err set: it does not run. */
struct engine *public_engine(struct sockerless_server *s, struct sockerless_error *ret_err);

/* A public request is ours under another name: nothing to make, nothing to free. */
static inline struct sockerless_request *public_request(struct request *req)
{
	return (struct sockerless_request *)req;
}

#endif
