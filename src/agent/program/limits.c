/* docker run --memory, --pids-limit, --cpus, --cpuset-cpus of a native container: control groups of its own, where the
 * host lets the daemon's user make them. The launcher and all that it starts are in them. What cannot be is said. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/program/agent.h"
#include "util/cgroup.h"

/* Of the processes in the group so many are the launcher's and the agent. */
enum { PIDS_OURS = 3, CPUS_LONGEST = 512 };

#define NAME_FORMAT "sockerless-native-%.12s"

enum controller { MEMORY, PIDS, CPU, CONTROLLERS };
static const char *const names[] = { "memory", "pids", "cpu" };
static const char *const options[] = { "--memory", "--pids-limit", "--cpus" };

static struct {
	char name[64];
	char path[CONTROLLERS][CGROUP_PATH]; /* "": none */
	bool is_v2[CONTROLLERS], has_all[CONTROLLERS]; /* the container's processes are in it */
	struct control_limits limits;
} groups;

static unsigned long long wish(const char *variable)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : 0;
}

static bool is_wished(enum controller c, const struct control_limits *l)
{
	return c == MEMORY ? l->memory_bytes > 0 :
	       c == PIDS   ? l->pids_max > 0 :
			     l->cpu_quota_us > 0 && l->cpu_period_us > 0;
}

static bool is_same(enum controller c, const struct control_limits *a, const struct control_limits *b)
{
	switch (c) {
	case MEMORY: return a->memory_bytes == b->memory_bytes;
	case PIDS: return a->pids_max == b->pids_max;
	default: return a->cpu_quota_us == b->cpu_quota_us && a->cpu_period_us == b->cpu_period_us;
	}
}

/* A number in a file of the group's; 0: none. */
static int put(enum controller c, const char *file, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return cgroup_write(groups.path[c], file, n ? text : groups.is_v2[c] || c == PIDS ? "max" : "-1");
}

/* Of swap there is as much again, by Docker's own measure, where there is any. Version 1 has the sum of both, which may
 * not be below the memory's at any moment. */
static int set_memory(uint64_t bytes)
{
	int r;

	if (groups.is_v2[MEMORY]) {
		r = put(MEMORY, "memory.max", bytes);
		if (r == 0)
			put(MEMORY, "memory.swap.max", bytes);
		return r;
	}
	put(MEMORY, "memory.memsw.limit_in_bytes", bytes * 2);
	r = put(MEMORY, "memory.limit_in_bytes", bytes);
	put(MEMORY, "memory.memsw.limit_in_bytes", bytes * 2);
	return r;
}

static int set_cpu(uint64_t quota_us, uint64_t period_us)
{
	char text[64];

	if (!groups.is_v2[CPU]) {
		put(CPU, "cpu.cfs_quota_us", 0);
		if (period_us)
			put(CPU, "cpu.cfs_period_us", period_us);
		return put(CPU, "cpu.cfs_quota_us", period_us ? quota_us : 0);
	}
	snprintf(text, sizeof(text), "%llu %llu", (unsigned long long)quota_us, (unsigned long long)period_us);
	return cgroup_write(groups.path[CPU], "cpu.max", quota_us && period_us ? text : "max");
}

static int set(enum controller c, const struct control_limits *l)
{
	switch (c) {
	case MEMORY: return set_memory(l->memory_bytes);
	case PIDS: return put(PIDS, "pids.max", l->pids_max ? l->pids_max + PIDS_OURS : 0);
	default: return set_cpu(l->cpu_quota_us, l->cpu_period_us);
	}
}

/* A group without a limit so far. */
static bool make(enum controller c)
{
	static const char *const v1[] = { "memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us" };
	static const char *const v2[] = { "memory.max", "pids.max", "cpu.max" };
	const char *none = getenv("SOCKERLESS_CGROUP");
	char own[CGROUP_PATH];
	bool is_v2 = false;

	return !(none && strcmp(none, "none") == 0) && cgroup_find_own(names[c], own, &is_v2) &&
	       cgroup_make(names[c], groups.name, v1[c], v2[c], is_v2 || c == PIDS ? "max" : "-1", groups.path[c],
			   &groups.is_v2[c]);
}

void limits_make(const char *id)
{
	struct control_limits *l = &groups.limits;

	snprintf(groups.name, sizeof(groups.name), NAME_FORMAT, id);
	l->memory_bytes = wish("SOCKERLESS_MEMORY");
	l->pids_max = wish("SOCKERLESS_PIDS");
	l->cpu_quota_us = wish("SOCKERLESS_CPU_QUOTA");
	l->cpu_period_us = wish("SOCKERLESS_CPU_PERIOD");
	for (int c = 0; c < CONTROLLERS; c++) {
		if (!is_wished(c, l) || (make(c) && set(c, l) == 0)) {
			groups.has_all[c] = is_wished(c, l);
			continue;
		}
		if (groups.path[c][0])
			rmdir(groups.path[c]);
		groups.path[c][0] = '\0';
		say("%s is not kept to: no control group for it can be made here", options[c]);
	}
}

/* ---- other limits while it runs ---- */

static bool move(void *arg, int pid)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", pid);
	r = cgroup_write(arg, "cgroup.procs", text);
	return r == 0 || r == -ESRCH;
}

/* Of one that was started without such a limit. What memory its processes have is counted with them where the kernel can
 * still do that (version 1). */
static bool enter_late(enum controller c)
{
	if (c == MEMORY && !groups.is_v2[c])
		cgroup_write(groups.path[c], "memory.move_charge_at_immigrate", "3");
	groups.has_all[c] = tree_each(move, groups.path[c]);
	return groups.has_all[c];
}

static int change(enum controller c, const struct control_limits *l, char *why, size_t size)
{
	int r;

	if (is_same(c, l, &groups.limits) || (!groups.path[c][0] && !is_wished(c, l)))
		return 0;
	if (!groups.path[c][0] && !make(c)) {
		snprintf(why, size, "%s of a native container that runs: no control group for it can be made here",
			 options[c]);
		return -EOPNOTSUPP;
	}
	if (!groups.has_all[c] && !enter_late(c)) {
		snprintf(why, size,
			 "%s of a native container that runs: not all of its processes can be moved into a control group",
			 options[c]);
		return -EOPNOTSUPP;
	}
	r = set(c, l);
	if (r == -EBUSY && c == MEMORY)
		snprintf(why, size, "unable to set memory limit to %llu: the container uses more now",
			 (unsigned long long)l->memory_bytes);
	else if (r < 0)
		snprintf(why, size, "%s: %s", options[c], strerror(-r));
	return r;
}

int limits_change(const struct control_limits *l, char *why, size_t size)
{
	for (int c = 0; c < CONTROLLERS; c++) {
		int r = change(c, l, why, size);

		if (r == 0)
			continue;
		for (; c >= 0; c--)
			if (groups.path[c][0])
				set(c, &groups.limits);
		return r;
	}
	groups.limits = *l;
	return 0;
}

/* ---- the run ---- */

/* "0,2,5" */
static void use_cpus(const char *list)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
		CPU_SET((size_t)strtoul(p, NULL, 10) % CPU_SETSIZE, &set);
	if (CPU_COUNT(&set) > 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
		say("--cpuset-cpus is not kept to: %s", strerror(errno));
}

void limits_enter(void)
{
	const char *cpus = getenv("SOCKERLESS_CPUS");

	for (int c = 0; c < CONTROLLERS; c++)
		if (groups.path[c][0] && cgroup_write(groups.path[c], "cgroup.procs", "0") < 0)
			say("the control group %s cannot be entered", groups.path[c]);
	if (cpus && *cpus)
		use_cpus(cpus);
}

/* Both versions have it as "oom_kill N". */
static bool has_killed(void)
{
	char path[CGROUP_PATH + 32], line[64];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", groups.path[MEMORY], groups.is_v2[MEMORY] ? "memory.events" : "memory.oom_control");
	f = groups.path[MEMORY][0] ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "oom_kill %lu", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n > 0;
}

bool limits_end(void)
{
	struct timespec pause = { .tv_nsec = 5000000 };
	bool is_oom = has_killed();

	for (int c = 0; c < CONTROLLERS; c++)
		for (int tries = 0; tries < 100 && groups.path[c][0]; tries++) { /* the last of it may still be ending */
			if (rmdir(groups.path[c]) == 0 || errno != EBUSY)
				break;
			nanosleep(&pause, NULL);
		}
	return is_oom;
}

void limits_forget(const char *id)
{
	char name[64];

	snprintf(name, sizeof(name), NAME_FORMAT, id);
	for (int c = 0; c < CONTROLLERS; c++)
		cgroup_remove(names[c], name);
}
