/* Files of running containers that stay open from one exec to the next. */
#ifndef SOCKERLESS_ENGINE_VIEWS_H
#define SOCKERLESS_ENGINE_VIEWS_H

#include "drivers/driver.h"

struct rootfs;
struct views;

/* A container's mounts, open, and the file system that they are: what a plan makes for an exec. It holds for one run of
 * the container, whose mounts do not change. */
struct view {
	struct rootfs *fs;
	struct run_mount *mounts; /* owned */
	size_t nmounts;
	struct memo *memo; /* of an exec; memo.h. NULL: none */
};

/* Loop thread, all but view_new. */
struct views *views_new(void);
void views_free(struct views *v);
/* The caller's alone until it is given back or freed; NULL: there is none. */
struct view *views_take(struct views *v, const struct container *c);
/* Keeps it for the next exec, if the container still is in that run, which began at started_ns. Those that have waited
 * longest are closed when there are many. */
void views_give(struct views *v, const struct container *c, int64_t started_ns, struct view *take_view);
/* The run has ended. */
void views_drop(struct views *v, const struct container *c);

/* Any thread. Takes the plan's mounts and `take_fs`, which was made of them. */
struct view *view_new(struct run_plan *plan, struct rootfs *take_fs);
void view_free(struct view *view);

#endif
