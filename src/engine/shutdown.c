/* The daemon's end as its containers see it: each is stopped as by docker stop, all at once, and nobody waits for
 * ever (moby: Daemon.Shutdown, ShutdownTimeout). */
#include <limits.h>
#include <stdlib.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/log.h"

enum { TIMEOUT_S = 15, GRACE_S = 5 };

struct shutdown {
	struct engine *engine;
	uv_timer_t timer;
	size_t refs;             /* the timer's, and one for each thing that will call back */
	size_t waits;            /* containers, and one while they are being told */
	bool is_last;            /* only the store is waited for */
	void (*done)(void *arg);
	void *arg;
};

static void unref(struct shutdown *s)
{
	if (--s->refs == 0)
		free(s);
}

static void on_closed(uv_handle_t *h)
{
	unref(h->data);
}

static bool is_over(const struct shutdown *s)
{
	return uv_is_closing((const uv_handle_t *)&s->timer);
}

static void tell(struct shutdown *s)
{
	s->engine->shutdown = NULL;
	uv_close((uv_handle_t *)&s->timer, on_closed);
	s->done(s->arg);
}

static void on_timeout(uv_timer_t *t)
{
	struct shutdown *s = t->data;

	log_warn("%zu containers have not ended in time", s->waits);
	tell(s);
}

static void on_durable(void *arg)
{
	struct shutdown *s = arg;

	if (!is_over(s))
		tell(s);
	unref(s);
}

/* The ends are told when they are durable, in this order: whoever waits for one has heard of it then. */
void shutdown_go_on(struct engine *e)
{
	struct shutdown *s = e->shutdown;

	if (!s || s->waits > 0 || e->nremovals > 0 || s->is_last)
		return;
	s->is_last = true;
	s->refs++;
	store_on_durable(e->store, store_ticket(e->store), on_durable, s);
}

/* `err` says nothing: it may have ended by itself. */
static void on_stopped(void *arg, const struct error *err)
{
	struct shutdown *s = arg;

	(void)err;
	s->waits--;
	if (!is_over(s))
		shutdown_go_on(s->engine);
	unref(s);
}

/* What an embedder runs elsewhere lives on there. */
static bool is_to_end(const struct container *c)
{
	const struct crun *run = c->run;

	return (container_is_live(c) || crun_is_starting(c)) && !(run && run->is_adopted);
}

/* -1: for ever, where a container asks for that. */
static int timeout_of(const struct engine *e)
{
	int timeout_s = TIMEOUT_S;

	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);
		int own_s = stop_timeout(c);

		if (!is_to_end(c))
			continue;
		if (own_s < 0)
			return -1;
		if (own_s + GRACE_S > timeout_s)
			timeout_s = own_s + GRACE_S;
	}
	return timeout_s;
}

void engine_shut_down(struct engine *e, void (*done)(void *arg), void *arg)
{
	struct shutdown *s = xnew(struct shutdown);
	int timeout_s = timeout_of(e);

	e->is_stopping = true;
	e->shutdown = s;
	s->engine = e;
	s->refs = 2;
	s->waits = 1;
	s->done = done;
	s->arg = arg;
	uv_timer_init(e->loop, &s->timer);
	s->timer.data = s;
	if (timeout_s >= 0)
		uv_timer_start(&s->timer, on_timeout, (uint64_t)timeout_s * 1000, 0);
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (!is_to_end(c))
			continue;
		s->refs++;
		s->waits++;
		engine_container_stop(e, c, NULL, INT_MIN, on_stopped, s);
	}
	engine_later(e, on_stopped, s, NULL);
}
