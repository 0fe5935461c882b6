/* Addresses as the guest has them and as the switch takes them. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "sandbox/kernel/socket.h"

static const uint8_t mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

bool address_is_v4(const struct net_address *a)
{
	return memcmp(a->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static int parse_in(const void *sockaddr, size_t len, struct net_address *ret)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, sockaddr, sizeof(in));
	if (in.sin_family != AF_INET)
		return -EAFNOSUPPORT;
	ret->port = ntohs(in.sin_port);
	memcpy(ret->ip, mapped_prefix, sizeof(mapped_prefix));
	memcpy(ret->ip + 12, &in.sin_addr, 4);
	return 0;
}

static int parse_in6(const void *sockaddr, size_t len, struct net_address *ret)
{
	struct sockaddr_in6 in;

	if (len < 24) /* RFC 2133's had no scope */
		return -EINVAL;
	memset(&in, 0, sizeof(in));
	memcpy(&in, sockaddr, len < sizeof(in) ? len : sizeof(in));
	if (in.sin6_family != AF_INET6)
		return -EAFNOSUPPORT;
	ret->port = ntohs(in.sin6_port);
	memcpy(ret->ip, &in.sin6_addr, 16);
	ret->scope_id = in.sin6_scope_id;
	return 0;
}

/* A path ends at its NUL or at the length; an abstract name is all that the length says. */
static int parse_un(const void *sockaddr, size_t len, struct net_address *ret)
{
	const char *path = (const char *)sockaddr + 2;
	size_t n = len - 2;
	uint16_t family;

	memcpy(&family, sockaddr, 2);
	if (family != AF_UNIX || n > sizeof(ret->path))
		return -EINVAL;
	if (n && path[0])
		n = strnlen(path, n);
	ret->path_len = (uint8_t)n;
	memcpy(ret->path, path, n);
	return 0;
}

int address_parse(int domain, const void *sockaddr, size_t len, struct net_address *ret)
{
	struct net_address a = { .family = (uint16_t)domain };
	int r;

	if (len < 2 || len > SOCKADDR_MAX)
		return -EINVAL;
	switch (domain) {
	case AF_INET: r = parse_in(sockaddr, len, &a); break;
	case AF_INET6: r = parse_in6(sockaddr, len, &a); break;
	case AF_UNIX: r = parse_un(sockaddr, len, &a); break;
	default: return -EAFNOSUPPORT;
	}
	if (r == 0)
		*ret = a;
	return r;
}

static size_t print_un(const struct net_address *a, unsigned char *out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t n = a->path_len < sizeof(un.sun_path) ? a->path_len : sizeof(un.sun_path);

	memcpy(un.sun_path, a->path, n);
	memcpy(out, &un, sizeof(un));
	if (n && a->path[0]) /* Linux counts the NUL of a path */
		n++;
	return offsetof(struct sockaddr_un, sun_path) + n;
}

size_t address_print(int domain, const struct net_address *a, unsigned char out[SOCKADDR_MAX])
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	memset(out, 0, SOCKADDR_MAX);
	switch (domain) {
	case AF_INET:
		in.sin_port = htons(a->port);
		memcpy(&in.sin_addr, a->ip + 12, 4);
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	case AF_INET6:
		in6.sin6_port = htons(a->port);
		in6.sin6_scope_id = a->scope_id;
		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	case AF_UNIX: return print_un(a, out);
	default: /* struct sockaddr_nl: its port is kept in scope_id */
		memcpy(out, &(uint16_t){ (uint16_t)domain }, 2);
		memcpy(out + 4, &a->scope_id, 4);
		return 12;
	}
}
