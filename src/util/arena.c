#include "util/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

enum { CHUNK_BYTES = 8192, ALIGNMENT = 16 };

struct arena_chunk {
	struct arena_chunk *before;
	size_t used, size;
	_Alignas(ALIGNMENT) char data[];
};

void arena_done(struct arena *a)
{
	while (a->last) {
		struct arena_chunk *c = a->last;

		a->last = c->before;
		free(c);
	}
	a->bytes = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->last;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = xcalloc(1, sizeof(*c) + room);
		c->size = room;
		c->before = a->last;
		a->last = c;
	}
	p = c->data + c->used;
	c->used += size;
	a->bytes += size;
	return p;
}

char *arena_ndup(struct arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);

	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *arena_dup(struct arena *a, const char *s)
{
	return s ? arena_ndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *text;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	text = arena_alloc(a, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

void words_add(struct arena *a, struct words *w, char *item)
{
	if (w->count == w->size) {
		size_t size = w->size ? w->size * 2 : 4;
		char **items = arena_alloc(a, size * sizeof(*items));

		if (w->count)
			memcpy(items, w->items, w->count * sizeof(*items));
		w->items = items;
		w->size = size;
	}
	w->items[w->count++] = item;
}

char *words_join(struct arena *a, const struct words *w, const char *between)
{
	size_t n = 0, gap = strlen(between);
	char *text, *at;

	for (size_t i = 0; i < w->count; i++)
		n += strlen(w->items[i]) + gap;
	at = text = arena_alloc(a, n + 1);
	for (size_t i = 0; i < w->count; i++) {
		size_t len = strlen(w->items[i]);

		if (i) {
			memcpy(at, between, gap);
			at += gap;
		}
		memcpy(at, w->items[i], len);
		at += len;
	}
	return text;
}
