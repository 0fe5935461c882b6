/* Handlers of /networks. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "engine/networks.h"
#include "engine/schema.h"
#include "util/clock.h"
#include "util/json.h"

/* ---- views ---- */

static json_t *address_of(struct ip ip)
{
	char text[IP_TEXT_MAX];

	ip_format(ip, text);
	return json_string(text);
}

static json_t *prefix_of(struct prefix p)
{
	char text[PREFIX_TEXT_MAX];

	prefix_format(p, text);
	return json_string(text);
}

static json_t *ipam_view(const struct network *n)
{
	json_t *config = json_array();

	for (size_t i = 0; i < n->nsubnets; i++) {
		const struct network_subnet *s = &n->subnets[i];
		json_t *o = json_pack("{s:o}", "Subnet", prefix_of(s->subnet));

		if (!prefix_is_none(s->range))
			json_object_set_new(o, "IPRange", prefix_of(s->range));
		if (!ip_is_none(s->gateway))
			json_object_set_new(o, "Gateway", address_of(s->gateway));
		if (s->aux)
			json_object_set(o, "AuxiliaryAddresses", s->aux);
		json_array_append_new(config, o);
	}
	return json_pack("{s:s, s:o, s:o}", "Driver", n->ipam_driver, "Options",
			 n->ipam_options ? json_incref(n->ipam_options) : json_null(), "Config", config);
}

json_t *view_network_summary(const struct network *n)
{
	char when[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(n->created_ns, when);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:b, s:b, s:b, s:{s:s}, s:b, s:O, s:O}", "Name",
			 n->name, "Id", n->id, "Created", when, "Scope", n->scope, "Driver", n->driver, "EnableIPv4",
			 n->has_ipv4, "EnableIPv6", n->has_ipv6, "IPAM", ipam_view(n), "Internal", n->is_internal,
			 "Attachable", n->is_attachable, "Ingress", false, /* of a swarm */ "ConfigFrom", "Network",
			 n->config_from, "ConfigOnly", n->is_config_only, "Options", n->options, "Labels", n->labels);
}

/* Addresses with their prefix length here, unlike a container's. */
static json_t *with_length(struct ip ip, const struct network_subnet *s)
{
	return ip_is_none(ip) ? json_string("") : prefix_of((struct prefix){ ip, s->subnet.bits });
}

static json_t *containers_view(const struct network *n)
{
	json_t *o = json_object();

	list_for_each(it, &n->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_network);
		const struct container *c = ep->sandbox->container;
		char mac[18] = "";

		if (ep->has_mac)
			mac_format(ep->mac, mac);
		json_object_set_new(o, c->id,
				    json_pack("{s:s, s:s, s:s, s:o, s:o}", "Name", c->name, "EndpointID", ep->id,
					      "MacAddress", mac, "IPv4Address", with_length(ep->ip4, ep->subnet4),
					      "IPv6Address", with_length(ep->ip6, ep->subnet6)));
	}
	return o;
}

static json_t *number_of(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *status_view(const struct network *n)
{
	json_t *subnets = json_object();
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < n->nsubnets; i++) {
		const struct network_subnet *s = &n->subnets[i];

		if (!s->taken)
			continue;
		prefix_format(s->subnet, text);
		json_object_set_new(subnets, text,
				    json_pack("{s:o, s:o}", "IPsInUse", number_of(ipam_in_use(s->taken)),
					      "DynamicIPsAvailable", number_of(ipam_available(s->taken, s->range))));
	}
	return json_pack("{s:{s:o}}", "IPAM", "Subnets", subnets);
}

json_t *view_network(const struct network *n)
{
	json_t *view = view_network_summary(n);

	json_object_set_new(view, "Containers", containers_view(n));
	json_object_set_new(view, "Status", status_view(n));
	return view;
}

/* ---- filters ---- */

static const struct network *as_network(const void *object)
{
	return object;
}

/* An expression, or a part of the text (moby: filters.Args.Match). */
static bool matches(const char *text, const char *pattern)
{
	regex_t re;
	bool is_match;

	if (strcmp(text, pattern) == 0)
		return true;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	is_match = regexec(&re, text, 0, NULL, 0) == 0;
	regfree(&re);
	return is_match;
}

static bool match_name(const void *n, const char *v)
{
	return matches(as_network(n)->name, v);
}
static bool match_id(const void *n, const char *v)
{
	return matches(as_network(n)->id, v);
}
static bool match_driver(const void *n, const char *v)
{
	return strcmp(as_network(n)->driver, v) == 0;
}
static bool match_scope(const void *n, const char *v)
{
	return strcmp(as_network(n)->scope, v) == 0;
}
static bool match_type(const void *n, const char *v)
{
	return network_is_predefined(as_network(n)->name) == (strcmp(v, "builtin") == 0);
}

static bool is_dangling(const struct network *n)
{
	return !network_is_predefined(n->name) && n->nendpoints == 0;
}

static bool is_listed(const struct network *n, json_t *filters, bool wants_dangling)
{
	return filters_any(filters, "name", match_name, n) && filters_any(filters, "id", match_id, n) &&
	       filters_any(filters, "driver", match_driver, n) && filters_any(filters, "scope", match_scope, n) &&
	       filters_any(filters, "type", match_type, n) && filters_labels(filters, n->labels) &&
	       (!filters_has(filters, "dangling") || is_dangling(n) == wants_dangling);
}

static int check_filters(json_t *filters, bool *ret_dangling, struct error *err)
{
	const char *dangling = json_string_value(json_array_get(json_object_get(filters, "dangling"), 0));
	json_t *v;
	size_t i;

	*ret_dangling = dangling && (strcmp(dangling, "1") == 0 || strcmp(dangling, "true") == 0);
	if (json_array_size(json_object_get(filters, "dangling")) > 1)
		return error_set_class(err, ERROR_INVALID, "got more than one value for filter key \"dangling\"");
	if (dangling && !*ret_dangling && strcmp(dangling, "0") && strcmp(dangling, "false"))
		return error_set_class(err, ERROR_INVALID,
				       "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")");
	json_array_foreach(json_object_get(filters, "type"), i, v)
		if (strcmp(json_string_value(v), "builtin") && strcmp(json_string_value(v), "custom"))
			return error_set_class(err, ERROR_INVALID, "invalid filter: 'type'='%.100s'", json_string_value(v));
	return 0;
}

void NetworkList(struct request *req)
{
	static const char *const known[] = { "dangling", "driver", "id", "label", "name", "scope", "type", NULL };
	bool wants_dangling, is_summary = versions_has(FEATURE_NETWORK_SUMMARY, request_api_version(req));
	struct networks *ns = api_engine(req)->networks;
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err), *list;

	if (!filters || check_filters(filters, &wants_dangling, &err) < 0) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	list = json_array();
	for (struct network *n = networks_next(ns, NULL); n; n = networks_next(ns, n)) {
		json_t *view;

		if (!is_listed(n, filters, wants_dangling))
			continue;
		view = view_network_summary(n);
		if (!is_summary)
			json_object_set_new(view, "Containers", containers_view(n));
		json_array_append_new(list, view);
	}
	json_decref(filters);
	reply_shaped(req, 200, SHAPE_NETWORK_SUMMARY, list);
}

/* ---- one ---- */

static struct network *find(struct request *req)
{
	struct error err = { 0 };
	struct network *n = NULL;

	if (networks_find(api_engine(req)->networks, request_param(req, "name"), &n, &err) < 0)
		reply_error(req, &err);
	return n;
}

void NetworkInspect(struct request *req)
{
	static const char *const bools[] = { "1", "t", "T", "TRUE",  "true",  "True",
					     "0", "f", "F", "FALSE", "false", "False" };
	const char *verbose = request_query(req, "verbose"), *scope = request_query(req, "scope");
	struct error err = { 0 };
	struct network *n;

	for (size_t i = 0; verbose && *verbose && i <= sizeof(bools) / sizeof(bools[0]); i++) {
		if (i == sizeof(bools) / sizeof(bools[0]))
			error_set_class(&err, ERROR_INVALID,
					"invalid value for verbose: %.60s: strconv.ParseBool: parsing \"%.60s\": invalid syntax",
					verbose, verbose);
		else if (strcmp(bools[i], verbose) == 0)
			break;
	}
	if (err.code) {
		reply_error(req, &err);
		return;
	}
	n = find(req);
	if (!n)
		return;
	if (scope && *scope && strcmp(scope, n->scope) != 0) {
		error_set_class(&err, ERROR_NOT_FOUND, "network %.200s not found", request_param(req, "name"));
		reply_error(req, &err);
		return;
	}
	reply_shaped(req, 200, SHAPE_NETWORK, view_network(n));
}

void NetworkDelete(struct request *req)
{
	struct network *n = find(req);
	struct error err = { 0 };

	if (!n)
		return;
	if (network_remove(api_engine(req), n, &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 204);
}

/* The request's object by its table, as its version said it; NULL when refused. */
static json_t *decode(struct request *req, const struct decode_type *type, enum body which, struct error *err)
{
	json_t *body = NULL;

	if (!request_json(req))
		error_set_class(err, ERROR_INVALID, "invalid JSON: got EOF while reading request body");
	else if (decode_json(request_json(req), type, &body, err) < 0)
		error_prefix(err, "invalid JSON");
	else if (which != BODY_COUNT)
		versions_request(which, body, request_api_version(req), NULL, err);
	if (!err->code)
		return body;
	json_decref(body);
	return NULL;
}

void NetworkCreate(struct request *req)
{
	struct error err = { 0 };
	json_t *body = decode(req, &schema_network_create, BODY_NETWORK_CREATE, &err);
	struct network *n;

	if (!body || network_create(api_engine(req), body, &n, &err) < 0)
		reply_error(req, &err);
	else
		reply_json(req, 201, json_pack("{s:s, s:s}", "Id", n->id, "Warning", ""));
	json_decref(body);
}

static const char *container_of_body(json_t *body, struct error *err)
{
	const char *name = json_string_value(json_object_get(body, "Container"));

	if (!name || !*name)
		error_set_class(err, ERROR_INVALID, "invalid name or ID supplied: \"\"");
	return name;
}

void NetworkConnect(struct request *req)
{
	struct error err = { 0 };
	json_t *body = decode(req, &schema_network_connect, BODY_NETWORK_CONNECT, &err);
	const char *name = body ? container_of_body(body, &err) : NULL;

	if (!err.code)
		network_connect(api_engine(req), request_param(req, "name"), name,
				json_object_get(body, "EndpointConfig"), &err);
	if (err.code)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
	json_decref(body);
}

void NetworkDisconnect(struct request *req)
{
	struct error err = { 0 };
	json_t *body = decode(req, &schema_network_disconnect, BODY_COUNT, &err);
	const char *name = body ? container_of_body(body, &err) : NULL;

	if (!err.code)
		network_disconnect(api_engine(req), request_param(req, "name"), name,
				   json_is_true(json_object_get(body, "Force")), &err);
	if (err.code)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
	json_decref(body);
}

void NetworkPrune(struct request *req)
{
	static const char *const known[] = { "label", "label!", "until", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err), *removed;
	struct network *n, *next;
	int64_t until = 0;

	if (filters && filters_until(filters, &until, &err) && e->is_pruning)
		error_set_class(&err, ERROR_CONFLICT, "a prune operation is already running");
	if (err.code) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	removed = json_array();
	for (n = networks_next(e->networks, NULL); n; n = next) {
		json_t *name = json_string(n->name);

		next = networks_next(e->networks, n);
		if (!n->is_config_only && is_dangling(n) && filters_labels(filters, n->labels) &&
		    (!until || n->created_ns <= until) && network_remove(e, n, &err) == 0)
			json_array_append(removed, name);
		json_decref(name);
	}
	json_decref(filters);
	events_publish(e->events, "network", "prune", "", json_pack("{s:s}", "reclaimed", "0"));
	reply_json(req, 200,
		   json_pack("{s:o}", "NetworksDeleted", json_array_size(removed) ? json_incref(removed) : json_null()));
	json_decref(removed);
}

/* ---- a container's endpoints and ports ---- */

static json_t *or_null(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return v ? json_incref(v) : json_null();
}

/* A stopped container's wish for a hardware address is told only until it has run (moby: cleanOperationalData). */
static json_t *mac_view(const struct container *c, const struct endpoint *ep, json_t *config)
{
	char text[18] = "";

	if (!ep && !c->state.started_ns && json_object_get(config, "MacAddress"))
		return json_incref(json_object_get(config, "MacAddress"));
	if (ep && ep->has_mac)
		mac_format(ep->mac, text);
	return json_string(text);
}

static json_t *gateway_view(const struct endpoint *ep, const struct network_subnet *s)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an endpoint is always on a network */
	return ep && s && !ep->network->is_internal ? address_of(s->gateway) : json_string("");
}

static json_t *endpoint_view(struct engine *e, const struct container *c, const char *name, json_t *config, bool is_whole)
{
	const struct endpoint *ep = endpoint_find(net_sandbox_of(e, c), name);
	bool has_run = ep || c->state.started_ns;
	const char *id = json_text(config, "NetworkID"); /* once it has been there */
	json_t *given = is_whole ? config : NULL;
	struct network *n;
	json_t *o;

	if (ep)
		id = ep->network->id;
	else if (!*id && has_run && networks_find(e->networks, name, &n, NULL) == 0)
		id = n->id;
	o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:i, s:o}", "IPAMConfig",
		      or_null(config, "IPAMConfig"), "Links", or_null(given, "Links"), "Aliases", or_null(given, "Aliases"),
		      "MacAddress", mac_view(c, ep, config), "DriverOpts", or_null(given, "DriverOpts"), "GwPriority",
		      json_number(config, "GwPriority"), "NetworkID", id, "EndpointID", ep ? ep->id : "", "Gateway",
		      gateway_view(ep, ep ? ep->subnet4 : NULL), "IPAddress", ep ? address_of(ep->ip4) : json_string(""),
		      "IPPrefixLen", ep && ep->subnet4 ? ep->subnet4->subnet.bits : 0, "IPv6Gateway",
		      gateway_view(ep, ep ? ep->subnet6 : NULL), "GlobalIPv6Address",
		      ep ? address_of(ep->ip6) : json_string(""), "GlobalIPv6PrefixLen",
		      ep && ep->subnet6 ? ep->subnet6->subnet.bits : 0, "DNSNames",
		      is_whole && has_run && network_is_user_defined(name) ? endpoint_dns_names(c, config) : json_null());
	return o;
}

json_t *view_networks(struct engine *e, const struct container *c, bool is_whole)
{
	json_t *networks = json_object(), *endpoints = container_endpoints(e, c), *config;
	const char *name;

	json_object_foreach(endpoints, name, config)
		json_object_set_new(networks, name, endpoint_view(e, c, name, config, is_whole));
	json_decref(endpoints);
	return networks;
}

json_t *view_network_settings(struct engine *e, const struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, c);
	const char *id = s ? s->id : "";
	bool is_host = strcmp(network_mode_of(c), "host") == 0;
	json_t *key = !*id    ? json_string("") :
		      is_host ? json_string("/var/run/docker/netns/default") :
				json_sprintf("/var/run/docker/netns/%.12s", id);

	return json_pack("{s:s, s:o, s:o, s:o}", "SandboxID", id, "SandboxKey", key, "Ports",
			 s ? json_incref(s->ports) : json_object(), "Networks", view_networks(e, c, true));
}

static void add_ports(json_t *list, const char *port, json_t *bindings)
{
	unsigned inner, last;
	char type[8];
	json_t *v;
	size_t i;

	if (!port_parse(port, &inner, &last, type))
		return;
	if (json_array_size(bindings) == 0)
		json_array_append_new(list, json_pack("{s:i, s:s}", "PrivatePort", (int)inner, "Type", type));
	json_array_foreach(bindings, i, v)
		json_array_append_new(list, json_pack("{s:O, s:i, s:i, s:s}", "IP", json_object_get(v, "HostIp"),
						      "PrivatePort", (int)inner, "PublicPort",
						      atoi(json_string_value(json_object_get(v, "HostPort"))), "Type", type));
}

json_t *view_ports(struct engine *e, const struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, c);
	json_t *list = json_array(), *bindings;
	const char *port;

	json_object_foreach(s ? s->ports : NULL, port, bindings)
		add_ports(list, port, bindings);
	return list;
}
