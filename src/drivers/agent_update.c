/* docker update of a native container that runs: its helper changes the control groups. */
#include <errno.h>
#include <stdlib.h>

#include "drivers/agent_internal.h"
#include "util/alloc.h"

struct update {
	struct list link; /* not linked: the container has gone, and `done` was told */
	driver_done done;
	void *arg;
};

static void on_limited(void *arg, int r, const char *why)
{
	struct update *u = arg;
	struct error err = { 0 };

	if (!list_is_empty(&u->link)) {
		list_remove(&u->link);
		if (r == -EOPNOTSUPP)
			error_set_class(&err, ERROR_UNIMPLEMENTED, "%s", why);
		else if (r < 0)
			error_set(&err, r, "%s", why);
		u->done(u->arg, r < 0 ? &err : NULL);
	}
	free(u);
}

int agent_container_update(struct agent_container *ac, const struct limits *limits, driver_done done, void *arg,
			   struct error *err)
{
	struct update *u;
	int r;

	if (!ac->is_launched)
		return error_set_class(err, ERROR_UNIMPLEMENTED,
				       "the limits of what an agent runs elsewhere are set there, not by this daemon");
	if (!ac->launch)
		return error_set(err, -ESRCH, "the container has ended");
	if (!launch_has_root(ac->launch))
		return error_set_class(
			err, ERROR_UNIMPLEMENTED,
			"the limits of what this launcher starts are set at its start: no control group of it is known here");
	u = xnew(struct update);
	u->done = done;
	u->arg = arg;
	list_append(&ac->updates, &u->link);
	r = launch_limit(ac->launch, limits, on_limited, u, err);
	if (r < 0) {
		list_remove(&u->link);
		free(u);
	}
	return r;
}

void agent_updates_drop(struct agent_container *ac)
{
	struct error err = { 0 };

	error_set(&err, -ESRCH, "the container has ended");
	while (!list_is_empty(&ac->updates)) {
		struct update *u = container_of(ac->updates.next, struct update, link);

		list_remove(&u->link);
		u->done(u->arg, &err);
	}
}
