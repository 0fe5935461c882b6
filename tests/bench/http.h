/* A blocking HTTP/1.1 client over a Unix socket, as small as the bench needs:
 * keep-alive, Content-Length and chunked bodies, hijacked connections. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stddef.h>
#include <stdint.h>

struct http {
	int fd;
	char buffer[65536];
	size_t at, end;          /* what is read and not yet taken */
};

struct http_reply {
	int status;
	uint64_t length;         /* bytes of the body */
	char body[4096];         /* its beginning, NUL-terminated */
};

/* 0 or -errno. */
int http_open(struct http *c, const char *socket_path);
void http_close(struct http *c);

/* Sends a request; `body` NULL: none. 0 or -errno. */
int http_send(struct http *c, const char *method, const char *path, const char *body);
/* Reads an answer whole. 0 or -errno. */
int http_read(struct http *c, struct http_reply *ret);
/* Both, and the status; -errno when there is none. `ret` may be NULL. */
int http_do(struct http *c, const char *method, const char *path, const char *body, struct http_reply *ret);
/* As http_do, with a fresh connection; for what must not wait behind another request. */
int http_once(const char *socket_path, const char *method, const char *path, const char *body, struct http_reply *ret);

/* Sends a hijacking POST and reads the head of its 101; then the connection is a plain stream. 0 or -errno. */
int http_hijack(struct http *c, const char *path, const char *body);
/* Reads to the end of the stream; the number of bytes. */
uint64_t http_drain(struct http *c);

/* The text of a string member of a flat JSON object into `out`; "" when it is not there. */
void json_text(const char *json, const char *key, char *out, size_t size);

#endif
