#include "agent/queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

struct query {
	struct list link;
	char id[40];
	void (*done)(void *arg, json_t *value, const struct error *err);
	void *arg;
};

void queries_init(struct queries *qs)
{
	list_init(&qs->list);
}

const char *queries_add(struct queries *qs, uint64_t number,
			void (*done)(void *arg, json_t *value, const struct error *err), void *arg)
{
	struct query *q = xnew(struct query);

	snprintf(q->id, sizeof(q->id), "q%llu", (unsigned long long)number);
	q->done = done;
	q->arg = arg;
	list_append(&qs->list, &q->link);
	return q->id;
}

static void tell(struct query *q, json_t *value, const struct error *err)
{
	list_remove(&q->link);
	q->done(q->arg, value, err);
	free(q);
}

void queries_answer(struct queries *qs, const char *id, json_t *value)
{
	list_for_each_safe(it, &qs->list) {
		struct query *q = container_of(it, struct query, link);

		if (strcmp(q->id, id) == 0) {
			tell(q, value, NULL);
			return;
		}
	}
}

void queries_end(struct queries *qs, const char *reason)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNAVAILABLE, "the agent is not connected: %s", reason);
	while (!list_is_empty(&qs->list))
		tell(container_of(qs->list.next, struct query, link), NULL, &err);
}
