#include "drivers/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/datagram_ports.h"
#include "network/flows.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/log.h"

enum { PORTS_MAX = 1024, RELAYS_MAX = 4096, CHUNK = 1 << 16 };

struct port {
	struct ports *owner;
	struct net_service *service;
	uint16_t number;
};

struct ports {
	uv_loop_t *loop;
	struct port *v[PORTS_MAX];
	size_t n, nrelays;
	struct list relays;
	struct datagram_ports *datagrams;
};

struct relay;

/* One way of a connection. At most one buffer is under way. */
struct way {
	struct relay *relay;
	uv_stream_t *from, *to;
	uv_write_t write;
	uv_shutdown_t shutdown;
	bool is_over;
	char data[CHUNK];
};

struct relay {
	struct list link;
	struct ports *owner; /* NULL: it has gone, and this is closing */
	uv_pipe_t in;        /* a TCP connection, or a neighbour's end of a pair */
	uv_tcp_t out;
	uv_connect_t connect;
	struct way ways[2];
	unsigned handles;
};

static void on_closed(uv_handle_t *h)
{
	struct relay *r = h->data;

	if (--r->handles == 0)
		free(r);
}

static void relay_end(struct relay *r, bool is_reset)
{
	struct linger now = { .l_onoff = 1 };
	int fd;

	if (!r->owner)
		return;
	if (is_reset && uv_fileno((uv_handle_t *)&r->in, &fd) == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	list_remove(&r->link);
	r->owner->nrelays--;
	r->owner = NULL;
	uv_close((uv_handle_t *)&r->in, on_closed);
	uv_close((uv_handle_t *)&r->out, on_closed);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct relay *r = h->data;
	struct way *w = &r->ways[h == (uv_handle_t *)&r->out];

	(void)size;
	*buf = uv_buf_init(w->data, CHUNK);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *req, int status)
{
	struct way *w = req->data;

	if (!w->relay->owner)
		return;
	if (status < 0 || uv_read_start(w->from, on_alloc, on_read) < 0)
		relay_end(w->relay, true);
}

static void on_shut(uv_shutdown_t *req, int status)
{
	struct relay *r = ((struct way *)req->data)->relay;

	if (r->owner && (status < 0 || (r->ways[0].is_over && r->ways[1].is_over)))
		relay_end(r, false);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct relay *r = s->data;
	struct way *w = &r->ways[s == (uv_stream_t *)&r->out];
	uv_buf_t b = uv_buf_init(buf->base, n > 0 ? (unsigned)n : 0);

	if (n == 0)
		return;
	uv_read_stop(s);
	w->write.data = w->shutdown.data = w;
	if (n > 0 ? uv_write(&w->write, w->to, &b, 1, on_written) < 0 : n != UV_EOF) {
		relay_end(r, true);
		return;
	}
	if (n > 0)
		return;
	w->is_over = true;
	if (uv_shutdown(&w->shutdown, w->to, on_shut) < 0)
		relay_end(r, false);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct relay *r = req->data;

	if (!r->owner)
		return;
	if (status < 0 || uv_read_start(r->ways[0].from, on_alloc, on_read) < 0 ||
	    uv_read_start(r->ways[1].from, on_alloc, on_read) < 0)
		relay_end(r, false); /* nobody listens: an end, no reset, as from any published port (network/publish.c) */
}

static void on_connection(void *arg, int take_fd, const struct net_arrival *from)
{
	struct port *p = arg;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p->number), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct relay *r;

	(void)from;
	if (p->owner->nrelays >= RELAYS_MAX) {
		close(take_fd);
		return;
	}
	r = xnew(struct relay);
	r->owner = p->owner;
	list_append(&p->owner->relays, &r->link);
	p->owner->nrelays++;
	uv_pipe_init(p->owner->loop, &r->in, 0);
	uv_tcp_init(p->owner->loop, &r->out);
	r->in.data = r->out.data = r->connect.data = r;
	r->handles = 2;
	r->ways[0] = (struct way){ .relay = r, .from = (uv_stream_t *)&r->in, .to = (uv_stream_t *)&r->out };
	r->ways[1] = (struct way){ .relay = r, .from = (uv_stream_t *)&r->out, .to = (uv_stream_t *)&r->in };
	if (uv_pipe_open(&r->in, take_fd) < 0) {
		close(take_fd);
		relay_end(r, false);
		return;
	}
	if (uv_tcp_connect(&r->connect, &r->out, (const struct sockaddr *)&to, on_connected) < 0)
		relay_end(r, false);
}

static bool has_port(const struct ports *ports, unsigned number)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i]->number == number)
			return true;
	return false;
}

static int add_tcp(struct ports *ports, struct netns *ns, uint16_t number, struct error *err)
{
	struct port *p = xnew(struct port);
	int r;

	p->owner = ports;
	p->number = number;
	r = netns_serve(ns, number, on_connection, p, &p->service, err);
	if (r < 0)
		free(p);
	else
		ports->v[ports->n++] = p;
	return r;
}

static void add(struct ports *ports, struct netns *ns, const char *name)
{
	char protocol[8] = "tcp";
	struct error err = { 0 };
	unsigned number;
	bool is_udp;
	int r;

	if (sscanf(name, "%5u/%7s", &number, protocol) < 1 || number == 0 || number > 65535)
		return;
	is_udp = strcmp(protocol, "udp") == 0;
	if (!is_udp && strcmp(protocol, "tcp") != 0)
		return;
	if (ports->n + datagram_ports_count(ports->datagrams) >= PORTS_MAX ||
	    (is_udp ? datagram_ports_has(ports->datagrams, (uint16_t)number) : has_port(ports, number)))
		return;
	netns_unpublish_same(ns, protocol, (uint16_t)number);
	r = is_udp ? datagram_ports_add(ports->datagrams, ns, (uint16_t)number, &err) :
		     add_tcp(ports, ns, (uint16_t)number, &err);
	if (r < 0)
		log_debug("a native container's port: %s", err.message);
}

struct ports *ports_open(uv_loop_t *loop, struct netns *ns, json_t *exposed, json_t *bindings)
{
	struct ports *p = xnew(struct ports);
	size_t share = netns_share(ns);
	const char *name;
	json_t *value;

	p->loop = loop;
	list_init(&p->relays);
	p->datagrams = datagram_ports_new(loop, share < NET_FLOWS_MAX ? share : NET_FLOWS_MAX, NET_FLOW_IDLE_NS);
	json_object_foreach(exposed, name, value)
		add(p, ns, name);
	json_object_foreach(bindings, name, value)
		add(p, ns, name);
	return p;
}

void ports_close(struct ports *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++) {
		net_service_free(p->v[i]->service);
		free(p->v[i]);
	}
	list_for_each_safe(it, &p->relays)
		relay_end(container_of(it, struct relay, link), true);
	datagram_ports_free(p->datagrams);
	free(p);
}
