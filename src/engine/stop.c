/* docker stop and restart: a signal, a time to obey, and the kill. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>

#include "engine/internal.h"
#include "util/alloc.h"

enum { REFUSED_TIMEOUT_S = 2 }; /* moby: how long it waits for one that would not take the signal */

void crun_answer_stops(struct crun *run, const struct error *err)
{
	if (run->has_timer) /* it would end the next run */
		uv_timer_stop(&run->stop_timer);
	waiters_answer(run->engine, &run->stop_waits, err);
}

static void on_stop_timer(uv_timer_t *t)
{
	struct crun *run = t->data;
	struct error err = { 0 };

	if (crun_kill(run, SIGKILL, &err) < 0)
		crun_answer_stops(run, &err);
}

/* Of several stops the one that waits least holds. */
static void start_stop_timer(struct crun *run, int timeout_s)
{
	uint64_t ms = (uint64_t)timeout_s * 1000;

	if (timeout_s < 0)
		return;
	if (!run->has_timer) {
		uv_timer_init(run->engine->loop, &run->stop_timer);
		run->stop_timer.data = run;
		run->has_timer = true;
		run->handles++;
	}
	if (!uv_is_active((uv_handle_t *)&run->stop_timer) || uv_timer_get_due_in(&run->stop_timer) > ms)
		uv_timer_start(&run->stop_timer, on_stop_timer, ms, 0);
}

int stop_timeout(const struct container *c)
{
	json_t *v = json_object_get(c->config, "StopTimeout");

	return json_is_integer(v) ? (int)json_integer_value(v) : 10;
}

/* ---- stop and restart ---- */

struct stopping {
	struct engine *engine;
	struct container *container;
	engine_done done;
	void *arg;
	int signo, timeout_s;
	bool is_restart;
};

static void stopping_end(struct stopping *s, const struct error *err)
{
	if (s->done)
		s->done(s->arg, err);
	container_unref(s->container);
	free(s);
}

static void on_restarted(void *arg, const struct error *err)
{
	struct stopping *s = arg;

	if (err && err->cls == ERROR_NOT_MODIFIED) /* somebody else was faster */
		err = NULL;
	if (!err)
		engine_container_event(s->engine, s->container, "restart", NULL);
	stopping_end(s, err);
}

static void on_stopped(void *arg, const struct error *err)
{
	struct stopping *s = arg;

	if (s->is_restart)
		crun_of(s->engine, s->container)->is_restarting = false;
	if (err) {
		stopping_end(s, err);
		return;
	}
	engine_container_event(s->engine, s->container, "stop", NULL);
	if (!s->is_restart) {
		stopping_end(s, NULL);
		return;
	}
	engine_container_start(s->engine, s->container, on_restarted, s);
}

static void check_live(const struct container *c, struct error *err)
{
	if (!container_is_live(c))
		error_set_class(err, ERROR_NOT_MODIFIED, "Container already stopped");
}

/* `err` says nothing. */
static void stop_now(void *arg, const struct error *err)
{
	struct stopping *s = arg;
	struct container *c = s->container;
	struct crun *run = crun_of(s->engine, c);
	struct error told = { 0 };

	(void)err;
	if (run->is_starting) {
		waiters_add(&run->after_start, stop_now, s);
		return;
	}
	if (!container_is_live(c) && s->is_restart) {
		engine_container_start(s->engine, c, on_restarted, s);
		return;
	}
	check_live(c, &told); /* a start that we waited for may have failed */
	if (told.code) {
		stopping_end(s, &told);
		return;
	}
	run->is_restarting = run->is_restarting || s->is_restart;
	waiters_add(&run->stop_waits, on_stopped, s);
	start_stop_timer(run, s->timeout_s);
	if (crun_kill(run, s->signo, &told) == 0)
		return;
	if (s->timeout_s >= 0) {
		start_stop_timer(run, s->timeout_s < REFUSED_TIMEOUT_S ? s->timeout_s : REFUSED_TIMEOUT_S);
	} else {
		waiters_drop(&run->stop_waits, on_stopped, s);
		engine_later(s->engine, on_stopped, s, &told);
	}
}

static void stop(struct engine *e, struct container *c, const char *signal, int timeout_s, bool is_restart,
		 engine_done done, void *arg)
{
	const char *own = json_string_value(json_object_get(c->config, "StopSignal"));
	struct error err = { 0 };
	struct stopping *s;

	if (signal && *signal && signal_number(signal) < 0)
		error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else if (!is_restart && !crun_is_starting(c))
		check_live(c, &err);
	if (err.code) {
		engine_later(e, done, arg, &err);
		return;
	}
	s = xnew(struct stopping);
	*s = (struct stopping){ e,
				container_ref(c),
				done,
				arg,
				signal_number(signal && *signal ? signal :
					      own && *own       ? own :
								  "TERM"),
				timeout_s == INT_MIN ? stop_timeout(c) : timeout_s,
				is_restart };
	if (container_is_live(c) || crun_is_starting(c))
		stop_now(s, NULL);
	else
		engine_later(e, stop_now, s, NULL);
}

void engine_container_stop(struct engine *e, struct container *c, const char *signal, int timeout_s, engine_done done, void *arg)
{
	stop(e, c, signal, timeout_s, false, done, arg);
}

void engine_container_restart(struct engine *e, struct container *c, const char *signal, int timeout_s,
			      engine_done done, void *arg)
{
	stop(e, c, signal, timeout_s, true, done, arg);
}
