/* A container's main process from the plan of its start to its end: what its
 * driver tells becomes the state, the events, and the answers of whoever waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/plugin.h"
#include "engine/health.h"
#include "engine/internal.h"
#include "engine/joined.h"
#include "engine/log.h"
#include "engine/networks.h"
#include "engine/views.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static void save(struct engine *e, struct container *c)
{
	containers_save(&e->containers, c);
}

/* ---- the end of a start ---- */

void crun_finish_start(struct crun *run, const struct error *err)
{
	engine_done done = run->start_done;

	run->is_starting = run->is_starting_again = false;
	run->start_done = NULL;
	engine_later(run->engine, done, run->start_arg, err);
	waiters_answer(run->engine, &run->after_start, NULL);
}

static bool is_auto_remove(const struct container *c)
{
	return json_is_true(json_object_get(c->host_config, "AutoRemove"));
}

static void drop_process(struct crun *run)
{
	struct driver_process *p = run->process;

	run->process = NULL;
	views_drop(run->engine->views, run->container);
	if (p)
		p->owner->ops->stream->release(p->owner, p);
}

static void tell_volumes(struct engine *e, struct container *c, const char *action)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		json_t *attributes;

		if (strcmp(m->type, "volume") != 0)
			continue;
		attributes = json_pack("{s:s, s:s}", "container", c->id, "driver", "local");
		if (strcmp(action, "mount") == 0) {
			json_object_set_new(attributes, "destination", json_string(m->destination));
			json_object_set_new(attributes, "propagation", json_string(""));
			json_object_set_new(attributes, "read/write", json_string(m->is_rw ? "true" : "false"));
		}
		events_publish(e->events, "volume", action, m->name, attributes);
	}
}

static void on_started(void *arg, int host_pid)
{
	struct crun *run = arg;
	struct container *c = run->container;

	c->state.status = CONTAINER_RUNNING;
	c->state.pid = host_pid;
	c->state.started_ns = run->start_ns;
	c->state.is_oom_killed = false;
	c->state.exit_code = 0;
	free(c->state.error);
	c->state.error = NULL;
	health_begin(run);
	save(run->engine, c);
	tell_volumes(run->engine, c, "mount");
	networks_started(run->engine, c);
	engine_container_event(run->engine, c, "start", NULL);
	output_stdin_drained(run->output); /* clients that attached before */
	crun_finish_start(run, NULL);
}

/* Those who were attached leave; the next start has another. */
static void end_output(struct crun *run)
{
	output_set_log(run->output, NULL);
	output_free(run->output);
	run->output = output_new();
}

/* A start that came to nothing. One by the restart policy leaves the exit code of the end before it, and is not
 * tried again (moby: handleContainerExit). */
static void fail_start(struct crun *run, int exit_code, const struct error *err)
{
	struct container *c = container_ref(run->container);

	c->state.exit_code = run->is_starting_again ? run->exit.code : exit_code;
	if (c->state.status == CONTAINER_RESTARTING)
		c->state.status = CONTAINER_EXITED;
	free(c->state.error);
	c->state.error = xstrdup(err->message);
	drop_process(run);
	networks_stop(run->engine, c);
	end_output(run);
	save(run->engine, c);
	crun_finish_start(run, err);
	crun_answer_stops(run, NULL);
	crun_answer_waits(run, false);
	if (is_auto_remove(c))
		engine_container_remove(run->engine, c, true, true, NULL, NULL);
	container_unref(c);
}

static void on_failed(void *arg, int exit_code, const struct error *err)
{
	struct error told = { 0 };

	error_set_class(&told, ERROR_INVALID,
			"failed to create task for container: failed to create shim task: OCI runtime create failed: "
			"runc create failed: unable to start container process: %.600s",
			err->message);
	fail_start(arg, exit_code, &told);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	output_write(((struct crun *)arg)->output, stream, data, len);
}

static void on_stdin_drained(void *arg)
{
	output_stdin_drained(((struct crun *)arg)->output);
}

static void on_oom(void *arg)
{
	struct crun *run = arg;

	run->container->state.is_oom_killed = true;
	save(run->engine, run->container);
	engine_container_event(run->engine, run->container, "oom", NULL);
}

static void tell_end(struct engine *e, struct container *c, bool is_oom_untold)
{
	long long ran_s = (long long)((c->state.finished_ns - c->state.started_ns) / 1000000000);

	if (is_oom_untold)
		engine_container_event(e, c, "oom", NULL);
	engine_container_event(e, c, "die",
			       json_pack("{s:o, s:o}", "exitCode", json_sprintf("%d", c->state.exit_code),
					 "execDuration", json_sprintf("%lld", ran_s)));
	networks_stop(e, c);
	tell_volumes(e, c, "unmount");
}

/* All that the process wrote is in the log: now its end may be told. */
static void finish_exit(void *arg)
{
	struct crun *run = arg;
	struct container *c = container_ref(run->container);
	struct engine *e = run->engine;
	bool is_again, is_oom_untold = run->exit.is_oom && !c->state.is_oom_killed;

	health_halt(run);
	c->state.exit_code = run->exit.code;
	c->state.is_oom_killed = c->state.is_oom_killed || run->exit.is_oom;
	c->state.finished_ns = clock_wall_ns();
	c->state.pid = 0;
	is_again = restart_decide(run, run->exit.code);
	c->state.status = is_again ? CONTAINER_RESTARTING : CONTAINER_EXITED;
	c->state.restart_count += is_again;
	drop_process(run);
	end_output(run);
	save(e, c);
	tell_end(e, c, is_oom_untold);
	crun_answer_stops(run, NULL);
	crun_answer_waits(run, false);
	if (is_again)
		restart_begin(run);
	else if (is_auto_remove(c) && !run->is_restarting)
		engine_container_remove(e, c, true, true, NULL, NULL);
	container_unref(c);
}

static void on_exited(void *arg, const struct process_exit *exit)
{
	struct crun *run = arg;
	struct log *log = output_log(run->output);

	run->exit = *exit;
	run->exit.reason = NULL;
	health_stop(run); /* writing the log may take longer than what is waited for after a probe's end */
	if (exit->reason) {
		free(run->container->state.error);
		run->container->state.error = xstrdup(exit->reason);
	}
	if (log)
		log_flush(log, finish_exit, run);
	else
		finish_exit(run);
}

static const struct process_sink_ops sink_ops = { on_started, on_failed, on_output, on_exited, on_stdin_drained, on_oom };

static struct log *make_log(struct engine *e, struct container *c)
{
	struct log_limits limits;

	if (log_parse_config(json_object_get(c->host_config, "LogConfig"), &limits, NULL) < 0 || !limits.is_kept)
		return NULL;
	return log_new(e->loop, crun_log_files(crun_of(e, c)), &limits);
}

void crun_flow(void *arg, bool is_open)
{
	struct crun *run = arg;

	if (run->process)
		run->process->owner->ops->stream->flow(run->process->owner, run->process, is_open);
}

static void watch_output(struct crun *run)
{
	output_set_log(run->output, make_log(run->engine, run->container));
	output_set_flow(run->output, crun_flow, run);
}

static void on_planned(void *arg, struct run_plan *plan, const struct error *err)
{
	struct crun *run = arg;
	struct engine *e = run->engine;
	struct container *c = run->container;
	struct process_sink sink = { &sink_ops, run };
	struct error told = { 0 };

	if (err) {
		fail_start(run, 128, err);
		return;
	}
	run->start_ns = clock_wall_ns(); /* before anything can be logged: clients ask for the logs since then */
	if (chain_lifecycle_start(e->drivers, c, plan, sink, &run->process, &told) < 0) {
		run_plan_free(plan);
		if (told.code == -EACCES) /* no driver runs such a program */
			on_failed(run, 126, &told);
		else
			fail_start(run, 128, &told);
		return;
	}
	watch_output(run);
	if (run->is_stdin_closed)
		run->process->owner->ops->stream->close_stdin(run->process->owner, run->process);
	run->is_stdin_closed = false;
}

static void on_no_network(void *arg, const struct error *err)
{
	fail_start(arg, 128, err);
}

static void make_plan(void *arg)
{
	struct crun *run = arg;

	plan_make(run->engine, run->container, PLAN_START, NULL, on_planned, run);
}

static void begin(struct crun *run)
{
	struct error err = { 0 };

	run->is_starting = true;
	run->is_adopted = false;
	if (joined_check(run->engine, run->container, &err) < 0 || networks_start(run->engine, run->container, &err) < 0)
		engine_later(run->engine, on_no_network, run, &err);
	else
		agent_driver_when_ready(run->engine->agents, run->container->runtime, make_plan, run);
}

static int check_startable(const struct engine *e, const struct container *c, struct error *err)
{
	if (c->state.status == CONTAINER_PAUSED)
		return error_set_class(err, ERROR_CONFLICT, "cannot start a paused container, try unpause instead");
	if (container_is_live(c) || crun_is_starting(c))
		return error_set_class(err, ERROR_NOT_MODIFIED, "Container already started");
	if (c->is_removing)
		return error_set_class(err, ERROR_CONFLICT, "container is marked for removal and cannot be started");
	if (e->is_stopping)
		return error_set_class(err, ERROR_UNAVAILABLE, "the daemon is stopping");
	return 0;
}

static void forget_last_run(struct crun *run)
{
	run->is_restart_cancelled = false;
	run->backoff_ms = 0;
	run->container->state.restart_count = 0;
	run->container->state.is_manually_stopped = false;
}

/* Somebody who asked for a start while another one was under way: if that fails, this is the next attempt. */
struct second_start {
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
};

static void on_first_over(void *arg, const struct error *err)
{
	struct second_start s = *(struct second_start *)arg;

	(void)err;
	free(arg);
	engine_container_start(s.engine, s.container, s.done, s.arg);
	container_unref(s.container);
}

void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg)
{
	struct crun *run = crun_of(e, c);
	struct error err = { 0 };

	if (run->is_starting && !container_is_live(c)) {
		struct second_start *s = xnew(struct second_start);

		*s = (struct second_start){ e, container_ref(c), done, arg };
		waiters_add(&run->after_start, on_first_over, s);
		return;
	}
	if (check_startable(e, c, &err) < 0) {
		engine_later(e, done, arg, &err);
		return;
	}
	run->start_done = done;
	run->start_arg = arg;
	forget_last_run(run);
	begin(run);
}

int engine_container_adopt(struct engine *e, struct container *c, const struct sockerless_container_process_ops *ops,
			   void *process, struct error *err)
{
	struct crun *run = crun_of(e, c);
	struct process_sink sink = { &sink_ops, run };
	bool has_stdin =
		json_is_true(json_object_get(c->config, "OpenStdin")) || json_is_true(json_object_get(c->config, "Tty"));

	if (check_startable(e, c, err) < 0)
		return err->code;
	run->process = plugin_adopt(e->backend, c, has_stdin, ops, process, sink, err);
	if (!run->process)
		return err->code;
	forget_last_run(run);
	run->is_starting = run->is_adopted = true;
	run->start_ns = clock_wall_ns();
	free(c->driver);
	c->driver = xstrdup(e->backend->ops->name);
	watch_output(run);
	plugin_begin(run->process);
	return 0;
}

void crun_start_again(struct crun *run)
{
	run->is_starting_again = true;
	begin(run);
}
