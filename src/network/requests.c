/* The net socket of a container's workers: what they ask is read, checked and answered. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"

struct door {
	struct list link;
	struct netns *ns;
	struct net_watch *watch;
};

/* ---- checking ---- */

static bool is_kind(const struct net_request *req)
{
	switch (req->domain) {
	case AF_INET:
	case AF_INET6:
		if (req->type == SOCK_STREAM)
			return req->protocol == IPPROTO_TCP;
		if (req->type == SOCK_DGRAM && req->protocol == IPPROTO_UDP)
			return true;
		return (req->type == SOCK_DGRAM || req->type == SOCK_RAW) &&
		       req->protocol == (req->domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	case AF_UNIX:
		return req->protocol == 0 &&
		       (req->type == SOCK_STREAM || req->type == SOCK_DGRAM || req->type == SOCK_SEQPACKET);
	default: return false;
	}
}

static bool is_address(const struct net_address *a, uint32_t domain)
{
	if (a->family == 0)
		return true;
	if (a->family != domain || a->path_len > sizeof a->path)
		return false;
	return domain != AF_INET || net_ip_is_v4(a->ip) || net_ip_is_any(a->ip);
}

static int check(struct net_request *req)
{
	if (req->op == NET_SOCKETS || req->op == NET_INTERFACES || req->op == NET_ROUTES || req->op == NET_NAME)
		return 0;
	if (req->protocol == 0 && req->domain != AF_UNIX && (req->type == SOCK_STREAM || req->type == SOCK_DGRAM))
		req->protocol = req->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	if (!is_kind(req))
		return -EPROTONOSUPPORT;
	if (!is_address(&req->local, req->domain) || !is_address(&req->peer, req->domain))
		return -EINVAL;
	return 0;
}

int address_resolve_file(struct net_address *a, int file_fd)
{
	struct stat st;
	int flags;

	if (a->family != AF_UNIX)
		return 0;
	a->dev = a->ino = 0;
	if (a->path_len == 0 || a->path[0] == '\0')
		return 0;
	flags = file_fd < 0 ? -1 : fcntl(file_fd, F_GETFL);
	if (flags < 0 || flags & O_PATH || fstat(file_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino == 0)
		return -EINVAL;
	a->dev = st.st_dev;
	a->ino = st.st_ino;
	return 0;
}

/* ---- serving ---- */

static int serve_open(struct netns *ns, const struct net_request *req, struct net_reply *ret, int *ret_fd)
{
	struct net_socket *s;
	int r;

	if (req->type == SOCK_STREAM || req->type == SOCK_SEQPACKET)
		return -EINVAL;
	r = socket_new(ns, req, ret_fd, &s);
	if (r == 0)
		ret->socket_id = s->id;
	return r;
}

/* The socket that a request means, or a new one: *ret_is_new. */
static int request_socket(struct netns *ns, const struct net_request *req, int *ret_fd, struct net_socket **ret, bool *ret_is_new)
{
	*ret_is_new = req->socket_id == 0;
	if (req->socket_id == 0)
		return socket_new(ns, req, ret_fd, ret);
	*ret = socket_find(ns, req->socket_id);
	if (!*ret)
		return -EBADF;
	if ((*ret)->domain != req->domain || (*ret)->type != req->type || (*ret)->protocol != req->protocol)
		return -EINVAL;
	return 0;
}

static int serve_bind(struct netns *ns, const struct net_request *req, struct net_reply *ret, int *ret_fd)
{
	struct net_socket *s;
	bool is_new;
	int r = request_socket(ns, req, ret_fd, &s, &is_new);

	if (r < 0)
		return r;
	s->flags = req->flags;
	s->uid = req->uid;
	if (req->op == NET_BIND)
		r = req->local.family ? socket_bind(s, &req->local) : -EINVAL;
	else
		r = socket_listen(s, req->value);
	if (r < 0) {
		if (is_new) {
			socket_free(s);
			close(*ret_fd);
			*ret_fd = -1;
		}
		return r;
	}
	ret->socket_id = s->id;
	ret->local = s->local;
	return 0;
}

static int serve_name(struct netns *ns, const struct net_request *req, struct net_reply *ret)
{
	struct net_socket *s = socket_find(ns, req->socket_id);

	if (!s)
		return -EBADF;
	ret->socket_id = s->id;
	ret->local = s->local;
	ret->peer = s->peer;
	return 0;
}

static int serve_datagram_connect(struct netns *ns, const struct net_request *req, struct net_reply *ret)
{
	struct net_socket *s = socket_find(ns, req->socket_id);
	int r;

	if (!s)
		return -EBADF;
	if (s->domain != req->domain || s->type != req->type || s->protocol != req->protocol)
		return -EINVAL;
	s->flags = req->flags;
	r = datagram_connect(s, &req->peer);
	ret->socket_id = s->id;
	ret->local = s->local;
	ret->peer = s->peer;
	return r;
}

static int serve_table(struct netns *ns, uint32_t op, struct net_reply *ret, int *ret_fd)
{
	int fd = op == NET_SOCKETS ? table_sockets(ns, &ret->count) :
		 op == NET_ROUTES  ? table_routes(ns, &ret->count) :
				     table_interfaces(ns, &ret->count);

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

bool request_serve(struct netns *ns, struct net_request *req, size_t len, int reply_fd, int file_fd,
		   struct net_reply *ret, int *ret_fd)
{
	*ret = (struct net_reply){ .epoch = netns_epoch(ns) };
	*ret_fd = -1;
	ret->result = len == sizeof *req ? check(req) : -EINVAL;
	if (ret->result == 0 && (req->op == NET_CONNECT || req->op == NET_BIND))
		ret->result = address_resolve_file(req->op == NET_CONNECT ? &req->peer : &req->local, file_fd);
	if (ret->result < 0)
		return true;
	switch (req->op) {
	case NET_OPEN: ret->result = serve_open(ns, req, ret, ret_fd); break;
	case NET_BIND:
	case NET_LISTEN: ret->result = serve_bind(ns, req, ret, ret_fd); break;
	case NET_CONNECT:
		if (req->type == SOCK_STREAM || req->type == SOCK_SEQPACKET)
			return connect_stream(ns, req, reply_fd, ret, ret_fd);
		ret->result = serve_datagram_connect(ns, req, ret);
		break;
	case NET_CHECK: ret->result = connect_check(ns, &req->local, &req->peer); break;
	case NET_NAME: ret->result = serve_name(ns, req, ret); break;
	case NET_SOCKETS:
	case NET_INTERFACES:
	case NET_ROUTES: ret->result = serve_table(ns, req->op, ret, ret_fd); break;
	default: ret->result = -EOPNOTSUPP;
	}
	return true;
}

/* ---- the door ---- */

static void door_free(struct door *d)
{
	list_remove(&d->link);
	net_watch_free(d->watch);
	free(d);
}

/* False: nothing more to read now. */
static bool door_serve_one(struct door *d)
{
	struct net_request req = { 0 };
	struct iovec iov = { &req, sizeof req };
	struct net_reply reply;
	int fds[2], fd;
	ssize_t n = net_receive(net_watch_fd(d->watch), &iov, 1, fds, 2);

	if (n < 0)
		return false;
	if (n == 0 && fds[0] < 0)
		return false;
	if (fds[0] >= 0 && request_serve(d->ns, &req, (size_t)n, fds[0], fds[1], &reply, &fd)) {
		iov = (struct iovec){ &reply, sizeof reply };
		net_send(fds[0], &iov, 1, fd);
		if (fd >= 0)
			close(fd);
		net_close_foreign(fds[0]);
	}
	net_close_foreign(fds[1]);
	return true;
}

static void on_door(void *arg, int events)
{
	struct door *d = arg;

	if (events & UV_READABLE) {
		for (int i = 0; i < TURN_MAX; i++) {
			if (!door_serve_one(d))
				break;
		}
	}
	if (events & UV_DISCONNECT || net_is_hung_up(net_watch_fd(d->watch)))
		door_free(d);
}

int netns_open_door(struct netns *ns)
{
	struct door *d;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	d = xnew(struct door);
	d->ns = ns;
	d->watch = net_watch_new(ns->sw->loop, fds[0], UV_READABLE | UV_DISCONNECT, on_door, d);
	if (!d->watch) {
		free(d);
		close(fds[1]);
		return -ENOMEM;
	}
	list_append(&ns->doors, &d->link);
	return fds[1];
}

void netns_close_doors(struct netns *ns)
{
	list_for_each_safe(it, &ns->doors)
		door_free(container_of(it, struct door, link));
}
