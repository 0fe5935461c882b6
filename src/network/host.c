/* The host's own sockets: connections and datagrams to the world, and everything of a namespace in host mode.
 * What a container may reach is decided before (connect.c); here is how. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define CONTACTS 256 /* destinations of one socket whose answers are let in, as a NAT would */

struct contact {
	uint8_t ip[16];
	uint16_t port;
	uint8_t seen_ip[16]; /* what the guest calls it: differs for a gateway */
};

struct host_side {
	struct net_socket *s;
	struct net_watch *v4, *v6;  /* datagrams, of either family */
	struct acceptor *acceptor;  /* host mode, listening */
	int stream_fd;              /* host mode, bound */
	struct contact *contacts;   /* a ring */
	unsigned ncontacts, next;
	uint16_t echo_id;           /* the guest's: the host's kernel has its own */
};

static struct host_side *host_side(struct net_socket *s)
{
	if (!s->host) {
		s->host = xnew(struct host_side);
		s->host->s = s;
		s->host->stream_fd = -1;
	}
	return s->host;
}

void host_side_free(struct host_side *h)
{
	if (!h)
		return;
	net_watch_free(h->v4);
	net_watch_free(h->v6);
	acceptor_free(h->acceptor);
	closep(&h->stream_fd);
	free(h->contacts);
	free(h);
}

/* ---- where a gateway's address leads ---- */

static bool host_address(bool is_v4, uint8_t ret[16])
{
	struct ifaddrs *all = NULL;
	bool is_found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *a = all; a && !is_found; a = a->ifa_next) {
		struct sockaddr_storage ss = { 0 };
		uint8_t ip[16];
		uint16_t port;

		if (!a->ifa_addr || a->ifa_addr->sa_family != (is_v4 ? AF_INET : AF_INET6))
			continue;
		memcpy(&ss, a->ifa_addr, is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		if (!net_from_sockaddr(&ss, ip, &port) || net_ip_is_loopback(ip) ||
		    (!is_v4 && ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80))
			continue;
		memcpy(ret, ip, 16);
		is_found = true;
	}
	freeifaddrs(all);
	return is_found;
}

bool host_gateway_target(struct net_switch *sw, bool is_v4, uint16_t port, uint32_t protocol, uint8_t ret[16])
{
	if (!sw->allow_host_loopback && host_address(is_v4, ret))
		return true;
	/* A host without another address is met on its loopback only where a port of ours is published on all. */
	if (!sw->allow_host_loopback && !publish_is_wildcard(sw, is_v4, port, protocol))
		return false;
	memcpy(ret, is_v4 ? net_ip_loopback4 : net_ip_loopback, 16);
	return true;
}

static int real_target(struct net_socket *s, struct netns *ns, const struct route *route, uint16_t port,
		       uint32_t protocol, uint8_t ret[16])
{
	(void)s;
	memcpy(ret, route->target, 16);
	if (route->kind != ROUTE_GATEWAY)
		return 0;
	return host_gateway_target(ns->sw, net_ip_is_v4(route->target), port, protocol, ret) ? 0 : -ECONNREFUSED;
}

/* ---- connections ---- */

static void set_reuse(int fd, uint32_t flags, uint32_t domain)
{
	int one = 1;

	if (flags & NET_REUSE_ADDRESS)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (flags & NET_REUSE_PORT)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
	if (flags & NET_BROADCAST)
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one);
	if (domain == AF_INET6) {
		int only = flags & NET_V6_ONLY ? 1 : 0;

		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
	}
}

static int own_name(int fd, uint16_t family, struct net_address *ret)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	uint8_t ip[16];
	uint16_t port;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 || !net_from_sockaddr(&ss, ip, &port))
		return -EIO;
	*ret = net_address_of(family, ip, port);
	return 0;
}

/* Bound as asked: in host mode the very socket that NET_BIND made. */
static int stream_socket(struct netns *ns, const struct net_request *req, int family)
{
	struct net_socket *s = ns->mode == NETNS_HOST && req->socket_id ? socket_find(ns, req->socket_id) : NULL;
	int fd;

	if (s && s->host && s->host->stream_fd >= 0)
		return fcntl(s->host->stream_fd, F_DUPFD_CLOEXEC, 0);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd >= 0 && ns->mode == NETNS_HOST)
		set_reuse(fd, req->flags, (uint32_t)family);
	return fd;
}

int host_connect(struct netns *ns, const struct net_request *req, const struct route *route, struct net_reply *ret, int *ret_fd)
{
	bool is_host = ns->mode == NETNS_HOST;
	int family = is_host ? (int)req->domain : net_ip_is_v4(route->target) ? AF_INET : AF_INET6;
	CLEANUP(closep) int fd = -1;
	struct sockaddr_storage ss;
	uint8_t target[16];
	socklen_t len;
	int r = real_target(NULL, ns, route, req->peer.port, IPPROTO_TCP, target);

	if (r < 0)
		return r;
	len = net_to_sockaddr(family, target, req->peer.port, is_host ? req->peer.scope_id : 0, &ss);
	fd = len ? stream_socket(ns, req, family) : -1;
	if (fd < 0)
		return len ? -errno : -ENETUNREACH;
	if (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
		return errno == EINVAL ? -ENETUNREACH : -errno;
	ret->is_in_progress = true;
	ret->peer = net_address_of((uint16_t)req->domain, route->target, req->peer.port);
	r = own_name(fd, (uint16_t)req->domain, &ret->local);
	if (r < 0)
		return r;
	if (!is_host)
		memcpy(ret->local.ip, route->source, 16);
	if (!is_host && req->local.port)
		ret->local.port = req->local.port;
	endpoint_count(route->out, true, 0);
	ret->interface = route->out ? interface_of(route->out) : 0;
	connection_note(ns, fd, &ret->local, &ret->peer, req->uid);
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* ---- host mode: listeners ---- */

static bool on_host_connection(void *arg, int fd, const struct sockaddr_storage *peer)
{
	struct net_socket *s = arg;
	struct arrival a = { .told = { .epoch = netns_epoch(s->ns) }, .fd = fd, .reply_fd = -1, .answer_fd = -1 };
	uint8_t ip[16];
	uint16_t port;

	if (fd < 0)
		return acceptor_has_room(s);
	if (!net_from_sockaddr(peer, ip, &port) || own_name(fd, (uint16_t)s->domain, &a.told.local) < 0) {
		close(fd);
		return true;
	}
	a.told.peer = socket_shown(s, ip, port);
	arrival_give(s, &a);
	return true;
}

static void on_host_datagram4(void *arg, int events);
static void on_host_datagram6(void *arg, int events);

static int watch_datagrams(struct host_side *h, int take_fd, bool is_v4)
{
	int one = 1;
	struct net_watch *w;

	if (is_v4)
		setsockopt(take_fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
	else
		setsockopt(take_fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof one);
	w = net_watch_new(h->s->ns->sw->loop, take_fd, UV_READABLE, is_v4 ? on_host_datagram4 : on_host_datagram6, h);
	if (!w)
		return -ENOMEM;
	*(is_v4 ? &h->v4 : &h->v6) = w;
	return 0;
}

int host_bind(struct net_socket *s, const struct net_address *local)
{
	struct host_side *h = host_side(s);
	bool is_stream = s->type == SOCK_STREAM;
	CLEANUP(closep) int fd = -1;
	struct sockaddr_storage ss;
	socklen_t len = net_to_sockaddr((int)s->domain, local->ip, local->port, local->scope_id, &ss);

	if (s->protocol == IPPROTO_ICMP || s->protocol == IPPROTO_ICMPV6) {
		s->local = *local;
		return 0;
	}
	fd = len ? socket((int)s->domain, (int)s->type | SOCK_CLOEXEC | SOCK_NONBLOCK, (int)s->protocol) : -1;
	if (fd < 0)
		return len ? -errno : -EAFNOSUPPORT;
	set_reuse(fd, s->flags, s->domain);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return -errno;
	if (own_name(fd, (uint16_t)s->domain, &s->local) < 0)
		return -EIO;
	if (is_stream) {
		closep(&h->stream_fd);
		h->stream_fd = steal_fd(&fd);
		return 0;
	}
	net_watch_free(h->v4);
	net_watch_free(h->v6);
	h->v4 = h->v6 = NULL;
	return watch_datagrams(h, steal_fd(&fd), s->domain == AF_INET);
}

int host_listen(struct net_socket *s, int backlog)
{
	struct host_side *h = host_side(s);

	if (h->stream_fd < 0)
		return -EINVAL;
	if (listen(h->stream_fd, backlog) < 0)
		return -errno;
	h->acceptor = acceptor_new(s->ns->sw, h->stream_fd, on_host_connection, s);
	h->stream_fd = -1;
	return h->acceptor ? 0 : -ENOMEM;
}

/* ---- datagrams ---- */

static void remember(struct host_side *h, const uint8_t ip[16], uint16_t port, const uint8_t seen_ip[16])
{
	struct contact *c;

	if (!h->contacts)
		h->contacts = xcalloc(CONTACTS, sizeof *h->contacts);
	for (unsigned i = 0; i < h->ncontacts; i++) {
		c = &h->contacts[i];
		if (c->port == port && net_ip_equal(c->ip, ip)) {
			memcpy(c->seen_ip, seen_ip, 16);
			return;
		}
	}
	c = &h->contacts[h->next++ % CONTACTS];
	h->ncontacts = h->ncontacts < CONTACTS ? h->ncontacts + 1 : CONTACTS;
	memcpy(c->ip, ip, 16);
	memcpy(c->seen_ip, seen_ip, 16);
	c->port = port;
}

/* The guest's name for whom an answer comes from; NULL: it has never written to it. */
static const uint8_t *known_as(const struct host_side *h, const uint8_t ip[16], uint16_t port)
{
	if (h->s->ns->mode == NETNS_HOST)
		return ip;
	for (unsigned i = 0; i < h->ncontacts; i++) {
		if (h->contacts[i].port == port && net_ip_equal(h->contacts[i].ip, ip))
			return h->contacts[i].seen_ip;
	}
	return NULL;
}

static bool is_icmp(const struct net_socket *s)
{
	return s->protocol != IPPROTO_UDP;
}

static int open_datagrams(struct host_side *h, bool is_v4)
{
	uint32_t protocol = !is_icmp(h->s) ? IPPROTO_UDP : is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, (int)protocol);

	if (fd < 0)
		return -errno;
	set_reuse(fd, h->s->flags, AF_INET);
	return watch_datagrams(h, fd, is_v4);
}

int host_send(struct net_socket *s, const struct route *route, const struct net_address *to, const void *data, size_t len)
{
	struct host_side *h = host_side(s);
	bool is_host = s->ns->mode == NETNS_HOST;
	bool is_v4 = is_host && !is_icmp(s) ? s->domain == AF_INET : net_ip_is_v4(route->target);
	uint16_t port = is_icmp(s) ? 0 : to->port;
	struct sockaddr_storage ss;
	uint8_t target[16];
	socklen_t ss_len;
	int r = real_target(s, s->ns, route, port, s->protocol, target);

	if (r == 0 && !(is_v4 ? h->v4 : h->v6))
		r = open_datagrams(h, is_v4);
	if (r < 0)
		return r;
	ss_len = net_to_sockaddr(is_v4 ? AF_INET : AF_INET6, target, port, is_host ? to->scope_id : 0, &ss);
	if (!ss_len)
		return -ENETUNREACH;
	if (is_icmp(s) && len >= 8)
		memcpy(&h->echo_id, (const uint8_t *)data + 4, 2);
	if (!is_host)
		remember(h, target, port, route->target);
	endpoint_count(route->out, true, len);
	if (sendto(net_watch_fd(is_v4 ? h->v4 : h->v6), data, len, MSG_NOSIGNAL, (struct sockaddr *)&ss, ss_len) < 0)
		return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
	return 0;
}

/* One ICMP error of what was sent. False: none is left. */
static bool take_error(struct host_side *h, int fd)
{
	char control[512] __attribute__((aligned(8)));
	struct sockaddr_storage ss = { 0 };
	struct msghdr msg = { .msg_name = &ss, .msg_namelen = sizeof ss, .msg_control = control, .msg_controllen = sizeof control };
	struct sock_extended_err error = { 0 };
	uint8_t ip[16];
	uint16_t port;

	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
		    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
			memcpy(&error, CMSG_DATA(c), sizeof error);
	}
	if (error.ee_errno && h->s->peer.family && net_from_sockaddr(&ss, ip, &port)) {
		const uint8_t *seen = known_as(h, ip, port);
		struct net_address about = socket_shown(h->s, seen ? seen : ip, port);

		datagram_give_error(h->s, -(int)error.ee_errno, &about);
	}
	return true;
}

static void deliver(struct host_side *h, const struct sockaddr_storage *ss, uint8_t *data, size_t len)
{
	struct net_socket *s = h->s;
	const uint8_t *seen;
	struct net_address from;
	uint8_t ip[16];
	uint16_t port;

	if (!net_from_sockaddr(ss, ip, &port))
		return;
	seen = known_as(h, ip, is_icmp(s) ? 0 : port);
	if (!seen)
		return;
	from = socket_shown(s, seen, is_icmp(s) ? 0 : port);
	if (s->peer.family && (from.port != s->peer.port || !net_ip_equal(from.ip, s->peer.ip)))
		return;
	if (s->ns->mode == NETNS_PRIVATE)
		endpoint_count(netns_default_endpoint(s->ns, net_ip_is_v4(ip)), false, len);
	if (!is_icmp(s)) {
		datagram_give(s, &from, data, len);
		return;
	}
	if (len >= 8) {
		memcpy(data + 4, &h->echo_id, 2);
		icmp_give(s, &from, data, len);
	}
}

static void on_host_datagrams(struct host_side *h, struct net_watch *w)
{
	int fd = net_watch_fd(w), error;
	socklen_t len = sizeof error;
	uint8_t *packet = h->s->ns->sw->packet;

	for (int i = 0; i < TURN_MAX && take_error(h, fd); i++)
		;
	for (int i = 0; i < TURN_MAX; i++) {
		struct sockaddr_storage ss = { 0 };
		socklen_t ss_len = sizeof ss;
		ssize_t n = recvfrom(fd, packet, NET_DATAGRAM_MAX, MSG_DONTWAIT, (struct sockaddr *)&ss, &ss_len);

		if (n < 0)
			break;
		deliver(h, &ss, packet, (size_t)n);
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	net_watch_set(w, UV_READABLE); /* libuv stops at an error */
}

static void on_host_datagram4(void *arg, int events)
{
	(void)events;
	on_host_datagrams(arg, ((struct host_side *)arg)->v4);
}

static void on_host_datagram6(void *arg, int events)
{
	(void)events;
	on_host_datagrams(arg, ((struct host_side *)arg)->v6);
}
