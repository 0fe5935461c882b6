/* The processes of an embedder's driver. What it tells of one is held until the
 * loop's next turn (it may be telling from within a slot), all but output of one
 * that has nothing held. */
#include "drivers/custom_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

enum held_kind { HELD_STARTED, HELD_FAILED, HELD_OUTPUT, HELD_EXITED, HELD_OOM };

struct held {
	struct list link;
	enum held_kind kind;
	int number;             /* host pid, exit code, stream */
	size_t len;
	char data[];
};

enum told { TOLD_NOTHING, TOLD_START, TOLD_END };

struct sockerless_sink {        /* the process itself */
	struct driver_process base;
	struct list link;
	struct custom_driver *driver;
	struct process_sink sink;
	void *process;
	uv_timer_t timer;
	struct list held;
	enum told told;         /* by the embedder */
	bool is_main, has_stdin, has_ended, is_released;
	char id[ID_LEN + 1];
};

static struct sockerless_sink *of(struct driver_process *p)
{
	return (struct sockerless_sink *)p;
}

static int unsupported(struct custom_driver *d, const char *what, struct error *err)
{
	return error_set_class(err, ERROR_UNIMPLEMENTED, "driver %s cannot %s", d->ops.name, what);
}

/* What a slot about a bound process has answered: it is not asked of anybody else. */
static int settle(struct custom_driver *d, int r, const struct sockerless_error *said, const char *what, struct error *err)
{
	if (r == SOCKERLESS_DECLINED)
		return unsupported(d, what, err);
	return r < 0 ? public_error(r, said, err) : 0;
}

/* ---- what a process tells ---- */

static void forget_running(struct sockerless_sink *p)
{
	if (p->is_main && map_get(&p->driver->running, p->id) == p)
		map_remove(&p->driver->running, p->id);
}

static void deliver(struct sockerless_sink *p, const struct held *h)
{
	struct process_exit exit = { .code = h->number };
	struct error err = { 0 };

	switch (h->kind) {
	case HELD_STARTED: p->sink.ops->started(p->sink.arg, h->number); return;
	case HELD_OUTPUT: p->sink.ops->output(p->sink.arg, h->number, h->data, h->len); return;
	case HELD_OOM:
		if (p->sink.ops->oom)
			p->sink.ops->oom(p->sink.arg);
		return;
	case HELD_FAILED:
		p->has_ended = true;
		forget_running(p);
		error_set(&err, -EIO, "%s", h->data);
		p->sink.ops->failed(p->sink.arg, h->number, &err);
		return;
	case HELD_EXITED:
		p->has_ended = true;
		forget_running(p);
		p->sink.ops->exited(p->sink.arg, &exit);
		return;
	}
}

static void on_turn(uv_timer_t *t)
{
	struct sockerless_sink *p = t->data;

	/* A release in the middle ends it; the process itself stays until its timer is closed. */
	while (!p->is_released && !list_is_empty(&p->held)) {
		struct held *h = container_of(p->held.next, struct held, link);

		list_remove(&h->link);
		deliver(p, h);
		free(h);
	}
}

static void hold(struct sockerless_sink *p, enum held_kind kind, int number, const void *data, size_t len)
{
	struct held *h;

	if (p->is_released)
		return;
	h = xmalloc(sizeof(*h) + len + 1);
	h->kind = kind;
	h->number = number;
	h->len = len;
	if (len)
		memcpy(h->data, data, len);
	h->data[len] = '\0';
	list_append(&p->held, &h->link);
	uv_timer_start(&p->timer, on_turn, 0, 0);
}

void sockerless_sink_started(struct sockerless_sink *p, int host_pid)
{
	if (p->told != TOLD_NOTHING)
		return;
	p->told = TOLD_START;
	hold(p, HELD_STARTED, host_pid, NULL, 0);
}

void sockerless_sink_failed(struct sockerless_sink *p, int exit_code, const char *message)
{
	if (p->told != TOLD_NOTHING)
		return;
	p->told = TOLD_END;
	hold(p, HELD_FAILED, exit_code, message, strlen(message));
}

void sockerless_sink_output(struct sockerless_sink *p, int stream, const void *data, size_t len)
{
	stream = stream == 2 ? 2 : 1;
	if (p->told != TOLD_START || len == 0 || p->is_released)
		return;
	if (list_is_empty(&p->held))
		p->sink.ops->output(p->sink.arg, stream, data, len);
	else
		hold(p, HELD_OUTPUT, stream, data, len);
}

void sockerless_sink_exited(struct sockerless_sink *p, int code)
{
	if (p->told != TOLD_START)
		return;
	p->told = TOLD_END;
	hold(p, HELD_EXITED, code & 0xff, NULL, 0);
}

void sockerless_sink_oom(struct sockerless_sink *p)
{
	if (p->told == TOLD_START && p->is_main)
		hold(p, HELD_OOM, 0, NULL, 0);
}

void sockerless_sink_stdin_drained(struct sockerless_sink *p)
{
	if (p->told == TOLD_START && !p->is_released && p->sink.ops->stdin_drained)
		p->sink.ops->stdin_drained(p->sink.arg);
}

/* ---- making and letting go ---- */

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void let_go(struct sockerless_sink *p)
{
	if (p->is_released)
		return;
	p->is_released = true;
	forget_running(p);
	if (p->process)
		p->driver->stream.release(p->driver->ctx, p->process);
	list_for_each_safe(it, &p->held) {
		list_remove(it);
		free(container_of(it, struct held, link));
	}
	list_remove(&p->link);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}

static struct sockerless_sink *process_new(struct custom_driver *d, const struct container *c,
					   const struct run_spec *spec, struct process_sink sink)
{
	struct sockerless_sink *p = xnew(struct sockerless_sink);

	p->base.owner = &d->base;
	p->driver = d;
	p->sink = sink;
	p->is_main = spec->is_main;
	p->has_stdin = spec->open_stdin || spec->tty;
	memcpy(p->id, c->id, sizeof(p->id));
	list_init(&p->held);
	list_append(&d->processes, &p->link);
	uv_timer_init(d->loop, &p->timer);
	p->timer.data = p;
	return p;
}

/* What a start slot has answered. */
static int take_answer(struct sockerless_sink *p, int r, void *process, const struct sockerless_error *said,
		       struct driver_process **ret, struct error *err)
{
	if (r == 0) {
		p->process = process ? process : p; /* NULL is a name too */
		*ret = &p->base;
		return 0;
	}
	let_go(p);
	return r == SOCKERLESS_DECLINED ? DRIVER_DECLINED : public_error(r < 0 ? r : -EIO, said, err);
}

static void *named(const struct sockerless_sink *p)
{
	return p->process == p ? NULL : p->process;
}

void *custom_running(const struct custom_driver *d, const char *container_id)
{
	const struct sockerless_sink *p = map_get(&d->running, container_id);

	return p ? named(p) : NULL;
}

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct custom_driver *d = custom_of(base);
	struct sockerless_sink *p = process_new(d, c, &plan->spec, sink);
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	struct public_spec ps;
	void *process = NULL;
	int r;

	public_spec_init(&ps, c, &plan->spec, plan);
	r = d->lifecycle.start(d->ctx, &ps.spec, p, &process, &said);
	public_spec_done(&ps);
	r = take_answer(p, r, process, &said, ret, err);
	if (r != 0)
		return r;
	map_put(&d->running, c->id, p);
	run_plan_free(plan);
	return 0;
}

static int exec_start(struct driver *base, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	struct custom_driver *d = custom_of(base);
	struct sockerless_sink *owner = map_get(&d->running, c->id), *p;
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	struct public_spec ps;
	void *process = NULL;
	int r;

	if (!owner || !d->exec.start)
		return DRIVER_DECLINED;
	p = process_new(d, c, spec, sink);
	public_spec_init(&ps, c, spec, NULL);
	r = d->exec.start(d->ctx, named(owner), &ps.spec, p, &process, &said);
	return take_answer(p, r, process, &said, ret, err);
}

/* ---- what is asked of a process ---- */

static int signal_with(struct sockerless_sink *p,
		       int (*slot)(void *ctx, void *process, int signo, struct sockerless_error *err), int signo,
		       struct error *err)
{
	struct sockerless_error said = PUBLIC_ERROR_INIT;

	if (p->has_ended)
		return error_set(err, -ESRCH, "cannot signal the process: it has ended");
	if (!slot)
		return unsupported(p->driver, "send signals to this process", err);
	return settle(p->driver, slot(p->driver->ctx, named(p), signo, &said), &said, "send this signal", err);
}

static int lifecycle_signal(struct driver *d, struct container *c, struct driver_process *p, int signo, struct error *err)
{
	(void)c;
	return signal_with(of(p), custom_of(d)->lifecycle.signal, signo, err);
}

static int exec_signal(struct driver *d, struct driver_process *p, int signo, struct error *err)
{
	return signal_with(of(p), custom_of(d)->exec.signal, signo, err);
}

typedef int (*asking_slot)(void *ctx, void *process, struct sockerless_answer *answer, struct sockerless_error *err);

static int ask(struct sockerless_answer *a, asking_slot slot, const struct sockerless_sink *p, const char *what,
	       struct error *err)
{
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	struct custom_driver *d = p->driver;
	int r = slot ? slot(d->ctx, named(p), a, &said) : SOCKERLESS_DECLINED;

	if (r != 0)
		custom_answer_drop(a);
	return settle(d, r, &said, what, err);
}

static void deliver_done(struct sockerless_answer *a)
{
	a->done(a->arg, a->err.code ? &a->err : NULL);
}

static int freeze(struct driver *d, asking_slot slot, struct driver_process *p, driver_done done, void *arg, struct error *err)
{
	struct sockerless_answer *a = custom_answer_new(custom_of(d), deliver_done, arg);

	a->done = done;
	return ask(a, slot, of(p), "pause containers", err);
}

static int lifecycle_pause(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
			   struct error *err)
{
	(void)c;
	return freeze(d, custom_of(d)->lifecycle.pause, p, done, arg, err);
}

static int lifecycle_unpause(struct driver *d, struct container *c, struct driver_process *p, driver_done done,
			     void *arg, struct error *err)
{
	(void)c;
	return freeze(d, custom_of(d)->lifecycle.unpause, p, done, arg, err);
}

static void deliver_rows(struct sockerless_answer *a)
{
	a->rows_done(a->arg, a->rows, a->nrows, a->err.code ? &a->err : NULL);
}

static int lifecycle_top(struct driver *d, struct container *c, struct driver_process *p,
			 void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err),
			 void *arg, struct error *err)
{
	struct sockerless_answer *a = custom_answer_new(custom_of(d), deliver_rows, arg);

	(void)c;
	a->rows_done = done;
	return ask(a, custom_of(d)->lifecycle.top, of(p), "list processes", err);
}

static void deliver_stats(struct sockerless_answer *a)
{
	a->stats_done(a->arg, &a->figures, a->err.code ? &a->err : NULL);
}

static int lifecycle_stats(struct driver *d, struct container *c, struct driver_process *p,
			   void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
			   struct error *err)
{
	struct sockerless_answer *a = custom_answer_new(custom_of(d), deliver_stats, arg);

	(void)c;
	a->stats_done = done;
	return ask(a, custom_of(d)->lifecycle.stats, of(p), "measure containers", err);
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, driver_done done, void *arg, struct error *err)
{
	struct sockerless_limits out = { .size = sizeof(out),
					 .memory_bytes = limits->memory_bytes,
					 .pids_max = limits->pids_max,
					 .nano_cpus = limits->cpu_period_ns ? (uint64_t)((double)limits->cpu_quota_ns * 1e9 /
											 (double)limits->cpu_period_ns) :
									      0 };
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	int r = SOCKERLESS_DECLINED;

	(void)c;
	if (custom_of(d)->lifecycle.update)
		r = custom_of(d)->lifecycle.update(custom_of(d)->ctx, named(of(p)), &out, &said);
	r = settle(custom_of(d), r, &said, "change the limits of a running container", err);
	if (r == 0)
		done(arg, NULL);
	return r;
}

static int lifecycle_cleanup(struct driver *d, struct container *c, struct error *err)
{
	(void)err;
	if (custom_of(d)->lifecycle.cleanup)
		custom_of(d)->lifecycle.cleanup(custom_of(d)->ctx, c->id);
	return 0;
}

/* ---- streams ---- */

static int write_stdin(struct driver *d, struct driver_process *dp, const void *data, size_t len)
{
	struct sockerless_sink *p = of(dp);

	if (!p->has_stdin || p->has_ended || !custom_of(d)->stream.write_stdin)
		return -EPIPE;
	return custom_of(d)->stream.write_stdin(custom_of(d)->ctx, named(p), data, len);
}

static int close_stdin(struct driver *d, struct driver_process *dp)
{
	struct sockerless_sink *p = of(dp);

	if (p->has_stdin && !p->has_ended && custom_of(d)->stream.close_stdin)
		custom_of(d)->stream.close_stdin(custom_of(d)->ctx, named(p));
	p->has_stdin = false;
	return 0;
}

static int resize(struct driver *d, struct driver_process *p, uint16_t rows, uint16_t cols)
{
	if (of(p)->has_ended || !custom_of(d)->stream.resize)
		return -EINVAL;
	return custom_of(d)->stream.resize(custom_of(d)->ctx, named(of(p)), rows, cols);
}

static int flow(struct driver *d, struct driver_process *p, bool is_open)
{
	if (!of(p)->has_ended && custom_of(d)->stream.flow)
		custom_of(d)->stream.flow(custom_of(d)->ctx, named(of(p)), is_open);
	return 0;
}

static int release(struct driver *d, struct driver_process *p)
{
	(void)d;
	let_go(of(p));
	return 0;
}

/* ---- the driver ---- */

static void custom_free(struct driver *base)
{
	struct custom_driver *d = custom_of(base);

	list_for_each_safe(it, &d->processes)
		let_go(container_of(it, struct sockerless_sink, link));
	custom_answers_end(d);
	if (d->close)
		d->close(d->ctx);
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
static const struct filesystem_ops filesystem = { .run = custom_files_run };

#define COPY_TABLE(to, from)                                                \
	do {                                                                \
		if (from)                                                   \
			public_copy(to, sizeof(*(to)), from, (from)->size); \
	} while (0)

static void copy_tables(struct custom_driver *d, const struct sockerless_driver_ops *ops)
{
	COPY_TABLE(&d->lifecycle, ops->lifecycle);
	COPY_TABLE(&d->exec, ops->exec);
	COPY_TABLE(&d->stream, ops->stream);
	COPY_TABLE(&d->filesystem, ops->filesystem);
}

static bool has_size(const size_t *size)
{
	return !size || *size >= sizeof(*size);
}

bool custom_is_complete(const struct sockerless_driver_ops *ops)
{
	struct sockerless_driver_ops o;
	struct custom_driver d = { 0 };

	if (!has_size(&ops->size))
		return false;
	public_copy(&o, sizeof(o), ops, ops->size);
	if (!public_is_name(o.name) || !o.lifecycle || !o.stream || !has_size(&o.lifecycle->size) ||
	    !has_size(&o.stream->size) || (o.exec && !has_size(&o.exec->size)) ||
	    (o.filesystem && !has_size(&o.filesystem->size)))
		return false;
	copy_tables(&d, &o);
	return d.lifecycle.start && d.lifecycle.signal && d.stream.release && (!d.exec.start || d.exec.signal);
}

struct driver *custom_driver_new(uv_loop_t *loop, const struct sockerless_driver_ops *ops, void *ctx)
{
	struct custom_driver *d = xnew(struct custom_driver);
	struct sockerless_driver_ops o;

	public_copy(&o, sizeof(o), ops, ops->size);
	copy_tables(d, &o);
	d->ops = (struct driver_ops){
		.name = o.name, .exec = &exec, .lifecycle = &lifecycle, .stream = &stream, .filesystem = &filesystem, .free = custom_free
	};
	d->base.ops = &d->ops;
	d->loop = loop;
	d->ctx = ctx;
	d->close = o.close;
	map_init(&d->running);
	list_init(&d->processes);
	list_init(&d->answers);
	return &d->base;
}

bool custom_is(const struct driver *d)
{
	return d->ops->free == custom_free;
}
