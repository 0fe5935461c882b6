/* What the daemon itself serves in a namespace: a listener without a guest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "network/internal.h"
#include "util/alloc.h"

struct net_service {
	struct netns *ns;
	struct net_socket *socket;
	void (*on_connection)(void *arg, int take_fd, const struct net_arrival *from);
	void (*on_datagram)(void *arg, const struct net_address *from, const void *data, size_t len);
	void *arg;
};

static void on_service(void *arg, int take_fd, const struct net_arrival *from)
{
	struct net_service *s = arg;
	int flags = fcntl(take_fd, F_GETFL);

	fcntl(take_fd, F_SETFL, flags | O_NONBLOCK);
	s->on_connection(s->arg, take_fd, from);
}

static void on_service_datagram(void *arg, const struct net_address *from, const void *data, size_t len)
{
	struct net_service *s = arg;

	s->on_datagram(s->arg, from, data, len);
}

/* A socket on the wildcard, of both families. */
static int open_socket(struct netns *ns, uint32_t type, uint32_t protocol, uint16_t port, struct net_socket **ret,
		       struct error *err)
{
	struct net_request req = { .domain = AF_INET6, .type = type, .protocol = protocol };
	struct net_address any = { .family = AF_INET6, .port = port };
	struct net_socket *s;
	int r = ns->mode == NETNS_HOST ? -EOPNOTSUPP : socket_new(ns, &req, NULL, &s);

	if (r == 0) {
		r = socket_bind(s, &any);
		if (r == 0 && type == SOCK_STREAM)
			r = socket_listen(s, 0);
		if (r < 0)
			socket_free(s);
	}
	if (r < 0)
		return error_set(err, r, "serve port %u: %s", port, strerror(-r));
	*ret = s;
	return 0;
}

static struct net_service *service_new(struct netns *ns, struct net_socket *socket, void *arg)
{
	struct net_service *s = xnew(struct net_service);

	s->ns = netns_ref(ns);
	s->socket = socket;
	s->arg = arg;
	socket->on_connection = on_service;
	socket->on_datagram = on_service_datagram;
	socket->arg = s;
	return s;
}

int netns_serve(struct netns *ns, uint16_t port, void (*on_connection)(void *arg, int take_fd, const struct net_arrival *from),
		void *arg, struct net_service **ret, struct error *err)
{
	struct net_socket *socket;
	int r = open_socket(ns, SOCK_STREAM, IPPROTO_TCP, port, &socket, err);

	if (r < 0)
		return r;
	*ret = service_new(ns, socket, arg);
	(*ret)->on_connection = on_connection;
	return 0;
}

int netns_serve_datagrams(struct netns *ns, uint16_t port,
			  void (*on_datagram)(void *arg, const struct net_address *from, const void *data, size_t len),
			  void *arg, struct net_service **ret, struct error *err)
{
	struct net_socket *socket;
	int r = open_socket(ns, SOCK_DGRAM, IPPROTO_UDP, port, &socket, err);

	if (r < 0)
		return r;
	*ret = service_new(ns, socket, arg);
	(*ret)->on_datagram = on_datagram;
	return 0;
}

void net_service_answer(struct net_service *s, const struct net_address *to, const void *data, size_t len)
{
	datagram_answer(s->socket, to, data, len);
}

size_t netns_share(const struct netns *ns)
{
	return ns->sw->sockets_max;
}

void net_service_free(struct net_service *s)
{
	if (!s)
		return;
	socket_free(s->socket);
	netns_unref(s->ns);
	free(s);
}
