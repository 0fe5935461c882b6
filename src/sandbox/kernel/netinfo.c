/* The interfaces as ioctl tells of them. Nothing of them can be set. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

/* struct ifreq of the x32 ABI: the union is of 16 bytes; struct ifconf is two words. */
struct guest_ifreq {
	char name[16];
	union {
		struct sockaddr_in address;
		struct sockaddr hardware;
		int16_t flags;
		int32_t value;
		unsigned char bytes[16];
	} u;
};
_Static_assert(sizeof(struct guest_ifreq) == 32, "as the guest has it");

int netinfo_interfaces(struct net_interface **ret, size_t *ret_n)
{
	int r = switch_rows(NET_INTERFACES, sizeof(**ret), (void **)ret, ret_n);

	for (size_t i = 0; r == 0 && i < *ret_n; i++)
		(*ret)[i].name[15] = '\0';
	return r;
}

int netinfo_routes(struct net_route **ret, size_t *ret_n)
{
	return switch_rows(NET_ROUTES, sizeof(**ret), (void **)ret, ret_n);
}

static uint32_t mask_of(uint8_t prefix)
{
	return prefix && prefix <= 32 ? htonl(UINT32_MAX << (32 - prefix)) : 0;
}

static void put_address(struct guest_ifreq *req, uint32_t address)
{
	memset(&req->u, 0, sizeof(req->u));
	req->u.address.sin_family = AF_INET;
	req->u.address.sin_addr.s_addr = address;
}

static uint32_t address_of(const struct net_interface *i)
{
	uint32_t v;

	memcpy(&v, i->ip4, 4);
	return v;
}

static int64_t list(uint64_t arg)
{
	struct net_interface *rows;
	uint32_t conf[2], done = 0;
	size_t n;
	int64_t r;

	if (copy_in(conf, arg, sizeof(conf)) < 0)
		return -EFAULT;
	r = netinfo_interfaces(&rows, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct guest_ifreq req = { .name = "" };

		if (!rows[i].ip4_prefix)
			continue;
		memcpy(req.name, rows[i].name, sizeof(req.name));
		put_address(&req, address_of(&rows[i]));
		if (conf[1] && conf[0] < done + sizeof(req))
			break;
		if (conf[1] && copy_out(conf[1] + (uint64_t)done, &req, sizeof(req)) < 0)
			r = -EFAULT;
		done += sizeof(req);
	}
	if (r < 0)
		return r;
	free(rows);
	conf[0] = done;
	return copy_out(arg, conf, sizeof(conf));
}

static int answer(uint32_t request, const struct net_interface *i, struct guest_ifreq *req)
{
	uint32_t mask = mask_of(i->ip4_prefix);
	bool has_address = i->ip4_prefix != 0;

	switch (request) {
	case SIOCGIFADDR: put_address(req, address_of(i)); return has_address ? 0 : -EADDRNOTAVAIL;
	case SIOCGIFNETMASK: put_address(req, mask); return has_address ? 0 : -EADDRNOTAVAIL;
	case SIOCGIFBRDADDR:
		put_address(req, (i->flags & IFF_LOOPBACK) ? 0 : address_of(i) | ~mask);
		return has_address ? 0 : -EADDRNOTAVAIL;
	case SIOCGIFDSTADDR: put_address(req, address_of(i)); return has_address ? 0 : -EADDRNOTAVAIL;
	case SIOCGIFFLAGS: req->u.flags = (int16_t)i->flags; return 0;
	case SIOCGIFMTU: req->u.value = (int32_t)i->mtu; return 0;
	case SIOCGIFINDEX: req->u.value = (int32_t)i->index; return 0;
	case SIOCGIFMETRIC: req->u.value = 0; return 0;
	case SIOCGIFTXQLEN: req->u.value = 1000; return 0;
	case SIOCGIFHWADDR:
		memset(&req->u, 0, sizeof(req->u));
		req->u.hardware.sa_family = (i->flags & IFF_LOOPBACK) ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
		memcpy(req->u.hardware.sa_data, i->mac, 6);
		return 0;
	default: return -ENOTTY;
	}
}

static int64_t ask(uint32_t request, uint64_t arg)
{
	struct net_interface *rows;
	struct guest_ifreq req;
	size_t n;
	int64_t r;

	if (copy_in(&req, arg, sizeof(req)) < 0)
		return -EFAULT;
	req.name[15] = '\0';
	r = netinfo_interfaces(&rows, &n);
	if (r < 0)
		return r;
	r = -ENODEV;
	for (size_t i = 0; i < n; i++) {
		bool is_meant = request == SIOCGIFNAME ? (int32_t)rows[i].index == req.u.value :
							 strncmp(req.name, rows[i].name, 15) == 0;

		if (!is_meant)
			continue;
		memcpy(req.name, rows[i].name, sizeof(req.name));
		r = request == SIOCGIFNAME ? 0 : answer(request, &rows[i], &req);
		break;
	}
	free(rows);
	return r == 0 ? copy_out(arg, &req, sizeof(req)) : r;
}

int64_t netinfo_ioctl(uint32_t request, uint64_t arg)
{
	int32_t no = 0;

	switch (request) {
	case SIOCGIFCONF: return list(arg);
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN: return ask(request, arg);
	case SIOCGIFMAP: return -EOPNOTSUPP;
	case SIOCATMARK: return copy_out(arg, &no, sizeof(no));
	case SIOCADDRT:
	case SIOCDELRT:
	case SIOCSIFFLAGS:
	case SIOCSIFADDR:
	case SIOCSIFDSTADDR:
	case SIOCSIFBRDADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFMETRIC:
	case SIOCSIFMTU:
	case SIOCSIFNAME:
	case SIOCSIFHWADDR:
	case SIOCSIFMAP:
	case SIOCSIFTXQLEN:
	case SIOCSARP:
	case SIOCDARP: return -EPERM;
	case SIOCGARP: return -ENXIO;
	default: return -ENOTTY;
	}
}
