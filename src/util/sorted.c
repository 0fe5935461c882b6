#include "util/sorted.h"

#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

void sorted_done(struct sorted *s)
{
	free(s->keys);
	*s = (struct sorted){ 0 };
}

/* The first whose beginning, so many bytes of it, is not before `key`, or is behind it. */
static size_t bound(const struct sorted *s, const char *key, size_t len, int is_behind)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strncmp(s->keys[mid], key, len) < is_behind)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t sorted_position(const struct sorted *s, const char *key)
{
	return bound(s, key, strlen(key) + 1, 0);
}

size_t sorted_matches(const struct sorted *s, const char *prefix, size_t *ret_at)
{
	size_t len = strlen(prefix);

	*ret_at = bound(s, prefix, len, 0);
	return len ? bound(s, prefix, len, 1) - *ret_at : 0;
}

void sorted_add(struct sorted *s, const char *key)
{
	size_t at = sorted_position(s, key);

	if (s->n == s->size) {
		s->size = s->size ? 2 * s->size : 16;
		s->keys = xrealloc(s->keys, s->size * sizeof(*s->keys));
	}
	memmove(s->keys + at + 1, s->keys + at, (s->n - at) * sizeof(*s->keys));
	s->keys[at] = key;
	s->n++;
}

void sorted_remove(struct sorted *s, const char *key)
{
	size_t at = sorted_position(s, key);

	if (at == s->n || strcmp(s->keys[at], key) != 0)
		return;
	s->n--;
	memmove(s->keys + at, s->keys + at + 1, (s->n - at) * sizeof(*s->keys));
}
