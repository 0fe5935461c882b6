/* The processes below the agent, read from /proc: docker top and stats, pauses, the last signal. In a process
 * namespace of its own that is everybody. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { PROCESSES_MAX = 1 << 20, ROUNDS_MAX = 8, EACH_ROUNDS_MAX = 100 };

struct entry {
	int pid, ppid, session, tty;
	char state, comm[64];
	unsigned long long user, system, waited_user, waited_system, start, vsize;
	long long rss_pages;
	bool is_ours;
};

struct tree {
	struct entry *v;
	size_t n;
};

static ssize_t read_file(int pid, const char *name, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static bool read_entry(int pid, struct entry *e)
{
	char text[1024], *open, *close;

	if (read_file(pid, "stat", text, sizeof(text)) <= 0)
		return false;
	open = strchr(text, '(');
	close = strrchr(text, ')'); /* a name may hold any of them */
	if (!open || !close || close < open)
		return false;
	*e = (struct entry){ .pid = pid };
	snprintf(e->comm, sizeof(e->comm), "%.*s", (int)(close - open - 1), open + 1);
	return sscanf(close + 2, "%c %d %*d %d %d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d %*d %llu %llu %lld",
		      &e->state, &e->ppid, &e->session, &e->tty, &e->user, &e->system, (long long *)&e->waited_user,
		      (long long *)&e->waited_system, &e->start, &e->vsize, &e->rss_pages) == 11;
}

static struct entry *find(struct tree *t, int pid)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (t->v[middle].pid == pid)
			return &t->v[middle];
		if (t->v[middle].pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static int by_pid(const void *a, const void *b)
{
	int x = ((const struct entry *)a)->pid, y = ((const struct entry *)b)->pid;

	return (x > y) - (x < y);
}

/* Children come after their parents in few rounds, whatever their numbers. */
static void mark_ours(struct tree *t)
{
	int self = (int)getpid();
	bool has_changed = true;

	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < t->n; i++) {
			struct entry *e = &t->v[i], *parent = find(t, e->ppid);

			if (e->is_ours || e->pid == self || !(e->ppid == self || (parent && parent->is_ours)))
				continue;
			e->is_ours = has_changed = true;
		}
	}
}

static struct tree read_tree(void)
{
	struct tree t = { 0 };
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && t.n < PROCESSES_MAX && (d = readdir(dir))) {
		struct entry e;

		if (!isdigit((unsigned char)d->d_name[0]) || !read_entry(atoi(d->d_name), &e))
			continue;
		if ((t.n & (t.n - 1)) == 0)
			t.v = xrealloc(t.v, (t.n ? 2 * t.n : 1) * sizeof(*t.v));
		t.v[t.n++] = e;
	}
	if (dir)
		closedir(dir);
	qsort(t.v, t.n, sizeof(*t.v), by_pid);
	mark_ours(&t);
	return t;
}

static uint64_t ns_of(unsigned long long ticks)
{
	return ticks * (1000000000ULL / (unsigned long long)sysconf(_SC_CLK_TCK));
}

static json_t *command_of(const struct entry *e)
{
	char text[4096];
	ssize_t n = read_file(e->pid, "cmdline", text, sizeof(text));
	json_t *v;

	for (ssize_t i = 0; i + 1 < n; i++)
		if (!text[i])
			text[i] = ' ';
	v = n > 0 ? json_string(text) : json_sprintf("[%s]", e->comm);
	return v ? v : json_string("?"); /* no UTF-8 */
}

/* Times of beginning are counted from the machine's; the daemon wants them by the clock on the wall. */
static int64_t boot_wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return clock_wall_ns() - ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

json_t *tree_top(void)
{
	struct tree t = read_tree();
	json_t *rows = json_array();
	int64_t boot_ns = boot_wall_ns();
	long page = sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < t.n; i++) {
		struct entry *e = &t.v[i];
		char path[32];
		struct stat st = { 0 };

		if (!e->is_ours)
			continue;
		snprintf(path, sizeof(path), "/proc/%d", e->pid);
		if (stat(path, &st) < 0)
			continue;
		json_array_append_new(
			rows, json_pack("{s:i, s:i, s:i, s:i, s:s#, s:I, s:I, s:I, s:I, s:o}", "pid", e->pid, "ppid",
					e->ppid == (int)getpid() ? 0 : e->ppid, "uid", (int)st.st_uid, "tty", e->tty, "state",
					&e->state, 1, "start_ns", (json_int_t)(boot_ns + (int64_t)ns_of(e->start)), "cpu_ns",
					(json_int_t)ns_of(e->user + e->system), "rss", (json_int_t)(e->rss_pages * page),
					"vsize", (json_int_t)e->vsize, "command", command_of(e)));
	}
	free(t.v);
	return rows;
}

json_t *tree_stats(void)
{
	struct tree t = read_tree();
	uint64_t user_ns, system_ns, rss = 0;
	long page = sysconf(_SC_PAGESIZE);
	int n = 0;

	children_reaped_times(&user_ns, &system_ns);
	for (size_t i = 0; i < t.n; i++) {
		struct entry *e = &t.v[i];

		if (!e->is_ours)
			continue;
		n++;
		user_ns += ns_of(e->user + e->waited_user);
		system_ns += ns_of(e->system + e->waited_system);
		rss += (uint64_t)(e->rss_pages * page);
	}
	free(t.v);
	return json_pack("{s:I, s:I, s:I, s:i}", "user_ns", (json_int_t)user_ns, "system_ns", (json_int_t)system_ns,
			 "memory", (json_int_t)rss, "pids", n);
}

/* Again until nobody is there whom it did not reach: they may fork meanwhile. */
void tree_signal(int signo)
{
	size_t before = (size_t)-1;

	if (getpid() == 1) {
		kill(-1, signo);
		return;
	}
	for (int round = 0; round < ROUNDS_MAX; round++) {
		struct tree t = read_tree();
		size_t n = 0;

		for (size_t i = 0; i < t.n; i++)
			if (t.v[i].is_ours && t.v[i].state != 'Z' && kill(t.v[i].pid, signo) == 0)
				n++;
		free(t.v);
		if (n == 0 || n == before)
			break;
		before = n;
	}
}

bool tree_each(bool (*each)(void *arg, int pid), void *arg)
{
	struct tree seen = { 0 };
	int quiet = 0; /* in one round somebody may hide whose parent was just ending */
	bool is_well = true;

	for (int round = 0; round < EACH_ROUNDS_MAX && is_well && quiet < 2; round++) {
		struct tree t = read_tree();

		quiet++;
		for (size_t i = 0; i < t.n && is_well; i++) {
			struct entry *e = &t.v[i], *before = find(&seen, e->pid);

			if (!e->is_ours || e->state == 'Z' || (before && before->is_ours && before->start == e->start))
				continue;
			quiet = 0;
			is_well = each(arg, e->pid);
		}
		free(seen.v);
		seen = t;
	}
	free(seen.v);
	return is_well && quiet == 2;
}

void tree_end_session(int session)
{
	struct tree t = read_tree();

	for (size_t i = 0; i < t.n; i++)
		if (t.v[i].is_ours && t.v[i].session == session)
			kill(t.v[i].pid, SIGKILL);
	free(t.v);
}

void tree_pause(bool is_pause)
{
	tree_signal(is_pause ? SIGSTOP : SIGCONT);
}
