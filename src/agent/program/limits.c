/* docker run --memory, --pids-limit, --cpus, --cpuset-cpus of a native container: control groups of its own, where the
 * host lets the daemon's user make them. The launcher and all that it starts are in them. What cannot be is said. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include "util/cgroup.h"

/* Of the processes in the group so many are the launcher's and the agent. */
enum { PIDS_OURS = 3, CPUS_LONGEST = 512 };

#define NAME_FORMAT "sockerless-native-%.12s"

enum controller { MEMORY, PIDS, CPU, CONTROLLERS };
static const char *const names[] = { "memory", "pids", "cpu" };

static struct {
	char path[CONTROLLERS][CGROUP_PATH]; /* "": none */
	bool is_v2[CONTROLLERS];
} groups;

static unsigned long long wish(const char *variable)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : 0;
}

static void make(enum controller c, const char *id, const char *option, const char *file_v1, const char *file_v2,
		 const char *text)
{
	const char *none = getenv("SOCKERLESS_CGROUP");
	char name[64];

	snprintf(name, sizeof(name), NAME_FORMAT, id);
	if ((none && strcmp(none, "none") == 0) ||
	    !cgroup_make(names[c], name, file_v1, file_v2, text, groups.path[c], &groups.is_v2[c]))
		say("%s is not kept to: no control group for it can be made here", option);
}

static void limit_memory(const char *id, unsigned long long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", bytes);
	make(MEMORY, id, "--memory", "memory.limit_in_bytes", "memory.max", text);
	if (!groups.path[MEMORY][0])
		return;
	if (groups.is_v2[MEMORY]) { /* Docker's own measure of swap, where there is any */
		cgroup_write(groups.path[MEMORY], "memory.swap.max", text);
		return;
	}
	snprintf(text, sizeof(text), "%llu", bytes * 2);
	cgroup_write(groups.path[MEMORY], "memory.memsw.limit_in_bytes", text);
}

static void limit_cpu(const char *id, unsigned long long quota_us, unsigned long long period_us)
{
	char v1[32], period[32], v2[64];
	char own[CGROUP_PATH];
	bool is_v2 = false;

	snprintf(v1, sizeof(v1), "%llu", quota_us);
	snprintf(period, sizeof(period), "%llu", period_us);
	snprintf(v2, sizeof(v2), "%llu %llu", quota_us, period_us);
	cgroup_find_own(names[CPU], own, &is_v2);
	make(CPU, id, "--cpus", "cpu.cfs_quota_us", "cpu.max", is_v2 ? v2 : v1);
	if (groups.path[CPU][0] && !is_v2)
		cgroup_write(groups.path[CPU], "cpu.cfs_period_us", period);
}

void limits_make(const char *id)
{
	unsigned long long memory = wish("SOCKERLESS_MEMORY"), pids = wish("SOCKERLESS_PIDS"),
			   quota = wish("SOCKERLESS_CPU_QUOTA"), period = wish("SOCKERLESS_CPU_PERIOD");
	char text[32];

	if (memory)
		limit_memory(id, memory);
	snprintf(text, sizeof(text), "%llu", pids + PIDS_OURS);
	if (pids)
		make(PIDS, id, "--pids-limit", "pids.max", "pids.max", text);
	if (quota && period)
		limit_cpu(id, quota, period);
}

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
