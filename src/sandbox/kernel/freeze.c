/* docker pause without a cgroup: every process is stopped, parents before
 * children, and goes on in the opposite order, so that no shell is awake while a
 * child of its is stopped. Whom the guest had stopped itself stays stopped. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/limits.h"
#include "sandbox/kernel/supervisor.h"

enum { ROUNDS_MAX = 64, STOP_LOOKS = 200, LOOK_NS = 100000 };

/* Our own list: what the shared table says is the container's to forge. */
static struct {
	pid_t *pids;
	size_t n, size, fresh;
} stopped;

static bool is_known(pid_t pid)
{
	for (size_t i = 0; i < stopped.n; i++)
		if (stopped.pids[i] == pid)
			return true;
	return false;
}

/* A signal is sent before it is felt: a shell that is woken by its child's stop first would see that. Who sleeps in the
 * kernel for good reason is not waited for. */
static void wait_until_stopped(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = LOOK_NS };
	struct descent_facts f;

	for (int i = 0; i < STOP_LOOKS; i++) {
		if (descent_look(pid, &f) < 0 || strchr("TtZXD", f.state))
			return;
		nanosleep(&moment, NULL);
	}
}

static void stop_one(void *arg, pid_t pid)
{
	struct descent_facts f;

	(void)arg;
	if (is_known(pid) || descent_look(pid, &f) < 0 || f.state == 'T' || f.state == 't' || f.state == 'Z' || f.state == 'X')
		return;
	if (stopped.n == stopped.size) {
		size_t size = stopped.size ? stopped.size * 2 : 64;
		pid_t *pids = realloc(stopped.pids, size * sizeof(*pids));

		if (!pids)
			return;
		stopped.pids = pids;
		stopped.size = size;
	}
	if (descent_signal(pid, getpid(), SIGSTOP) < 0)
		return;
	stopped.pids[stopped.n++] = pid;
	stopped.fresh++;
	wait_until_stopped(pid);
}

/* Until a round finds nobody new: a process may have forked before its turn came. */
void freeze_container(struct container *c)
{
	c->table->is_paused = 1;
	for (int i = 0; i < ROUNDS_MAX; i++) {
		stopped.fresh = 0;
		descent_each(getpid(), false, stop_one, NULL);
		if (!stopped.fresh)
			return;
	}
}

void thaw_container(struct container *c)
{
	while (stopped.n > 0)
		descent_signal(stopped.pids[--stopped.n], getpid(), SIGCONT);
	c->table->pause_end_ns = monotonic_ns();
	c->table->is_paused = 0;
}
