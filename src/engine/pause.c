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

static void freeze(struct engine *e, struct container *c, bool is_pause, engine_done done, void *arg)
{
	struct crun *run = crun_of(e, c);
	struct freezing *f;
	struct error err = { 0 };
	int r = 0;

	if (!is_pause && c->state.status != CONTAINER_PAUSED)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is not paused", c->id);
	else if (c->state.status == CONTAINER_RESTARTING)
		r = error_set_class(&err, ERROR_CONFLICT,
				    "Container %s is restarting, wait until the container is running", c->id);
	else if (!container_has_process(c) || !run->process)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is not running", c->id);
	else if (is_pause && c->state.status == CONTAINER_PAUSED)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is already paused", c->id);
	if (r < 0) {
		engine_later(e, done, arg, &err);
		return;
	}
	f = xnew(struct freezing);
	*f = (struct freezing){ e, container_ref(c), done, arg, is_pause };
	r = (is_pause ? run->process->owner->ops->lifecycle->pause : run->process->owner->ops->lifecycle->unpause)(
		run->process->owner, c, run->process, on_frozen, f, &err);
	if (r < 0) {
		container_unref(c);
		free(f);
		engine_later(e, done, arg, &err);
	}
}

void engine_container_pause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, true, done, arg);
}

void engine_container_unpause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, false, done, arg);
}
