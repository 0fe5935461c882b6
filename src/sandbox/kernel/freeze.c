/* docker pause without a cgroup: every process is stopped, parents before
 * children, and goes on in the opposite order, so that no shell is awake while a
 * child of its is stopped. Whom the guest had stopped itself stays stopped. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/limits.h"
#include "sandbox/kernel/supervisor.h"

enum {
	ROUNDS_MAX = 64,
	LOOK_NS = 100000,
	WAIT_MS = 5000, /* for all together, where others want the processors; who is not stopped by then is going to be */
};

struct frozen {
	pid_t pid;
	uint64_t used_ns; /* when it was woken */
};

/* Our own list: what the shared table says is the container's to forge. */
static struct {
	struct frozen *v;
	size_t n, size, fresh;
	uint64_t deadline_ns;
} stopped;

static bool is_known(pid_t pid)
{
	for (size_t i = 0; i < stopped.n; i++)
		if (stopped.v[i].pid == pid)
			return true;
	return false;
}

static bool wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = LOOK_NS };

	nanosleep(&moment, NULL);
	return monotonic_ns() < stopped.deadline_ns;
}

/* A signal is sent before it is felt: a shell that is woken by its child's stop first would see that. Who sleeps in the
 * kernel for good reason is not waited for. */
static void wait_until_stopped(pid_t pid)
{
	struct descent_facts f;

	do
		if (descent_look(pid, &f) < 0 || strchr("TtZXD", f.state))
			return;
	while (wait_a_moment());
}

/* It tells its parent itself that it goes on, when it has a processor again: it sleeps, or has run since. */
static void wait_until_awake(const struct frozen *who)
{
	struct descent_facts f;

	do
		if (descent_look(who->pid, &f) < 0 || f.state != 'R' || descent_used_ns(who->pid, &f) > who->used_ns)
			return;
	while (wait_a_moment());
}

static void stop_one(void *arg, pid_t pid)
{
	struct descent_facts f;

	(void)arg;
	if (is_known(pid) || descent_look(pid, &f) < 0 || f.state == 'T' || f.state == 't' || f.state == 'Z' || f.state == 'X')
		return;
	if (stopped.n == stopped.size) {
		size_t size = stopped.size ? stopped.size * 2 : 64;
		struct frozen *v = realloc(stopped.v, size * sizeof(*v));

		if (!v)
			return;
		stopped.v = v;
		stopped.size = size;
	}
	if (descent_signal(pid, getpid(), SIGSTOP) < 0)
		return;
	stopped.v[stopped.n++] = (struct frozen){ .pid = pid };
	stopped.fresh++;
	wait_until_stopped(pid);
}

/* A SIGCHLD that is on its way to it: of a child's stop, or of its going on. */
static bool is_about_to_hear(pid_t pid)
{
	char path[48], text[4096], *pending, *blocked;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	pending = strstr(text, "\nShdPnd:");
	blocked = strstr(text, "\nSigBlk:");
	if (!pending || !blocked)
		return false;
	return (strtoull(pending + 8, NULL, 16) & ~strtoull(blocked + 8, NULL, 16)) >> (SIGCHLD - 1) & 1;
}

static void wait_until_heard(pid_t pid)
{
	while (is_about_to_hear(pid) && wait_a_moment())
		;
}

/* Until a round finds nobody new: a process may have forked before its turn came. */
void freeze_container(struct container *c)
{
	c->table->is_paused = 1;
	stopped.deadline_ns = monotonic_ns() + WAIT_MS * 1000000ull;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		stopped.fresh = 0;
		descent_each(getpid(), false, stop_one, NULL);
		if (!stopped.fresh)
			return;
	}
}

/* The pause ends when all have felt it: until then what a parent hears of a child's stop is of the pause. */
void thaw_container(struct container *c)
{
	for (size_t i = stopped.n; i-- > 0;) {
		struct frozen *who = &stopped.v[i];
		struct descent_facts f;

		if (descent_look(who->pid, &f) == 0)
			who->used_ns = descent_used_ns(who->pid, &f);
		descent_signal(who->pid, getpid(), SIGCONT);
	}
	stopped.deadline_ns = monotonic_ns() + WAIT_MS * 1000000ull;
	for (size_t i = stopped.n; i-- > 0;)
		wait_until_awake(&stopped.v[i]);
	while (stopped.n > 0)
		wait_until_heard(stopped.v[--stopped.n].pid);
	c->table->pause_end_ns = monotonic_ns();
	c->table->is_paused = 0;
}
