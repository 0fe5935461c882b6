/* Before a container is created: are the sources of its --mount type=bind there? Asked on the pool, since a directory of
 * the host may be on a file system that lets its callers wait. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/json.h"

struct look {
	uv_work_t work;
	json_t *sources; /* path → true; what is there is taken out */
	void (*done)(void *arg, json_t *missing);
	void *arg;
};

static void look_work(uv_work_t *w)
{
	struct look *l = container_of(w, struct look, work);
	const char *path;
	struct stat st;
	json_t *v;
	void *next;

	json_object_foreach_safe(l->sources, next, path, v)
		if (lstat(path, &st) == 0)
			json_object_del(l->sources, path);
}

static void on_looked(uv_work_t *w, int status)
{
	struct look *l = container_of(w, struct look, work);

	(void)status;
	l->done(l->arg, l->sources);
	json_decref(l->sources);
	free(l);
}

bool engine_container_look(struct engine *e, json_t *body, void (*done)(void *arg, json_t *missing), void *arg)
{
	json_t *sources = json_object(), *m;
	struct look *l;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(body, "HostConfig"), "Mounts"), i, m) {
		char *path = path_clean(json_text(m, "Source"));

		if (path && strcmp(json_text(m, "Type"), "bind") == 0 &&
		    !json_flag(json_object_get(m, "BindOptions"), "CreateMountpoint"))
			json_object_set_new(sources, path, json_true());
		free(path);
	}
	if (json_object_size(sources) == 0) {
		json_decref(sources);
		return false;
	}
	l = xnew(struct look);
	l->sources = sources;
	l->done = done;
	l->arg = arg;
	uv_queue_work(e->loop, &l->work, look_work, on_looked);
	return true;
}
