/* The shared process table as the container's own processes use it. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

static struct proctable *table(void)
{
	return self.container->table;
}

struct proc_slot *proctable_find(int32_t vpid)
{
	for (size_t i = 0, n = proctable_used(table()); vpid > 0 && i < n; i++)
		if (table()->slots[i].state != PROC_FREE && table()->slots[i].vpid == vpid)
			return &table()->slots[i];
	return NULL;
}

struct proc_slot *proctable_find_host(int32_t host_pid)
{
	for (size_t i = 0, n = proctable_used(table()); host_pid > 0 && i < n; i++)
		if (table()->slots[i].state != PROC_FREE && table()->slots[i].host_pid == host_pid)
			return &table()->slots[i];
	return NULL;
}

/* 0: none to be had. Bounded, because the supervisor asks as well and whoever
 * writes into the table may want it to go on for ever. */
static int32_t fresh_vpid(void)
{
	for (int i = 0; i < 2 * PROCTABLE_PID_MAX; i++) {
		int32_t vpid = (int32_t)(atomic_fetch_add(&table()->next_vpid, 1) % PROCTABLE_PID_MAX);

		if (vpid > 0 && !proctable_find(vpid))
			return vpid;
	}
	return 0;
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Slot `i` is in use from now on: before it has a vpid, so that nobody misses it. */
static void mark_used(uint32_t i)
{
	uint32_t n = table()->used;

	while (n <= i && !atomic_compare_exchange_weak(&table()->used, &n, i + 1))
		;
}

/* A parent that ignores SIGCHLD has its children reaped by the host's kernel:
 * who of them was killed could not give its slot back. Nobody else's is looked
 * at: a parent that is just about to wait must find it. */
void proctable_sweep(void)
{
	for (size_t i = 0; i < proctable_used(table()); i++) {
		struct proc_slot *s = &table()->slots[i];
		const struct proc_slot *parent;
		pid_t pid = s->host_pid;

		if (s->state == PROC_FREE || pid <= 0 || s->ppid <= 0)
			continue;
		parent = proctable_find(proctable_parent(s));
		if (parent && (parent->ignored >> (SIGCHLD - 1) & 1) && getpgid(pid) < 0 && errno == ESRCH)
			proctable_release(s);
	}
}

/* Counted before it is there: many that ask at once get no more than the limit. */
static bool count_one_more(void)
{
	uint32_t max = table()->pids_max;

	if (table()->count++ < max || !max)
		return true;
	table()->count--;
	return false;
}

struct proc_slot *proctable_claim(void)
{
	if (!count_one_more()) {
		proctable_sweep();
		if (!count_one_more())
			return NULL;
	}
	for (uint32_t i = 0; i < PROCTABLE_SLOTS; i++) {
		struct proc_slot *s = &table()->slots[i];
		uint32_t is_free = PROC_FREE;

		if (!atomic_compare_exchange_strong(&s->state, &is_free, PROC_STARTING))
			continue;
		mark_used(i);
		s->vpid = 0;
		s->host_pid = 0;
		s->handled = s->ignored = 0;
		s->tty = 0;
		s->charged_bytes = s->inherited_bytes = 0;
		s->is_sleeping = 0;
		s->start_ns = wall_ns();
		s->vpid = fresh_vpid();
		if (s->vpid)
			return s;
		proctable_release(s);
		return NULL;
	}
	table()->count--;
	return NULL;
}

void proctable_release(struct proc_slot *slot)
{
	if (!slot || slot->state == PROC_FREE)
		return;
	slot->host_pid = 0;
	if (atomic_exchange(&slot->state, PROC_FREE) != PROC_FREE) /* whoever waits and whoever sweeps may both come */
		table()->count--;
}

bool proctable_has_terminal(uint32_t number)
{
	for (size_t i = 0; i < proctable_used(table()); i++)
		if (table()->slots[i].state != PROC_FREE && table()->slots[i].tty == number + 1)
			return true;
	return false;
}

int32_t proctable_parent(const struct proc_slot *slot)
{
	if (slot->ppid <= 1)
		return slot->ppid;
	return proctable_find(slot->ppid) ? slot->ppid : 1;
}
