/* Pretending: a process is a timer. It says on stderr that nothing was executed,
 * and ends well after a moment; one that is meant to keep a container alive
 * stays, and so does one while execs run. */
#include "drivers/synthetic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/local_files.h"
#include "util/alloc.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"

enum { RUN_MS = 50, RUN_WITH_STDIN_MS = 200, SLEEP_S_MAX = 1 << 20 };

struct synthetic_driver {
	struct driver base;
	uv_loop_t *loop;
	bool pretend;
	struct map running;      /* container id → its pretended main process */
	struct list all;
};

enum step { STEP_START, STEP_RUN, STEP_ENDED };

struct synthetic_process {
	struct driver_process base;
	struct list link;
	struct synthetic_driver *driver;
	struct process_sink sink;
	uv_timer_t timer;
	enum step step;
	char id[ID_LEN + 1];
	char *command;
	int64_t started_ns;
	uint64_t run_ms;         /* 0: until a signal comes */
	unsigned execs;          /* that run now: the main process waits for them */
	int exit_code;
	bool is_main, tty, is_due, is_paused, is_released;
};

static struct synthetic_driver *driver_of(struct driver *d)
{
	return (struct synthetic_driver *)d;
}

static struct synthetic_process *of(struct driver_process *p)
{
	return (struct synthetic_process *)p;
}

static bool is_asked(const struct synthetic_driver *d, const struct container *c)
{
	if (c->runtime && strcmp(c->runtime, "synthetic") == 0)
		return true;
	return d->pretend && (!c->runtime || strcmp(c->runtime, "auto") == 0);
}

static int refuse(const struct run_spec *spec, struct error *err)
{
	const char *what = spec->program.path[0] ? spec->program.path : spec->argv[0];

	error_set(err, -EACCES, "exec %.200s: permission denied: native binaries need an agent", what);
	return -EACCES;
}

/* ---- the life of a pretended process ---- */

static void on_closed(uv_handle_t *h)
{
	struct synthetic_process *p = h->data;

	free(p->command);
	free(p);
}

static void on_timer(uv_timer_t *t);

static void end(struct synthetic_process *p, int code)
{
	if (p->step == STEP_ENDED)
		return;
	p->exit_code = code;
	p->is_due = true;
	if (p->step == STEP_RUN)
		uv_timer_start(&p->timer, on_timer, 0, 0);
}

static void exec_has_ended(struct synthetic_process *p)
{
	struct synthetic_process *owner = map_get(&p->driver->running, p->id);

	if (owner && --owner->execs == 0 && owner->is_due)
		uv_timer_start(&owner->timer, on_timer, 0, 0);
}

static void tell_exit(struct synthetic_process *p)
{
	struct process_exit exit = { .code = p->exit_code };

	p->step = STEP_ENDED;
	if (p->is_main)
		map_remove(&p->driver->running, p->id);
	else
		exec_has_ended(p);
	if (!p->is_released)
		p->sink.ops->exited(p->sink.arg, &exit);
}

/* The container's word about itself; an exec echoes its command. */
static void speak(struct synthetic_process *p)
{
	char *line = p->is_main ? xasprintf("sockerless: nothing was executed; the synthetic driver pretends to run: %s%s",
					    p->command, p->tty ? "\r\n" : "\n") :
				  xasprintf("%s%s", p->command, p->tty ? "\r\n" : "\n");

	if (!p->is_released)
		p->sink.ops->output(p->sink.arg, p->is_main && !p->tty ? 2 : 1, line, strlen(line));
	free(line);
}

static void on_timer(uv_timer_t *t)
{
	struct synthetic_process *p = t->data;

	if (p->step == STEP_START) {
		p->step = STEP_RUN;
		if (!p->is_released)
			p->sink.ops->started(p->sink.arg, 0);
		speak(p);
		if (p->is_due)
			uv_timer_start(&p->timer, on_timer, 0, 0);
		else if (p->run_ms)
			uv_timer_start(&p->timer, on_timer, p->run_ms, 0);
		return;
	}
	p->is_due = true;
	if (p->step == STEP_RUN && !p->is_paused && (p->execs == 0 || p->exit_code))
		tell_exit(p);
}

static char *join(char *const *argv)
{
	char *line = xstrdup(argv[0]);

	for (argv++; *argv; argv++) {
		char *longer = xasprintf("%s %s", line, *argv);

		free(line);
		line = longer;
	}
	return line;
}

/* How long a command would stay: the usual ways to keep a container alive stay for ever. */
static uint64_t duration(const char *command, bool open_stdin)
{
	const char *sleep = strstr(command, "sleep ");
	unsigned long s;

	if (strstr(command, "tail -f /dev/null") || strstr(command, "tail -F /dev/null") ||
	    (sleep && strncmp(sleep + 6, "inf", 3) == 0))
		return 0;
	if (sleep && (s = strtoul(sleep + 6, NULL, 10)) > 0)
		return (uint64_t)(s < SLEEP_S_MAX ? s : SLEEP_S_MAX) * 1000;
	return open_stdin ? RUN_WITH_STDIN_MS : RUN_MS;
}

static struct synthetic_process *process_new(struct synthetic_driver *d, const struct container *c,
					     const struct run_spec *spec, struct process_sink sink)
{
	struct synthetic_process *p = xnew(struct synthetic_process);

	p->base.owner = &d->base;
	p->driver = d;
	p->sink = sink;
	p->tty = spec->tty;
	p->is_main = spec->is_main;
	p->command = join(spec->argv);
	p->started_ns = clock_wall_ns();
	memcpy(p->id, c->id, sizeof(p->id));
	list_append(&d->all, &p->link);
	uv_timer_init(d->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_timer, 0, 0);
	return p;
}

/* ---- lifecycle ---- */

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct synthetic_driver *d = driver_of(base);
	struct synthetic_process *p;

	if (!is_asked(d, c))
		return refuse(&plan->spec, err);
	p = process_new(d, c, &plan->spec, sink);
	p->run_ms = duration(p->command, plan->spec.open_stdin);
	map_put(&d->running, c->id, p);
	run_plan_free(plan);
	*ret = &p->base;
	return 0;
}

static bool is_deadly(int signo)
{
	return signo != SIGCHLD && signo != SIGCONT && signo != SIGURG && signo != SIGWINCH && signo != SIGSTOP &&
	       signo != SIGTSTP && signo != SIGTTIN && signo != SIGTTOU;
}

static int exec_signal(struct driver *d, struct driver_process *p, int signo, struct error *err)
{
	(void)d;
	if (of(p)->step == STEP_ENDED)
		return error_set(err, -ESRCH, "the process has ended");
	if (is_deadly(signo))
		end(of(p), 128 + signo);
	return 0;
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

static void on_answer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_answer(uv_timer_t *t)
{
	struct answer *a = t->data;

	a->done(a->arg, NULL);
	uv_close((uv_handle_t *)t, on_answer_closed);
}

static int set_paused(struct driver *d, struct driver_process *dp, bool is_paused, driver_done done, void *arg)
{
	struct synthetic_process *p = of(dp);
	struct answer *a = xnew(struct answer);

	p->is_paused = is_paused;
	if (!is_paused && p->is_due)
		uv_timer_start(&p->timer, on_timer, 0, 0);
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
	(void)c, (void)err;
	return set_paused(d, p, true, done, arg);
}

static int lifecycle_unpause(struct driver *d, struct container *c, struct driver_process *p, driver_done done,
			     void *arg, struct error *err)
{
	(void)c, (void)err;
	return set_paused(d, p, false, done, arg);
}

static int lifecycle_top(struct driver *d, struct container *c, struct driver_process *dp,
			 void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err),
			 void *arg, struct error *err)
{
	struct synthetic_process *p = of(dp);
	struct process_info row = { .pid = 1, .start_ns = (uint64_t)p->started_ns, .state = 'S' };

	(void)d, (void)c, (void)err;
	strncpy(row.command, p->command, sizeof(row.command) - 1);
	strncpy(row.comm, p->command, sizeof(row.comm) - 1);
	done(arg, &row, 1, NULL);
	return 0;
}

static int lifecycle_stats(struct driver *d, struct container *c, struct driver_process *p,
			   void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
			   struct error *err)
{
	struct process_figures none = { 0 };

	(void)d, (void)c, (void)p, (void)err;
	done(arg, &none, NULL);
	return 0;
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, driver_done done, void *arg, struct error *err)
{
	(void)d, (void)c, (void)p, (void)limits, (void)err;
	done(arg, NULL); /* nothing runs that could be limited */
	return 0;
}

static int lifecycle_cleanup(struct driver *d, struct container *c, struct error *err)
{
	(void)d, (void)c, (void)err;
	return 0;
}

/* ---- exec ---- */

static int exec_start(struct driver *base, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	struct synthetic_driver *d = driver_of(base);
	struct synthetic_process *owner = map_get(&d->running, c->id), *p;

	if (!is_asked(d, c))
		return refuse(spec, err);
	p = process_new(d, c, spec, sink);
	p->run_ms = 1;
	if (owner)
		owner->execs++;
	*ret = &p->base;
	return 0;
}

/* ---- streams: input goes nowhere ---- */

static int write_stdin(struct driver *d, struct driver_process *p, const void *data, size_t len)
{
	(void)d, (void)data, (void)len;
	return of(p)->step == STEP_ENDED ? -EPIPE : 0;
}

static int close_stdin(struct driver *d, struct driver_process *p)
{
	(void)d, (void)p;
	return 0;
}

static int resize(struct driver *d, struct driver_process *p, uint16_t rows, uint16_t cols)
{
	(void)d, (void)p, (void)rows, (void)cols;
	return 0;
}

static int flow(struct driver *d, struct driver_process *p, bool is_open)
{
	(void)d, (void)p, (void)is_open;
	return 0;
}

static int release(struct driver *d, struct driver_process *dp)
{
	struct synthetic_process *p = of(dp);

	(void)d;
	p->is_released = true;
	if (p->step != STEP_ENDED)
		tell_exit(p);
	list_remove(&p->link);
	uv_close((uv_handle_t *)&p->timer, on_closed);
	return 0;
}

/* ---- files ---- */

static int files_run(struct driver *d, struct file_job *job, struct error *err)
{
	(void)err;
	return local_files_run(driver_of(d)->loop, job);
}

static void synthetic_free(struct driver *base)
{
	struct synthetic_driver *d = driver_of(base);

	list_for_each_safe(it, &d->all) {
		struct synthetic_process *p = container_of(it, struct synthetic_process, link);

		list_remove(it);
		uv_close((uv_handle_t *)&p->timer, on_closed);
	}
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
static const struct driver_ops synthetic_ops = {
	.name = "synthetic",
	.exec = &exec,
	.lifecycle = &lifecycle,
	.stream = &stream,
	.filesystem = &filesystem,
	.free = synthetic_free,
};

struct driver *synthetic_driver_new(uv_loop_t *loop, bool pretend)
{
	struct synthetic_driver *d = xnew(struct synthetic_driver);

	d->base.ops = &synthetic_ops;
	d->loop = loop;
	d->pretend = pretend;
	map_init(&d->running);
	list_init(&d->all);
	return &d->base;
}
