/* Further processes in a running container. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/clock.h"

struct exec_run {
	struct engine *engine;
	struct exec *exec;
	struct driver_process *process;
	struct output *output;
	engine_done done;
	void *arg;
	bool tty;
	int rows, cols;
};

enum { KEEP_NS_MAX = 300, EXECS_MANY = 1024 };

static void exec_free(struct exec *x)
{
	container_unref(x->container);
	json_decref(x->config);
	free(x->driver);
	free(x);
}

/* Finished execs are kept for five minutes to be inspected (moby: execCommandGC). */
static void sweep(struct engine *e, const struct container *of)
{
	const struct map_entry *entry;
	size_t pos = 0, n = 0;
	struct exec **gone;
	int64_t now = clock_wall_ns();

	if (!of && e->execs.count < EXECS_MANY)
		return;
	gone = xcalloc(e->execs.count + 1, sizeof(struct exec *));
	while ((entry = map_next(&e->execs, &pos))) {
		struct exec *x = entry->value;

		if (!x->run && (of ? x->container == of : x->finished_ns && now - x->finished_ns > KEEP_NS_MAX * 1000000000LL))
			gone[n++] = x;
	}
	for (size_t i = 0; i < n; i++) {
		map_remove(&e->execs, gone[i]->id);
		exec_free(gone[i]);
	}
	free(gone);
}

void execs_forget(struct engine *e, struct container *c)
{
	sweep(e, c);
}

int engine_exec_create(struct engine *e, struct container *c, json_t *config, struct exec **ret, struct error *err)
{
	json_t *cmd = json_object_get(config, "Cmd"), *v;
	struct exec *x;
	size_t i;

	if (c->state.status == CONTAINER_PAUSED)
		return error_set_class(err, ERROR_CONFLICT, "Container %s is paused, unpause the container before exec", c->name);
	if (c->state.status != CONTAINER_RUNNING)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	if (!json_is_array(cmd) || json_array_size(cmd) == 0)
		return error_set_class(err, ERROR_INVALID, "No exec command specified");
	json_array_foreach(cmd, i, v)
		if (!json_is_string(v))
			return error_set_class(err, ERROR_INVALID, "invalid JSON: a command's words must be strings");
	sweep(e, NULL);
	x = xnew(struct exec);
	id_generate(x->id);
	x->container = container_ref(c);
	x->config = json_incref(config);
	map_put(&e->execs, x->id, x);
	engine_container_event(e, c, "exec_create", json_pack("{s:s}", "execID", x->id));
	*ret = x;
	return 0;
}

int engine_exec_find(struct engine *e, const char *id, struct exec **ret, struct error *err)
{
	struct exec *x = map_get(&e->execs, id);

	if (!x)
		return error_set_class(err, ERROR_NOT_FOUND, "No such exec instance: %.100s", id);
	*ret = x;
	return 0;
}

int engine_exec_start_check(struct engine *e, struct exec *x, struct error *err)
{
	(void)e;
	if (x->is_started)
		return error_set_class(err, ERROR_CONFLICT, "exec command %s has already run", x->id);
	if (x->container->state.status != CONTAINER_RUNNING)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", x->container->id);
	return 0;
}

/* ---- the sink ---- */

static void end(struct exec_run *run)
{
	struct driver_process *p = run->process;

	run->exec->is_running = false;
	run->exec->finished_ns = clock_wall_ns();
	run->exec->run = NULL;
	output_free(run->output);
	if (p)
		p->owner->ops->stream->release(p->owner, p);
	free(run);
}

static void on_started(void *arg, int host_pid)
{
	struct exec_run *run = arg;
	struct exec *x = run->exec;

	x->is_running = true;
	x->pid = host_pid;
	engine_container_event(run->engine, x->container, "exec_start", json_pack("{s:s}", "execID", x->id));
	engine_later(run->engine, run->done, run->arg, NULL);
	run->done = NULL;
}

static void on_failed(void *arg, int exit_code, const struct error *err)
{
	struct exec_run *run = arg;
	char text[1200];
	/* A user that is not there is found out before the runtime is asked. */
	bool is_runtime = strncmp(err->message, "unable to find ", 15) != 0;
	int n = snprintf(text, sizeof(text), "%s%s\r\n",
			 is_runtime ? "OCI runtime exec failed: exec failed: unable to start container process: " : "",
			 err->message);

	run->exec->exit_code = exit_code;
	run->exec->has_exit_code = true;
	output_write(run->output, 1, text, (size_t)n);
	engine_later(run->engine, run->done, run->arg, err);
	end(run);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	output_write(((struct exec_run *)arg)->output, stream, data, len);
}

static void on_exited(void *arg, const struct process_exit *exit)
{
	struct exec_run *run = arg;
	struct exec *x = run->exec;

	x->exit_code = exit->code;
	x->has_exit_code = true;
	engine_container_event(run->engine, x->container, "exec_die",
			       json_pack("{s:s, s:o}", "execID", x->id, "exitCode", json_sprintf("%d", exit->code)));
	end(run);
}

static void on_stdin_drained(void *arg)
{
	output_stdin_drained(((struct exec_run *)arg)->output);
}

static const struct process_sink_ops sink_ops = { on_started, on_failed, on_output, on_exited, on_stdin_drained };

/* ---- input ---- */

static int write_input(void *arg, const void *data, size_t len)
{
	struct exec_run *run = arg;

	return run->process ? run->process->owner->ops->stream->write_stdin(run->process->owner, run->process, data, len) : 0;
}

static void close_input(void *arg)
{
	struct exec_run *run = arg;

	if (run->process)
		run->process->owner->ops->stream->close_stdin(run->process->owner, run->process);
}

static void flow(void *arg, bool is_open)
{
	struct exec_run *run = arg;

	if (run->process)
		run->process->owner->ops->stream->flow(run->process->owner, run->process, is_open);
}

/* ---- start ---- */

static void on_planned(void *arg, struct run_plan *plan, const struct error *err)
{
	struct exec_run *run = arg;
	struct process_sink sink = { &sink_ops, run };
	struct error told = { 0 };
	int r = err ? err->code : 0;

	if (err)
		told = *err;
	if (r == 0) {
		plan->spec.tty = run->tty;
		plan->spec.rows = (uint16_t)run->rows;
		plan->spec.cols = (uint16_t)run->cols;
		r = chain_exec_start(run->engine->drivers, run->exec->container, &plan->spec, sink, &run->process, &told);
	}
	run_plan_free(plan);
	if (r < 0)
		on_failed(run, 126, &told);
	else {
		free(run->exec->driver);
		run->exec->driver = xstrdup(run->process->owner->ops->name);
		output_stdin_drained(run->output);
	}
}

static struct exec_run *run_new(struct engine *e, struct exec *x)
{
	struct exec_run *run = xnew(struct exec_run);

	run->engine = e;
	run->exec = x;
	run->output = output_new();
	run->tty = json_is_true(json_object_get(x->config, "Tty"));
	x->is_started = true;
	x->run = run;
	return run;
}

void engine_exec_start_attached(struct engine *e, struct exec *x, bool tty, int rows, int cols, const char *detach_keys,
				struct stream *s)
{
	struct exec_run *run = run_new(e, x);
	struct input in = { .write = write_input, .close = close_input, .flow = flow, .arg = run };

	run->tty = tty;
	run->rows = rows;
	run->cols = cols;
	if (!json_is_true(json_object_get(x->config, "AttachStdin")))
		in.write = NULL;
	output_attach(run->output, s, true, true, &in, detach_keys, true);
	plan_make(e, x->container, PLAN_EXEC, x->config, on_planned, run);
}

void engine_exec_start_detached(struct engine *e, struct exec *x, engine_done done, void *arg)
{
	struct exec_run *run = run_new(e, x);

	run->done = done;
	run->arg = arg;
	plan_make(e, x->container, PLAN_EXEC, x->config, on_planned, run);
}

int engine_exec_resize(struct engine *e, struct exec *x, int rows, int cols, struct error *err)
{
	struct exec_run *run = x->run;

	(void)e;
	if (!run || !run->process)
		return error_set_class(err, ERROR_CONFLICT, "exec %s is not running", x->id);
	run->process->owner->ops->stream->resize(run->process->owner, run->process, (uint16_t)rows, (uint16_t)cols);
	return 0;
}
