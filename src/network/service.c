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
	void *arg;
};

static void on_service(void *arg, int take_fd, const struct net_arrival *from)
{
	struct net_service *s = arg;
	int flags = fcntl(take_fd, F_GETFL);

	fcntl(take_fd, F_SETFL, flags | O_NONBLOCK);
	s->on_connection(s->arg, take_fd, from);
}

int netns_serve(struct netns *ns, uint16_t port, void (*on_connection)(void *arg, int take_fd, const struct net_arrival *from),
		void *arg, struct net_service **ret, struct error *err)
{
	struct net_request req = { .domain = AF_INET6, .type = SOCK_STREAM, .protocol = IPPROTO_TCP };
	struct net_address any = { .family = AF_INET6, .port = port };
	struct net_service *s;
	struct net_socket *socket;
	int r = ns->mode == NETNS_HOST ? -EOPNOTSUPP : socket_new(ns, &req, NULL, &socket);

	if (r == 0) {
		r = socket_bind(socket, &any);
		if (r == 0)
			r = socket_listen(socket, 0);
		if (r < 0)
			socket_free(socket);
	}
	if (r < 0)
		return error_set(err, r, "serve port %u: %s", port, strerror(-r));
	s = xnew(struct net_service);
	s->ns = netns_ref(ns);
	s->socket = socket;
	s->on_connection = on_connection;
	s->arg = arg;
	socket->on_connection = on_service;
	socket->arg = s;
	*ret = s;
	return 0;
}

void net_service_free(struct net_service *s)
{
	if (!s)
		return;
	socket_free(s->socket);
	netns_unref(s->ns);
	free(s);
}
