/* What a request for a new network says: checked in Docker's order and words, made into the object. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#define BRIDGE "com.docker.network.bridge."

/* ---- IPAM ---- */

struct ipam_text {
	char subnet[PREFIX_TEXT_MAX], range[PREFIX_TEXT_MAX], gateway[IP_TEXT_MAX], masked[PREFIX_TEXT_MAX];
};

static void check_range(const struct network_subnet *s, const struct ipam_text *t, struct refusals *all)
{
	char masked[PREFIX_TEXT_MAX];

	if (prefix_is_none(s->range))
		return;
	if (prefix_is_v4(s->range) != prefix_is_v4(s->subnet)) {
		refusals_add(all, "invalid ip-range %s: parent subnet is an IPv%d block", t->range,
			     prefix_is_v4(s->subnet) ? 4 : 6);
		return;
	}
	prefix_format(prefix_masked(s->range), masked);
	if (s->range.bits < s->subnet.bits)
		refusals_add(all, "invalid ip-range %s: CIDR block is bigger than its parent subnet %s", t->range, t->subnet);
	if (strcmp(masked, t->range) != 0)
		refusals_add(all, "invalid ip-range %s: it should be %s", t->range, masked);
	if (!prefix_overlaps(s->subnet, s->range))
		refusals_add(all, "invalid ip-range %s: parent subnet %s doesn't contain ip-range", t->range, t->subnet);
}

static void check_address(const struct network_subnet *s, const struct ipam_text *t, struct ip ip, const char *what,
			  const char *name, struct refusals *all)
{
	if (ip_is_none(ip))
		return;
	if (!s->is_asked && s->subnet.bits == 0)
		refusals_add(all, "invalid %s %s: parent subnet invalid Prefix doesn't contain this address", what, name);
	else if (ip_is_v4(ip) != prefix_is_v4(s->subnet))
		refusals_add(all, "invalid %s %s: parent subnet is an IPv%d block", what, name,
			     prefix_is_v4(s->subnet) ? 4 : 6);
	else if (!prefix_contains(s->subnet, ip))
		refusals_add(all, "invalid %s %s: parent subnet %s doesn't contain this address", what, name, t->subnet);
}

/* An entry without a subnet reads as a family of its own: IPv4, as Go's zero prefix does. */
static void check_subnet(const struct network_subnet *s, struct refusals *all)
{
	struct ipam_text t;
	const char *name;
	struct ip ip;
	json_t *v;

	prefix_format(s->subnet, t.subnet);
	prefix_format(s->range, t.range);
	ip_format(s->gateway, t.gateway);
	prefix_format(prefix_masked(s->subnet), t.masked);
	if (strcmp(t.masked, t.subnet) != 0)
		refusals_add(all, "invalid subnet %s: it should be %s", t.subnet, t.masked);
	check_range(s, &t, all);
	check_address(s, &t, s->gateway, "gateway", t.gateway, all);
	json_object_foreach(s->aux, name, v)
		if (ip_parse(json_string_value(v), &ip, NULL) == 0)
			check_address(s, &t, ip, "auxiliary address", name, all);
}

static int parse_subnet(json_t *o, struct network_subnet *s, struct error *err)
{
	json_t *aux = json_object_get(o, "AuxiliaryAddresses"), *v;
	const char *name;
	struct ip ip;

	if (prefix_parse(json_text(o, "Subnet"), &s->subnet, err) < 0 ||
	    prefix_parse(json_text(o, "IPRange"), &s->range, err) < 0 ||
	    ip_parse(json_text(o, "Gateway"), &s->gateway, err) < 0) {
		error_prefix(err, "invalid JSON");
		return err->code;
	}
	json_object_foreach(aux, name, v) {
		if (ip_parse(json_string_value(v), &ip, err) < 0) {
			error_prefix(err, "invalid JSON");
			return err->code;
		}
	}
	s->aux = json_object_size(aux) ? json_incref(aux) : NULL;
	s->is_asked = s->subnet.ip.n != 0;
	if (!s->is_asked && s->subnet.bits == 0)
		s->subnet.ip.n = (unsigned __int128)0xffff << 32; /* any of IPv4 */
	return 0;
}

/* Kept are the families that the network has. */
static int read_ipam(json_t *ipam, struct network *n, struct error *err)
{
	struct refusals all = { .n = 0 };
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(ipam, "Config"), i, v) {
		struct network_subnet *s = network_add_subnet(n), first;
		bool is_v6;

		if (parse_subnet(v, s, err) < 0) {
			buf_done(&all.text);
			return err->code;
		}
		is_v6 = !prefix_is_v4(s->subnet);
		if (!is_v6 || n->has_ipv6)
			check_subnet(s, &all);
		if (is_v6 ? !n->has_ipv6 : !n->has_ipv4) {
			json_decref(s->aux);
			n->nsubnets--;
		} else if (!is_v6 && n->nsubnets > 1 && !prefix_is_v4(n->subnets[0].subnet)) {
			first = *s;
			memmove(n->subnets + 1, n->subnets, (n->nsubnets - 1) * sizeof(first));
			n->subnets[0] = first;
		}
	}
	return refusals_end(&all, "invalid network config:\n", err);
}

/* ---- options ---- */

static bool is_bool(const char *text)
{
	static const char *const words[] = { "1", "t", "T", "TRUE",  "true",  "True",
					     "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return false;
}

static int bad_option(const char *key, const char *value, const char *function, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "failed to parse %s value: %.100s (%s: parsing \"%.100s\": invalid syntax)",
			       key, value, function, value);
}

static int check_gateway_mode(const struct network *n, const char *key, const char *value, struct error *err)
{
	if (strcmp(value, "isolated") == 0 && !n->is_internal)
		return error_set(err, -EINVAL, "gateway mode 'isolated' can only be used for an internal network");
	if (strcmp(value, "nat") && strcmp(value, "nat-unprotected") && strcmp(value, "routed") && strcmp(value, "isolated"))
		return error_set_class(err, ERROR_INVALID, "failed to parse %s value: %.100s (unknown gateway mode %.100s)",
				       key, value, value);
	return 0;
}

static int check_option(const struct network *n, const char *key, const char *value, struct error *err)
{
	static const char *const bools[] = { BRIDGE "enable_ip_masquerade", BRIDGE "enable_icc", BRIDGE "inhibit_ipv4",
					     BRIDGE "default_bridge" };
	static const char *const addresses[] = { BRIDGE "host_binding_ipv4", "com.docker.network.host_ipv4",
						 "com.docker.network.host_ipv6" };
	struct ip ip;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(bools); i++)
		if (strcmp(bools[i], key) == 0 && !is_bool(value))
			return bad_option(key, value, "strconv.ParseBool", err);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		if (strcmp(addresses[i], key) == 0 && (ip_parse(value, &ip, NULL) < 0 || !*value))
			return error_set_class(err, ERROR_INVALID, "failed to parse %s value: %.100s (nil ip)", key, value);
	if (strcmp(key, "com.docker.network.driver.mtu") == 0) {
		long mtu = strtol(value, &end, 10);

		if (!*value || *end)
			return bad_option(key, value, "strconv.Atoi", err);
		if (mtu < 0)
			return error_set_class(err, ERROR_INVALID, "invalid MTU number: %ld", mtu);
	}
	if (strncmp(key, BRIDGE "gateway_mode_ipv", strlen(BRIDGE "gateway_mode_ipv")) == 0)
		return check_gateway_mode(n, key, value, err);
	return 0;
}

static const char *bridge_name(const struct network *n)
{
	return json_text(n->options, BRIDGE "name");
}

static int check_options(struct networks *ns, const struct network *n, struct error *err)
{
	const char *key, *name = bridge_name(n);
	json_t *v;

	json_object_foreach(n->options, key, v)
		if (check_option(n, key, json_string_value(v), err) < 0)
			return err->code;
	for (struct network *o = networks_next(ns, NULL); *name && o; o = networks_next(ns, o))
		if (strcmp(bridge_name(o), name) == 0)
			return error_set_class(err, ERROR_FORBIDDEN,
					       "cannot create network %.100s (%.60s): conflicts with network %s (%.60s): networks have same bridge name",
					       n->name, name, o->id, name);
	return 0;
}

/* EnableIPv4, EnableIPv6, or the option of the same meaning, which then is none of the driver's. */
static int read_family(json_t *body, struct network *n, const char *field, const char *option, bool fallback, bool *ret,
		       struct error *err)
{
	json_t *v = json_object_get(body, field), *o = json_object_get(n->options, option);

	*ret = v ? json_is_true(v) : fallback;
	if (v)
		json_object_del(n->options, option);
	if (v || !o)
		return 0;
	if (!is_bool(json_string_value(o)))
		return error_set_class(err, ERROR_INVALID, "driver-opt \"%s\" is not a valid bool", option);
	*ret = strchr("1tT", json_string_value(o)[0]) != NULL;
	return 0;
}

/* ---- drivers ---- */

static int no_plugin(const char *name, struct error *err)
{
	return error_set_class(err, ERROR_NOT_FOUND,
			       "could not find plugin %.100s in v1 plugin registry: plugin not found", name);
}

static int check_driver(const char *driver, struct error *err)
{
	if (strcmp(driver, "bridge") == 0)
		return 0;
	if (strcmp(driver, "host") == 0 || strcmp(driver, "null") == 0)
		return error_set_class(err, ERROR_FORBIDDEN, "only one instance of \"%s\" network is allowed", driver);
	if (strcmp(driver, "macvlan") == 0 || strcmp(driver, "ipvlan") == 0)
		return error_set_class(err, ERROR_FORBIDDEN,
				       "the %s driver needs an interface of the host, which this engine leaves alone: use the bridge driver",
				       driver);
	return no_plugin(driver, err);
}

static int check_ipam_driver(const struct network *n, struct error *err)
{
	if (strcmp(n->ipam_driver, "default") == 0)
		return 0;
	if (strcmp(n->ipam_driver, "null") == 0)
		return error_set_class(err, ERROR_INVALID, "ipv4 pool is empty");
	return no_plugin(n->ipam_driver, err);
}

/* ---- configuration networks ---- */

static int check_config_only(const struct network *n, json_t *body, struct error *err)
{
	if (json_flag(body, "Ingress") || n->is_internal || n->is_attachable || *json_text(body, "Scope"))
		return error_set_class(err, ERROR_FORBIDDEN,
				       "configuration network can only contain network specific fields. Network operator fields like "
				       "[ ingress | internal | attachable | scope ] are not supported.");
	if (*n->config_from)
		return error_set_class(err, ERROR_FORBIDDEN,
				       "a configuration network cannot depend on another configuration network");
	return 0;
}

static int check_config_from(const struct network *n, struct error *err)
{
	if (strcmp(n->ipam_driver, "default") || !n->has_ipv4 || n->has_ipv6 || json_object_size(n->labels) ||
	    json_object_size(n->ipam_options) || n->nsubnets)
		return error_set_class(
			err, ERROR_FORBIDDEN,
			"user-specified configurations are not supported if the network depends on a configuration network");
	if (json_object_size(n->options))
		return error_set_class(err, ERROR_FORBIDDEN,
				       "network driver options are not supported if the network depends on a configuration network");
	return 0;
}

static void replace(json_t **at, json_t *with)
{
	json_decref(*at);
	*at = with ? json_copy(with) : NULL;
}

static int apply_config(struct networks *ns, struct network *n, struct error *err)
{
	const struct network *from = map_get(&ns->by_name, n->config_from);

	if (!from || !from->is_config_only)
		return error_set_class(err, ERROR_NOT_FOUND, "configuration network \"%.200s\" does not exist", n->config_from);
	n->has_ipv4 = from->has_ipv4;
	n->has_ipv6 = from->has_ipv6;
	replace(&n->labels, from->labels);
	replace(&n->options, from->options);
	replace(&n->ipam_options, from->ipam_options);
	free(n->ipam_driver);
	n->ipam_driver = xstrdup(from->ipam_driver);
	for (size_t i = 0; i < from->nsubnets; i++) {
		struct network_subnet *s = network_add_subnet(n);

		*s = from->subnets[i];
		json_incref(s->aux);
		s->taken = NULL;
	}
	return 0;
}

/* ---- the whole ---- */

static json_t *map_of(json_t *body, const char *key)
{
	json_t *v = json_object_get(body, key);

	return v ? json_copy(v) : json_object();
}

static void read_plain(json_t *body, struct network *n)
{
	json_t *ipam = json_object_get(body, "IPAM"), *options = json_object_get(ipam, "Options");
	const char *driver = json_text(body, "Driver"), *scope = json_text(body, "Scope"),
		   *ipam_driver = json_text(ipam, "Driver");

	n->name = xstrdup(json_text(body, "Name"));
	n->driver = xstrdup(*driver ? driver : "bridge");
	n->scope = xstrdup(*scope ? scope : "local");
	n->ipam_driver = xstrdup(*ipam_driver ? ipam_driver : "default");
	n->config_from = xstrdup(json_text(json_object_get(body, "ConfigFrom"), "Network"));
	n->is_internal = json_flag(body, "Internal");
	n->is_attachable = json_flag(body, "Attachable");
	n->is_config_only = json_flag(body, "ConfigOnly");
	n->options = map_of(body, "Options");
	n->labels = map_of(body, "Labels");
	n->ipam_options = options ? json_copy(options) : NULL;
}

static int check_name(struct networks *ns, const struct network *n, struct error *err)
{
	if (n->name[strspn(n->name, " \t\r\n")] == '\0')
		return error_set_class(err, ERROR_INVALID, "invalid name: name is empty");
	if (map_has(&ns->by_name, n->name))
		return error_set_class(err, ERROR_CONFLICT, "network with name %.200s already exists", n->name);
	return 0;
}

static int check_scope(const struct network *n, json_t *body, struct error *err)
{
	if (json_flag(body, "Ingress"))
		return error_set_class(err, ERROR_FORBIDDEN, "Ingress network can only be global scope network");
	if (strcmp(n->scope, "swarm") == 0)
		return error_set_class(err, ERROR_FORBIDDEN, "cannot create a swarm scoped network when swarm is not active");
	return 0;
}

static int check_bridge(struct networks *ns, const struct network *n, struct error *err)
{
	int r = check_options(ns, n, err);

	if (r == 0)
		r = check_ipam_driver(n, err);
	if (r == 0 && !n->has_ipv4 && !n->has_ipv6)
		r = error_set_class(err, ERROR_INVALID, "IPv4 or IPv6 must be enabled");
	return r;
}

int network_from_request(struct networks *ns, json_t *body, struct network *n, struct error *err)
{
	int r = 0;

	read_plain(body, n);
	if (network_is_predefined(n->name))
		return error_set_class(err, ERROR_FORBIDDEN, "operation is not permitted on predefined %s network ", n->name);
	if (strcmp(n->driver, "overlay") == 0)
		return error_set_class(
			err, ERROR_FORBIDDEN,
			"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.");
	if (read_family(body, n, "EnableIPv4", "com.docker.network.enable_ipv4", true, &n->has_ipv4, err) < 0 ||
	    read_family(body, n, "EnableIPv6", "com.docker.network.enable_ipv6", false, &n->has_ipv6, err) < 0 ||
	    read_ipam(json_object_get(body, "IPAM"), n, err) < 0)
		return err->code;
	r = check_name(ns, n, err);
	if (r == 0 && n->is_config_only) {
		free(n->driver);
		n->driver = xstrdup("null");
		return check_config_only(n, body, err);
	}
	if (r == 0 && *n->config_from)
		r = check_config_from(n, err);
	if (r == 0)
		r = check_driver(n->driver, err);
	if (r == 0)
		r = check_scope(n, body, err);
	if (r == 0 && *n->config_from)
		r = apply_config(ns, n, err);
	return r == 0 ? check_bridge(ns, n, err) : r;
}
