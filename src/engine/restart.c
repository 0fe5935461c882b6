/* Restart policies: whether a container whose main process has ended starts
 * again by itself, after how long, and what ends that. */
#include <stdlib.h>
#include <string.h>

#include <sockerless/process.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "util/alloc.h"

enum { BACKOFF_FIRST_MS = 100, BACKOFF_MAX_MS = 60000 };
#define RAN_WELL_NS 10000000000LL /* who ran so long begins with the first wait again */

/* ---- the decision (moby: restartmanager) ---- */

bool restart_is_due(const struct container *c, int exit_code)
{
	json_t *policy = json_object_get(c->host_config, "RestartPolicy");
	const char *name = json_string_value(json_object_get(policy, "Name"));
	json_int_t max = json_integer_value(json_object_get(policy, "MaximumRetryCount"));

	if (!name)
		return false;
	if (strcmp(name, "always") == 0)
		return true;
	if (strcmp(name, "unless-stopped") == 0)
		return !c->state.is_manually_stopped;
	return strcmp(name, "on-failure") == 0 && exit_code != 0 && (max == 0 || c->state.restart_count < max);
}

unsigned restart_backoff(unsigned before_ms, int64_t ran_ns)
{
	if (before_ms == 0 || ran_ns >= RAN_WELL_NS)
		return BACKOFF_FIRST_MS;
	return before_ms < BACKOFF_MAX_MS / 2 ? before_ms * 2 : BACKOFF_MAX_MS;
}

bool restart_decide(struct crun *run, int exit_code)
{
	struct container *c = run->container;

	if (run->is_restart_cancelled || run->is_adopted || run->engine->is_stopping || c->is_removing ||
	    !restart_is_due(c, exit_code))
		return false;
	run->backoff_ms = restart_backoff(run->backoff_ms, c->state.finished_ns - c->state.started_ns);
	return true;
}

/* ---- the wait ---- */

static void on_backoff(uv_timer_t *t)
{
	crun_start_again(t->data);
}

void restart_begin(struct crun *run)
{
	if (!run->has_backoff) {
		uv_timer_init(run->engine->loop, &run->backoff);
		run->backoff.data = run;
		run->has_backoff = true;
		run->handles++;
	}
	uv_timer_start(&run->backoff, on_backoff, run->backoff_ms, 0);
}

void restart_cancel(struct crun *run)
{
	struct container *c = run->container;

	run->is_restart_cancelled = true;
	if (c->state.status != CONTAINER_RESTARTING || run->is_starting)
		return;
	if (run->has_backoff)
		uv_timer_stop(&run->backoff);
	c->state.status = CONTAINER_EXITED;
	containers_save(&run->engine->containers, c);
	crun_answer_stops(run, NULL);
	crun_answer_waits(run, false);
}

/* ---- at the daemon's start ---- */

struct revival {
	struct engine *engine;
	struct container *container;
};

static void revive(void *arg, const struct error *err)
{
	struct revival *r = arg;

	(void)err;
	engine_container_start(r->engine, r->container, NULL, NULL);
	container_unref(r->container);
	free(r);
}

/* The container whose network it uses; always an older one. */
static struct container *network_owner(struct engine *e, const struct container *c)
{
	const char *id = network_mode_container(network_mode_of(c));
	struct container *owner;

	return id && containers_find(&e->containers, id, &owner, NULL) == 0 ? owner : NULL;
}

/* Whoever started it last time says whether it still runs. */
static bool is_backends(const struct container *c)
{
	return c->driver && strcmp(c->driver, backend_factory.name) == 0;
}

void restart_all(struct engine *e)
{
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age), *owner;
		struct revival *r;

		if (!c->state.started_ns || is_backends(c) || !restart_is_due(c, c->state.exit_code))
			continue;
		owner = network_owner(e, c);
		if (!owner || !crun_is_starting(owner)) {
			engine_container_start(e, c, NULL, NULL);
			continue;
		}
		r = xnew(struct revival);
		r->engine = e;
		r->container = container_ref(c);
		waiters_add(&crun_of(e, owner)->after_start, revive, r);
	}
}
