/* docker update: other limits and another restart policy for a container that
 * is there, live when it runs. The rules are moby's UpdateContainer's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/schema.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/log.h"

#define conflict(err, ...) error_set_class(err, ERROR_CONFLICT, __VA_ARGS__)

/* No limit of processes has several names. */
static void normalise_pids(json_t *body)
{
	if (json_object_get(body, "PidsLimit") && json_number(body, "PidsLimit") <= 0)
		json_object_set_new(body, "PidsLimit", json_integer(0));
}

static int check_conflicts(json_t *host, json_t *body, struct error *err)
{
	json_int_t nano = json_number(body, "NanoCpus"), memory = json_number(body, "Memory");
	const char *policy = json_string_value(json_object_get(json_object_get(body, "RestartPolicy"), "Name"));

	if (nano > 0 && json_number(host, "CpuPeriod") > 0)
		return conflict(err, "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set");
	if (nano > 0 && json_number(host, "CpuQuota") > 0)
		return conflict(err, "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set");
	if (json_number(body, "CpuPeriod") > 0 && json_number(host, "NanoCpus") > 0)
		return conflict(err, "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set");
	if (json_number(body, "CpuQuota") > 0 && json_number(host, "NanoCpus") > 0)
		return conflict(err, "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set");
	if (memory > json_number(host, "MemorySwap") && memory != 0 && json_number(body, "MemorySwap") == 0)
		return conflict(err, "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time");
	if (policy && *policy && strcmp(policy, "no") && json_is_true(json_object_get(host, "AutoRemove")))
		return conflict(err, "Restart policy cannot be updated because AutoRemove is enabled for the container");
	return 0;
}

/* A new HostConfig: what is asked for replaces, what is not (or is zero) stays. */
static json_t *merge(json_t *host, json_t *body)
{
	static const char *const keys[] = {
		"BlkioWeight",
		"BlkioWeightDevice",
		"BlkioDeviceReadBps",
		"BlkioDeviceWriteBps",
		"BlkioDeviceReadIOps",
		"BlkioDeviceWriteIOps",
		"CpuShares",
		"NanoCpus",
		"CpuPeriod",
		"CpuQuota",
		"CpusetCpus",
		"CpusetMems",
		"Memory",
		"MemorySwap",
		"MemoryReservation",
	};
	json_t *merged = json_copy(host), *pids = json_object_get(body, "PidsLimit"),
	       *policy = json_object_get(body, "RestartPolicy");

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		json_t *v = json_object_get(body, keys[i]);
		bool is_said = json_is_array(v) || json_string_length(v) || json_integer_value(v);

		if (is_said)
			json_object_set(merged, keys[i], v);
	}
	if (pids)
		json_object_set(merged, "PidsLimit", pids);
	if (json_string_length(json_object_get(policy, "Name")))
		json_object_set(merged, "RestartPolicy", policy);
	return merged;
}

/* ---- those that run ---- */

struct updating {
	struct engine *engine;
	struct container *container;
	json_t *body, *warnings;
	engine_updated done;
	void *arg;
};

static bool has_other_limits(json_t *host, json_t *merged)
{
	struct limits before, after;

	resources_limits(host, &before);
	resources_limits(merged, &after);
	return memcmp(&before, &after, sizeof(before)) != 0;
}

static struct driver_process *process_of(const struct container *c)
{
	return c->run && container_is_live(c) ? ((struct crun *)c->run)->process : NULL;
}

static int apply(struct container *c, json_t *host, driver_done done, void *arg, struct error *err)
{
	struct driver_process *p = process_of(c);
	struct limits limits;

	resources_limits(host, &limits);
	if (!p->owner->ops->lifecycle->update)
		return error_set(err, -ENOSYS, "the driver cannot change the limits of a running container");
	return p->owner->ops->lifecycle->update(p->owner, c, p, &limits, done, arg, err);
}

static void on_applied_late(void *arg, const struct error *err)
{
	struct container *c = arg;

	if (err)
		log_warn("container %.12s runs under the limits from before its update: %s", c->id, err->message);
	container_unref(c);
}

/* The start that was under way had the limits of before. */
static void apply_late(void *arg, const struct error *start_error)
{
	struct container *c = arg;
	struct error err = { 0 };

	(void)start_error;
	if (!process_of(c))
		container_unref(c);
	else if (apply(c, c->host_config, on_applied_late, c, &err) < 0)
		on_applied_late(c, &err);
}

static void finish(struct updating *u, const struct error *err)
{
	struct error told = err ? *err : (struct error){ 0 };

	if (err) {
		error_prefix(&told, "Cannot update container %s", u->container->id);
		json_decref(u->warnings);
	}
	u->done(u->arg, err ? NULL : u->warnings, err ? &told : NULL);
	container_unref(u->container);
	json_decref(u->body);
	free(u);
}

/* What else has changed meanwhile stays. */
static void keep(struct updating *u)
{
	struct container *c = u->container;
	json_t *old = c->host_config;

	c->host_config = merge(old, u->body);
	json_decref(old);
	if (c->is_gone)
		return;
	containers_save(&u->engine->containers, c);
	engine_container_event(u->engine, c, "update", NULL);
}

static void on_applied(void *arg, const struct error *err)
{
	struct updating *u = arg;
	struct crun *run = crun_of(u->engine, u->container);

	run->is_updating = false;
	waiters_answer(u->engine, &run->after_update, NULL);
	if (!err)
		keep(u);
	finish(u, err);
}

static int check(const struct container *c, json_t *body, struct error *err)
{
	if (c->is_removing || c->state.status == CONTAINER_DEAD)
		return conflict(err, "container is marked for removal and cannot be \"update\"");
	return check_conflicts(c->host_config, body, err);
}

/* One after the other: each is told all the limits, of which the one before has changed some. */
static void update_now(void *arg, const struct error *waited)
{
	struct updating *u = arg;
	struct container *c = u->container;
	struct crun *run = crun_of(u->engine, c);
	struct error err = { 0 };
	json_t *merged;
	bool has_others;

	(void)waited;
	if (run->is_updating) {
		waiters_add(&run->after_update, update_now, u);
		return;
	}
	if (check(c, u->body, &err) < 0) {
		finish(u, &err);
		return;
	}
	merged = merge(c->host_config, u->body);
	has_others = has_other_limits(c->host_config, merged);
	if (has_others && !crun_is_starting(c) && process_of(c)) {
		run->is_updating = true;
		if (apply(c, merged, on_applied, u, &err) < 0)
			on_applied(u, &err);
	} else {
		if (has_others && crun_is_starting(c))
			waiters_add(&run->after_start, apply_late, container_ref(c));
		keep(u);
		finish(u, NULL);
	}
	json_decref(merged);
}

void engine_container_update(struct engine *e, const char *name, json_t *body, engine_updated done, void *arg)
{
	json_t *warnings = json_array();
	struct error err = { 0 };
	struct container *c;
	struct updating *u;
	int r = validate_restart(json_object_get(body, "RestartPolicy"), false, &err);

	normalise_pids(body);
	if (r == 0)
		r = resources_check(body, true, &err);
	if (r == 0) {
		resources_adapt(body, warnings);
		r = containers_find(&e->containers, name, &c, &err);
	}
	if (r < 0) {
		json_decref(warnings);
		done(arg, NULL, &err);
		return;
	}
	u = xnew(struct updating);
	*u = (struct updating){ e, container_ref(c), json_incref(body), warnings, done, arg };
	update_now(u, NULL);
}
