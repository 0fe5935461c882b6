/* Hash map from strings to pointers; the map copies keys, never owns values.
 * Seeded per process, so a client cannot aim at one bucket. Not thread safe. */
#ifndef SOCKERLESS_UTIL_MAP_H
#define SOCKERLESS_UTIL_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct map_entry {
	char *key;
	void *value;
	unsigned long hash;
};

struct map {
	struct map_entry *slots; /* open addressing; key NULL is free */
	size_t size;             /* power of two or 0 */
	size_t count;
};

void map_init(struct map *m);
void map_done(struct map *m);

/* NULL when absent. */
void *map_get(const struct map *m, const char *key);
bool map_has(const struct map *m, const char *key);
/* Replaces; returns the former value or NULL. */
void *map_put(struct map *m, const char *key, void *value);
/* Returns the removed value or NULL. */
void *map_remove(struct map *m, const char *key);

/* Iterates in no order: start with *pos = 0; NULL at the end. Nothing may be
 * put or removed in between. */
const struct map_entry *map_next(const struct map *m, size_t *pos);

#endif
