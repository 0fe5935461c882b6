/* A process of the embedder's takes three steps, each told from the loop and
 * never from within a slot: it begins (started, what it wrote so far, then its
 * output), it has ended, it is freed. */
#include "drivers/plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/local_files.h"
#include "drivers/public.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/map.h"

struct plugin_driver {
	struct driver base;
	struct driver_ops ops;  /* carries the factory's name */
	uv_loop_t *loop;
	struct sockerless_process_factory_ops factory;
	void *ctx;
	struct map running;     /* container id → its main process */
	struct list all;
	bool is_retired;        /* another factory starts containers now; what runs is still ours */
	struct notice *notice;
};

/* Tells whoever retired a driver that nothing of it runs any more. */
struct notice {
	uv_timer_t timer;
	void (*idle)(void *arg, struct driver *d);
	void *arg;
	struct plugin_driver *driver;
};

enum step { STEP_BEGIN, STEP_RUN, STEP_EXIT, STEP_FAIL, STEP_OVER };

struct plugin_process {
	struct driver_process base;
	struct list link;
	struct plugin_driver *driver;
	struct sockerless_container_process_ops ops;
	void *process;
	struct process_sink sink;
	uv_timer_t timer;       /* takes the next step */
	enum step step;
	char id[ID_LEN + 1];
	int exit_code;
	struct error failure;
	bool is_main, is_stdin_open, is_released;
};

static struct plugin_driver *driver_of(struct driver *d)
{
	return (struct plugin_driver *)d;
}

static struct plugin_process *of(struct driver_process *p)
{
	return (struct plugin_process *)p;
}

bool plugin_factory_is_complete(const struct sockerless_process_factory_ops *ops)
{
	struct sockerless_process_factory_ops f;

	if (ops->size < sizeof(ops->size))
		return false;
	public_copy(&f, sizeof(f), ops, ops->size);
	return public_is_name(f.name) && f.new_process;
}

static int unsupported(struct driver *d, const char *what, struct error *err)
{
	return error_set_class(err, ERROR_UNIMPLEMENTED, "driver %s cannot %s", d->ops->name, what);
}

/* ---- what a process tells ---- */

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	struct plugin_process *p = arg;

	if (!p->is_released && p->step == STEP_RUN && len > 0)
		p->sink.ops->output(p->sink.arg, stream == 2 ? 2 : 1, data, len);
}

static void on_stdin_drained(void *arg)
{
	struct plugin_process *p = arg;

	if (!p->is_released && p->step == STEP_RUN && p->sink.ops->stdin_drained)
		p->sink.ops->stdin_drained(p->sink.arg);
}

static const struct sockerless_process_listener listener = { sizeof(listener), on_output, on_stdin_drained };

static void on_step(uv_timer_t *t);

static void on_exited(void *arg, int code)
{
	struct plugin_process *p = arg;

	if (p->step != STEP_RUN)
		return;
	p->step = STEP_EXIT;
	p->exit_code = code;
	uv_timer_start(&p->timer, on_step, 0, 0);
}

static void begin(struct plugin_process *p)
{
	size_t len = 0;
	const void *early;
	int r;

	p->step = STEP_RUN;
	p->sink.ops->started(p->sink.arg, p->ops.host_pid ? p->ops.host_pid(p->process) : 0);
	if (p->is_released)
		return;
	early = p->ops.log_bytes ? p->ops.log_bytes(p->process, &len) : NULL;
	if (early)
		on_output(p, 1, early, len);
	r = p->ops.subscribe(p->process, &listener, p);
	if (r == 0)
		r = p->ops.wait(p->process, on_exited, p);
	if (r < 0) /* it has been told as started: it ends */
		on_exited(p, 128);
}

static void on_step(uv_timer_t *t)
{
	struct plugin_process *p = t->data;
	struct process_exit exit = { .code = p->exit_code };
	enum step step = p->step;

	if (step == STEP_BEGIN) {
		begin(p);
		return;
	}
	p->step = STEP_OVER;
	if (p->is_main && map_get(&p->driver->running, p->id) == p)
		map_remove(&p->driver->running, p->id);
	if (step == STEP_EXIT)
		p->sink.ops->exited(p->sink.arg, &exit);
	else
		p->sink.ops->failed(p->sink.arg, p->exit_code, &p->failure);
}

/* ---- making one ---- */

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_notice(uv_timer_t *t)
{
	struct notice *n = t->data;

	n->idle(n->arg, &n->driver->base);
}

static void tell_idle(struct plugin_driver *d)
{
	if (d->notice && list_is_empty(&d->all))
		uv_timer_start(&d->notice->timer, on_notice, 0, 0);
}

/* Nothing comes from the embedder's side after its close. */
static void let_go(struct plugin_process *p)
{
	if (p->is_released)
		return;
	p->is_released = true;
	if (p->is_main && map_get(&p->driver->running, p->id) == p)
		map_remove(&p->driver->running, p->id);
	if (p->process)
		p->ops.close(p->process);
	list_remove(&p->link);
	uv_close((uv_handle_t *)&p->timer, on_closed);
	tell_idle(p->driver);
}

static struct plugin_process *process_new(struct plugin_driver *d, const struct container *c, bool is_main,
					  bool has_stdin, struct process_sink sink)
{
	struct plugin_process *p = xnew(struct plugin_process);

	p->base.owner = &d->base;
	p->driver = d;
	p->sink = sink;
	p->is_main = is_main;
	p->is_stdin_open = has_stdin;
	memcpy(p->id, c->id, sizeof(p->id));
	list_append(&d->all, &p->link);
	uv_timer_init(d->loop, &p->timer);
	p->timer.data = p;
	return p;
}

/* False: a slot that must be there is NULL. */
static bool take_process(struct plugin_process *p, const struct sockerless_container_process_ops *ops, void *process)
{
	public_copy(&p->ops, sizeof(p->ops), ops, ops->size);
	p->process = process;
	if (ops->size >= sizeof(ops->size) && p->ops.wait && p->ops.signal && p->ops.subscribe && p->ops.close)
		return true;
	p->process = NULL;
	return false;
}

/* What a slot that makes a process has answered, and said, in the chain's terms. */
static int take_answer(struct plugin_process *p, int r, const struct sockerless_container_process_ops *ops,
		       void *process, const struct sockerless_error *said, const char *command, struct error *err)
{
	if (r == 0) {
		if (take_process(p, ops, process))
			return 0;
		r = error_set(err, -EINVAL, "driver %s made a process without wait, signal, subscribe or close",
			      p->base.owner->ops->name);
	} else if (r < 0) {
		public_error(r, said, err);
	}
	if (r == -EACCES && !said->message[0]) /* clients know by the words that it is a 126 */
		error_set(err, r, "exec: \"%.200s\": permission denied", command);
	if (r == -ENOENT) { /* accepted, and failed as Docker's runtime would */
		p->step = STEP_FAIL;
		p->exit_code = 127;
		error_set(&p->failure, r, "exec: \"%.200s\": executable file not found in $PATH", command);
		return 0;
	}
	let_go(p);
	return r;
}

/* ---- lifecycle ---- */

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct plugin_driver *d = driver_of(base);
	struct plugin_process *p;
	struct public_spec ps;
	const struct sockerless_container_process_ops *ops = NULL;
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	void *process = NULL;
	int r;

	if (d->is_retired)
		return DRIVER_DECLINED;
	p = process_new(d, c, true, plan->spec.open_stdin || plan->spec.tty, sink);
	uv_timer_start(&p->timer, on_step, 0, 0);
	public_spec_init(&ps, c, &plan->spec, plan);
	r = d->factory.new_process(d->ctx, &ps.spec, &ops, &process, &said);
	public_spec_done(&ps);
	r = take_answer(p, r, ops, process, &said, plan->spec.argv[0], err);
	if (r != 0)
		return r;
	map_put(&d->running, c->id, p);
	run_plan_free(plan);
	*ret = &p->base;
	return 0;
}

static int exec_start(struct driver *base, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	struct plugin_driver *d = driver_of(base);
	struct plugin_process *owner = map_get(&d->running, c->id), *p;
	struct public_spec ps;
	const struct sockerless_container_process_ops *ops = NULL;
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	void *process = NULL;
	bool is_shell;
	int r;

	if (!owner)
		return DRIVER_DECLINED;
	public_spec_init(&ps, c, spec, NULL);
	is_shell = spec->tty && owner->ops.interactive_shell && d->factory.is_shell_command &&
		   d->factory.is_shell_command(d->ctx, ps.spec.argv);
	if (!is_shell && !owner->ops.run_exec)
		return unsupported(base, "run further processes in a container", err);
	p = process_new(d, c, false, spec->open_stdin || spec->tty, sink);
	uv_timer_start(&p->timer, on_step, 0, 0);
	r = (is_shell ? owner->ops.interactive_shell : owner->ops.run_exec)(owner->process, &ps.spec, &ops, &process, &said);
	r = take_answer(p, r, ops, process, &said, spec->argv[0], err);
	if (r == 0)
		*ret = &p->base;
	return r;
}

struct driver_process *plugin_adopt(struct driver *base, const struct container *c, bool has_stdin,
				    const struct sockerless_container_process_ops *ops, void *process,
				    struct process_sink sink, struct error *err)
{
	struct plugin_driver *d = driver_of(base);
	struct plugin_process *p = process_new(d, c, true, has_stdin, sink);

	if (!take_process(p, ops, process)) {
		let_go(p);
		error_set_class(err, ERROR_INVALID, "a process needs wait, signal, subscribe and close");
		return NULL;
	}
	map_put(&d->running, c->id, p);
	return &p->base;
}

void plugin_begin(struct driver_process *p)
{
	begin(of(p));
}

static int exec_signal(struct driver *d, struct driver_process *dp, int signo, struct error *err)
{
	struct plugin_process *p = of(dp);
	int r = p->process && p->step < STEP_EXIT ? p->ops.signal(p->process, signo) : -ESRCH;

	(void)d;
	return r < 0 ? error_set(err, r, "cannot signal the process: %s", strerror(-r)) : 0;
}

static int lifecycle_signal(struct driver *d, struct container *c, struct driver_process *p, int signo, struct error *err)
{
	(void)c;
	return exec_signal(d, p, signo, err);
}

/* Answers from the loop's next turn. */
struct answer {
	uv_timer_t timer;
	driver_done done;
	void *arg;
};

static void on_answer(uv_timer_t *t)
{
	struct answer *a = t->data;

	a->done(a->arg, NULL);
	uv_close((uv_handle_t *)t, on_closed);
}

static int freeze(struct driver *d, int (*slot)(void *process), struct plugin_process *p, driver_done done, void *arg,
		  struct error *err)
{
	struct answer *a;
	int r;

	if (!slot)
		return unsupported(d, "pause containers", err);
	r = slot(p->process);
	if (r < 0)
		return error_set(err, r, "driver %s: %s", d->ops->name, strerror(-r));
	a = xnew(struct answer);
	a->done = done;
	a->arg = arg;
	uv_timer_init(driver_of(d)->loop, &a->timer);
	a->timer.data = a;
	uv_timer_start(&a->timer, on_answer, 0, 0);
	return 0;
}

static int lifecycle_pause(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
			   struct error *err)
{
	(void)c;
	return freeze(d, of(p)->ops.pause, of(p), done, arg, err);
}

static int lifecycle_unpause(struct driver *d, struct container *c, struct driver_process *p, driver_done done,
			     void *arg, struct error *err)
{
	(void)c;
	return freeze(d, of(p)->ops.unpause, of(p), done, arg, err);
}

struct rows {
	struct process_info *v;
	size_t n;
};

static void add_row(void *arg, const struct sockerless_process_row *in)
{
	struct rows *rows = arg;

	rows->v = xrealloc(rows->v, (rows->n + 1) * sizeof(*rows->v));
	public_row(in, &rows->v[rows->n++]);
}

static int lifecycle_top(struct driver *d, struct container *c, struct driver_process *dp,
			 void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err),
			 void *arg, struct error *err)
{
	struct plugin_process *p = of(dp);
	struct rows rows = { 0 };
	int r;

	(void)c;
	if (!p->ops.top)
		return unsupported(d, "list processes", err);
	r = p->ops.top(p->process, add_row, &rows);
	if (r == 0)
		done(arg, rows.v, rows.n, NULL);
	free(rows.v);
	return r < 0 ? error_set(err, r, "driver %s: %s", d->ops->name, strerror(-r)) : 0;
}

static int lifecycle_stats(struct driver *d, struct container *c, struct driver_process *dp,
			   void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
			   struct error *err)
{
	struct plugin_process *p = of(dp);
	struct sockerless_process_stats s = { .size = sizeof(s) };
	struct process_figures f;
	int r = p->ops.stats ? p->ops.stats(p->process, &s) : 0;

	(void)c;
	if (r < 0)
		return error_set(err, r, "driver %s: %s", d->ops->name, strerror(-r));
	public_stats(&s, &f);
	done(arg, &f, NULL);
	return 0;
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, driver_done done, void *arg, struct error *err)
{
	(void)c, (void)p, (void)limits, (void)done, (void)arg;
	return unsupported(d, "change the limits of a running container", err);
}

static int lifecycle_cleanup(struct driver *d, struct container *c, struct error *err)
{
	(void)err;
	if (driver_of(d)->factory.container_removed)
		driver_of(d)->factory.container_removed(driver_of(d)->ctx, c->id);
	return 0;
}

/* ---- streams ---- */

static int write_stdin(struct driver *d, struct driver_process *dp, const void *data, size_t len)
{
	struct plugin_process *p = of(dp);

	(void)d;
	if (!p->is_stdin_open || !p->process || !p->ops.write_stdin || p->step > STEP_RUN)
		return -EPIPE;
	return p->ops.write_stdin(p->process, data, len);
}

static int close_stdin(struct driver *d, struct driver_process *dp)
{
	struct plugin_process *p = of(dp);

	(void)d;
	if (p->is_stdin_open && p->process && p->ops.close_stdin && p->step <= STEP_RUN)
		p->ops.close_stdin(p->process);
	p->is_stdin_open = false;
	return 0;
}

static int resize(struct driver *d, struct driver_process *dp, uint16_t rows, uint16_t cols)
{
	struct plugin_process *p = of(dp);

	(void)d;
	return p->process && p->ops.resize ? p->ops.resize(p->process, rows, cols) : -EINVAL;
}

static int flow(struct driver *d, struct driver_process *dp, bool is_open)
{
	struct plugin_process *p = of(dp);

	(void)d;
	return p->process && p->ops.flow ? p->ops.flow(p->process, is_open) : 0;
}

static int release(struct driver *d, struct driver_process *p)
{
	(void)d;
	let_go(of(p));
	return 0;
}

/* ---- files ---- */

/* A job over the root that the embedder names: the plan's mounts with another first one. */
struct rooted_job {
	const struct run_plan *theirs;
	void (*done)(struct file_job *job);
	struct run_plan plan;
	int root_fd;
};

static void on_rooted(struct file_job *job)
{
	struct rooted_job *r = container_of(job->plan, struct rooted_job, plan);

	job->plan = r->theirs;
	job->done = r->done;
	close(r->root_fd);
	free(r->plan.mounts);
	free(r);
	job->done(job);
}

static int run_rooted(struct plugin_driver *d, struct file_job *job, const char *root, struct error *err)
{
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rooted_job *r;

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", root, strerror(errno));
	r = xnew(struct rooted_job);
	r->theirs = job->plan;
	r->done = job->done;
	r->root_fd = fd;
	r->plan = *job->plan;
	r->plan.mounts = xcalloc(r->plan.nmounts, sizeof(*r->plan.mounts));
	memcpy(r->plan.mounts, job->plan->mounts, r->plan.nmounts * sizeof(*r->plan.mounts));
	r->plan.mounts[0].kind = ROOTFS_MOUNT_DIR;
	r->plan.mounts[0].lower_fd = r->plan.mounts[0].upper_fd = -1;
	r->plan.mounts[0].fd = fd;
	job->plan = &r->plan;
	job->done = on_rooted;
	return local_files_run(d->loop, job);
}

static int files_run(struct driver *base, struct file_job *job, struct error *err)
{
	struct plugin_driver *d = driver_of(base);
	const struct plugin_process *p = map_get(&d->running, job->container->id);
	const char *root = p && p->process && p->ops.root_path ? p->ops.root_path(p->process) : NULL;

	if (!p && container_has_process(job->container)) /* a factory of the same name that is retired runs it */
		return DRIVER_DECLINED;
	if (root && job->op == FILE_LAYER)
		return error_set_class(err, ERROR_CONFLICT,
				       "container %.12s cannot be committed: its files are not kept by this engine",
				       job->container->id);
	return root ? run_rooted(d, job, root, err) : local_files_run(d->loop, job);
}

/* ---- the driver ---- */

static void plugin_free(struct driver *base)
{
	struct plugin_driver *d = driver_of(base);

	list_for_each_safe(it, &d->all)
		let_go(container_of(it, struct plugin_process, link));
	if (d->notice)
		uv_close((uv_handle_t *)&d->notice->timer, on_closed);
	if (d->factory.close)
		d->factory.close(d->ctx);
	map_done(&d->running);
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
static const struct filesystem_ops filesystem = { .run = files_run };

struct driver *plugin_driver_new(uv_loop_t *loop, const struct sockerless_process_factory_ops *ops, void *ctx)
{
	struct plugin_driver *d = xnew(struct plugin_driver);

	public_copy(&d->factory, sizeof(d->factory), ops, ops->size);
	d->ops = (struct driver_ops){
		.name = ops->name, .exec = &exec, .lifecycle = &lifecycle, .stream = &stream, .filesystem = &filesystem, .free = plugin_free
	};
	d->base.ops = &d->ops;
	d->loop = loop;
	d->ctx = ctx;
	map_init(&d->running);
	list_init(&d->all);
	return &d->base;
}

bool plugin_is_retired(const struct driver *d)
{
	return d->ops->free == plugin_free && ((const struct plugin_driver *)d)->is_retired;
}

void plugin_retire(struct driver *base, void (*idle)(void *arg, struct driver *d), void *arg)
{
	struct plugin_driver *d = driver_of(base);
	struct notice *n = xnew(struct notice);

	n->idle = idle;
	n->arg = arg;
	n->driver = d;
	uv_timer_init(d->loop, &n->timer);
	n->timer.data = n;
	d->is_retired = true;
	d->notice = n;
	tell_idle(d);
}
