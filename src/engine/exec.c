/* Further processes in a running container. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/detach.h"
#include "engine/internal.h"
#include "engine/schema.h"
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
	const struct exec_watch_ops *watch; /* of the engine's own; NULL: a client's, or unwatched */
	void *watch_arg;
	bool is_own, is_unwanted;
};

enum { KEEP_S_MAX = 300, EXECS_MANY = 1024 };

static void exec_forget(struct engine *e, struct exec *x)
{
	map_remove(&e->execs, x->id);
	map_remove(&x->container->execs, x->id);
	container_unref(x->container);
	json_decref(x->config);
	free(x->driver);
	free(x);
}

/* Those of `among` that do not run, and that ended before `limit_ns`; 0: all of them. */
static void sweep(struct engine *e, const struct map *among, int64_t limit_ns)
{
	struct exec **gone = xcalloc(among->count + 1, sizeof(struct exec *));
	const struct map_entry *entry;
	size_t pos = 0, n = 0;

	while ((entry = map_next(among, &pos))) {
		struct exec *x = entry->value;

		if (!x->run && (!limit_ns || (x->finished_ns && x->finished_ns < limit_ns)))
			gone[n++] = x;
	}
	for (size_t i = 0; i < n; i++)
		exec_forget(e, gone[i]);
	free(gone);
}

void execs_forget(struct engine *e, struct container *c)
{
	sweep(e, &c->execs, 0);
}

void execs_done(struct engine *e)
{
	struct map all = e->execs;
	const struct map_entry *entry;
	size_t pos = 0;

	map_init(&e->execs);
	while ((entry = map_next(&all, &pos))) {
		struct exec *x = entry->value;
		struct exec_run *run = x->run;

		if (run)
			output_free(run->output);
		free(run);
		exec_forget(e, x);
	}
	map_done(&all);
}

/* "exec_create: sh -c …": the command is part of the action. */
static void tell_command(struct engine *e, struct exec *x, const char *action)
{
	json_t *v;
	struct buf text;
	size_t i;

	buf_init(&text, 1 << 20);
	buf_printf(&text, "%s:", action);
	json_array_foreach(json_object_get(x->config, "Cmd"), i, v)
		buf_printf(&text, " %s", json_string_value(v));
	if (i == 1)
		buf_puts(&text, " "); /* Docker joins the command and its arguments, also when there are none */
	engine_container_event(e, x->container, text.data, json_pack("{s:s}", "execID", x->id));
	buf_done(&text);
}

static int check_running(const struct container *c, struct error *err)
{
	if (c->state.status == CONTAINER_PAUSED)
		return error_set_class(err, ERROR_CONFLICT, "Container %s is paused, unpause the container before exec", c->id);
	if (c->state.status == CONTAINER_RESTARTING)
		return error_set_class(err, ERROR_CONFLICT,
				       "Container %s is restarting, wait until the container is running", c->id);
	if (c->state.status != CONTAINER_RUNNING)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	return 0;
}

static int check_config(json_t *config, struct error *err)
{
	const char *keys = json_string_value(json_object_get(config, "DetachKeys"));
	struct detach_keys parsed;

	if (json_array_size(json_object_get(config, "Cmd")) == 0)
		return error_set_class(err, ERROR_INVALID, "No exec command specified");
	if (!detach_keys_parse(&parsed, keys))
		return error_set_class(err, ERROR_INVALID, "Invalid escape keys (%.100s) provided", keys);
	return 0;
}

static struct exec *exec_new(struct engine *e, struct container *c, json_t *take_config)
{
	struct exec *x = xnew(struct exec);

	id_generate(x->id);
	x->container = container_ref(c);
	x->config = take_config;
	map_put(&e->execs, x->id, x);
	map_put(&c->execs, x->id, x);
	tell_command(e, x, "exec_create");
	return x;
}

int engine_exec_create(struct engine *e, struct container *c, json_t *config, struct exec **ret, struct error *err)
{
	int r = check_config(config, err);

	if (r == 0)
		r = check_running(c, err);
	if (r < 0)
		return r;
	/* Finished execs are kept for five minutes to be inspected (moby: execCommandGC). */
	if (e->execs.count >= EXECS_MANY)
		sweep(e, &e->execs, clock_wall_ns() - KEEP_S_MAX * 1000000000LL);
	*ret = exec_new(e, c, json_incref(config));
	return 0;
}

int engine_exec_find(struct engine *e, const char *id, struct exec **ret, struct error *err)
{
	struct exec *x = map_get(&e->execs, id);

	if (!x || x->container->is_gone)
		return error_set_class(err, ERROR_NOT_FOUND, "No such exec instance: %.100s", id);
	*ret = x;
	return 0;
}

int engine_exec_start_check(struct engine *e, struct exec *x, struct error *err)
{
	(void)e;
	if (check_running(x->container, err) < 0)
		return err->code;
	if (x->is_started)
		return error_set_class(err, ERROR_CONFLICT,
				       x->has_exit_code ? "exec command %s has already run" : "exec command %s is already running",
				       x->id);
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

/* The engine's own are forgotten when they have ended. */
static void end_own(struct exec_run *run, int exit_code, bool is_with_main, const struct error *err)
{
	struct exec_run r = *run;

	end(run);
	if (r.watch)
		r.watch->ended(r.watch_arg, exit_code, is_with_main, err);
	exec_forget(r.engine, r.exec);
}

static void on_started(void *arg, int host_pid)
{
	struct exec_run *run = arg;
	struct exec *x = run->exec;

	x->pid = host_pid;
	tell_command(run->engine, x, "exec_start");
	if (run->watch)
		run->watch->started(run->watch_arg);
	engine_later(run->engine, run->done, run->arg, NULL);
	run->done = NULL;
}

static void on_failed(void *arg, int exit_code, const struct error *err)
{
	struct exec_run *run = arg;
	char text[ERROR_MESSAGE_MAX + 4];
	struct error told = *err;
	int n;

	/* A user that is not there is found out before the runtime is asked. */
	if (strncmp(err->message, "unable to find ", 15) != 0)
		error_prefix(&told, "OCI runtime exec failed: exec failed: unable to start container process");
	n = snprintf(text, sizeof(text), "%s\r\n", told.message);
	run->exec->exit_code = exit_code;
	run->exec->has_exit_code = true;
	if (run->is_own) {
		end_own(run, exit_code, err->code == -ECONNRESET, &told);
		return;
	}
	output_write(run->output, 1, text, (size_t)n);
	engine_later(run->engine, run->done, run->arg, &told);
	end(run);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	struct exec_run *run = arg;

	if (run->watch)
		run->watch->output(run->watch_arg, data, len);
	else if (!run->is_own)
		output_write(run->output, stream, data, len);
}

static void on_exited(void *arg, const struct process_exit *exit)
{
	struct exec_run *run = arg;
	struct exec *x = run->exec;

	x->exit_code = exit->code;
	x->has_exit_code = true;
	engine_container_event(run->engine, x->container, "exec_die",
			       json_pack("{s:s, s:o}", "execID", x->id, "exitCode", json_sprintf("%d", exit->code)));
	if (run->is_own)
		end_own(run, exit->code, exit->is_with_main, NULL);
	else
		end(run);
}

static void on_stdin_drained(void *arg)
{
	output_stdin_drained(((struct exec_run *)arg)->output);
}

static const struct process_sink_ops sink_ops = { on_started, on_failed, on_output, on_exited, on_stdin_drained, NULL };

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

static void on_detached(void *arg)
{
	struct exec_run *run = arg;

	engine_container_event(run->engine, run->exec->container, "exec_detach", json_pack("{s:s}", "execID", run->exec->id));
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
	if (run->is_unwanted)
		r = -ECANCELED;
	if (r == 0) {
		plan->spec.tty = run->tty;
		plan->spec.is_merged = run->watch != NULL;
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
	json_t *size = json_object_get(x->config, "ConsoleSize");

	run->engine = e;
	run->exec = x;
	run->output = output_new();
	run->tty = json_is_true(json_object_get(x->config, "Tty"));
	run->rows = (int)json_integer_value(json_array_get(size, 0));
	run->cols = (int)json_integer_value(json_array_get(size, 1));
	x->is_started = x->is_running = true; /* from the request on, as moby's: output may come before its pid */
	x->run = run;
	return run;
}

void engine_exec_start_attached(struct engine *e, struct exec *x, int rows, int cols, struct stream *s)
{
	struct exec_run *run = run_new(e, x);
	struct input in = { .write = write_input, .close = close_input, .flow = flow, .detached = on_detached, .arg = run };

	if (rows > 0 && cols > 0) {
		run->rows = rows;
		run->cols = cols;
	}
	if (!json_is_true(json_object_get(x->config, "AttachStdin")))
		in.write = NULL;
	output_attach(run->output, s, json_is_true(json_object_get(x->config, "AttachStdout")),
		      json_is_true(json_object_get(x->config, "AttachStderr")), &in, run->tty,
		      json_string_value(json_object_get(x->config, "DetachKeys")), true);
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

/* ---- the engine's own ---- */

struct exec *exec_watched(struct engine *e, struct container *c, json_t *take_command, const struct exec_watch_ops *ops,
			  void *arg)
{
	json_t *config = json_pack("{s:o, s:b, s:b}", "Cmd", take_command, "AttachStdout", 1, "AttachStderr", 1);
	struct exec *x = exec_new(e, c, config);
	struct exec_run *run = run_new(e, x);

	run->is_own = true;
	run->watch = ops;
	run->watch_arg = arg;
	plan_make(e, c, PLAN_EXEC, x->config, on_planned, run);
	return x;
}

void exec_unwatch(struct exec *x)
{
	struct exec_run *run = x->run;

	run->watch = NULL;
	run->is_unwanted = true;
	if (run->process && run->engine->drivers)
		run->process->owner->ops->exec->signal(run->process->owner, run->process, SIGKILL, NULL);
}
