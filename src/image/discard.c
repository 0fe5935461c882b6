#include "image/discard.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/list.h"

struct discarding {
	uv_work_t work;
	char *dir, *name;
};

static void work(uv_work_t *w)
{
	struct discarding *d = container_of(w, struct discarding, work);
	CLEANUP(closep) int fd = open(d->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		rootfs_remove_tree(fd, d->name);
}

static void after(uv_work_t *w, int status)
{
	struct discarding *d = container_of(w, struct discarding, work);

	(void)status;
	free(d->dir);
	free(d->name);
	free(d);
}

void discard(uv_loop_t *loop, const char *dir, const char *name)
{
	struct discarding *d = xnew(struct discarding);

	d->dir = xstrdup(dir);
	d->name = xstrdup(name);
	uv_queue_work(loop, &d->work, work, after);
}

void discard_path(uv_loop_t *loop, char *take_path)
{
	char *slash = take_path ? strrchr(take_path, '/') : NULL;

	if (slash) {
		*slash = '\0';
		discard(loop, take_path, slash + 1);
	}
	free(take_path);
}
