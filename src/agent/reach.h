/* A TCP connection to a name: its addresses are tried in their order, the next one when that before has failed or has not
 * answered within REACH_STAGGER_MS, and the first connection counts (RFC 8305). Loop thread only. */
#ifndef SOCKERLESS_AGENT_REACH_H
#define SOCKERLESS_AGENT_REACH_H

#include <uv.h>

enum { REACH_STAGGER_MS = 250 };

struct reach;
/* Copies host and port. `done` once, never from within: a connected non-blocking descriptor, the receiver's, or -errno
 * (of libuv's) and why. No deadline: reach_cancel. NULL: it cannot even begin, *ret_error says why. */
struct reach *reach_start(uv_loop_t *loop, const char *host, const char *port,
			  void (*done)(void *arg, int fd_or_error, const char *why), void *arg, int *ret_error);
void reach_cancel(struct reach *r); /* `done` comes no more. Takes NULL. */

#endif
