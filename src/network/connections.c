/* Which connections a namespace has, for /proc/net/tcp. The switch keeps no descriptor of a connection; what it has
 * handed over it knows by the socket's inode, and the host's kernel says which of those are still there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"
#include "util/buf.h"

enum {
	FEW = 256,             /* so many are kept without asking who is left */
	FRESH_MS = 100,        /* what the kernel has said is believed for so long */
	TEXT_MAX = 64 << 20,
	ESTABLISHED = 1,       /* as in /proc/net/tcp */
	UNIX_CONNECTED = 3,    /* as in /proc/net/unix */
};

struct connection {
	struct list link;
	uint64_t inode, noted_ms;
	struct net_address local, peer;
	uint32_t uid;
};

/* A socket of the host's, and its state. */
struct live {
	uint64_t inode;
	uint32_t state;
};

struct live_sockets {
	struct live *v;
	size_t n, size;
	uint64_t looked_ms;
	bool is_known;
};

/* ---- what the host's kernel has ---- */

static void add(struct live_sockets *l, uint64_t inode, uint32_t state)
{
	if (l->n == l->size) {
		l->size = l->size ? 2 * l->size : 1024;
		l->v = xrealloc(l->v, l->size * sizeof(*l->v));
	}
	l->v[l->n++] = (struct live){ inode, state };
}

static bool read_text(const char *path, struct buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	buf_reset(b);
	while (fd >= 0 && buf_reserve(b, 65536) == 0 && (n = read(fd, b->data + b->len, 65536)) > 0)
		b->len += (size_t)n;
	if (fd >= 0)
		close(fd);
	return n == 0 && buf_append(b, "", 1) == 0;
}

/* Column `at` of a line, columns separated by blanks; NULL: there is none. */
static const char *column(const char *line, unsigned at)
{
	for (;;) {
		line += strspn(line, " ");
		if (*line == '\0' || *line == '\n')
			return NULL;
		if (at-- == 0)
			return line;
		line += strcspn(line, " \n");
	}
}

static void add_file(struct live_sockets *l, const char *path, unsigned state_at, unsigned inode_at, struct buf *b)
{
	const char *line = read_text(path, b) ? strchr(b->data, '\n') : NULL; /* the first has the names */

	for (; line && line[1]; line = strchr(line, '\n')) {
		const char *state = column(++line, state_at), *inode = column(line, inode_at);

		if (state && inode)
			add(l, strtoull(inode, NULL, 10), (uint32_t)strtoul(state, NULL, 16));
	}
}

static int by_inode(const void *a, const void *b)
{
	uint64_t x = ((const struct live *)a)->inode, y = ((const struct live *)b)->inode;

	return x < y ? -1 : x > y;
}

static void look(struct net_switch *sw)
{
	struct live_sockets *l = sw->live;
	uint64_t now = uv_now(sw->loop);
	struct buf b;

	if (!l)
		l = sw->live = xnew(struct live_sockets);
	if (l->is_known && now - l->looked_ms < FRESH_MS)
		return;
	l->n = 0;
	l->is_known = true;
	l->looked_ms = now;
	buf_init(&b, TEXT_MAX);
	add_file(l, "/proc/net/unix", 5, 6, &b);
	for (size_t i = 0; i < l->n; i++)
		l->v[i].state = l->v[i].state == UNIX_CONNECTED ? ESTABLISHED : 0;
	add_file(l, "/proc/net/tcp", 3, 9, &b);
	add_file(l, "/proc/net/tcp6", 3, 9, &b);
	buf_done(&b);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_inode);
}

/* 0: it is gone. What the kernel was not yet asked about is there. */
static uint32_t state_of(const struct net_switch *sw, const struct connection *c)
{
	const struct live_sockets *l = sw->live;
	const struct live key = { .inode = c->inode };
	const struct live *found = l->n ? bsearch(&key, l->v, l->n, sizeof(*l->v), by_inode) : NULL;

	return found ? found->state : c->noted_ms >= l->looked_ms ? ESTABLISHED : 0;
}

void live_sockets_free(struct live_sockets *l)
{
	if (!l)
		return;
	free(l->v);
	free(l);
}

/* ---- a namespace's ---- */

static void forget(struct netns *ns, struct connection *c)
{
	list_remove(&c->link);
	ns->nconnections--;
	free(c);
}

size_t netns_connection_count(const struct netns *ns)
{
	return ns->nconnections;
}

void connections_drop(struct netns *ns)
{
	while (!list_is_empty(&ns->connections))
		forget(ns, container_of(ns->connections.next, struct connection, link));
}

/* Without what the kernel has not any more. */
static void sweep(struct netns *ns)
{
	look(ns->sw);
	list_for_each_safe(it, &ns->connections) {
		struct connection *c = container_of(it, struct connection, link);

		if (!state_of(ns->sw, c))
			forget(ns, c);
	}
	ns->connections_many = 2 * ns->nconnections > FEW ? 2 * ns->nconnections : FEW;
}

void connection_note(struct netns *ns, int fd, const struct net_address *local, const struct net_address *peer, uint32_t uid)
{
	struct connection *c;
	struct stat st;

	if (ns->mode != NETNS_PRIVATE || (local->family != AF_INET && local->family != AF_INET6) || fstat(fd, &st) < 0)
		return;
	if (ns->nconnections >= (ns->connections_many ? ns->connections_many : FEW))
		sweep(ns);
	c = xnew(struct connection);
	c->inode = st.st_ino;
	c->noted_ms = uv_now(ns->sw->loop);
	c->local = *local;
	c->peer = *peer;
	c->uid = uid;
	list_append(&ns->connections, &c->link);
	ns->nconnections++;
}

int connections_each(struct netns *ns, int (*each)(void *arg, const struct net_socket_row *row), void *arg)
{
	int r = 0;

	if (list_is_empty(&ns->connections))
		return 0;
	look(ns->sw);
	list_for_each(it, &ns->connections) {
		const struct connection *c = container_of(it, struct connection, link);
		struct net_socket_row row = { .domain = c->local.family,
					      .type = SOCK_STREAM,
					      .protocol = IPPROTO_TCP,
					      .state = state_of(ns->sw, c),
					      .local = c->local,
					      .peer = c->peer,
					      .uid = c->uid,
					      .inode = c->inode };

		if (r == 0 && row.state)
			r = each(arg, &row);
	}
	return r;
}
