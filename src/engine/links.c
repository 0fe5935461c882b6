/* --link on the default bridge: who among the running containers has links to whom, so that those who look for a
 * container learn its address when it starts anew. Found by the one that is linked to: a start tells only those. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* A container that running ones are linked to; in networks.linked by its id. */
struct linked {
	struct list links;
	char id[ID_LEN + 1];
};

struct link {
	struct list of_linked, of_sandbox;
	struct linked *linked;
	struct net_sandbox *sandbox; /* of the container that has the link */
	char *alias;
};

static struct linked *linked_of(struct networks *ns, const struct container *c)
{
	struct linked *l = map_get(&ns->linked, c->id);

	if (l)
		return l;
	l = xnew(struct linked);
	list_init(&l->links);
	memcpy(l->id, c->id, sizeof(l->id));
	map_put(&ns->linked, l->id, l);
	return l;
}

void links_enter(struct net_sandbox *s)
{
	struct engine *e = s->engine;
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(s->container->host_config, "Links"), i, v) {
		CLEANUP(freep) char *name = NULL, *alias = NULL;
		struct container *other;
		struct link *l;

		if (link_parse(json_string_value(v), &name, &alias, NULL) < 0 ||
		    containers_find(&e->containers, name, &other, NULL) < 0)
			continue;
		l = xnew(struct link);
		l->linked = linked_of(e->networks, other);
		l->sandbox = s;
		l->alias = steal_ptr(alias);
		list_append(&l->linked->links, &l->of_linked);
		list_append(&s->links, &l->of_sandbox);
	}
}

void links_leave(struct net_sandbox *s)
{
	list_for_each_safe(it, &s->links) {
		struct link *l = container_of(it, struct link, of_sandbox);
		struct linked *linked = l->linked;

		list_remove(&l->of_sandbox);
		list_remove(&l->of_linked);
		if (list_is_empty(&linked->links)) {
			map_remove(&s->engine->networks->linked, linked->id);
			free(linked);
		}
		free(l->alias);
		free(l);
	}
}

void links_tell(struct engine *e, const struct container *c)
{
	const struct linked *linked = map_get(&e->networks->linked, c->id);
	const struct endpoint *ep = linked ? endpoint_find(net_sandbox_of(e, c), "bridge") : NULL;

	if (!ep)
		return;
	list_for_each(it, &linked->links) {
		const struct link *l = container_of(it, struct link, of_linked);

		if (endpoint_find(l->sandbox, "bridge"))
			container_files_move(l->sandbox, ep, l->alias);
	}
}
