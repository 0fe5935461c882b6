/* A container's states: start, stop, kill, restart, pause, wait, remove. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/internal.h"
#include "engine/log.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct container_wait {
	struct list link;
	enum wait_condition cond;
	void (*done)(void *arg, const struct wait_result *r);
	void *arg;
	bool is_ready;      /* answers at the next turn */
	struct wait_result result;
	struct store *store;
	uint64_t ticket;    /* of the state that the answer tells */
	uv_idle_t idle;
	bool has_idle, is_done;
};

/* ---- the run-time part ---- */

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
	list_init(&run->retries);
	c->run = run;
	return run;
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void crun_free(struct container *c)
{
	struct crun *run = c->run;

	if (!run)
		return;
	c->run = NULL;
	output_free(run->output);
	run->output = NULL;
	if (run->has_timer)
		uv_close((uv_handle_t *)&run->stop_timer, on_timer_closed);
	else
		free(run);
}

static void save(struct engine *e, struct container *c)
{
	containers_save(&e->containers, c);
}

/* ---- waits ---- */

static void on_wait_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_wait_idle(uv_idle_t *idle)
{
	struct container_wait *w = idle->data;

	/* Told is what survives us. The commit takes microseconds: the next turn looks again. */
	if (!store_is_durable(w->store, w->ticket)) {
		if (!store_has_failed(w->store, NULL))
			return;
		w->result.error = "state cannot be saved: the exit code may be forgotten";
	}
	uv_idle_stop(idle);
	w->is_done = true;
	w->done(w->arg, &w->result);
	uv_close((uv_handle_t *)idle, on_wait_closed);
}

static void answer_wait(struct engine *e, struct container_wait *w, int code)
{
	list_remove(&w->link);
	w->result.exit_code = code;
	w->store = e->store;
	w->ticket = store_ticket(e->store);
	uv_idle_init(e->loop, &w->idle);
	w->idle.data = w;
	w->has_idle = true;
	uv_idle_start(&w->idle, on_wait_idle);
}

void crun_answer_waits(struct crun *run, bool is_removed)
{
	list_for_each_safe(it, &run->waits) {
		struct container_wait *w = container_of(it, struct container_wait, link);

		if (w->cond != WAIT_REMOVED || is_removed)
			answer_wait(run->engine, w, run->container->state.exit_code);
	}
}

struct container_wait *engine_container_wait(struct engine *e, struct container *c, enum wait_condition cond,
					     void (*done)(void *arg, const struct wait_result *r), void *arg)
{
	struct container_wait *w = xnew(struct container_wait);

	w->cond = cond;
	w->done = done;
	w->arg = arg;
	list_init(&w->link);
	if (cond == WAIT_NOT_RUNNING && !container_is_live(c))
		answer_wait(e, w, c->state.exit_code);
	else
		list_append(&crun_of(e, c)->waits, &w->link);
	return w;
}

void engine_container_wait_cancel(struct container_wait *w)
{
	if (!w || w->is_done)
		return;
	list_remove(&w->link);
	if (w->has_idle) {
		uv_idle_stop(&w->idle);
		uv_close((uv_handle_t *)&w->idle, on_wait_closed);
	} else {
		free(w);
	}
}

/* ---- start ---- */

static void finish_start(struct crun *run, const struct error *err)
{
	engine_done done = run->start_done;

	run->is_starting = false;
	run->start_done = NULL;
	if (done)
		engine_later(run->engine, done, run->start_arg, err);
	removals_retry(run);
}

static bool is_auto_remove(const struct container *c)
{
	return json_is_true(json_object_get(c->host_config, "AutoRemove"));
}

static void drop_process(struct crun *run)
{
	struct driver_process *p = run->process;

	run->process = NULL;
	if (p)
		p->owner->ops->stream->release(p->owner, p);
}

static void tell_volumes(struct engine *e, struct container *c, const char *action)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		json_t *attributes;

		if (!m->name)
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
	c->state.finished_ns = 0;
	c->state.exit_code = 0;
	free(c->state.error);
	c->state.error = NULL;
	save(run->engine, c);
	tell_volumes(run->engine, c, "mount");
	engine_container_event(run->engine, c, "start", NULL);
	output_stdin_drained(run->output); /* clients that attached before */
	finish_start(run, NULL);
}

static void on_failed(void *arg, int exit_code, const struct error *err)
{
	struct crun *run = arg;
	struct container *c = container_ref(run->container);
	struct error told = { 0 };

	error_set_class(&told, ERROR_INVALID,
			"failed to create task for container: failed to create shim task: OCI runtime create failed: "
			"runc create failed: unable to start container process: %.600s",
			err->message);
	c->state.status = c->state.started_ns ? CONTAINER_EXITED : CONTAINER_CREATED;
	c->state.exit_code = exit_code;
	free(c->state.error);
	c->state.error = xstrdup(told.message);
	drop_process(run);
	output_set_log(run->output, NULL);
	output_end(run->output);
	save(run->engine, c);
	finish_start(run, &told);
	crun_answer_waits(run, false);
	if (is_auto_remove(c))
		engine_container_remove(run->engine, c, true, true, NULL, NULL);
	container_unref(c);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	output_write(((struct crun *)arg)->output, stream, data, len);
}

static void on_stdin_drained(void *arg)
{
	output_stdin_drained(((struct crun *)arg)->output);
}

static void answer_stops(struct crun *run, const struct error *err)
{
	list_for_each_safe(it, &run->stop_waits) {
		struct stop_wait *w = container_of(it, struct stop_wait, link);

		list_remove(it);
		engine_later(run->engine, w->done, w->arg, err);
		free(w);
	}
}

/* All that the process wrote is in the log: now its end may be told. */
static void finish_exit(void *arg)
{
	struct crun *run = arg;
	const struct process_exit *exit = &run->exit;
	struct container *c = container_ref(run->container);
	struct engine *e = run->engine;

	c->state.status = CONTAINER_EXITED;
	c->state.exit_code = exit->code;
	c->state.is_oom_killed = exit->is_oom;
	c->state.finished_ns = clock_wall_ns();
	c->state.pid = 0;
	drop_process(run);
	if (run->has_timer)
		uv_timer_stop(&run->stop_timer);
	output_set_log(run->output, NULL);
	output_end(run->output);
	output_free(run->output);
	run->output = output_new();
	save(e, c);
	if (exit->is_oom)
		engine_container_event(e, c, "oom", NULL);
	engine_container_event(
		e, c, "die",
		json_pack("{s:o, s:o}", "exitCode", json_sprintf("%d", exit->code), "execDuration",
			  json_sprintf("%lld", (long long)((c->state.finished_ns - c->state.started_ns) / 1000000000))));
	tell_volumes(e, c, "unmount");
	answer_stops(run, NULL);
	crun_answer_waits(run, false);
	if (is_auto_remove(c) && !run->is_restarting)
		engine_container_remove(e, c, true, true, NULL, NULL);
	container_unref(c);
}

static void on_exited(void *arg, const struct process_exit *exit)
{
	struct crun *run = arg;
	struct log *log = output_log(run->output);

	run->exit = *exit;
	if (log)
		log_flush(log, finish_exit, run);
	else
		finish_exit(run);
}

static const struct process_sink_ops sink_ops = { on_started, on_failed, on_output, on_exited, on_stdin_drained };

/* What a start that nobody could begin leaves behind. */
static void fail_start(struct crun *run, const struct error *err)
{
	struct container *c = run->container;

	c->state.exit_code = 128;
	free(c->state.error);
	c->state.error = xstrdup(err->message);
	output_end(run->output);
	save(run->engine, c);
	crun_answer_waits(run, false);
	if (is_auto_remove(c))
		engine_container_remove(run->engine, c, true, true, NULL, NULL);
}

static void start_failed(struct crun *run, const struct error *err)
{
	finish_start(run, err);
	fail_start(run, err);
}

static struct log *make_log(struct engine *e, const struct container *c)
{
	CLEANUP(freep) char *path = log_path(e, c);
	struct log_limits limits;

	if (log_parse_config(json_object_get(c->host_config, "LogConfig"), &limits, NULL) < 0 || !limits.is_kept)
		return NULL;
	return log_new(e->loop, path, &limits);
}

void crun_flow(void *arg, bool is_open)
{
	struct crun *run = arg;

	if (run->process)
		run->process->owner->ops->stream->flow(run->process->owner, run->process, is_open);
}

static void on_planned(void *arg, struct run_plan *plan, const struct error *err)
{
	struct crun *run = arg;
	struct engine *e = run->engine;
	struct container *c = run->container;
	struct process_sink sink = { &sink_ops, run };
	struct error told = { 0 };

	if (err) {
		start_failed(run, err);
		return;
	}
	run->start_ns = clock_wall_ns(); /* before anything can be logged: clients ask for the logs since then */
	if (chain_lifecycle_start(e->drivers, c, plan, sink, &run->process, &told) < 0) {
		run_plan_free(plan);
		if (told.code == -EACCES) /* no driver runs such a program */
			on_failed(run, 126, &told);
		else
			start_failed(run, &told);
		return;
	}
	output_set_log(run->output, make_log(e, c));
	output_set_flow(run->output, crun_flow, run);
	if (run->is_stdin_closed)
		run->process->owner->ops->stream->close_stdin(run->process->owner, run->process);
	run->is_stdin_closed = false;
}

/* The predefined ones are all there are so far, and those of other running containers. */
static int check_network(struct engine *e, const struct container *c, struct error *err)
{
	static const char *const predefined[] = { "", "default", "bridge", "host", "none" };
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));
	struct container *other;

	for (size_t i = 0; mode && i < ARRAY_SIZE(predefined); i++)
		if (strcmp(predefined[i], mode) == 0)
			return 0;
	if (!mode)
		return 0;
	if (strncmp(mode, "container:", 10) != 0)
		return error_set_class(err, ERROR_NOT_FOUND, "network %.200s not found", mode);
	if (containers_find(&e->containers, mode + 10, &other, err) < 0)
		return err->code;
	if (!container_is_live(other))
		return error_set_class(err, ERROR_CONFLICT, "cannot join network of a non running container: %s", other->id);
	return 0;
}

static void on_no_network(void *arg, const struct error *err)
{
	start_failed(arg, err);
}

void engine_container_start(struct engine *e, struct container *c, engine_done done, void *arg)
{
	struct crun *run = crun_of(e, c);
	struct error err = { 0 };

	if (c->state.status == CONTAINER_PAUSED)
		error_set_class(&err, ERROR_CONFLICT, "cannot start a paused container, try unpause instead");
	else if (container_is_live(c) || run->is_starting)
		error_set_class(&err, ERROR_NOT_MODIFIED, "Container already started");
	else if (c->is_removing)
		error_set_class(&err, ERROR_CONFLICT, "container is marked for removal and cannot be started");
	if (err.code) {
		engine_later(e, done, arg, &err);
		return;
	}
	run->is_starting = true;
	run->start_done = done;
	run->start_arg = arg;
	c->state.is_manually_stopped = false;
	if (check_network(e, c, &err) < 0) {
		engine_later(e, on_no_network, run, &err);
		return;
	}
	plan_make(e, c, PLAN_START, NULL, on_planned, run);
}

/* ---- signals ---- */

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },   { "INT", SIGINT },     { "QUIT", SIGQUIT }, { "ILL", SIGILL },   { "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT }, { "BUS", SIGBUS },     { "FPE", SIGFPE },   { "KILL", SIGKILL }, { "USR1", SIGUSR1 },
	{ "SEGV", SIGSEGV }, { "USR2", SIGUSR2 },   { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM },
	{ "CHLD", SIGCHLD }, { "CONT", SIGCONT },   { "STOP", SIGSTOP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU }, { "URG", SIGURG },     { "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ }, { "VTALRM", SIGVTALRM },
	{ "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },     { "PWR", SIGPWR },   { "SYS", SIGSYS },
};

int signal_number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	if (*name && !*end)
		return n >= 1 && n <= 64 ? (int)n : -EINVAL;
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (strcasecmp(signals[i].name, name) == 0)
			return signals[i].number;
	return -EINVAL;
}

int crun_signal(struct crun *run, int signo, struct error *err)
{
	struct driver_process *p = run->process;

	if (!p)
		return error_set(err, -ESRCH, "the container's process has ended");
	return p->owner->ops->lifecycle->signal(p->owner, run->container, p, signo, err);
}

void crun_tell_kill(struct crun *run, int signo)
{
	engine_container_event(run->engine, run->container, "kill", json_pack("{s:o}", "signal", json_sprintf("%d", signo)));
}

void engine_container_kill(struct engine *e, struct container *c, const char *signal, engine_done done, void *arg)
{
	int signo = signal && *signal ? signal_number(signal) : SIGKILL;
	struct error err = { 0 };
	int r = 0;

	if (signo < 0)
		r = error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else if (!container_is_live(c))
		r = error_set_class(&err, ERROR_CONFLICT, "cannot kill container: %s: container %s is not running",
				    c->name, c->id);
	else
		r = crun_signal(crun_of(e, c), signo, &err);
	if (r == 0)
		crun_tell_kill(crun_of(e, c), signo);
	engine_later(e, done, arg, r < 0 ? &err : NULL);
}

static void on_stop_timer(uv_timer_t *t)
{
	struct crun *run = t->data;

	crun_signal(run, SIGKILL, NULL);
	crun_tell_kill(run, SIGKILL);
}

static void start_stop_timer(struct crun *run, int timeout_s)
{
	if (!run->has_timer) {
		uv_timer_init(run->engine->loop, &run->stop_timer);
		run->stop_timer.data = run;
		run->has_timer = true;
	}
	if (timeout_s >= 0)
		uv_timer_start(&run->stop_timer, on_stop_timer, (uint64_t)timeout_s * 1000, 0);
}

static int own_timeout(const struct container *c)
{
	json_t *v = json_object_get(c->config, "StopTimeout");

	return json_is_integer(v) ? (int)json_integer_value(v) : 10;
}

static void on_stopped(void *arg, const struct error *err);

struct stopping {
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
	bool is_restart, was_live;
};

static void stop(struct engine *e, struct container *c, const char *signal, int timeout_s, engine_done done, void *arg)
{
	const char *own = json_string_value(json_object_get(c->config, "StopSignal"));
	struct crun *run = crun_of(e, c);
	struct stop_wait *w = xnew(struct stop_wait);
	int signo = signal_number(signal && *signal ? signal : own && *own ? own : "TERM");

	w->done = done;
	w->arg = arg;
	list_append(&run->stop_waits, &w->link);
	c->state.is_manually_stopped = true;
	if (timeout_s == INT_MIN)
		timeout_s = own_timeout(c);
	/* A paused process cannot hear: it goes on, then ends (moby: containerStop). */
	if (c->state.status == CONTAINER_PAUSED)
		engine_container_unpause(e, c, NULL, NULL);
	crun_signal(run, signo, NULL);
	crun_tell_kill(run, signo);
	start_stop_timer(run, timeout_s);
}

void engine_container_stop(struct engine *e, struct container *c, const char *signal, int timeout_s, engine_done done, void *arg)
{
	struct stopping *s;
	struct error err = { 0 };

	if (signal && *signal && signal_number(signal) < 0)
		error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else if (!container_is_live(c))
		error_set_class(&err, ERROR_NOT_MODIFIED, "Container already stopped");
	if (err.code) {
		engine_later(e, done, arg, &err);
		return;
	}
	s = xnew(struct stopping);
	*s = (struct stopping){ e, container_ref(c), done, arg, false, true };
	stop(e, c, signal, timeout_s, on_stopped, s);
}

void engine_container_restart(struct engine *e, struct container *c, const char *signal, int timeout_s,
			      engine_done done, void *arg)
{
	struct stopping *s = xnew(struct stopping);

	*s = (struct stopping){ e, container_ref(c), done, arg, true, container_is_live(c) };
	if (container_is_live(c)) {
		crun_of(e, c)->is_restarting = true;
		stop(e, c, signal, timeout_s, on_stopped, s);
	} else {
		engine_later(e, on_stopped, s, NULL);
	}
}

static void on_restarted(void *arg, const struct error *err)
{
	struct stopping s = *(struct stopping *)arg;

	free(arg);
	if (!err)
		engine_container_event(s.engine, s.container, "restart", NULL);
	if (s.done)
		s.done(s.arg, err);
	container_unref(s.container);
}

static void on_stopped(void *arg, const struct error *err)
{
	struct stopping *s = arg;

	if (!err && s->was_live)
		engine_container_event(s->engine, s->container, "stop", NULL);
	if (!err && s->is_restart) {
		crun_of(s->engine, s->container)->is_restarting = false;
		engine_container_start(s->engine, s->container, on_restarted, s);
		return;
	}
	if (s->done)
		s->done(s->arg, err);
	container_unref(s->container);
	free(s);
}

/* The drivers are gone, and what they would have told will not be told. */
void crun_abandon(struct crun *run)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNAVAILABLE, "the daemon is stopping");
	run->process = NULL;
	if (run->has_timer)
		uv_timer_stop(&run->stop_timer);
	answer_stops(run, &err);
	if (run->is_starting)
		finish_start(run, &err);
}

/* ---- pause ---- */

struct freezing {
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
	bool is_pause;
};

static void on_frozen(void *arg, const struct error *err)
{
	struct freezing f = *(struct freezing *)arg;

	free(arg);
	if (!err && container_is_live(f.container)) {
		f.container->state.status = f.is_pause ? CONTAINER_PAUSED : CONTAINER_RUNNING;
		save(f.engine, f.container);
		engine_container_event(f.engine, f.container, f.is_pause ? "pause" : "unpause", NULL);
	}
	if (f.done)
		f.done(f.arg, err);
	container_unref(f.container);
}

static void freeze(struct engine *e, struct container *c, bool is_pause, engine_done done, void *arg)
{
	struct crun *run = crun_of(e, c);
	struct freezing *f;
	struct error err = { 0 };
	int r = 0;

	if (!is_pause && c->state.status != CONTAINER_PAUSED)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is not paused", c->id);
	else if (!container_is_live(c) || !run->process)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is not running", c->id);
	else if (is_pause && c->state.status == CONTAINER_PAUSED)
		r = error_set_class(&err, ERROR_CONFLICT, "Container %s is already paused", c->id);
	if (r < 0) {
		engine_later(e, done, arg, &err);
		return;
	}
	f = xnew(struct freezing);
	*f = (struct freezing){ e, container_ref(c), done, arg, is_pause };
	r = (is_pause ? run->process->owner->ops->lifecycle->pause : run->process->owner->ops->lifecycle->unpause)(
		run->process->owner, c, run->process, on_frozen, f, &err);
	if (r < 0) {
		container_unref(c);
		free(f);
		engine_later(e, done, arg, &err);
	}
}

void engine_container_pause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, true, done, arg);
}

void engine_container_unpause(struct engine *e, struct container *c, engine_done done, void *arg)
{
	freeze(e, c, false, done, arg);
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

	if (!container_is_live(c) || !p)
		return error_set_class(err, ERROR_CONFLICT, "container %s is not running", c->id);
	return p->owner->ops->lifecycle->top(p->owner, c, p, done, arg, err);
}
