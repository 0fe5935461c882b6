/* --link on the default bridge: from the words of HostConfig.Links to containers, and who learns what becomes of them
 * (moby: daemon/links.go, registerLinks, rmLink). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/joined.h"
#include "engine/network_mode.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"
#include "util/log.h"

#define OWNERS_MAX 64 /* names may have come to name each other in a circle */

static int find(struct engine *e, const char *name, struct container **ret, struct error *err)
{
	int r = joined_find(e, name, ret, err);

	if (r < 0)
		error_prefix(err, "could not get container for %.200s", name);
	return r;
}

/* Whose network it uses is meant in a container's place. */
static int resolve(struct engine *e, const char *text, struct container **ret_child, char **ret_alias, struct error *err)
{
	CLEANUP(freep) char *name = NULL, *alias = NULL;
	struct container *child;
	const char *owner;
	int r = link_parse(text, &name, &alias, err);

	if (r == 0)
		r = find(e, name, &child, err);
	for (int i = 0; r == 0 && i < OWNERS_MAX && (owner = network_mode_container(network_mode_of(child))); i++)
		r = find(e, owner, &child, err);
	if (r < 0)
		return r;
	if (strcmp(network_mode_of(child), "host") == 0)
		return error_set_class(
			err, ERROR_INVALID,
			"conflicting options: host type networking can't be used with links. This would result in undefined behavior");
	*ret_child = child;
	*ret_alias = steal_ptr(alias);
	return 0;
}

int links_adapt(struct engine *e, json_t *host, struct error *err)
{
	json_t *links = json_object_get(host, "Links"), *adapted = json_array(), *v;
	size_t i;
	int r = 0;

	json_array_foreach(links, i, v) {
		CLEANUP(freep) char *alias = NULL;
		struct container *child;

		r = resolve(e, json_string_value(v), &child, &alias, err);
		if (r < 0)
			break;
		json_array_append_new(adapted, json_sprintf("%s:%s", child->id, alias));
	}
	if (r == 0 && json_array_size(adapted) > 0)
		json_object_set(host, "Links", adapted);
	json_decref(adapted);
	return r;
}

void links_register(struct engine *e, struct container *c)
{
	json_t *links = json_object_get(c->host_config, "Links"), *v;
	size_t i;

	if (json_array_size(links) == 0 || network_is_user_defined(network_mode_of(c)))
		return;
	json_array_foreach(links, i, v) {
		CLEANUP(freep) char *alias = NULL;
		struct container *child;
		struct error err = { 0 };

		if (resolve(e, json_string_value(v), &child, &alias, &err) < 0)
			log_warn("container %.12s: its link '%.200s' is lost: %s", c->id, json_string_value(v), err.message);
		else if (!containers_link(&e->containers, c, child, alias))
			log_warn("container %.12s: its link '%.200s' has no name of its own", c->id, json_string_value(v));
	}
}

void links_load(struct engine *e)
{
	list_for_each(it, &e->containers.by_age)
		links_register(e, container_of(it, struct container, by_age));
}

void links_tell(struct engine *e, const struct container *c)
{
	const struct endpoint *ep = c->linked_by ? endpoint_find(net_sandbox_of(e, c), "bridge") : NULL;

	if (!ep)
		return;
	for (const struct container_link *l = c->linked_by; l; l = l->next_of_child) {
		struct net_sandbox *s = net_sandbox_of(e, l->parent);

		if (s && endpoint_find(s, "bridge"))
			container_files_move(s, ep, l->alias);
	}
}

/* ---- docker rm --link ---- */

/* HostConfig.Links, for the next start of the daemon. */
static void keep(struct engine *e, struct container *parent)
{
	json_t *host = json_copy(parent->host_config), *links = json_array();

	for (const struct container_link *l = parent->links; l; l = l->next)
		json_array_append_new(links, json_sprintf("%s:%s", l->child->id, l->alias));
	if (json_array_size(links) > 0)
		json_object_set(host, "Links", links);
	else
		json_object_del(host, "Links");
	json_decref(links);
	json_decref(parent->host_config);
	parent->host_config = host;
	containers_save(&e->containers, parent);
}

int engine_container_unlink(struct engine *e, struct container *child, const char *name, struct error *err)
{
	const char *path = name[0] == '/' ? name + 1 : name, *slash = strrchr(path, '/');
	CLEANUP(freep) char *parent_name = xstrndup(path, slash ? (size_t)(slash - path) : 0);
	struct container *parent = slash ? map_get(&e->containers.by_name, parent_name) : NULL;
	struct container_link *l = parent ? parent->links : NULL;
	struct net_sandbox *s;

	if (!slash)
		return error_set(err, -EINVAL, "Conflict, cannot remove the default link name of the container");
	while (l && (l->child != child || strcmp(l->alias, slash + 1) != 0))
		l = l->next;
	if (!l) /* an alias with a slash: "parent/a" is nobody */
		return error_set(err, -ENOENT, "Cannot get parent /%s for link name /%s", parent_name, path);
	s = net_sandbox_of(e, parent);
	if (s)
		container_files_unlink(s, l->alias);
	containers_unlink(&e->containers, l);
	keep(e, parent);
	return 0;
}
