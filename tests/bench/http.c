#include "bench/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int http_open(struct http *c, const char *socket_path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int saved;

	c->at = c->end = 0;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	saved = errno;
	http_close(c);
	return -saved;
}

void http_close(struct http *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static int send_all(int fd, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = send(fd, data, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -errno;
		data += w;
		n -= (size_t)w;
	}
	return 0;
}

static int send_request(struct http *c, const char *method, const char *path, const char *body, const char *more)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: d\r\n%s%sContent-Length: %zu\r\n\r\n%s", method, path,
			 more, body ? "Content-Type: application/json\r\n" : "", body ? strlen(body) : 0, body ? body : "");

	return n >= (int)sizeof(text) ? -E2BIG : send_all(c->fd, text, (size_t)n);
}

int http_send(struct http *c, const char *method, const char *path, const char *body)
{
	return send_request(c, method, path, body, "");
}

static int fill(struct http *c)
{
	ssize_t n;

	if (c->at == c->end)
		c->at = c->end = 0;
	do
		n = read(c->fd, c->buffer + c->end, sizeof(c->buffer) - 1 - c->end);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	c->end += (size_t)n;
	c->buffer[c->end] = '\0';
	return 0;
}

/* One line into `line` without its end. */
static int read_line(struct http *c, char *line, size_t size)
{
	size_t n = 0;

	for (;;) {
		int r = c->at < c->end ? 0 : fill(c);
		char ch;

		if (r < 0)
			return r;
		ch = c->buffer[c->at++];
		if (ch == '\n')
			break;
		if (ch != '\r' && n + 1 < size)
			line[n++] = ch;
	}
	line[n] = '\0';
	return 0;
}

static int take(struct http *c, uint64_t n, struct http_reply *ret)
{
	while (n > 0) {
		int r = c->at < c->end ? 0 : fill(c);
		size_t have, keep;

		if (r < 0)
			return r;
		have = c->end - c->at < n ? c->end - c->at : (size_t)n;
		keep = ret->length < sizeof(ret->body) - 1 ? sizeof(ret->body) - 1 - (size_t)ret->length : 0;
		keep = keep < have ? keep : have;
		memcpy(ret->body + (keep ? ret->length : 0), c->buffer + c->at, keep);
		if (keep)
			ret->body[ret->length + keep] = '\0';
		ret->length += have;
		c->at += have;
		n -= have;
	}
	return 0;
}

static int take_chunks(struct http *c, struct http_reply *ret)
{
	char line[256];
	uint64_t n;
	int r;

	do {
		r = read_line(c, line, sizeof(line));
		n = strtoull(line, NULL, 16);
		if (r == 0)
			r = take(c, n, ret);
		if (r == 0)
			r = read_line(c, line, sizeof(line));
	} while (r == 0 && n > 0);
	return r;
}

int http_read(struct http *c, struct http_reply *ret)
{
	char line[2048];
	uint64_t length = 0;
	int is_chunked = 0, r = read_line(c, line, sizeof(line));

	*ret = (struct http_reply){ .status = r == 0 && strlen(line) > 9 ? atoi(line + 9) : 0 };
	while (r == 0 && (r = read_line(c, line, sizeof(line))) == 0 && line[0]) {
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			length = strtoull(line + 15, NULL, 10);
		if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0)
			is_chunked = 1;
	}
	if (r < 0 || ret->status == 204 || ret->status == 304 || ret->status == 101)
		return r;
	return is_chunked ? take_chunks(c, ret) : take(c, length, ret);
}

int http_do(struct http *c, const char *method, const char *path, const char *body, struct http_reply *ret)
{
	struct http_reply mine = { 0 };
	int r = http_send(c, method, path, body);

	if (!ret)
		ret = &mine;
	if (r == 0)
		r = http_read(c, ret);
	return r < 0 ? r : ret->status;
}

int http_once(const char *socket_path, const char *method, const char *path, const char *body, struct http_reply *ret)
{
	struct http *c = malloc(sizeof(*c));
	int r;

	if (!c)
		abort();
	r = http_open(c, socket_path);
	if (r == 0)
		r = http_do(c, method, path, body, ret);
	http_close(c);
	free(c);
	return r;
}

int http_hijack(struct http *c, const char *path, const char *body)
{
	struct http_reply reply;
	int r = send_request(c, "POST", path, body, "Connection: Upgrade\r\nUpgrade: tcp\r\n");

	if (r == 0)
		r = http_read(c, &reply);
	return r < 0 ? r : reply.status == 101 ? 0 : -EPROTO;
}

uint64_t http_drain(struct http *c)
{
	uint64_t sum = c->end - c->at;
	ssize_t n;

	while ((n = read(c->fd, c->buffer, sizeof(c->buffer))) > 0 || (n < 0 && errno == EINTR))
		sum += n > 0 ? (uint64_t)n : 0;
	return sum;
}

void json_text(const char *json, const char *key, char *out, size_t size)
{
	char quoted[64];
	const char *p;
	size_t n = 0;

	snprintf(quoted, sizeof(quoted), "\"%s\":", key);
	p = strstr(json, quoted);
	p = p ? strchr(p + strlen(quoted), '"') : NULL;
	while (p && *++p && *p != '"' && n + 1 < size)
		out[n++] = *p;
	out[n] = '\0';
}
