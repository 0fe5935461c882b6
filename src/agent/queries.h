/* What an agent was asked and has not answered yet (top, stats, pause, unpause). A connection's end is theirs.
 * Loop thread only. */
#ifndef SOCKERLESS_AGENT_QUERIES_H
#define SOCKERLESS_AGENT_QUERIES_H

#include <stdint.h>

#include <jansson.h>

#include "util/error.h"
#include "util/list.h"

struct queries {
	struct list list;
};

void queries_init(struct queries *qs);
/* The id to ask by; valid until it is answered. `done` runs once: with the answer, or with value NULL and err set. */
const char *queries_add(struct queries *qs, uint64_t number,
			void (*done)(void *arg, json_t *value, const struct error *err), void *arg);
void queries_answer(struct queries *qs, const char *id, json_t *value); /* borrows the value; another id is ignored */
void queries_end(struct queries *qs, const char *reason); /* those that are under way now */

#endif
