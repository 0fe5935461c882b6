/* Datagrams: between sockets of namespaces, to the world, and what comes back. Every packet of a channel is
 * judged by itself; one that cannot be delivered is lost, as UDP has it. */
#include <errno.h>
#include <string.h>

#include "network/internal.h"

int datagram_give(struct net_socket *s, const struct net_address *from, const void *data, size_t len)
{
	struct net_datagram head = { .address = *from };
	struct iovec iov[] = { { &head, sizeof head }, { (void *)data, len } };

	if (!s->channel) {
		s->on_datagram(s->arg, from, data, len);
		return 0;
	}
	return net_send(net_watch_fd(s->channel), iov, 2, -1) == -EPIPE ? -ECONNREFUSED : 0;
}

void datagram_give_error(struct net_socket *s, int error, const struct net_address *about)
{
	struct net_datagram head = { .error = error, .address = *about };
	struct iovec iov = { &head, sizeof head };

	net_send(net_watch_fd(s->channel), &iov, 1, -1);
}

/* ---- UDP between guests ---- */

static struct net_address source_of(const struct net_socket *s, const struct route *route)
{
	struct net_address from = s->local;

	if (net_ip_is_any(from.ip))
		memcpy(from.ip, route->source, 16);
	return from;
}

static int send_to_guest(struct net_socket *s, const struct net_address *to, const struct route *route,
			 const void *data, size_t len)
{
	struct net_address from = source_of(s, route);
	struct net_socket *target = socket_lookup(route->ns, s->protocol, route->target, to->port, &from);

	endpoint_count(route->out, true, len);
	if (!target)
		return -ECONNREFUSED;
	endpoint_count(route->in, false, len);
	from.family = (uint16_t)target->domain;
	return datagram_give(target, &from, data, len);
}

/* To all neighbours on one network, as a broadcast of IPv4. */
static void send_to_all(struct net_socket *s, struct endpoint *out, uint16_t port, const void *data, size_t len)
{
	struct route route = { .out = out };

	memcpy(route.source, out->ip4, 16);
	list_for_each(it, &out->network->endpoints) {
		struct endpoint *in = container_of(it, struct endpoint, of_network);
		struct net_address to = net_address_of(AF_INET, in->ip4, port);

		if (!in->prefix4 || ((out->is_isolated || in->is_isolated) && in != out))
			continue;
		route.in = in;
		route.ns = in->ns;
		memcpy(route.target, in->ip4, 16);
		send_to_guest(s, &to, &route, data, len);
	}
}

/* The endpoint whose neighbours a broadcast address means; NULL: it is none. */
static struct endpoint *broadcast_endpoint(struct netns *ns, const uint8_t ip[16])
{
	static const uint8_t limited[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 0xff, [13] = 0xff, [14] = 0xff, [15] = 0xff
	};
	bool is_limited = net_ip_equal(ip, limited);

	if (!net_ip_is_v4(ip) || net_ip_is_loopback(ip))
		return NULL;
	list_for_each(it, &ns->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_ns);
		uint8_t last[16];

		if (!ep->prefix4 || ep->prefix4 >= 127)
			continue;
		memcpy(last, ep->ip4, 16);
		for (unsigned bit = ep->prefix4; bit < 128; bit++)
			last[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		if (is_limited || net_ip_equal(ip, last))
			return ep;
	}
	return NULL;
}

static int send_ip(struct net_socket *s, const struct net_address *to, const void *data, size_t len)
{
	struct endpoint *all = broadcast_endpoint(s->ns, to->ip);
	struct route route;
	int r;

	if (to->port == 0 && s->protocol == IPPROTO_UDP)
		return -EINVAL;
	if (all && !(s->flags & NET_BROADCAST))
		return -EACCES;
	r = s->protocol == IPPROTO_UDP ? socket_bind_automatically(s) : 0;
	if (r < 0)
		return r;
	if (all) {
		send_to_all(s, all, to->port, data, len);
		return 0;
	}
	r = route_find(s->ns, to->ip, &route);
	if (r < 0)
		return r;
	if (s->protocol != IPPROTO_UDP)
		return icmp_send(s, &route, to, data, len);
	if (route.kind == ROUTE_OWN && resolver_is_at(s->ns, route.target, to->port)) {
		resolver_take_datagram(s, data, len);
		return 0;
	}
	if (route.kind == ROUTE_OWN || route.kind == ROUTE_PEER)
		return send_to_guest(s, to, &route, data, len);
	if (publish_send_back(s, to, data, len))
		return 0;
	return host_send(s, &route, to, data, len);
}

void datagram_answer(struct net_socket *s, const struct net_address *to, const void *data, size_t len)
{
	struct route route;

	if (route_find(s->ns, to->ip, &route) == 0 && (route.kind == ROUTE_OWN || route.kind == ROUTE_PEER))
		send_to_guest(s, to, &route, data, len);
	else
		publish_send_back(s, to, data, len);
}

/* ---- AF_UNIX ---- */

static int send_unix(struct net_socket *s, const struct net_address *to, const void *data, size_t len)
{
	struct net_address from = s->local;
	struct net_socket *target = socket_lookup_name(s->ns, to);

	if (!target)
		return -ECONNREFUSED;
	if (target->type != SOCK_DGRAM)
		return -EPROTOTYPE;
	from.family = AF_UNIX;
	return datagram_give(target, &from, data, len);
}

/* ---- the channel ---- */

int datagram_connect(struct net_socket *s, const struct net_address *peer)
{
	struct route route;
	int r;

	if (peer->family == 0) {
		s->peer = *peer;
		if (s->is_source_chosen)
			memcpy(s->local.ip, s->domain == AF_INET ? net_ip_any4 : net_ip_any, 16);
		s->is_source_chosen = false;
		return 0;
	}
	if (s->domain == AF_UNIX) {
		struct net_socket *target = socket_lookup_name(s->ns, peer);

		if (!target || target->type != SOCK_DGRAM)
			return target ? -EPROTOTYPE : -ECONNREFUSED;
		s->peer = *peer;
		return 0;
	}
	r = s->protocol == IPPROTO_UDP ? socket_bind_automatically(s) : 0;
	if (r == 0)
		r = route_find(s->ns, peer->ip, &route);
	if (r < 0)
		return r;
	s->peer = *peer;
	memcpy(s->peer.ip, route.target, 16);
	if (!s->local.family)
		s->local = socket_shown(s, net_ip_any, 0);
	if (route.kind == ROUTE_HOST_MODE || !(net_ip_is_any(s->local.ip) || s->is_source_chosen))
		return 0;
	memcpy(s->local.ip, route.source, 16);
	s->is_source_chosen = true;
	return 0;
}

static bool is_error_told(const struct net_socket *s, int r)
{
	/* What sendto itself would have said is told; what an ICMP would say, only to a connected socket. */
	return s->peer.family || s->domain == AF_UNIX || (r != -ECONNREFUSED && r != -EHOSTUNREACH && r != -ETIMEDOUT);
}

static void send_one(struct net_socket *s, struct net_datagram *head, int file_fd, const void *data, size_t len)
{
	struct net_address *to = head->address.family ? &head->address : &s->peer;
	int r;

	if (to->family != s->domain || to->path_len > sizeof to->path)
		return;
	if (s->domain == AF_UNIX)
		r = to == &s->peer ? 0 : address_resolve_file(to, file_fd);
	else
		r = s->domain == AF_INET && !net_ip_is_v4(to->ip) && !net_ip_is_any(to->ip) ? -EINVAL : 0;
	if (r == 0)
		r = s->domain == AF_UNIX ? send_unix(s, to, data, len) : send_ip(s, to, data, len);
	if (r < 0 && is_error_told(s, r))
		datagram_give_error(s, r, to);
}

void datagrams_on_readable(struct net_socket *s)
{
	int fd = net_watch_fd(s->channel);
	uint8_t *packet = s->ns->sw->packet;

	for (int i = 0; i < TURN_MAX; i++) {
		struct net_datagram head;
		struct iovec iov[] = { { &head, sizeof head }, { packet, NET_DATAGRAM_MAX } };
		int file_fd;
		ssize_t n = net_receive(fd, iov, 2, &file_fd, 1);

		if (n == -EAGAIN)
			return;
		if (n <= 0 && net_is_hung_up(fd)) {
			socket_free(s);
			return;
		}
		if (n >= (ssize_t)sizeof head && n - (ssize_t)sizeof head <= NET_DATAGRAM_MAX)
			send_one(s, &head, file_fd, packet, (size_t)n - sizeof head);
		net_close_foreign(file_fd);
	}
}
