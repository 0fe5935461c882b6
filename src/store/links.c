/* Legacy links: names "parent/alias" under which a container is known beside its own. They are in the index of names,
 * where no container's own name has a slash; kept they are as the parent's HostConfig.Links says them. */
#include <stdlib.h>
#include <string.h>

#include "store/containers.h"
#include "util/alloc.h"
#include "util/cleanup.h"

char *container_link_name(const struct container_link *l)
{
	return xasprintf("%s/%s", l->parent->name, l->alias);
}

static void take_name(struct containers *cs, const struct container_link *l)
{
	CLEANUP(freep) char *name = container_link_name(l);

	if (!l->child->is_gone)
		map_put(&cs->by_name, name, l->child);
}

static void give_name(struct containers *cs, const struct container_link *l)
{
	CLEANUP(freep) char *name = container_link_name(l);

	map_remove(&cs->by_name, name);
}

/* As a path is cleaned; NULL where that leaves no name under the parent's. */
static char *clean_alias(const char *alias)
{
	char *clean = xmalloc(strlen(alias) + 1), *end = clean;

	while (*alias) {
		size_t n = strcspn(alias, "/");

		if (n == 2 && strncmp(alias, "..", n) == 0) {
			end = clean;
			break;
		}
		if (n > 0 && !(n == 1 && *alias == '.')) {
			if (end > clean)
				*end++ = '/';
			memcpy(end, alias, n);
			end += n;
		}
		alias += n + (alias[n] == '/');
	}
	*end = '\0';
	if (end > clean)
		return clean;
	free(clean);
	return NULL;
}

static void join_child(struct container_link *l)
{
	struct container_link **first = &l->child->linked_by;

	l->next_of_child = *first;
	l->at_of_child = first;
	if (*first)
		(*first)->at_of_child = &l->next_of_child;
	*first = l;
}

static void leave_child(struct container_link *l)
{
	if (!l->at_of_child)
		return;
	*l->at_of_child = l->next_of_child;
	if (l->next_of_child)
		l->next_of_child->at_of_child = l->at_of_child;
	l->at_of_child = NULL;
}

bool containers_link(struct containers *cs, struct container *parent, struct container *child, const char *alias)
{
	struct container_link *l = xnew(struct container_link), **at = &parent->links;
	CLEANUP(freep) char *name = NULL;

	l->alias = clean_alias(alias);
	l->parent = parent;
	if (l->alias)
		name = container_link_name(l);
	if (!name || map_has(&cs->by_name, name)) {
		free(l->alias);
		free(l);
		return false;
	}
	l->child = container_ref(child);
	while (*at)
		at = &(*at)->next;
	*at = l;
	join_child(l);
	map_put(&cs->by_name, name, child);
	return true;
}

void containers_unlink(struct containers *cs, struct container_link *l)
{
	struct container_link **at = &l->parent->links;

	give_name(cs, l);
	leave_child(l);
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	container_unref(l->child);
	free(l->alias);
	free(l);
}

void links_give_names(struct containers *cs, struct container *parent)
{
	for (struct container_link *l = parent->links; l; l = l->next)
		give_name(cs, l);
}

void links_take_names(struct containers *cs, struct container *parent)
{
	for (struct container_link *l = parent->links; l; l = l->next)
		take_name(cs, l);
}

void links_leave(struct containers *cs, struct container *c)
{
	while (c->links)
		containers_unlink(cs, c->links);
	while (c->linked_by) { /* who is linked to it still says so, and does not start */
		struct container_link *l = c->linked_by;

		give_name(cs, l);
		leave_child(l);
	}
}
