/* /proc/net: what netstat, ifconfig and route read, out of the switch's own tables. Without a network they are empty. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/kernel/procfs.h"
#include "sandbox/kernel/socket.h"

static void put_word(struct buf *out, const uint8_t *bytes)
{
	uint32_t v;

	memcpy(&v, bytes, 4); /* as the kernel prints it: the number as it lies in memory */
	buf_printf(out, "%08X", v);
}

static void put_address(struct buf *out, const struct net_address *a, bool is_v6)
{
	for (int i = is_v6 ? 0 : 12; i < 16; i += 4)
		put_word(out, a->ip + i);
	buf_printf(out, ":%04X", a->port);
}

static void write_inet(struct buf *out, uint32_t domain, uint32_t type)
{
	struct net_socket_row *rows = NULL;
	size_t n = 0, line = 0;

	buf_puts(out, domain == AF_INET6 ?
			      "  sl  local_address                         remote_address                        st tx_queue "
			      "rx_queue tr tm->when retrnsmt   uid  timeout inode\n" :
			      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
			      "inode\n");
	if (switch_rows(NET_SOCKETS, sizeof(*rows), (void **)&rows, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (rows[i].domain != domain || rows[i].type != type)
			continue;
		/* As on Linux: whoever waits for a listener by this table would take one that is only bound for it. */
		if (type == SOCK_STREAM && rows[i].state == TCP_CLOSE)
			continue;
		buf_printf(out, "%4zu: ", line++);
		put_address(out, &rows[i].local, domain == AF_INET6);
		buf_puts(out, " ");
		put_address(out, &rows[i].peer, domain == AF_INET6);
		buf_printf(out, " %02X 00000000:00000000 00:00000000 00000000 %5u        0 %lu 1 0000000000000000 100 0 0 10 0\n",
			   rows[i].state, rows[i].uid, rows[i].inode);
	}
	free(rows);
}

#define INET_FILE(name, domain, type)                                     \
	void write_net_##name(const struct proc_slot *s, struct buf *out) \
	{                                                                 \
		(void)s;                                                  \
		write_inet(out, domain, type);                            \
	}
INET_FILE(tcp, AF_INET, SOCK_STREAM)
INET_FILE(tcp6, AF_INET6, SOCK_STREAM)
INET_FILE(udp, AF_INET, SOCK_DGRAM)
INET_FILE(udp6, AF_INET6, SOCK_DGRAM)
INET_FILE(raw, AF_INET, SOCK_RAW)
INET_FILE(raw6, AF_INET6, SOCK_RAW)

void write_net_unix(const struct proc_slot *slot, struct buf *out)
{
	struct net_socket_row *rows = NULL;
	size_t n = 0;

	(void)slot;
	buf_puts(out, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	if (switch_rows(NET_SOCKETS, sizeof(*rows), (void **)&rows, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct net_address *a = &rows[i].local;
		char path[109] = "";
		size_t len = a->path_len < 108 ? a->path_len : 108;
		bool is_listening = rows[i].state == 10;

		if (rows[i].domain != AF_UNIX)
			continue;
		memcpy(path, a->path, len);
		if (len && !path[0])
			path[0] = '@';
		buf_printf(out, "%016lx: 00000002 00000000 %08X %04X %02X %5lu%s%s\n", rows[i].inode,
			   is_listening ? 0x10000 : 0, rows[i].type, rows[i].state == 1 ? 3 : 1, rows[i].inode,
			   len ? " " : "", path);
	}
	free(rows);
}

void write_net_dev(const struct proc_slot *slot, struct buf *out)
{
	struct net_interface *rows;
	size_t n;

	(void)slot;
	buf_puts(out, "Inter-|   Receive                                                |  Transmit\n"
		      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
	if (netinfo_interfaces(&rows, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%6.15s: %7lu %7lu    0    0    0     0          0         0 %8lu %7lu    0    0    0     0       0          0\n",
			   rows[i].name, rows[i].rx_bytes, rows[i].rx_packets, rows[i].tx_bytes, rows[i].tx_packets);
	free(rows);
}

static const char *name_of(const struct net_interface *rows, size_t n, uint32_t index)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].index == index)
			return rows[i].name;
	return "*";
}

static bool is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

void write_net_route(const struct proc_slot *slot, struct buf *out)
{
	struct net_interface *interfaces;
	struct net_route *routes;
	size_t ninterfaces, n;

	(void)slot;
	buf_puts(out, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n");
	if (netinfo_interfaces(&interfaces, &ninterfaces) < 0)
		return;
	if (netinfo_routes(&routes, &n) < 0)
		n = 0, routes = NULL;
	for (size_t i = 0; i < n; i++) {
		const struct net_route *r = &routes[i];
		uint32_t bits = r->prefix >= 96 ? r->prefix - 96u : 0, mask = bits ? htonl(UINT32_MAX << (32 - bits)) : 0;
		bool has_gateway = !is_zero(r->gateway + 12, 4);
		struct net_address as = { .family = 0 };

		memcpy(as.ip, r->destination, 16);
		if (!address_is_v4(&as) || r->prefix < 96)
			continue;
		buf_printf(out, "%.15s\t", name_of(interfaces, ninterfaces, r->interface_index));
		put_word(out, r->destination + 12);
		buf_puts(out, "\t");
		put_word(out, has_gateway ? r->gateway + 12 : (const uint8_t[4]){ 0 });
		buf_printf(out, "\t%04X\t0\t0\t0\t%08X\t0\t0\t0\n", has_gateway ? 3u : 1u, mask);
	}
	free(routes);
	free(interfaces);
}

void write_net_if_inet6(const struct proc_slot *slot, struct buf *out)
{
	struct net_interface *rows;
	size_t n;

	(void)slot;
	if (netinfo_interfaces(&rows, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!rows[i].ip6_prefix)
			continue;
		for (int k = 0; k < 16; k++)
			buf_printf(out, "%02x", rows[i].ip6[k]);
		buf_printf(out, " %02x %02x %02x 80 %8.15s\n", rows[i].index, rows[i].ip6_prefix,
			   rows[i].index == 1 ? 0x10 : 0x00, rows[i].name);
	}
	free(rows);
}

void write_net_arp(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_puts(out, "IP address       HW type     Flags       HW address            Mask     Device\n");
}
