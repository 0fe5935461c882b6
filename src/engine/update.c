/* docker update: other limits and another restart policy for a container that
 * is there, live when it runs. The rules are moby's UpdateContainer's. */
#include <errno.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/schema.h"
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

/* Those that run get the new limits at once. */
static int apply(struct container *c, struct error *err)
{
	struct driver_process *p = c->run ? ((struct crun *)c->run)->process : NULL;
	struct limits limits;

	if (!container_is_live(c) || !p)
		return 0;
	resources_limits(c->host_config, &limits);
	if (!p->owner->ops->lifecycle->update)
		return error_set(err, -ENOSYS, "the driver cannot change the limits of a running container");
	return p->owner->ops->lifecycle->update(p->owner, c, p, &limits, err);
}

/* The start that was under way had the limits of before. */
static void apply_late(void *arg, const struct error *err)
{
	struct container *c = arg;
	struct error told = { 0 };

	(void)err;
	if (apply(c, &told) < 0)
		log_warn("container %.12s runs under the limits from before its update: %s", c->id, told.message);
	container_unref(c);
}

static int update(struct engine *e, struct container *c, json_t *body, struct error *err)
{
	json_t *old = c->host_config;
	int r = 0;

	if (c->is_removing || c->state.status == CONTAINER_DEAD)
		r = conflict(err, "container is marked for removal and cannot be \"update\"");
	if (r == 0)
		r = check_conflicts(old, body, err);
	if (r == 0) {
		c->host_config = merge(old, body);
		if (crun_is_starting(c))
			waiters_add(&crun_of(e, c)->after_start, apply_late, container_ref(c));
		else
			r = apply(c, err);
		json_decref(r < 0 ? c->host_config : old);
		if (r < 0)
			c->host_config = old;
	}
	if (r < 0) {
		error_prefix(err, "Cannot update container %s", c->id);
		return r;
	}
	containers_save(&e->containers, c);
	engine_container_event(e, c, "update", NULL);
	return 0;
}

int engine_container_update(struct engine *e, const char *name, json_t *body, json_t **ret_warnings, struct error *err)
{
	json_t *warnings = json_array();
	struct container *c;
	int r = validate_restart(json_object_get(body, "RestartPolicy"), false, err);

	normalise_pids(body);
	if (r == 0)
		r = resources_check(body, true, err);
	if (r == 0) {
		resources_adapt(body, warnings);
		r = containers_find(&e->containers, name, &c, err);
	}
	if (r == 0)
		r = update(e, c, body, err);
	if (r < 0)
		json_decref(warnings);
	else
		*ret_warnings = warnings;
	return r;
}
