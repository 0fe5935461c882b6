/* The UDP ports of a native container, as ports.h has those of TCP: each client has a socket of its own to the same port
 * of the host's loopback, by which the answers come back. Loop thread only. */
#ifndef SOCKERLESS_DRIVERS_DATAGRAM_PORTS_H
#define SOCKERLESS_DRIVERS_DATAGRAM_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "network/switch.h"

struct datagram_ports;

/* At most so many clients of all its ports have a socket; who is idle for so long loses it (network/flows.h). */
struct datagram_ports *datagram_ports_new(uv_loop_t *loop, size_t clients_max, int64_t idle_ns);
bool datagram_ports_has(const struct datagram_ports *ports, uint16_t number);
size_t datagram_ports_count(const struct datagram_ports *ports);
size_t datagram_ports_clients(const struct datagram_ports *ports);
/* -EADDRINUSE, … */
int datagram_ports_add(struct datagram_ports *ports, struct netns *ns, uint16_t number, struct error *err);
void datagram_ports_free(struct datagram_ports *ports); /* takes NULL */

#endif
