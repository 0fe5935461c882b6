/* What the two files of the public API share. */
#ifndef SOCKERLESS_DAEMON_PUBLIC_H
#define SOCKERLESS_DAEMON_PUBLIC_H

#include <sockerless/request.h>

#include "http/request.h"

/* A public request is ours under another name: nothing to make, nothing to free. */
static inline struct sockerless_request *public_request(struct request *req)
{
	return (struct sockerless_request *)req;
}

#endif
