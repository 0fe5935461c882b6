/* The daemon as an object: loop, engine, API and listeners, from start to stop. */
#ifndef SOCKERLESS_DAEMON_SERVER_H
#define SOCKERLESS_DAEMON_SERVER_H

#include "daemon/options.h"

/* Serves until SIGTERM or SIGINT. 0, or -errno with *err set. */
int server_run(const struct options *o, struct error *err);

#endif
