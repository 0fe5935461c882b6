/* The first link of the chain: containers whose processes run under an agent (docs/agents.md). */
#ifndef SOCKERLESS_DRIVERS_AGENT_H
#define SOCKERLESS_DRIVERS_AGENT_H

#include <stdbool.h>

#include <uv.h>

#include "drivers/driver.h"
#include "store/store.h"

struct agent_registry;

#define AGENT_LABEL "sockerless.agent" /* on a container: ws:// or wss://HOST:PORT of the agent that is to serve it */

struct agent_options {
	unsigned wait_s;        /* for an agent to come; 0: 60 */
	unsigned grace_s;       /* for one that was lost to come back; 0: 30 */
	const char *token;      /* for agents that are dialled; may be NULL */
	const char *authorities; /* a file: who vouches for agents that are dialled with wss://; NULL: the system's */
	const char *data_root;
	/* Of the launchers (launchers.h); all may be NULL. */
	const char *agent_path, *launcher_dirs, *native, *callback;
};

/* Borrows the store. Never NULL. */
struct driver *agent_driver_new(uv_loop_t *loop, struct store *store, const struct agent_options *options);
/* The door that agents come in by; lives as long as the driver. */
struct agent_registry *agent_driver_registry(struct driver *d);
/* Is this a launcher's name, or "native": the best of them? */
bool agent_driver_has_launcher(struct driver *d, const char *name);
/* What a container with native programs asks for: "native", or NULL when it is known that no launcher works. */
const char *agent_driver_native(struct driver *d);
struct launchers *agent_driver_launchers(struct driver *d);
/* Calls back once, now or later, when it is known what a start with this runtime needs to know: which launcher works, or
 * how. Not any more when the driver has been freed. */
void agent_driver_when_ready(struct driver *d, const char *runtime, void (*ready)(void *arg), void *arg);
/* Makes, or finds, the token that the agent of a container is to come with. Borrowed. */
const char *agent_driver_prepare(struct driver *d, const char *id);

#endif
