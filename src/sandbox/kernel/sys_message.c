/* sendto, recvfrom, sendmsg, recvmsg and their like: the guest's structures in and out. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "sandbox/kernel/socket.h"

enum { IOV_GUEST_MAX = 1024, CONTROL_MAX = 4096 };

/* struct msghdr with 32-bit pointers, and of sendmmsg with a length behind it. */
struct guest_message {
	uint32_t name;
	uint32_t name_len;
	uint32_t iov;
	int32_t iov_len;
	uint32_t control;
	uint32_t control_len;
	int32_t flags;
};

struct guest_control {
	uint32_t len;
	int32_t level, type;
};

/* A destination, if one is given: NULL in *ret_to without. */
static int get_name(const struct ksocket *s, uint64_t addr, uint32_t len, struct net_address *a,
		    const struct net_address **ret_to)
{
	unsigned char raw[SOCKADDR_MAX];
	int r;

	*ret_to = NULL;
	if (!(addr & UINT32_MAX) || len == 0 || s->domain == AF_NETLINK)
		return 0;
	if (len > sizeof(raw))
		return -EINVAL;
	if (copy_in(raw, addr, len) < 0)
		return -EFAULT;
	if (socket_is_stream(s) && s->domain != AF_UNIX)
		return 0; /* TCP does not look at it */
	r = address_parse(s->domain, raw, len, a);
	if (r == 0)
		*ret_to = a;
	return r;
}

static int copy_in_vector(struct iovec *v, uint64_t addr, int32_t n)
{
	uint32_t raw[IOV_GUEST_MAX][2];

	if (n < 0 || n > IOV_GUEST_MAX)
		return -EMSGSIZE;
	if (n && copy_in(raw, addr, (size_t)n * sizeof(raw[0])) < 0)
		return -EFAULT;
	for (int32_t i = 0; i < n; i++) {
		v[i].iov_len = raw[i][1];
		v[i].iov_base = guest_ptr(raw[i][0], raw[i][1]);
		if (!v[i].iov_base && v[i].iov_len)
			return -EFAULT;
	}
	return 0;
}

/* Where a message came from; a stream does not say. */
static int put_name(const struct ksocket *s, const struct net_address *from, uint64_t addr, uint32_t have, uint32_t *ret_len)
{
	unsigned char raw[SOCKADDR_MAX];
	uint32_t len = from->family ? (uint32_t)address_print(s->domain, from, raw) : 0;

	if (s->domain == AF_UNIX && from->path_len == 0)
		len = 0;
	if (have > len)
		have = len;
	*ret_len = len;
	return have && copy_out(addr, raw, have) < 0 ? -EFAULT : 0;
}

/* ---- sendto, recvfrom ---- */

SYS(sendto)
{
	uint64_t len = a[2] & UINT32_MAX;
	struct iovec iov = { guest_ptr(a[1], len), len };
	const struct net_address *to;
	struct net_address address;
	struct ksocket *s;
	int r = socket_get((int)a[0], &s);

	if (r < 0)
		return r;
	if (!iov.iov_base && len)
		return -EFAULT;
	r = get_name(s, a[4], (uint32_t)a[5], &address, &to);
	return r < 0 ? r : socket_send((int)a[0], s, &iov, 1, (int)a[3], to);
}

SYS(recvfrom)
{
	uint64_t len = a[2] & UINT32_MAX;
	struct iovec iov = { guest_ptr(a[1], len), len };
	struct net_address from;
	struct ksocket *s;
	uint32_t have = 0;
	int r = socket_get((int)a[0], &s), flags;
	int64_t n;

	if (r < 0)
		return r;
	if (!iov.iov_base && len)
		return -EFAULT;
	if ((a[4] & UINT32_MAX) && copy_in(&have, a[5], sizeof(have)) < 0)
		return -EFAULT;
	if ((int32_t)have < 0)
		return -EINVAL;
	n = socket_receive((int)a[0], s, &iov, 1, (int)a[3], &from, &flags);
	if (n < 0 || !(a[4] & UINT32_MAX))
		return n;
	r = put_name(s, &from, a[4], have, &have);
	return r < 0 || copy_out(a[5], &have, sizeof(have)) < 0 ? -EFAULT : n;
}

/* ---- sendmsg, recvmsg ---- */

/* Descriptors are not passed between guests, which is said; other companions of a message only ask for what is so. */
static int check_control(const struct guest_message *m)
{
	struct guest_control c;
	uint32_t at = 0;

	if (m->control_len > CONTROL_MAX)
		return -ENOBUFS;
	while (m->control_len - at >= sizeof(c)) {
		if (copy_in(&c, m->control + (uint64_t)at, sizeof(c)) < 0)
			return -EFAULT;
		if (c.len < sizeof(c) || c.len > m->control_len - at)
			return -EINVAL;
		if (c.level == SOL_SOCKET && c.type == SCM_RIGHTS)
			return -EOPNOTSUPP;
		at += (c.len + 3) & ~3u;
		if (at > m->control_len)
			break;
	}
	return 0;
}

static int64_t send_message(int fd, struct ksocket *s, const struct guest_message *m, int flags)
{
	struct iovec v[IOV_GUEST_MAX];
	const struct net_address *to;
	struct net_address address;
	int r = copy_in_vector(v, m->iov, m->iov_len);

	if (r == 0)
		r = get_name(s, m->name, m->name_len, &address, &to);
	if (r == 0 && m->control)
		r = check_control(m);
	return r < 0 ? r : socket_send(fd, s, v, (size_t)m->iov_len, flags, to);
}

static int64_t receive_message(int fd, struct ksocket *s, struct guest_message *m, int flags)
{
	struct iovec v[IOV_GUEST_MAX];
	struct net_address from;
	uint32_t name_len = 0;
	int r = copy_in_vector(v, m->iov, m->iov_len), out_flags;
	int64_t n;

	if (r < 0)
		return r;
	if (m->name && (int32_t)m->name_len < 0)
		return -EINVAL;
	n = socket_receive(fd, s, v, (size_t)m->iov_len, flags, &from, &out_flags);
	if (n < 0)
		return n;
	if (m->name && put_name(s, &from, m->name, m->name_len, &name_len) < 0)
		return -EFAULT;
	m->name_len = name_len;
	m->control_len = 0;
	m->flags = out_flags;
	return n;
}

SYS(sendmsg)
{
	struct guest_message m;
	struct ksocket *s;
	int r = socket_get((int)a[0], &s);

	if (r < 0)
		return r;
	return copy_in(&m, a[1], sizeof(m)) < 0 ? -EFAULT : send_message((int)a[0], s, &m, (int)a[2]);
}

SYS(recvmsg)
{
	struct guest_message m;
	struct ksocket *s;
	int r = socket_get((int)a[0], &s);
	int64_t n;

	if (r < 0)
		return r;
	if (copy_in(&m, a[1], sizeof(m)) < 0)
		return -EFAULT;
	n = receive_message((int)a[0], s, &m, (int)a[2]);
	return n >= 0 && copy_out(a[1], &m, sizeof(m)) < 0 ? -EFAULT : n;
}

/* ---- several at once ---- */

struct guest_messages {
	struct guest_message message;
	uint32_t len;
};

static int64_t each_message(const uint64_t a[6], bool is_send)
{
	uint32_t n = a[2] & UINT32_MAX, i;
	int fd = (int)a[0], flags = (int)a[3];
	struct guest_messages m;
	struct ksocket *s;
	int64_t r = socket_get(fd, &s);

	if (r < 0)
		return r;
	if (n > IOV_GUEST_MAX)
		n = IOV_GUEST_MAX;
	for (i = 0; i < n; i++) {
		uint64_t at = (a[1] & UINT32_MAX) + i * sizeof(m);

		if (copy_in(&m, at, sizeof(m)) < 0)
			return i ? (int64_t)i : -EFAULT;
		r = is_send ? send_message(fd, s, &m.message, flags) :
			      receive_message(fd, s, &m.message, flags & ~MSG_WAITFORONE);
		if (r < 0)
			break;
		m.len = (uint32_t)r;
		if (copy_out(at, &m, sizeof(m)) < 0)
			return -EFAULT;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
	}
	return i ? (int64_t)i : r;
}

SYS(sendmmsg)
{
	return each_message(a, true);
}
SYS(recvmmsg)
{
	return each_message(a, false);
}
