/* The keys that leave a container without ending it: "ctrl-p,ctrl-q" (moby:
 * term.ToBytes), and their recognition in a client's input. Pure. */
#ifndef SOCKERLESS_ENGINE_DETACH_H
#define SOCKERLESS_ENGINE_DETACH_H

#include <stdbool.h>
#include <stddef.h>

struct detach_keys {
	unsigned char keys[16];
	size_t n, matched;
};

/* NULL or "": the default. What is no key is left out. */
void detach_keys_parse(struct detach_keys *d, const char *text);
/* True when these bytes complete the sequence. It may come in pieces; its first keys have reached the process
 * by then, as with ssh's. */
bool detach_keys_match(struct detach_keys *d, const void *data, size_t len);

#endif
