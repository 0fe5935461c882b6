#include "drivers/datagram_ports.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "network/flows.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/list.h"

struct port {
	struct list link;
	struct datagram_ports *owner;
	struct net_service *service;
	uint16_t number;
};

struct datagram_ports {
	uv_loop_t *loop;
	struct list ports;
	size_t n;
	struct net_flows flows;
	uv_timer_t idle; /* runs while there are clients */
	char *packet; /* on its way; NULL: there is no port yet */
};

struct client {
	struct net_flow flow;
	struct port *port;
	uv_udp_t out;
};

/* ---- clients ---- */

static void on_client_closed(uv_handle_t *h)
{
	free(h->data);
}

static void client_end(struct client *c)
{
	uv_close((uv_handle_t *)&c->out, on_client_closed);
}

static void on_forgotten(struct net_flow *f)
{
	client_end(container_of(f, struct client, flow));
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct client *c = h->data;

	(void)size;
	*buf = uv_buf_init(c->port->owner->packet, NET_DATAGRAM_MAX);
}

/* An error (nobody listens there) is nothing that a datagram's sender could be told. */
static void on_answer(uv_udp_t *h, ssize_t n, const uv_buf_t *buf, const struct sockaddr *from, unsigned flags)
{
	struct client *c = h->data;
	struct datagram_ports *ports = c->port->owner;

	(void)flags;
	if (n < 0 || !from)
		return;
	net_flows_use(&ports->flows, &c->flow, clock_monotonic_ns());
	net_service_answer(c->port->service, &c->flow.client, buf->base, (size_t)n);
}

static struct client *client_new(struct port *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p->number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct client *c = xnew(struct client);

	c->port = p;
	c->out.data = c;
	if (uv_udp_init(p->owner->loop, &c->out) < 0) {
		free(c);
		return NULL;
	}
	if (uv_udp_connect(&c->out, (const struct sockaddr *)&to) == 0 && uv_udp_recv_start(&c->out, on_alloc, on_answer) == 0)
		return c;
	client_end(c);
	return NULL;
}

static void on_idle(uv_timer_t *t)
{
	struct datagram_ports *ports = t->data;
	int64_t next_ns = net_flows_expire(&ports->flows, clock_monotonic_ns());

	if (next_ns > 0)
		uv_timer_start(t, on_idle, (uint64_t)next_ns / 1000000 + 1, 0);
}

static struct client *client_of(struct port *p, const struct net_address *from)
{
	struct datagram_ports *ports = p->owner;
	int64_t now_ns = clock_monotonic_ns();
	struct net_flow *known = net_flows_find(&ports->flows, p->number, from, now_ns);
	struct client *c;

	if (known) {
		net_flows_use(&ports->flows, known, now_ns);
		return container_of(known, struct client, flow);
	}
	c = client_new(p);
	if (!c)
		return NULL;
	net_flows_add(&ports->flows, &c->flow, p->number, from, now_ns);
	if (!uv_is_active((uv_handle_t *)&ports->idle))
		uv_timer_start(&ports->idle, on_idle, (uint64_t)ports->flows.idle_ns / 1000000 + 1, 0);
	return c;
}

static void on_datagram(void *arg, const struct net_address *from, const void *data, size_t len)
{
	struct client *c = client_of(arg, from);
	uv_buf_t b = uv_buf_init((char *)data, (unsigned)len);

	/* What the one before has come to (nobody listened) is told to this one, which was not sent: once more. */
	if (c && uv_udp_try_send(&c->out, &b, 1, NULL) == UV_ECONNREFUSED)
		uv_udp_try_send(&c->out, &b, 1, NULL);
}

/* ---- ports ---- */

struct datagram_ports *datagram_ports_new(uv_loop_t *loop, size_t clients_max, int64_t idle_ns)
{
	struct datagram_ports *ports = xnew(struct datagram_ports);

	ports->loop = loop;
	list_init(&ports->ports);
	net_flows_init(&ports->flows, clients_max, idle_ns, on_forgotten);
	uv_timer_init(loop, &ports->idle);
	ports->idle.data = ports;
	return ports;
}

bool datagram_ports_has(const struct datagram_ports *ports, uint16_t number)
{
	list_for_each(it, &ports->ports)
		if (container_of(it, struct port, link)->number == number)
			return true;
	return false;
}

size_t datagram_ports_count(const struct datagram_ports *ports)
{
	return ports->n;
}

size_t datagram_ports_clients(const struct datagram_ports *ports)
{
	return ports->flows.n;
}

int datagram_ports_add(struct datagram_ports *ports, struct netns *ns, uint16_t number, struct error *err)
{
	struct port *p = xnew(struct port);
	int r;

	p->owner = ports;
	p->number = number;
	r = netns_serve_datagrams(ns, number, on_datagram, p, &p->service, err);
	if (r < 0) {
		free(p);
		return r;
	}
	if (!ports->packet)
		ports->packet = xmalloc(NET_DATAGRAM_MAX);
	list_append(&ports->ports, &p->link);
	ports->n++;
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct datagram_ports *ports = h->data;

	free(ports->packet);
	free(ports);
}

void datagram_ports_free(struct datagram_ports *ports)
{
	if (!ports)
		return;
	net_flows_done(&ports->flows); /* no answer comes any more that would be for a port */
	list_for_each_safe(it, &ports->ports) {
		struct port *p = container_of(it, struct port, link);

		net_service_free(p->service);
		list_remove(it);
		free(p);
	}
	uv_close((uv_handle_t *)&ports->idle, on_timer_closed);
}
