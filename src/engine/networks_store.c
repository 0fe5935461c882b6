/* Networks as objects: rows, indexes, subnets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#define KIND "network"

struct network *network_new(void)
{
	struct network *n = xnew(struct network);

	list_init(&n->by_age);
	list_init(&n->endpoints);
	return n;
}

struct network_subnet *network_add_subnet(struct network *n)
{
	n->subnets = xrealloc(n->subnets, (n->nsubnets + 1) * sizeof(*n->subnets));
	n->subnets[n->nsubnets] = (struct network_subnet){ 0 };
	return &n->subnets[n->nsubnets++];
}

void network_free(struct networks *ns, struct network *n)
{
	for (size_t i = 0; i < n->nsubnets; i++) {
		ipam_release_subnet(ns->ipam, n->subnets[i].taken);
		json_decref(n->subnets[i].aux);
	}
	free(n->subnets);
	json_decref(n->options);
	json_decref(n->labels);
	json_decref(n->ipam_options);
	free(n->name);
	free(n->driver);
	free(n->scope);
	free(n->ipam_driver);
	free(n->config_from);
	free(n);
}

/* ---- addresses ---- */

static int take_subnet(struct networks *ns, struct network_subnet *s, bool is_v6, struct error *err)
{
	struct prefix *avoid = NULL;
	size_t navoid = 0;
	bool is_any = s->subnet.ip.n == 0 || (ip_is_v4(s->subnet.ip) && (uint32_t)s->subnet.ip.n == 0);
	int r;

	if (!is_any)
		return ipam_take_subnet(ns->ipam, s->subnet, &s->taken, err);
	if (!prefix_is_none(s->range))
		return error_set(err, -EINVAL,
				 "failed to parse pool request for address space \"LocalDefault\" pool \"\" subpool \"\": invalid address subpool");
	if (!is_v6)
		navoid = host_routes(ns, &avoid);
	r = ipam_take_any_subnet(ns->ipam, is_v6, s->subnet.bits, avoid, navoid, &s->taken, err);
	free(avoid);
	return r;
}

static int take_gateway(struct network_subnet *s, struct error *err)
{
	char text[IP_TEXT_MAX];
	struct error why = { 0 };
	int r;

	ip_format(s->gateway, text);
	if (!ip_is_none(s->gateway))
		r = ipam_take(s->taken, s->gateway, &why);
	else if ((r = ipam_take_any(s->taken, s->range, &s->gateway)) < 0)
		error_set(&why, r, "no available addresses on this pool");
	return r < 0 ? error_set(err, r, "failed to allocate gateway (%s): %s", text, why.message) : 0;
}

static int take_aux(struct network_subnet *s, struct error *err)
{
	struct error why = { 0 };
	const char *name;
	struct ip ip;
	json_t *v;

	json_object_foreach(s->aux, name, v) {
		if (ip_parse(json_string_value(v), &ip, &why) < 0 || ipam_take(s->taken, ip, &why) < 0)
			return error_set(err, -EINVAL, "failed to allocate secondary ip address (%.100s:%.60s): %.200s",
					 name, json_string_value(v), why.message);
	}
	return 0;
}

int network_allocate(struct networks *ns, struct network_subnet *s, bool is_v6, bool wants_gateway, struct error *err)
{
	int r = take_subnet(ns, s, is_v6, err);

	if (r < 0)
		return r;
	s->subnet = ipam_subnet_prefix(s->taken);
	if (wants_gateway || !ip_is_none(s->gateway))
		r = take_gateway(s, err);
	return r < 0 ? r : take_aux(s, err);
}

/* ---- rows ---- */

static json_t *subnet_to_json(const struct network_subnet *s)
{
	char subnet[PREFIX_TEXT_MAX], range[PREFIX_TEXT_MAX], gateway[IP_TEXT_MAX];

	prefix_format(s->subnet, subnet);
	prefix_format(s->range, range);
	ip_format(s->gateway, gateway);
	return json_pack("{s:s, s:s, s:s, s:O*, s:b}", "subnet", subnet, "range", range, "gateway", gateway, "aux",
			 s->aux, "asked", s->is_asked);
}

void networks_save(struct networks *ns, const struct network *n)
{
	json_t *subnets = json_array(), *row;

	for (size_t i = 0; i < n->nsubnets; i++)
		json_array_append_new(subnets, subnet_to_json(&n->subnets[i]));
	row = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:O, s:O, s:O*, s:o}", "name", n->name,
			"created", (json_int_t)n->created_ns, "driver", n->driver, "scope", n->scope, "ipam",
			n->ipam_driver, "from", n->config_from, "ipv4", n->has_ipv4, "ipv6", n->has_ipv6, "internal",
			n->is_internal, "attachable", n->is_attachable, "config_only", n->is_config_only, "options",
			n->options, "labels", n->labels, "ipam_options", n->ipam_options, "subnets", subnets);
	store_put(ns->engine->store, KIND, n->id, row);
	json_decref(row);
}

static int subnet_from_json(struct networks *ns, struct network *n, json_t *o, struct error *err)
{
	CLEANUP(freep)
	char *subnet = xstrdup(json_text(o, "subnet")), *range = xstrdup(json_text(o, "range")),
	     *gateway = xstrdup(json_text(o, "gateway"));
	struct network_subnet *s = network_add_subnet(n);
	int r = prefix_parse(subnet, &s->subnet, err);

	if (r == 0)
		r = prefix_parse(range, &s->range, err);
	if (r == 0)
		r = ip_parse(gateway, &s->gateway, err);
	s->aux = json_incref(json_object_get(o, "aux"));
	s->is_asked = json_flag(o, "asked");
	return r < 0 || n->is_config_only ? r : network_allocate(ns, s, false, false, err);
}

static void index_network(struct networks *ns, struct network *n);

static int load_one(void *arg, const char *id, json_t *o)
{
	struct networks *ns = arg;
	struct network *n = network_new();
	struct error err = { 0 };
	json_t *v;
	size_t i;

	memcpy(n->id, id, strnlen(id, ID_LEN));
	n->name = xstrdup(json_text(o, "name"));
	n->driver = xstrdup(json_text(o, "driver"));
	n->scope = xstrdup(json_text(o, "scope"));
	n->ipam_driver = xstrdup(json_text(o, "ipam"));
	n->config_from = xstrdup(json_text(o, "from"));
	n->created_ns = json_integer_value(json_object_get(o, "created"));
	n->has_ipv4 = json_flag(o, "ipv4");
	n->has_ipv6 = json_flag(o, "ipv6");
	n->is_internal = json_flag(o, "internal");
	n->is_attachable = json_flag(o, "attachable");
	n->is_config_only = json_flag(o, "config_only");
	n->options = json_incref(json_object_get(o, "options"));
	n->labels = json_incref(json_object_get(o, "labels"));
	n->ipam_options = json_incref(json_object_get(o, "ipam_options"));
	json_array_foreach(json_object_get(o, "subnets"), i, v) {
		if (subnet_from_json(ns, n, v, &err) < 0) {
			network_free(ns, n);
			return -EBADMSG;
		}
	}
	index_network(ns, n);
	return 0;
}

int networks_load(struct networks *ns, struct error *err)
{
	int r = store_load(ns->engine->store, KIND, load_one, ns, err);

	return r == -EBADMSG ? error_set(err, r, "state.db: a network's row is damaged") : r;
}

/* ---- indexes ---- */

static void index_network(struct networks *ns, struct network *n)
{
	sorted_add(&ns->ids, n->id);
	map_put(&ns->by_id, n->id, n);
	map_put(&ns->by_name, n->name, n);
	list_append(&ns->by_age, &n->by_age);
}

void networks_enter(struct networks *ns, struct network *n)
{
	index_network(ns, n);
	networks_save(ns, n);
}

void networks_leave(struct networks *ns, struct network *n)
{
	sorted_remove(&ns->ids, n->id);
	map_remove(&ns->by_id, n->id);
	map_remove(&ns->by_name, n->name);
	list_remove(&n->by_age);
	store_delete(ns->engine->store, KIND, n->id);
	network_free(ns, n);
}

void networks_done(struct networks *ns)
{
	list_for_each_safe(it, &ns->by_age) {
		list_remove(it);
		network_free(ns, container_of(it, struct network, by_age));
	}
	map_done(&ns->by_id);
	map_done(&ns->by_name);
	sorted_done(&ns->ids);
}

int networks_find(struct networks *ns, const char *term, struct network **ret, struct error *err)
{
	struct network *n = map_get(&ns->by_id, term);
	size_t at, matches;

	if (!n)
		n = map_get(&ns->by_name, term);
	matches = n ? 0 : sorted_matches(&ns->ids, term, &at);
	if (matches > 1)
		return error_set_class(err, ERROR_INVALID,
				       "network %.200s is ambiguous (%zu matches found based on ID prefix)", term, matches);
	if (matches == 1)
		n = map_get(&ns->by_id, ns->ids.keys[at]);
	if (!n)
		return error_set_class(err, ERROR_NOT_FOUND, "network %.200s not found", term);
	*ret = n;
	return 0;
}

struct network *networks_next(struct networks *ns, const struct network *after)
{
	const struct list *next = after ? after->by_age.next : ns->by_age.next;

	return next == &ns->by_age ? NULL : container_of(next, struct network, by_age);
}
