/* docker rm: the end of a container, its files, its anonymous volumes. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/internal.h"
#include "engine/log_files.h"
#include "engine/volumes.h"
#include "image/discard.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* A removal that came while the container was starting. */
struct retry {
	struct engine *engine;
	struct container *container;
	bool force, remove_volumes;
	engine_done done;
	void *arg;
};

static void on_retry(void *arg, const struct error *err)
{
	struct retry *t = arg;

	(void)err;
	engine_container_remove(t->engine, t->container, t->force, t->remove_volumes, t->done, t->arg);
	container_unref(t->container);
	free(t);
}

struct removal {
	uv_work_t work;
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
	char *parent;
	struct log_files *log_files; /* reference; NULL: nobody reads them, or ever has */
	bool remove_volumes;
};

/* Under a name that no container has, the files are out of the way at once: nobody waits for their deletion. Who has
 * asked for the log before gets to read it. */
static void set_files_aside(uv_work_t *work)
{
	struct removal *rm = container_of(work, struct removal, work);
	CLEANUP(freep) char *from = xasprintf("%s/%s", rm->parent, rm->container->id), *to = xasprintf("%s.gone", from);
	CLEANUP(freep) char *log = xasprintf("%s.log", from);

	if (rm->log_files)
		log_files_set_aside(rm->log_files, log);
	(void)!rename(from, to); /* there are none of a container that never started */
}

static void on_files_removed(uv_work_t *work, int status)
{
	struct removal *rm = container_of(work, struct removal, work);
	struct container *c = rm->container;
	struct engine *e = rm->engine;
	CLEANUP(freep) char *gone = xasprintf("%s.gone", c->id);

	(void)status;
	engine_container_event(e, c, "destroy", NULL);
	chain_cleanup(e->drivers, c);
	containers_remove(&e->containers, c);
	volumes_leave(e, c, rm->remove_volumes);
	execs_forget(e, c);
	if (c->run)
		crun_answer_waits(c->run, true);
	crun_free(c);
	e->nremovals--;
	if (rm->done)
		rm->done(rm->arg, NULL);
	shutdown_go_on(e);
	discard(e->loop, rm->parent, gone); /* what is left of it is swept at the next start */
	log_files_unref(rm->log_files);
	free(rm->parent);
	container_unref(c);
	free(rm);
}

/* It goes on living. */
static void give_up(struct removal *rm, const struct error *err)
{
	struct error told = *err;

	rm->container->is_removing = false;
	rm->engine->nremovals--;
	error_prefix(&told, "cannot remove container \"/%s\": could not kill", rm->container->name);
	engine_later(rm->engine, rm->done, rm->arg, &told);
	shutdown_go_on(rm->engine);
	container_unref(rm->container);
	free(rm->parent);
	free(rm);
}

static void remove_now(void *arg, const struct error *err)
{
	struct removal *rm = arg;
	const struct crun *run = rm->container->run;

	if (err) {
		give_up(rm, err);
		return;
	}
	if (run && run->log_files)
		rm->log_files = log_files_ref(run->log_files);
	uv_queue_work(rm->engine->loop, &rm->work, set_files_aside, on_files_removed);
}

void engine_container_remove(struct engine *e, struct container *c, bool force, bool remove_volumes, engine_done done, void *arg)
{
	struct error err = { 0 };
	struct removal *rm;
	struct crun *run;

	if (crun_is_starting(c)) {
		struct retry *t = xnew(struct retry);

		*t = (struct retry){ .engine = e,
				     .container = container_ref(c),
				     .force = force,
				     .remove_volumes = remove_volumes,
				     .done = done,
				     .arg = arg };
		waiters_add(&crun_of(e, c)->after_start, on_retry, t);
		return;
	}
	if (c->is_removing)
		error_set_class(&err, ERROR_CONFLICT, "removal of container %s is already in progress", c->name);
	else if (c->is_held && !container_is_live(c))
		error_set_class(&err, ERROR_CONFLICT, "container %s is being used by a running build", c->name);
	else if (c->state.status == CONTAINER_PAUSED && !force)
		error_set_class(&err, ERROR_CONFLICT, "container is paused and must be unpaused first");
	else if (container_is_live(c) && !force)
		error_set_class(&err, ERROR_CONFLICT, "container is %s: stop the container before removing or force remove",
				container_status_name(c->state.status));
	if (err.code) {
		engine_later(e, done, arg, &err);
		return;
	}
	c->is_removing = true;
	e->nremovals++;
	rm = xnew(struct removal);
	rm->engine = e;
	rm->container = container_ref(c);
	rm->done = done;
	rm->arg = arg;
	rm->remove_volumes = remove_volumes;
	rm->parent = xasprintf("%s/containers", e->options.data_root);
	if (!container_is_live(c)) {
		engine_later(e, remove_now, rm, NULL); /* who waits for its end hears of that first, and tells "stop" before "destroy" */
		return;
	}
	run = crun_of(e, c);
	waiters_add(&run->stop_waits, remove_now, rm);
	if (crun_kill(run, SIGKILL, &err) < 0) {
		waiters_drop(&run->stop_waits, remove_now, rm);
		give_up(rm, &err);
	}
}
