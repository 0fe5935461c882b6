/* What the daemon (drivers/launch.c) asks of the helper that made a native container's root, at the helper's descriptor
 * CONTROL_FD, and what that answers: one question at a time, both of a fixed size, both of the same build. */
#ifndef SOCKERLESS_AGENT_CONTROL_H
#define SOCKERLESS_AGENT_CONTROL_H

#include <stdint.h>

enum { CONTROL_FD = 4 };

enum control_question {
	CONTROL_CHANGES = 1, /* the changes so far are to be in the container's layer */
	CONTROL_LIMITS, /* these are its limits from now on, all of them; after an error those of before */
};

/* 0: none. */
struct control_limits {
	uint64_t memory_bytes, pids_max, cpu_quota_us, cpu_period_us;
};

struct control_request {
	uint64_t question;
	struct control_limits limits;
};

struct control_answer {
	int64_t error; /* 0, or -errno: -EOPNOTSUPP for what cannot be on this host */
	char why[248]; /* in words; ends with NUL */
};

#endif
