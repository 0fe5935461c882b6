/* Published ports: listeners of the host whose connections are handed, as descriptors, to whoever listens in the
 * namespace; for UDP a table of who has written, so that answers find back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network/flows.h"
#include "network/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define BACKLOG 4096
#define YOUNG_NS (500 * INT64_C(1000000)) /* in which a connection waits for a listener */

struct flow {
	struct net_flow base; /* the client as the guest knows it */
	struct sockaddr_storage client;
	socklen_t client_len;
};

struct publication {
	struct list of_ns, of_switch;
	struct netns *ns;
	uint32_t protocol;
	uint8_t container_ip[16], host_ip[16];
	uint16_t port, host_port;
	int64_t since_ns;
	struct acceptor *acceptor;
	struct net_watch *datagrams;
	struct net_flows flows;
};

/* ---- how a client looks from inside ---- */

static const struct endpoint *endpoint_of(const struct publication *p)
{
	list_for_each(it, &p->ns->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (endpoint_has_ip(ep, p->container_ip))
			return ep;
	}
	return NULL;
}

/* A client on the host's loopback, or of a family that the listener does not speak, comes from the gateway. */
static struct net_address shown_peer(const struct publication *p, const struct net_socket *s, const uint8_t ip[16], uint16_t port)
{
	const struct endpoint *ep = endpoint_of(p);
	const uint8_t *gateway = ep ? endpoint_gateway(ep, net_ip_is_v4(p->container_ip)) : NULL;
	bool is_foreign = net_ip_is_loopback(ip) || (s->domain == AF_INET && !net_ip_is_v4(ip));

	return socket_shown(s, !is_foreign ? ip : gateway ? gateway : p->container_ip, port);
}

/* ---- TCP ---- */

static struct net_socket *listener_of(const struct publication *p)
{
	if (!netns_has_ip(p->ns, p->container_ip))
		return NULL;
	return socket_lookup(p->ns, p->protocol, p->container_ip, p->port, NULL);
}

static uint32_t interface_at(const struct netns *ns, const uint8_t ip[16])
{
	list_for_each(it, &ns->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (endpoint_has_ip(ep, ip))
			return interface_of(ep);
	}
	return 0;
}

/* Programs made for Docker connect right after a start, which there takes longer than a server needs to listen. */
static bool is_young(const struct publication *p)
{
	return clock_monotonic_ns() - p->since_ns < YOUNG_NS;
}

static bool on_published(void *arg, int fd, const struct sockaddr_storage *client)
{
	struct publication *p = arg;
	struct net_socket *s = listener_of(p);
	struct arrival a = { .told = { .epoch = netns_epoch(p->ns) }, .fd = fd, .reply_fd = -1, .answer_fd = -1 };
	uint8_t ip[16];
	uint16_t port;

	if (fd < 0)
		return s ? acceptor_has_room(s) : !is_young(p);
	if (!s || !net_from_sockaddr(client, ip, &port)) {
		close(fd); /* an end, not a reset: as Docker's userland proxy does, and clients that try again count on it */
		return true;
	}
	a.told.local = socket_shown(s, p->container_ip, p->port);
	a.told.peer = shown_peer(p, s, ip, port);
	a.told.interface = interface_at(p->ns, p->container_ip);
	if (s->on_connection)
		s->on_connection(s->arg, fd, &a.told);
	else
		arrival_give(s, &a);
	return true;
}

/* ---- UDP ---- */

static void flow_forget(struct net_flow *base)
{
	free(container_of(base, struct flow, base));
}

/* The one of who has written just now. */
static struct flow *flow_get(struct publication *p, const struct net_address *seen)
{
	int64_t now_ns = clock_monotonic_ns();
	struct net_flow *known = net_flows_find(&p->flows, p->port, seen, now_ns);
	struct flow *f;

	if (known) {
		net_flows_use(&p->flows, known, now_ns);
		return container_of(known, struct flow, base);
	}
	f = xnew(struct flow);
	net_flows_add(&p->flows, &f->base, p->port, seen, now_ns);
	return f;
}

static void take_datagram(struct publication *p, const struct sockaddr_storage *client, socklen_t client_len,
			  const void *data, size_t len)
{
	struct net_socket *s = NULL;
	struct net_address seen;
	struct flow *f;
	uint8_t ip[16];
	uint16_t port;

	if (!net_from_sockaddr(client, ip, &port) || !netns_has_ip(p->ns, p->container_ip))
		return;
	seen = net_address_of(0, ip, port);
	s = socket_lookup(p->ns, p->protocol, p->container_ip, p->port, &seen);
	if (!s)
		return;
	seen = shown_peer(p, s, ip, port);
	f = flow_get(p, &seen);
	f->client = *client;
	f->client_len = client_len;
	endpoint_count((struct endpoint *)endpoint_of(p), false, len);
	datagram_give(s, &seen, data, len);
}

static void on_datagrams(void *arg, int events)
{
	struct publication *p = arg;
	int fd = net_watch_fd(p->datagrams);
	uint8_t *packet = p->ns->sw->packet;

	(void)events;
	for (int i = 0; i < TURN_MAX; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t len = sizeof ss;
		ssize_t n = recvfrom(fd, packet, NET_DATAGRAM_MAX, MSG_DONTWAIT, (struct sockaddr *)&ss, &len);

		if (n < 0)
			break;
		take_datagram(p, &ss, len, packet, (size_t)n);
	}
	net_watch_set(p->datagrams, UV_READABLE); /* libuv stops at an error */
}

bool publish_send_back(struct net_socket *s, const struct net_address *to, const void *data, size_t len)
{
	int64_t now_ns = clock_monotonic_ns();

	list_for_each(it, &s->ns->publications) {
		struct publication *p = container_of(it, struct publication, of_ns);
		struct net_flow *known =
			p->datagrams && p->port == s->local.port ? net_flows_find(&p->flows, p->port, to, now_ns) : NULL;
		struct flow *f;

		if (!known)
			continue;
		f = container_of(known, struct flow, base);
		net_flows_use(&p->flows, known, now_ns);
		endpoint_count((struct endpoint *)endpoint_of(p), true, len);
		sendto(net_watch_fd(p->datagrams), data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (struct sockaddr *)&f->client, f->client_len);
		return true;
	}
	return false;
}

/* ---- binding ---- */

static bool is_same_host_address(const uint8_t a[16], const uint8_t b[16])
{
	if (net_ip_is_v4(a) != net_ip_is_v4(b))
		return false;
	return net_ip_is_any(a) || net_ip_is_any(b) || net_ip_equal(a, b);
}

static bool is_allocated(const struct net_switch *sw, uint32_t protocol, const uint8_t ip[16], uint16_t port)
{
	list_for_each(it, &sw->publications) {
		const struct publication *p = container_of(it, struct publication, of_switch);

		if (p->protocol == protocol && p->host_port == port && is_same_host_address(p->host_ip, ip))
			return true;
	}
	return false;
}

bool publish_is_wildcard(const struct net_switch *sw, bool is_v4, uint16_t port, uint32_t protocol)
{
	list_for_each(it, &sw->publications) {
		const struct publication *p = container_of(it, struct publication, of_switch);

		if (p->protocol == protocol && p->host_port == port && net_ip_is_any(p->host_ip) &&
		    net_ip_is_v4(p->host_ip) == is_v4)
			return true;
	}
	return false;
}

static int bind_port(uint32_t protocol, const uint8_t ip[16], uint16_t port)
{
	bool is_v4 = net_ip_is_v4(ip), is_tcp = protocol == IPPROTO_TCP;
	CLEANUP(closep)
	int fd = socket(is_v4 ? AF_INET : AF_INET6, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
			(int)protocol);
	struct sockaddr_storage ss;
	socklen_t len = net_to_sockaddr(is_v4 ? AF_INET : AF_INET6, ip, port, 0, &ss);
	int one = 1;

	if (fd < 0)
		return -errno;
	if (is_tcp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (!is_v4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0 || (is_tcp && listen(fd, BACKLOG) < 0))
		return -errno;
	return steal_fd(&fd);
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	uint8_t ip[16];
	uint16_t port = 0;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		net_from_sockaddr(&ss, ip, &port);
	return port;
}

/* In Go's words, which is what Docker's users see. */
static const char *bind_error(int r)
{
	switch (-r) {
	case EADDRINUSE: return "address already in use";
	case EACCES: return "permission denied";
	case EADDRNOTAVAIL: return "cannot assign requested address";
	case EAFNOSUPPORT: return "address family not supported by protocol";
	case EMFILE: return "too many open files";
	default: return strerror(-r);
	}
}

static int say_failed(struct error *err, int r, const uint8_t host_ip[16], uint16_t host_port,
		      const uint8_t container_ip[16], uint16_t port, const char *protocol)
{
	char host[46], container[46];

	net_format_ip(host_ip, host);
	net_format_ip(container_ip, container);
	return error_set(err, r,
			 net_ip_is_v4(host_ip) ? "failed to bind host port for %s:%u:%s:%u/%s: %s" :
						 "failed to bind host port for [%s]:%u:%s:%u/%s: %s",
			 host, host_port, container, port, protocol, bind_error(r));
}

static int say_allocated(struct error *err, const uint8_t host_ip[16], uint16_t host_port)
{
	char host[46];

	net_format_ip(host_ip, host);
	return error_set(err, -EADDRINUSE,
			 net_ip_is_v4(host_ip) ? "Bind for %s:%u failed: port is already allocated" :
						 "Bind for [%s]:%u failed: port is already allocated",
			 host, host_port);
}

static int bind_in_range(struct net_switch *sw, const struct net_publish *want, uint32_t protocol,
			 const uint8_t host_ip[16], const uint8_t container_ip[16], struct error *err)
{
	uint32_t last = want->host_port_last > want->host_port_first ? want->host_port_last : want->host_port_first;
	int r = -EADDRINUSE;

	for (uint32_t port = want->host_port_first; port <= last; port++) {
		if (port && is_allocated(sw, protocol, host_ip, (uint16_t)port)) {
			r = say_allocated(err, host_ip, (uint16_t)port);
			continue;
		}
		r = bind_port(protocol, host_ip, (uint16_t)port);
		if (r >= 0)
			return r;
		r = say_failed(err, r, host_ip, (uint16_t)port, container_ip, want->port, want->protocol);
		if (r != -EADDRINUSE)
			return r;
	}
	return r;
}

static void publication_free(struct publication *p)
{
	list_remove(&p->of_ns);
	list_remove(&p->of_switch);
	acceptor_free(p->acceptor);
	net_watch_free(p->datagrams);
	net_flows_done(&p->flows);
	free(p);
}

static struct publication *publication_new(struct netns *ns, uint32_t protocol, const uint8_t host_ip[16],
					   const uint8_t container_ip[16], uint16_t port, int take_fd)
{
	struct publication *p = xnew(struct publication);

	p->ns = ns;
	p->protocol = protocol;
	memcpy(p->host_ip, host_ip, 16);
	memcpy(p->container_ip, container_ip, 16);
	p->port = port;
	p->host_port = bound_port(take_fd);
	p->since_ns = clock_monotonic_ns();
	net_flows_init(&p->flows, NET_FLOWS_MAX, NET_FLOW_IDLE_NS, flow_forget);
	list_append(&ns->publications, &p->of_ns);
	list_append(&ns->sw->publications, &p->of_switch);
	if (protocol == IPPROTO_TCP)
		p->acceptor = acceptor_new(ns->sw, take_fd, on_published, p);
	else
		p->datagrams = net_watch_new(ns->sw->loop, take_fd, UV_READABLE, on_datagrams, p);
	if (p->acceptor || p->datagrams)
		return p;
	publication_free(p);
	return NULL;
}

int netns_publish(struct netns *ns, const struct net_publish *want, const uint8_t container_ip[16], uint16_t *ret_port,
		  struct error *err)
{
	bool is_tcp = !strcmp(want->protocol, "tcp");
	uint32_t protocol = is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	struct publication *p;
	uint8_t host_ip[16];
	int fd;

	if (!is_tcp && strcmp(want->protocol, "udp") != 0)
		return error_set(err, -EPROTONOSUPPORT, "failed to bind host port: protocol %s is not supported", want->protocol);
	if (!net_parse_ip(want->host_ip && *want->host_ip ? want->host_ip : "0.0.0.0", host_ip))
		return error_set(err, -EINVAL, "invalid host IP address: %s", want->host_ip);
	fd = bind_in_range(ns->sw, want, protocol, host_ip, container_ip, err);
	if (fd < 0)
		return fd;
	p = publication_new(ns, protocol, host_ip, container_ip, want->port, fd);
	if (!p)
		return say_failed(err, -ENOMEM, host_ip, want->host_port_first, container_ip, want->port, want->protocol);
	*ret_port = p->host_port;
	return 0;
}

void netns_unpublish_all(struct netns *ns)
{
	list_for_each_safe(it, &ns->publications)
		publication_free(container_of(it, struct publication, of_ns));
}

void netns_unpublish_same(struct netns *ns, const char *protocol, uint16_t port)
{
	uint32_t number = strcmp(protocol, "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP;

	list_for_each_safe(it, &ns->publications) {
		struct publication *p = container_of(it, struct publication, of_ns);

		if (p->protocol == number && p->port == port && p->host_port == port)
			publication_free(p);
	}
}
