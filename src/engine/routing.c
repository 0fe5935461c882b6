/* Which way a container goes: decided once, at its creation, in Docker's own word
 * for it, the runtime. The chain's dispatcher obeys. */
#include <string.h>

#include "engine/internal.h"
#include "engine/standins.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const char *const runtimes[] = { "auto", "agent", "wasm", "synthetic" };

bool routing_is_runtime(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
		if (strcmp(runtimes[i], name) == 0)
			return true;
	return false;
}

bool engine_is_runtime(const struct engine *e, const char *name)
{
	if (routing_is_runtime(name))
		return true;
	for (const struct driver *d = e->drivers; d; d = d->next)
		if (strcmp(d->ops->name, name) == 0)
			return d != e->backend && strcmp(name, standin_factory.name) != 0; /* nobody asks for these */
	return false;
}

int routing_decide(struct engine *e, const struct image *image, const char *requested, json_t *labels, char **ret,
		   struct error *err)
{
	const char *runtime = requested && *requested ? requested : e->options.default_runtime, *launcher;

	if (json_is_string(json_object_get(labels, AGENT_LABEL)) && strcmp(runtime, "auto") == 0)
		runtime = "agent";
	if (!engine_is_runtime(e, runtime) && !agent_driver_has_launcher(e->agents, runtime))
		return error_set_class(err, ERROR_INVALID, "unknown or invalid runtime name: %.100s", runtime);
	if (image->kind == IMAGE_STANDIN) /* nothing else can do its work */
		runtime = standin_factory.name;
	/* Which one is known at its start at the latest (drivers/agent_run.c). */
	launcher = strcmp(runtime, "auto") == 0 && image_has_native(image) ? agent_driver_native(e->agents) : NULL;
	*ret = xstrdup(launcher ? launcher : runtime);
	return 0;
}
