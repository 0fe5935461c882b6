/* A set of texts in order, for walks and for whoever gives only the beginning of one. Not thread safe. */
#ifndef SOCKERLESS_UTIL_SORTED_H
#define SOCKERLESS_UTIL_SORTED_H

#include <stddef.h>

/* All zero is an empty one. Keys are borrowed: each belongs to the object that it names. */
struct sorted {
	const char **keys;
	size_t n, size;
};

void sorted_done(struct sorted *s);
/* `key` is not in it yet. O(n), for a memmove. */
void sorted_add(struct sorted *s, const char *key);
/* Nothing where it is not in it. */
void sorted_remove(struct sorted *s, const char *key);
/* The place of the first that is not before `key`; s->n: all are. O(log n), as the next. */
size_t sorted_position(const struct sorted *s, const char *key);
/* How many begin with it; they stand from *ret_at on. "" begins none. */
size_t sorted_matches(const struct sorted *s, const char *prefix, size_t *ret_at);

#endif
