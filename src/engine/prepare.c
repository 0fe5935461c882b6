/* What follows a container's creation on the pool: the directories of its new
 * volumes, and what the image has for them. If that cannot be done the container
 * goes again, with the volumes that came with it. */
#include <stdlib.h>

#include "engine/internal.h"
#include "engine/volumes.h"
#include "util/alloc.h"

struct preparation {
	struct engine *engine;
	struct container *container;
	size_t waits;            /* for volumes */
	struct error err;
	engine_done done;
	void *arg;
};

static void finish(struct preparation *p)
{
	p->done(p->arg, p->err.code ? &p->err : NULL);
	container_unref(p->container);
	free(p);
}

static void on_undone(void *arg, const struct error *err)
{
	(void)err;
	finish(arg);
}

static void end(struct preparation *p)
{
	if (p->err.code)
		engine_container_remove(p->engine, p->container, true, true, on_undone, p);
	else
		finish(p);
}

static void on_populated(void *arg, struct run_plan *plan, const struct error *err)
{
	struct preparation *p = arg;

	run_plan_free(plan);
	if (err)
		p->err = *err;
	end(p);
}

static void on_volume(void *arg, const struct error *err)
{
	struct preparation *p = arg;
	bool wants_copy = false;

	if (err)
		p->err = *err;
	if (--p->waits > 0)
		return;
	for (size_t i = 0; i < p->container->nmounts; i++)
		wants_copy = wants_copy || p->container->mounts[i].wants_copy;
	if (p->err.code || !wants_copy)
		end(p);
	else
		plan_make(p->engine, p->container, PLAN_POPULATE, NULL, on_populated, p);
}

bool engine_container_prepare(struct engine *e, struct container *c, engine_done done, void *arg)
{
	struct preparation *p = xnew(struct preparation);

	p->engine = e;
	p->container = container_ref(c);
	p->done = done;
	p->arg = arg;
	p->waits = volumes_enter(e, c, on_volume, p);
	if (p->waits > 0)
		return true;
	container_unref(c);
	free(p);
	return false;
}
