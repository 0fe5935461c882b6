#include "drivers/agent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/agent_internal.h"
#include "drivers/local_files.h"
#include "util/alloc.h"

enum { WAIT_S = 60, GRACE_S = 30 };

static struct agent_driver *driver_of(struct driver *d)
{
	return (struct agent_driver *)d;
}

static struct agent_process *of(struct driver_process *p)
{
	return (struct agent_process *)p;
}

static struct agent_process *process_new(struct agent_driver *d, const struct run_spec *spec, struct process_sink sink)
{
	struct agent_process *p = xnew(struct agent_process);

	p->base.owner = &d->base;
	p->sink = sink;
	p->is_main = spec->is_main;
	list_init(&p->link);
	p->is_closed = !spec->open_stdin && !spec->tty;
	return p;
}

/* ---- lifecycle ---- */

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct agent_driver *d = driver_of(base);
	struct agent_process *p;
	int r;

	if (!c->runtime || (strcmp(c->runtime, "agent") != 0 && !agent_driver_has_launcher(base, c->runtime)))
		return DRIVER_DECLINED;
	p = process_new(d, &plan->spec, sink);
	r = agent_container_start(d, c, plan, p, err);
	if (r != 0) {
		free(p);
		return r;
	}
	run_plan_free(plan);
	*ret = &p->base;
	return 0;
}

static int exec_start(struct driver *base, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	struct agent_driver *d = driver_of(base);
	struct agent_container *ac = map_get(&d->running, c->id);
	struct agent_process *p;

	if (!ac)
		return DRIVER_DECLINED;
	p = process_new(d, spec, sink);
	p->container = ac;
	list_append(&ac->execs, &p->link);
	agent_process_open(p, agent_exec_message(spec));
	if (!p->session) {
		list_remove(&p->link);
		free(p);
		return error_set_class(err, ERROR_UNAVAILABLE, "the container's agent takes no more processes");
	}
	*ret = &p->base;
	return 0;
}

static int exec_signal(struct driver *d, struct driver_process *dp, int signo, struct error *err)
{
	struct agent_process *p = of(dp);
	int r = p->session && !p->is_told ? agent_session_signal(p->session, signo) : -ESRCH;

	(void)d;
	if (r == -ENOTCONN)
		return error_set_class(err, ERROR_UNAVAILABLE,
				       "the container's agent is not connected: the signal cannot reach it");
	return r < 0 ? error_set(err, r, "the process has ended") : 0;
}

static int lifecycle_signal(struct driver *d, struct container *c, struct driver_process *p, int signo, struct error *err)
{
	(void)c;
	return exec_signal(d, p, signo, err);
}

struct waiting {
	void *done;
	void *arg;
};

/* "agent" or a plain one, which has no word for it. */
static int ask(struct driver_process *dp, const char *what,
	       void (*done)(void *arg, json_t *value, const struct error *err), struct waiting *w, struct error *err)
{
	struct agent_process *p = of(dp);
	int r = p->container && p->container->agent ? agent_link_query(p->container->agent, what, done, w) : -ESRCH;

	if (r == 0)
		return 0;
	free(w);
	if (p->container && p->container->agent && agent_link_is_up(p->container->agent))
		return error_set_class(err, ERROR_UNIMPLEMENTED,
				       "the container's agent cannot do this: it speaks the plain protocol");
	return error_set_class(err, ERROR_UNAVAILABLE, "the container's agent is not connected");
}

static struct waiting *waiting_new(void *done, void *arg)
{
	struct waiting *w = xnew(struct waiting);

	*w = (struct waiting){ done, arg };
	return w;
}

static void on_frozen(void *arg, json_t *value, const struct error *err)
{
	struct waiting w = *(struct waiting *)arg;

	(void)value;
	free(arg);
	((driver_done)w.done)(w.arg, err);
}

static int lifecycle_pause(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
			   struct error *err)
{
	(void)d, (void)c;
	return ask(p, "pause", on_frozen, waiting_new((void *)done, arg), err);
}

static int lifecycle_unpause(struct driver *d, struct container *c, struct driver_process *p, driver_done done,
			     void *arg, struct error *err)
{
	(void)d, (void)c;
	return ask(p, "unpause", on_frozen, waiting_new((void *)done, arg), err);
}

static uint64_t number(json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

typedef void (*top_done)(void *arg, const struct process_info *rows, size_t n, const struct error *err);

static void on_top(void *arg, json_t *value, const struct error *err)
{
	struct waiting w = *(struct waiting *)arg;
	size_t n = json_array_size(value), i;
	struct process_info *rows = xcalloc(n + 1, sizeof(*rows));
	json_t *o;

	free(arg);
	json_array_foreach(value, i, o) {
		const char *command = json_string_value(json_object_get(o, "command"));
		const char *state = json_string_value(json_object_get(o, "state"));

		rows[i] = (struct process_info){ .pid = (uint32_t)number(o, "pid"),
						 .ppid = (uint32_t)number(o, "ppid"),
						 .uid = (uint32_t)number(o, "uid"),
						 .tty = (uint32_t)number(o, "tty"),
						 .host_pid = (uint32_t)number(o, "pid"),
						 .start_ns = number(o, "start_ns"),
						 .cpu_ns = number(o, "cpu_ns"),
						 .rss_bytes = number(o, "rss"),
						 .vsz_bytes = number(o, "vsize"),
						 .state = state ? state[0] : 'S' };
		if (command) {
			strncpy(rows[i].command, command, sizeof(rows[i].command) - 1);
			strncpy(rows[i].comm, command, sizeof(rows[i].comm) - 1);
		}
		rows[i].comm[strcspn(rows[i].comm, " ")] = '\0';
	}
	((top_done)w.done)(w.arg, rows, n, err);
	free(rows);
}

static int lifecycle_top(struct driver *d, struct container *c, struct driver_process *p, top_done done, void *arg,
			 struct error *err)
{
	(void)d, (void)c;
	return ask(p, "top", on_top, waiting_new((void *)done, arg), err);
}

typedef void (*stats_done)(void *arg, const struct process_figures *f, const struct error *err);

static void on_stats(void *arg, json_t *value, const struct error *err)
{
	struct waiting w = *(struct waiting *)arg;
	struct process_figures f = { .user_ns = number(value, "user_ns"),
				     .system_ns = number(value, "system_ns"),
				     .memory_bytes = number(value, "memory"),
				     .pids = (uint32_t)number(value, "pids") };

	free(arg);
	((stats_done)w.done)(w.arg, &f, err);
}

static int lifecycle_stats(struct driver *d, struct container *c, struct driver_process *p, stats_done done, void *arg,
			   struct error *err)
{
	(void)d, (void)c;
	return ask(p, "stats", on_stats, waiting_new((void *)done, arg), err);
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, driver_done done, void *arg, struct error *err)
{
	(void)d, (void)c;
	if (!of(p)->container)
		return error_set(err, -ESRCH, "the container has ended");
	return agent_container_update(of(p)->container, limits, done, arg, err);
}

static int lifecycle_cleanup(struct driver *d, struct container *c, struct error *err)
{
	(void)err;
	if (agent_registry_token(driver_of(d)->registry, c->id))
		store_delete(driver_of(d)->store, "agent", c->id);
	agent_registry_forget(driver_of(d)->registry, c->id);
	return 0;
}

/* ---- streams ---- */

static int write_stdin(struct driver *d, struct driver_process *dp, const void *data, size_t len)
{
	struct agent_process *p = of(dp);

	(void)d;
	if (p->is_told || p->is_closed)
		return -EPIPE;
	return p->session ? agent_session_stdin(p->session, data, len) : 1;
}

static int close_stdin(struct driver *d, struct driver_process *dp)
{
	struct agent_process *p = of(dp);

	(void)d;
	if (!p->is_closed && p->session)
		agent_session_close_stdin(p->session);
	p->is_closed = true;
	return 0;
}

static int resize(struct driver *d, struct driver_process *dp, uint16_t rows, uint16_t cols)
{
	struct agent_process *p = of(dp);

	(void)d;
	p->rows = rows;
	p->cols = cols;
	if (p->session)
		agent_session_resize(p->session, rows, cols);
	return 0;
}

static int flow(struct driver *d, struct driver_process *dp, bool is_open)
{
	struct agent_process *p = of(dp);

	(void)d;
	if (p->session)
		agent_session_flow(p->session, is_open);
	return 0;
}

static int release(struct driver *d, struct driver_process *dp)
{
	struct agent_process *p = of(dp);

	(void)d;
	p->is_released = true;
	if (p->session)
		agent_session_release(p->session);
	if (p->is_main && p->container) {
		p->container->main = NULL;
		agent_container_end(p->container);
	}
	list_remove(&p->link);
	free(p);
	return 0;
}

/* ---- the driver ---- */

struct agent_registry *agent_driver_registry(struct driver *d)
{
	return driver_of(d)->registry;
}

bool agent_driver_has_launcher(struct driver *d, const char *name)
{
	return strcmp(name, "native") == 0 || launchers_find(driver_of(d)->launchers, name);
}

static bool takes_runtime(const struct driver *d, const char *runtime)
{
	return agent_driver_has_launcher((struct driver *)d, runtime);
}

const char *agent_driver_native(struct driver *d)
{
	bool is_known;

	return launchers_best(driver_of(d)->launchers, &is_known) || !is_known ? "native" : NULL;
}

struct launchers *agent_driver_launchers(struct driver *d)
{
	return driver_of(d)->launchers;
}

void agent_driver_when_ready(struct driver *d, const char *runtime, void (*ready)(void *arg), void *arg)
{
	struct launchers *ls = driver_of(d)->launchers;
	const struct launcher *l = runtime ? launchers_find(ls, runtime) : NULL;
	bool is_native = runtime && strcmp(runtime, "native") == 0;

	if (is_native || (l && !launchers_is_known(l)))
		launchers_when_known(ls, is_native ? NULL : l, ready, arg);
	else
		ready(arg);
}

const char *agent_driver_prepare(struct driver *base, const char *id)
{
	struct agent_driver *d = driver_of(base);
	const char *there = agent_registry_token(d->registry, id);
	char token[TOKEN_LEN + 1];
	json_t *row;

	if (there)
		return there;
	token_make(token);
	row = json_pack("{s:s}", "token", token);
	store_put(d->store, "agent", id, row);
	json_decref(row);
	agent_registry_expect(d->registry, id, token, NULL);
	return agent_registry_token(d->registry, id);
}

static int load_token(void *arg, const char *id, json_t *value)
{
	const char *token = json_string_value(json_object_get(value, "token"));

	if (token)
		agent_registry_expect(((struct agent_driver *)arg)->registry, id, token, NULL);
	return 0;
}

/* Nobody is told any more. */
static void drop(struct agent_container *ac)
{
	list_for_each_safe(it, &ac->execs) {
		list_remove(it);
		free(container_of(it, struct agent_process, link));
	}
	free(ac->main);
	ac->main = NULL;
	agent_container_end(ac);
}

static void agent_free(struct driver *base)
{
	struct agent_driver *d = driver_of(base);

	list_for_each_safe(it, &d->all) {
		struct agent_container *ac = container_of(it, struct agent_container, link);

		list_remove(it); /* its timer closes after the head of this list has gone */
		if (ac->agent)
			drop(ac);
	}
	agent_registry_free(d->registry);
	launchers_free(d->launchers);
	map_done(&d->running);
	tls_unref(d->tls);
	free(d->token);
	free(d->data_root);
	free(d->authorities);
	free(d);
}

static const struct exec_ops exec = { .start = exec_start, .signal = exec_signal };
static const struct lifecycle_ops lifecycle = {
	.start = lifecycle_start,
	.signal = lifecycle_signal,
	.pause = lifecycle_pause,
	.unpause = lifecycle_unpause,
	.top = lifecycle_top,
	.stats = lifecycle_stats,
	.update = lifecycle_update,
	.cleanup = lifecycle_cleanup,
};
static const struct stream_slot_ops stream = {
	.write_stdin = write_stdin,
	.close_stdin = close_stdin,
	.resize = resize,
	.flow = flow,
	.release = release,
};
static const struct filesystem_ops filesystem = { .run = agent_files_run };
static const struct driver_ops agent_ops = {
	.name = "agent",
	.exec = &exec,
	.lifecycle = &lifecycle,
	.stream = &stream,
	.filesystem = &filesystem,
	.takes_runtime = takes_runtime,
	.free = agent_free,
};

struct driver *agent_driver_new(uv_loop_t *loop, struct store *store, const struct agent_options *options)
{
	struct agent_driver *d = xnew(struct agent_driver);

	struct launchers_options lo = { .loop = loop,
					.dirs = options->launcher_dirs,
					.agent_path = options->agent_path,
					.data_root = options->data_root,
					.native = options->native,
					.callback = options->callback,
					.authorities = options->authorities };

	d->base.ops = &agent_ops;
	d->launchers = launchers_new(&lo);
	d->loop = loop;
	d->store = store;
	d->registry = agent_registry_new(loop);
	d->wait_ms = (options->wait_s ? options->wait_s : WAIT_S) * 1000;
	d->grace_ms = (options->grace_s ? options->grace_s : GRACE_S) * 1000;
	d->token = xstrdup(options->token);
	d->data_root = xstrdup(options->data_root);
	d->authorities = xstrdup(options->authorities);
	map_init(&d->running);
	list_init(&d->all);
	store_load(store, "agent", load_token, d, NULL);
	return &d->base;
}
