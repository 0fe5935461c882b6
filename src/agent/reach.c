#include "agent/reach.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/list.h"

enum { ADDRESSES_MAX = 32 };

struct reach {
	uv_getaddrinfo_t lookup;
	uv_timer_t stagger;
	struct addrinfo *found, *next; /* next: not tried yet */
	struct list attempts;          /* under way */
	unsigned ntried, handles;
	bool is_looking_up, is_over;
	int error; /* the last attempt's */
	void (*done)(void *arg, int fd_or_error, const char *why);
	void *arg;
};

struct attempt {
	struct list link;
	struct reach *owner;
	uv_poll_t poll;
	int fd;
};

static void maybe_free(struct reach *r)
{
	if (r->handles > 0 || r->is_looking_up)
		return;
	uv_freeaddrinfo(r->found);
	free(r);
}

static void on_attempt_closed(uv_handle_t *h)
{
	struct attempt *a = h->data;
	struct reach *r = a->owner;

	free(a);
	r->handles--;
	maybe_free(r);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct reach *r = h->data;

	r->handles--;
	maybe_free(r);
}

/* Lets go of the descriptor without closing it. */
static int attempt_end(struct attempt *a)
{
	int fd = a->fd;

	list_remove(&a->link);
	uv_close((uv_handle_t *)&a->poll, on_attempt_closed);
	return fd;
}

static void end(struct reach *r)
{
	r->is_over = true;
	while (!list_is_empty(&r->attempts))
		close(attempt_end(container_of(r->attempts.next, struct attempt, link)));
	uv_close((uv_handle_t *)&r->stagger, on_timer_closed);
}

static void fail(struct reach *r)
{
	char why[128];

	snprintf(why, sizeof(why), "%s", strerror(r->error));
	if (r->ntried > 1)
		snprintf(why, sizeof(why), "%.80s (the last of %u addresses)", strerror(r->error), r->ntried);
	end(r);
	r->done(r->arg, -r->error, why);
}

static void try_next(struct reach *r);

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct attempt *a = poll->data;
	struct reach *r = a->owner;
	socklen_t size = sizeof(int);
	int error = 0, fd;

	(void)events;
	getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error == 0 && status < 0) /* libuv says EBADF for whatever is wrong */
		error = -status;
	fd = attempt_end(a);
	if (error == 0) {
		end(r);
		r->done(r->arg, fd, NULL);
		return;
	}
	close(fd);
	r->error = error;
	try_next(r);
}

static bool attempt(struct reach *r, const struct addrinfo *to)
{
	struct attempt *a;
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	r->ntried++;
	if (fd < 0 || (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS)) {
		r->error = errno;
		if (fd >= 0)
			close(fd);
		return false;
	}
	a = xnew(struct attempt);
	a->owner = r;
	a->fd = fd;
	a->poll.data = a;
	uv_poll_init(r->stagger.loop, &a->poll, fd);
	uv_poll_start(&a->poll, UV_WRITABLE, on_ready);
	r->handles++;
	list_append(&r->attempts, &a->link);
	return true;
}

static void on_stagger(uv_timer_t *t)
{
	try_next(t->data);
}

static void try_next(struct reach *r)
{
	uv_timer_stop(&r->stagger);
	while (r->next && r->ntried < ADDRESSES_MAX) {
		const struct addrinfo *to = r->next;

		r->next = to->ai_next;
		if (!attempt(r, to))
			continue;
		uv_timer_start(&r->stagger, on_stagger, REACH_STAGGER_MS, 0);
		return;
	}
	if (list_is_empty(&r->attempts))
		fail(r);
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct reach *r = container_of(req, struct reach, lookup);

	r->is_looking_up = false;
	r->found = r->next = found;
	if (r->is_over) {
		maybe_free(r);
		return;
	}
	if (status == 0) {
		try_next(r);
		return;
	}
	end(r);
	r->done(r->arg, status, uv_strerror(status));
}

struct reach *reach_start(uv_loop_t *loop, const char *host, const char *port,
			  void (*done)(void *arg, int fd_or_error, const char *why), void *arg, int *ret_error)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct reach *r = xnew(struct reach);
	int error = uv_getaddrinfo(loop, &r->lookup, on_found, host, port, &hints);

	if (error < 0) {
		*ret_error = error;
		free(r);
		return NULL;
	}
	r->done = done;
	r->arg = arg;
	r->error = EADDRNOTAVAIL; /* a name without any address */
	r->is_looking_up = true;
	list_init(&r->attempts);
	uv_timer_init(loop, &r->stagger);
	r->stagger.data = r;
	r->handles = 1;
	return r;
}

void reach_cancel(struct reach *r)
{
	if (!r)
		return;
	if (r->is_looking_up)
		uv_cancel((uv_req_t *)&r->lookup);
	end(r);
}
