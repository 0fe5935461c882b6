/* docker run --cpus without a cgroup. The processor time that all processes of the
 * container have used is measured at every tick; when it runs ahead of the quota
 * whoever runs is parked: by a signal, in a handler that waits until the container
 * has its time again. So nobody's parent hears of a stop, and who sleeps sleeps on.
 * Who does not let itself be parked is stopped.
 *
 * The balance is carried over from tick to tick: between two ticks the quota can be
 * passed, over many it is kept. */
#include "sandbox/kernel/throttle.h"

#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/limits.h"

enum {
	TICK_MIN_MS = 10,
	TICK_MAX_MS = 25,
	SIGNAL_PARK = 33,
	STUBBORN_STRIKES = 3,
	STUBBORN_NS = 1000000,
	DEBT_TICKS = 8, /* of all together, while they are parked: then nobody is asked any more */
	IDLE_TICKS = 20,
	STOPPED_MAX = 4096,
	WATCHED_MAX = 4096,
};

/* One that was running at a tick, and has been told to park. */
struct watched {
	pid_t pid;
	int strikes;
	uint64_t used_ns; /* at the first tick, then at the last strike */
};

static struct {
	uint64_t quota_ns, period_ns, tick_ns;
	struct limits_figures *figures;
	uint64_t used_ns, last_ns; /* at the last tick */
	int64_t balance_ns;        /* what may be used at once */
	uint64_t period_end_ns, parked_since_ns, parked_used_ns;
	int idle_ticks;
	bool is_parked, is_active, was_throttled;
	pid_t stopped[STOPPED_MAX];
	struct watched watched[WATCHED_MAX]; /* since the container was parked */
	size_t nstopped, nwatched, next_watched;
} th;

/* ---- what has been used ---- */

static void add_used(void *arg, pid_t pid)
{
	struct descent_facts f;
	uint64_t *sum = arg;

	if (descent_look(pid, &f) == 0)
		*sum += f.waited_ns + descent_used_ns(pid, &f);
}

static uint64_t used_by_all(void)
{
	struct rusage ended;
	uint64_t sum = 0;

	descent_each(getpid(), false, add_used, &sum);
	getrusage(RUSAGE_CHILDREN, &ended); /* those that we reaped, and what they had waited for */
	sum += (uint64_t)(ended.ru_utime.tv_sec + ended.ru_stime.tv_sec) * 1000000000u;
	sum += (uint64_t)(ended.ru_utime.tv_usec + ended.ru_stime.tv_usec) * 1000u;
	return sum;
}

/* ---- parking ---- */

/* They are met in the same order at each tick: the search begins behind whom it found last. */
static struct watched *watch(pid_t pid, uint64_t used)
{
	for (size_t i = 0; i < th.nwatched; i++) {
		size_t at = (th.next_watched + i) % th.nwatched;

		if (th.watched[at].pid != pid)
			continue;
		th.next_watched = at + 1;
		return &th.watched[at];
	}
	if (th.nwatched == WATCHED_MAX)
		return NULL;
	th.watched[th.nwatched] = (struct watched){ .pid = pid, .used_ns = used };
	return &th.watched[th.nwatched++];
}

/* Who was told to park, and uses processor time all the same, time and again. How much it gets between two ticks
 * is no sign: on a busy machine that is little, and may be more than the quota all the same. */
static bool is_stubborn(pid_t pid, uint64_t used)
{
	struct watched *w = watch(pid, used);

	if (!w)
		return false;
	if (used < w->used_ns) { /* another process by now */
		w->used_ns = used;
		w->strikes = 0;
	}
	if (used - w->used_ns >= STUBBORN_NS) {
		w->used_ns = used;
		w->strikes++;
	}
	return w->strikes >= STUBBORN_STRIKES;
}

static void park_one(void *arg, pid_t pid)
{
	bool is_stop = *(bool *)arg;
	struct descent_facts f;

	if (descent_look(pid, &f) < 0 || f.state != 'R')
		return;
	if (!is_stop && !is_stubborn(pid, descent_used_ns(pid, &f))) {
		descent_signal(pid, getpid(), SIGNAL_PARK);
		return;
	}
	if (th.nstopped < STOPPED_MAX && descent_signal(pid, getpid(), SIGSTOP) == 0)
		th.stopped[th.nstopped++] = pid;
}

static void park(struct container *c, uint64_t now)
{
	bool is_stop;

	if (!th.is_parked) {
		th.parked_since_ns = now;
		th.parked_used_ns = th.used_ns;
		th.was_throttled = true;
		th.nwatched = th.next_watched = 0;
	}
	/* Many that each go on for a short time: whoever runs is stopped. */
	is_stop = th.used_ns - th.parked_used_ns >= DEBT_TICKS * th.tick_ns;
	th.is_parked = true;
	c->table->is_parked = 1;
	descent_each(getpid(), false, park_one, &is_stop);
}

static void unpark(struct container *c, uint64_t now)
{
	if (!th.is_parked)
		return;
	th.is_parked = false;
	th.figures->throttled_ns += now - th.parked_since_ns;
	c->table->is_parked = 0;
	syscall(SYS_futex, &c->table->is_parked, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	if (c->table->is_paused) /* only unpause wakes them */
		return;
	while (th.nstopped > 0)
		descent_signal(th.stopped[--th.nstopped], getpid(), SIGCONT);
}

/* ---- the tick ---- */

void throttle_set(struct container *c, const struct limits *l, struct limits_figures *figures)
{
	uint64_t now = monotonic_ns(), tick = l->cpu_period_ns / 5;

	th.figures = figures;
	if (l->cpu_quota_ns == th.quota_ns && l->cpu_period_ns == th.period_ns)
		return;
	unpark(c, now);
	if (tick < TICK_MIN_MS * 1000000ull)
		tick = TICK_MIN_MS * 1000000ull;
	th.tick_ns = tick > TICK_MAX_MS * 1000000ull ? TICK_MAX_MS * 1000000ull : tick;
	th.quota_ns = l->cpu_quota_ns;
	th.period_ns = l->cpu_period_ns;
	th.balance_ns = 0;
	th.last_ns = now;
	th.used_ns = th.quota_ns ? used_by_all() : 0;
	th.period_end_ns = now + th.period_ns;
}

static void count_period(uint64_t now)
{
	if (now < th.period_end_ns)
		return;
	th.figures->periods += th.is_active;
	th.figures->throttled_periods += th.was_throttled;
	th.is_active = false;
	th.was_throttled = th.is_parked;
	th.period_end_ns = now + th.period_ns;
}

uint64_t throttle_turn(struct container *c, uint64_t now)
{
	uint64_t used, spent, elapsed = now - th.last_ns, share;
	int64_t most;

	if (elapsed < th.tick_ns)
		return th.last_ns + th.tick_ns;
	used = used_by_all();
	spent = used > th.used_ns ? used - th.used_ns : 0;
	share = (uint64_t)((double)elapsed * (double)th.quota_ns / (double)th.period_ns);
	/* Saved up is no more than a tick's worth, or a period's of a small quota. */
	most = (int64_t)(th.quota_ns < th.tick_ns ? th.quota_ns : th.tick_ns);
	th.balance_ns += (int64_t)share;
	if (th.balance_ns > most)
		th.balance_ns = most;
	th.balance_ns -= (int64_t)spent;
	th.used_ns = used > th.used_ns ? used : th.used_ns;
	th.last_ns = now;
	th.is_active = th.is_active || spent > 0 || th.is_parked;
	count_period(now);
	if (th.balance_ns <= 0 && !c->table->is_paused)
		park(c, now);
	else
		unpark(c, now);
	th.idle_ticks = th.is_parked || spent ? 0 : th.idle_ticks + 1;
	return now + th.tick_ns * (th.idle_ticks == 0 ? 1 : th.idle_ticks < IDLE_TICKS ? 2 : 8);
}
