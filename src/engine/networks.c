/* Networks: opening, the predefined ones, creation and removal. */
#include "engine/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/internal.h"
#include "network/resolvconf.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/clock.h"

/* ---- names ---- */

bool network_is_predefined(const char *name)
{
	return strcmp(name, "bridge") == 0 || strcmp(name, "host") == 0 || strcmp(name, "none") == 0 ||
	       strcmp(name, "default") == 0;
}

bool network_is_user_defined(const char *mode)
{
	return *mode && !network_is_predefined(mode) && !network_mode_container(mode);
}

const char *network_mode_of(const struct container *c)
{
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));

	return mode && *mode && strcmp(mode, "default") != 0 ? mode : "bridge";
}

const char *network_mode_container(const char *mode)
{
	size_t n = strlen("container:");

	return mode && strncmp(mode, "container:", n) == 0 ? mode + n : NULL;
}

const char *network_mode_name(struct engine *e, const char *mode)
{
	struct network *n;

	return networks_find(e->networks, mode, &n, NULL) == 0 ? n->name : mode;
}

bool option_is_true(const struct network *n, const char *key, bool fallback)
{
	const char *v = json_string_value(json_object_get(n->options, key));

	if (!v)
		return fallback;
	return strchr("1tT", v[0]) && v[0];
}

/* ---- what of the host must not be covered ---- */

static void add_prefix(struct prefix **list, size_t *n, struct prefix p)
{
	*list = xrealloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = p;
}

/* The kernel's memory: reading it does not wait for a disk. */
static void add_routes(struct prefix **list, size_t *n)
{
	FILE *f = fopen("/proc/net/route", "re");
	unsigned destination, gateway, flags, mask;
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		struct prefix p;

		if (sscanf(line, "%*s %x %x %x %*d %*d %*d %x", &destination, &gateway, &flags, &mask) != 4)
			continue;
		if (gateway != 0 || mask == 0)
			continue; /* only what is on the host's own links */
		p.ip.n = (unsigned __int128)0xffff << 32 | ntohl(destination);
		p.bits = (uint8_t)__builtin_popcount(mask);
		add_prefix(list, n, p);
	}
	if (f)
		fclose(f);
}

static void add_name_servers(const struct resolvconf *host, struct prefix **list, size_t *n)
{
	json_t *v;
	size_t i;

	json_array_foreach(host->servers, i, v) {
		struct ip ip;

		if (ip_parse(json_string_value(v), &ip, NULL) == 0 && ip_is_v4(ip))
			add_prefix(list, n, (struct prefix){ ip, 32 });
	}
}

size_t host_routes(struct networks *ns, struct prefix **ret)
{
	size_t n = 0;

	*ret = NULL;
	add_routes(ret, &n);
	add_name_servers(net_switch_resolvconf(ns->net_switch), ret, &n);
	return n;
}

/* ---- events ---- */

static json_t *attributes_of(const struct network *n)
{
	return json_pack("{s:s, s:s}", "name", n->name, "type", n->driver);
}

void network_event(struct engine *e, const struct network *n, const char *action, const char *container_id)
{
	json_t *attributes = attributes_of(n);

	if (container_id)
		json_object_set_new(attributes, "container", json_string(container_id));
	events_publish(e->events, "network", action, n->id, attributes);
}

/* ---- the predefined ones ---- */

static struct network *predefine(struct networks *ns, const char *name, const char *driver)
{
	struct network *n = map_get(&ns->by_name, name);

	if (n)
		return n;
	n = network_new();
	id_generate(n->id);
	n->name = xstrdup(name);
	n->driver = xstrdup(driver);
	n->scope = xstrdup("local");
	n->ipam_driver = xstrdup("default");
	n->config_from = xstrdup("");
	n->created_ns = clock_wall_ns();
	n->has_ipv4 = true;
	n->options = json_object();
	n->labels = json_object();
	return n;
}

static void enter_once(struct networks *ns, struct network *n)
{
	if (!map_has(&ns->by_name, n->name))
		networks_enter(ns, n);
}

/* --bip is the gateway's address and the subnet in one; a change of it moves the bridge. */
static int make_bridge(struct networks *ns, const char *bip, struct error *err)
{
	struct network *n = map_get(&ns->by_name, "bridge");
	struct network_subnet *s;
	struct prefix wanted = { 0 };
	int r = prefix_parse(bip ? bip : "172.17.0.1/16", &wanted, err);

	if (r < 0 || !prefix_is_v4(wanted)) {
		error_set_class(err, ERROR_INVALID, "--bip %s: expected an IPv4 address with a prefix length", bip);
		return err->code;
	}
	if (n && (n->nsubnets == 0 || n->subnets[0].gateway.n != wanted.ip.n || n->subnets[0].subnet.bits != wanted.bits)) {
		networks_leave(ns, n);
		n = NULL;
	}
	if (n)
		return 0;
	n = predefine(ns, "bridge", "bridge");
	json_decref(n->options);
	n->options = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "com.docker.network.bridge.default_bridge", "true",
			       "com.docker.network.bridge.enable_icc", "true", "com.docker.network.bridge.enable_ip_masquerade",
			       "true", "com.docker.network.bridge.host_binding_ipv4", "0.0.0.0",
			       "com.docker.network.bridge.name", "docker0", "com.docker.network.driver.mtu", "1500");
	s = network_add_subnet(n);
	s->subnet = prefix_masked(wanted);
	s->gateway = wanted.ip;
	s->is_asked = true;
	r = network_allocate(ns, s, false, true, err);
	if (r < 0) {
		error_prefix(err, "the network of the default bridge");
		network_free(ns, n);
		return r;
	}
	networks_enter(ns, n);
	return 0;
}

/* ---- opening ---- */

static int add_pools(struct networks *ns, const char *const *texts, struct error *err)
{
	bool has_v6 = false;
	struct ipam_pool pool;
	int r = 0;

	for (size_t i = 0; texts && texts[i] && r == 0; i++) {
		r = ipam_parse_pool(texts[i], &pool, err);
		if (r == 0)
			r = ipam_add_pool(ns->ipam, pool, err);
		has_v6 = has_v6 || (r == 0 && !prefix_is_v4(pool.base));
		if (r < 0)
			error_prefix(err, "--default-address-pool %.100s", texts[i]);
	}
	for (size_t i = 0; r == 0 && !(texts && texts[0]) && i < ipam_default_npools; i++)
		r = ipam_add_pool(ns->ipam, ipam_default_pools[i], err);
	if (r == 0 && !has_v6)
		r = ipam_add_pool(ns->ipam, ipam_ula_pool(ns->engine->id), err);
	return r;
}

/* Ports are published on :: too where the host has IPv6. */
static bool has_ipv6(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

static int open_parts(struct networks *ns, const struct networks_options *opt, struct error *err)
{
	struct net_switch_options so = { .allow_host_loopback = opt->allow_host_loopback };
	int r = net_switch_new(ns->engine->loop, &so, &ns->net_switch, err);

	if (r == 0)
		r = add_pools(ns, opt->address_pools, err);
	if (r == 0 && opt->host_gateway_ip && *opt->host_gateway_ip)
		r = ip_parse(opt->host_gateway_ip, &ns->host_gateway, err);
	if (r == 0)
		r = networks_load(ns, err);
	if (r == 0)
		r = make_bridge(ns, opt->bip, err);
	if (r == 0) {
		enter_once(ns, predefine(ns, "host", "host"));
		enter_once(ns, predefine(ns, "none", "null"));
	}
	return r;
}

int networks_open(struct engine *e, const struct networks_options *opt, struct networks **ret, struct error *err)
{
	struct networks *ns = xnew(struct networks);
	int r;

	ns->engine = e;
	ns->ipam = ipam_new();
	ns->has_host_ipv6 = has_ipv6();
	list_init(&ns->by_age);
	map_init(&ns->by_id);
	map_init(&ns->by_name);
	map_init(&ns->sandboxes);
	r = open_parts(ns, opt, err);
	if (r < 0) {
		networks_free(ns);
		return r;
	}
	*ret = ns;
	return 0;
}

void networks_free(struct networks *ns)
{
	if (!ns)
		return;
	networks_done(ns);
	map_done(&ns->sandboxes);
	ipam_free(ns->ipam);
	net_switch_free(ns->net_switch);
	free(ns);
}

/* ---- creation and removal ---- */

static int allocate(struct networks *ns, struct network *n, struct error *err)
{
	bool has_v4 = false, has_v6 = false;
	int r = 0;

	for (size_t i = 0; i < n->nsubnets; i++) {
		bool is_v6 = !prefix_is_v4(n->subnets[i].subnet);

		if ((is_v6 && has_v6) || (!is_v6 && has_v4))
			return error_set_class(err, ERROR_FORBIDDEN, "bridge driver doesn't support multiple subnets");
		has_v4 = has_v4 || !is_v6;
		has_v6 = has_v6 || is_v6;
	}
	if (n->has_ipv4 && !has_v4) {
		struct network_subnet *s = network_add_subnet(n);
		struct network_subnet first = *s;

		memmove(n->subnets + 1, n->subnets, (n->nsubnets - 1) * sizeof(first));
		n->subnets[0] = first;
		n->subnets[0].subnet.ip.n = (unsigned __int128)0xffff << 32;
	}
	if (n->has_ipv6 && !has_v6)
		network_add_subnet(n);
	for (size_t i = 0; r == 0 && i < n->nsubnets; i++) {
		struct network_subnet *s = &n->subnets[i];

		r = network_allocate(ns, s, !prefix_is_v4(s->subnet), true, err);
	}
	return r;
}

int network_create(struct engine *e, json_t *body, struct network **ret, struct error *err)
{
	struct networks *ns = e->networks;
	struct network *n = network_new();
	int r = network_from_request(ns, body, n, err);

	if (r == 0 && !n->is_config_only)
		r = allocate(ns, n, err);
	if (r < 0) {
		network_free(ns, n);
		return r;
	}
	id_generate(n->id);
	n->created_ns = clock_wall_ns();
	networks_enter(ns, n);
	network_event(e, n, "create", NULL);
	*ret = n;
	return 0;
}

static int check_unused(struct networks *ns, const struct network *n, struct error *err)
{
	struct buf names;

	for (struct network *other = networks_next(ns, NULL); n->is_config_only && other; other = networks_next(ns, other))
		if (strcmp(other->config_from, n->name) == 0)
			return error_set_class(err, ERROR_FORBIDDEN,
					       "error while removing network: configuration network \"%.200s\" is in use",
					       n->name);
	if (n->nendpoints == 0)
		return 0;
	buf_init(&names, 700);
	list_for_each(it, &n->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_network);

		buf_printf(&names, "%sname:\"%s\" id:\"%.12s\"", names.len ? ", " : "", ep->sandbox->container->name, ep->id);
	}
	error_set_class(err, ERROR_FORBIDDEN, "error while removing network: network %.200s has active endpoints (%s)",
			n->name, names.data);
	buf_done(&names);
	return err->code;
}

int network_remove(struct engine *e, struct network *n, struct error *err)
{
	bool is_told = !n->is_config_only;
	json_t *attributes;
	char id[ID_LEN + 1];
	int r;

	if (network_is_predefined(n->name))
		return error_set_class(err, ERROR_FORBIDDEN, "%s is a pre-defined network and cannot be removed", n->name);
	r = check_unused(e->networks, n, err);
	if (r < 0)
		return r;
	attributes = attributes_of(n);
	memcpy(id, n->id, sizeof(id));
	networks_leave(e->networks, n);
	if (is_told)
		events_publish(e->events, "network", "destroy", id, json_incref(attributes));
	json_decref(attributes);
	return 0;
}
