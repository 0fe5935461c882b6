/* Listeners of the host: a bounded number of connections a turn, none while there is no room for them, and no
 * spinning when the daemon is out of descriptors. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "network/internal.h"
#include "util/alloc.h"

#define RETRY_MS 50
#define ROOM_MAX 64 /* arrivals of the host that wait for one listener; the rest waits in the host's backlog */

struct acceptor {
	struct list paused;
	struct net_switch *sw;
	struct net_watch *watch;
	bool (*on_connection)(void *arg, int take_fd, const struct sockaddr_storage *peer);
	void *arg;
	bool is_accepting, is_freed; /* freed in its own callback: the memory goes after it */
};

static void acceptor_pause(struct acceptor *a)
{
	net_watch_set(a->watch, 0);
	list_remove(&a->paused);
	list_append(&a->sw->paused, &a->paused);
	net_timer_set(a->sw->retry, RETRY_MS);
}

/* Called with fd -1 it says only whether there is room. */
static bool accept_one(struct acceptor *a)
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof peer;
	int fd;

	if (!a->on_connection(a->arg, -1, NULL)) {
		acceptor_pause(a);
		return false;
	}
	fd = accept4(net_watch_fd(a->watch), (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	if (fd >= 0) {
		a->on_connection(a->arg, fd, &peer);
		return true;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		acceptor_pause(a);
	return errno == EINTR || errno == ECONNABORTED;
}

static void on_acceptor(void *arg, int events)
{
	struct acceptor *a = arg;

	(void)events;
	a->is_accepting = true;
	for (int i = 0; i < TURN_MAX && !a->is_freed; i++) {
		if (!accept_one(a))
			break;
	}
	a->is_accepting = false;
	if (a->is_freed)
		free(a);
	else if (list_is_empty(&a->paused))
		net_watch_set(a->watch, UV_READABLE); /* libuv stops at an error */
}

struct acceptor *acceptor_new(struct net_switch *sw, int take_fd,
			      bool (*on_connection)(void *arg, int take_fd, const struct sockaddr_storage *peer), void *arg)
{
	struct acceptor *a = xnew(struct acceptor);

	a->sw = sw;
	a->on_connection = on_connection;
	a->arg = arg;
	list_init(&a->paused);
	a->watch = net_watch_new(sw->loop, take_fd, UV_READABLE, on_acceptor, a);
	if (a->watch)
		return a;
	free(a);
	return NULL;
}

bool acceptor_has_room(const struct net_socket *s)
{
	return s->npending < ROOM_MAX;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	list_remove(&a->paused);
	net_watch_free(a->watch);
	a->is_freed = true;
	if (!a->is_accepting)
		free(a);
}

void acceptors_resume(struct net_switch *sw)
{
	list_for_each_safe(it, &sw->paused) {
		struct acceptor *a = container_of(it, struct acceptor, paused);

		list_remove(&a->paused);
		net_watch_set(a->watch, UV_READABLE);
	}
}
