/* Answers that go past microhttpd, straight to the socket: it would speak HTML,
 * or could not answer while the client is still sending. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/internal.h"
#include "util/alloc.h"

enum { LINGER_MS = 5000, LINGERS_MAX = 256, READS = 8, READ_BYTES = 65536, HEAD_MAX = 64 << 10 };

#define LINGER_BYTES ((uint64_t)1 << 30)

struct lingering {
	struct watched watched;
	struct timed timed;
	struct list link;
	struct http_server *server;
	int fd;
	uint64_t left;
};

/* ---- sending ---- */

static void put_head(struct http_server *s, struct buf *b, int status, size_t len)
{
	buf_printf(b, "HTTP/1.1 %d %s\r\n", status, MHD_get_reason_phrase_for((unsigned)status));
	for (size_t i = 0; i < REPLY_FIXED; i++)
		buf_printf(b, "%s: %s\r\n", reply_fixed[i].name, reply_fixed[i].value);
	if (s->config.server_header)
		buf_printf(b, "Server: %s\r\n", s->config.server_header);
	buf_printf(b, "Content-Length: %zu\r\nConnection: close\r\n", len);
}

static void send_out(int fd, struct buf *b)
{
	(void)!send(fd, b->data, b->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	buf_done(b);
}

void refuse_send(struct http_server *s, int fd, int status, const char *message)
{
	struct buf b;
	char body[256];
	int n = snprintf(body, sizeof(body), "{\"message\":\"%s\"}\n", message);

	buf_init(&b, HEAD_MAX);
	put_head(s, &b, status, (size_t)n);
	buf_printf(&b, "Content-Type: application/json\r\n\r\n%s", body);
	send_out(fd, &b);
	s->counters.refused++;
}

void refuse_send_reply(struct request *req)
{
	bool is_head = strcmp(req->method, "HEAD") == 0;
	struct buf b;

	buf_init(&b, HEAD_MAX + req->text_len);
	put_head(req->server, &b, req->status, req->text_len);
	for (size_t i = 0; i < req->nheaders; i++)
		buf_printf(&b, "%s: %s\r\n", req->headers[i].name, req->headers[i].value);
	buf_puts(&b, "\r\n");
	buf_append(&b, req->text, is_head ? 0 : req->text_len);
	send_out(req->connection->fd, &b);
}

/* ---- lingering ---- */

static void linger_end(struct lingering *l)
{
	timed_stop(&l->timed);
	list_remove(&l->link);
	l->server->nlingers--;
	server_unwatch(l->server, l->fd);
	close(l->fd);
	free(l);
}

static void on_event(struct watched *w, uint32_t events)
{
	char sink[READ_BYTES];
	struct lingering *l = container_of(w, struct lingering, watched);

	(void)events;
	for (int i = 0; i < READS; i++) {
		ssize_t n = recv(l->fd, sink, sizeof(sink), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || (uint64_t)n >= l->left) {
			linger_end(l);
			return;
		}
		l->left -= (uint64_t)n;
	}
}

static void on_expired(struct timed *t)
{
	linger_end(container_of(t, struct lingering, timed));
}

void refuse_linger(struct http_server *s, int take_fd)
{
	struct lingering *l;

	if (take_fd < 0)
		return;
	shutdown(take_fd, SHUT_WR);
	if (s->nlingers == LINGERS_MAX) {
		server_unwatch(s, take_fd);
		close(take_fd);
		return;
	}
	l = xnew(struct lingering);
	l->watched.event = on_event;
	l->server = s;
	l->fd = take_fd;
	l->left = LINGER_BYTES;
	l->timed.expired = on_expired;
	list_init(&l->timed.link);
	list_append(&s->lingers, &l->link);
	s->nlingers++;
	timed_start(s, &l->timed, LINGER_MS);
	if (server_watch(s, take_fd, &l->watched, EPOLLIN) < 0)
		linger_end(l);
}

void refuse_close_all(struct http_server *s)
{
	list_for_each_safe(it, &s->lingers)
		linger_end(container_of(it, struct lingering, link));
}
