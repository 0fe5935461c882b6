#include "engine/joined.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/network_mode.h"
#include "util/alloc.h"
#include "util/json.h"

int joined_find(struct engine *e, const char *name, struct container **ret, struct error *err)
{
	int r = containers_find(&e->containers, name, ret, err);

	if (r < 0 && err)
		err->cls = ERROR_INVALID;
	return r;
}

static int adapt_one(struct engine *e, json_t *host, const char *key, struct error *err)
{
	const char *name = network_mode_container(json_text(host, key));
	struct container *other;

	if (!name)
		return 0;
	if (joined_find(e, name, &other, err) < 0)
		return err->code;
	json_object_set_new(host, key, json_sprintf("container:%s", other->id));
	return 0;
}

int joined_adapt(struct engine *e, json_t *host, struct error *err)
{
	return adapt_one(e, host, "PidMode", err) < 0 ? err->code : adapt_one(e, host, "IpcMode", err);
}

void joined_warn(json_t *host, json_t *warnings)
{
	if (network_mode_container(json_text(host, "PidMode")))
		json_array_append_new(warnings, json_string("The processes of another container are not seen in the sandbox: "
							    "PidMode is kept, and the container has processes of its own."));
}

/* The running container that `mode` names; NULL with `err` set. */
static struct container *running(struct engine *e, const char *mode, struct error *err)
{
	const char *id = network_mode_container(mode);
	struct container *other;

	if (containers_find(&e->containers, id, &other, err) < 0) {
		err->cls = ERROR_INTERNAL; /* as moby tells it: the request was a good one */
		return NULL;
	}
	if (other->state.status == CONTAINER_RESTARTING)
		error_set(err, -EINVAL, "Container %s is restarting, wait until the container is running", id);
	else if (!container_has_process(other))
		error_set(err, -EINVAL, "container %s is not running", id);
	return err->code ? NULL : other;
}

int joined_check(struct engine *e, const struct container *c, struct error *err)
{
	const char *ipc = json_text(c->host_config, "IpcMode"), *pid = json_text(c->host_config, "PidMode");
	struct container *other;

	if (network_mode_container(ipc)) {
		other = running(e, ipc, err);
		if (other && strcmp(json_text(other->host_config, "IpcMode"), "shareable") != 0)
			error_set(err, -EINVAL,
				  "container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
				  other->id);
		if (err->code)
			error_prefix(err, "failed to join IPC namespace");
	}
	if (!err->code && network_mode_container(pid) && !running(e, pid, err))
		error_prefix(err, "failed to join PID namespace");
	return err->code;
}

char *joined_shm(const struct engine *e, const struct container *c)
{
	const char *id = network_mode_container(json_text(c->host_config, "IpcMode"));

	return id ? xasprintf("%s/containers/%s/tmpfs/" SHM_DIR, e->options.data_root, id) : NULL;
}
