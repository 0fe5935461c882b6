/* The TCP and UDP ports of a native container. Its processes are in the host's network; whoever connects to one of its ports in
 * the switch's (published ports, neighbours) is connected to the same port of the host's loopback, where they listen.
 * Loop thread only. */
#ifndef SOCKERLESS_DRIVERS_PORTS_H
#define SOCKERLESS_DRIVERS_PORTS_H

#include <jansson.h>
#include <uv.h>

#include "network/switch.h"

struct ports;

/* `exposed`, `bindings`: ExposedPorts and PortBindings, {"80/tcp": …, "53/udp": …}; either may be NULL. A port that is published under
 * its own number is left to the container, which listens there itself. Never NULL. */
struct ports *ports_open(uv_loop_t *loop, struct netns *ns, json_t *exposed, json_t *bindings);
void ports_close(struct ports *p); /* and what is connected; takes NULL */

#endif
