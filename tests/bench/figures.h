/* What the bench counts: samples of times, processor time and memory of a
 * process with all that descends from it. Blocking; for one thread. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Times of one operation, in nanoseconds. */
struct samples {
	uint64_t *ns;
	size_t n, room;
};

void samples_add(struct samples *s, uint64_t ns);
void samples_done(struct samples *s);
/* The value below which `percent` of the samples lie; 0 of none. Sorts. */
uint64_t samples_at(struct samples *s, unsigned percent);

/* Monotonic. */
uint64_t now_ns(void);
/* Processor time of all threads of `pid`, to the scheduler's precision. */
uint64_t cpu_ns(pid_t pid);
/* Proportional memory of `pid` and its descendants, in KiB; their number in *ret_processes, if not NULL. */
long tree_pss_kib(pid_t pid, int *ret_processes);
/* Calls `each` for `pid` and every process that descends from it; answers how many. */
int each_of_tree(pid_t pid, void (*each)(void *arg, pid_t pid), void *arg);
/* Processor time of `pid`, its descendants, and what those had waited for; to ticks of 10 ms for each.
 * Of a process that is waited for while it still is on its processor the kernel forgets what it did since it last got it:
 * of short ones a third may be missing. */
uint64_t tree_cpu_ns(pid_t pid);
/* The same without that loss, where we may make a control group: all of the tree are in it from open to close. */
struct account {
	pid_t pid;
	char dir[128], home[4096]; /* the group, and where its processes came from; "": there is none, and ticks are counted */
};
int account_open(struct account *a, pid_t pid); /* 0; -1: ticks */
uint64_t account_ns(const struct account *a);
void account_close(struct account *a);
/* Open descriptors of a process and all that descends from it. */
int tree_fds(pid_t pid);
/* Resident memory of `pid` in KiB: now, and the highest since the last reset. */
long rss_kib(pid_t pid);
long rss_peak_kib(pid_t pid);
void rss_peak_reset(pid_t pid);

#endif
