/* docker pause and unpause. */
#include <stdlib.h>

#include "engine/health.h"
#include "engine/internal.h"
#include "util/alloc.h"

static void save(struct engine *e, struct container *c)
{
	containers_save(&e->containers, c);
}

struct freezing {
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
	bool is_pause;
};

static void on_frozen(void *arg, const struct error *err)
{
	struct freezing f = *(struct freezing *)arg;

	free(arg);
	if (!err && container_has_process(f.container)) {
		f.container->state.status = f.is_pause ? CONTAINER_PAUSED : CONTAINER_RUNNING;
		(f.is_pause ? health_halt : health_go_on)(crun_of(f.engine, f.container));
		save(f.engine, f.container);
		engine_container_event(f.engine, f.container, f.is_pause ? "pause" : "unpause", NULL);
	}
	if (f.done)
		f.done(f.arg, err);
	container_unref(f.container);
}

static int check(const struct container *c, bool is_pause, struct error *err)
{
	const struct crun *run = c->run;
	int r = 0;

	if (!is_pause && c->state.status != CONTAINER_PAUSED)
		r = error_set_class(err, ERROR_CONFLICT, "Container %s is not paused", c->id);
	else if (c->state.status == CONTAINER_RESTARTING)
		r = error_set_class(err, ERROR_CONFLICT,
				    "Container %s is restarting, wait until the container is running", c->id);
	else if (!container_has_process(c) || !run || !run->process)
		r = error_set_class(err, ERROR_CONFLICT, "Container %s is not running", c->id);
	else if (is_pause && c->state.status == CONTAINER_PAUSED)
		r = error_set_class(err, ERROR_CONFLICT, "Container %s is already paused", c->id);
	return r;
}

/* `start_error` says nothing. */
static void freeze_now(void *arg, const struct error *start_error)
{
	struct freezing *f = arg;
	struct container *c = f->container;
	struct crun *run = c->run;
	struct error err = { 0 };
	int r;

	(void)start_error;
	if (crun_is_starting(c)) {
		waiters_add(&run->after_start, freeze_now, f);
		return;
	}
	r = check(c, f->is_pause, &err);
	if (r == 0) {
		struct driver *d = run->process->owner;

		r = (f->is_pause ? d->ops->lifecycle->pause : d->ops->lifecycle->unpause)(d, c, run->process, on_frozen,
											  f, &err);
	}
	if (r < 0) {
		engine_later(f->engine, f->done, f->arg, &err);
		container_unref(c);
		free(f);
	}
}

static void freeze(struct engine *e, struct container *c, bool is_pause, engine_done done, void *arg)
{
	struct freezing *f = xnew(struct freezing);

	*f = (struct freezing){ e, container_ref(c), done, arg, is_pause };
	freeze_now(f, NULL);
}

void engine_container_pause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, true, done, arg);
}

void engine_container_unpause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, false, done, arg);
}
