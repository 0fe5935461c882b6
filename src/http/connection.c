/* A connection's way: its first head is ours until it is complete and sound,
 * then microhttpd reads it and all that follow. We go on watching for clients
 * that leave, which microhttpd does not see while it is suspended, and for
 * heads that begin and do not end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/head.h"
#include "http/internal.h"
#include "util/alloc.h"

enum { FIRST_PEEK = 4096 };

void connection_goes_on(struct connection *c)
{
	list_remove(&c->readable);
	list_append(&c->server->readable, &c->readable);
	c->bytes_turn = c->server->turn + 1;
}

static void forget(struct connection *c)
{
	timed_stop(&c->timed);
	list_remove(&c->link);
	list_remove(&c->readable);
	list_remove(&c->over);
	server_unwatch(c->server, c->fd);
	c->server->counters.open_connections--;
	free(c);
}

static void drop(struct connection *c)
{
	int fd = c->fd;

	forget(c);
	close(fd);
}

/* ---- the first head ---- */

static void refuse(struct connection *c, int status, const char *message)
{
	struct http_server *s = c->server;
	int fd = c->fd;

	refuse_send(s, fd, status, message);
	forget(c);
	refuse_linger(s, fd);
}

static void adopt(struct connection *c, size_t head)
{
	static const struct sockaddr nowhere = { .sa_family = AF_UNIX };
	struct http_server *s = c->server;
	int fd = c->fd;

	timed_stop(&c->timed);
	if (s->config.claims && s->config.claims(s->peek, head)) {
		forget(c); /* before it is taken: once it is closed, the number may be another thread's */
		s->config.claim(s->config.claim_ctx, s->peek, head, fd);
		return;
	}
	c->state = CONNECTION_IDLE;
	connection_goes_on(c);
	s->adopted = c;
	if (MHD_add_connection(s->mhd, fd, &nowhere, sizeof(nowhere)) != MHD_YES) {
		s->counters.refused++;
		c->fd = -1; /* microhttpd has closed it */
		forget(c);
	}
	s->adopted = NULL;
	server_kick(s);
}

static void look_at_head(struct connection *c, bool is_over)
{
	struct http_server *s = c->server;
	size_t max = s->config.limits.max_head_bytes, head;
	struct head_verdict bad;
	ssize_t n = recv(c->fd, s->peek, FIRST_PEEK < max ? FIRST_PEEK : max, MSG_PEEK | MSG_DONTWAIT);
	enum head_state state;

	if (n < 0 && (errno == EAGAIN || errno == EINTR) && !is_over)
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	state = head_check(s->peek, (size_t)n, max, &head, &bad);
	if (state == HEAD_INCOMPLETE && n == FIRST_PEEK) {
		n = recv(c->fd, s->peek, max, MSG_PEEK | MSG_DONTWAIT);
		state = head_check(s->peek, n > 0 ? (size_t)n : 0, max, &head, &bad);
	}
	if (state == HEAD_GOOD)
		adopt(c, head);
	else if (state == HEAD_BAD)
		refuse(c, bad.status, bad.message);
	else if (is_over)
		refuse(c, 400, "unexpected end of the request");
	else if (list_is_empty(&c->timed.link))
		timed_start(s, &c->timed, s->config.limits.head_timeout_ms);
}

/* ---- inside microhttpd ---- */

/* Resumed, microhttpd finds out what became of the client. */
static void client_left(struct request *req)
{
	if (!req->is_suspended)
		return;
	request_set_gone(req);
	if (req->stream)
		reply_stream_abort(req->stream);
	else
		request_resume(req);
}

/* Readable, but nothing is there to be read and answered. */
static bool is_only_the_end(const struct connection *c, uint32_t events)
{
	char byte;

	return (events & EPOLLHUP) || ((events & EPOLLRDHUP) && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

static void on_event(struct watched *w, uint32_t events)
{
	struct connection *c = container_of(w, struct connection, watched);
	bool has_left = events & (EPOLLHUP | EPOLLERR);

	if (c->state == CONNECTION_HEAD) {
		look_at_head(c, events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP));
		return;
	}
	if (c->state == CONNECTION_AWAY)
		return;
	c->is_at_end |= (events & (EPOLLHUP | EPOLLRDHUP)) != 0;
	if ((events & EPOLLIN) && !is_only_the_end(c, events))
		connection_goes_on(c);
	if (c->state != CONNECTION_BUSY)
		return;
	/* TCP shows the end of a process and half a close alike; who only half-closes seldom follows a log. */
	if (has_left || ((events & EPOLLRDHUP) && !c->is_local && c->request->stream))
		client_left(c->request);
}

static void on_expired(struct timed *t)
{
	struct connection *c = container_of(t, struct connection, timed);

	if (c->state == CONNECTION_HEAD) {
		refuse(c, 408, "timed out waiting for the request's head");
	} else if (c->state == CONNECTION_BUSY && !c->request->is_cut) {
		access_answered_early(c->request, true);
	} else {
		if (c->state == CONNECTION_IDLE)
			refuse_send(c->server, c->fd, 408, "timed out waiting for the request's head");
		shutdown(c->fd, SHUT_RDWR); /* microhttpd sees the end and lets go */
	}
}

void connection_new(struct http_server *s, int take_fd)
{
	struct connection *c;
	int domain = AF_UNIX;
	socklen_t len = sizeof(domain);

	if (s->counters.open_connections >= s->config.limits.max_connections) {
		refuse_send(s, take_fd, 503, "too many connections");
		refuse_linger(s, take_fd);
		return;
	}
	getsockopt(take_fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	c = xnew(struct connection);
	c->watched.event = on_event;
	c->timed.expired = on_expired;
	c->server = s;
	c->fd = take_fd;
	c->is_local = domain == AF_UNIX;
	list_init(&c->timed.link);
	list_init(&c->readable);
	list_init(&c->over);
	list_append(&s->connections, &c->link);
	s->counters.open_connections++;
	if (server_watch(s, take_fd, &c->watched, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0)
		drop(c);
	else
		look_at_head(c, false);
}

void connection_notify(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = cls;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		s->adopted->mhd = mhd;
		*context = s->adopted;
	} else if (*context && *context != s->adopted) {
		forget(*context); /* and microhttpd closes it */
		*context = NULL;
	}
}

void connection_request_begins(struct connection *c, struct request *req)
{
	timed_stop(&c->timed);
	c->state = CONNECTION_BUSY;
	c->request = req;
}

void connection_request_ends(struct connection *c)
{
	timed_stop(&c->timed);
	if (c->state == CONNECTION_BUSY)
		c->state = CONNECTION_IDLE;
	c->request = NULL;
	c->idle_turn = c->server->turn;
	if (c->is_favoured) {
		list_remove(&c->over); /* the one before may have ended in this turn, too */
		list_append(&c->server->over, &c->over);
	}
	if (c->server->is_draining)
		shutdown(c->fd, SHUT_RD);
}

/* microhttpd reads a resumed connection before it asks us, and where the client has said its last word (half a close) it
 * finds the end and lets go: the answer would be lost, or what is left of a body. Only those with a time-out of their own
 * it asks about first, every turn, so it is taken from them again when their request is over. In seconds; microhttpd
 * counts milliseconds in 32 bits. */
void connection_favour(struct connection *c)
{
	if (!c->is_favoured)
		MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 4000000U);
	c->is_favoured = true;
	list_remove(&c->over);
}

static void favour_no_more(struct http_server *s)
{
	while (!list_is_empty(&s->over)) {
		struct connection *c = container_of(s->over.next, struct connection, over);

		list_remove(&c->over);
		c->is_favoured = false;
		MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	}
}

static const char *text_of(int status)
{
	switch (status) {
	case 413: return "request body too large";
	case 414:
	case 431: return "request header fields too large";
	case 505: return "unsupported HTTP version";
	default: return "malformed HTTP request";
	}
}

void connection_blame(struct http_server *s, int status)
{
	struct connection *c = NULL;
	struct request *req;

	list_for_each(it, &s->readable) {
		struct connection *other = container_of(it, struct connection, readable);

		if (other->state == CONNECTION_AWAY)
			continue;
		if (c)
			return; /* only when there is one can we tell which */
		c = other;
	}
	req = c ? c->request : NULL;
	if (!c || (req && req->is_answered && (!req->text || !req->may_send || req->is_cut)))
		return;
	if (req && req->is_answered) /* it waited for the body's end */
		refuse_send_reply(req);
	else
		refuse_send(s, c->fd, status == 414 ? 431 : status, text_of(status));
	c->state = CONNECTION_AWAY;
	refuse_linger(s, fcntl(c->fd, F_DUPFD_CLOEXEC, 3)); /* microhttpd's own answer fails then */
}

void connection_after_turn(struct http_server *s)
{
	struct list again;

	favour_no_more(s);
	list_init(&again);
	list_for_each_safe(it, &s->readable) {
		struct connection *c = container_of(it, struct connection, readable);

		list_remove(it);
		if (c->is_at_end && c->state == CONNECTION_IDLE) {
			/* Last bytes and the end came as one event, and microhttpd takes a short read for all there is. */
			MHD_suspend_connection(c->mhd);
			MHD_resume_connection(c->mhd);
			list_append(&again, it);
			continue;
		}
		/* The bytes may have been a request's that ended in their turn or, taken early, in the one before. */
		if (c->state == CONNECTION_IDLE && c->idle_turn + 1 < c->bytes_turn && list_is_empty(&c->timed.link))
			timed_start(s, &c->timed, s->config.limits.head_timeout_ms);
	}
	list_for_each_safe(it, &again) {
		list_remove(it);
		connection_goes_on(container_of(it, struct connection, readable));
		server_kick(s);
	}
}

void connection_drain_all(struct http_server *s)
{
	list_for_each_safe(it, &s->connections) {
		struct connection *c = container_of(it, struct connection, link);

		if (c->state == CONNECTION_HEAD && list_is_empty(&c->timed.link)) /* not a byte has come */
			drop(c);
		else if (c->state == CONNECTION_IDLE)
			shutdown(c->fd, SHUT_RD); /* what has come is still read; then microhttpd lets go */
	}
}

void connection_close_all(struct http_server *s)
{
	list_for_each_safe(it, &s->connections) {
		struct connection *c = container_of(it, struct connection, link);

		if (c->state == CONNECTION_HEAD)
			drop(c);
	}
}
