/* A process factory that runs containers as processes of this host, without any
 * isolation, on a libuv loop of the program's own: for hosts and images that are
 * trusted, and to show every slot that matters at work.
 *
 *   host_processes SOCKET DATA_ROOT [SANDBOX_PROGRAM GUEST_ROOT]
 *
 * docker run --runtime wasm goes to the server's sandbox, and so does what has
 * the label sandbox; all else is ours, and finds the host's programs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <uv.h>

#include <sockerless/sockerless.h>

static struct sockerless_server *server;
static uv_loop_t loop;

/* ---- a process: a pidfd that tells its end, and pipes (or a terminal) on libuv ---- */

struct host_process {
	pid_t pid;
	int pidfd;
	uv_poll_t end;
	uv_pipe_t in, out, err; /* a terminal is `in` and `out` in one */
	unsigned handles;       /* that are still to be closed */
	int is_tty;
	int is_open[2];         /* stdout and stderr have not come to their end */
	size_t queued;          /* bytes of stdin */
	int has_in, is_reaped, is_told, is_closed, is_full, status;
	const struct sockerless_process_listener *listener;
	void *listener_arg;
	void (*exited)(void *arg, int code);
	void *exited_arg;
	char buffer[65536];
};

static void on_handle_closed(uv_handle_t *h)
{
	struct host_process *p = h->data;

	if (--p->handles == 0)
		free(p);
}

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, on_handle_closed);
}

/* The end is told when the process has ended and all that it wrote has been given on. */
static void tell_end(struct host_process *p)
{
	if (!p->is_reaped || p->is_open[0] || p->is_open[1] || p->is_told || p->is_closed)
		return;
	p->is_told = 1;
	p->exited(p->exited_arg, WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status));
}

static void on_end(uv_poll_t *poll, int status, int events)
{
	struct host_process *p = poll->data;

	(void)status, (void)events;
	if (waitpid(p->pid, &p->status, WNOHANG) != p->pid)
		return;
	p->is_reaped = 1;
	uv_poll_stop(poll);
	kill(-p->pid, SIGKILL); /* as a container's first process takes the others with it */
	tell_end(p);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	struct host_process *p = h->data;

	(void)size;
	*buf = uv_buf_init(p->buffer, sizeof(p->buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct host_process *p = s->data;

	if (n > 0) {
		p->listener->output(p->listener_arg, s == (uv_stream_t *)&p->err ? 2 : 1, buf->base, (size_t)n);
	} else if (n < 0) { /* of a terminal EIO is the end */
		uv_read_stop(s);
		p->is_open[s == (uv_stream_t *)&p->err] = 0;
		tell_end(p);
	}
}

/* ---- making one ---- */

struct ends {
	int in, out, err; /* ours */
	int child[3];
};

static int open_pipes(const struct sockerless_process_spec *spec, struct ends *e)
{
	int in[2], out[2], err[2];

	if (spec->is_tty) {
		int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1;
		struct winsize size = { .ws_row = spec->rows, .ws_col = spec->columns };

		if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
		    (slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
			return -errno;
		ioctl(master, TIOCSWINSZ, &size);
		*e = (struct ends){ -1, master, -1, { slave, slave, slave } };
		return 0;
	}
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		return -errno; /* out of descriptors: an example gives up here */
	*e = (struct ends){ in[1], out[0], err[0], { in[0], out[1], err[1] } };
	return 0;
}

/* In the child. Whatever fails is told through the pipe as an errno. */
static void become(const struct sockerless_process_spec *spec, const struct ends *e, int report)
{
	sigset_t none;
	int code;

	setsid();
	for (int i = 0; i < 3; i++)
		dup2(e->child[i], i);
	if (spec->is_tty)
		ioctl(0, TIOCSCTTY, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (!spec->cwd || chdir(spec->cwd) < 0)
		(void)!chdir("/");
	environ = (char **)spec->env;
	execvp(spec->argv[0], (char *const *)spec->argv);
	code = errno;
	(void)!write(report, &code, sizeof(code));
	_exit(127);
}

static int spawn(const struct sockerless_process_spec *spec, const struct ends *e, pid_t *ret_pid)
{
	int report[2], code = 0;
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become(spec, e, report[1]);
	close(report[1]);
	if (pid > 0 && read(report[0], &code, sizeof(code)) == sizeof(code)) /* else the exec has closed it */
		waitpid(pid, NULL, 0);
	close(report[0]);
	*ret_pid = pid;
	return pid < 0 ? -EAGAIN : -code;
}

static void open_pipe(struct host_process *p, uv_pipe_t *pipe, int fd)
{
	uv_pipe_init(&loop, pipe, 0);
	pipe->data = p;
	p->handles++;
	if (fd >= 0)
		uv_pipe_open(pipe, fd);
}

static const struct sockerless_container_process_ops process_ops;

static int make(const struct sockerless_process_spec *spec, const struct sockerless_container_process_ops **ret_ops,
		void **ret_process)
{
	struct host_process *p;
	struct ends e = { -1, -1, -1, { -1, -1, -1 } };
	pid_t pid = -1;
	int r = open_pipes(spec, &e);

	if (r < 0)
		return r;
	r = spawn(spec, &e, &pid);
	close(e.child[0]);
	if (!spec->is_tty) {
		close(e.child[1]);
		close(e.child[2]);
	}
	p = r == 0 ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		close(e.out);
		if (!spec->is_tty) {
			close(e.in);
			close(e.err);
		}
		return r < 0 ? r : -ENOMEM; /* -ENOENT and -EACCES become Docker's 127 and 126 */
	}
	p->pid = pid;
	p->is_tty = spec->is_tty;
	p->is_open[0] = 1;
	p->is_open[1] = !spec->is_tty;
	p->has_in = 1;
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	uv_poll_init(&loop, &p->end, p->pidfd);
	p->end.data = p;
	p->handles++;
	open_pipe(p, &p->in, e.in);
	open_pipe(p, &p->out, e.out);
	open_pipe(p, &p->err, e.err);
	*ret_ops = &process_ops;
	*ret_process = p;
	return 0;
}

/* ---- the slots ---- */

static int process_subscribe(void *process, const struct sockerless_process_listener *listener, void *arg)
{
	struct host_process *p = process;

	p->listener = listener;
	p->listener_arg = arg;
	uv_read_start((uv_stream_t *)&p->out, on_alloc, on_read);
	if (!p->is_tty)
		uv_read_start((uv_stream_t *)&p->err, on_alloc, on_read);
	return 0;
}

static int process_wait(void *process, void (*exited)(void *arg, int code), void *arg)
{
	struct host_process *p = process;

	p->exited = exited;
	p->exited_arg = arg;
	uv_poll_start(&p->end, UV_READABLE, on_end);
	return 0;
}

static int process_signal(void *process, int signo)
{
	struct host_process *p = process;

	return p->is_reaped ? -ESRCH : kill(p->pid, signo) < 0 ? -errno : 0;
}

struct writing {
	uv_write_t req;
	struct host_process *process;
	size_t len;
	char data[];
};

enum { QUEUE_MAX = 1 << 20 };

static void on_written(uv_write_t *req, int status)
{
	struct writing *w = (struct writing *)req;
	struct host_process *p = w->process;

	(void)status;
	p->queued -= w->len;
	if (p->is_full && p->queued < QUEUE_MAX / 2 && !p->is_closed) {
		p->is_full = 0;
		p->listener->stdin_drained(p->listener_arg);
	}
	free(w);
}

static int process_write_stdin(void *process, const void *data, size_t len)
{
	struct host_process *p = process;
	uv_pipe_t *pipe = p->is_tty ? &p->out : &p->in;
	struct writing *w;
	uv_buf_t buf;

	if (!p->has_in)
		return -EPIPE;
	w = malloc(sizeof(*w) + len);
	if (!w)
		return -ENOMEM;
	w->process = p;
	w->len = len;
	memcpy(w->data, data, len);
	buf = uv_buf_init(w->data, (unsigned)len);
	p->queued += len;
	if (uv_write(&w->req, (uv_stream_t *)pipe, &buf, 1, on_written) < 0) {
		p->queued -= len;
		free(w);
		return -EPIPE;
	}
	p->is_full = p->queued >= QUEUE_MAX;
	return p->is_full;
}

static void on_shut(uv_shutdown_t *req, int status)
{
	struct host_process *p = req->data;

	(void)status;
	close_handle((uv_handle_t *)&p->in);
	free(req);
}

/* When all is written. A terminal stays open: its end of input is a character. */
static void process_close_stdin(void *process)
{
	struct host_process *p = process;
	uv_shutdown_t *req = p->is_tty || !p->has_in ? NULL : malloc(sizeof(*req));

	if (!req)
		return;
	p->has_in = 0;
	req->data = p;
	if (uv_shutdown(req, (uv_stream_t *)&p->in, on_shut) < 0) {
		free(req);
		close_handle((uv_handle_t *)&p->in);
	}
}

static int process_run_exec(void *process, const struct sockerless_process_spec *spec,
			    const struct sockerless_container_process_ops **ret_ops, void **ret_process,
			    struct sockerless_error *err)
{
	(void)process, (void)err; /* it joins nothing: there is no container around the process */
	return make(spec, ret_ops, ret_process);
}

static int process_resize(void *process, uint16_t rows, uint16_t columns)
{
	struct host_process *p = process;
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	int fd;

	if (!p->is_tty || uv_fileno((uv_handle_t *)&p->out, &fd) < 0)
		return -ENOTTY;
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

/* A client reads slowly: the process is made to wait. */
static int process_flow(void *process, int is_open)
{
	struct host_process *p = process;
	uv_pipe_t *outs[] = { &p->out, &p->err };

	for (int i = 0; i < 2; i++) {
		if (p->is_open[i] && is_open)
			uv_read_start((uv_stream_t *)outs[i], on_alloc, on_read);
		else if (p->is_open[i])
			uv_read_stop((uv_stream_t *)outs[i]);
	}
	return 0;
}

static int process_pause(void *process)
{
	return kill(-((struct host_process *)process)->pid, SIGSTOP) < 0 ? -errno : 0;
}

static int process_unpause(void *process)
{
	return kill(-((struct host_process *)process)->pid, SIGCONT) < 0 ? -errno : 0;
}

static int process_host_pid(void *process)
{
	return ((struct host_process *)process)->pid;
}

/* Nothing is told from here on; what still runs is ended. */
static void process_close(void *process)
{
	struct host_process *p = process;

	p->is_closed = 1;
	if (!p->is_reaped) {
		kill(-p->pid, SIGKILL);
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0); /* it cannot take long */
	}
	close(p->pidfd);
	close_handle((uv_handle_t *)&p->end);
	close_handle((uv_handle_t *)&p->in);
	close_handle((uv_handle_t *)&p->out);
	close_handle((uv_handle_t *)&p->err);
}

static const struct sockerless_container_process_ops process_ops = {
	.size = sizeof(process_ops),
	.wait = process_wait,
	.signal = process_signal,
	.subscribe = process_subscribe,
	.write_stdin = process_write_stdin,
	.close_stdin = process_close_stdin,
	.run_exec = process_run_exec,
	.close = process_close,
	.resize = process_resize,
	.pause = process_pause,
	.unpause = process_unpause,
	.flow = process_flow,
	.host_pid = process_host_pid,
};

/* ---- the factory ---- */

static int new_process(void *ctx, const struct sockerless_process_spec *spec,
		       const struct sockerless_container_process_ops **ret_ops, void **ret_process,
		       struct sockerless_error *err)
{
	const struct sockerless_container *c = sockerless_container_find(server, spec->container_id, err);

	(void)ctx;
	if (!c)
		return err->code;
	if (sockerless_container_label(c, "sandbox"))
		return SOCKERLESS_DECLINED; /* nothing was touched: the next driver is asked */
	return make(spec, ret_ops, ret_process);
}

static const struct sockerless_process_factory_ops factory = {
	.size = sizeof(factory),
	.name = "host",
	.new_process = new_process,
};

/* ---- the program ---- */

static void on_log(void *arg, enum sockerless_log_level level, const char *text)
{
	(void)arg;
	fprintf(stderr, "host_processes: %s%s\n", level >= SOCKERLESS_LOG_WARN ? "! " : "", text);
}

static void on_term(uv_signal_t *h, int signo)
{
	(void)signo;
	uv_close((uv_handle_t *)h, NULL);
	sockerless_server_stop(server);
}

static void on_stopped(void *arg)
{
	(void)arg;
	puts("stopped");
}

static int set_up(char **argv, int argc, struct sockerless_error *err)
{
	struct sockerless_options *o = sockerless_options_new();
	char url[4096];
	int r;

	snprintf(url, sizeof(url), "unix://%s", argv[1]);
	r = sockerless_options_set(o, "host", url, err);
	if (r == 0)
		r = sockerless_options_set(o, "data-root", argv[2], err);
	if (r == 0 && argc > 4)
		r = sockerless_options_set(o, "sandbox", argv[3], err);
	if (r == 0 && argc > 4)
		r = sockerless_options_set(o, "guest", argv[4], err);
	if (r == 0)
		r = sockerless_server_new(o, &server, err);
	sockerless_options_free(o);
	if (r == 0)
		r = sockerless_server_set_process_factory(server, &factory, NULL, err);
	if (r == 0)
		r = sockerless_server_start(server, err);
	if (r == 0)
		r = sockerless_server_attach(server, &loop, on_stopped, NULL, err);
	return r;
}

int main(int argc, char **argv)
{
	struct sockerless_error err = { .size = sizeof(err) };
	uv_signal_t term;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	sockerless_log_to(SOCKERLESS_LOG_INFO, on_log, NULL);
	uv_loop_init(&loop);
	if (set_up(argv, argc, &err) != 0) {
		fprintf(stderr, "host_processes: %s\n", err.message);
		sockerless_server_free(server);
		return 1;
	}
	uv_signal_init(&loop, &term);
	uv_signal_start(&term, on_term, SIGTERM);
	puts("ready");
	uv_run(&loop, UV_RUN_DEFAULT); /* until the server has stopped and every process is gone */
	sockerless_server_free(server);
	return uv_loop_close(&loop) != 0;
}
