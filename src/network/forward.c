/* Questions that are not ours, asked of the servers of --dns or of the host's resolv.conf, one after the other: by
 * UDP, and by TCP where the guest came by TCP. The daemon asks, so a server on the host's loopback is fine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/dns.h"
#include "network/internal.h"
#include "network/resolvconf.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"

#define QUERIES_MAX 128 /* of a namespace, at a time */
#define SERVERS_MAX 8
#define TIMEOUT_S 5

struct server {
	uint8_t ip[16];
	uint16_t port;
};

struct query {
	struct list of_ns;
	struct dns_asker asker;
	uint8_t *msg;
	size_t len;
	uint16_t own_id;
	struct server servers[SERVERS_MAX];
	size_t nservers, next;
	uint64_t timeout_ms;
	struct net_watch *watch;
	struct net_timer *timer;
	struct buf out, in; /* by TCP */
};

/* ---- whom to ask ---- */

/* "192.0.2.1", or "192.0.2.1#5353" for a port other than 53. */
static void add_server(struct query *q, const char *text)
{
	char ip[64];
	unsigned port = 53;
	const char *at = strchr(text, '#');
	size_t len = at ? (size_t)(at - text) : strlen(text);

	if (q->nservers == SERVERS_MAX || len >= sizeof ip)
		return;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (at && (sscanf(at + 1, "%5u", &port) != 1 || port == 0 || port > 65535))
		return;
	if (net_parse_ip(ip, q->servers[q->nservers].ip))
		q->servers[q->nservers++].port = (uint16_t)port;
}

static void add_servers_of_host(struct query *q, const struct resolvconf *host)
{
	unsigned timeout_s;
	json_t *v;
	size_t i;

	json_array_foreach(host->servers, i, v)
		add_server(q, json_string_value(v));
	json_array_foreach(host->options, i, v)
		if (sscanf(json_string_value(v), "timeout:%u", &timeout_s) == 1 && timeout_s)
			q->timeout_ms = timeout_s > 30 ? 30000 : timeout_s * 1000;
}

static void find_servers(struct query *q)
{
	struct netns *ns = q->asker.ns;

	q->timeout_ms = TIMEOUT_S * 1000;
	for (size_t i = 0; ns->dns.servers && ns->dns.servers[i]; i++)
		add_server(q, ns->dns.servers[i]);
	if (!q->nservers)
		add_servers_of_host(q, net_switch_resolvconf(ns->sw));
}

/* ---- asking ---- */

static void query_free(struct query *q)
{
	list_remove(&q->of_ns);
	q->asker.ns->ndns_queries--;
	net_watch_free(q->watch);
	net_timer_free(q->timer);
	buf_done(&q->in);
	buf_done(&q->out);
	free(q->msg);
	free(q);
}

/* The guest's own id goes back on the answer. */
static void query_done(struct query *q, uint8_t *answer, size_t len)
{
	uint8_t failure[DNS_UDP_MAX];
	struct dns_asker asker = q->asker;

	if (answer) {
		memcpy(answer, q->msg, 2);
		resolver_give(&asker, answer, len);
	} else {
		len = resolver_failure(q->msg, q->len, failure);
		if (len > 0)
			resolver_give(&asker, failure, len);
	}
	query_free(q);
}

static void ask_next(struct query *q);

static void on_timeout(void *arg)
{
	ask_next(arg);
}

static void on_udp_answer(void *arg, int events)
{
	struct query *q = arg;
	uint8_t *packet = q->asker.ns->sw->packet;
	ssize_t n = recv(net_watch_fd(q->watch), packet, NET_DATAGRAM_MAX, MSG_DONTWAIT);

	(void)events;
	if (n >= 0 && dns_is_answer(packet, (size_t)n, q->msg, q->len, q->own_id))
		query_done(q, packet, (size_t)n);
	else if (n < 0 && errno != EAGAIN)
		ask_next(q); /* refused: no need to wait */
	else
		net_watch_set(q->watch, UV_READABLE);
}

static bool tcp_flush(struct query *q)
{
	while (q->out.len > 0) {
		ssize_t n = send(net_watch_fd(q->watch), q->out.data, q->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN;
		buf_consume(&q->out, (size_t)n);
	}
	net_watch_set(q->watch, UV_READABLE);
	return true;
}

static bool tcp_take(struct query *q)
{
	char bytes[4096];
	ssize_t n = recv(net_watch_fd(q->watch), bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && buf_append(&q->in, bytes, (size_t)n) == 0;
}

static void on_tcp(void *arg, int events)
{
	struct query *q = arg;
	bool is_well = true;
	uint8_t *data;
	size_t len;

	if (events & UV_WRITABLE)
		is_well = tcp_flush(q);
	if (is_well && events & (UV_READABLE | UV_DISCONNECT))
		is_well = tcp_take(q);
	data = (uint8_t *)q->in.data;
	len = q->in.len >= 2 ? (size_t)(data[0] << 8 | data[1]) : SIZE_MAX;
	if (is_well && q->in.len < 2)
		return;
	if (is_well && q->in.len - 2 < len)
		return;
	if (is_well && dns_is_answer(data + 2, len, q->msg, q->len, q->own_id))
		query_done(q, data + 2, len);
	else
		ask_next(q);
}

static int ask_by_tcp(struct query *q, int fd)
{
	uint8_t head[2] = { (uint8_t)(q->len >> 8), (uint8_t)q->len };

	buf_reset(&q->in);
	buf_reset(&q->out);
	if (buf_append(&q->out, head, 2) < 0 || buf_append(&q->out, q->msg, q->len) < 0) {
		close(fd);
		return -ENOMEM;
	}
	dns_set_id((uint8_t *)q->out.data + 2, q->own_id);
	q->watch = net_watch_new(q->asker.ns->sw->loop, fd, UV_WRITABLE, on_tcp, q);
	return q->watch ? 0 : -ENOMEM;
}

static int ask_by_udp(struct query *q, int fd)
{
	uint8_t head[2];
	struct iovec iov[] = { { head, 2 }, { q->msg + 2, q->len - 2 } };

	dns_set_id(head, q->own_id);
	if (net_send(fd, iov, 2, -1) < 0) {
		close(fd);
		return -EIO;
	}
	q->watch = net_watch_new(q->asker.ns->sw->loop, fd, UV_READABLE, on_udp_answer, q);
	return q->watch ? 0 : -ENOMEM;
}

static int ask(struct query *q, const struct server *server)
{
	bool is_v4 = net_ip_is_v4(server->ip), is_tcp = q->asker.is_stream;
	CLEANUP(closep)
	int fd = socket(is_v4 ? AF_INET : AF_INET6, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_storage ss;
	socklen_t len = net_to_sockaddr(is_v4 ? AF_INET : AF_INET6, server->ip, server->port, 0, &ss);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS))
		return -errno;
	if (getrandom(&q->own_id, sizeof q->own_id, GRND_NONBLOCK) < 0)
		return -errno;
	return is_tcp ? ask_by_tcp(q, steal_fd(&fd)) : ask_by_udp(q, steal_fd(&fd));
}

/* False: there is nobody left to ask. */
static bool ask_somebody(struct query *q)
{
	net_watch_free(q->watch);
	q->watch = NULL;
	while (q->next < q->nservers) {
		if (ask(q, &q->servers[q->next++]) < 0)
			continue;
		net_timer_set(q->timer, q->timeout_ms);
		return true;
	}
	return false;
}

static void ask_next(struct query *q)
{
	if (!ask_somebody(q))
		query_done(q, NULL, 0);
}

int forward_query(const struct dns_asker *asker, const uint8_t *msg, size_t len)
{
	struct netns *ns = asker->ns;
	struct query *q;

	if (ns->ndns_queries >= QUERIES_MAX)
		return -EAGAIN;
	q = xnew(struct query);
	q->asker = *asker;
	q->msg = xmalloc(len);
	memcpy(q->msg, msg, len);
	q->len = len;
	q->timer = net_timer_new(ns->sw->loop, on_timeout, q);
	buf_init(&q->in, 2 * DNS_MESSAGE_MAX);
	buf_init(&q->out, 2 * DNS_EDNS_MAX);
	list_append(&ns->dns_queries, &q->of_ns);
	ns->ndns_queries++;
	find_servers(q);
	if (!ask_somebody(q))
		net_timer_set(q->timer, 1); /* the answer comes when the asker is out of our way */
	return 0;
}

void forward_cancel_all(struct netns *ns)
{
	while (!list_is_empty(&ns->dns_queries))
		query_free(container_of(ns->dns_queries.next, struct query, of_ns));
}
