/* The supervisor: one host process for each running container, outside the
 * second wall. It forks the container's processes, reaps them and the
 * orphans, is their broker, and kills what is left when pid 1 ends. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_SUPERVISOR_H
#define SOCKERLESS_SANDBOX_KERNEL_SUPERVISOR_H

#include "sandbox/kernel/kernel.h"

/* Serves one container on `sock`; ends with it. Takes sock. */
_Noreturn void supervisor_main(int sock, const char *id);

/* descent.c: kernel facts about processes. */
struct descent_facts {
	pid_t parent;
	char state; /* as in /proc/PID/stat: R S D T Z … */
	uint64_t user_ns, system_ns, rss_bytes;
	uint64_t waited_ns; /* of children that it has waited for */
};
int descent_look(pid_t pid, struct descent_facts *ret); /* 0 or -ESRCH */
/* Processor time, to the nanosecond where the kernel tells it so; `f` has been looked at before. */
uint64_t descent_used_ns(pid_t pid, const struct descent_facts *f);
bool descent_is_below(pid_t pid, pid_t ancestor);
/* Signals `pid` if it is below `ancestor`, and no other process that may get its number. 0 or -errno. */
int descent_signal(pid_t pid, pid_t ancestor, int signo);
/* Kills what is below us and reaps it, until nothing is left. */
void descent_kill_all(void);
/* Calls back for every process below `pid`, parents before children, or children first. */
void descent_each(pid_t pid, bool children_first, void (*each)(void *arg, pid_t pid), void *arg);

/* freeze.c: docker pause and unpause. */
void freeze_container(struct container *c);
void thaw_container(struct container *c);

/* pressure.c: what the container's processes hold. */
struct pressure {
	uint64_t bytes, largest_bytes, asked_bytes;
	pid_t largest, asker; /* largest: the process that holds most, with what it asks for; 0: none */
	uint32_t processes;
	bool is_exceeded;
};
/* limit_bytes 0: none, and shared pages count for each who has them. `asker` (0: nobody) wants so much more. */
struct pressure pressure_look(const struct container *c, uint64_t limit_bytes, pid_t asker, uint64_t asked_bytes);

/* broker.c: answers one request on the broker's socket. */
void broker_serve(struct container *c, int sock);

#endif
