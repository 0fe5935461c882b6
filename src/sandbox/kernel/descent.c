/* Who descends from whom, and what processes have used, as the host's kernel
 * says. The container's own table is never asked. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/nursery.h"
#include "sandbox/kernel/supervisor.h"

enum { DEPTH_MAX = 65536, PIDS_MAX = 1 << 20 };

int descent_look(pid_t pid, struct descent_facts *ret)
{
	unsigned long user = 0, system = 0, cuser = 0, csystem = 0, tick = 1000000000u / (unsigned long)sysconf(_SC_CLK_TCK);
	char path[48], text[512], *p;
	struct descent_facts f = { 0 };
	long rss = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (!p || sscanf(p + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu %*d %*d %*d %*d %*u %*u %ld",
			 &f.state, &f.parent, &user, &system, &cuser, &csystem, &rss) != 7)
		return -ESRCH;
	f.user_ns = user * tick;
	f.system_ns = system * tick;
	f.waited_ns = (cuser + csystem) * tick;
	f.rss_bytes = rss > 0 ? (uint64_t)rss * 4096 : 0;
	*ret = f;
	return 0;
}

uint64_t descent_used_ns(pid_t pid, const struct descent_facts *f)
{
	const clockid_t of_process = (clockid_t)(~(unsigned)pid << 3 | 2);
	struct timespec ts;

	if (clock_gettime(of_process, &ts) < 0)
		return f->user_ns + f->system_ns;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool descent_is_below(pid_t pid, pid_t ancestor)
{
	struct descent_facts f;

	for (int i = 0; i < DEPTH_MAX && pid > 1; i++) {
		if (descent_look(pid, &f) < 0)
			return false;
		pid = f.parent;
		if (pid == ancestor)
			return true;
	}
	return false;
}

/* The descriptor stays with the process that was looked at: a pid that changes
 * hands between the look and the signal hits nobody. */
int descent_signal(pid_t pid, pid_t ancestor, int signo)
{
	int r, fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0 && errno == ENOSYS) /* kernels before 5.3 */
		return !descent_is_below(pid, ancestor) ? -ESRCH : kill(pid, signo) < 0 ? -errno : 0;
	if (fd < 0)
		return -ESRCH;
	r = descent_is_below(pid, ancestor) ? 0 : -ESRCH;
	if (r == 0 && syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0)
		r = -errno;
	close(fd);
	return r;
}

struct pids {
	pid_t *v;
	size_t n, size;
};

static void push(struct pids *l, pid_t pid)
{
	if (l->n == l->size) {
		size_t size = l->size ? l->size * 2 : 64;
		pid_t *v = size <= PIDS_MAX ? realloc(l->v, size * sizeof(*v)) : NULL;

		if (!v)
			return;
		l->v = v;
		l->size = size;
	}
	l->v[l->n++] = pid;
}

static void push_children_of(struct pids *l, pid_t pid, pid_t thread)
{
	char path[64], text[4096];
	pid_t number = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (text[i] >= '0' && text[i] <= '9') {
				number = number * 10 + (text[i] - '0');
				continue;
			}
			if (number)
				push(l, number);
			number = 0;
		}
	}
	if (number)
		push(l, number);
	if (fd >= 0)
		close(fd);
}

/* A worker has one thread; the second wall lets it make no other. */
static void push_children(struct pids *l, pid_t pid)
{
	push_children_of(l, pid, pid);
	if (pid == getpid() && nursery_thread())
		push_children_of(l, pid, nursery_thread());
}

/* Level by level, so parents stand before their children; no recursion, since
 * how deep it goes is for the container to choose. */
void descent_each(pid_t pid, bool children_first, void (*each)(void *arg, pid_t pid), void *arg)
{
	struct pids l = { 0 };

	push_children(&l, pid);
	for (size_t i = 0; i < l.n; i++)
		push_children(&l, l.v[i]);
	for (size_t i = 0; i < l.n; i++)
		each(arg, l.v[children_first ? l.n - 1 - i : i]);
	free(l.v);
}

static void kill_one(void *arg, pid_t pid)
{
	(void)arg;
	descent_signal(pid, getpid(), SIGKILL);
}

/* What a dying process forked comes to us, the subreaper, as well. */
void descent_kill_all(void)
{
	for (;;) {
		descent_each(getpid(), false, kill_one, NULL);
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			return;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
