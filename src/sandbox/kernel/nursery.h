/* The supervisor's thread behind the second wall, from which exec's processes are forked. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_NURSERY_H
#define SOCKERLESS_SANDBOX_KERNEL_NURSERY_H

#include "sandbox/kernel/kernel.h"

/* Forks, as fork(2) does, a process that is behind the wall from the start and calls child(arg), which never
 * returns. Its pid; or -errno, and then nothing has been forked: who forks by itself has to build the wall by itself.
 * Called by the supervisor's loop alone, which it holds up for the time of the fork. */
pid_t nursery_fork(const struct container *c, void (*child)(void *arg), void *arg);

/* The thread's number, whose children the kernel lists by themselves; 0: there is none. */
pid_t nursery_thread(void);

#endif
