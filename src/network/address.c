/* IP addresses as 16 bytes: reading, writing, classes. Pure. */
#include <arpa/inet.h>
#include <string.h>

#include "network/internal.h"

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

const uint8_t net_ip_any[16] = { 0 };
const uint8_t net_ip_any4[16] = { [10] = 0xff, [11] = 0xff };
const uint8_t net_ip_loopback[16] = { [15] = 1 };
const uint8_t net_ip_loopback4[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
const uint8_t net_ip_dns[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 11 };

bool net_ip_is_v4(const uint8_t ip[16])
{
	return memcmp(ip, mapped, sizeof mapped) == 0;
}

void net_ip_from_v4(const uint8_t v4[4], uint8_t ret[16])
{
	memcpy(ret, mapped, sizeof mapped);
	memcpy(ret + 12, v4, 4);
}

bool net_parse_ip(const char *text, uint8_t ret[16])
{
	uint8_t v4[4], v6[16];

	if (inet_pton(AF_INET, text, v4) == 1) {
		net_ip_from_v4(v4, ret);
		return true;
	}
	if (inet_pton(AF_INET6, text, v6) != 1)
		return false;
	memcpy(ret, v6, sizeof v6);
	return true;
}

void net_format_ip(const uint8_t ip[16], char ret[46])
{
	if (net_ip_is_v4(ip))
		inet_ntop(AF_INET, ip + 12, ret, 46);
	else
		inet_ntop(AF_INET6, ip, ret, 46);
}

bool net_ip_equal(const uint8_t a[16], const uint8_t b[16])
{
	return memcmp(a, b, 16) == 0;
}

bool net_ip_is_any(const uint8_t ip[16])
{
	return net_ip_equal(ip, net_ip_any) || net_ip_equal(ip, net_ip_any4);
}

bool net_ip_is_loopback(const uint8_t ip[16])
{
	return net_ip_equal(ip, net_ip_loopback) || (net_ip_is_v4(ip) && ip[12] == 127);
}

bool net_ip_is_multicast(const uint8_t ip[16])
{
	return net_ip_is_v4(ip) ? ip[12] >> 4 == 14 : ip[0] == 0xff;
}

bool net_ip_in_prefix(const uint8_t ip[16], const uint8_t net[16], unsigned prefix)
{
	unsigned whole = prefix / 8, rest = prefix % 8;

	if (prefix > 128 || memcmp(ip, net, whole) != 0)
		return false;
	return rest == 0 || (ip[whole] ^ net[whole]) >> (8 - rest) == 0;
}

struct net_address net_address_of(uint16_t family, const uint8_t ip[16], uint16_t port)
{
	struct net_address a = { .family = family, .port = port };

	memcpy(a.ip, ip, sizeof a.ip);
	return a;
}

socklen_t net_to_sockaddr(int family, const uint8_t ip[16], uint16_t port, uint32_t scope_id, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		if (!net_ip_is_v4(ip) && !net_ip_is_any(ip))
			return 0;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, ip + 12, 4);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = scope_id;
	memcpy(&in6->sin6_addr, ip, 16);
	return sizeof *in6;
}

bool net_from_sockaddr(const struct sockaddr_storage *ss, uint8_t ret_ip[16], uint16_t *ret_port)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)ss;

		net_ip_from_v4((const uint8_t *)&in->sin_addr, ret_ip);
		*ret_port = ntohs(in->sin_port);
		return true;
	}
	if (ss->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

		memcpy(ret_ip, &in6->sin6_addr, 16);
		*ret_port = ntohs(in6->sin6_port);
		return true;
	}
	return false;
}
