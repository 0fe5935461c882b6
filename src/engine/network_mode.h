/* How HostConfig.NetworkMode is read. */
#ifndef SOCKERLESS_ENGINE_NETWORK_MODE_H
#define SOCKERLESS_ENGINE_NETWORK_MODE_H

struct container;
struct engine;

/* A container's HostConfig.NetworkMode; "bridge" where nothing else is said. Borrowed, as all of these. */
const char *network_mode_of(const struct container *c);
/* The "x" of "container:x"; NULL for any other mode. Takes NULL. */
const char *network_mode_container(const char *mode);
/* The name of the network that a mode gives by name, by id, or by the beginning of one; the mode itself if there is none. */
const char *network_mode_name(struct engine *e, const char *mode);

#endif
