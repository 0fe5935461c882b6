/* The main process: started by the command line or by a daemon. What it writes before anybody attaches is kept and
 * given to who does. When it has ended everything ends. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/program/session.h"
#include "util/alloc.h"

#define REPLAY_MAX (1u << 20)
enum { OTHERS_MS = 2000 };

struct main_process {
	struct child *child;    /* NULL: it has ended */
	struct flow_out replay; /* what it wrote, the oldest dropped */
	struct list attached;   /* sessions */
	bool has_exited, is_told, was_attached, is_daemons;
	int code, pid;
	uv_timer_t linger;
};

struct child *main_child(void)
{
	return agent.main ? agent.main->child : NULL;
}

bool main_is_over(void)
{
	return agent.main && agent.main->has_exited;
}

/* May it write on? One that a daemon attaches to waits for that daemon, others do not wait for anybody. */
void main_flow(void)
{
	struct main_process *m = agent.main;
	bool is_open = true;

	if (!m || !m->child)
		return;
	list_for_each(it, &m->attached)
		is_open = is_open && session_is_open(container_of(it, struct session, attached));
	if (agent.is_reverse && !m->was_attached)
		is_open = m->replay.total - m->replay.acked < REPLAY_MAX;
	child_flow(m->child, is_open);
}

static void keep(struct main_process *m, enum frame_kind kind, const void *data, size_t len)
{
	if (m->is_daemons) /* nobody else attaches */
		return;
	flow_out_add(&m->replay, kind, data, len);
	m->replay.sent = m->replay.total;
	if (m->replay.total - m->replay.acked > REPLAY_MAX && (!agent.is_reverse || m->was_attached))
		flow_out_ack(&m->replay, m->replay.total - REPLAY_MAX);
}

static void on_output(void *arg, enum frame_kind kind, const void *data, size_t len)
{
	struct main_process *m = arg;

	keep(m, kind, data, len);
	list_for_each_safe(it, &m->attached)
		session_output(container_of(it, struct session, attached), kind, data, len);
	main_flow();
}

/* Docker's container ends with its main process, whoever else still runs in it. */
static void on_reaped(void *arg)
{
	(void)arg;
	tree_signal(SIGKILL);
}

static void on_linger_over(uv_timer_t *t)
{
	agent_finish(((struct main_process *)t->data)->code);
}

static void tell_exit(struct main_process *m);

static void on_patience_over(uv_timer_t *t)
{
	tell_exit(t->data);
}

/* The others were killed with it, and their ends come first: with the main process's the container is over. */
static void on_exited(void *arg, int code)
{
	struct main_process *m = arg;

	child_free(m->child, false);
	m->child = NULL;
	m->has_exited = true;
	m->code = code;
	if (sessions_are_over())
		tell_exit(m);
	else
		uv_timer_start(&m->linger, on_patience_over, OTHERS_MS, 0);
}

void main_other_ended(void)
{
	struct main_process *m = agent.main;

	if (m && m->has_exited && !m->is_told && sessions_are_over())
		tell_exit(m);
}

static void tell_exit(struct main_process *m)
{
	int code = m->code;

	m->is_told = true;
	/* Until a daemon has taken the exit code: one whose connection is silent has as long as it takes to notice that, and
	 * then the grace. Or for a while, so that who asks GET /health may see it. */
	uv_timer_start(&m->linger, on_linger_over,
		       list_is_empty(&m->attached) ? agent.linger_ms : agent.grace_ms + CONN_DEAD_MS, 0);
	list_for_each_safe(it, &m->attached)
		session_exited(container_of(it, struct session, attached), code);
}

static void on_stdin_written(void *arg, size_t len)
{
	struct main_process *m = arg;

	/* What several write at once is nobody's in particular. */
	if (!list_is_empty(&m->attached))
		session_stdin_written(container_of(m->attached.next, struct session, attached), len);
}

static const struct child_events events = { on_output, on_exited, on_reaped, on_stdin_written };

static int start(const struct child_spec *spec, bool is_daemons, int *ret_code, struct error *err)
{
	struct main_process *m = xnew(struct main_process);
	int r;

	flow_out_init(&m->replay);
	list_init(&m->attached);
	m->is_daemons = is_daemons;
	r = child_start(agent.loop, spec, &events, m, &m->child, ret_code, err);
	if (r < 0) {
		free(m);
		return r;
	}
	m->pid = (int)child_pid(m->child);
	uv_timer_init(agent.loop, &m->linger);
	m->linger.data = m;
	agent.main = m;
	return 0;
}

int main_start(char **argv, int *ret_code, struct error *err)
{
	struct child_spec spec = { .argv = argv, .has_stdin = true };
	int r = start(&spec, false, ret_code, err);

	if (r == 0)
		main_flow();
	return r;
}

int main_adopt(struct session *s, const struct child_spec *spec, int *ret_code, struct error *err)
{
	int r;

	if (agent.main)
		return error_set(err, -EEXIST, "there is a main process already");
	r = start(spec, true, ret_code, err);
	if (r < 0)
		return r;
	s->is_main = true;
	agent.main->was_attached = true;
	list_append(&agent.main->attached, &s->attached);
	return 0;
}

void main_attach(struct session *s)
{
	struct main_process *m = agent.main;

	list_append(&m->attached, &s->attached);
	m->was_attached = true;
	list_for_each_safe(it, &m->replay.chunks) {
		struct flow_chunk *c = container_of(it, struct flow_chunk, link);

		session_output(s, c->kind, c->data, c->len);
	}
	if (m->is_told)
		session_exited(s, m->code);
	else if (!m->has_exited)
		main_flow();
}

void main_detach(struct session *s)
{
	list_remove(&s->attached);
	main_flow();
}

void main_describe(json_t *o)
{
	struct main_process *m = agent.main;

	if (!m)
		return;
	json_object_set_new(o, "pid", json_integer(m->pid));
	json_object_set_new(o, "exited", json_boolean(m->has_exited));
	if (m->has_exited)
		json_object_set_new(o, "exitCode", json_integer(m->code));
}

void main_signal(int signo)
{
	if (main_child())
		child_signal(main_child(), signo);
}

void main_maybe_end(void)
{
	if (main_is_over() && agent.main->is_told && list_is_empty(&agent.main->attached))
		agent_finish(agent.main->code);
}
