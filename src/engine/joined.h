/* IpcMode and PidMode "container:X": another container's /dev/shm, and its processes.
 *
 * /dev/shm is shared. Processes are not: the kernel of a container knows its own only, and a create says so by a warning.
 * All of it on the loop. */
#ifndef SOCKERLESS_ENGINE_JOINED_H
#define SOCKERLESS_ENGINE_JOINED_H

#include <jansson.h>

struct container;
struct engine;
struct error;

/* Another container that a creation names. ERROR_INVALID "No such container: X", not "not found": a client would take that for
 * the image, and pull. */
int joined_find(struct engine *e, const char *name, struct container **ret, struct error *err);
/* At create: names become ids, as in moby (daemon_unix.go: adaptContainerSettings). ERROR_INVALID "No such container: X". */
int joined_adapt(struct engine *e, json_t *host, struct error *err);
void joined_warn(json_t *host, json_t *warnings);
/* At a start: X runs, and is "shareable" where its /dev/shm is wanted. "failed to join IPC namespace: …". */
int joined_check(struct engine *e, const struct container *c, struct error *err);
/* The directory of the container's /dev/shm when it is another's, who may have gone; NULL: it has its own, or none. malloc'd. */
char *joined_shm(const struct engine *e, const struct container *c);

/* The name of a container's own /dev/shm among its tmpfs. */
#define SHM_DIR "shm"

#endif
