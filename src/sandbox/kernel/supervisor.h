/* The supervisor: one host process for each running container, outside the
 * second wall. It forks the container's processes, reaps them and the
 * orphans, is their broker, and kills what is left when pid 1 ends. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_SUPERVISOR_H
#define SOCKERLESS_SANDBOX_KERNEL_SUPERVISOR_H

#include "sandbox/kernel/kernel.h"

/* Serves one container on `sock`; ends with it. Takes sock. */
_Noreturn void supervisor_main(int sock, const char *id);

/* descent.c: kernel facts about processes. */
bool descent_is_below(pid_t pid, pid_t ancestor);
/* Calls back for every process below `pid`, parents before children, or (upward) children first. */
void descent_each(pid_t pid, bool children_first, void (*each)(void *arg, pid_t pid), void *arg);

/* broker.c: answers one request on the broker's socket. */
void broker_serve(struct container *c, int sock);

#endif
