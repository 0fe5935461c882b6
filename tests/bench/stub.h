/* What the figures are held against, each a process of its own on a Unix socket:
 * a bare epoll echo, and a server that answers the CLI at once and does nothing. */
#ifndef BENCH_STUB_H
#define BENCH_STUB_H

#include <sys/types.h>

/* Answers every write with one fixed HTTP reply of _ping's length, by epoll, read and write alone. */
pid_t stub_echo_start(const char *socket_path);

/* Answers what `docker run --rm` and `docker exec` ask, with canned bytes: their time against
 * it is the CLI's own, the whole conversation included. */
pid_t stub_engine_start(const char *socket_path);

void stub_stop(pid_t pid);

#endif
