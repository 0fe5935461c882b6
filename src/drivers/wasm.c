#include "drivers/wasm.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/local_files.h"
#include "network/switch.h"
#include "sandbox/client.h"
#include "util/alloc.h"
#include "util/list.h"
#include "util/terminal.h"

#define STDIN_HIGH (1u << 20)

struct wasm_driver {
	struct driver base;
	uv_loop_t *loop;
	struct sandbox *sandbox;
	struct map running; /* container id → its main process */
	struct list all;    /* every process that is not freed */
	char buffer[65536]; /* what is read is passed on at once: one for all */
};

/* Output ends when every pipe has; only then the exit is told. */
struct wasm_process {
	struct driver_process base;
	struct list link;
	struct wasm_driver *driver;
	struct sandbox_container *sandbox; /* the main process owns it */
	struct netns *netns;               /* a reference; NULL: none, or not the main process */
	char id[ID_LEN + 1];
	uint64_t tag;
	bool is_main, tty, has_exited, has_gone, is_told, is_released, is_stdin_open, was_full, failed;
	struct process_exit exit;
	struct process_sink sink;
	uv_pipe_t in, out[2];    /* a terminal: out[0] is the master, both ways */
	bool is_open[3];         /* in, out[0], out[1] */
	unsigned handles, writes;
};

static struct wasm_process *of(struct driver_process *p)
{
	return (struct wasm_process *)p;
}

/* ---- the end of a process ---- */

static void leave_network(struct wasm_process *p)
{
	if (p->netns)
		netns_remove_waker(p->netns, p);
	netns_unref(p->netns);
	p->netns = NULL;
}

/* After its end a container still answers what was asked of it (execs, a pause): until its supervisor has gone. */
static void maybe_free(struct wasm_process *p)
{
	if (!p->is_released || !p->is_told)
		return;
	if (p->is_main) {
		if (map_get(&p->driver->running, p->id) == p)
			map_remove(&p->driver->running, p->id);
		leave_network(p);
	}
	if (p->handles > 0 || (p->is_main && p->has_exited && !p->has_gone))
		return;
	if (p->is_main)
		sandbox_container_free(p->sandbox);
	list_remove(&p->link);
	free(p);
}

static void on_gone(void *ctx)
{
	struct wasm_process *p = ctx;

	p->has_gone = true;
	maybe_free(p);
}

static const struct sandbox_container_events container_events = { on_gone };

static void on_pipe_closed(uv_handle_t *h)
{
	struct wasm_process *p = h->data;

	p->handles--;
	maybe_free(p);
}

static void close_pipe(struct wasm_process *p, int i)
{
	uv_pipe_t *pipe = i == 0 ? &p->in : &p->out[i - 1];

	if (!p->is_open[i])
		return;
	p->is_open[i] = false;
	uv_close((uv_handle_t *)pipe, on_pipe_closed);
}

static void tell_exit(struct wasm_process *p)
{
	if (p->is_told || !p->has_exited || p->is_open[1] || p->is_open[2])
		return;
	p->is_told = true;
	close_pipe(p, 0);
	p->handles++; /* the sink may release us: not before it has read the exit */
	if (!p->is_released)
		p->sink.ops->exited(p->sink.arg, &p->exit);
	p->handles--;
	maybe_free(p);
}

static void on_started(void *ctx, const struct sandbox_started *st)
{
	struct wasm_process *p = ctx;
	struct error err = { 0 };

	if (st->error == 0) {
		if (!p->is_released)
			p->sink.ops->started(p->sink.arg, st->host_pid);
		return;
	}
	for (int i = 0; i < 3; i++)
		close_pipe(p, i);
	p->is_told = p->failed = true;
	error_set_class(&err, ERROR_INVALID, "%s", st->message);
	err.code = st->error; /* ECONNRESET: the container has ended meanwhile */
	p->handles++;
	if (!p->is_released)
		p->sink.ops->failed(p->sink.arg, st->error == -ENOENT ? 127 : 126, &err);
	p->handles--;
	maybe_free(p);
}

static int terminal_of(const struct wasm_process *p)
{
	int master = -1;

	uv_fileno((const uv_handle_t *)&p->out[0], &master);
	return master;
}

static void on_exited(void *ctx, int status, uint32_t flags)
{
	struct wasm_process *p = ctx;

	p->exit.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	p->exit.is_oom = flags & WIRE_EXIT_OOM;
	p->exit.is_with_main = flags & WIRE_EXIT_WITH_MAIN;
	p->has_exited = true;
	/* An exec's orphan may hold its pipes open for ever: Docker waits for them, and so do we,
	 * but a terminal's master ends by itself only when the last slave does. */
	if (p->tty && p->is_open[1] && !terminal_has_more(terminal_of(p)))
		close_pipe(p, 1);
	tell_exit(p);
}

static void on_oom(void *ctx)
{
	struct wasm_process *p = ctx;

	if (!p->is_released && p->sink.ops->oom)
		p->sink.ops->oom(p->sink.arg);
}

static const struct sandbox_process_events process_events = { on_started, on_exited, on_oom };

/* ---- streams ---- */

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct wasm_process *p = h->data;

	(void)size;
	*buf = uv_buf_init(p->driver->buffer, sizeof(p->driver->buffer));
}

static void take_rest(void *arg, const char *data, size_t len)
{
	struct wasm_process *p = arg;

	if (!p->is_released)
		p->sink.ops->output(p->sink.arg, 1, data, len);
}

static void on_output(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct wasm_process *p = s->data;
	int i = s == (uv_stream_t *)&p->out[0] ? 1 : 2;

	if (n > 0 && !p->is_released)
		p->sink.ops->output(p->sink.arg, i, buf->base, (size_t)n);
	if (n > 0 && p->tty && p->has_exited && !terminal_has_more(terminal_of(p))) /* that was the rest of a terminal's output */
		n = UV_EOF;
	if (n == UV_EOF && p->tty)
		terminal_read_rest(terminal_of(p), take_rest, p);
	if (n < 0) { /* a terminal ends with EIO */
		close_pipe(p, i);
		tell_exit(p);
	}
}

struct stdin_write {
	uv_write_t req;
	struct wasm_process *process;
	char data[];
};

static uv_stream_t *stdin_of(struct wasm_process *p)
{
	return (uv_stream_t *)(p->tty ? &p->out[0] : &p->in);
}

static void finish_stdin(struct wasm_process *p)
{
	if (!p->is_stdin_open && p->writes == 0 && !p->tty)
		close_pipe(p, 0);
}

static void on_stdin_written(uv_write_t *req, int status)
{
	struct stdin_write *op = container_of(req, struct stdin_write, req);
	struct wasm_process *p = op->process;

	free(op);
	p->writes--;
	if (status < 0)
		p->is_stdin_open = false;
	if (p->was_full && p->writes == 0) {
		p->was_full = false;
		if (!p->is_released && p->sink.ops->stdin_drained)
			p->sink.ops->stdin_drained(p->sink.arg);
	}
	finish_stdin(p);
}

static int write_stdin(struct driver *d, struct driver_process *dp, const void *data, size_t len)
{
	struct wasm_process *p = of(dp);
	struct stdin_write *op;
	uv_buf_t buf;

	(void)d;
	if (!p->is_stdin_open || !p->is_open[p->tty ? 1 : 0])
		return -EPIPE;
	op = xmalloc(sizeof(*op) + len);
	op->process = p;
	memcpy(op->data, data, len);
	buf = uv_buf_init(op->data, (unsigned)len);
	if (uv_write(&op->req, stdin_of(p), &buf, 1, on_stdin_written) < 0) {
		free(op);
		return -EPIPE;
	}
	p->writes++;
	if (uv_stream_get_write_queue_size(stdin_of(p)) > STDIN_HIGH)
		p->was_full = true;
	return p->was_full ? 1 : 0;
}

static int close_stdin(struct driver *d, struct driver_process *dp)
{
	struct wasm_process *p = of(dp);

	(void)d;
	p->is_stdin_open = false;
	finish_stdin(p);
	return 0;
}

static int resize(struct driver *d, struct driver_process *dp, uint16_t rows, uint16_t cols)
{
	struct wasm_process *p = of(dp);
	struct winsize ws = { .ws_row = rows, .ws_col = cols };

	(void)d;
	if (!p->tty || !p->is_open[1])
		return -EINVAL;
	return ioctl(terminal_of(p), TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

static int flow(struct driver *d, struct driver_process *dp, bool is_open)
{
	struct wasm_process *p = of(dp);

	(void)d;
	for (int i = 1; i <= 2; i++) {
		if (p->is_open[i] && is_open)
			uv_read_start((uv_stream_t *)&p->out[i - 1], on_alloc, on_output);
		else if (p->is_open[i])
			uv_read_stop((uv_stream_t *)&p->out[i - 1]);
	}
	return 0;
}

static int release(struct driver *d, struct driver_process *dp)
{
	struct wasm_process *p = of(dp);

	(void)d;
	p->is_released = true;
	maybe_free(p);
	return 0;
}

/* Our end and the guest's of each standard stream. */
static int open_streams(struct wasm_process *p, const struct run_spec *spec, int theirs[3])
{
	int ours[3] = { -1, -1, -1 }, pair[2];
	struct winsize ws = { .ws_row = spec->rows, .ws_col = spec->cols };

	p->tty = spec->tty;
	if (p->tty) {
		if (openpty(&ours[1], &theirs[0], NULL, NULL, spec->rows ? &ws : NULL) < 0)
			return -errno;
	} else {
		for (int i = 0; i < 3; i++) {
			if (i == 2 && spec->is_merged) {
				theirs[2] = fcntl(theirs[1], F_DUPFD_CLOEXEC, 0);
				continue;
			}
			if (i == 0 && !spec->open_stdin) { /* as containerd's shim gives it */
				theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
				continue;
			}
			if (pipe2(pair, O_CLOEXEC) < 0)
				return -errno;
			ours[i] = pair[i == 0 ? 1 : 0];
			theirs[i] = pair[i == 0 ? 0 : 1];
		}
	}
	for (int i = 0; i < 3; i++) {
		uv_pipe_t *pipe = i == 0 ? &p->in : &p->out[i - 1];

		if (ours[i] < 0)
			continue;
		if (p->tty)
			fcntl(ours[i], F_SETFD, FD_CLOEXEC);
		uv_pipe_init(p->driver->loop, pipe, 0);
		pipe->data = p;
		uv_pipe_open(pipe, ours[i]);
		p->is_open[i] = true;
		p->handles++;
	}
	p->is_stdin_open = true;
	if (!spec->open_stdin && !p->tty)
		close_stdin(NULL, &p->base);
	return 0;
}

static struct wasm_process *process_new(struct wasm_driver *d, struct container *c, struct process_sink sink)
{
	struct wasm_process *p = xnew(struct wasm_process);

	p->base.owner = &d->base;
	p->driver = d;
	p->sink = sink;
	list_append(&d->all, &p->link);
	memcpy(p->id, c->id, sizeof(p->id));
	return p;
}

static int spawn(struct wasm_process *p, const struct run_spec *spec, struct error *err)
{
	struct wire_rlimit rlimits[16];
	struct wire_spawn w = {
		.is_main = p->is_main,
		.tty = spec->tty,
		.argv = (const char *const *)spec->argv,
		.env = (const char *const *)spec->env,
		.cwd = spec->cwd,
		.uid = spec->uid,
		.gid = spec->gid,
		.groups = spec->groups,
		.ngroups = spec->ngroups,
		.rlimits = rlimits,
		.nrlimits = spec->nrlimits < 16 ? spec->nrlimits : 16,
		.rows = spec->rows,
		.cols = spec->cols,
	};
	int theirs[3] = { -1, -1, -1 }, r;

	if (spec->program_error == 0)
		w.program = program_told(&spec->program);
	for (size_t i = 0; i < w.nrlimits; i++)
		rlimits[i] = (struct wire_rlimit){ spec->rlimits[i].resource, spec->rlimits[i].soft, spec->rlimits[i].hard };
	r = open_streams(p, spec, theirs);
	if (r == 0)
		r = sandbox_container_spawn(p->sandbox, &w, theirs, w.tty ? 1 : 3, &process_events, p, &p->tag, err);
	else
		error_set(err, r, "cannot make the standard streams: %s", strerror(-r));
	for (int i = 0; i < 3; i++)
		if (theirs[i] >= 0)
			close(theirs[i]);
	if (r < 0) {
		for (int i = 0; i < 3; i++)
			close_pipe(p, i);
		p->is_told = p->is_released = true;
		maybe_free(p);
		return r;
	}
	flow(NULL, &p->base, true);
	return 0;
}

/* ---- lifecycle ---- */

static void on_ready(void *ctx, const struct sandbox_ready *ready)
{
	(void)ctx, (void)ready; /* a failed setup fails the spawn behind it */
}

static void wake(void *arg)
{
	sandbox_container_wake(((struct wasm_process *)arg)->sandbox);
}

/* The net socket's fd for the message, to be closed after it, and those of the pages. */
static int enter_network(struct wasm_process *p, struct netns *ns, int fds[3], struct error *err)
{
	fds[0] = netns_open_socket(ns, err);
	if (fds[0] < 0)
		return fds[0];
	fds[1] = netns_page_fd(ns);
	fds[2] = netns_counters_fd(ns);
	p->netns = netns_ref(ns);
	netns_add_waker(ns, wake, p);
	return 0;
}

static int set_up(struct wasm_process *p, const struct run_plan *plan, struct error *err)
{
	struct wire_mount mounts[WIRE_MAX_FDS];
	struct wire_setup setup = { .id = p->id,
				    .hostname = plan->hostname,
				    .domainname = plan->domainname,
				    .mounts = mounts,
				    .nmounts = plan->nmounts,
				    .init = plan->init,
				    .is_readonly_root = plan->is_readonly_root,
				    .has_network = plan->netns != NULL,
				    .limits = plan->limits };
	int fds[WIRE_MAX_FDS] = { -1 }, net_fd = -1, r;
	size_t n = 0;

	if (plan->nmounts > WIRE_MAX_FDS / 2)
		return error_set_class(err, ERROR_INVALID, "too many mounts for the sandbox");
	if (plan->netns) {
		r = enter_network(p, plan->netns, fds, err);
		if (r < 0)
			return r;
		net_fd = fds[0];
		n = 3;
	}
	for (size_t i = 0; i < plan->nmounts; i++) {
		const struct run_mount *m = &plan->mounts[i];

		mounts[i] = (struct wire_mount){
			.kind = m->kind,
			.target = m->target,
			.which = m->which,
			.fd_name = m->fd_name,
			.source = m->source,
			.has_lower = m->lower_fd >= 0,
			.has_upper = m->upper_fd >= 0,
			.has_fd = m->fd >= 0,
			.is_readonly = m->is_readonly,
			.is_bind = m->is_bind,
			.size_limit_bytes = m->size_limit_bytes,
		};
		if (m->lower_fd >= 0)
			fds[n++] = m->lower_fd;
		if (m->upper_fd >= 0)
			fds[n++] = m->upper_fd;
		if (m->fd >= 0)
			fds[n++] = m->fd;
	}
	r = sandbox_container_setup(p->sandbox, &setup, fds, n, on_ready, p, err);
	if (net_fd >= 0)
		close(net_fd);
	return r;
}

/* What the sandbox cannot run is for the next driver. */
static bool is_foreign(const struct run_spec *spec)
{
	return (spec->program_error == 0 || spec->program_error == -EACCES) && spec->program.kind != PROGRAM_MODULE;
}

static int lifecycle_start(struct driver *base, struct container *c, struct run_plan *plan, struct process_sink sink,
			   struct driver_process **ret, struct error *err)
{
	struct wasm_driver *d = (struct wasm_driver *)base;
	struct wasm_process *p;
	int r;

	if (is_foreign(&plan->spec))
		return DRIVER_DECLINED;
	p = process_new(d, c, sink);
	p->is_main = true;
	r = sandbox_container_new(d->sandbox, c->id, &container_events, p, &p->sandbox, err);
	if (r < 0) {
		list_remove(&p->link);
		free(p);
		return r;
	}
	r = set_up(p, plan, err);
	if (r < 0) {
		p->is_told = p->is_released = true;
		maybe_free(p);
		return r;
	}
	r = spawn(p, &plan->spec, err);
	if (r < 0)
		return r;
	map_put(&d->running, c->id, p);
	run_plan_free(plan);
	*ret = &p->base;
	return 0;
}

static int exec_start(struct driver *base, struct container *c, const struct run_spec *spec, struct process_sink sink,
		      struct driver_process **ret, struct error *err)
{
	struct wasm_driver *d = (struct wasm_driver *)base;
	struct wasm_process *owner = map_get(&d->running, c->id), *p;
	int r;

	if (!owner || is_foreign(spec))
		return DRIVER_DECLINED;
	p = process_new(d, c, sink);
	p->sandbox = owner->sandbox;
	r = spawn(p, spec, err);
	if (r == 0)
		*ret = &p->base;
	return r;
}

static int exec_signal(struct driver *d, struct driver_process *dp, int signo, struct error *err)
{
	struct wasm_process *p = of(dp);

	(void)d;
	if (p->has_exited || sandbox_container_signal(p->sandbox, p->tag, signo, 0, NULL, NULL) < 0)
		return error_set(err, -ESRCH, "the process has ended");
	return 0;
}

static int lifecycle_signal(struct driver *d, struct container *c, struct driver_process *dp, int signo, struct error *err)
{
	(void)c;
	return exec_signal(d, dp, signo, err);
}

struct waiting {
	driver_done done;
	void *arg;
};

static void on_done(void *ctx, int error)
{
	struct waiting w = *(struct waiting *)ctx;
	struct error err = { 0 };

	free(ctx);
	if (error)
		error_set(&err, error, "%s", strerror(-error));
	w.done(w.arg, error ? &err : NULL);
}

static int freeze(struct driver_process *dp, bool is_pause, driver_done done, void *arg, struct error *err)
{
	struct waiting *w = xnew(struct waiting);
	int r;

	*w = (struct waiting){ done, arg };
	r = is_pause ? sandbox_container_pause(of(dp)->sandbox, on_done, w) :
		       sandbox_container_unpause(of(dp)->sandbox, on_done, w);
	if (r < 0) {
		free(w);
		return error_set(err, r, "the container has ended");
	}
	return 0;
}

static int lifecycle_pause(struct driver *d, struct container *c, struct driver_process *p, driver_done done, void *arg,
			   struct error *err)
{
	(void)d, (void)c;
	return freeze(p, true, done, arg, err);
}

static int lifecycle_unpause(struct driver *d, struct container *c, struct driver_process *p, driver_done done,
			     void *arg, struct error *err)
{
	(void)d, (void)c;
	return freeze(p, false, done, arg, err);
}

struct top_wait {
	void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err);
	void *arg;
};

static void on_top(void *ctx, int error, const struct wire_process *in, size_t n)
{
	struct top_wait w = *(struct top_wait *)ctx;
	struct process_info *rows = xcalloc(n ? n : 1, sizeof(*rows));
	struct error err = { 0 };

	free(ctx);
	for (size_t i = 0; i < n; i++) {
		rows[i] = (struct process_info){ .pid = in[i].vpid,
						 .ppid = in[i].ppid,
						 .uid = in[i].uid,
						 .tty = in[i].tty,
						 .host_pid = in[i].host_pid,
						 .start_ns = in[i].start_ns,
						 .cpu_ns = in[i].cpu_ns,
						 .rss_bytes = in[i].rss_bytes,
						 .vsz_bytes = in[i].vsz_bytes,
						 .state = (char)in[i].state };
		memcpy(rows[i].comm, in[i].comm, sizeof(rows[i].comm));
		memcpy(rows[i].command, in[i].cmdline, sizeof(rows[i].command));
	}
	if (error)
		error_set(&err, error, "%s", strerror(-error));
	w.done(w.arg, rows, n, error ? &err : NULL);
	free(rows);
}

static int lifecycle_top(struct driver *d, struct container *c, struct driver_process *p,
			 void (*done)(void *arg, const struct process_info *rows, size_t n, const struct error *err),
			 void *arg, struct error *err)
{
	struct top_wait *w = xnew(struct top_wait);

	(void)d, (void)c;
	*w = (struct top_wait){ done, arg };
	if (sandbox_container_top(of(p)->sandbox, on_top, w) == 0)
		return 0;
	free(w);
	return error_set(err, -ESRCH, "the container has ended");
}

/* The running container counts what was put into its mounts. */
static void on_put(struct file_job *job)
{
	struct wasm_process *p = map_get(&((struct wasm_driver *)job->driver)->running, job->container->id);

	if (p)
		sandbox_container_recount(p->sandbox);
	job->done = job->then;
	job->done(job);
}

static int files_run(struct driver *d, struct file_job *job, struct error *err)
{
	(void)err;
	if (job->op == FILE_PUT) {
		job->driver = d;
		job->then = job->done;
		job->done = on_put;
	}
	return local_files_run(((struct wasm_driver *)d)->loop, job);
}

/* ---- figures and limits ---- */

struct stats_wait {
	void (*done)(void *arg, const struct process_figures *f, const struct error *err);
	void *arg;
};

static void on_stats(void *ctx, int error, const struct sandbox_figures *in)
{
	struct stats_wait w = *(struct stats_wait *)ctx;
	struct process_figures f = { 0 };
	struct error err = { 0 };

	free(ctx);
	if (in)
		f = (struct process_figures){ .user_ns = in->cpu_user_ns,
					      .system_ns = in->cpu_system_ns,
					      .memory_bytes = in->memory_bytes,
					      .memory_peak_bytes = in->peak_bytes,
					      .pids = in->pids,
					      .memory_limit_bytes = in->memory_limit_bytes,
					      .limits = in->limits };
	if (error)
		error_set(&err, error, "%s", strerror(-error));
	w.done(w.arg, &f, error ? &err : NULL);
}

static int lifecycle_stats(struct driver *d, struct container *c, struct driver_process *p,
			   void (*done)(void *arg, const struct process_figures *f, const struct error *err), void *arg,
			   struct error *err)
{
	struct stats_wait *w = xnew(struct stats_wait);

	(void)d, (void)c;
	*w = (struct stats_wait){ done, arg };
	if (sandbox_container_stats(of(p)->sandbox, on_stats, w) == 0)
		return 0;
	free(w);
	return error_set(err, -ESRCH, "the container has ended");
}

static int lifecycle_update(struct driver *d, struct container *c, struct driver_process *p,
			    const struct limits *limits, driver_done done, void *arg, struct error *err)
{
	(void)d, (void)c;
	if (sandbox_container_limit(of(p)->sandbox, limits, NULL, NULL) != 0)
		return error_set(err, -ESRCH, "the container has ended");
	return done(arg, NULL), 0;
}

/* ---- the driver ---- */

static void wasm_free(struct driver *base)
{
	struct wasm_driver *d = (struct wasm_driver *)base;

	/* Nobody is told any more; the handles end in the loop's last turns. */
	list_for_each_safe(it, &d->all) {
		struct wasm_process *p = container_of(it, struct wasm_process, link);

		if (p->is_main) {
			leave_network(p);
			sandbox_container_free(p->sandbox);
		}
		p->is_main = false;
		p->is_released = p->is_told = true;
		list_remove(&p->link);
		for (int i = 0; i < 3; i++)
			close_pipe(p, i);
		maybe_free(p);
	}
	sandbox_stop(d->sandbox, NULL, NULL);
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
};
static const struct stream_slot_ops stream = {
	.write_stdin = write_stdin,
	.close_stdin = close_stdin,
	.resize = resize,
	.flow = flow,
	.release = release,
};
static const struct filesystem_ops filesystem = { .run = files_run };
static const struct driver_ops wasm_ops = {
	.name = "wasm",
	.exec = &exec,
	.lifecycle = &lifecycle,
	.stream = &stream,
	.filesystem = &filesystem,
	.free = wasm_free,
};

int wasm_driver_new(uv_loop_t *loop, const char *sandbox_path, struct driver **ret, struct error *err)
{
	struct wasm_driver *d = xnew(struct wasm_driver);
	struct sandbox_options options = { .program = sandbox_path };
	int r;

	d->base.ops = &wasm_ops;
	d->loop = loop;
	map_init(&d->running);
	list_init(&d->all);
	r = sandbox_start(loop, &options, &d->sandbox, err);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret = &d->base;
	return 0;
}
