/* The sockets of a namespace and the addresses they have: binding, conflicts, look-up. The rules are those of
 * Linux: bind(2), socket(7), ip(7), ipv6(7). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static struct list *port_bucket(struct netns *ns, uint16_t port)
{
	return &ns->by_port[port % PORT_BUCKETS];
}

static void on_channel(void *arg, int events)
{
	struct net_socket *s = arg;

	if (s->type != SOCK_STREAM && s->type != SOCK_SEQPACKET)
		datagrams_on_readable(s);
	else if (events & UV_DISCONNECT)
		socket_free(s);
	else if (events & UV_WRITABLE)
		arrivals_on_writable(s);
}

static int channel_new(struct net_socket *s, int *ret_fd)
{
	bool is_stream = s->type == SOCK_STREAM || s->type == SOCK_SEQPACKET;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	/* libuv makes its own end non-blocking: that flag is not the other end's. */
	s->channel = net_watch_new(s->ns->sw->loop, fds[0], UV_DISCONNECT | (is_stream ? 0 : UV_READABLE), on_channel, s);
	if (!s->channel) {
		close(fds[1]);
		return -ENOMEM;
	}
	*ret_fd = fds[1];
	return 0;
}

int socket_new(struct netns *ns, const struct net_request *req, int *ret_fd, struct net_socket **ret)
{
	struct net_socket *s;
	int r;

	if (ns->nsockets >= ns->sw->sockets_max)
		return -ENFILE;
	s = xnew(struct net_socket);
	s->ns = ns;
	s->domain = req->domain;
	s->type = req->type;
	s->protocol = req->protocol;
	s->flags = req->flags;
	s->vpid = req->vpid;
	s->uid = req->uid;
	s->gid = req->gid;
	list_init(&s->by_port);
	list_init(&s->by_name);
	list_init(&s->pending);
	r = ret_fd ? channel_new(s, ret_fd) : 0;
	if (r < 0) {
		free(s);
		return r;
	}
	s->id = ++ns->sw->last_id;
	ns->nsockets++;
	list_append(&ns->sockets, &s->of_ns);
	list_append(&ns->by_id[s->id % ID_BUCKETS], &s->by_id);
	*ret = s;
	return 0;
}

void socket_free(struct net_socket *s)
{
	if (!s)
		return;
	arrivals_drop(s);
	list_remove(&s->of_ns);
	list_remove(&s->by_id);
	list_remove(&s->by_port);
	list_remove(&s->by_name);
	s->ns->nsockets--;
	s->ns->nbacklog -= s->nbacklog;
	net_watch_free(s->channel);
	host_side_free(s->host);
	free(s);
}

struct net_socket *socket_find(struct netns *ns, uint64_t id)
{
	list_for_each(it, &ns->by_id[id % ID_BUCKETS]) {
		struct net_socket *s = container_of(it, struct net_socket, by_id);

		if (s->id == id)
			return s;
	}
	return NULL;
}

/* Never called for a socket that is being served. */
bool socket_reap_if_dead(struct net_socket *s)
{
	if (!s->channel || !net_is_hung_up(net_watch_fd(s->channel)))
		return false;
	socket_free(s);
	return true;
}

/* ---- conflicts ---- */

static bool takes_v4(uint32_t domain, uint32_t flags, const uint8_t ip[16])
{
	if (domain == AF_INET || net_ip_is_v4(ip))
		return true;
	return net_ip_equal(ip, net_ip_any) && !(flags & NET_V6_ONLY);
}

static bool takes_v6(uint32_t domain, const uint8_t ip[16])
{
	return domain == AF_INET6 && !net_ip_is_v4(ip);
}

/* Is there an address that both would take? */
static bool overlaps(const struct net_socket *s, const struct net_socket *o, const struct net_address *at)
{
	bool is_any = net_ip_is_any(at->ip), is_other_any = net_ip_is_any(o->local.ip);

	if (!(takes_v4(s->domain, s->flags, at->ip) && takes_v4(o->domain, o->flags, o->local.ip)) &&
	    !(takes_v6(s->domain, at->ip) && takes_v6(o->domain, o->local.ip)))
		return false;
	return is_any || is_other_any || net_ip_equal(at->ip, o->local.ip);
}

static bool may_share(const struct net_socket *s, const struct net_socket *o)
{
	if (s->flags & o->flags & NET_REUSE_PORT && s->uid == o->uid)
		return true;
	if (!(s->flags & o->flags & NET_REUSE_ADDRESS))
		return false;
	return s->type != SOCK_STREAM || !o->is_listening;
}

static bool is_taken(struct net_socket *s, const struct net_address *at)
{
	list_for_each_safe(it, port_bucket(s->ns, at->port)) {
		struct net_socket *o = container_of(it, struct net_socket, by_port);

		if (o == s || o->local.port != at->port || o->protocol != s->protocol || !overlaps(s, o, at) ||
		    may_share(s, o))
			continue;
		if (!socket_reap_if_dead(o))
			return true;
	}
	return false;
}

/* ---- binding ---- */

bool netns_has_ip(struct netns *ns, const uint8_t ip[16])
{
	if (net_ip_is_any(ip) || net_ip_is_loopback(ip))
		return true;
	list_for_each(it, &ns->endpoints) {
		if (endpoint_has_ip(container_of(it, struct endpoint, of_ns), ip))
			return true;
	}
	return false;
}

static bool choose_port(struct net_socket *s, struct net_address *at)
{
	uint32_t n = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

	for (uint32_t i = 0; i < n; i++) {
		at->port = (uint16_t)(EPHEMERAL_FIRST + s->ns->port_hint++ % n);
		if (!is_taken(s, at))
			return true;
	}
	return false;
}

static int bind_ip(struct net_socket *s, const struct net_address *local)
{
	struct net_address at = net_address_of((uint16_t)s->domain, local->ip, local->port);

	if (s->domain == AF_INET && net_ip_is_any(at.ip))
		memcpy(at.ip, net_ip_any4, 16);
	if (s->domain == AF_INET && !net_ip_is_v4(at.ip))
		return -EAFNOSUPPORT;
	if (s->domain == AF_INET6 && s->flags & NET_V6_ONLY && net_ip_is_v4(at.ip))
		return -EINVAL;
	if (!netns_has_ip(s->ns, at.ip))
		return -EADDRNOTAVAIL;
	if (at.port == 0 ? !choose_port(s, &at) : is_taken(s, &at))
		return -EADDRINUSE;
	list_remove(&s->by_port);
	s->local = at;
	list_append(port_bucket(s->ns, at.port), &s->by_port);
	return 0;
}

static struct net_socket *find_abstract(struct netns *ns, const struct net_address *name)
{
	list_for_each(it, &ns->abstract) {
		struct net_socket *o = container_of(it, struct net_socket, by_name);

		if (o->local.path_len == name->path_len && !memcmp(o->local.path, name->path, name->path_len))
			return o;
	}
	return NULL;
}

static bool is_name_taken(struct netns *ns, const struct net_address *name)
{
	struct net_socket *o = find_abstract(ns, name);

	return o && !socket_reap_if_dead(o);
}

static void choose_name(struct net_socket *s, struct net_address *at)
{
	static const char digits[] = "0123456789abcdef";

	do {
		uint32_t n = s->ns->port_hint++;

		at->path_len = 6;
		for (int i = 5; i > 0; i--, n >>= 4)
			at->path[i] = digits[n & 15];
	} while (find_abstract(s->ns, at));
}

/* A file of the same identity as another's is a new one: a bind makes its file, so the older socket's is gone. */
static int bind_unix(struct net_socket *s, const struct net_address *local)
{
	struct net_address at = *local;

	if (s->local.family)
		return -EINVAL;
	if (!at.ino && at.path_len == 0)
		choose_name(s, &at);
	else if (!at.ino && (at.path[0] || is_name_taken(s->ns, &at)))
		return at.path[0] ? -EINVAL : -EADDRINUSE;
	s->local = at;
	if (at.ino)
		list_insert_before(s->ns->sw->files[at.ino % FILE_BUCKETS].next, &s->by_name);
	else
		list_append(&s->ns->abstract, &s->by_name);
	return 0;
}

int socket_bind(struct net_socket *s, const struct net_address *local)
{
	if (s->domain == AF_UNIX)
		return bind_unix(s, local);
	if (s->local.family && !s->is_automatic)
		return -EINVAL;
	s->is_automatic = false;
	return s->ns->mode == NETNS_HOST ? host_bind(s, local) : bind_ip(s, local);
}

int socket_bind_automatically(struct net_socket *s)
{
	struct net_address any = { .family = (uint16_t)s->domain };
	int r;

	if (s->local.family || s->domain == AF_UNIX)
		return 0;
	r = s->ns->mode == NETNS_HOST ? host_bind(s, &any) : bind_ip(s, &any);
	s->is_automatic = r == 0;
	return r;
}

/* How many arrivals the channel holds: with fewer than a handful a non-blocking connect would have to wait too often.
 * All of a namespace come out of one purse, since what is in a channel counts against the daemon's descriptors. */
static void set_backlog(struct net_socket *s, int backlog)
{
	size_t wanted = backlog < 16 ? 16 : backlog > 256 ? 256 : (size_t)backlog;
	size_t left = s->ns->sw->sockets_max - (s->ns->nbacklog - s->nbacklog);
	int bytes;

	s->ns->nbacklog -= s->nbacklog;
	s->nbacklog = wanted < left ? wanted : left;
	s->ns->nbacklog += s->nbacklog;
	bytes = (int)(s->nbacklog * 2 * sizeof(struct net_arrival)); /* the kernel doubles it: its own part of a packet */
	setsockopt(net_watch_fd(s->channel), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int socket_listen(struct net_socket *s, int backlog)
{
	if (s->type != SOCK_STREAM && s->type != SOCK_SEQPACKET)
		return -EOPNOTSUPP;
	if (!s->local.family) {
		struct net_address any = { .family = (uint16_t)s->domain };
		int r = s->domain == AF_UNIX ? -EINVAL : socket_bind(s, &any);

		if (r < 0)
			return r;
	}
	if (s->is_listening)
		return 0;
	if (s->ns->mode == NETNS_HOST && s->domain != AF_UNIX) {
		int r = host_listen(s, backlog);

		s->is_listening = r == 0;
		return r;
	}
	if (s->domain != AF_UNIX && is_taken(s, &s->local))
		return -EADDRINUSE;
	s->is_listening = true;
	if (s->channel)
		set_backlog(s, backlog);
	return 0;
}

/* ---- look-up ---- */

/* The more a socket has said, the better it fits; 0: not at all. */
static int fitness(const struct net_socket *s, const uint8_t ip[16], const struct net_address *from)
{
	bool is_v4 = net_ip_is_v4(ip);
	int points = 1;

	if (is_v4 ? !takes_v4(s->domain, s->flags, s->local.ip) : !takes_v6(s->domain, s->local.ip))
		return 0;
	if (!net_ip_is_any(s->local.ip)) {
		if (!net_ip_equal(s->local.ip, ip))
			return 0;
		points += 4;
	}
	if (s->type == SOCK_STREAM)
		return s->is_listening ? points : 0;
	if (s->peer.family) {
		if (!from || s->peer.port != from->port || !net_ip_equal(s->peer.ip, from->ip))
			return 0;
		points += 8;
	}
	if ((s->domain == AF_INET) == is_v4)
		points += 1;
	return points;
}

struct net_socket *socket_lookup(struct netns *ns, uint32_t protocol, const uint8_t ip[16], uint16_t port,
				 const struct net_address *from)
{
	struct net_socket *best = NULL;
	int most = 0;

	list_for_each(it, port_bucket(ns, port)) {
		struct net_socket *s = container_of(it, struct net_socket, by_port);
		int points = s->local.port == port && s->protocol == protocol ? fitness(s, ip, from) : 0;

		if (points == 0 || points < most)
			continue;
		/* Of equals, one after the other in a REUSEPORT group; else the youngest. */
		if (points == most && best && s->flags & NET_REUSE_PORT && s->turn > best->turn)
			continue;
		best = s;
		most = points;
	}
	if (best)
		best->turn++;
	return best;
}

struct net_socket *socket_lookup_name(struct netns *ns, const struct net_address *name)
{
	if (!name->ino)
		return name->path_len ? find_abstract(ns, name) : NULL;
	list_for_each_safe(it, &ns->sw->files[name->ino % FILE_BUCKETS]) {
		struct net_socket *s = container_of(it, struct net_socket, by_name);

		if (s->local.ino == name->ino && s->local.dev == name->dev)
			return s;
	}
	return NULL;
}

bool netns_is_listening(const struct netns *ns, uint16_t port)
{
	list_for_each(it, &ns->by_port[port % PORT_BUCKETS]) {
		const struct net_socket *s = container_of(it, struct net_socket, by_port);

		if (s->local.port == port && s->is_listening && !(s->channel && net_is_hung_up(net_watch_fd(s->channel))))
			return true;
	}
	return false;
}

uint16_t netns_source_port(struct netns *ns)
{
	uint32_t n = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
	uint16_t port = 0;

	for (int tries = 0; tries < 64; tries++) {
		bool is_free = true;

		port = (uint16_t)(EPHEMERAL_FIRST + ns->source_hint++ % n);
		list_for_each(it, port_bucket(ns, port)) {
			const struct net_socket *s = container_of(it, struct net_socket, by_port);

			is_free = is_free && !(s->local.port == port && s->type == SOCK_STREAM);
		}
		if (is_free)
			break;
	}
	return port;
}

struct net_address socket_shown(const struct net_socket *s, const uint8_t ip[16], uint16_t port)
{
	return net_address_of((uint16_t)s->domain, ip, port);
}
