/* Echo: addresses of ours are answered by the switch itself, the world by the host's unprivileged ICMP sockets. */
#include <errno.h>
#include <string.h>

#include "network/internal.h"

#define ICMP_HEADER 8

static uint32_t sum_words(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	if (len % 2)
		sum += (uint32_t)(data[len - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put_sum(uint8_t *at, uint32_t sum)
{
	sum = ~sum & 0xffff;
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* The checksum of ICMPv6 covers a pseudo header; Linux fills it in for a sender, and checks it for a receiver. */
static void set_checksum(const struct net_socket *s, const uint8_t from[16], const uint8_t to[16], uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	data[2] = data[3] = 0;
	if (s->protocol == IPPROTO_ICMPV6) {
		sum = sum_words(from, 16, sum_words(to, 16, 0));
		sum += (uint32_t)len + IPPROTO_ICMPV6;
	}
	put_sum(data + 2, sum_words(data, len, sum));
}

static void put_header(uint8_t head[20], const uint8_t from[16], const uint8_t to[16], size_t len)
{
	memset(head, 0, 20);
	head[0] = 0x45;
	head[2] = (uint8_t)((len + 20) >> 8);
	head[3] = (uint8_t)(len + 20);
	head[8] = 64;
	head[9] = IPPROTO_ICMP;
	memcpy(head + 12, from + 12, 4);
	memcpy(head + 16, to + 12, 4);
	put_sum(head + 10, sum_words(head, 20, 0));
}

void icmp_give(struct net_socket *s, const struct net_address *from, uint8_t *data, size_t len)
{
	uint8_t whole[20 + 2048];
	const struct endpoint *ep = netns_default_endpoint(s->ns, net_ip_is_v4(from->ip));
	const uint8_t *to = s->local.family && !net_ip_is_any(s->local.ip) ? s->local.ip :
			    ep && !net_ip_is_loopback(from->ip)            ? endpoint_ip(ep, net_ip_is_v4(from->ip)) :
									     from->ip;

	if (len < ICMP_HEADER || len > sizeof whole - 20)
		return;
	set_checksum(s, from->ip, to, data, len);
	if (s->type != SOCK_RAW || s->domain != AF_INET) {
		datagram_give(s, from, data, len);
		return;
	}
	put_header(whole, from->ip, to, len);
	memcpy(whole + 20, data, len);
	datagram_give(s, from, whole, len + 20);
}

int icmp_send(struct net_socket *s, const struct route *route, const struct net_address *to, const void *data, size_t len)
{
	uint8_t echo[2048];
	struct net_address from = socket_shown(s, route->target, 0);
	bool is_v6 = s->protocol == IPPROTO_ICMPV6;

	if (len < ICMP_HEADER || len > sizeof echo || net_ip_is_v4(route->target) == is_v6)
		return -EINVAL;
	memcpy(echo, data, len);
	if (echo[0] != (is_v6 ? 128 : 8) || echo[1] != 0)
		return s->type == SOCK_RAW ? 0 : -EINVAL; /* other messages have nobody who would hear them */
	if (s->type == SOCK_DGRAM) { /* the id of such a socket is the kernel's to give */
		echo[4] = (uint8_t)(s->id >> 8);
		echo[5] = (uint8_t)s->id;
	}
	if (route->kind == ROUTE_WORLD || route->kind == ROUTE_HOST_MODE)
		return host_send(s, route, to, echo, len);
	endpoint_count(route->out, true, len);
	endpoint_count(route->in, false, len);
	endpoint_count(route->in, true, len);
	endpoint_count(route->out, false, len);
	echo[0] = is_v6 ? 129 : 0;
	icmp_give(s, &from, echo, len);
	return 0;
}
