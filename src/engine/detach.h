/* The keys that leave a container without ending it: "ctrl-p,ctrl-q" (moby:
 * term.ToBytes), and their recognition in a client's input. Pure; any thread. */
#ifndef SOCKERLESS_ENGINE_DETACH_H
#define SOCKERLESS_ENGINE_DETACH_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

struct detach_keys {
	unsigned char v[32];
	size_t n;          /* 0: nothing is looked for */
	size_t matched;    /* keys that came and are held back */
};

/* NULL or "": the default. False: not such a list, *ret holds no keys. */
bool detach_keys_parse(struct detach_keys *ret, const char *text);
/* What is no part of the sequence goes on to `out`, in pieces as it comes; true at the sequence's end. Held back
 * keys are given back when the next one does not fit, which is not looked at as a beginning (moby: term.EscapeProxy). */
bool detach_keys_take(struct detach_keys *d, const void *data, size_t len, struct buf *out);

#endif
