#include "engine/memo.h"

#include <stdlib.h>
#include <string.h>

#include "rootfs/rootfs.h"
#include "util/alloc.h"

/* Times of files are as coarse as the kernel's clock: what was changed less than this ago may be changed once more
 * without another time. */
enum { QUIET_S = 1 };

struct memo {
	json_t *exec_config, *group_add, *ulimits;
	struct run_spec spec;
	struct timespec changed; /* the top directory, when it was looked at */
};

void memo_free(struct memo *m)
{
	if (!m)
		return;
	json_decref(m->exec_config);
	json_decref(m->group_add);
	json_decref(m->ulimits);
	run_spec_done(&m->spec);
	free(m);
}

void memo_begin(struct view *view, struct timespec *ret_changed)
{
	memo_free(view->memo);
	view->memo = NULL;
	*ret_changed = (struct timespec){ 0 };
	rootfs_witness_begin(view->fs);
	if (rootfs_root_changed(view->fs, ret_changed) < 0)
		*ret_changed = (struct timespec){ 0 };
}

void memo_keep(struct view *view, const json_t *exec_config, const json_t *host_config, const struct run_spec *spec,
	       const struct timespec *changed)
{
	bool is_true = rootfs_witness_end(view->fs);
	struct timespec now;
	struct memo *m;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!is_true || spec->program_error < 0 || changed->tv_sec == 0 || now.tv_sec - changed->tv_sec <= QUIET_S ||
	    !rootfs_root_is_local(view->fs))
		return;
	m = xnew(struct memo);
	m->exec_config = json_deep_copy(exec_config);
	m->group_add = json_deep_copy(json_object_get(host_config, "GroupAdd"));
	m->ulimits = json_deep_copy(json_object_get(host_config, "Ulimits"));
	run_spec_copy(&m->spec, spec);
	m->changed = *changed;
	view->memo = m;
}

static bool is_same(const json_t *a, const json_t *b)
{
	return a == b || (a && b && json_equal(a, b));
}

bool memo_recall(const struct view *view, const json_t *exec_config, const json_t *host_config, struct run_spec *ret)
{
	const struct memo *m = view->memo;
	struct timespec changed;

	if (!m || !is_same(m->exec_config, exec_config) || !is_same(m->group_add, json_object_get(host_config, "GroupAdd")) ||
	    !is_same(m->ulimits, json_object_get(host_config, "Ulimits")))
		return false;
	if (rootfs_root_changed(view->fs, &changed) < 0 || changed.tv_sec != m->changed.tv_sec ||
	    changed.tv_nsec != m->changed.tv_nsec)
		return false;
	run_spec_copy(ret, &m->spec);
	return true;
}
