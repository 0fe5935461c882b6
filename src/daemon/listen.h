/* Listening sockets from the URLs of --host. */
#ifndef SOCKERLESS_DAEMON_LISTEN_H
#define SOCKERLESS_DAEMON_LISTEN_H

#include "util/error.h"

/* A bound, listening, non-blocking socket. A Unix socket gets mode 0600; a stale one is replaced, one that
 * answers is ERROR_CONFLICT. Returns the descriptor, the caller's, or -errno with *err set. Blocks briefly. */
int listen_open(const char *url, struct error *err);
/* Takes any URL: removes what listen_open made in the file system. */
void listen_unlink(const char *url);

#endif
