/* RUN --mount: what its flags come to in the step's container. Loop thread;
 * paths are looked for, and hashed, on the pool. */
#ifndef SOCKERLESS_BUILD_MOUNTS_H
#define SOCKERLESS_BUILD_MOUNTS_H

#include <jansson.h>

#include "util/error.h"

struct build;
struct run_mounts;

/* Of b->now's flags, and (script not NULL) a file with that content that is to be run. `looked`, once, from the loop, never
 * from within: what the flags tell of themselves and of what they read, as a part of the step's command, or an error. */
struct run_mounts *run_mounts_new(struct build *b, const char *script,
				  void (*looked)(void *arg, const char *told, const struct error *err), void *arg);
/* After that: takes the caches, perhaps after a wait. `ready` once, never from within. */
void run_mounts_prepare(struct run_mounts *m, void (*ready)(void *arg, const struct error *err));
/* HostConfig's Mounts; borrowed. */
json_t *run_mounts_list(const struct run_mounts *m);
const char *run_mounts_script(const struct run_mounts *m); /* where it is in the container; NULL: none */
/* Gives caches back. Takes NULL. Not while `looked` or `ready` is to come, except after run_mounts_prepare, whose wait it ends. */
void run_mounts_free(struct run_mounts *m);
/* Is it waiting for a cache? Then it can be freed at once. */
int run_mounts_waits(const struct run_mounts *m);

#endif
