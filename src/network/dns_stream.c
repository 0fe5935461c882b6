/* DNS by TCP at 127.0.0.11: connections of guests, each message with its length before it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/dns.h"
#include "network/internal.h"
#include "util/alloc.h"
#include "util/buf.h"

#define STREAMS_MAX 16 /* of a namespace */
#define IDLE_MS 30000
#define OUTPUT_MAX (256u << 10)

struct dns_stream {
	struct list of_ns;
	struct netns *ns;
	uint64_t id;
	struct net_watch *watch;
	struct net_timer *timer;
	struct buf in, out;
};

void dns_stream_free(struct dns_stream *t)
{
	list_remove(&t->of_ns);
	t->ns->ndns_streams--;
	net_watch_free(t->watch);
	net_timer_free(t->timer);
	buf_done(&t->in);
	buf_done(&t->out);
	free(t);
}

static void on_idle(void *arg)
{
	dns_stream_free(arg);
}

/* False: the stream is at its end. */
static bool flush(struct dns_stream *t)
{
	while (t->out.len > 0) {
		ssize_t n = send(net_watch_fd(t->watch), t->out.data, t->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0)
			break;
		buf_consume(&t->out, (size_t)n);
	}
	net_watch_set(t->watch, UV_READABLE | (t->out.len ? UV_WRITABLE : 0));
	return true;
}

static bool put(struct dns_stream *t, const uint8_t *msg, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	if (len > DNS_MESSAGE_MAX || t->out.len + len + 2 > OUTPUT_MAX)
		return false;
	return buf_append(&t->out, head, 2) == 0 && buf_append(&t->out, msg, len) == 0 && flush(t);
}

static bool serve(struct dns_stream *t, const uint8_t *msg, size_t len)
{
	struct dns_asker asker = { .ns = t->ns, .id = t->id, .is_stream = true };
	uint8_t answer[DNS_EDNS_MAX];
	size_t n = resolver_answer(t->ns, msg, len, true, answer, sizeof answer);

	if (n == RESOLVER_ELSEWHERE && forward_query(&asker, msg, len) == 0)
		return true;
	if (n == RESOLVER_ELSEWHERE)
		n = resolver_failure(msg, len, answer);
	return n > 0 && put(t, answer, n);
}

static bool serve_all(struct dns_stream *t)
{
	while (t->in.len >= 2) {
		const uint8_t *data = (const uint8_t *)t->in.data;
		size_t len = (size_t)(data[0] << 8 | data[1]);

		if (len > DNS_EDNS_MAX)
			return false;
		if (t->in.len < len + 2)
			break;
		if (!serve(t, data + 2, len))
			return false;
		buf_consume(&t->in, len + 2);
	}
	return true;
}

static bool take(struct dns_stream *t)
{
	char bytes[DNS_EDNS_MAX];
	ssize_t n = recv(net_watch_fd(t->watch), bytes, sizeof bytes, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	net_timer_set(t->timer, IDLE_MS);
	return n > 0 && buf_append(&t->in, bytes, (size_t)n) == 0 && serve_all(t);
}

static void on_stream(void *arg, int events)
{
	struct dns_stream *t = arg;
	bool is_well = !(events & UV_DISCONNECT) || events & UV_READABLE;

	if (is_well && events & UV_WRITABLE)
		is_well = flush(t);
	if (is_well && events & UV_READABLE)
		is_well = take(t);
	if (!is_well)
		dns_stream_free(t);
}

int dns_stream_new(struct netns *ns, int take_fd)
{
	struct dns_stream *t;

	if (ns->ndns_streams >= STREAMS_MAX) {
		close(take_fd);
		return -ECONNREFUSED;
	}
	t = xnew(struct dns_stream);
	t->watch = net_watch_new(ns->sw->loop, take_fd, UV_READABLE, on_stream, t);
	if (!t->watch) {
		free(t);
		return -ECONNREFUSED;
	}
	t->ns = ns;
	t->id = ++ns->sw->last_id;
	t->timer = net_timer_new(ns->sw->loop, on_idle, t);
	net_timer_set(t->timer, IDLE_MS);
	buf_init(&t->in, 3 * DNS_EDNS_MAX);
	buf_init(&t->out, OUTPUT_MAX);
	list_append(&ns->dns_streams, &t->of_ns);
	ns->ndns_streams++;
	return 0;
}

void dns_stream_give(struct netns *ns, uint64_t id, const uint8_t *msg, size_t len)
{
	list_for_each(it, &ns->dns_streams) {
		struct dns_stream *t = container_of(it, struct dns_stream, of_ns);

		if (t->id != id)
			continue;
		if (!put(t, msg, len))
			dns_stream_free(t);
		return;
	}
}

void dns_streams_close(struct netns *ns)
{
	while (!list_is_empty(&ns->dns_streams))
		dns_stream_free(container_of(ns->dns_streams.next, struct dns_stream, of_ns));
}
