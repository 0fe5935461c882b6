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

/* Tables of programs built against an older header are shorter. */
static void copy_table(void *to, size_t size, const void *from, size_t from_size)
{
	memset(to, 0, size);
	memcpy(to, from, from_size < size ? from_size : size);
}

bool plugin_factory_is_complete(const struct sockerless_process_factory_ops *ops)
{
	struct sockerless_process_factory_ops f;

	if (ops->size < sizeof(ops->size))
		return false;
	copy_table(&f, sizeof(f), ops, ops->size);
	return f.name && f.name[0] && strspn(f.name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(f.name) && f.new_process;
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

static const struct sockerless_process_listener listener = { on_output, on_stdin_drained };

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
}

static struct plugin_process *process_new(struct plugin_driver *d, const struct container *c,
					  const struct run_spec *spec, struct process_sink sink)
{
	struct plugin_process *p = xnew(struct plugin_process);

	p->base.owner = &d->base;
	p->driver = d;
	p->sink = sink;
	p->is_main = spec->is_main;
	p->is_stdin_open = spec->open_stdin || spec->tty;
	memcpy(p->id, c->id, sizeof(p->id));
	list_append(&d->all, &p->link);
	uv_timer_init(d->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_step, 0, 0);
	return p;
}

/* What a slot that makes a process has answered, and said, in the chain's terms. */
static int take_answer(struct plugin_process *p, int r, const struct sockerless_container_process_ops *ops,
		       void *process, const struct sockerless_error *said, const char *command, struct error *err)
{
	if (r == 0) {
		copy_table(&p->ops, sizeof(p->ops), ops, ops->size);
		p->process = process;
		if (p->ops.wait && p->ops.signal && p->ops.subscribe && p->ops.close)
			return 0;
		p->process = NULL;
		r = error_set(err, -EINVAL, "driver %s made a process without wait, signal, subscribe or close",
			      p->base.owner->ops->name);
	} else if (r < 0) {
		error_set(err, r, "%s", said->message[0] ? said->message : strerror(-r));
	}
	if (r == -ENOENT) { /* accepted, and failed as Docker's runtime would */
		p->step = STEP_FAIL;
		p->exit_code = 127;
		error_set(&p->failure, r, "exec: \"%.200s\": executable file not found in $PATH", command);
		return 0;
	}
	let_go(p);
	return r;
}

/* ---- specifications ---- */

static const char *fd_path(int fd, char *buf, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = fd >= 0 ? readlink(link, buf, size - 1) : -1;
	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? buf : NULL;
}

static struct sockerless_process_spec make_spec(const struct container *c, const struct run_spec *s)
{
	return (struct sockerless_process_spec){
		.container_id = c->id,
		.container_name = c->name,
		.image = c->image_ref,
		.argv = (const char *const *)s->argv,
		.env = (const char *const *)s->env,
		.cwd = s->cwd,
		.uid = s->uid,
		.gid = s->gid,
		.is_tty = s->tty,
		.has_stdin = s->open_stdin,
		.rows = s->rows,
		.columns = s->cols,
	};
}

static struct sockerless_mount *make_mounts(const struct run_plan *plan, size_t *ret_n)
{
	struct sockerless_mount *m = xcalloc(plan->nmounts + 1, sizeof(*m));
	size_t n = 0;

	for (size_t i = 1; i < plan->nmounts; i++) { /* the first is the root */
		const struct run_mount *in = &plan->mounts[i];

		if (in->kind != ROOTFS_MOUNT_VIRTUAL)
			m[n++] = (struct sockerless_mount){ in->source, in->target, in->is_readonly };
	}
	*ret_n = n;
	return m;
}

/* ---- lifecycle ---- */

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct plugin_driver *d = driver_of(base);
	struct plugin_process *p = process_new(d, c, &plan->spec, sink);
	struct sockerless_process_spec spec = make_spec(c, &plan->spec);
	const struct sockerless_container_process_ops *ops = NULL;
	struct sockerless_error said = { 0 };
	char lower[4096], upper[4096];
	struct sockerless_mount *mounts = make_mounts(plan, &spec.nmounts);
	void *process = NULL;
	int r;

	spec.hostname = plan->hostname;
	spec.mounts = mounts;
	spec.memory_bytes = plan->limits.memory_bytes;
	spec.pids_max = plan->limits.pids_max;
	spec.root_lower = fd_path(plan->mounts[0].lower_fd, lower, sizeof(lower));
	spec.root_upper = fd_path(plan->mounts[0].upper_fd, upper, sizeof(upper));
	r = d->factory.new_process(d->ctx, &spec, &ops, &process, &said);
	free(mounts);
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
	struct sockerless_process_spec out = make_spec(c, spec);
	const struct sockerless_container_process_ops *ops = NULL;
	struct sockerless_error said = { 0 };
	void *process = NULL;
	bool is_shell;
	int r;

	if (!owner)
		return DRIVER_DECLINED;
	is_shell = spec->tty && owner->ops.interactive_shell && d->factory.is_shell_command &&
		   d->factory.is_shell_command(d->ctx, out.argv);
	if (!is_shell && !owner->ops.run_exec)
		return unsupported(base, "run further processes in a container", err);
	p = process_new(d, c, spec, sink);
	r = (is_shell ? owner->ops.interactive_shell : owner->ops.run_exec)(owner->process, &out, &ops, &process, &said);
	r = take_answer(p, r, ops, process, &said, spec->argv[0], err);
	if (r == 0)
		*ret = &p->base;
	return r;
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
	struct process_info *row;

	rows->v = xrealloc(rows->v, (rows->n + 1) * sizeof(*rows->v));
	row = &rows->v[rows->n++];
	*row = (struct process_info){ .pid = in->pid,
				      .ppid = in->ppid,
				      .uid = in->uid,
				      .host_pid = in->pid,
				      .start_ns = (uint64_t)in->started_ns,
				      .cpu_ns = in->cpu_ns,
				      .rss_bytes = in->memory_bytes,
				      .state = 'S' };
	snprintf(row->command, sizeof(row->command), "%s", in->command ? in->command : "");
	snprintf(row->comm, sizeof(row->comm), "%.*s", (int)strcspn(row->command, " "), row->command);
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
	struct sockerless_process_stats s = { 0 };
	struct process_figures f;
	int r = p->ops.stats ? p->ops.stats(p->process, &s) : 0;

	(void)c;
	if (r < 0)
		return error_set(err, r, "driver %s: %s", d->ops->name, strerror(-r));
	f = (struct process_figures){ .user_ns = s.cpu_user_ns,
				      .system_ns = s.cpu_system_ns,
				      .memory_bytes = s.memory_bytes,
				      .memory_peak_bytes = s.memory_peak_bytes,
				      .pids = s.pids };
	done(arg, &f, NULL);
	return 0;
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, struct error *err)
{
	(void)c, (void)p, (void)limits;
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

	copy_table(&d->factory, sizeof(d->factory), ops, ops->size);
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
