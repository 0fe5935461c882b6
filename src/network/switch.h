/* The switch: what carries traffic between containers, to the world and from published ports, without privilege.
 * It keeps who listens where in every network namespace, decides who may reach whom, and hands connected sockets
 * to both sides (netwire.h). Knows nothing of containers, Docker or the store: the engine (engine/networks.c)
 * tells it namespaces, addresses and names.
 *
 * Thread: loop. Nothing blocks: name look-ups of the host go to libuv's pool, host sockets are non-blocking. */
#ifndef SOCKERLESS_NETWORK_SWITCH_H
#define SOCKERLESS_NETWORK_SWITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "network/netwire.h"
#include "util/error.h"

struct net_switch;
struct netns;

struct net_switch_options {
	bool allow_host_loopback; /* a gateway's address then reaches the host's 127.0.0.1 too; else only what
	                             listens on another address of the host or on its wildcard */
	const char *resolv_conf;  /* the host's; NULL: /etc/resolv.conf */
};

int net_switch_new(uv_loop_t *loop, const struct net_switch_options *options, struct net_switch **ret, struct error *err);
struct resolvconf;
/* The host's, as it was at most a second ago (resolvconf.h); borrowed. */
const struct resolvconf *net_switch_resolvconf(struct net_switch *sw);
void net_switch_free(struct net_switch *sw); /* after its namespaces; takes NULL. Handles close on the loop. */

/* ---- a namespace: that of one container, or of several (--network container:X) ---- */

enum netns_mode {
	NETNS_PRIVATE, /* loopback, and what is attached; with nothing attached it is Docker's `none` */
	NETNS_HOST,    /* the host's own addresses, loopback and ports */
};

/* `id`: 64 hex digits, as SandboxID. One reference, the caller's. */
struct netns *netns_new(struct net_switch *sw, enum netns_mode mode, const char *id);
struct netns *netns_ref(struct netns *ns);
void netns_unref(struct netns *ns); /* the last: sockets of its workers hang up, ports are closed; takes NULL */

/* A new net socket for a container's workers: the fd for them, owned by the caller. -errno (-EMFILE …). */
int netns_open_socket(struct netns *ns, struct error *err);
/* The page of netwire.h: an fd of the namespace's own, borrowed. */
int netns_page_fd(const struct netns *ns);
int netns_counters_fd(const struct netns *ns); /* of the page that workers count in */
/* Connections that it remembers, some of which may be gone. */
size_t netns_connection_count(const struct netns *ns);
/* Called (from the loop, perhaps within netns_detach) when the epoch has risen: sleeping workers are to be woken.
 * Several may be set, one for each driver process; remove before arg goes. */
void netns_add_waker(struct netns *ns, void (*wake)(void *arg), void *arg);
void netns_remove_waker(struct netns *ns, void *arg);

/* ---- networks as the switch sees them, and endpoints on them ---- */

struct netns_endpoint {
	const char *network_id;
	const char *interface;    /* NULL: the next free ethN; else that name */
	uint8_t mac[6];
	uint8_t ip4[4], ip4_prefix, gateway4[4]; /* prefix 0: none; gateway 0.0.0.0: none */
	uint8_t ip6[16], ip6_prefix, gateway6[16];
	int gateway_priority;     /* the highest is the default route; equal: by name of the network, as Docker */
	const char *network_name; /* for that, and for "name.network" look-ups */
	bool is_internal;         /* no way out of this network */
	bool is_isolated;         /* com.docker.network.bridge.enable_icc=false: neighbours are not reached */
	bool has_embedded_dns;    /* user-defined networks: names of the others resolve at 127.0.0.11 */
	const char *const *names; /* names under which others on the network find it; NULL-terminated */
	/* --link NAME:ALIAS on this network: what only this namespace may ask for, and what it gets instead; pairs, NULL-terminated */
	const char *const *links;
};

/* Everything is copied. -EEXIST when it is attached to that network already. */
int netns_attach(struct netns *ns, const struct netns_endpoint *ep, struct error *err);
/* Other names than before, at once. -ENOENT when it is not attached. */
int netns_set_names(struct netns *ns, const char *network_id, const char *const *names);
/* Raises the epoch: connections over it are cut. -ENOENT when it is not attached. */
int netns_detach(struct netns *ns, const char *network_id);
/* What the switch has counted on that network since attached; for docker stats. False: not attached. */
bool netns_counters(const struct netns *ns, const char *network_id, struct net_interface *ret);

struct netns_dns {
	const char *const *servers; /* --dns; NULL: the host's. NULL-terminated texts; bad ones are left out */
	const char *const *extra_hosts; /* "name", "address" pairs (--add-host): answered before anything else */
};
void netns_set_dns(struct netns *ns, const struct netns_dns *dns); /* copied; takes effect at once */

/* ---- published ports ---- */

struct net_publish {
	const char *host_ip; /* "", "0.0.0.0": every IPv4 address; "::": every IPv6 one (as Docker: without an address both) */
	uint16_t host_port_first, host_port_last; /* 0: any free one; a range: the first that is free */
	uint16_t port; /* of the container */
	const char *protocol; /* "tcp", "udp"; "sctp" is -EPROTONOSUPPORT */
};

/* Binds now; a connection is accepted from now on and handed to whoever in the namespace listens on the port of
 * an address of `network_id` or of the wildcard; nobody: it is reset. *ret_port: what was bound. Errors in
 * Docker's words, as "failed to bind host port for 0.0.0.0:80:172.17.0.2:80/tcp: address already in use"
 * ("Bind for 0.0.0.0:80 failed: port is already allocated" when a container of ours has it). On an error nothing stays bound. */
int netns_publish(struct netns *ns, const struct net_publish *p, const uint8_t container_ip[16], uint16_t *ret_port,
		  struct error *err);
void netns_unpublish_all(struct netns *ns);
/* A port that is published under its own number is the host's again: the container listens there itself. `protocol` as
 * in net_publish. */
void netns_unpublish_same(struct netns *ns, const char *protocol, uint16_t port);

/* ---- for what the daemon itself serves in a namespace (stand-ins) ---- */

struct net_service;
/* `on_connection` owns fd (non-blocking). As a guest's listener on the wildcard would be: published ports and
 * neighbours reach it. -EADDRINUSE. */
int netns_serve(struct netns *ns, uint16_t port, void (*on_connection)(void *arg, int take_fd, const struct net_arrival *from),
		void *arg, struct net_service **ret, struct error *err);
/* The same for UDP. `from`: the client as a guest would know it, to whom net_service_answer leads back: one that has
 * written to a published port not too long ago, or a neighbour; to others nothing is sent. */
int netns_serve_datagrams(struct netns *ns, uint16_t port,
			  void (*on_datagram)(void *arg, const struct net_address *from, const void *data, size_t len),
			  void *arg, struct net_service **ret, struct error *err);
void net_service_answer(struct net_service *s, const struct net_address *to, const void *data, size_t len);
void net_service_free(struct net_service *s); /* takes NULL */
/* So many descriptors of the daemon's are one namespace's share. */
size_t netns_share(const struct netns *ns);

/* Is somebody listening there (any address of the namespace)? For wait strategies and tests. */
bool netns_is_listening(const struct netns *ns, uint16_t port);

/* Text forms: "172.17.0.2", "fd00::1"; false: not an address. IPv4 becomes mapped. */
bool net_parse_ip(const char *text, uint8_t ret[16]);
void net_format_ip(const uint8_t ip[16], char ret[46]);
bool net_ip_is_v4(const uint8_t ip[16]);

#endif
