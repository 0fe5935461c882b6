/* Words to containers: which of many can be meant by a filter. A word's
 * containers stand in the order of their creation. Loop thread only. */
#ifndef SOCKERLESS_STORE_INDEX_H
#define SOCKERLESS_STORE_INDEX_H

#include <stddef.h>

#include "util/map.h"

struct container;

struct index {
	struct map words;
};

/* The containers of one word, oldest first; borrowed until the next change. */
struct index_row {
	struct container **v;
	size_t n, size;
};

void index_init(struct index *ix);
void index_done(struct index *ix);
/* Once for a word and container; a second time does nothing. */
void index_put(struct index *ix, const char *word, struct container *c);
void index_drop(struct index *ix, const char *word, struct container *c);
/* NULL: no container has it. */
const struct index_row *index_get(const struct index *ix, const char *word);

/* Calls `each` for every three-letter part of a text: what has "/web" in its name is in
 * the rows of "/we" and "web". Nothing for shorter texts. */
void index_parts(const char *text, void (*each)(void *arg, const char *part), void *arg);

#endif
