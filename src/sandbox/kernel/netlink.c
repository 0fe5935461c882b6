/* NETLINK_ROUTE as far as `ip` and the C library ask: dumps of links, addresses and routes. What would change
 * something is refused. */
#include <errno.h>
#include <linux/if_addr.h>
#include <net/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

/* One packet of answers; it goes out when the next message might not fit. */
struct answers {
	int fd;
	uint32_t port;
	const struct nlmsghdr *request;
	size_t len;
	_Alignas(8) unsigned char bytes[4096];
};

enum { MESSAGE_MAX = 512 }; /* no message of ours is longer */

static void flush_answers(struct answers *a)
{
	if (a->len)
		(void)!write(a->fd, a->bytes, a->len);
	a->len = 0;
}

static void *append(struct answers *a, struct nlmsghdr *h, size_t size)
{
	unsigned char *p = (unsigned char *)h + h->nlmsg_len;

	memset(p, 0, NLMSG_ALIGN(size));
	h->nlmsg_len += (uint32_t)NLMSG_ALIGN(size);
	a->len += NLMSG_ALIGN(size);
	return p;
}

static struct nlmsghdr *begin(struct answers *a, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h;

	if (a->len > sizeof(a->bytes) - MESSAGE_MAX)
		flush_answers(a);
	h = (struct nlmsghdr *)(a->bytes + a->len);
	*h = (struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN,
				.nlmsg_type = type,
				.nlmsg_flags = flags,
				.nlmsg_seq = a->request->nlmsg_seq,
				.nlmsg_pid = a->port };
	a->len += NLMSG_HDRLEN;
	return h;
}

static void put(struct answers *a, struct nlmsghdr *h, uint16_t type, const void *data, size_t len)
{
	struct rtattr *attr = append(a, h, RTA_LENGTH(len));

	attr->rta_type = type;
	attr->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(attr), data, len);
}

static void put_u32(struct answers *a, struct nlmsghdr *h, uint16_t type, uint32_t v)
{
	put(a, h, type, &v, sizeof(v));
}

/* ---- links, addresses, routes ---- */

static void put_link(struct answers *a, const struct net_interface *i)
{
	static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 }, none[6];
	bool is_loopback = i->flags & IFF_LOOPBACK;
	struct nlmsghdr *h = begin(a, RTM_NEWLINK, NLM_F_MULTI);
	struct ifinfomsg *info = append(a, h, sizeof(*info));
	uint8_t state = is_loopback ? 0 : 6; /* unknown, up */
	const char *discipline = "noqueue";

	info->ifi_type = is_loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
	info->ifi_index = (int)i->index;
	info->ifi_flags = i->flags;
	put(a, h, IFLA_IFNAME, i->name, strlen(i->name) + 1);
	put_u32(a, h, IFLA_TXQLEN, is_loopback ? 1000 : 0);
	put(a, h, IFLA_OPERSTATE, &state, 1);
	put_u32(a, h, IFLA_MTU, i->mtu);
	put(a, h, IFLA_QDISC, discipline, strlen(discipline) + 1);
	put(a, h, IFLA_ADDRESS, i->mac, 6);
	put(a, h, IFLA_BROADCAST, is_loopback ? none : everybody, 6);
}

static void put_links(struct answers *a, const struct net_interface *rows, size_t n, int32_t only)
{
	for (size_t i = 0; i < n; i++)
		if (only == 0 || only == (int32_t)rows[i].index)
			put_link(a, &rows[i]);
}

static struct nlmsghdr *begin_address(struct answers *a, const struct net_interface *i, uint8_t family, uint8_t prefix)
{
	struct nlmsghdr *h = begin(a, RTM_NEWADDR, NLM_F_MULTI);
	struct ifaddrmsg *m = append(a, h, sizeof(*m));

	m->ifa_family = family;
	m->ifa_prefixlen = prefix;
	m->ifa_flags = IFA_F_PERMANENT;
	m->ifa_scope = (i->flags & IFF_LOOPBACK) ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
	m->ifa_index = i->index;
	return h;
}

static void put_addresses(struct answers *a, const struct net_interface *rows, size_t n, uint8_t family)
{
	for (size_t k = 0; k < n; k++) {
		const struct net_interface *i = &rows[k];
		struct nlmsghdr *h;

		if (i->ip4_prefix && (family == AF_INET || family == AF_UNSPEC)) {
			uint32_t mask = i->ip4_prefix >= 32 ? 0 : UINT32_MAX >> i->ip4_prefix, address;

			memcpy(&address, i->ip4, 4);
			address |= __builtin_bswap32(mask);
			h = begin_address(a, i, AF_INET, i->ip4_prefix);
			put(a, h, IFA_ADDRESS, i->ip4, 4);
			put(a, h, IFA_LOCAL, i->ip4, 4);
			if (!(i->flags & IFF_LOOPBACK))
				put(a, h, IFA_BROADCAST, &address, 4);
			put(a, h, IFA_LABEL, i->name, strlen(i->name) + 1);
		}
		if (i->ip6_prefix && (family == AF_INET6 || family == AF_UNSPEC)) {
			h = begin_address(a, i, AF_INET6, i->ip6_prefix);
			put(a, h, IFA_ADDRESS, i->ip6, 16);
		}
	}
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static const struct net_interface *interface_of(const struct net_interface *rows, size_t n, uint32_t index)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].index == index)
			return &rows[i];
	return NULL;
}

static void put_route(struct answers *a, const struct net_route *r, const struct net_interface *by, bool is_v4)
{
	struct nlmsghdr *h = begin(a, RTM_NEWROUTE, NLM_F_MULTI);
	struct rtmsg *m = append(a, h, sizeof(*m));
	size_t skip = is_v4 ? 12 : 0, len = 16 - skip;
	bool has_gateway = !is_zero(r->gateway + skip, len);
	uint8_t prefix = is_v4 ? (uint8_t)(r->prefix - 96) : r->prefix;

	m->rtm_family = is_v4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = prefix;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = has_gateway ? RTPROT_BOOT : RTPROT_KERNEL;
	m->rtm_scope = has_gateway || !is_v4 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	put_u32(a, h, RTA_TABLE, RT_TABLE_MAIN);
	if (prefix)
		put(a, h, RTA_DST, r->destination + skip, len);
	if (has_gateway)
		put(a, h, RTA_GATEWAY, r->gateway + skip, len);
	if (is_v4 && !has_gateway && by)
		put(a, h, RTA_PREFSRC, by->ip4, 4);
	put_u32(a, h, RTA_OIF, r->interface_index);
}

static void put_routes(struct answers *a, const struct net_interface *rows, size_t n, uint8_t family)
{
	struct net_route *routes;
	size_t nroutes;

	if (netinfo_routes(&routes, &nroutes) < 0)
		return;
	for (size_t i = 0; i < nroutes; i++) {
		struct net_address as = { .family = 0 };
		bool is_v4;

		memcpy(as.ip, routes[i].destination, 16);
		is_v4 = routes[i].prefix >= 96 && address_is_v4(&as);
		if (family == AF_UNSPEC || family == (is_v4 ? AF_INET : AF_INET6))
			put_route(a, &routes[i], interface_of(rows, n, routes[i].interface_index), is_v4);
	}
	free(routes);
}

/* ---- requests ---- */

static void put_error(struct answers *a, int error)
{
	struct nlmsghdr *h = begin(a, NLMSG_ERROR, 0);
	struct nlmsgerr *e = append(a, h, sizeof(*e));

	e->error = error;
	e->msg = *a->request;
}

static void put_done(struct answers *a)
{
	struct nlmsghdr *h = begin(a, NLMSG_DONE, NLM_F_MULTI);

	append(a, h, sizeof(int));
}

static void answer_dump(struct answers *a, const struct nlmsghdr *h)
{
	const unsigned char *body = NLMSG_DATA(h);
	uint8_t family = h->nlmsg_len > NLMSG_HDRLEN ? body[0] : AF_UNSPEC;
	bool is_dump = (h->nlmsg_flags & NLM_F_DUMP) != 0;
	struct net_interface *rows;
	int32_t only = 0;
	size_t n;
	int r = netinfo_interfaces(&rows, &n);

	if (r < 0) {
		put_error(a, r);
		return;
	}
	if (h->nlmsg_type == RTM_GETLINK) {
		if (!is_dump && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			memcpy(&only, body + offsetof(struct ifinfomsg, ifi_index), sizeof(only));
		put_links(a, rows, n, only);
	} else if (h->nlmsg_type == RTM_GETADDR) {
		put_addresses(a, rows, n, family);
	} else if (h->nlmsg_type == RTM_GETROUTE) {
		put_routes(a, rows, n, family);
	}
	if (is_dump)
		put_done(a);
	free(rows);
}

static void answer_one(struct answers *a, const struct nlmsghdr *h)
{
	a->request = h;
	switch (h->nlmsg_type) {
	case RTM_GETLINK:
	case RTM_GETADDR:
	case RTM_GETROUTE: answer_dump(a, h); break;
	case RTM_GETNEIGH:
	case RTM_GETRULE:
	case RTM_GETNEIGHTBL:
	case RTM_GETQDISC: put_done(a); break;
	case NLMSG_NOOP:
	case NLMSG_DONE: break;
	default: put_error(a, h->nlmsg_type >= RTM_BASE ? -EPERM : -EOPNOTSUPP);
	}
}

int64_t netlink_send(struct ksocket *s, const void *data, size_t len)
{
	struct answers a = { .fd = s->far_fd, .port = s->local.scope_id };
	const unsigned char *at = data;
	size_t left = len;

	while (left >= NLMSG_HDRLEN) {
		struct nlmsghdr h;
		size_t step;

		memcpy(&h, at, sizeof(h));
		if (h.nlmsg_len < NLMSG_HDRLEN || h.nlmsg_len > left)
			break;
		answer_one(&a, (const struct nlmsghdr *)(const void *)at);
		step = NLMSG_ALIGN(h.nlmsg_len);
		if (step > left)
			break;
		at += step;
		left -= step;
	}
	flush_answers(&a);
	return (int64_t)len;
}
