/* Execution that an embedder brings: drivers of its own, a process factory, and
 * containers that it runs elsewhere. They stand before the server's drivers:
 * those that were added, the factory, factories that are on their way out. */
#include <string.h>

#include <sockerless/driver.h>

#include "drivers/agent.h"
#include "drivers/custom.h"
#include "drivers/plugin.h"
#include "engine/internal.h"

/* ---- the chain ---- */

/* Where the next driver of an embedder's goes: behind the others that were added. */
static struct driver **end_of_added(struct engine *e)
{
	struct driver **at = &e->drivers;

	while (custom_is(*at))
		at = &(*at)->next;
	return at;
}

static void insert(struct engine *e, struct driver *d)
{
	struct driver **at = end_of_added(e);

	d->next = *at;
	*at = d;
}

static int check_usual_name(const char *name, struct error *err)
{
	if (routing_is_runtime(name) || strcmp(name, "agent") == 0)
		return error_set_class(err, ERROR_INVALID, "%s is the name of a runtime that is there", name);
	return 0;
}

/* A name means one driver; only a factory may take the name of the one that it replaces. */
static int check_name(const struct engine *e, const char *name, const struct driver *replaced, struct error *err)
{
	for (const struct driver *d = e->drivers; d; d = d->next)
		if (d != replaced && !plugin_is_retired(d) && strcmp(d->ops->name, name) == 0)
			return error_set_class(err, ERROR_INVALID, "there is a driver %s already", name);
	if (agent_driver_has_launcher(e->agents, name))
		return error_set_class(err, ERROR_INVALID, "there is a launcher %s already", name);
	return 0;
}

static int check_not_stopping(const struct engine *e, struct error *err)
{
	return e->is_stopping ? error_set_class(err, ERROR_UNAVAILABLE, "the server is stopping") : 0;
}

int engine_check_driver(const struct sockerless_driver_ops *ops, struct error *err)
{
	if (!custom_is_complete(ops))
		return error_set_class(err, ERROR_INVALID,
				       "a driver needs a name of [a-z0-9-], lifecycle with start and signal, stream with "
				       "release, and exec.signal where it has exec.start");
	return check_usual_name(ops->name, err);
}

int engine_add_driver(struct engine *e, const struct sockerless_driver_ops *ops, void *ctx, struct error *err)
{
	if (engine_check_driver(ops, err) < 0 || check_not_stopping(e, err) < 0 || check_name(e, ops->name, NULL, err) < 0)
		return err->code;
	insert(e, custom_driver_new(e->loop, ops, ctx));
	return 0;
}

/* ---- the factory ---- */

static void on_idle(void *arg, struct driver *d)
{
	struct engine *e = arg;

	for (struct driver **at = &e->drivers; *at; at = &(*at)->next)
		if (*at == d) {
			*at = d->next;
			d->ops->free(d);
			return;
		}
}

int engine_check_factory(const struct sockerless_process_factory_ops *ops, struct error *err)
{
	if (!plugin_factory_is_complete(ops))
		return error_set_class(err, ERROR_INVALID, "a process factory needs a name of [a-z0-9-] and new_process");
	return check_usual_name(ops->name, err);
}

int engine_set_factory(struct engine *e, const struct sockerless_process_factory_ops *ops, void *ctx, struct error *err)
{
	struct driver *before = e->factory;

	if (check_not_stopping(e, err) < 0)
		return err->code;
	if (ops && (engine_check_factory(ops, err) < 0 || check_name(e, ops->name, before, err) < 0))
		return err->code;
	e->factory = ops ? plugin_driver_new(e->loop, ops, ctx) : NULL;
	if (e->factory)
		insert(e, e->factory);
	if (before)
		plugin_retire(before, on_idle, e);
	return 0;
}

/* ---- what the embedder runs elsewhere ---- */

static int start_nothing(void *ctx, const struct sockerless_process_spec *spec,
			 const struct sockerless_container_process_ops **ret_ops, void **ret_process,
			 struct sockerless_error *err)
{
	(void)ctx, (void)spec, (void)ret_ops, (void)ret_process, (void)err;
	return SOCKERLESS_DECLINED;
}

const struct sockerless_process_factory_ops backend_factory = {
	.size = sizeof(backend_factory),
	.name = "backend",
	.new_process = start_nothing,
};

/* ---- what is told of the server ---- */

const struct engine_descriptor *engine_descriptor(const struct engine *e)
{
	static const struct engine_descriptor none;

	return e->options.descriptor ? e->options.descriptor : &none;
}

const char *engine_storage_driver(const struct engine *e)
{
	const char *driver = engine_descriptor(e)->driver;

	return driver ? driver : "sockerless";
}
