#include "engine/views.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/memo.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/map.h"

/* Of the descriptors that we may have, one in so many. */
enum { SHARE = 8, FDS_FEW = 64 };

struct kept {
	struct list link;
	char id[ID_LEN + 1]; /* the container's */
	int64_t started_ns;
	size_t fds;
	struct view *view;
};

struct views {
	struct list kept; /* who has waited longest is first */
	struct map by_id;
	size_t fds, fds_max;
};

struct views *views_new(void)
{
	struct views *v = xnew(struct views);
	struct rlimit rl;

	list_init(&v->kept);
	map_init(&v->by_id);
	v->fds_max = getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur / SHARE > FDS_FEW ? rl.rlim_cur / SHARE : FDS_FEW;
	return v;
}

static struct view *let_go(struct views *v, struct kept *k)
{
	struct view *view = k->view;

	v->fds -= k->fds;
	map_remove(&v->by_id, k->id);
	list_remove(&k->link);
	free(k);
	return view;
}

void views_free(struct views *v)
{
	if (!v)
		return;
	list_for_each_safe(it, &v->kept)
		view_free(let_go(v, container_of(it, struct kept, link)));
	map_done(&v->by_id);
	free(v);
}

struct view *views_take(struct views *v, const struct container *c)
{
	struct kept *k = map_get(&v->by_id, c->id);

	if (k && k->started_ns != c->state.started_ns) {
		view_free(let_go(v, k));
		k = NULL;
	}
	return k ? let_go(v, k) : NULL;
}

static size_t count_fds(const struct view *view)
{
	size_t n = 2; /* of the file system's own root */

	for (size_t i = 0; i < view->nmounts; i++) {
		const struct run_mount *m = &view->mounts[i];

		n += (m->lower_fd >= 0) + (m->upper_fd >= 0) + (m->fd >= 0);
	}
	return n;
}

void views_give(struct views *v, const struct container *c, int64_t started_ns, struct view *take_view)
{
	struct kept *k;

	if (!container_has_process(c) || c->state.started_ns != started_ns || map_get(&v->by_id, c->id)) {
		view_free(take_view);
		return;
	}
	k = xnew(struct kept);
	memcpy(k->id, c->id, sizeof(k->id));
	k->started_ns = started_ns;
	k->fds = count_fds(take_view);
	k->view = take_view;
	v->fds += k->fds;
	list_append(&v->kept, &k->link);
	map_put(&v->by_id, k->id, k);
	while (v->fds > v->fds_max)
		view_free(let_go(v, container_of(v->kept.next, struct kept, link)));
}

void views_drop(struct views *v, const struct container *c)
{
	struct kept *k = map_get(&v->by_id, c->id);

	if (k)
		view_free(let_go(v, k));
}

/* ---- one ---- */

struct view *view_new(struct run_plan *plan, struct rootfs *take_fs)
{
	struct view *view = xnew(struct view);

	*view = (struct view){ .fs = take_fs, .mounts = plan->mounts, .nmounts = plan->nmounts };
	plan->mounts = NULL;
	plan->nmounts = 0;
	return view;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	memo_free(view->memo);
	rootfs_free(view->fs);
	plan_mounts_free(view->mounts, view->nmounts);
	free(view);
}
