/* throttle.c: docker run --cpus without a cgroup. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_THROTTLE_H
#define SOCKERLESS_SANDBOX_KERNEL_THROTTLE_H

#include "sandbox/kernel/supervisor.h"
#include "sandbox/limits.h"

/* A quota of 0 ends it. Figures are counted into `figures`, which stays the caller's. */
void throttle_set(struct container *c, const struct limits *l, struct limits_figures *figures);
/* Answers when it wants to be called again, in monotonic_ns. */
uint64_t throttle_turn(struct container *c, uint64_t now);

#endif
