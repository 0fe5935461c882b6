/* What a request says of an endpoint: NetworkingConfig at a container's creation, and EndpointConfig of connect. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

/* ---- several refusals ---- */

void refusals_add(struct refusals *r, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->n == 0)
		buf_init(&r->text, 900);
	if (r->n == 1) { /* the first becomes a line as well */
		char *first = buf_steal(&r->text);

		buf_printf(&r->text, "* %s", first);
		free(first);
	}
	buf_printf(&r->text, r->n ? "\n* %s" : "%s", text);
	r->n++;
}

int refusals_end(struct refusals *r, const char *prefix, struct error *err)
{
	if (r->n == 0)
		return 0;
	error_set_class(err, ERROR_INVALID, "%s%s", prefix, r->text.data);
	buf_done(&r->text);
	return err->code;
}

/* ---- decoding ---- */

static int decode_ip(json_t *o, const char *key, struct error *err)
{
	const char *text = json_text(o, key);
	char usual[IP_TEXT_MAX];
	struct ip ip;
	int r = ip_parse(text, &ip, err);

	if (r < 0)
		return r;
	ip_format(ip, usual);
	if (*usual)
		json_object_set_new(o, key, json_string(usual));
	else if (!*text)
		json_object_del(o, key);
	return 0;
}

static void set_mac(json_t *o, const uint8_t mac[6])
{
	char usual[18];

	mac_format(mac, usual);
	json_object_set_new(o, "MacAddress", json_string(usual));
}

static int decode_mac(json_t *o, struct error *err)
{
	const char *text = json_text(o, "MacAddress");
	uint8_t mac[6];
	int r = *text ? mac_parse(text, mac, err) : 0;

	if (r == 0 && *text)
		set_mac(o, mac);
	return r;
}

int endpoint_decode(json_t *config, struct error *err)
{
	json_t *ipam = json_object_get(config, "IPAMConfig"), *v;
	struct ip ip;
	size_t i;
	int r = decode_mac(config, err);

	if (r == 0)
		r = decode_ip(ipam, "IPv4Address", err);
	if (r == 0)
		r = decode_ip(ipam, "IPv6Address", err);
	json_array_foreach(json_object_get(ipam, "LinkLocalIPs"), i, v)
		r = r == 0 ? ip_parse(json_string_value(v), &ip, err) : r;
	if (r < 0)
		error_prefix(err, "invalid JSON");
	return r;
}

/* ---- checks (moby: validateEndpointSettings) ---- */

static bool is_unspecified(const char *text, struct ip ip)
{
	return *text && (ip_is_none(ip) || (ip_is_v4(ip) && (uint32_t)ip.n == 0));
}

static bool is_in_subnets(const struct network *n, struct ip ip)
{
	for (size_t i = 0; i < n->nsubnets; i++)
		if (prefix_contains(n->subnets[i].subnet, ip))
			return true;
	return false;
}

static void check_ip(const struct network *n, const char *text, bool is_v6, struct refusals *all)
{
	struct ip ip;

	if (!*text || ip_parse(text, &ip, NULL) < 0)
		return;
	if (is_unspecified(text, ip) || ip_is_v4(ip) == is_v6)
		refusals_add(all, "invalid IPv%d address: %s", is_v6 ? 6 : 4, text);
	if (n && !is_in_subnets(n, ip))
		refusals_add(all, "no configured subnet contains IP address %s", text);
}

/* net.ipv4.conf.IFNAME.x=y */
static void check_sysctls(const char *list, struct refusals *all)
{
	while (*list) {
		size_t n = strcspn(list, ",");
		CLEANUP(freep) char *one = xstrndup(list, n);
		char *part[5] = { one };
		size_t k = 1;

		for (char *p = one; *p && k < 5; p++)
			if (*p == '.')
				part[k++] = p + 1;
		if (k < 5 || (strncmp(part[1], "ipv4.", 5) && strncmp(part[1], "ipv6.", 5) && strncmp(part[1], "mpls.", 5)) ||
		    (strncmp(part[3], "IFNAME.", 7) && strncmp(part[3], "ifname.", 7)))
			refusals_add(all, "unrecognised network interface sysctl '%s'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
				     one);
		list += n + (list[n] == ',');
	}
}

int endpoint_check(const struct network *n, const char *network_name, json_t *config, struct error *err)
{
	json_t *ipam = json_object_get(config, "IPAMConfig"), *v;
	const char *ip4 = json_text(ipam, "IPv4Address"), *ip6 = json_text(ipam, "IPv6Address");
	struct refusals all = { .n = 0 };
	struct ip ip;
	size_t i;

	if (network_is_predefined(network_name)) {
		if (*ip4 || *ip6)
			refusals_add(&all, "user-specified IP address is supported on user-defined networks only");
		if (json_array_size(json_object_get(config, "Aliases")) > 0)
			refusals_add(&all, "network-scoped aliases are only supported for user-defined networks");
	}
	check_ip(n, ip4, false, &all);
	check_ip(n, ip6, true, &all);
	json_array_foreach(json_object_get(ipam, "LinkLocalIPs"), i, v)
		if (ip_parse(json_string_value(v), &ip, NULL) < 0 || is_unspecified("x", ip))
			refusals_add(&all, "invalid link-local IP address: %s", json_string_value(v));
	check_sysctls(json_text(json_object_get(config, "DriverOpts"), "com.docker.network.endpoint.sysctls"), &all);
	return refusals_end(&all, "invalid endpoint settings:\n", err);
}

int link_parse(const char *text, char **ret_name, char **ret_alias, struct error *err)
{
	const char *colon = strchr(text, ':'), *alias = colon ? colon + 1 : text;

	if (!*text)
		return error_set_class(err, ERROR_INVALID, "empty string specified for links");
	if (colon && strchr(colon + 1, ':'))
		return error_set_class(err, ERROR_INVALID, "bad format for links: %.200s", text);
	if (colon && *text == '/') { /* as inspect told it: /name:/self/alias */
		text++;
		alias = strrchr(colon, '/') ? strrchr(colon, '/') + 1 : alias;
	}
	*ret_name = colon ? xstrndup(text, (size_t)(colon - text)) : xstrdup(text);
	*ret_alias = xstrdup(alias);
	return 0;
}

/* ---- a container's creation ---- */

/* The endpoint that container-wide settings mean (moby: epConfigForNetMode); `name` is that of the mode's network. */
static json_t *main_endpoint(json_t *endpoints, const char *name, struct error *err)
{
	json_t *config = json_object_get(endpoints, name);

	if (config)
		return config;
	if (json_object_size(endpoints) == 0)
		return json_child(endpoints, name);
	if (json_object_size(endpoints) == 1) /* all that clients before 1.44 could say */
		return json_object_iter_value(json_object_iter(endpoints));
	error_set_class(err, ERROR_INVALID,
			"HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks");
	return NULL;
}

/* Config.MacAddress, which 1.44 moved to the endpoint and 1.52 dropped (moby: handleMACAddressBC). */
static int move_mac(json_t *body, const char *name, struct error *err)
{
	json_t *endpoints = json_child(json_child(body, "NetworkingConfig"), "EndpointsConfig"), *config;
	const char *mac = json_text(body, "MacAddress"), *own;
	uint8_t bytes[6];

	if (!*mac)
		return 0;
	if (mac_parse(mac, bytes, err) < 0) {
		error_prefix(err, "invalid JSON");
		return err->code;
	}
	if (strcmp(name, "bridge") != 0 && !network_is_user_defined(name))
		return 0;
	config = main_endpoint(endpoints, name, err);
	if (!config) {
		error_prefix(err, "unable to migrate container-wide MAC address to a specific network");
		return err->code;
	}
	own = json_text(config, "MacAddress");
	if (*own && strcasecmp(own, mac) != 0)
		return error_set_class(
			err, ERROR_INVALID,
			"the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty");
	set_mac(config, bytes);
	json_object_del(body, "MacAddress");
	return 0;
}

/* Addresses that ports are bound to, and name servers. */
static int check_host_addresses(json_t *host, struct error *err)
{
	json_t *list, *v;
	const char *port;
	struct ip ip;
	size_t i;
	int r = 0;

	json_object_foreach(json_object_get(host, "PortBindings"), port, list)
		json_array_foreach(list, i, v)
			r = r == 0 ? ip_parse(json_text(v, "HostIp"), &ip, err) : r;
	json_array_foreach(json_object_get(host, "Dns"), i, v)
		r = r == 0 ? ip_parse(json_string_value(v), &ip, err) : r;
	if (r < 0)
		error_prefix(err, "invalid JSON");
	return r;
}

/* Kept is what was asked for; what inspect adds of a run is not a wish. */
static json_t *configured(json_t *in)
{
	static const char *const fields[] = { "IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "GwPriority" };
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		json_t *v = json_object_get(in, fields[i]);

		if (v && !(json_is_string(v) && !json_string_length(v)) && !(json_is_integer(v) && !json_integer_value(v)))
			json_object_set(out, fields[i], v);
	}
	return out;
}

static int adapt_endpoint(struct engine *e, const char *name, json_t *config, json_t *out, struct error *err)
{
	struct network *n = NULL;
	int r = endpoint_decode(config, err);

	if (r < 0)
		return r;
	if (networks_find(e->networks, name, &n, NULL) < 0) /* it may come to be before the start */
		n = NULL;
	r = endpoint_check(n, n ? n->name : name, config, err);
	if (r < 0)
		error_prefix(err, "invalid config for network %.200s", name);
	else
		json_object_set_new(out, n ? n->name : name, configured(config));
	return r;
}

static int adapt_endpoints(struct engine *e, json_t *networking, struct error *err)
{
	json_t *in = json_object_get(networking, "EndpointsConfig"), *out = json_object(), *config;
	const char *name;
	int r = 0;

	json_object_foreach(in, name, config) {
		r = adapt_endpoint(e, name, config, out, err);
		if (r < 0)
			break;
	}
	if (r == 0)
		json_object_set(networking, "EndpointsConfig", out);
	json_decref(out);
	return r;
}

/* One endpoint without wishes on the network of the mode is what is meant anyway: 100,000 containers need not keep it.
 * Of a mode that is an id it is kept all the same, by its name, which lists are filtered by. */
static void drop_usual(json_t *body, const char *mode, const char *name)
{
	json_t *networking = json_child(body, "NetworkingConfig"), *endpoints = json_object_get(networking, "EndpointsConfig");
	json_t *own = json_object_get(endpoints, name);
	bool is_usual = json_object_size(endpoints) == 0 ||
			(json_object_size(endpoints) == 1 && own && json_object_size(own) == 0);

	if (!is_usual && !network_mode_container(mode))
		return;
	if (strcmp(mode, name) == 0 || json_is_true(json_object_get(body, "NetworkDisabled")))
		json_object_del(networking, "EndpointsConfig");
	else
		json_object_set_new(networking, "EndpointsConfig", json_pack("{s:{}}", name));
}

/* --link on a user-defined network is the endpoint's (moby's client sends both). */
int networks_adapt_create(struct engine *e, json_t *body, struct error *err)
{
	json_t *host = json_child(body, "HostConfig"), *networking = json_child(body, "NetworkingConfig"), *usual;
	const char *mode = json_text(host, "NetworkMode"), *name;

	if (!*mode || strcmp(mode, "default") == 0)
		mode = "bridge";
	name = network_mode_name(e, mode);
	usual = json_object_get(json_object_get(networking, "EndpointsConfig"), "default");
	if (usual && strcmp(mode, "bridge") == 0) {
		json_object_set(json_object_get(networking, "EndpointsConfig"), "bridge", usual);
		json_object_del(json_object_get(networking, "EndpointsConfig"), "default");
	}
	if (adapt_endpoints(e, networking, err) < 0 || move_mac(body, name, err) < 0 ||
	    (!network_is_user_defined(mode) && links_adapt(e, host, err) < 0) || check_host_addresses(host, err) < 0)
		return err->code;
	drop_usual(body, mode, name);
	return 0;
}

/* What was given by id is shown and kept by name. */
static void name_endpoints(struct engine *e, json_t *endpoints)
{
	struct network *n;
	const char *name;
	json_t *v;
	void *next;

	json_object_foreach_safe(endpoints, next, name, v) {
		if (map_has(&e->networks->by_name, name) || networks_find(e->networks, name, &n, NULL) < 0)
			continue;
		json_object_set(endpoints, n->name, v);
		json_object_del(endpoints, name);
	}
}

json_t *container_endpoints(struct engine *e, const struct container *c)
{
	json_t *endpoints = json_object_get(c->networking, "EndpointsConfig");
	const char *mode = network_mode_of(c);

	if (endpoints)
		endpoints = json_copy(endpoints);
	else if (network_mode_container(mode) || json_is_true(json_object_get(c->config, "NetworkDisabled")))
		endpoints = json_object();
	else
		endpoints = json_pack("{s:{}}", mode);
	name_endpoints(e, endpoints);
	return endpoints;
}
