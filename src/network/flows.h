/* Who has written to a UDP port of a container, as the container knows them, so that answers find back: a table of so
 * many, out of which one more client pushes whoever has been idle longest. Knows of no sockets. Loop thread only. */
#ifndef SOCKERLESS_NETWORK_FLOWS_H
#define SOCKERLESS_NETWORK_FLOWS_H

#include <stddef.h>
#include <stdint.h>

#include "network/netwire.h"
#include "util/list.h"

#define NET_FLOWS_MAX 1024
#define NET_FLOW_IDLE_NS (180 * INT64_C(1000000000)) /* twice what Docker's userland proxy gives them */

/* A part of what its owner keeps of the client. */
struct net_flow {
	struct list of_bucket, by_age; /* by_age: the longest idle first */
	uint16_t port;                 /* of the container; a table may serve several */
	struct net_address client;
	int64_t used_ns;
};

struct net_flows {
	struct list buckets[64], by_age;
	size_t n, max;
	int64_t idle_ns;
	void (*forget)(struct net_flow *f); /* frees what it is a part of: it is no more in the table */
};

void net_flows_init(struct net_flows *t, size_t max, int64_t idle_ns, void (*forget)(struct net_flow *f));
void net_flows_done(struct net_flows *t);
/* NULL: it has not written, or was idle for too long. */
struct net_flow *net_flows_find(const struct net_flows *t, uint16_t port, const struct net_address *client, int64_t now_ns);
/* A client that is not in the table, used now. Whoever was idle for too long is forgotten, and others to make room. */
void net_flows_add(struct net_flows *t, struct net_flow *f, uint16_t port, const struct net_address *client, int64_t now_ns);
void net_flows_use(struct net_flows *t, struct net_flow *f, int64_t now_ns);
/* Forgets whoever was idle for too long. When the next will have been, from now on; 0: there is nobody. */
int64_t net_flows_expire(struct net_flows *t, int64_t now_ns);

#endif
