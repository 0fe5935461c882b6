/* What a guest reads in /proc/net and by ioctl, as memory files of rows. */
#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define TABLE_MAX (8u << 20)
#define MTU 1500

static int table_file(struct buf *b)
{
	CLEANUP(closep) int fd = memfd_create("sockerless-net-table", MFD_CLOEXEC);
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (at < b->len) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int table_done(struct buf *b, int r, uint32_t *ret_count, size_t row)
{
	*ret_count = (uint32_t)(b->len / row);
	if (r == 0)
		r = table_file(b);
	buf_done(b);
	return r;
}

/* ---- sockets ---- */

static int add_socket(struct buf *b, const struct net_socket *s)
{
	struct net_socket_row row = { .domain = s->domain,
				      .type = s->type,
				      .protocol = s->protocol,
				      .state = s->is_listening ? 10 :
					       s->peer.family  ? 1 :
								 7,
				      .local = s->local,
				      .peer = s->peer,
				      .uid = s->uid,
				      .inode = s->id };

	return buf_append(b, &row, sizeof row);
}

static int add_connection(void *arg, const struct net_socket_row *row)
{
	return buf_append(arg, row, sizeof *row);
}

int table_sockets(struct netns *ns, uint32_t *ret_count)
{
	struct buf b;
	int r = 0;

	buf_init(&b, TABLE_MAX);
	list_for_each(it, &ns->sockets) {
		if (r == 0)
			r = add_socket(&b, container_of(it, struct net_socket, of_ns));
	}
	if (r == 0)
		r = connections_each(ns, add_connection, &b);
	return table_done(&b, r, ret_count, sizeof(struct net_socket_row));
}

/* ---- interfaces ---- */

/* What the workers have counted of connections. */
static void add_counters(const struct netns *ns, struct net_interface *row)
{
	if (!ns->counters)
		return;
	row->rx_bytes += ns->counters->of[row->index % NET_COUNTERS].rx_bytes;
	row->rx_packets += ns->counters->of[row->index % NET_COUNTERS].rx_packets;
	row->tx_bytes += ns->counters->of[row->index % NET_COUNTERS].tx_bytes;
	row->tx_packets += ns->counters->of[row->index % NET_COUNTERS].tx_packets;
}

static struct net_interface interface_row(const struct endpoint *ep)
{
	struct net_interface row = { .index = ep->index,
				     .flags = IFF_UP | IFF_BROADCAST | IFF_RUNNING | IFF_MULTICAST,
				     .mtu = MTU,
				     .rx_bytes = ep->rx_bytes,
				     .rx_packets = ep->rx_packets,
				     .tx_bytes = ep->tx_bytes,
				     .tx_packets = ep->tx_packets };

	add_counters(ep->ns, &row);
	memcpy(row.name, ep->interface, sizeof row.name);
	memcpy(row.mac, ep->mac, sizeof row.mac);
	if (ep->prefix4) {
		memcpy(row.ip4, ep->ip4 + 12, 4);
		row.ip4_prefix = (uint8_t)(ep->prefix4 - 96);
	}
	if (ep->prefix6) {
		memcpy(row.ip6, ep->ip6, 16);
		row.ip6_prefix = ep->prefix6;
	}
	return row;
}

static const struct net_interface loopback = {
	.name = "lo",
	.index = 1,
	.flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING,
	.mtu = 65536,
	.ip4 = { 127, 0, 0, 1 },
	.ip4_prefix = 8,
	.ip6 = { [15] = 1 },
	.ip6_prefix = 128,
};

static uint8_t mask_length(const struct sockaddr *mask)
{
	struct sockaddr_storage ss = { 0 };
	uint8_t ip[16], n = 0;
	uint16_t port;
	bool is_v4;

	if (!mask)
		return 0;
	is_v4 = mask->sa_family == AF_INET;
	memcpy(&ss, mask, is_v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	if (!net_from_sockaddr(&ss, ip, &port))
		return 0;
	for (unsigned bit = is_v4 ? 96 : 0; bit < 128 && (ip[bit / 8] << (bit % 8) & 0x80); bit++)
		n++;
	return n;
}

/* In host mode: what the host has, an address of each family for an interface. */
static void host_address(struct net_interface *row, const struct ifaddrs *a)
{
	if (a->ifa_addr->sa_family == AF_PACKET) {
		memcpy(row->mac, ((const struct sockaddr_ll *)a->ifa_addr)->sll_addr, 6);
	} else if (a->ifa_addr->sa_family == AF_INET && !row->ip4_prefix) {
		memcpy(row->ip4, &((const struct sockaddr_in *)a->ifa_addr)->sin_addr, 4);
		row->ip4_prefix = mask_length(a->ifa_netmask);
	} else if (a->ifa_addr->sa_family == AF_INET6 && !row->ip6_prefix) {
		memcpy(row->ip6, &((const struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
		row->ip6_prefix = mask_length(a->ifa_netmask);
	}
}

static int add_host_interfaces(struct buf *b)
{
	struct ifaddrs *all = NULL;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *a = all; a && r == 0; a = a->ifa_next) {
		size_t n = b->len / sizeof(struct net_interface), i;
		struct net_interface row = { .flags = a->ifa_flags, .index = if_nametoindex(a->ifa_name), .mtu = MTU };

		for (i = 0; i < n; i++) {
			memcpy(&row, b->data + i * sizeof row, sizeof row);
			if (!strncmp(row.name, a->ifa_name, sizeof row.name))
				break;
		}
		if (i == n) {
			row = (struct net_interface){ .flags = a->ifa_flags,
						      .index = if_nametoindex(a->ifa_name),
						      .mtu = a->ifa_flags & IFF_LOOPBACK ? 65536 : MTU };
			strncpy(row.name, a->ifa_name, sizeof row.name - 1);
			r = buf_append(b, &row, sizeof row);
		}
		if (r < 0 || !a->ifa_addr)
			continue;
		host_address(&row, a);
		memcpy(b->data + i * sizeof row, &row, sizeof row);
	}
	freeifaddrs(all);
	return r;
}

int table_interfaces(struct netns *ns, uint32_t *ret_count)
{
	struct net_interface lo = loopback;
	struct buf b;
	int r;

	buf_init(&b, TABLE_MAX);
	add_counters(ns, &lo);
	r = ns->mode == NETNS_HOST ? add_host_interfaces(&b) : buf_append(&b, &lo, sizeof lo);
	list_for_each(it, &ns->endpoints) {
		struct net_interface row = interface_row(container_of(it, struct endpoint, of_ns));

		if (r == 0)
			r = buf_append(&b, &row, sizeof row);
	}
	return table_done(&b, r, ret_count, sizeof(struct net_interface));
}

/* ---- routes ---- */

static void masked(const uint8_t ip[16], unsigned prefix, uint8_t ret[16])
{
	memset(ret, 0, 16);
	memcpy(ret, ip, prefix / 8);
	if (prefix % 8)
		ret[prefix / 8] = (uint8_t)(ip[prefix / 8] & 0xff << (8 - prefix % 8));
}

static int add_routes(struct buf *b, const struct netns *ns, bool is_v4)
{
	struct endpoint *way_out = netns_default_endpoint(ns, is_v4);
	struct net_route row = { 0 };
	int r = 0;

	if (way_out) {
		memcpy(row.destination, is_v4 ? net_ip_any4 : net_ip_any, 16);
		memcpy(row.gateway, endpoint_gateway(way_out, is_v4), 16);
		row.prefix = is_v4 ? 96 : 0;
		row.interface_index = way_out->index;
		r = buf_append(b, &row, sizeof row);
	}
	list_for_each(it, &ns->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (r < 0 || !endpoint_ip(ep, is_v4))
			continue;
		row = (struct net_route){ .prefix = is_v4 ? ep->prefix4 : ep->prefix6, .interface_index = ep->index };
		masked(endpoint_ip(ep, is_v4), row.prefix, row.destination);
		r = buf_append(b, &row, sizeof row);
	}
	return r;
}

int table_routes(struct netns *ns, uint32_t *ret_count)
{
	struct buf b;
	int r;

	buf_init(&b, TABLE_MAX);
	r = add_routes(&b, ns, true);
	if (r == 0)
		r = add_routes(&b, ns, false);
	return table_done(&b, r, ret_count, sizeof(struct net_route));
}

bool netns_counters(const struct netns *ns, const char *network_id, struct net_interface *ret)
{
	list_for_each(it, &ns->endpoints) {
		const struct endpoint *ep = container_of(it, struct endpoint, of_ns);

		if (strcmp(ep->network->id, network_id) != 0)
			continue;
		*ret = interface_row(ep);
		return true;
	}
	return false;
}
