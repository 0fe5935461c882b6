#include "bench/figures.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *grow(void *p, size_t bytes)
{
	void *more = realloc(p, bytes);

	if (!more)
		abort();
	return more;
}

void samples_add(struct samples *s, uint64_t ns)
{
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->ns = grow(s->ns, s->room * sizeof(*s->ns));
	}
	s->ns[s->n++] = ns;
}

void samples_done(struct samples *s)
{
	free(s->ns);
	*s = (struct samples){ 0 };
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t samples_at(struct samples *s, unsigned percent)
{
	if (!s->n)
		return 0;
	qsort(s->ns, s->n, sizeof(*s->ns), compare);
	return s->ns[(s->n - 1) * percent / 100];
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The first `size - 1` bytes of a file; "" when it cannot be read. */
static void slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* schedstat's first field is exact; the ticks of stat are too coarse for short runs. */
uint64_t cpu_ns(pid_t pid)
{
	char path[300], text[256];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%.200s/schedstat", (int)pid, e->d_name);
		slurp(path, text, sizeof(text));
		sum += strtoull(text, NULL, 10);
	}
	if (d)
		closedir(d);
	return sum;
}

static long field_kib(const char *path, const char *name)
{
	char text[8192], *p;

	slurp(path, text, sizeof(text));
	p = strstr(text, name);
	return p ? strtol(p + strlen(name), NULL, 10) : 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *p;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	slurp(path, text, sizeof(text));
	p = strrchr(text, ')');
	if (p)
		(void)!sscanf(p + 1, " %*c %d", &parent);
	return parent;
}

struct row {
	pid_t pid, parent;
	int is_ours;
};

int each_of_tree(pid_t pid, void (*each)(void *arg, pid_t pid), void *arg)
{
	struct row *rows = NULL;
	size_t n = 0, room = 0;
	int found = 1, processes = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid_t p = (pid_t)atoi(e->d_name);

		if (p <= 0)
			continue;
		if (n == room) {
			room = room ? room * 2 : 256;
			rows = grow(rows, room * sizeof(*rows));
		}
		rows[n++] = (struct row){ p, parent_of(p), p == pid };
	}
	if (d)
		closedir(d);
	while (found) { /* until no more descendant turns up */
		found = 0;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; !rows[i].is_ours && k < n; k++)
				if (rows[k].is_ours && rows[k].pid == rows[i].parent)
					found = rows[i].is_ours = 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].is_ours)
			continue;
		each(arg, rows[i].pid);
		processes++;
	}
	free(rows);
	return processes;
}

static void add_pss(void *arg, pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	*(long *)arg += field_kib(path, "\nPss:");
}

long tree_pss_kib(pid_t pid, int *ret_processes)
{
	long sum = 0;
	int n = each_of_tree(pid, add_pss, &sum);

	if (ret_processes)
		*ret_processes = n;
	return sum;
}

static void add_cpu(void *arg, pid_t pid)
{
	unsigned long long ticks[4] = { 0 };
	char path[64], text[1024], *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	slurp(path, text, sizeof(text));
	p = strrchr(text, ')');
	if (p) /* utime, stime, and those of the children it has waited for */
		(void)!sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu", &ticks[0],
			      &ticks[1], &ticks[2], &ticks[3]);
	*(uint64_t *)arg += (ticks[0] + ticks[1] + ticks[2] + ticks[3]) * 1000000000u / (unsigned long)sysconf(_SC_CLK_TCK);
}

uint64_t tree_cpu_ns(pid_t pid)
{
	uint64_t sum = 0;

	each_of_tree(pid, add_cpu, &sum);
	return sum;
}

static void add_fds(void *arg, pid_t pid)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		*(int *)arg += e->d_name[0] != '.';
	if (d)
		closedir(d);
}

int tree_fds(pid_t pid)
{
	int n = 0;

	each_of_tree(pid, add_fds, &n);
	return n;
}

static long status_kib(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	return field_kib(path, name);
}

long rss_kib(pid_t pid)
{
	return status_kib(pid, "VmRSS:");
}

long rss_peak_kib(pid_t pid)
{
	return status_kib(pid, "VmHWM:");
}

void rss_peak_reset(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "5", 1);
	close(fd);
}
