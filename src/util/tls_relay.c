/* A connection's relay: the handshake, then bytes both ways, each way through one buffer, so that who does not read is
 * not written to. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/tls_internal.h"

/* A record's payload (RFC 8446, 5.1): read whole, nothing stays behind inside GnuTLS. ROUNDS: then others have their turn. */
enum { RECORD_MAX = 16384, ROUNDS = 16, LINGER_MS = 5000 };

struct way {
	char data[RECORD_MAX];
	size_t at, len;
	bool is_at_end, is_end_told;
};

struct tls_relay {
	struct list waiting;
	struct tls_context *context;
	gnutls_session_t session;
	uv_poll_t tls, plain;
	uv_timer_t timer; /* the handshake's; then, after our end, the patience with theirs */
	uv_work_t work;
	int fds[2]; /* the outer one, and our end of the pair */
	int result;
	unsigned handles;
	bool is_working, is_over, is_open;
	struct way in, out; /* from the outer side, to it */
	void (*done)(void *arg, int take_fd, const char *why);
	void *arg;
};

/* ---- the end ---- */

static void step(struct tls_relay *r);
static void on_patience_over(uv_timer_t *t);

static void maybe_free(struct tls_relay *r)
{
	if (r->handles > 0 || r->is_working)
		return;
	if (r->session)
		gnutls_deinit(r->session);
	for (int i = 0; i < 2; i++)
		if (r->fds[i] >= 0)
			close(r->fds[i]);
	tls_unref(r->context);
	free(r);
}

static void on_closed(uv_handle_t *h)
{
	struct tls_relay *r = h->data;

	r->handles--;
	maybe_free(r);
}

static void end(struct tls_relay *r)
{
	if (r->is_over)
		return;
	r->is_over = true;
	list_remove(&r->waiting);
	uv_close((uv_handle_t *)&r->timer, on_closed);
	uv_close((uv_handle_t *)&r->tls, on_closed);
	if (r->is_open)
		uv_close((uv_handle_t *)&r->plain, on_closed);
}

void tls_relay_cancel(struct tls_relay *r)
{
	if (r)
		end(r);
}

static void fail(struct tls_relay *r, const char *why)
{
	end(r);
	r->done(r->arg, -1, why);
}

/* ---- bytes ---- */

/* Of GnuTLS's calls: what came, 0 for the end, -EAGAIN, or another. */
static ssize_t outer_read(struct tls_relay *r)
{
	ssize_t n = gnutls_record_recv(r->session, r->in.data, RECORD_MAX);

	return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? -EAGAIN : n < 0 ? -EPROTO : n;
}

static ssize_t outer_write(struct tls_relay *r)
{
	ssize_t n = gnutls_record_send(r->session, r->out.data + r->out.at, r->out.len - r->out.at);

	return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? -EAGAIN : n < 0 ? -EPIPE : n;
}

static ssize_t outer_end(struct tls_relay *r)
{
	int n = gnutls_bye(r->session, GNUTLS_SHUT_WR);

	if (n == 0)
		uv_timer_start(&r->timer, on_patience_over, LINGER_MS, 0);
	return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? -EAGAIN : n < 0 ? -EPIPE : 0;
}

static ssize_t inner_read(struct tls_relay *r)
{
	ssize_t n = recv(r->fds[1], r->out.data, RECORD_MAX, MSG_DONTWAIT);

	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t inner_write(struct tls_relay *r)
{
	ssize_t n = send(r->fds[1], r->in.data + r->in.at, r->in.len - r->in.at, MSG_NOSIGNAL | MSG_DONTWAIT);

	return n >= 0 ? n : errno == EINTR ? -EAGAIN : -errno;
}

static ssize_t inner_end(struct tls_relay *r)
{
	return shutdown(r->fds[1], SHUT_WR) < 0 ? -errno : 0;
}

struct way_ops {
	ssize_t (*read)(struct tls_relay *r), (*write)(struct tls_relay *r), (*end)(struct tls_relay *r);
};
static const struct way_ops in_ops = { outer_read, inner_write, inner_end };
static const struct way_ops out_ops = { inner_read, outer_write, outer_end };

/* One read and one write, as far as they go. 1: something moved; 0: it waits; -errno: this connection is over. */
static int move(struct tls_relay *r, struct way *w, const struct way_ops *ops)
{
	ssize_t n;
	int moved = 0;

	if (w->at == w->len && !w->is_at_end) {
		n = ops->read(r);
		if (n < 0)
			return n == -EAGAIN ? 0 : (int)n;
		w->is_at_end = n == 0;
		w->at = 0;
		w->len = (size_t)n;
		moved = 1;
	}
	if (w->at < w->len) {
		n = ops->write(r);
		if (n < 0)
			return n == -EAGAIN ? moved : (int)n;
		w->at += (size_t)n;
		return 1;
	}
	if (w->is_at_end && !w->is_end_told) {
		n = ops->end(r);
		if (n < 0)
			return n == -EAGAIN ? moved : (int)n;
		w->is_end_told = true;
		return 1;
	}
	return moved;
}

static bool is_inner_closed(const struct tls_relay *r)
{
	struct pollfd p = { .fd = r->fds[1] };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR));
}

static void on_event(uv_poll_t *p, int status, int events);

static void watch(uv_poll_t *p, bool reads, bool writes)
{
	int events = (reads ? UV_READABLE : 0) | (writes ? UV_WRITABLE : 0);

	if (events)
		uv_poll_start(p, events, on_event);
	else
		uv_poll_stop(p);
}

static void relay(struct tls_relay *r)
{
	int a = 1, b = 1;
	bool wants_in, wants_out;

	for (int i = 0; (a > 0 || b > 0) && (i < ROUNDS || gnutls_record_check_pending(r->session) > 0); i++) {
		a = move(r, &r->in, &in_ops);
		b = a < 0 ? 0 : move(r, &r->out, &out_ops);
		if (a < 0 || b < 0) {
			end(r);
			return;
		}
		if (r->in.at < r->in.len && a == 0) /* the inner side is full: what is pending waits with it */
			break;
	}
	if (r->out.is_end_told && (r->in.is_end_told || is_inner_closed(r))) {
		end(r);
		return;
	}
	wants_in = r->in.at == r->in.len && !r->in.is_at_end;
	wants_out = r->out.at < r->out.len || (r->out.is_at_end && !r->out.is_end_told);
	watch(&r->tls, wants_in, wants_out);
	watch(&r->plain, r->out.at == r->out.len && !r->out.is_at_end, r->in.at < r->in.len);
}

static void on_event(uv_poll_t *p, int status, int events)
{
	struct tls_relay *r = p->data;
	socklen_t size = sizeof(int);
	int error = 0;

	(void)status, (void)events; /* an error shows itself at the next read or write */
	if (r->is_open) {
		relay(r);
		return;
	}
	uv_poll_stop(p);
	getsockopt(r->fds[0], SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		fail(r, strerror(error));
	else
		step(r);
}

/* ---- the handshake ---- */

static void on_patience_over(uv_timer_t *t)
{
	struct tls_relay *r = t->data;

	if (r->is_open)
		end(r);
	else
		fail(r, "the TLS handshake takes too long");
}

static void open_up(struct tls_relay *r)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		fail(r, strerror(errno));
		return;
	}
	r->fds[1] = pair[1];
	r->is_open = true;
	uv_poll_init(r->timer.loop, &r->plain, r->fds[1]);
	r->plain.data = r;
	r->handles++;
	uv_timer_stop(&r->timer);
	watch(&r->tls, true, false);
	watch(&r->plain, true, false);
	r->done(r->arg, pair[0], NULL);
	if (!r->is_over) /* the peer's first bytes may have come with its last of the handshake */
		relay(r);
}

static void on_stepped(uv_work_t *work, int status)
{
	struct tls_relay *r = work->data;
	struct tls_context *c = r->context;
	char why[300];

	(void)status;
	r->is_working = false;
	c->nworking--;
	if (!list_is_empty(&c->waiting)) {
		struct tls_relay *next = container_of(c->waiting.next, struct tls_relay, waiting);

		list_remove(&next->waiting);
		step(next);
	}
	if (r->is_over) {
		maybe_free(r);
	} else if (r->result == 0) {
		open_up(r);
	} else if (r->result == GNUTLS_E_AGAIN) {
		watch(&r->tls, !gnutls_record_get_direction(r->session), gnutls_record_get_direction(r->session));
	} else if (!gnutls_error_is_fatal(r->result)) {
		step(r);
	} else {
		tls_explain(r->session, r->result, why, sizeof(why));
		fail(r, why);
	}
}

static void on_work(uv_work_t *work)
{
	struct tls_relay *r = work->data;

	r->result = gnutls_handshake(r->session);
	if (gnutls_error_is_fatal(r->result)) /* so that the other side can say why, too */
		gnutls_alert_send_appropriate(r->session, r->result);
}

static void step(struct tls_relay *r)
{
	struct tls_context *c = r->context;

	if (c->nworking >= TLS_WORKING_MAX) {
		list_append(&c->waiting, &r->waiting);
		return;
	}
	c->nworking++;
	r->is_working = true;
	r->work.data = r;
	uv_queue_work(r->timer.loop, &r->work, on_work, on_stepped);
}

static void on_begin(uv_timer_t *t)
{
	struct tls_relay *r = t->data;

	if (r->result < 0) {
		fail(r, gnutls_strerror(r->result));
		return;
	}
	uv_timer_start(t, on_patience_over, TLS_HANDSHAKE_MS, 0);
	watch(&r->tls, false, true); /* it may be about to connect only */
}

struct tls_relay *tls_relay_start(uv_loop_t *loop, struct tls_context *c, int take_fd, const char *host,
				  void (*done)(void *arg, int take_fd, const char *why), void *arg)
{
	struct tls_relay *r = xnew(struct tls_relay);
	int one = 1;

	r->context = tls_ref(c);
	r->done = done;
	r->arg = arg;
	r->fds[0] = take_fd;
	r->fds[1] = -1;
	list_init(&r->waiting);
	fcntl(take_fd, F_SETFL, fcntl(take_fd, F_GETFL) | O_NONBLOCK);
	setsockopt(take_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* who has the other end cannot */
	r->result = tls_session_new(c, take_fd, host, &r->session);
	uv_timer_init(loop, &r->timer);
	uv_poll_init(loop, &r->tls, take_fd);
	r->timer.data = r->tls.data = r;
	r->handles = 2;
	uv_timer_start(&r->timer, on_begin, 0, 0);
	return r;
}
