/* A cgroup of the container's own, where the host lets the daemon's user make one:
 * then the kernel itself counts processes and keeps to the quota of processor time.
 * Best effort: without one the supervisor's own means are all there is. Both
 * versions; the daemon's own cgroup or, of version 2, the one above it (whose
 * processes must be in leaves: systemd's DelegateSubgroup). */
#include "sandbox/kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 512, PIDS_SLACK = 16 }; /* who has given its slot back may still be there */

/* The number is the zygote's: at its end it removes what killed supervisors have left. */
#define NAME_FORMAT "sockerless-%d-"

enum controller { PIDS, CPU, CONTROLLERS };
static const char *const names[] = { "pids", "cpu" };

static struct {
	pid_t owner;
	bool is_v2;
	char path[CONTROLLERS][PATH]; /* "": none */
} cg;

static int write_file(const char *dir, const char *name, const char *text)
{
	char path[PATH + 32];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static const char *limit_file(enum controller c, bool is_v2)
{
	return c == PIDS ? "pids.max" : is_v2 ? "cpu.max" : "cpu.cfs_quota_us";
}

/* ---- where it may be ---- */

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
		if (strncmp(list, word, n) == 0 && (list[n] == ',' || list[n] == '\0'))
			return true;
	return false;
}

/* The directory of our own cgroup for a controller. */
static bool find_own(const char *name, char out[PATH], bool *ret_is_v2)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH];
	bool is_found = false;

	while (f && !is_found && fgets(line, sizeof(line), f)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;
		bool is_v2;

		if (!path)
			continue;
		*path++ = '\0';
		list++;
		path[strcspn(path, "\n")] = '\0';
		is_v2 = *list == '\0';
		if (is_v2 && access("/sys/fs/cgroup/cgroup.controllers", F_OK) < 0)
			continue;
		if (!is_v2 && !has_word(list, name))
			continue;
		is_found = snprintf(out, PATH, "/sys/fs/cgroup%s%s%s", is_v2 ? "" : "/", list, path) < PATH;
		*ret_is_v2 = is_v2;
	}
	if (f)
		fclose(f);
	return is_found;
}

static bool make_in(enum controller c, const char *base, const char *id, const char *file, const char *text)
{
	char dir[PATH], enable[16];

	snprintf(enable, sizeof(enable), "+%s", names[c]);
	if (cg.is_v2) /* refused where there are processes, and often done already */
		write_file(base, "cgroup.subtree_control", enable);
	if (snprintf(dir, sizeof(dir), "%s/" NAME_FORMAT "%.12s", base, (int)getppid(), id) >= PATH ||
	    (mkdir(dir, 0755) < 0 && errno != EEXIST))
		return false;
	if (write_file(dir, file, text) < 0) {
		rmdir(dir);
		return false;
	}
	memcpy(cg.path[c], dir, sizeof(dir));
	return true;
}

static bool make(enum controller c, const char *id, const char *text)
{
	char own[PATH], *slash;

	if (!find_own(names[c], own, &cg.is_v2))
		return false;
	if (make_in(c, own, id, limit_file(c, cg.is_v2), text))
		return true;
	slash = strrchr(own, '/');
	if (!cg.is_v2 || !slash || strcmp(own, "/sys/fs/cgroup/") == 0)
		return false;
	*slash = '\0';
	return make_in(c, own, id, limit_file(c, true), text);
}

/* ---- limits ---- */

static void remove_all(void)
{
	if (getpid() != cg.owner)
		return;
	for (int c = 0; c < CONTROLLERS; c++)
		if (cg.path[c][0])
			rmdir(cg.path[c]);
}

static bool set(enum controller c, const char *id, bool is_limited, const char *text)
{
	if (cg.path[c][0])
		return write_file(cg.path[c], limit_file(c, cg.is_v2), text) == 0 && is_limited;
	return is_limited && make(c, id, text);
}

static bool set_cpu(const char *id, const struct limits *l)
{
	bool is_limited = l->cpu_quota_ns > 0, is_v2 = cg.is_v2;
	unsigned long long quota = l->cpu_quota_ns / 1000, period = is_limited ? l->cpu_period_ns / 1000 : 100000;
	char own[PATH], text[64], quota_text[32], period_text[32];

	if (is_limited && (quota < 1000 || !find_own(names[CPU], own, &is_v2)))
		return false;
	snprintf(quota_text, sizeof(quota_text), "%llu", quota);
	snprintf(period_text, sizeof(period_text), "%llu", period);
	if (is_v2)
		snprintf(text, sizeof(text), "%s %llu", is_limited ? quota_text : "max", period);
	else
		snprintf(text, sizeof(text), "%s", is_limited ? quota_text : "-1");
	if (!set(CPU, id, is_limited, text))
		return false;
	return is_v2 || write_file(cg.path[CPU], "cpu.cfs_period_us", period_text) == 0;
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
		atexit(remove_all);
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
			write_file(cg.path[c], "cgroup.procs", text);
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

		if (!find_own(names[c], own, &is_v2))
			continue;
		sweep(own);
		slash = is_v2 ? strrchr(own, '/') : NULL;
		if (slash) {
			*slash = '\0';
			sweep(own);
		}
	}
}
