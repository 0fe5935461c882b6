/* What a worker may not do itself it asks of its supervisor, one request a
 * packet on the broker socket, with the fd of a fresh socket pair's end to
 * which the answer goes. The kernel's SCM_CREDENTIALS says who asks. */
#ifndef SOCKERLESS_SANDBOX_BROKER_H
#define SOCKERLESS_SANDBOX_BROKER_H

#include <stdint.h>

enum broker_op {
	BROKER_KILL = 1,  /* pid as kill(2): >0 a vpid, 0 own group, -1 all, <-1 a group; signo */
	BROKER_TIMES,     /* pid: vpid; answer value[0] user ns, [1] system ns, [2] rss bytes, [3] state char */
	BROKER_OPEN_PTY, /* answer: the fd of a new terminal's master, value[0] its number on the host. -ENOSPC: enough */
	BROKER_OPEN_TTY, /* a second fd comes along, a master: answers a new fd of its slave */
	BROKER_MEMORY, /* arg: bytes that are wanted above the limit (0: a copy of a large process has
	                     been made, look often); -EAGAIN: somebody must die first, ask again */
};

struct broker_request {
	uint32_t op;
	int32_t pid;
	int32_t signo;
	int32_t sender_vpid; /* a claim; credentials decide */
	uint64_t arg;
};

struct broker_reply {
	int32_t result; /* 0 or -errno */
	uint64_t value[4];
};

#endif
