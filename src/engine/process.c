/* The run-time part of a container, and what is asked of its running process. */
#include <stdlib.h>

#include "engine/health.h"
#include "engine/internal.h"
#include "engine/log_files.h"
#include "util/alloc.h"

struct crun *crun_of(struct engine *e, struct container *c)
{
	struct crun *run = c->run;

	if (run)
		return run;
	run = xnew(struct crun);
	run->engine = e;
	run->container = c;
	run->output = output_new();
	list_init(&run->waits);
	list_init(&run->stop_waits);
	list_init(&run->after_start);
	list_init(&run->after_update);
	c->run = run;
	return run;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct crun *run = h->data;

	if (--run->handles == 0)
		free(run);
}

void crun_free(struct container *c)
{
	struct crun *run = c->run;

	if (!run)
		return;
	c->run = NULL;
	health_free(run);
	output_free(run->output);
	run->output = NULL;
	log_files_unref(run->log_files);
	run->log_files = NULL;
	if (run->has_timer)
		uv_close((uv_handle_t *)&run->stop_timer, on_timer_closed);
	if (run->has_backoff)
		uv_close((uv_handle_t *)&run->backoff, on_timer_closed);
	if (run->handles == 0)
		free(run);
}

/* The drivers are gone, and what they would have told will not be told. */
void crun_abandon(struct crun *run)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNAVAILABLE, "the daemon is stopping");
	run->process = NULL;
	if (run->has_timer)
		uv_timer_stop(&run->stop_timer);
	if (run->has_backoff)
		uv_timer_stop(&run->backoff);
	health_abandon(run);
	crun_answer_stops(run, &err);
	if (run->is_starting)
		crun_finish_start(run, &err);
}

int engine_container_resize(struct engine *e, struct container *c, int rows, int cols, struct error *err)
{
	struct crun *run = crun_of(e, c);

	run->rows = rows;
	run->cols = cols;
	if (!run->process)
		return error_set_class(err, ERROR_CONFLICT, "Container %s is not running", c->id);
	run->process->owner->ops->stream->resize(run->process->owner, run->process, (uint16_t)rows, (uint16_t)cols);
	engine_container_event(e, c, "resize",
			       json_pack("{s:o, s:o}", "height", json_sprintf("%d", rows), "width", json_sprintf("%d", cols)));
	return 0;
}

int engine_top(struct engine *e, struct container *c,
	       void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err), void *arg,
	       struct error *err)
{
	struct driver_process *p = crun_of(e, c)->process;

	if (c->state.status == CONTAINER_RESTARTING)
		return error_set_class(err, ERROR_CONFLICT,
				       "Container %s is restarting, wait until the container is running", c->id);
	if (!container_has_process(c) || !p)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	return p->owner->ops->lifecycle->top(p->owner, c, p, done, arg, err);
}

int engine_stats(struct engine *e, struct container *c,
		 void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
		 struct error *err)
{
	struct crun *run = c->run; /* it may be removed: nothing is made */
	struct driver_process *p = run ? run->process : NULL;

	(void)e;
	if (!container_has_process(c) || !p)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	return p->owner->ops->lifecycle->stats(p->owner, c, p, done, arg, err);
}
