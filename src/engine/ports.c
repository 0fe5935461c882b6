/* Published ports: what -p, -P and EXPOSE say, bound on the host by the switch. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "network/switch.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/log.h"

/* How often a free port of one family is looked for that is free in the other as well. */
enum { TRIES = 10 };

struct publishing {
	struct net_sandbox *sandbox;
	struct endpoint *endpoint;
	json_t *ports;     /* the result */
	json_t *previous;  /* what was bound before; NULL: nothing */
	uint8_t ip[16];    /* of the container */
	struct error *err;
};

static json_t *list_for(struct publishing *p, const char *port)
{
	json_t *list = json_object_get(p->ports, port);

	if (json_is_array(list))
		return list;
	list = json_array();
	json_object_set_new(p->ports, port, list);
	return list;
}

static int bind_one(struct publishing *p, const char *port, const char *host_ip, unsigned first, unsigned last, uint16_t *ret_port)
{
	struct net_publish wish = { .host_ip = host_ip, .host_port_first = (uint16_t)first, .host_port_last = (uint16_t)last };
	char protocol[8];
	unsigned inner, same;
	int r;

	if (!port_parse(port, &inner, &same, protocol))
		return error_set(p->err, -EINVAL, "invalid port specification: \"%.100s\"", port);
	wish.port = (uint16_t)inner;
	wish.protocol = protocol;
	r = netns_publish(p->sandbox->ns, &wish, p->ip, ret_port, p->err);
	if (r < 0)
		return r;
	json_array_append_new(list_for(p, port),
			      json_pack("{s:s, s:o}", "HostIp", host_ip, "HostPort", json_sprintf("%u", *ret_port)));
	return 0;
}

/* Without an address: every one of both families, with one number. */
static int bind_binding(struct publishing *p, const char *port, const char *host_ip, unsigned first, unsigned last)
{
	const char *usual = json_text(p->endpoint->network->options, "com.docker.network.bridge.host_binding_ipv4");
	uint16_t bound;
	int r;

	if (*host_ip)
		return bind_one(p, port, host_ip, first, last, &bound);
	if (*usual && strcmp(usual, "0.0.0.0") != 0)
		return bind_one(p, port, usual, first, last, &bound);
	r = bind_one(p, port, "0.0.0.0", first, last, &bound);
	if (r < 0 || !p->sandbox->engine->networks->has_host_ipv6)
		return r;
	return bind_one(p, port, "::", bound, bound, &bound);
}

static unsigned previous_port(const struct publishing *p, const char *port, size_t i)
{
	return (unsigned)atoi(json_text(json_array_get(json_object_get(p->previous, port), i), "HostPort"));
}

static int publish_bindings(struct publishing *p, const char *port, json_t *bindings)
{
	json_t *v;
	size_t i;
	int r;

	json_array_foreach(bindings, i, v) {
		const char *host_port = json_text(v, "HostPort");
		unsigned first = 0, last = 0;
		char protocol[8];

		if (*host_port && strcmp(host_port, "0") != 0)
			port_parse(host_port, &first, &last, protocol);
		else
			first = last = previous_port(p, port, json_array_size(json_object_get(p->ports, port)));
		r = bind_binding(p, port, json_text(v, "HostIp"), first, last);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An exposed range is so many ports. */
static int publish_exposed(struct publishing *p, const char *text, bool is_published)
{
	unsigned first, last;
	char protocol[8];
	int r = 0;

	if (!port_parse(text, &first, &last, protocol))
		return 0;
	for (unsigned n = first; r == 0 && n <= last; n++) {
		CLEANUP(freep) char *port = xasprintf("%u/%s", n, protocol);

		if (json_object_get(p->ports, port))
			continue;
		if (is_published)
			r = bind_binding(p, port, "", previous_port(p, port, 0), previous_port(p, port, 0));
		else
			json_object_set_new(p->ports, port, json_null());
	}
	return r;
}

static int publish_all(struct publishing *p)
{
	const struct container *c = p->sandbox->container;
	bool is_all = json_is_true(json_object_get(c->host_config, "PublishAllPorts"));
	const char *port;
	json_t *v;

	json_object_foreach(json_object_get(c->host_config, "PortBindings"), port, v)
		if (publish_bindings(p, port, v) < 0)
			return p->err->code;
	json_object_foreach(json_object_get(c->config, "ExposedPorts"), port, v)
		if (publish_exposed(p, port, is_all) < 0)
			return p->err->code;
	return 0;
}

/* A number that was free in one family only says nothing: another one may do. */
static int try_publish(struct publishing *p)
{
	int r = 0;

	for (int i = 0; i < TRIES; i++) {
		error_clear(p->err);
		p->ports = json_object();
		r = publish_all(p);
		if (r == 0)
			return 0;
		netns_unpublish_all(p->sandbox->ns);
		json_decref(p->ports);
		p->ports = NULL;
		if (r != -EADDRINUSE)
			break;
		if (p->previous) /* then new ones */
			p->previous = NULL;
	}
	return r;
}

static int publish(struct net_sandbox *s, json_t *previous, struct error *err)
{
	struct publishing p = { .sandbox = s, .endpoint = net_sandbox_gateway(s), .previous = previous, .err = err };
	int r;

	if (!p.endpoint)
		return 0;
	ip_to_bytes(ip_is_none(p.endpoint->ip4) ? p.endpoint->ip6 : p.endpoint->ip4, p.ip);
	r = try_publish(&p);
	if (r < 0) {
		error_prefix(err, "driver failed programming external connectivity on endpoint %s (%s)",
			     s->container->name, p.endpoint->id);
		return r;
	}
	json_decref(s->ports);
	s->ports = p.ports;
	s->published = p.endpoint->network;
	return 0;
}

int ports_publish(struct net_sandbox *s, struct error *err)
{
	return publish(s, NULL, err);
}

void ports_unpublish(struct net_sandbox *s)
{
	if (s->published)
		netns_unpublish_all(s->ns);
	s->published = NULL;
	json_decref(s->ports);
	s->ports = json_object();
}

void ports_republish(struct net_sandbox *s)
{
	json_t *previous;
	struct error err = { 0 };

	if (s->published && endpoint_find(s, s->published->name))
		return;
	previous = json_incref(s->ports);
	ports_unpublish(s);
	if (publish(s, previous, &err) < 0)
		log_warn("%s: %s", s->container->name, err.message);
	json_decref(previous);
}
