/* Descriptors on the loop, and packets with descriptors in them, from and to people we do not trust. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/internal.h"
#include "util/alloc.h"

struct net_watch {
	uv_poll_t poll;
	int fd;
	int events;
	net_watch_fn *on_event;
	void *arg;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct net_watch *w = poll->data;

	if (!w->on_event)
		return;
	/* libuv stops a handle by itself on an error of the descriptor: a hang-up to us. */
	if (status < 0)
		w->events = 0;
	w->on_event(w->arg, status < 0 ? UV_DISCONNECT : events);
}

struct net_watch *net_watch_new(uv_loop_t *loop, int take_fd, int events, net_watch_fn *on_event, void *arg)
{
	struct net_watch *w = xnew(struct net_watch);

	w->fd = take_fd;
	w->on_event = on_event;
	w->arg = arg;
	w->poll.data = w;
	if (uv_poll_init(loop, &w->poll, take_fd) < 0) {
		close(take_fd);
		free(w);
		return NULL;
	}
	net_watch_set(w, events);
	return w;
}

void net_watch_set(struct net_watch *w, int events)
{
	if (events == w->events)
		return;
	w->events = events;
	if (events)
		uv_poll_start(&w->poll, events, on_poll);
	else
		uv_poll_stop(&w->poll);
}

int net_watch_fd(const struct net_watch *w)
{
	return w->fd;
}

void net_watch_free(struct net_watch *w)
{
	if (!w)
		return;
	w->on_event = NULL;
	uv_close((uv_handle_t *)&w->poll, on_closed);
	close(w->fd);
}

/* ---- timers ---- */

struct net_timer {
	uv_timer_t timer;
	void (*on_time)(void *arg);
	void *arg;
};

static void on_timer(uv_timer_t *timer)
{
	struct net_timer *t = timer->data;

	t->on_time(t->arg);
}

struct net_timer *net_timer_new(uv_loop_t *loop, void (*on_time)(void *arg), void *arg)
{
	struct net_timer *t = xnew(struct net_timer);

	t->on_time = on_time;
	t->arg = arg;
	t->timer.data = t;
	uv_timer_init(loop, &t->timer);
	return t;
}

void net_timer_set(struct net_timer *t, uint64_t in_ms)
{
	if (in_ms)
		uv_timer_start(&t->timer, on_timer, in_ms, 0);
	else
		uv_timer_stop(&t->timer);
}

void net_timer_free(struct net_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->timer, on_closed);
}

/* ---- packets ---- */

void net_close_foreign(int fd)
{
	struct linger none = { 0 };

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* else close may wait as long as a stranger likes */
	close(fd);
}

/* SCM_MAX_FD: with less room the kernel would close the rest by itself, and wait for those that linger. */
#define FDS_MAX 253

static void take_fds(struct msghdr *msg, int *ret_fds, int keep)
{
	int taken = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;
		int fds[FDS_MAX];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (taken < keep)
				ret_fds[taken++] = fds[i];
			else
				net_close_foreign(fds[i]);
		}
	}
}

ssize_t net_receive(int fd, struct iovec *iov, int niov, int *ret_fds, int keep)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = { .msg_iov = iov,
			      .msg_iovlen = (size_t)niov,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof control.bytes };
	ssize_t n;

	for (int i = 0; i < keep; i++)
		ret_fds[i] = -1;
	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	take_fds(&msg, ret_fds, keep);
	return n;
}

int net_send(int fd, const struct iovec *iov, int niov, int pass_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)niov };

	if (pass_fd >= 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof control.bytes;

		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass_fd, sizeof pass_fd);
	}
	while (sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

bool net_is_hung_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL));
}

void net_reset(int take_fd)
{
	struct linger now = { .l_onoff = 1 };

	setsockopt(take_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(take_fd);
}
