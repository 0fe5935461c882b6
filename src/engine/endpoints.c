/* A container's life on networks: start, stop, connect, disconnect. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

struct net_sandbox *net_sandbox_of(struct engine *e, const struct container *c)
{
	return map_get(&e->networks->sandboxes, c->id);
}

struct netns *networks_netns(struct engine *e, const struct container *c)
{
	struct net_sandbox *s = net_sandbox_of(e, c);

	return s ? netns_ref(s->ns) : NULL;
}

const struct container *networks_named(struct engine *e, const struct container *c)
{
	const struct net_sandbox *s = net_sandbox_of(e, c);
	const struct container *other = s ? map_get(&e->containers.by_id, s->files_of) : NULL;

	return other ? other : c;
}

/* ---- the sandbox ---- */

static struct net_sandbox *sandbox_new(struct engine *e, struct container *c)
{
	struct net_sandbox *s = xnew(struct net_sandbox);

	s->engine = e;
	s->container = container_ref(c);
	s->ports = json_object();
	s->files_of = xstrdup(c->id);
	list_init(&s->endpoints);
	list_init(&s->edits);
	return s;
}

static void sandbox_free(struct net_sandbox *s)
{
	if (*s->id)
		ports_unpublish(s);
	list_for_each_safe(it, &s->endpoints)
		endpoint_leave(container_of(it, struct endpoint, of_sandbox));
	netns_unref(s->ns);
	json_decref(s->ports);
	free(s->files_of);
	container_files_forget(s);
	container_unref(s->container);
	free(s);
}

/* ---- names outside the networks ---- */

static void set_dns(struct net_sandbox *s)
{
	json_t *servers = json_object_get(s->container->host_config, "Dns"), *pairs = extra_hosts(s->engine, s->container);
	CLEANUP(freep) const char **server_words = json_words(servers);
	CLEANUP(freep) const char **pair_words = json_words(pairs);
	struct netns_dns dns = { .servers = json_array_size(servers) ? server_words : NULL, .extra_hosts = pair_words };

	netns_set_dns(s->ns, &dns);
	json_decref(pairs);
}

/* ---- what is kept ---- */

static void set_endpoints(struct engine *e, struct container *c, json_t *take_endpoints)
{
	json_t *networking = c->networking ? json_copy(c->networking) : json_object();

	json_object_set_new(networking, "EndpointsConfig", take_endpoints);
	json_decref(c->networking);
	c->networking = networking;
	containers_save(&e->containers, c);
}

/* ---- start ---- */

static int join_one(struct net_sandbox *s, const char *name, json_t *config, struct error *err)
{
	const char *id = json_text(config, "NetworkID");
	struct network *n;
	int r = networks_find(s->engine->networks, *id ? id : name, &n, err);

	if (r == 0)
		r = endpoint_check(n, n->name, config, err);
	return r < 0 ? r : endpoint_join(s, n, config, err);
}

/* The network of the mode comes first: it is eth0. */
static int join_all(struct net_sandbox *s, struct error *err)
{
	json_t *endpoints = container_endpoints(s->engine, s->container), *config;
	const char *first = network_mode_name(s->engine, network_mode_of(s->container)), *name;
	int r = 0;

	config = json_object_get(endpoints, first);
	if (config)
		r = join_one(s, first, config, err);
	json_object_foreach(endpoints, name, config) {
		if (r == 0 && strcmp(name, first) != 0)
			r = join_one(s, name, config, err);
	}
	json_decref(endpoints);
	return r;
}

static int open_own(struct net_sandbox *s, struct error *err)
{
	bool is_host = strcmp(network_mode_of(s->container), "host") == 0;
	int r;

	id_generate(s->id);
	s->ns = netns_new(s->engine->networks->net_switch, is_host ? NETNS_HOST : NETNS_PRIVATE, s->id);
	set_dns(s);
	r = json_is_true(json_object_get(s->container->config, "NetworkDisabled")) ? 0 : join_all(s, err);
	if (r == 0)
		r = ports_publish(s, err);
	return r;
}

static int join_container(struct net_sandbox *s, const char *id, struct error *err)
{
	struct net_sandbox *of;
	struct container *other;

	if (containers_find(&s->engine->containers, id, &other, err) < 0) {
		error_prefix(err, "joining network namespace of container");
		err->cls = ERROR_INTERNAL;
		return err->code;
	}
	if (other == s->container)
		return error_set(err, -EINVAL, "cannot join own network namespace");
	of = net_sandbox_of(s->engine, other);
	if (!container_has_process(other) || !of)
		return error_set_class(err, ERROR_CONFLICT,
				       "cannot join network namespace of a non running container: container %s is %s",
				       other->name, container_status_name(other->state.status));
	s->ns = netns_ref(of->ns);
	free(s->files_of);
	s->files_of = xstrdup(of->files_of);
	return 0;
}

/* From now on its networks of the user's are meant by id: another one of such a name is another network (moby:
 * getNetworkID). */
static void remember_ids(struct net_sandbox *s)
{
	json_t *endpoints = container_endpoints(s->engine, s->container);
	bool is_news = false;

	list_for_each(it, &s->endpoints) {
		const struct network *n = container_of(it, struct endpoint, of_sandbox)->network;
		json_t *config = json_object_get(endpoints, n->name);

		if (!network_is_user_defined(n->name) || strcmp(json_text(config, "NetworkID"), n->id) == 0)
			continue;
		config = config ? json_copy(config) : json_object();
		json_object_set_new(config, "NetworkID", json_string(n->id));
		json_object_set_new(endpoints, n->name, config);
		is_news = true;
	}
	if (is_news)
		set_endpoints(s->engine, s->container, endpoints);
	else
		json_decref(endpoints);
}

int networks_start(struct engine *e, struct container *c, struct error *err)
{
	struct net_sandbox *s = sandbox_new(e, c);
	const char *owner = network_mode_container(network_mode_of(c));
	int r = owner ? join_container(s, owner, err) : open_own(s, err);

	if (r < 0) {
		error_prefix(err, "failed to set up container networking");
		sandbox_free(s);
		return r;
	}
	remember_ids(s);
	map_put(&e->networks->sandboxes, c->id, s);
	return 0;
}

static void tell_connect(struct endpoint *ep)
{
	ep->is_told = true;
	network_event(ep->sandbox->engine, ep->network, "connect", ep->sandbox->container->id);
}

void networks_started(struct engine *e, struct container *c)
{
	struct net_sandbox *s = net_sandbox_of(e, c);

	if (!s)
		return;
	list_for_each(it, &s->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_sandbox);

		tell_connect(ep);
	}
	container_files_started(s);
	links_tell(e, c);
}

static void forget_told(struct net_sandbox *s)
{
	list_for_each(it, &s->endpoints)
		container_of(it, struct endpoint, of_sandbox)->is_told = false;
}

void networks_stop_all(struct engine *e)
{
	const struct map_entry *entry;
	size_t pos = 0;

	if (!e->networks)
		return;
	while ((entry = map_next(&e->networks->sandboxes, &pos))) { /* nobody is looked for by the way */
		forget_told(entry->value);
		sandbox_free(entry->value);
	}
	map_done(&e->networks->sandboxes);
	map_init(&e->networks->sandboxes);
}

void networks_stop(struct engine *e, struct container *c)
{
	struct net_sandbox *s = map_remove(&e->networks->sandboxes, c->id);

	if (s)
		sandbox_free(s);
}

/* ---- connect (moby: ConnectToNetwork, updateNetworkSettings) ---- */

static bool is_private(const char *driver_or_name)
{
	return strcmp(driver_or_name, "host") != 0;
}

/* *ret_is_there: it is connected already, which is no error. */
static int check_together(struct engine *e, const struct container *c, const struct network *n, json_t *endpoints,
			  bool *ret_is_there, struct error *err)
{
	struct network *other;
	const char *name;
	json_t *v;

	*ret_is_there = false;
	if (strcmp(network_mode_of(c), "host") != 0 && strcmp(n->driver, "host") == 0)
		return error_set_class(err, ERROR_INVALID,
				       "cannot connect container to host network - container must be created in host network mode");
	json_object_foreach(endpoints, name, v) {
		if (networks_find(e->networks, name, &other, NULL) < 0)
			continue;
		if (other == n) {
			*ret_is_there = true;
			return 0;
		}
		if (!is_private(other->driver) || !is_private(n->driver))
			return error_set_class(
				err, ERROR_INVALID,
				"container sharing network namespace with another container or host cannot be connected to any other network");
		if (strcmp(other->name, "none") == 0 || strcmp(n->name, "none") == 0)
			return error_set_class(
				err, ERROR_INVALID,
				"container cannot be connected to multiple networks with one of the networks in private (none) mode");
	}
	return 0;
}

/* It runs: the interface is there when this returns. */
static int connect_live(struct engine *e, struct container *c, struct network *n, json_t *config, struct error *err)
{
	struct net_sandbox *s = net_sandbox_of(e, c);
	struct endpoint *ep;
	int r;

	if (network_mode_container(network_mode_of(c)) || !s)
		return error_set_class(
			err, ERROR_INVALID,
			"container sharing network namespace with another container or host cannot be connected to any other network");
	r = endpoint_join(s, n, config, err);
	if (r < 0)
		return r;
	ep = endpoint_find(s, n->name);
	container_files_edit(s, ep, true);
	if (container_has_process(c)) /* else its start tells */
		tell_connect(ep);
	return 0;
}

static int check_removal(const struct container *c, struct error *err)
{
	if (!c->is_removing && c->state.status != CONTAINER_DEAD)
		return 0;
	return error_set(err, -EBUSY,
			 "Container %s is marked for removal and cannot be connected or disconnected to the network", c->id);
}

static json_t *wishes(json_t *config)
{
	static const char *const fields[] = { "IPAMConfig", "Links", "Aliases", "MacAddress", "DriverOpts", "GwPriority" };
	json_t *out = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (json_object_get(config, fields[i]))
			json_object_set(out, fields[i], json_object_get(config, fields[i]));
	return out;
}

static int connect_to(struct engine *e, struct container *c, struct network *n, json_t *config, struct error *err)
{
	json_t *endpoints = container_endpoints(e, c);
	bool is_there = false;
	int r = endpoint_check(n, n->name, config, err);

	if (r == 0)
		r = check_together(e, c, n, endpoints, &is_there, err);
	if (r == 0 && net_sandbox_of(e, c))
		r = connect_live(e, c, n, config, err);
	if (r < 0 || is_there) {
		json_decref(endpoints);
		return r;
	}
	json_object_set_new(endpoints, n->name, wishes(config));
	set_endpoints(e, c, endpoints);
	if (net_sandbox_of(e, c)) {
		remember_ids(net_sandbox_of(e, c));
		ports_republish(net_sandbox_of(e, c));
	}
	return 0;
}

int network_connect(struct engine *e, const char *network, const char *name, json_t *config, struct error *err)
{
	struct container *c;
	struct network *n = NULL;
	json_t *endpoints;
	int r = containers_find(&e->containers, name, &c, err);

	if (r == 0)
		r = check_removal(c, err);
	if (r == 0)
		r = endpoint_decode(config, err);
	if (r < 0)
		return r;
	if (net_sandbox_of(e, c) && network_mode_container(network_mode_of(c)))
		return error_set_class(
			err, ERROR_INVALID,
			"container sharing network namespace with another container or host cannot be connected to any other network");
	if (networks_find(e->networks, network, &n, err) == 0)
		return connect_to(e, c, n, config, err);
	if (net_sandbox_of(e, c))
		return err->code;
	error_clear(err);
	endpoints = container_endpoints(e, c); /* it may come to be before the start */
	json_object_set_new(endpoints, network, wishes(config));
	set_endpoints(e, c, endpoints);
	return 0;
}

/* ---- disconnect ---- */

static int forget(struct engine *e, struct container *c, const char *network, struct error *err)
{
	json_t *endpoints = container_endpoints(e, c);

	if (!json_object_get(endpoints, network)) {
		json_decref(endpoints);
		return error_set(err, -EINVAL, "container %s is not connected to the network %.200s", c->id, network);
	}
	json_object_del(endpoints, network);
	set_endpoints(e, c, endpoints);
	return 0;
}

static int disconnect_live(struct engine *e, struct container *c, struct network *n, struct error *err)
{
	struct net_sandbox *s = net_sandbox_of(e, c);
	struct endpoint *ep = endpoint_find(s, n->name);
	int r;

	if (strcmp(network_mode_of(c), "host") == 0 && strcmp(n->driver, "host") == 0)
		return error_set_class(err, ERROR_INVALID,
				       "cannot disconnect container from host network - container was created in host network mode");
	if (!ep)
		return error_set(err, -EINVAL, "container %s is not connected to network %.200s", c->id, n->name);
	container_files_edit(s, ep, false);
	endpoint_leave(ep);
	r = forget(e, c, n->name, err);
	ports_republish(s);
	return r;
}

int network_disconnect(struct engine *e, const char *network, const char *name, bool force, struct error *err)
{
	struct container *c;
	struct network *n = NULL;
	struct error missing = { 0 };
	int r = containers_find(&e->containers, name, &c, err);
	int found = networks_find(e->networks, network, &n, &missing);

	if (r < 0 && force && found == 0)
		return error_set_class(err, ERROR_NOT_FOUND, "endpoint %.200s not found", name);
	if (r < 0)
		return r;
	r = check_removal(c, err);
	if (r < 0)
		return r;
	if (!net_sandbox_of(e, c) || (found < 0 && force))
		return forget(e, c, n ? n->name : network, err);
	if (found < 0) {
		*err = missing;
		return missing.code;
	}
	return disconnect_live(e, c, n, err);
}
