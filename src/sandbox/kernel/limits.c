/* Keeps a container to its limits from outside of it: looks at what its processes
 * hold, how many they are and what they have used, and acts. What our kernel
 * counts inside (memory.c, proctable.c) comes first; this is what holds when a
 * worker has been taken over. */
#include "sandbox/kernel/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/throttle.h"

enum {
	LOOK_MS = 50,
	LOOK_IDLE_MS = 200, /* nothing has changed for a while */
	IDLE_LOOKS = 20,
	LOOK_NEAR_MS = 10,  /* three quarters are used; more processes than there may be */
	LOOK_HURRY_MS = 2,  /* somebody has been granted more than is free, but has not touched it yet */
	HURRY_MS = 500,
	COST_FACTOR = 20,   /* no more than a twentieth of a processor goes into looking */
	EXCESS_LOOKS = 3,   /* who is about to end may still be there */
	EXCESS_AT_ONCE = 64,
};

static struct {
	struct limits limits;
	struct limits_figures figures;
	uint64_t peak_bytes, next_ns, hurry_end_ns;
	pid_t dying;
	uint32_t allowed; /* more than the limit: they were there before it was lowered */
	int excess_looks, same_looks;
	struct pressure last;
	bool is_new, has_begun, has_cgroup_cpu;
} st;

uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

const struct limits_figures *limits_figures(uint64_t *ret_peak_bytes)
{
	*ret_peak_bytes = st.peak_bytes;
	if (st.has_cgroup_cpu)
		cgroup_figures(&st.figures);
	return &st.figures;
}

/* ---- memory ---- */

/* One at a time: what is dying gives its memory back before anybody else must go. */
static bool is_dying(void)
{
	struct descent_facts f;

	return st.dying && descent_look(st.dying, &f) == 0 && f.state != 'Z' && descent_is_below(st.dying, getpid());
}

static void kill_largest(const struct pressure *p)
{
	if (is_dying())
		return;
	st.dying = p->largest;
	if (st.dying && descent_signal(st.dying, getpid(), SIGKILL) == 0) {
		st.figures.oom_kills++;
		supervisor_on_oom();
	}
}

/* Charges of those that were killed: they could not give them back. */
static void sweep_charges(struct container *c)
{
	for (size_t i = 0; i < proctable_used(c->table); i++) {
		struct proc_slot *s = &c->table->slots[i];
		struct descent_facts f;
		pid_t pid = s->host_pid;

		if (s->charged_bytes && pid > 1 && (descent_look(pid, &f) < 0 || f.state == 'Z'))
			s->charged_bytes = s->inherited_bytes = 0;
	}
}

int limits_ask_memory(struct container *c, pid_t who, uint64_t bytes)
{
	struct pressure p;

	if (!st.limits.memory_bytes)
		return 0;
	st.hurry_end_ns = monotonic_ns() + HURRY_MS * 1000000ull;
	st.next_ns = 0;
	sweep_charges(c);
	p = pressure_look(c, st.limits.memory_bytes, who, bytes);
	if (!p.is_exceeded)
		return 0;
	kill_largest(&p);
	return -EAGAIN;
}

/* ---- processes ---- */

/* Our own kernel lets nobody fork beyond the limit. If it happens all the same, a worker is not ours any more. */
static void look_at_count(uint32_t n)
{
	uint32_t max = st.limits.pids_max;

	if (!max || n <= max) {
		st.allowed = 0;
		st.excess_looks = 0;
		return;
	}
	if (st.is_new)
		st.allowed = n;
	if (n <= st.allowed) {
		st.allowed = n;
		return;
	}
	if (++st.excess_looks >= EXCESS_LOOKS || n > max + EXCESS_AT_ONCE)
		supervisor_on_taken_over();
}

/* ---- processors ---- */

static int nice_of(uint32_t shares)
{
	int nice = 0;

	/* One step of nice is a quarter of the weight: the nearest. */
	for (uint32_t weight = 1024; shares && weight * 9 / 10 > shares && nice < 19; nice++)
		weight = weight * 4 / 5;
	return nice;
}

/* Where the kernel weighs sessions against each other, nice is only for those of one session. */
static void weigh_session(pid_t pid, int nice)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	dprintf(fd, "%d", nice);
	close(fd);
}

void limits_enter(pid_t pid, const struct limits *l)
{
	cpu_set_t set;
	bool has_any = false;

	cgroup_enter(pid);
	CPU_ZERO(&set);
	for (int i = 0; i < LIMITS_CPUS_MAX && i < CPU_SETSIZE; i++) {
		if (!(l->cpus[i / 64] >> (i % 64) & 1))
			continue;
		CPU_SET(i, &set);
		has_any = true;
	}
	if (!has_any)
		sched_getaffinity(getpid(), sizeof(set), &set);
	sched_setaffinity(pid, sizeof(set), &set);
	if (!l->cpu_shares)
		return;
	setpriority(PRIO_PROCESS, (id_t)pid, nice_of(l->cpu_shares));
	weigh_session(pid, nice_of(l->cpu_shares));
}

bool limits_concern_entry(const struct limits *l)
{
	uint64_t cpus = 0;

	for (int i = 0; i < LIMITS_CPUS_MAX / 64; i++)
		cpus |= l->cpus[i];
	return cpus || l->cpu_shares || cgroup_is_there();
}

static void enter_one(void *arg, pid_t pid)
{
	if (descent_is_below(pid, getpid()))
		limits_enter(pid, arg);
}

/* ---- both ---- */

void limits_set(struct container *c, const struct limits *l)
{
	bool is_first = !st.has_begun;
	struct limits own;

	st.limits = *l;
	st.next_ns = 0;
	st.is_new = st.has_begun = true;
	cgroup_set(c->id, l, &st.has_cgroup_cpu);
	own = *l;
	if (st.has_cgroup_cpu) /* the kernel does it better */
		own.cpu_quota_ns = own.cpu_period_ns = 0;
	throttle_set(c, &own, &st.figures);
	if (!is_first) /* whoever comes later takes them along */
		descent_each(getpid(), false, enter_one, &st.limits);
}

static uint64_t look(struct container *c, uint64_t now)
{
	struct pressure p = pressure_look(c, st.limits.memory_bytes, 0, 0);
	uint64_t cost, wait = LOOK_MS * 1000000ull;

	if (p.bytes > st.peak_bytes)
		st.peak_bytes = p.bytes;
	if (p.is_exceeded)
		kill_largest(&p);
	look_at_count(p.processes);
	st.is_new = false;
	st.same_looks = p.bytes == st.last.bytes && p.processes == st.last.processes ? st.same_looks + 1 : 0;
	st.last = p;
	if (st.same_looks > IDLE_LOOKS)
		wait = LOOK_IDLE_MS * 1000000ull;
	if (st.excess_looks ||
	    (st.limits.memory_bytes && st.same_looks <= IDLE_LOOKS && p.bytes > st.limits.memory_bytes / 4 * 3))
		wait = LOOK_NEAR_MS * 1000000ull;
	if (now < st.hurry_end_ns)
		wait = LOOK_HURRY_MS * 1000000ull;
	cost = (monotonic_ns() - now) * COST_FACTOR;
	return wait > cost ? wait : cost;
}

int limits_turn(struct container *c)
{
	uint64_t now, next = UINT64_MAX;
	bool is_throttled = st.limits.cpu_quota_ns && !st.has_cgroup_cpu;

	if (!st.limits.memory_bytes && !st.limits.pids_max && !is_throttled)
		return -1;
	now = monotonic_ns();
	if (st.limits.memory_bytes || st.limits.pids_max) {
		if (now >= st.next_ns)
			st.next_ns = now + look(c, now);
		next = st.next_ns;
	}
	if (is_throttled) {
		uint64_t tick = throttle_turn(c, now);

		next = tick < next ? tick : next;
	}
	now = monotonic_ns();
	return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}
