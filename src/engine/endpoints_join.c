/* One container on one network: its addresses, and the switch told of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

/* ---- names ---- */

static void add_once(json_t *names, const char *name)
{
	json_t *v;
	size_t i;

	if (!name || !*name)
		return;
	json_array_foreach(names, i, v)
		if (strcmp(json_string_value(v), name) == 0)
			return;
	json_array_append_new(names, json_string(name));
}

json_t *endpoint_dns_names(const struct container *c, json_t *config)
{
	json_t *names = json_array(), *v;
	char short_id[ID_SHORT_LEN + 1] = "";
	size_t i;

	add_once(names, c->name);
	json_array_foreach(json_object_get(config, "Aliases"), i, v)
		add_once(names, json_string_value(v));
	memcpy(short_id, c->id, ID_SHORT_LEN);
	add_once(names, short_id);
	add_once(names, json_text(c->config, "Hostname"));
	return names;
}

/* ---- addresses ---- */

static struct network_subnet *subnet_of(struct network *n, bool is_v6)
{
	for (size_t i = 0; i < n->nsubnets; i++)
		if (n->subnets[i].taken && prefix_is_v4(n->subnets[i].subnet) != is_v6)
			return &n->subnets[i];
	return NULL;
}

static int take_address(struct network *n, bool is_v6, const char *wanted, struct network_subnet **ret_subnet,
			struct ip *ret, struct error *err)
{
	struct network_subnet *s = subnet_of(n, is_v6);
	struct ip ip;
	int r;

	if (!s)
		return *wanted ? error_set_class(err, ERROR_INVALID,
						 "invalid address %s: It does not belong to any of this network's subnets",
						 wanted) :
				 0;
	if (*wanted) {
		r = ip_parse(wanted, &ip, err);
		if (r == 0 && !prefix_contains(s->subnet, ip))
			r = error_set_class(err, ERROR_INVALID,
					    "invalid address %s: It does not belong to any of this network's subnets", wanted);
		if (r == 0)
			r = ipam_take(s->taken, ip, err);
	} else if ((r = ipam_take_any(s->taken, s->range, &ip)) < 0) {
		error_set(err, r, "no available IPv%d addresses on this network's address pools: %.200s (%s)",
			  is_v6 ? 6 : 4, n->name, n->id);
	}
	if (r < 0)
		return r;
	*ret = ip;
	*ret_subnet = s;
	return 0;
}

static int take_addresses(struct endpoint *ep, json_t *config, struct error *err)
{
	json_t *ipam = json_object_get(config, "IPAMConfig");
	int r = take_address(ep->network, false, json_text(ipam, "IPv4Address"), &ep->subnet4, &ep->ip4, err);

	return r < 0 ? r : take_address(ep->network, true, json_text(ipam, "IPv6Address"), &ep->subnet6, &ep->ip6, err);
}

/* As long as an address is one container's, so is what is made of it. */
static void choose_mac(struct endpoint *ep, json_t *config)
{
	const char *wanted = json_text(config, "MacAddress");
	uint8_t ip[16];

	if (ip_is_none(ep->ip4) && ip_is_none(ep->ip6))
		return;
	ep->has_mac = true;
	if (*wanted && mac_parse(wanted, ep->mac, NULL) == 0)
		return;
	ip_to_bytes(ep->ip4, ip);
	ep->mac[0] = 0x02;
	ep->mac[1] = 0x42;
	if (ip_is_none(ep->ip4))
		(void)!getrandom(ep->mac + 2, 4, 0);
	else
		memcpy(ep->mac + 2, ip + 12, 4);
}

/* ---- the switch ---- */

/* "db:database" means that "database" is asked for and "db" is found; pairs. */
static json_t *link_pairs(json_t *links)
{
	json_t *pairs = json_array(), *v;
	size_t i;

	json_array_foreach(links, i, v) {
		CLEANUP(freep) char *name = NULL, *alias = NULL;

		if (link_parse(json_string_value(v), &name, &alias, NULL) < 0)
			continue;
		json_array_append_new(pairs, json_string(alias));
		json_array_append_new(pairs, json_string(name));
	}
	return pairs;
}

static void set_v4(struct netns_endpoint *out, const struct endpoint *ep)
{
	uint8_t bytes[16];

	if (ip_is_none(ep->ip4))
		return;
	ip_to_bytes(ep->ip4, bytes);
	memcpy(out->ip4, bytes + 12, 4);
	out->ip4_prefix = ep->subnet4->subnet.bits;
	if (out->is_internal || ip_is_none(ep->subnet4->gateway))
		return;
	ip_to_bytes(ep->subnet4->gateway, bytes);
	memcpy(out->gateway4, bytes + 12, 4);
}

static void set_v6(struct netns_endpoint *out, const struct endpoint *ep)
{
	if (ip_is_none(ep->ip6))
		return;
	ip_to_bytes(ep->ip6, out->ip6);
	out->ip6_prefix = ep->subnet6->subnet.bits;
	if (!out->is_internal && !ip_is_none(ep->subnet6->gateway))
		ip_to_bytes(ep->subnet6->gateway, out->gateway6);
}

static int attach(struct endpoint *ep, json_t *config, struct error *err)
{
	const char *interface = json_text(json_object_get(config, "DriverOpts"), "com.docker.network.endpoint.ifname");
	struct network *n = ep->network;
	bool is_user_defined = network_is_user_defined(n->name);
	json_t *names = is_user_defined ? endpoint_dns_names(ep->sandbox->container, config) : json_array();
	json_t *links = link_pairs(is_user_defined ? json_object_get(config, "Links") : NULL);
	CLEANUP(freep) const char **name_words = json_words(names);
	CLEANUP(freep) const char **link_words = json_words(links);
	struct netns_endpoint out = {
		.network_id = n->id,
		.interface = *interface ? interface : NULL,
		.gateway_priority = (int)json_integer_value(json_object_get(config, "GwPriority")),
		.network_name = n->name,
		.is_internal = n->is_internal,
		.is_isolated = !option_is_true(n, "com.docker.network.bridge.enable_icc", true),
		.has_embedded_dns = is_user_defined,
		.names = name_words,
		.links = link_words,
	};
	int r;

	memcpy(out.mac, ep->mac, sizeof(out.mac));
	set_v4(&out, ep);
	set_v6(&out, ep);
	r = netns_attach(ep->sandbox->ns, &out, err);
	json_decref(names);
	json_decref(links);
	return r;
}

void networks_renamed(struct engine *e, struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, c);
	json_t *configs;

	if (!s)
		return;
	configs = container_endpoints(e, c);
	list_for_each(it, &s->endpoints) {
		const struct network *n = container_of(it, struct endpoint, of_sandbox)->network;
		json_t *names = endpoint_dns_names(c, json_object_get(configs, n->name));
		CLEANUP(freep) const char **words = json_words(names);

		if (network_is_user_defined(n->name))
			netns_set_names(s->ns, n->id, words);
		json_decref(names);
	}
	json_decref(configs);
}

/* ---- join and leave ---- */

static void give_back(struct endpoint *ep)
{
	if (!ip_is_none(ep->ip4))
		ipam_give(ep->subnet4->taken, ep->ip4);
	if (!ip_is_none(ep->ip6))
		ipam_give(ep->subnet6->taken, ep->ip6);
	free(ep);
}

int endpoint_join(struct net_sandbox *s, struct network *n, json_t *config, struct error *err)
{
	bool is_bridge = strcmp(n->driver, "bridge") == 0;
	struct endpoint *ep;
	int r;

	if (n->is_config_only)
		return error_set_class(err, ERROR_FORBIDDEN, "cannot create endpoint on configuration-only network");
	if (endpoint_find(s, n->name))
		return error_set_class(err, ERROR_FORBIDDEN, "endpoint with name %s already exists in network %.200s",
				       s->container->name, n->name);
	ep = xnew(struct endpoint);
	ep->network = n;
	ep->sandbox = s;
	r = is_bridge ? take_addresses(ep, config, err) : 0;
	if (r == 0)
		choose_mac(ep, config);
	if (r == 0 && is_bridge)
		r = attach(ep, config, err);
	if (r < 0) {
		give_back(ep);
		return r;
	}
	id_generate(ep->id);
	list_append(&s->endpoints, &ep->of_sandbox);
	list_append(&n->endpoints, &ep->of_network);
	n->nendpoints++;
	return 0;
}

void endpoint_leave(struct endpoint *ep)
{
	struct network *n = ep->network;

	if (strcmp(n->driver, "bridge") == 0)
		netns_detach(ep->sandbox->ns, n->id);
	list_remove(&ep->of_sandbox);
	list_remove(&ep->of_network);
	n->nendpoints--;
	if (ep->is_told)
		network_event(ep->sandbox->engine, n, "disconnect", ep->sandbox->container->id);
	give_back(ep);
}

struct endpoint *endpoint_find(const struct net_sandbox *s, const char *network_name)
{
	if (!s)
		return NULL;
	list_for_each(it, &s->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_sandbox);

		if (strcmp(ep->network->name, network_name) == 0)
			return ep;
	}
	return NULL;
}

struct endpoint *net_sandbox_gateway(const struct net_sandbox *s)
{
	json_t *configs = container_endpoints(s->engine, s->container);
	struct endpoint *best = NULL;
	json_int_t best_priority = 0;

	list_for_each(it, &s->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_sandbox);
		json_int_t priority =
			json_integer_value(json_object_get(json_object_get(configs, ep->network->name), "GwPriority"));

		if (strcmp(ep->network->driver, "bridge") != 0 || ep->network->is_internal)
			continue;
		if (best && (priority < best_priority ||
			     (priority == best_priority && strcmp(ep->network->name, best->network->name) > 0)))
			continue;
		best = ep;
		best_priority = priority;
	}
	json_decref(configs);
	return best;
}
