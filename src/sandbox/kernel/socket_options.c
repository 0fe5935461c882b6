/* Socket options. Most are only kept: what they ask for has no meaning on a pair of ends, or is so already. Those that
 * matter to the switch are its flags; on a TCP socket of the host's a few are set for real. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

enum option_kind {
	KEPT,      /* an int */
	KEPT_BOOL,
	ON_HOST,   /* a boolean that a TCP socket of the host's gets as well */
	ON_HOST_INT,
	IGNORED,   /* of any length, never read */
	MEMBER,    /* multicast: there is none */
};

/* The place here is the place in ksocket.options. */
static const struct option {
	uint16_t level, name;
	uint8_t kind;
	uint8_t net_flag;
	int initial;
} table[] = {
	{ SOL_SOCKET, SO_REUSEADDR, KEPT_BOOL, NET_REUSE_ADDRESS, 0 },
	{ SOL_SOCKET, SO_REUSEPORT, KEPT_BOOL, NET_REUSE_PORT, 0 },
	{ SOL_SOCKET, SO_BROADCAST, KEPT_BOOL, NET_BROADCAST, 0 },
	{ SOL_SOCKET, SO_KEEPALIVE, ON_HOST, 0, 0 },
	{ SOL_SOCKET, SO_OOBINLINE, KEPT_BOOL, 0, 0 },
	{ SOL_SOCKET, SO_DONTROUTE, KEPT_BOOL, 0, 0 },
	{ SOL_SOCKET, SO_SNDBUF, KEPT, 0, 212992 },
	{ SOL_SOCKET, SO_RCVBUF, KEPT, 0, 212992 },
	{ SOL_SOCKET, SO_PRIORITY, KEPT, 0, 0 },
	{ SOL_SOCKET, SO_RCVLOWAT, KEPT, 0, 1 },
	{ SOL_SOCKET, SO_PASSCRED, KEPT_BOOL, 0, 0 },
	{ SOL_SOCKET, SO_TIMESTAMP, KEPT_BOOL, 0, 0 },
	{ SOL_SOCKET, 63 /* SO_TIMESTAMP_NEW */, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IP, IP_TOS, KEPT, 0, 0 },
	{ IPPROTO_IP, IP_TTL, KEPT, 0, 64 },
	{ IPPROTO_IP, IP_RECVTTL, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IP, IP_PKTINFO, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IP, IP_MTU_DISCOVER, KEPT, 0, 1 },
	{ IPPROTO_IP, IP_RECVERR, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IP, IP_FREEBIND, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IP, IP_MULTICAST_TTL, KEPT, 0, 1 },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, KEPT, 0, 1 },
	{ IPPROTO_IP, IP_MULTICAST_IF, IGNORED, 0, 0 },
	{ IPPROTO_IP, IP_ADD_MEMBERSHIP, MEMBER, 0, 0 },
	{ IPPROTO_IP, IP_DROP_MEMBERSHIP, MEMBER, 0, 0 },
	{ IPPROTO_IPV6, IPV6_V6ONLY, KEPT_BOOL, NET_V6_ONLY, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, KEPT, 0, 64 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, KEPT, 0, 1 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, KEPT, 0, 1 },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, KEPT_BOOL, 0, 0 },
	{ IPPROTO_IPV6, IPV6_TCLASS, KEPT, 0, 0 },
	{ IPPROTO_IPV6, IPV6_CHECKSUM, KEPT, 0, -1 },
	{ IPPROTO_IPV6, IPV6_JOIN_GROUP, MEMBER, 0, 0 },
	{ IPPROTO_IPV6, IPV6_LEAVE_GROUP, MEMBER, 0, 0 },
	{ SOL_RAW, 1 /* ICMP_FILTER */, IGNORED, 0, 0 },
	{ SOL_RAW, IPV6_CHECKSUM, KEPT, 0, 0 },
	{ IPPROTO_ICMPV6, 1 /* ICMPV6_FILTER */, IGNORED, 0, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, ON_HOST, 0, 0 },
	{ IPPROTO_TCP, TCP_CORK, ON_HOST, 0, 0 },
	{ IPPROTO_TCP, TCP_KEEPIDLE, ON_HOST_INT, 0, 7200 },
	{ IPPROTO_TCP, TCP_KEEPINTVL, ON_HOST_INT, 0, 75 },
	{ IPPROTO_TCP, TCP_KEEPCNT, ON_HOST_INT, 0, 9 },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, ON_HOST_INT, 0, 0 },
	{ IPPROTO_TCP, TCP_QUICKACK, KEPT_BOOL, 0, 1 },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, KEPT, 0, 0 },
	{ IPPROTO_TCP, TCP_MAXSEG, KEPT, 0, 1460 },
	{ IPPROTO_TCP, TCP_SYNCNT, KEPT, 0, 6 },
};

enum { TABLE = sizeof(table) / sizeof(table[0]) };
_Static_assert(TABLE <= (int)SOCKET_OPTIONS, "ksocket has a place for each");

void options_init(struct ksocket *s)
{
	for (int i = 0; i < TABLE; i++)
		s->options[i] = table[i].initial;
}

void options_apply(int fd, const struct ksocket *s)
{
	for (int i = 0; i < 2; i++)
		if (s->timeout[i].tv_sec || s->timeout[i].tv_usec)
			setsockopt(fd, SOL_SOCKET, i ? SO_SNDTIMEO : SO_RCVTIMEO, &s->timeout[i], sizeof(s->timeout[i]));
	if (!s->is_host_tcp)
		return;
	if (s->linger.l_onoff)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &s->linger, sizeof(s->linger));
	for (int i = 0; i < TABLE; i++)
		if ((table[i].kind == ON_HOST || table[i].kind == ON_HOST_INT) && s->options[i] != table[i].initial)
			setsockopt(fd, table[i].level, table[i].name, &s->options[i], sizeof(int));
}

/* Does this kind of socket have options of that level? */
static bool has_level(const struct ksocket *s, int level)
{
	switch (level) {
	case SOL_SOCKET: return true;
	case IPPROTO_IP: return s->domain == AF_INET || s->domain == AF_INET6;
	case IPPROTO_IPV6: return s->domain == AF_INET6;
	case IPPROTO_TCP: return s->domain != AF_UNIX && s->type == SOCK_STREAM;
	case SOL_RAW: return s->type == SOCK_RAW && s->domain != AF_NETLINK;
	case IPPROTO_ICMPV6: return s->protocol == IPPROTO_ICMPV6;
	case 270: return s->domain == AF_NETLINK;
	default: return false;
	}
}

static int find(int level, int name)
{
	for (int i = 0; i < TABLE; i++)
		if (table[i].level == level && table[i].name == name)
			return i;
	return -1;
}

/* ---- setting ---- */

static int64_t set_timeout(int fd, struct ksocket *s, int which, uint64_t addr, uint32_t len)
{
	struct timeval tv;

	if (len < sizeof(tv))
		return -EINVAL;
	if (copy_in(&tv, addr, sizeof(tv)) < 0)
		return -EFAULT;
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		tv = (struct timeval){ 0, 1 };
	s->timeout[which] = tv;
	return setsockopt(fd, SOL_SOCKET, which ? SO_SNDTIMEO : SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

static int64_t set_linger(int fd, struct ksocket *s, uint64_t addr, uint32_t len)
{
	if (len < sizeof(s->linger))
		return -EINVAL;
	if (copy_in(&s->linger, addr, sizeof(s->linger)) < 0)
		return -EFAULT;
	if (s->is_host_tcp)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &s->linger, sizeof(s->linger));
	return 0;
}

static int64_t set_known(int fd, struct ksocket *s, int i, uint64_t addr, uint32_t len)
{
	const struct option *o = &table[i];
	int value = 0;

	if (o->kind == IGNORED)
		return 0;
	if (o->kind == MEMBER)
		return -ENODEV;
	if (len < sizeof(value) && !(o->level == IPPROTO_IP && len >= 1))
		return -EINVAL;
	if (copy_in(&value, addr, len < sizeof(value) ? 1 : sizeof(value)) < 0)
		return -EFAULT;
	if (o->kind == KEPT_BOOL || o->kind == ON_HOST)
		value = value != 0;
	if (o->level == SOL_SOCKET && (o->name == SO_SNDBUF || o->name == SO_RCVBUF)) {
		value = value < 1152 ? 2304 : value > 212992 ? 425984 : 2 * value;
	}
	s->options[i] = value;
	s->flags = value ? s->flags | o->net_flag : s->flags & ~(uint32_t)o->net_flag;
	if (s->is_host_tcp && (o->kind == ON_HOST || o->kind == ON_HOST_INT) &&
	    setsockopt(fd, o->level, o->name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

SYS(setsockopt)
{
	int fd = (int)a[0], level = (int)a[1], name = (int)a[2], i;
	uint32_t len = (uint32_t)a[4];
	struct ksocket *s;
	int r = socket_get(fd, &s);

	if (r < 0)
		return r;
	if ((int32_t)len < 0)
		return -EINVAL;
	if (!has_level(s, level))
		return level == IPPROTO_TCP || s->domain == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (level == 270) /* SOL_NETLINK: what they ask for never happens */
		return 0;
	if (level == SOL_SOCKET) {
		switch (name) {
		case SO_RCVTIMEO:
		case 66: return set_timeout(fd, s, 0, a[3], len);
		case SO_SNDTIMEO:
		case 67: return set_timeout(fd, s, 1, a[3], len);
		case SO_LINGER: return set_linger(fd, s, a[3], len);
		case SO_BINDTODEVICE:
		case SO_MARK:
		case SO_SNDBUFFORCE:
		case SO_RCVBUFFORCE: return -EPERM;
		}
	}
	i = find(level, name);
	return i < 0 ? -ENOPROTOOPT : set_known(fd, s, i, a[3], len);
}

/* ---- asking ---- */

struct answer {
	unsigned char bytes[sizeof(struct tcp_info)];
	uint32_t len;
};

static void put(struct answer *out, const void *data, size_t len)
{
	memcpy(out->bytes, data, len);
	out->len = (uint32_t)len;
}

static void put_int(struct answer *out, int value)
{
	put(out, &value, sizeof(value));
}

/* Also how a program learns how its connect has ended. */
static int pending_error(int fd, struct ksocket *s)
{
	int r = 0;

	if (s->state == SOCKET_CONNECTING) {
		r = socket_settle(fd, s, false);
		return r == -EINPROGRESS || r == -EINTR ? 0 : -r;
	}
	r = socket_host_error(fd, s);
	return -r;
}

static int get_of_socket(int fd, struct ksocket *s, int name, struct answer *out)
{
	switch (name) {
	case SO_TYPE: put_int(out, s->type); return 0;
	case SO_DOMAIN: put_int(out, s->domain); return 0;
	case SO_PROTOCOL: put_int(out, s->protocol); return 0;
	case SO_ERROR: put_int(out, pending_error(fd, s)); return 0;
	case SO_ACCEPTCONN: put_int(out, s->state == SOCKET_LISTENING); return 0;
	case SO_LINGER: put(out, &s->linger, sizeof(s->linger)); return 0;
	case SO_RCVTIMEO:
	case 66: put(out, &s->timeout[0], sizeof(s->timeout[0])); return 0;
	case SO_SNDTIMEO:
	case 67: put(out, &s->timeout[1], sizeof(s->timeout[1])); return 0;
	case SO_SNDLOWAT: put_int(out, 1); return 0;
	case SO_PEERCRED:
		if (s->domain == AF_UNIX && s->state == SOCKET_CONNECTED)
			put(out, &s->peer_cred, sizeof(s->peer_cred));
		else
			put(out, &(struct ucred){ 0, (uid_t)-1, (gid_t)-1 }, sizeof(struct ucred));
		return 0;
	default: return -ENOPROTOOPT;
	}
}

/* Only whether it is connected: the rest of a pair of ends has no figures. */
static void put_tcp_info(const struct ksocket *s, struct answer *out)
{
	static const uint8_t states[] = { TCP_CLOSE, TCP_CLOSE, TCP_LISTEN, TCP_SYN_SENT, TCP_ESTABLISHED };
	struct tcp_info info = { .tcpi_state = states[s->state], .tcpi_snd_mss = 1460, .tcpi_rcv_mss = 1460 };

	put(out, &info, sizeof(info));
}

static int get(int fd, struct ksocket *s, int level, int name, struct answer *out)
{
	int i = find(level, name), r = -ENOPROTOOPT;

	if (!has_level(s, level))
		return level == IPPROTO_TCP || s->domain == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
	if (level == SOL_SOCKET)
		r = get_of_socket(fd, s, name, out);
	if (r != -ENOPROTOOPT)
		return r;
	if (level == IPPROTO_TCP && name == TCP_INFO) {
		put_tcp_info(s, out);
		return 0;
	}
	if (level == IPPROTO_IP && name == IP_MTU) {
		put_int(out, 1500);
		return s->is_peer_set || s->state == SOCKET_CONNECTED ? 0 : -ENOTCONN;
	}
	if (i < 0 || table[i].kind == MEMBER || table[i].kind == IGNORED)
		return -ENOPROTOOPT;
	put_int(out, s->options[i]);
	return 0;
}

SYS(getsockopt)
{
	struct answer out = { .len = 0 };
	struct ksocket *s;
	uint32_t len;
	int r = socket_get((int)a[0], &s);

	if (r < 0)
		return r;
	if (copy_in(&len, a[4], sizeof(len)) < 0)
		return -EFAULT;
	if ((int32_t)len < 0)
		return -EINVAL;
	r = get((int)a[0], s, (int)a[1], (int)a[2], &out);
	if (r < 0)
		return r;
	if (len > out.len)
		len = out.len;
	if (copy_out(a[4], &len, sizeof(len)) < 0 || (len && copy_out(a[3], out.bytes, len) < 0))
		return -EFAULT;
	return 0;
}
