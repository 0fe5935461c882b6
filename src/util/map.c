/* Open addressing with linear probing and backward-shift deletion. */
#include "util/map.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/alloc.h"

/* Threads may make their first maps at the same time: one of them chooses for all. */
static uint64_t map_seed(void)
{
	static _Atomic uint64_t seed;
	uint64_t chosen = atomic_load_explicit(&seed, memory_order_relaxed), found = 0;

	while (!chosen) {
		if (getrandom(&chosen, sizeof chosen, GRND_NONBLOCK) < 0)
			chosen = (uint64_t)(uintptr_t)&seed | 1;
		if (chosen && !atomic_compare_exchange_strong_explicit(&seed, &found, chosen, memory_order_relaxed,
								       memory_order_relaxed))
			chosen = found;
	}
	return chosen;
}

static unsigned long map_hash(const char *key)
{
	uint64_t h = map_seed();

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	return (unsigned long)(h ^ h >> 29);
}

void map_init(struct map *m)
{
	*m = (struct map){ 0 };
}

void map_done(struct map *m)
{
	for (size_t i = 0; i < m->size; i++)
		free(m->slots[i].key);
	free(m->slots);
	map_init(m);
}

static size_t map_find(const struct map *m, const char *key, unsigned long hash)
{
	size_t i = hash & (m->size - 1);

	while (m->slots[i].key) {
		if (m->slots[i].hash == hash && !strcmp(m->slots[i].key, key))
			break;
		i = (i + 1) & (m->size - 1);
	}
	return i;
}

static void map_grow(struct map *m)
{
	size_t size = m->size ? m->size * 2 : 16;
	struct map bigger = { .slots = xcalloc(size, sizeof *m->slots), .size = size };

	for (size_t i = 0; i < m->size; i++) {
		const struct map_entry *e = &m->slots[i];

		if (e->key)
			bigger.slots[map_find(&bigger, e->key, e->hash)] = *e;
	}
	bigger.count = m->count;
	free(m->slots);
	*m = bigger;
}

void *map_get(const struct map *m, const char *key)
{
	if (!m->count)
		return NULL;
	return m->slots[map_find(m, key, map_hash(key))].value;
}

bool map_has(const struct map *m, const char *key)
{
	return m->count && m->slots[map_find(m, key, map_hash(key))].key;
}

void *map_put(struct map *m, const char *key, void *value)
{
	unsigned long hash = map_hash(key);
	struct map_entry *e;
	void *old;

	if ((m->count + 1) * 4 > m->size * 3)
		map_grow(m);
	e = &m->slots[map_find(m, key, hash)];
	old = e->value;
	if (!e->key) {
		e->key = xstrdup(key);
		e->hash = hash;
		m->count++;
	}
	e->value = value;
	return old;
}

void *map_remove(struct map *m, const char *key)
{
	size_t i, j, mask = m->size - 1;
	void *value;

	if (!m->count)
		return NULL;
	i = map_find(m, key, map_hash(key));
	if (!m->slots[i].key)
		return NULL;
	value = m->slots[i].value;
	free(m->slots[i].key);
	m->count--;
	for (j = (i + 1) & mask; m->slots[j].key; j = (j + 1) & mask) {
		size_t home = m->slots[j].hash & mask;

		/* j may fill the hole at i unless its home lies in (i, j] */
		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slots[i] = m->slots[j];
			i = j;
		}
	}
	m->slots[i] = (struct map_entry){ 0 };
	return value;
}

const struct map_entry *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->size) {
		const struct map_entry *e = &m->slots[(*pos)++];

		if (e->key)
			return e;
	}
	return NULL;
}
