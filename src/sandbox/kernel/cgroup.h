/* cgroup.c: the container's own cgroup, where the host lets us make one. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_CGROUP_H
#define SOCKERLESS_SANDBOX_KERNEL_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "sandbox/limits.h"

/* *ret_has_cpu: the kernel keeps to the quota of processor time from now on, for those who have entered.
 * What was made goes when this process ends by exit. */
void cgroup_set(const char *id, const struct limits *l, bool *ret_has_cpu);
/* Nothing where there is none. Outside the second wall only. */
void cgroup_enter(pid_t pid);
bool cgroup_is_there(void);
/* When nobody is in it any more; nothing if it has gone already. */
void cgroup_remove_own(void);
/* The zygote's last act: those of supervisors that were killed. */
void cgroup_sweep(void);
/* What the kernel has counted of throttling. */
void cgroup_figures(struct limits_figures *f);

#endif
