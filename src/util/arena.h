/* Memory that is given back all at once: the many small pieces of one parsed
 * text. What is in it may point at itself. Not thread safe. */
#ifndef SOCKERLESS_UTIL_ARENA_H
#define SOCKERLESS_UTIL_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *last;
	size_t bytes; /* handed out so far: who fills it by a client's wish looks here */
};

void arena_done(struct arena *a); /* it may be used again */
/* Zeroed, aligned for anything. Aborts when memory is out: the caller caps what it asks for. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
char *arena_dup(struct arena *a, const char *s); /* NULL stays NULL */
char *arena_ndup(struct arena *a, const char *s, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3), returns_nonnull));

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))

/* A list of strings in an arena. */
struct words {
	char **items;
	size_t count, size;
};
void words_add(struct arena *a, struct words *w, char *item);
/* With `between` between them. */
char *words_join(struct arena *a, const struct words *w, const char *between) __attribute__((returns_nonnull));

#endif
