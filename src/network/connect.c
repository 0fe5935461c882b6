/* Who may talk to whom, and how a connection is made: docs/network.md has the table of this policy. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "network/internal.h"

/* ---- routing ---- */

static struct endpoint *network_owner(const struct net_network *n, const uint8_t ip[16])
{
	list_for_each(it, &n->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_network);

		if (endpoint_has_ip(ep, ip))
			return ep;
	}
	return NULL;
}

static bool is_gateway(const struct endpoint *ep, const uint8_t ip[16])
{
	const uint8_t *gateway = endpoint_gateway(ep, net_ip_is_v4(ip));

	return gateway && net_ip_equal(gateway, ip);
}

static void route_from(struct route *ret, enum route_kind kind, struct endpoint *out)
{
	ret->kind = kind;
	ret->out = out;
	memcpy(ret->source, endpoint_ip(out, net_ip_is_v4(ret->target)), 16);
}

static int route_on_link(struct endpoint *out, struct route *ret)
{
	struct endpoint *in;

	if (is_gateway(out, ret->target)) {
		if (out->is_internal)
			return -EHOSTUNREACH;
		route_from(ret, ROUTE_GATEWAY, out);
		return 0;
	}
	in = network_owner(out->network, ret->target);
	if (!in)
		return -EHOSTUNREACH;
	if (out->is_isolated || in->is_isolated)
		return -ETIMEDOUT;
	route_from(ret, ROUTE_PEER, out);
	ret->in = in;
	ret->ns = in->ns;
	return 0;
}

/* Through the default gateway. Networks that are ours but not shared are cut off, as Docker drops what would pass
 * between its bridges. */
static int route_beyond(struct netns *ns, struct route *ret)
{
	struct endpoint *out = netns_default_endpoint(ns, net_ip_is_v4(ret->target));

	if (!out || net_ip_is_multicast(ret->target))
		return -ENETUNREACH;
	list_for_each(it, &ns->sw->networks) {
		struct net_network *n = container_of(it, struct net_network, link);
		struct endpoint *any = container_of(n->endpoints.next, struct endpoint, of_network);

		if (list_is_empty(&n->endpoints) || !endpoint_has_subnet(any, ret->target))
			continue;
		if (!is_gateway(any, ret->target) || any->is_internal)
			return -ETIMEDOUT;
		route_from(ret, ROUTE_GATEWAY, out);
		return 0;
	}
	route_from(ret, ROUTE_WORLD, out);
	return 0;
}

static int route_own(struct netns *ns, const uint8_t source[16], struct route *ret)
{
	ret->kind = ROUTE_OWN;
	ret->ns = ns;
	memcpy(ret->source, source, 16);
	return 0;
}

int route_find(struct netns *ns, const uint8_t ip[16], struct route *ret)
{
	*ret = (struct route){ 0 };
	memcpy(ret->target, ip, 16);
	if (net_ip_is_any(ip))
		memcpy(ret->target, net_ip_is_v4(ip) ? net_ip_loopback4 : net_ip_loopback, 16);
	if (ns->mode == NETNS_HOST) {
		ret->kind = ROUTE_HOST_MODE;
		return 0;
	}
	if (net_ip_is_loopback(ret->target))
		return route_own(ns, net_ip_is_v4(ret->target) ? net_ip_loopback4 : net_ip_loopback, ret);
	list_for_each(it, &ns->endpoints) {
		if (endpoint_has_ip(container_of(it, struct endpoint, of_ns), ret->target))
			return route_own(ns, ret->target, ret);
	}
	list_for_each(it, &ns->endpoints) {
		struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (endpoint_has_subnet(ep, ret->target))
			return route_on_link(ep, ret);
	}
	return route_beyond(ns, ret);
}

int connect_check(struct netns *ns, const struct net_address *local, const struct net_address *peer)
{
	struct route route;

	if (peer->family == 0 || peer->family == AF_UNIX)
		return 0;
	if (ns->mode == NETNS_PRIVATE && local->family && !netns_has_ip(ns, local->ip))
		return -ENETUNREACH;
	return route_find(ns, peer->ip, &route) < 0 ? -ENETUNREACH : 0;
}

/* ---- connections between guests ---- */

/* Both ends; the asker's is answer_fd. */
static int make_pair(int type, struct arrival *a)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	a->fd = fds[0];
	a->answer_fd = fds[1];
	return 0;
}

/* `a` knows its addresses. False: answered by what serves it, now or later. */
static bool hand_over(struct netns *ns, const struct net_request *req, struct net_socket *listener, struct arrival *a,
		      int reply_fd, struct net_reply *ret, int *ret_fd)
{
	ret->result = make_pair((int)listener->type, a);
	if (ret->result < 0)
		return true;
	a->told.epoch = netns_epoch(listener->ns);
	ret->local = a->reply.local;
	ret->peer = a->reply.peer;
	ret->vpid = listener->vpid;
	ret->uid = listener->uid;
	ret->gid = listener->gid;
	ret->interface = a->reply.interface;
	connection_note(ns, a->answer_fd, &ret->local, &ret->peer, req->uid);
	if (listener->on_connection) {
		*ret_fd = a->answer_fd;
		listener->on_connection(listener->arg, a->fd, &a->told);
		return true;
	}
	a->reply_fd = reply_fd;
	a->reply = *ret;
	arrival_give(listener, a);
	return false;
}

static bool connect_unix(struct netns *ns, const struct net_request *req, int reply_fd, struct net_reply *ret, int *ret_fd)
{
	struct net_socket *listener = socket_lookup_name(ns, &req->peer);
	struct net_socket *own = req->socket_id ? socket_find(ns, req->socket_id) : NULL;
	struct arrival a = { .told = { .vpid = req->vpid, .uid = req->uid, .gid = req->gid }, .fd = -1, .answer_fd = -1 };

	if (!listener || listener->type != req->type || !listener->is_listening) {
		ret->result = listener && listener->type != req->type ? -EPROTOTYPE : -ECONNREFUSED;
		return true;
	}
	a.told.local = listener->local;
	a.told.peer = (struct net_address){ .family = AF_UNIX };
	if (own && own->domain == AF_UNIX && own->local.family)
		a.told.peer = own->local;
	a.reply.local = a.told.peer;
	a.reply.peer = listener->local;
	return hand_over(ns, req, listener, &a, reply_fd, ret, ret_fd);
}

static bool connect_resolver(struct netns *ns, const struct net_request *req, const struct route *route,
			     struct net_reply *ret, int *ret_fd)
{
	struct arrival a = { .fd = -1, .answer_fd = -1 };

	ret->result = make_pair(SOCK_STREAM, &a);
	if (ret->result < 0)
		return true;
	ret->result = dns_stream_new(ns, a.fd);
	if (ret->result < 0) {
		close(a.answer_fd);
		return true;
	}
	ret->local = net_address_of((uint16_t)req->domain, route->source, netns_source_port(ns));
	ret->peer = net_address_of((uint16_t)req->domain, route->target, req->peer.port);
	connection_note(ns, a.answer_fd, &ret->local, &ret->peer, req->uid);
	*ret_fd = a.answer_fd;
	return true;
}

static bool connect_guest(struct netns *ns, const struct net_request *req, const struct route *route, int reply_fd,
			  struct net_reply *ret, int *ret_fd)
{
	struct net_socket *listener = socket_lookup(route->ns, IPPROTO_TCP, route->target, req->peer.port, NULL);
	struct arrival a = { .fd = -1, .answer_fd = -1 };
	const uint8_t *source = route->source;
	uint16_t port = req->local.port;

	if (!listener && route->kind == ROUTE_OWN && resolver_is_at(ns, route->target, req->peer.port))
		return connect_resolver(ns, req, route, ret, ret_fd);
	if (!listener) {
		ret->result = -ECONNREFUSED;
		return true;
	}
	if (req->local.family && !net_ip_is_any(req->local.ip))
		source = req->local.ip;
	if (port == 0)
		port = netns_source_port(ns);
	a.told.local = socket_shown(listener, route->target, req->peer.port);
	a.told.peer = socket_shown(listener, source, port);
	a.reply.local = net_address_of((uint16_t)req->domain, source, port);
	a.reply.peer = net_address_of((uint16_t)req->domain, route->target, req->peer.port);
	a.reply.interface = interface_of(route->out);
	a.told.interface = interface_of(route->in);
	endpoint_count(route->out, true, 0);
	endpoint_count(route->in, false, 0);
	return hand_over(ns, req, listener, &a, reply_fd, ret, ret_fd);
}

bool connect_stream(struct netns *ns, const struct net_request *req, int reply_fd, struct net_reply *ret, int *ret_fd)
{
	struct route route;

	ret->result = -EINVAL;
	if (req->peer.family == 0)
		return true;
	if (req->domain == AF_UNIX)
		return connect_unix(ns, req, reply_fd, ret, ret_fd);
	ret->result = -ENETUNREACH;
	if (req->domain == AF_INET6 && req->flags & NET_V6_ONLY && net_ip_is_v4(req->peer.ip))
		return true;
	ret->result = -EADDRNOTAVAIL;
	if (req->local.family && ns->mode == NETNS_PRIVATE && !netns_has_ip(ns, req->local.ip))
		return true;
	ret->result = route_find(ns, req->peer.ip, &route);
	if (ret->result < 0)
		return true;
	if (route.kind == ROUTE_OWN || route.kind == ROUTE_PEER)
		return connect_guest(ns, req, &route, reply_fd, ret, ret_fd);
	ret->result = host_connect(ns, req, &route, ret, ret_fd);
	return true;
}
