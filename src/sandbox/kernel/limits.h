/* limits.c: what the supervisor does so that its container keeps to its limits. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_LIMITS_H
#define SOCKERLESS_SANDBOX_KERNEL_LIMITS_H

#include "sandbox/kernel/supervisor.h"
#include "sandbox/limits.h"

/* From now on; the first time before anything runs. */
void limits_set(struct container *c, const struct limits *l);
/* At every turn of the supervisor's loop. How long it may wait for the next, as poll takes it: ms, or -1 for ever. */
int limits_turn(struct container *c);
/* Processors and weight of one process, also of ourselves. */
void limits_enter(pid_t pid, const struct limits *l);
/* Whether that has to be done at all: what is not set is as it was before the fork. */
bool limits_concern_entry(const struct limits *l);
/* A process wants so many bytes, and all charges together are above the limit. 0: it may; -EAGAIN: somebody
 * had to be killed, perhaps who asks. */
int limits_ask_memory(struct container *c, pid_t who, uint64_t bytes);
const struct limits_figures *limits_figures(uint64_t *ret_peak_bytes);

uint64_t monotonic_ns(void);

/* The supervisor's: what it is told. */
void supervisor_on_oom(void);
_Noreturn void supervisor_on_taken_over(void); /* the container cannot be trusted to be held any more: it ends */

#endif
