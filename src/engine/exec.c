/* Further processes in a running container. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "util/alloc.h"

struct exec_run {
	struct engine *engine;
	struct exec *exec;
	struct driver_process *process;
	struct output *output;
	struct stream *stream;       /* until attached to the output */
	engine_done done;
	void *arg;
	char *detach_keys;
};

int engine_exec_create(struct engine *e, struct container *c, json_t *config, struct exec **ret, struct error *err)
{
	json_t *cmd = json_object_get(config, "Cmd"), *v;
	struct exec *x;
	size_t i;

	if (c->state.status == CONTAINER_PAUSED)
		return error_set_class(err, ERROR_CONFLICT, "Container %s is paused, unpause the container before exec", c->id);
	if (c->state.status != CONTAINER_RUNNING)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	if (!json_is_array(cmd) || json_array_size(cmd) == 0)
		return error_set_class(err, ERROR_INVALID, "No exec command specified");
	json_array_foreach(cmd, i, v)
		if (!json_is_string(v))
			return error_set_class(err, ERROR_INVALID, "invalid JSON: a command's words must be strings");
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
	run->exec->run = NULL;
	output_free(run->output);
	if (p)
		p->owner->ops->stream->release(p->owner, p);
	free(run->detach_keys);
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
	int n = snprintf(text, sizeof(text), "OCI runtime exec failed: exec failed: unable to start container process: %s\r\n",
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

static int start(struct engine *e, struct exec *x, bool tty, int rows, int cols, struct exec_run *run, struct error *err)
{
	struct process_sink sink = { &sink_ops, run };
	struct run_spec spec;
	int r = spec_for_exec(e, x->container, x->config, &spec, err);

	run->engine = e;
	run->exec = x;
	x->is_started = true;
	if (r == 0) {
		spec.tty = tty;
		spec.rows = (uint16_t)rows;
		spec.cols = (uint16_t)cols;
		r = chain_exec_start(e->drivers, x->container, &spec, sink, &run->process, err);
	}
	run_spec_done(&spec);
	if (r == 0)
		x->run = run;
	return r;
}

void engine_exec_start_attached(struct engine *e, struct exec *x, bool tty, int rows, int cols, const char *detach_keys,
				struct stream *s)
{
	struct exec_run *run = xnew(struct exec_run);
	struct input in = { .write = write_input, .close = close_input, .flow = flow, .arg = run };
	struct error err = { 0 };

	run->output = output_new();
	if (!json_is_true(json_object_get(x->config, "AttachStdin")))
		in.write = NULL;
	if (start(e, x, tty, rows, cols, run, &err) < 0) {
		output_attach(run->output, s, true, true, NULL, NULL, false);
		run->engine = e;
		on_failed(run, 126, &err);
		return;
	}
	output_attach(run->output, s, true, true, &in, detach_keys, false);
}

void engine_exec_start_detached(struct engine *e, struct exec *x, engine_done done, void *arg)
{
	struct exec_run *run = xnew(struct exec_run);
	struct error err = { 0 };

	run->output = output_new();
	run->done = done;
	run->arg = arg;
	if (start(e, x, json_is_true(json_object_get(x->config, "Tty")), 0, 0, run, &err) < 0)
		on_failed(run, 126, &err);
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
