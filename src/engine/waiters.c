/* Lists of those who wait for something of a container's: the end of a start, the end of its main process. */
#include <stdlib.h>

#include "engine/internal.h"
#include "util/alloc.h"

struct waiter {
	struct list link;
	engine_done done;
	void *arg;
};

void waiters_add(struct list *waiters, engine_done done, void *arg)
{
	struct waiter *w = xnew(struct waiter);

	w->done = done;
	w->arg = arg;
	list_append(waiters, &w->link);
}

void waiters_answer(struct engine *e, struct list *waiters, const struct error *err)
{
	list_for_each_safe(it, waiters) {
		struct waiter *w = container_of(it, struct waiter, link);

		list_remove(it);
		engine_later(e, w->done, w->arg, err);
		free(w);
	}
}

void waiters_drop(struct list *waiters, engine_done done, const void *arg)
{
	list_for_each_safe(it, waiters) {
		struct waiter *w = container_of(it, struct waiter, link);

		if (w->done != done || w->arg != arg)
			continue;
		list_remove(it);
		free(w);
		return;
	}
}
