/* A container's process table: shared memory (a memfd made by the daemon),
 * mapped by the supervisor and by every process of the container.
 *
 * It is a hint written by processes that may be hostile: nobody outside locks
 * it, believes a count in it, or signals a pid because it stands here without
 * proof by kernel facts. Inside, it is how kill, wait, getpid, ps and setpgid
 * find each other; slots are claimed by compare-and-swap on `state`. */
#ifndef SOCKERLESS_SANDBOX_PROCTABLE_H
#define SOCKERLESS_SANDBOX_PROCTABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PROCTABLE_SLOTS 4096
#define PROCTABLE_PID_MAX 32768
#define PROCTABLE_MOUNTS 256
#define PROCTABLE_MAGIC 0x534b5054u

enum proc_state { PROC_FREE = 0, PROC_STARTING, PROC_RUNNING, PROC_ZOMBIE };

struct proc_slot {
	_Atomic uint32_t state;        /* enum proc_state */
	_Atomic int32_t vpid, ppid, pgid, sid;
	_Atomic int32_t host_pid;
	_Atomic uint64_t start_ns;     /* wall clock */
	_Atomic uint32_t uid, gid, euid, egid;
	_Atomic uint64_t handled;      /* bit n-1: signal n has a handler */
	_Atomic uint64_t ignored;
	_Atomic uint32_t is_sleeping;  /* 1 while in a blocking call (ps state S) */
	_Atomic uint32_t memory_pages; /* 64 KiB pages of linear memory */
	_Atomic uint32_t tty;
	_Atomic uint64_t charged_bytes; /* guest memory that it has mapped since it was forked or began its program */
	_Atomic uint64_t inherited_bytes; /* mapped by its parent before the fork: shared with it until somebody writes */
	char comm[16];
	char exe[128];
	uint32_t cmdline_len;
	char cmdline[512]; /* NUL-separated, cut */
};

struct proctable {
	uint32_t magic, size;
	_Atomic uint32_t generation; /* rootfs_set_generation: namespace changes */
	_Atomic uint32_t next_vpid;
	_Atomic uint32_t count; /* live slots, a hint */
	_Atomic uint32_t pids_max; /* 0: none; the daemon writes (docker update) */
	_Atomic uint64_t memory_max; /* bytes over all processes, 0: none */
	_Atomic uint32_t is_parked; /* a futex; supervisor writes: no processor time now, see throttle.c */
	_Atomic uint32_t is_paused; /* supervisor writes: stops and SIGCHLDs now are ours */
	_Atomic uint64_t pause_end_ns; /* CLOCK_MONOTONIC, of the last one */
	_Atomic uint64_t started_ns; /* of the container, wall clock (uptime) */
	_Atomic uint32_t used; /* slots above were never claimed: nobody needs to look (or touch the memory) */
	_Atomic uint64_t mount_used[PROCTABLE_MOUNTS]; /* bytes, of mounts with a size: rootfs_mount */
	char hostname[65], domainname[65];
	struct proc_slot slots[PROCTABLE_SLOTS];
};

/* How many slots are worth a look; never more than there are, whatever stands in the table. */
static inline size_t proctable_used(const struct proctable *t)
{
	uint32_t n = t->used;

	return n < PROCTABLE_SLOTS ? n : PROCTABLE_SLOTS;
}

#endif
