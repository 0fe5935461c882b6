/* docker wait: whoever waits for the end or the removal of a container, answered when it is durable. */
#include <stdlib.h>

#include "engine/internal.h"
#include "util/alloc.h"

struct container_wait {
	struct list link;
	enum wait_condition cond;
	void (*done)(void *arg, const struct wait_result *r);
	void *arg;
	struct wait_result result;
	char *state_error;  /* result.error may be this */
	struct store *store;
	bool is_answered;   /* the store calls back, which frees it */
	bool is_cancelled;
};

static void wait_free(struct container_wait *w)
{
	free(w->state_error);
	free(w);
}

/* Told is what survives us. */
static void on_durable(void *arg)
{
	struct container_wait *w = arg;

	if (store_has_failed(w->store, NULL))
		w->result.error = "state cannot be saved: the exit code may be forgotten";
	if (!w->is_cancelled)
		w->done(w->arg, &w->result);
	wait_free(w);
}

static void answer_wait(struct engine *e, struct container_wait *w, int code, const char *error)
{
	list_remove(&w->link);
	w->result.exit_code = code;
	w->result.error = w->state_error = error ? xstrdup(error) : NULL;
	w->store = e->store;
	w->is_answered = true;
	store_on_durable(e->store, store_ticket(e->store), on_durable, w);
}

void crun_answer_waits(struct crun *run, bool is_removed)
{
	const struct container_state *state = &run->container->state;

	/* A removal that went well leaves no error, also not that of a start (moby: SetRemovalError). */
	list_for_each_safe(it, &run->waits) {
		struct container_wait *w = container_of(it, struct container_wait, link);

		if (w->cond != WAIT_REMOVED || is_removed)
			answer_wait(run->engine, w, state->exit_code, is_removed ? NULL : state->error);
	}
}

struct container_wait *engine_container_wait(struct engine *e, struct container *c, enum wait_condition cond,
					     void (*done)(void *arg, const struct wait_result *r), void *arg)
{
	struct container_wait *w = xnew(struct container_wait);

	w->cond = cond;
	w->done = done;
	w->arg = arg;
	list_init(&w->link);
	if (cond == WAIT_NOT_RUNNING && !container_is_live(c) && !crun_is_starting(c))
		answer_wait(e, w, c->state.exit_code, c->state.error);
	else
		list_append(&crun_of(e, c)->waits, &w->link);
	return w;
}

void engine_container_wait_cancel(struct container_wait *w)
{
	if (!w)
		return;
	list_remove(&w->link);
	w->is_cancelled = true;
	if (!w->is_answered)
		wait_free(w);
}
