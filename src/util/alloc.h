/* Small allocations of our own size abort when memory is out; what a client
 * sizes has a cap and goes through functions that return an error. */
#ifndef SOCKERLESS_UTIL_ALLOC_H
#define SOCKERLESS_UTIL_ALLOC_H

#include <stddef.h>

/* Zeroed. Never NULL. Any thread. */
void *xcalloc(size_t n, size_t size) __attribute__((returns_nonnull));
void *xmalloc(size_t size) __attribute__((returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s);            /* NULL stays NULL */
char *xstrndup(const char *s, size_t n) __attribute__((returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

#endif
