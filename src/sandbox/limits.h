/* What a running container may use: decided by the engine, carried to its
 * supervisor, changed while it runs (docker update). Zero: no limit. */
#ifndef SOCKERLESS_SANDBOX_LIMITS_H
#define SOCKERLESS_SANDBOX_LIMITS_H

#include <stdint.h>

enum { LIMITS_CPUS_MAX = 1024 };

struct limits {
	uint64_t memory_bytes;
	uint64_t cpu_quota_ns, cpu_period_ns; /* so much processor time in each period; both or neither */
	uint32_t pids_max;
	uint32_t cpu_shares;                  /* 1024 is everybody's */
	uint64_t cpus[LIMITS_CPUS_MAX / 64];  /* a bit for each that may be used; none set: all */
};

/* What keeping to them has come to since the start. */
struct limits_figures {
	uint64_t periods, throttled_periods, throttled_ns;
	uint32_t oom_kills;
};

#endif
