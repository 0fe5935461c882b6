/* Listening sockets from the URLs of --host. */
#ifndef SOCKERLESS_DAEMON_LISTEN_H
#define SOCKERLESS_DAEMON_LISTEN_H

#include "util/error.h"

enum { LISTEN_FDS_MAX = 16 };

/* Bound, listening, non-blocking sockets; returns how many, or -errno. unix:// and tcp:// make one. fd:// takes
 * all that systemd handed over, fd://N descriptor N of them. A Unix socket gets mode 0600, directories that are
 * missing 0700; a stale socket is replaced, one that answers is ERROR_CONFLICT, any other file stays. */
int listen_open(const char *url, int ret_fds[LISTEN_FDS_MAX], struct error *err);
/* Removes what listen_open made in the file system. */
void listen_unlink(const char *url);

#endif
