/* A container's run: its agent is dialled or waited for, then its main process begins; in the end the agent goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/agent_internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/log.h"

enum {
	PAUSE_FIRST_MS = 100,
	PAUSE_MAX_MS = 3000,
	LAUNCHER_STAYS_MS = 10000,
	LAUNCHER_WAIT_MS = 300000,
	KILLED_CODE = 137
};

static void on_launcher_stays(uv_timer_t *t)
{
	struct agent_container *ac = t->data;

	if (ac->launch)
		launch_stop(ac->launch);
}

/* ---- sessions ---- */

json_t *agent_exec_message(const struct run_spec *spec)
{
	json_t *cmd = json_array(), *env = json_array(), *groups = json_array(), *rlimits = json_array();

	for (size_t i = 0; spec->argv[i]; i++)
		json_array_append_new(cmd, json_string(spec->argv[i]));
	for (size_t i = 0; spec->env[i]; i++)
		json_array_append_new(env, json_string(spec->env[i]));
	for (size_t i = 0; i < spec->ngroups; i++)
		json_array_append_new(groups, json_integer(spec->groups[i]));
	for (size_t i = 0; i < spec->nrlimits; i++)
		json_array_append_new(rlimits, json_pack("[i, I, I]", (int)spec->rlimits[i].resource,
							 (json_int_t)spec->rlimits[i].soft, (json_int_t)spec->rlimits[i].hard));
	return json_pack("{s:s, s:o, s:o, s:s, s:b, s:b, s:o, s:{s:I, s:I, s:o}, s:i, s:i}", "type", "exec", "cmd", cmd,
			 "env", env, "workdir", spec->cwd, "tty", spec->tty, "stdin", spec->open_stdin || spec->tty,
			 "rlimits", rlimits, "user", "uid", (json_int_t)spec->uid, "gid", (json_int_t)spec->gid,
			 "groups", groups, "width", (int)spec->cols, "height", (int)spec->rows);
}

void agent_process_fail(struct agent_process *p, int exit_code, const char *message)
{
	struct error err = { 0 };

	if (p->is_told || p->is_released)
		return;
	p->is_told = true;
	error_set_class(&err, ERROR_INVALID, "%s", message);
	p->sink.ops->failed(p->sink.arg, exit_code, &err);
}

static void on_started(void *arg, int pid)
{
	struct agent_process *p = arg;

	p->has_begun = true;
	if (!p->is_released)
		p->sink.ops->started(p->sink.arg, pid);
}

static void on_failed(void *arg, int exit_code, const char *message)
{
	struct agent_process *p = arg;

	/* A plain agent without a main process: then it is to run the container's. */
	if (p->is_attach && !p->is_released && p->container->command) {
		p->is_attach = false;
		agent_session_release(p->session);
		agent_process_open(p, steal_ptr(p->container->command));
		return;
	}
	agent_process_fail(p, exit_code, message);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	struct agent_process *p = arg;

	if (!p->is_released)
		p->sink.ops->output(p->sink.arg, stream, data, len);
}

/* The end is told when the launcher has ended too: then what the container changed is in its layer. */
static void main_has_ended(struct agent_container *ac, int code, const char *reason)
{
	if (ac->is_over)
		return;
	ac->is_over = true;
	ac->exit = (struct process_exit){ .code = code };
	ac->reason = xstrdup(reason);
	agent_session_release(ac->main->session); /* it ends, having delivered this */
	ac->main->session = NULL;
	if (reason)
		launch_stop(ac->launch);
	else
		uv_timer_start(&ac->timer, on_launcher_stays, LAUNCHER_STAYS_MS, 0);
}

static void on_exited(void *arg, int code, const char *reason)
{
	struct agent_process *p = arg;
	struct process_exit exit = { .code = code, .reason = reason };

	if (p->is_told || p->is_released)
		return;
	if (p->is_main && reason)
		p->container->leftover_code = LINK_LOST_CODE;
	if (p->is_main && p->container->launch) {
		main_has_ended(p->container, code, reason);
		return;
	}
	p->is_told = true;
	if (p->is_main)
		p->container->is_over = true;
	p->sink.ops->exited(p->sink.arg, &exit);
}

static void on_drained(void *arg)
{
	struct agent_process *p = arg;

	if (!p->is_released && p->sink.ops->stdin_drained)
		p->sink.ops->stdin_drained(p->sink.arg);
}

static const struct agent_session_events session_events = { on_started, on_failed, on_output, on_exited, on_drained };

void agent_process_open(struct agent_process *p, json_t *take_message)
{
	p->session = agent_session_open(p->container->agent, take_message, &session_events, p);
	if (!p->session)
		return;
	if (p->rows && p->cols)
		agent_session_resize(p->session, p->rows, p->cols);
	if (p->is_closed)
		agent_session_close_stdin(p->session);
}

/* ---- the agent ---- */

static void on_timer_closed(uv_handle_t *h)
{
	struct agent_container *ac = h->data;

	dial_target_done(&ac->target);
	free(ac->reason);
	json_decref(ac->command);
	list_remove(&ac->link);
	free(ac);
}

/* Execs that were told nothing of their end: the container's has ended them. */
static void on_leftovers(uv_timer_t *t)
{
	struct agent_container *ac = t->data;
	struct process_exit exit = { .code = ac->leftover_code, .is_with_main = true };

	while (!list_is_empty(&ac->execs)) {
		struct agent_process *p = container_of(ac->execs.next, struct agent_process, link);

		list_remove(&p->link);
		p->container = NULL;
		if (p->is_told)
			continue;
		p->is_told = true;
		if (!p->has_begun)
			p->sink.ops->started(p->sink.arg, 0);
		if (!p->is_released)
			p->sink.ops->exited(p->sink.arg, &exit);
	}
	uv_close((uv_handle_t *)&ac->timer, on_timer_closed);
}

void agent_container_end(struct agent_container *ac)
{
	struct agent_driver *d = ac->driver;

	if (map_get(&d->running, ac->id) == ac)
		map_remove(&d->running, ac->id);
	if (!ac->is_forward)
		agent_registry_end(d->registry, ac->id);
	dialer_cancel(ac->dialer);
	ac->dialer = NULL;
	agent_updates_drop(ac);
	launch_drop(ac->launch);
	ac->launch = NULL;
	ports_close(ac->ports);
	ac->ports = NULL;
	list_for_each(it, &ac->execs)
		container_of(it, struct agent_process, link)->session = NULL; /* the link ends them */
	agent_link_free(ac->agent, !ac->is_forward);
	ac->agent = NULL;
	uv_timer_start(&ac->timer, on_leftovers, 0, 0);
}

static void on_up(void *arg, json_t *hello)
{
	struct agent_container *ac = arg;
	bool has_main = json_is_true(json_object_get(hello, "main"));

	if (!ac->is_over)
		uv_timer_stop(&ac->timer);
	ac->pause_ms = PAUSE_FIRST_MS;
	if (ac->was_up || !ac->main || ac->main->is_released)
		return;
	ac->was_up = true;
	if (!hello || has_main) {
		ac->main->is_attach = true;
		agent_process_open(ac->main, json_pack("{s:s}", "type", "attach"));
		return;
	}
	/* An agent that came for this container alone ends with its main process. */
	json_object_set_new(ac->command, ac->is_forward ? "whole" : "main", json_true());
	agent_process_open(ac->main, steal_ptr(ac->command));
}

static void dial(struct agent_container *ac);

static void on_pause_over(uv_timer_t *t)
{
	dial(t->data);
}

static void dial_again(struct agent_container *ac)
{
	uv_timer_start(&ac->timer, on_pause_over, ac->pause_ms, 0);
	ac->pause_ms = ac->pause_ms * 2 < PAUSE_MAX_MS ? ac->pause_ms * 2 : PAUSE_MAX_MS;
}

static void on_down(void *arg, const char *reason)
{
	struct agent_container *ac = arg;

	log_info("agent of container %.12s: %s", ac->id, reason);
	if (ac->is_forward && !ac->is_over)
		dial_again(ac);
}

static void on_lost(void *arg, const char *reason)
{
	struct agent_container *ac = arg;

	log_warn("container %.12s: %s", ac->id, reason);
	if (ac->main && !ac->main->session) /* it was never asked to begin */
		agent_process_fail(ac->main, 128, reason);
}

static const struct agent_link_events link_events = { on_up, on_down, on_lost };

static void on_no_agent(uv_timer_t *t)
{
	struct agent_container *ac = t->data;
	char text[160];

	snprintf(text, sizeof(text), "no agent came for this container within %u seconds", ac->wait_ms / 1000);
	if (ac->main)
		agent_process_fail(ac->main, 128, text);
}

static void on_dialled(void *arg, const struct dial_result *r)
{
	struct agent_container *ac = arg;
	char text[400];

	ac->dialer = NULL;
	if (r->status == 101) {
		if (agent_link_connect(ac->agent, r->fd, false, r->is_ours, NULL, r->early, r->early_len) < 0)
			close(r->fd);
		return;
	}
	if (ac->was_up) { /* the link's grace decides */
		dial_again(ac);
		return;
	}
	snprintf(text, sizeof(text), "the agent at %.100s cannot be reached: %.180s",
		 ac->target.host ? ac->target.host : "its socket", r->why);
	if (ac->main)
		agent_process_fail(ac->main, 128, text);
}

static void dial(struct agent_container *ac)
{
	ac->dialer = dialer_start(ac->driver->loop, &ac->target, ac->driver->tls, ac->driver->token, on_dialled, ac);
}

static struct agent_container *container_new_run(struct agent_driver *d, struct container *c, struct run_plan *plan)
{
	struct agent_container *ac = xnew(struct agent_container);

	ac->driver = d;
	memcpy(ac->id, c->id, sizeof(ac->id));
	ac->command = agent_exec_message(&plan->spec);
	ac->pause_ms = PAUSE_FIRST_MS;
	ac->leftover_code = KILLED_CODE;
	ac->target.fd = -1;
	list_init(&ac->execs);
	list_init(&ac->updates);
	list_append(&d->all, &ac->link);
	uv_timer_init(d->loop, &ac->timer);
	ac->timer.data = ac;
	ac->agent = agent_link_new(d->loop, d->grace_ms, &link_events, ac);
	map_put(&d->running, ac->id, ac);
	return ac;
}

/* ---- launchers ---- */

/* Before its main process has: nobody knows that one's exit code. */
static void on_launcher_exited(void *arg, const struct launch_end *end)
{
	struct agent_container *ac = arg;
	struct agent_process *p = ac->main;
	struct process_exit exit = ac->exit;
	char text[900];

	ac->launch = NULL;
	if (end->signo)
		snprintf(text, sizeof(text), "the launcher was ended by signal %d%s%s", end->signo,
			 *end->said ? ": " : "", end->said);
	else
		snprintf(text, sizeof(text), "the launcher has ended with status %d%s%s", end->status,
			 *end->said ? ": " : "", end->said);
	if (!p || p->is_told)
		return;
	if (!p->has_begun && !ac->is_over) {
		agent_process_fail(p, 128, text);
		return;
	}
	p->is_told = true;
	exit.reason = ac->reason;
	exit.is_oom = end->is_oom;
	if (!ac->is_over) {
		exit.code = ac->leftover_code = LINK_LOST_CODE;
		exit.reason = text;
	} else if (end->status == LAUNCH_FAILED && exit.code != LAUNCH_FAILED && !exit.reason) {
		exit.reason = text; /* its changes are lost */
	}
	p->sink.ops->exited(p->sink.arg, &exit);
}

/* Before it runs: it may want to listen where the daemon does so far. */
static void open_ports(struct agent_container *ac, const struct launcher *l, struct container *c, const struct run_plan *plan)
{
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));

	if (plan->netns && !l->is_remote && !(mode && strcmp(mode, "none") == 0))
		ac->ports = ports_open(ac->driver->loop, plan->netns, json_object_get(c->config, "ExposedPorts"),
				       json_object_get(c->host_config, "PortBindings"));
}

static int launch(struct agent_container *ac, const struct launcher *l, struct container *c,
		  const struct run_plan *plan, struct error *err)
{
	struct agent_driver *d = ac->driver;
	int fd = -1;

	ac->is_launched = true;
	open_ports(ac, l, c, plan);
	ac->launch = launch_start(d->launchers, l, c, plan, agent_driver_prepare(&d->base, c->id), on_launcher_exited,
				  ac, &fd, err);
	if (!ac->launch)
		return err->code;
	if (fd >= 0)
		agent_registry_enter(d->registry, fd, true);
	/* The first container of an image waits until its files are made ready. */
	ac->wait_ms = d->wait_ms > LAUNCHER_WAIT_MS ? d->wait_ms : LAUNCHER_WAIT_MS;
	uv_timer_start(&ac->timer, on_no_agent, ac->wait_ms, 0);
	return 0;
}

static void set_runtime(struct container *c, const char *name)
{
	free(c->runtime);
	c->runtime = xstrdup(name);
}

static int start_launched(struct agent_container *ac, struct container *c, struct run_plan *plan, struct error *err)
{
	struct agent_driver *d = ac->driver;
	bool is_native = strcmp(c->runtime, "native") == 0, is_known;
	const struct launcher *l =
		is_native ? launchers_best(d->launchers, &is_known) : launchers_find(d->launchers, c->runtime);

	if (is_native) {
		free(c->route);
		c->route = launchers_tell(d->launchers);
	}
	if (!l) { /* the sandbox, for what it can run; agent_driver_when_ready has waited */
		set_runtime(c, "auto");
		return DRIVER_DECLINED;
	}
	/* Others are tried again when they are asked for by name; how this one is started was to be found out. */
	if (l->state == LAUNCHER_FAILS && l->root == LAUNCHER_COPY)
		return error_set_class(err, ERROR_INVALID, "launcher %s does not work on this host: %s", l->name, l->why);
	agent_registry_expect(d->registry, c->id, agent_driver_prepare(&d->base, c->id), ac->agent);
	set_runtime(c, l->name);
	return launch(ac, l, c, plan, err);
}

/* The target of a label. Whom to trust is read at the first wss://. */
static int aim(struct agent_container *ac, const char *url, struct error *err)
{
	struct agent_driver *d = ac->driver;
	int r = dial_parse(url, "/ws", &ac->target, err);

	if (r == 0 && ac->target.is_fd)
		r = error_set_class(err, ERROR_INVALID, "%.200s: no descriptor can be dialled", url);
	if (r == 0 && ac->target.is_tls && !d->tls)
		r = tls_client_new(d->authorities, &d->tls, err);
	return r;
}

int agent_container_start(struct agent_driver *d, struct container *c, struct run_plan *plan,
			  struct agent_process *main, struct error *err)
{
	const char *url = json_string_value(json_object_get(json_object_get(c->config, "Labels"), AGENT_LABEL));
	struct agent_container *ac = container_new_run(d, c, plan);

	ac->main = main;
	main->container = ac;
	if (strcmp(c->runtime, "agent") != 0) {
		int r = start_launched(ac, c, plan, err);

		if (r == 0)
			return 0;
		ac->main = NULL;
		agent_container_end(ac);
		return r;
	}
	ac->is_forward = url != NULL;
	if (!url) {
		agent_registry_expect(d->registry, c->id, agent_driver_prepare(&d->base, c->id), ac->agent);
		ac->wait_ms = d->wait_ms;
		uv_timer_start(&ac->timer, on_no_agent, ac->wait_ms, 0);
		return 0;
	}
	if (aim(ac, url, err) < 0) {
		error_prefix(err, "label " AGENT_LABEL);
		ac->main = NULL;
		agent_container_end(ac);
		return err->code;
	}
	dial(ac);
	return 0;
}
