/* docker stop and restart: a signal, a time to obey, and the kill. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>

#include "engine/internal.h"
#include "util/alloc.h"

void crun_answer_stops(struct crun *run, const struct error *err)
{
	list_for_each_safe(it, &run->stop_waits) {
		struct stop_wait *w = container_of(it, struct stop_wait, link);

		list_remove(it);
		engine_later(run->engine, w->done, w->arg, err);
		free(w);
	}
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
