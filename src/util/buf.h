/* A growable byte buffer born with a cap (curl's dynbuf). A failed append
 * frees nothing and leaves the content as it was. Not thread safe. */
#ifndef SOCKERLESS_UTIL_BUF_H
#define SOCKERLESS_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data; /* NUL-terminated when not NULL */
	size_t len;
	size_t size;
	size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buffer may be used again */
void buf_reset(struct buf *b); /* len = 0, keeps the memory */

/* Each returns 0, or -ENOBUFS over the cap, -ENOMEM. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for `extra` more bytes beyond len (plus a NUL). */
int buf_reserve(struct buf *b, size_t extra);

/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);

/* Hands the memory to the caller (never NULL) and empties the buffer. */
char *buf_steal(struct buf *b);

#endif
