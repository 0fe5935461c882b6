/* Which way a container goes: decided once, at its creation, in Docker's own word
 * for it, the runtime. The chain's dispatcher obeys. */
#include <fnmatch.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/standins.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { PARENTS_MAX = 1000 };

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

static bool is_there(struct engine *e, const char *runtime)
{
	return engine_is_runtime(e, runtime) || agent_driver_has_launcher(e->agents, runtime);
}

/* ---- the daemon's rules ---- */

/* A pattern is written as names are shown, "debian:*", or whole, "docker.io/library/debian:*"; without a tag it means all. */
static bool matches_name(const char *pattern, size_t len, const char *name)
{
	CLEANUP(freep) char *whole = reference_whole(name), *text = xstrndup(pattern, len);
	const char *const forms[] = { name, whole };
	const char *slash = strrchr(text, '/');

	for (size_t i = 0; i < ARRAY_SIZE(forms) && forms[i]; i++) {
		CLEANUP(freep) char *untagged = xstrdup(forms[i]);
		char *tag = strrchr(untagged, ':');

		if (fnmatch(text, forms[i], 0) == 0)
			return true;
		if (tag && !strchr(tag, '/'))
			*tag = '\0';
		if (!strchr(slash ? slash : text, ':') && fnmatch(text, untagged, 0) == 0)
			return true;
	}
	return false;
}

/* By one of its names. What a build makes on its way has none: then by those of what it stands upon. */
static bool matches(struct engine *e, const char *pattern, size_t len, const struct image *image)
{
	json_t *tag;
	size_t i;

	for (int depth = 0; image && json_array_size(image->tags) == 0 && image->parent_id && depth < PARENTS_MAX; depth++)
		image = images_by_id(e->images, image->parent_id);
	if (!image)
		return false;
	json_array_foreach(image->tags, i, tag)
		if (matches_name(pattern, len, json_string_value(tag)))
			return true;
	return false;
}

/* The first rule that matches; NULL: none does. */
static const char *rule_for(struct engine *e, const struct image *image)
{
	for (size_t i = 0; e->options.routes && e->options.routes[i]; i++) {
		const char *rule = e->options.routes[i], *equals = strrchr(rule, '=');

		if (matches(e, rule, (size_t)(equals - rule), image))
			return rule;
	}
	return NULL;
}

int engine_check_routes(struct engine *e, struct error *err)
{
	if (!is_there(e, e->options.default_runtime))
		return error_set_class(err, ERROR_INVALID,
				       "--default-runtime %.100s: there is no such runtime and no such launcher",
				       e->options.default_runtime);
	for (size_t i = 0; e->options.routes && e->options.routes[i]; i++)
		if (!is_there(e, strrchr(e->options.routes[i], '=') + 1))
			return error_set_class(err, ERROR_INVALID,
					       "--route %.200s: there is no such runtime and no such launcher",
					       e->options.routes[i]);
	return 0;
}

/* ---- the decision ---- */

/* What the container asks for, else its label, else the daemon's rules, else its default. Who asks for "auto" by name
 * wants neither rules nor default. *ret_why: malloc'd; NULL: it has asked, or nothing was chosen. */
static const char *choose(struct engine *e, const struct image *image, const char *requested, json_t *labels, char **ret_why)
{
	bool is_auto = requested && strcmp(requested, "auto") == 0;
	const char *rule;

	*ret_why = NULL;
	if (requested && *requested && !is_auto)
		return requested;
	if (json_is_string(json_object_get(labels, AGENT_LABEL))) {
		*ret_why = xstrdup("label " AGENT_LABEL);
		return "agent";
	}
	rule = is_auto ? NULL : rule_for(e, image);
	if (rule) {
		*ret_why = xasprintf("--route %s", rule);
		return strrchr(rule, '=') + 1;
	}
	if (is_auto || strcmp(e->options.default_runtime, "auto") == 0)
		return "auto";
	*ret_why = xstrdup("--default-runtime");
	return e->options.default_runtime;
}

int routing_decide(struct engine *e, const struct image *image, const char *requested, json_t *labels, char **ret,
		   char **ret_why, struct error *err)
{
	CLEANUP(freep) char *why = NULL;
	const char *runtime = choose(e, image, requested, labels, &why), *launcher;

	if (!is_there(e, runtime))
		return error_set_class(err, ERROR_INVALID, "unknown or invalid runtime name: %.100s", runtime);
	if (image->kind == IMAGE_STANDIN) /* nothing else can do its work */
		runtime = standin_factory.name;
	/* Which one is known at its start at the latest (drivers/agent_run.c). */
	launcher = strcmp(runtime, "auto") == 0 && image_has_native(image) ? agent_driver_native(e->agents) : NULL;
	*ret = xstrdup(launcher ? launcher : runtime);
	*ret_why = steal_ptr(why);
	return 0;
}
