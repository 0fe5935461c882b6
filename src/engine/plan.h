/* A plan in the making: what plan.c and plan_mounts.c share. */
#ifndef SOCKERLESS_ENGINE_PLAN_H
#define SOCKERLESS_ENGINE_PLAN_H

#include "engine/internal.h"
#include "engine/networks.h"
#include "engine/views.h"

struct rootfs;

/* What the pool may look at. Of the container that is what never changes after
 * its creation: id, config, path, args, mounts. */
struct plan_job {
	uv_work_t work;
	enum plan_kind kind;
	struct engine *engine;
	struct container *container;
	json_t *host_config;         /* a copy: it can be updated meanwhile */
	json_t *exec_config;
	char *dir, *image_root;
	struct mount_backing *backings; /* of the container's mounts; volumes.h */
	bool wants_copy;             /* a new volume has not got its content yet */
	bool has_copied;             /* now it has */
	char *files_dir;             /* of /etc/hosts & co.; NULL: there are none */
	struct container_files *files; /* to be written at a start; NULL: another container's */
	char *joined_shm;            /* the directory of another's /dev/shm */
	bool is_live;
	int64_t started_ns;          /* of the run that an exec belongs to */
	struct view *view;           /* an exec's: of the one before, or for the next */
	int rows, cols;
	struct run_plan *plan;
	struct error err;
	plan_done done;
	void *arg;
};

/* ---- plan_mounts.c; both block ---- */
/* The container's mounts, opened, parents before children. */
int plan_add_mounts(struct plan_job *j);
/* At a start: owners of tmpfs, what leads to the mounts, the content of new volumes. */
int plan_prepare_mounts(struct plan_job *j, struct rootfs *fs);

#endif
