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

enum { LOOKS_MAX = 256 };

struct revival {
	struct engine *engine;
	struct container *container;
};

/* Whoever started it last time says whether it still runs. */
static bool is_backends(const struct container *c)
{
	return c->driver && strcmp(c->driver, backend_factory.name) == 0;
}

static bool is_due(const struct container *c)
{
	return c->state.started_ns && !is_backends(c) && !container_is_live(c) && restart_is_due(c, c->state.exit_code);
}

static struct container *awaited(struct engine *e, const struct container *c, unsigned *looks);

static void start_now(struct engine *e, struct container *c)
{
	crun_of(e, c)->is_to_revive = false;
	if (is_due(c)) /* as it was; the user may have been quicker */
		engine_container_start(e, c, NULL, NULL);
}

static struct container *awaited_for(struct engine *e, struct container *needed, unsigned *looks)
{
	const struct crun *run = needed->run;
	struct container *other = NULL;

	if (run && run->is_to_revive) {
		other = awaited(e, needed, looks);
		if (!other)
			start_now(e, needed);
	}
	return other ? other : crun_is_starting(needed) ? needed : NULL;
}

/* What it needs to run and is being started, or what that waits for: of the container whose network it uses, and of
 * those that it is linked to. They are older ones, so nobody waits for himself; `looks` bounds what a thicket costs. */
static struct container *awaited(struct engine *e, const struct container *c, unsigned *looks)
{
	const char *id = network_mode_container(network_mode_of(c));
	struct container *found = NULL, *owner;

	if (*looks == 0)
		return NULL;
	--*looks;
	if (id && containers_find(&e->containers, id, &owner, NULL) == 0)
		found = awaited_for(e, owner, looks);
	for (const struct container_link *l = c->links; l && !found; l = l->next)
		found = awaited_for(e, l->child, looks);
	return found;
}

static void begin(struct engine *e, struct container *c);

static void revive(void *arg, const struct error *err)
{
	struct revival *r = arg;

	(void)err;
	begin(r->engine, r->container);
	container_unref(r->container);
	free(r);
}

/* Now, or when what it needs has started; nothing if that has been done. */
static void begin(struct engine *e, struct container *c)
{
	const struct crun *run = c->run;
	unsigned looks = LOOKS_MAX;
	struct container *other;
	struct revival *r;

	if (!run || !run->is_to_revive)
		return;
	other = awaited(e, c, &looks);
	if (!other) {
		start_now(e, c);
		return;
	}
	r = xnew(struct revival);
	r->engine = e;
	r->container = container_ref(c);
	waiters_add(&crun_of(e, other)->after_start, revive, r);
}

void restart_all(struct engine *e)
{
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (is_due(c))
			crun_of(e, c)->is_to_revive = true;
	}
	list_for_each(it, &e->containers.by_age)
		begin(e, container_of(it, struct container, by_age));
}
