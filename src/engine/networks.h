/* Networks: the objects and what containers have of them. Docker's behaviour and
 * texts (moby: daemon/network.go, daemon/container_operations.go, daemon/libnetwork). Traffic is the switch's
 * (network/switch.h). Loop thread; nothing blocks. */
#ifndef SOCKERLESS_ENGINE_NETWORKS_H
#define SOCKERLESS_ENGINE_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "engine/engine.h"
#include "engine/network_mode.h"
#include "network/ipam.h"
#include "network/prefix.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/sorted.h"

struct netns;

struct network_subnet {
	struct prefix subnet, range; /* range none: all of it */
	struct ip gateway;           /* none: has none */
	json_t *aux;                 /* name → address; NULL: none */
	bool is_asked;               /* the request named the subnet */
	struct ipam_subnet *taken;   /* NULL in a configuration network */
};

struct network {
	struct list by_age;
	char id[ID_LEN + 1];
	char *name, *driver, *scope, *ipam_driver, *config_from; /* config_from "": none */
	int64_t created_ns;
	bool has_ipv4, has_ipv6, is_internal, is_attachable, is_config_only;
	json_t *options, *labels, *ipam_options; /* objects; ipam_options NULL: none given */
	struct network_subnet *subnets;          /* IPv4 first */
	size_t nsubnets;
	struct list endpoints;                   /* of running containers */
	size_t nendpoints;
};

/* A running container on a network. */
struct endpoint {
	struct list of_network, of_sandbox;
	char id[ID_LEN + 1];
	struct network *network;
	struct net_sandbox *sandbox;
	uint8_t mac[6];
	bool has_mac;
	struct ip ip4, ip6;      /* none: has none */
	struct network_subnet *subnet4, *subnet6;
	bool is_told;            /* its connect event is out */
};

/* What a running container has of the networks; endpoints in the order of their interfaces. */
struct net_sandbox {
	struct engine *engine;
	struct container *container; /* reference */
	char id[ID_LEN + 1];     /* inspect's SandboxID; "" when it is another container's */
	struct netns *ns;
	struct list endpoints;
	json_t *ports;           /* inspect's Ports */
	struct network *published; /* whose endpoint has the ports; NULL: none */
	char *files_of;          /* the id of the container whose hosts and resolv.conf it has */
	char *resolv_text;       /* as it was written */
	struct list edits;       /* hosts.c: changes of files that wait for its process, or for the edit under way */
	struct edit_job *edit_job; /* that one; NULL: none */
};

struct networks;

struct networks_options {
	const char *const *address_pools; /* "base=…,size=…"; NULL-ended; NULL: Docker's */
	const char *bip;                  /* "192.168.5.1/24"; NULL: Docker's */
	const char *host_gateway_ip;      /* NULL: the default bridge's gateway */
	bool allow_host_loopback;
};

/* Loads, makes the predefined ones, opens the switch. Blocks: start-up. */
int networks_open(struct engine *e, const struct networks_options *opt, struct networks **ret, struct error *err);
void networks_free(struct networks *ns); /* after the drivers; takes NULL */

/* By full id, name, unique id prefix. ERROR_NOT_FOUND "network x not found". */
int networks_find(struct networks *ns, const char *term, struct network **ret, struct error *err);
/* In order of creation: start with NULL. */
struct network *networks_next(struct networks *ns, const struct network *after);
/* bridge, host, none: names that only the daemon gives; default too. */
bool network_is_predefined(const char *name);
bool network_is_user_defined(const char *mode); /* not predefined and no container: */

/* `body`: the request's object, decoded (schema.h). Nothing is changed on an error. */
int network_create(struct engine *e, json_t *body, struct network **ret, struct error *err);
/* ERROR_FORBIDDEN when it is predefined or in use. */
int network_remove(struct engine *e, struct network *n, struct error *err);
void network_event(struct engine *e, const struct network *n, const char *action, const char *container_id);

/* ---- networks_store.c, for networks.c ---- */
struct networks {
	struct engine *engine;
	struct list by_age;
	struct map by_id, by_name;
	struct sorted ids;
	struct ipam *ipam;
	struct net_switch *net_switch;
	struct map sandboxes;    /* container id → struct net_sandbox */
	struct ip host_gateway;  /* none: the default bridge's */
	bool has_host_ipv6;
};

struct network *network_new(void);
void network_free(struct networks *ns, struct network *n); /* gives its subnets back */
int networks_load(struct networks *ns, struct error *err);
void networks_enter(struct networks *ns, struct network *n); /* indexes and store */
void networks_leave(struct networks *ns, struct network *n); /* frees it */
void networks_save(struct networks *ns, const struct network *n);
void networks_done(struct networks *ns);
struct network_subnet *network_add_subnet(struct network *n);
/* Takes subnet (none or 0.0.0.0/24: one of the pools), gateway and auxiliary addresses. On an error the caller
 * frees the network. */
int network_allocate(struct networks *ns, struct network_subnet *s, bool is_v6, bool wants_gateway, struct error *err);
/* network_create.c: what the request says, without its subnets taken. */
int network_from_request(struct networks *ns, json_t *body, struct network *n, struct error *err);
bool option_is_true(const struct network *n, const char *key, bool fallback);
/* Subnets that the host itself is on, and its name servers: a new array. */
size_t host_routes(struct networks *ns, struct prefix **ret);

/* ---- containers: endpoints.c ---- */

/* At creation, on the decoded body: checks and normalises NetworkingConfig and what HostConfig says of networks. */
int networks_adapt_create(struct engine *e, json_t *body, struct error *err);
/* Network's name → what was asked of the endpoint: a new object. */
json_t *container_endpoints(struct engine *e, const struct container *c);
/* Whose host name it has: its own, or that of the container whose network it shares. */
const struct container *networks_named(struct engine *e, const struct container *c);

/* Addresses, names, ports: all or nothing, before the plan of a start; the error is the start's. */
int networks_start(struct engine *e, struct container *c, struct error *err);
void networks_started(struct engine *e, struct container *c); /* it runs: events */
/* Everything back; nothing to do when it has nothing. */
void networks_stop(struct engine *e, struct container *c);
void networks_stop_all(struct engine *e); /* the daemon's end: nothing is told */
void networks_renamed(struct engine *e, struct container *c); /* others find it by its new name */
/* NULL when it does not run. O(1). */
struct net_sandbox *net_sandbox_of(struct engine *e, const struct container *c);
struct endpoint *endpoint_find(const struct net_sandbox *s, const char *network_name);
/* New reference for a plan; NULL. */
struct netns *networks_netns(struct engine *e, const struct container *c);
/* Names under which others find it, ended by NULL in Docker's order: a new array. */
json_t *endpoint_dns_names(const struct container *c, json_t *config);

/* `config`: EndpointSettings, decoded; may be NULL. ERROR_* in Docker's words. */
int network_connect(struct engine *e, const char *network, const char *container, json_t *config, struct error *err);
int network_disconnect(struct engine *e, const char *network, const char *container, bool force, struct error *err);

/* Several refusals as one, each on a line of its own when there is more than one (moby: internal/multierror). */
struct refusals {
	struct buf text;
	size_t n;
};
void refusals_add(struct refusals *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0 when there are none, else ERROR_INVALID "prefix" and the text; frees. */
int refusals_end(struct refusals *r, const char *prefix, struct error *err);

/* ---- endpoint_config.c: what a request says of an endpoint ---- */
/* Texts of addresses into their usual form; refuses as the decoder does: "invalid JSON: …". */
int endpoint_decode(json_t *config, struct error *err);
/* `n` NULL: the network is not known (yet). */
int endpoint_check(const struct network *n, const char *network_name, json_t *config, struct error *err);
/* "name:alias", "name"; strings malloc'd. */
int link_parse(const char *text, char **ret_name, char **ret_alias, struct error *err);

/* ---- endpoints_join.c ---- */
int endpoint_join(struct net_sandbox *s, struct network *n, json_t *config, struct error *err);
void endpoint_leave(struct endpoint *ep); /* gives addresses back and frees; tells disconnect if connect was told */
/* Which endpoint has the default route, and so the published ports; NULL: none. */
struct endpoint *net_sandbox_gateway(const struct net_sandbox *s);

/* ---- ports.c ---- */
int ports_publish(struct net_sandbox *s, struct error *err); /* fills s->ports; nothing stays bound on an error */
void ports_unpublish(struct net_sandbox *s);
void ports_republish(struct net_sandbox *s); /* the endpoint they were on may have gone, or there is one at last */

/* ---- hosts.c: /etc/hosts, /etc/hostname, /etc/resolv.conf ---- */
/* They lie in <data root>/containers/<id>/net, and a container that shares another's network has that one's. */
struct container_files; /* what a start writes */
/* NULL: nothing to write. ERROR_* for a link to a container that does not run. */
int container_files_new(struct engine *e, struct container *c, struct container_files **ret, struct error *err);
int container_files_write(struct container_files *f, struct error *err); /* pool; blocks */
void container_files_free(struct container_files *f); /* loop; takes NULL */
/* malloc'd; NULL when it never started. */
char *container_files_dir(struct engine *e, const struct container *c);
/* --add-host in pairs, name and address: a new array. */
json_t *extra_hosts(struct engine *e, const struct container *c);
/* A running container has come to or gone from a network; written on the pool. */
void container_files_edit(struct net_sandbox *s, const struct endpoint *ep, bool is_added);
/* Another container, whose name there is `alias`, has other addresses. */
void container_files_move(struct net_sandbox *s, const struct endpoint *of, const char *alias);
/* Its process runs: edits that came while it was starting are begun. */
void container_files_started(struct net_sandbox *s);
void container_files_forget(struct net_sandbox *s); /* edits that are not begun */

/* The link of that alias is no more. */
void container_files_unlink(struct net_sandbox *s, const char *alias);

/* ---- links.c: --link on the default bridge ---- */
/* Of a container that is to be made: HostConfig.Links become "id:alias". ERROR_INVALID where there is no such container. */
int links_adapt(struct engine *e, json_t *host, struct error *err);
void links_register(struct engine *e, struct container *c); /* it has just been made */
void links_load(struct engine *e); /* the daemon's start: all have been loaded */
/* `c` has started: those that are linked to it learn its addresses. Costs what there is of them. */
void links_tell(struct engine *e, const struct container *c);

/* ---- hosts_text.c: pure ---- */
struct resolv_wish {
	json_t *servers, *search, *options; /* NULL: the host's; borrowed */
	bool is_internal; /* 127.0.0.11 in place of the servers, which it asks */
};
/* `host`: the host's own resolv.conf. malloc'd, in Docker's layout. */
char *resolv_make(const char *host, const struct resolv_wish *wish);
/* One change of a hosts file: adds or removes the line "address<TAB>names", or gives those lines that
 * begin with `names` the address, or drops those of the link whose alias is `names`. malloc'd. */
enum hosts_change { HOSTS_ADD, HOSTS_REMOVE, HOSTS_MOVE, HOSTS_UNLINK };
char *hosts_edit(const char *text, enum hosts_change change, const char *address, const char *names);
extern const char hosts_usual[]; /* the lines of localhost */
/* --add-host "name:address" or "name=address": where the address begins, one behind the name; NULL: neither. */
const char *extra_host_address(const char *text);

#endif
