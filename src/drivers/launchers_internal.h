/* What launchers.c and launch.c share. */
#ifndef SOCKERLESS_DRIVERS_LAUNCHERS_INTERNAL_H
#define SOCKERLESS_DRIVERS_LAUNCHERS_INTERNAL_H

#include "drivers/launchers.h"
#include "util/list.h"

enum { LAUNCHERS_MAX = 32 };

struct check;

struct launchers {
	uv_loop_t *loop;
	char *agent_path, *data_root, *native, *callback, *authorities;
	struct launcher v[LAUNCHERS_MAX];
	size_t n;
	struct list waiting, runs, sweeps;
	struct check *checking;
	struct launcher *alone_next; /* its check failed in a user namespace: it is repeated without one */
	int64_t again_ns;
	char *told; /* the last word in the log about where native images go */
	bool is_freed;
};

/* What the words of a command begin with: a user namespace, when we are not root and it is not to be without. */
size_t launcher_prefix(char **argv, bool is_alone);
void launchers_free_memory(struct launchers *ls); /* when nothing of it is in use */
/* Removes what was laid out of images that are gone. */
void launches_sweep(struct launchers *ls);
void launches_drop(struct launchers *ls);

#endif
