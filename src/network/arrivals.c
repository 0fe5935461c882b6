/* Connections on their way to a listener: into its channel, or into a bounded queue until there is room. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"

static int tell(struct net_socket *s, const struct arrival *a)
{
	struct iovec iov = { (void *)&a->told, sizeof a->told };
	int r = net_send(net_watch_fd(s->channel), &iov, 1, a->fd);

	if (r == 0)
		connection_note(s->ns, a->fd, &a->told.local, &a->told.peer, s->uid);
	return r;
}

/* Answers who connects, and gives up what `a` owns. */
static void settle(struct arrival *a, int result)
{
	bool is_ok = result == 0;
	struct iovec iov = { &a->reply, sizeof a->reply };

	if (a->reply_fd >= 0) {
		a->reply.result = result;
		net_send(a->reply_fd, &iov, 1, is_ok ? a->answer_fd : -1);
		net_close_foreign(a->reply_fd);
	}
	if (a->answer_fd >= 0)
		close(a->answer_fd);
	if (is_ok)
		close(a->fd);
	else
		net_reset(a->fd);
}

static int as_refusal(int r)
{
	return r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN ? -ECONNREFUSED : r;
}

static int wait_for_room(struct net_socket *s, const struct arrival *a)
{
	struct arrival *waiting;

	if (s->npending >= PENDING_MAX || s->ns->npending >= s->ns->sw->sockets_max)
		return -ETIMEDOUT;
	waiting = xnew(struct arrival);
	*waiting = *a;
	list_append(&s->pending, &waiting->link);
	s->npending++;
	s->ns->npending++;
	net_watch_set(s->channel, UV_DISCONNECT | UV_WRITABLE);
	return 0;
}

int arrival_give(struct net_socket *s, struct arrival *a)
{
	int r = list_is_empty(&s->pending) ? as_refusal(tell(s, a)) : -EAGAIN;

	if (r == -EAGAIN) {
		r = wait_for_room(s, a);
		if (r == 0)
			return 0;
	}
	settle(a, r);
	if (r == -ECONNREFUSED)
		socket_free(s);
	return r;
}

static void forget(struct net_socket *s, struct arrival *a, int result)
{
	list_remove(&a->link);
	s->npending--;
	s->ns->npending--;
	settle(a, result);
	free(a);
}

void arrivals_on_writable(struct net_socket *s)
{
	while (!list_is_empty(&s->pending)) {
		struct arrival *a = container_of(s->pending.next, struct arrival, link);
		int r = as_refusal(tell(s, a));

		if (r == -EAGAIN)
			return;
		if (r == -ECONNREFUSED) {
			socket_free(s);
			return;
		}
		forget(s, a, r);
	}
	net_watch_set(s->channel, UV_DISCONNECT);
	acceptors_resume(s->ns->sw);
}

void arrivals_drop(struct net_socket *s)
{
	while (!list_is_empty(&s->pending))
		forget(s, container_of(s->pending.next, struct arrival, link), -ECONNREFUSED);
}
