/* A cgroup of the container's own, where the host lets the daemon's user make one:
 * then the kernel itself counts processes and keeps to the quota of processor time.
 * Best effort: without one the supervisor's own means are all there is. */
#include "sandbox/kernel/cgroup.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cgroup.h"

enum { PATH = CGROUP_PATH, PIDS_SLACK = 16 }; /* who has given its slot back may still be there */

/* The number is the zygote's: at its end it removes what killed supervisors have left. */
#define NAME_FORMAT "sockerless-%d-"

enum controller { PIDS, CPU, CONTROLLERS };
static const char *const names[] = { "pids", "cpu" };

static struct {
	pid_t owner;
	bool is_v2;
	char path[CONTROLLERS][PATH]; /* "": none */
} cg;

static const char *limit_file(enum controller c, bool is_v2)
{
	return c == PIDS ? "pids.max" : is_v2 ? "cpu.max" : "cpu.cfs_quota_us";
}

static bool make(enum controller c, const char *id, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), NAME_FORMAT "%.12s", (int)getppid(), id);
	return cgroup_make(names[c], name, limit_file(c, false), limit_file(c, true), text, cg.path[c], &cg.is_v2);
}

/* ---- limits ---- */

void cgroup_remove_own(void)
{
	if (getpid() != cg.owner)
		return;
	for (int c = 0; c < CONTROLLERS; c++)
		if (cg.path[c][0] && rmdir(cg.path[c]) == 0)
			cg.path[c][0] = '\0';
}

static bool set(enum controller c, const char *id, bool is_limited, const char *text)
{
	if (cg.path[c][0])
		return cgroup_write(cg.path[c], limit_file(c, cg.is_v2), text) == 0 && is_limited;
	return is_limited && make(c, id, text);
}

static bool set_cpu(const char *id, const struct limits *l)
{
	bool is_limited = l->cpu_quota_ns > 0, is_v2 = cg.is_v2;
	unsigned long long quota = l->cpu_quota_ns / 1000, period = is_limited ? l->cpu_period_ns / 1000 : 100000;
	char own[PATH], text[64], quota_text[32], period_text[32];

	if (is_limited && (quota < 1000 || !cgroup_find_own(names[CPU], own, &is_v2)))
		return false;
	snprintf(quota_text, sizeof(quota_text), "%llu", quota);
	snprintf(period_text, sizeof(period_text), "%llu", period);
	if (is_v2)
		snprintf(text, sizeof(text), "%s %llu", is_limited ? quota_text : "max", period);
	else
		snprintf(text, sizeof(text), "%s", is_limited ? quota_text : "-1");
	if (!set(CPU, id, is_limited, text))
		return false;
	return is_v2 || cgroup_write(cg.path[CPU], "cpu.cfs_period_us", period_text) == 0;
}

void cgroup_set(const char *id, const struct limits *l, bool *ret_has_cpu)
{
	const char *wish = getenv("SOCKERLESS_CGROUP");
	char text[32] = "max";

	*ret_has_cpu = false;
	if (wish && strcmp(wish, "none") == 0)
		return;
	if (!cg.owner) {
		cg.owner = getpid();
		atexit(cgroup_remove_own);
	}
	if (l->pids_max)
		snprintf(text, sizeof(text), "%u", l->pids_max + PIDS_SLACK);
	set(PIDS, id, l->pids_max > 0, text);
	*ret_has_cpu = set_cpu(id, l);
}

bool cgroup_is_there(void)
{
	return cg.path[PIDS][0] || cg.path[CPU][0];
}

void cgroup_enter(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (int c = 0; c < CONTROLLERS; c++)
		if (cg.path[c][0])
			cgroup_write(cg.path[c], "cgroup.procs", text);
}

void cgroup_figures(struct limits_figures *f)
{
	char path[PATH + 16], line[128];
	unsigned long long v;
	FILE *in;

	snprintf(path, sizeof(path), "%s/cpu.stat", cg.path[CPU]);
	in = cg.path[CPU][0] ? fopen(path, "re") : NULL;
	while (in && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "nr_periods %llu", &v) == 1)
			f->periods = v;
		else if (sscanf(line, "nr_throttled %llu", &v) == 1)
			f->throttled_periods = v;
		else if (sscanf(line, "throttled_time %llu", &v) == 1) /* version 1: ns */
			f->throttled_ns = v;
		else if (sscanf(line, "throttled_usec %llu", &v) == 1)
			f->throttled_ns = v * 1000;
	}
	if (in)
		fclose(in);
}

static void sweep(const char *base)
{
	char prefix[32], path[PATH + 256];
	DIR *d = opendir(base);
	struct dirent *e;

	snprintf(prefix, sizeof(prefix), NAME_FORMAT, (int)getpid());
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
		rmdir(path);
	}
	if (d)
		closedir(d);
}

void cgroup_sweep(void)
{
	for (int c = 0; c < CONTROLLERS; c++) {
		char own[PATH], *slash;
		bool is_v2;

		if (!cgroup_find_own(names[c], own, &is_v2))
			continue;
		sweep(own);
		slash = is_v2 ? strrchr(own, '/') : NULL;
		if (slash) {
			*slash = '\0';
			sweep(own);
		}
	}
}
