#include "store/index.h"

#include <stdlib.h>
#include <string.h>

#include "store/containers.h"
#include "util/alloc.h"

void index_init(struct index *ix)
{
	map_init(&ix->words);
}

static void row_free(struct index_row *row)
{
	free(row->v);
	free(row);
}

void index_done(struct index *ix)
{
	const struct map_entry *e;
	size_t pos = 0;

	while ((e = map_next(&ix->words, &pos)))
		row_free(e->value);
	map_done(&ix->words);
}

/* The first place whose container is not older. */
static size_t place_of(const struct index_row *row, const struct container *c)
{
	size_t low = 0, high = row->n;

	if (high && row->v[high - 1]->age < c->age) /* the usual case: the newest is added */
		return high;
	while (low < high) {
		size_t mid = (low + high) / 2;

		if (row->v[mid]->age < c->age)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void index_put(struct index *ix, const char *word, struct container *c)
{
	struct index_row *row = map_get(&ix->words, word);
	size_t at;

	if (!row) {
		row = xnew(struct index_row);
		map_put(&ix->words, word, row);
	}
	at = place_of(row, c);
	if (at < row->n && row->v[at] == c)
		return;
	if (row->n == row->size) {
		row->size = row->size ? 2 * row->size : 1; /* most words are one container's */
		row->v = xrealloc(row->v, row->size * sizeof(*row->v));
	}
	memmove(&row->v[at + 1], &row->v[at], (row->n - at) * sizeof(*row->v));
	row->v[at] = c;
	row->n++;
}

void index_drop(struct index *ix, const char *word, struct container *c)
{
	struct index_row *row = map_get(&ix->words, word);
	size_t at = row ? place_of(row, c) : 0;

	if (!row || at == row->n || row->v[at] != c)
		return;
	row->n--;
	memmove(&row->v[at], &row->v[at + 1], (row->n - at) * sizeof(*row->v));
	if (row->n == 0)
		row_free(map_remove(&ix->words, word));
}

const struct index_row *index_get(const struct index *ix, const char *word)
{
	return map_get(&ix->words, word);
}

void index_parts(const char *text, void (*each)(void *arg, const char *part), void *arg)
{
	char part[4] = "";

	for (size_t n = strlen(text), i = 0; i + 3 <= n; i++) {
		memcpy(part, text + i, 3);
		each(arg, part);
	}
}
