/* A child: fork, its standard streams or terminal, its exit. Its end is told when it has been reaped and all that it,
 * or who inherited its streams, wrote has been read. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/terminal.h"

enum { FAIL_CWD = 1, FAIL_USER, FAIL_EXEC };

struct child {
	struct list link;
	const struct child_events *events;
	void *arg;
	pid_t pid;
	uv_pipe_t in, out[2];   /* a terminal: out[0] is its master, both ways */
	bool is_open[3];        /* in, out[0], out[1] */
	bool tty, has_exited, is_told, is_freed, is_stdin_ending;
	unsigned handles, writes;
	int code;
};

static struct list children = { &children, &children };
static char read_buffer[64 << 10];
static uint64_t reaped_user_ns, reaped_system_ns;

/* ---- in the child ---- */

struct failure {
	int step, error;
};

static void fail(int fd, int step)
{
	struct failure f = { step, errno };

	if (write(fd, &f, sizeof(f)) < 0)
		_exit(125);
	_exit(127);
}

static const char *path_list(char **env)
{
	for (; env && *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* execvp's rules, but for its shell: what is no program is an error, as in Docker. */
static void run_program(const struct child_spec *spec, char **env)
{
	const char *list = path_list(env);
	int found = ENOENT;
	char path[4096];

	if (strchr(spec->argv[0], '/')) {
		execve(spec->argv[0], spec->argv, env);
		return;
	}
	for (;; list++) {
		size_t n = strcspn(list, ":");
		struct stat st;

		snprintf(path, sizeof(path), "%.*s/%s", n ? (int)n : 1, n ? list : ".", spec->argv[0]);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			execve(path, spec->argv, env);
			if (errno != ENOENT)
				found = errno;
		}
		list += n;
		if (!*list)
			break;
	}
	errno = found;
}

static void set_user(const struct child_spec *spec, int report)
{
	if (!spec->has_user)
		return;
	if (spec->uid == geteuid() && spec->gid == getegid() && (geteuid() != 0 || spec->ngroups == 0))
		return;
	/* Where groups may not be set (a user namespace that forbids it) the agent has none to give away. */
	if (setgroups(spec->ngroups, spec->groups) < 0 && errno != EPERM)
		fail(report, FAIL_USER);
	if (setresgid(spec->gid, spec->gid, spec->gid) < 0 || setresuid(spec->uid, spec->uid, spec->uid) < 0)
		fail(report, FAIL_USER);
}

/* The agent's own is as high as it may be: not for what it runs. */
static void set_files_limit(void)
{
	struct rlimit rl;

	if (!agent.files_limit || getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = agent.files_limit;
	setrlimit(RLIMIT_NOFILE, &rl);
}

static void become(const struct child_spec *spec, pid_t parent, const int fds[3], int report)
{
	extern char **environ;
	char **env = spec->env ? spec->env : environ;
	sigset_t none;

	setsid();
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			fail(report, FAIL_EXEC);
	if (spec->tty)
		ioctl(0, TIOCSCTTY, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	if (spec->run) {
		close_range(3, ~0U, 0);
		_exit(spec->run(spec->ctx));
	}
	set_files_limit();
	for (size_t i = 0; i < spec->nrlimits; i++) {
		struct rlimit rl = { spec->rlimits[i].soft, spec->rlimits[i].hard };

		setrlimit((__rlimit_resource_t)spec->rlimits[i].resource, &rl); /* as far as it may */
	}
	/* A directory that only the user may enter is entered as the user; one that only root may, before. */
	if (spec->cwd && chdir(spec->cwd) < 0 && errno != EACCES)
		fail(report, FAIL_CWD);
	set_user(spec, report);
	if (spec->cwd && chdir(spec->cwd) < 0)
		fail(report, FAIL_CWD);
	/* An agent that is killed leaves as little as can be. Another user's process has forgotten it if it is said before. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	run_program(spec, env);
	fail(report, FAIL_EXEC);
}

/* ---- the end ---- */

static void maybe_free(struct child *c)
{
	if (!c->is_freed || c->handles > 0 || !c->has_exited)
		return;
	list_remove(&c->link);
	free(c);
}

static void on_pipe_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	c->handles--;
	maybe_free(c);
}

static void close_pipe(struct child *c, int i)
{
	if (!c->is_open[i])
		return;
	c->is_open[i] = false;
	uv_close((uv_handle_t *)(i == 0 ? &c->in : &c->out[i - 1]), on_pipe_closed);
}

static void maybe_tell(struct child *c)
{
	if (c->is_told || !c->has_exited || c->is_open[1] || c->is_open[2])
		return;
	c->is_told = true;
	close_pipe(c, 0);
	if (!c->is_freed)
		c->events->exited(c->arg, c->code);
}

static int terminal_of(const struct child *c)
{
	int master = -1;

	uv_fileno((const uv_handle_t *)&c->out[0], &master);
	return master;
}

static void take_rest(void *arg, const char *data, size_t len)
{
	struct child *c = arg;

	if (!c->is_freed)
		c->events->output(c->arg, FRAME_STDOUT, data, len);
}

static void on_alloc(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
	(void)h, (void)size;
	*buf = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct child *c = s->data;
	int i = s == (uv_stream_t *)&c->out[0] ? 0 : 1;

	if (n > 0 && !c->is_freed)
		c->events->output(c->arg, i == 0 ? FRAME_STDOUT : FRAME_STDERR, buf->base, (size_t)n);
	if (n >= 0 && c->tty && c->has_exited && !terminal_has_more(terminal_of(c))) /* an orphan may hold the terminal open for ever */
		n = UV_EOF;
	if (n == UV_EOF && c->tty)
		terminal_read_rest(terminal_of(c), take_rest, c);
	if (n < 0) {
		close_pipe(c, i + 1);
		maybe_tell(c);
	}
}

static void on_exit_status(struct child *c, int status)
{
	c->has_exited = true;
	c->pid = 0;
	c->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	c->handles++; /* who is told may free it */
	if (!c->is_freed && c->events->reaped)
		c->events->reaped(c->arg);
	if (c->tty && c->is_open[1] && !terminal_has_more(terminal_of(c)))
		close_pipe(c, 1);
	maybe_tell(c);
	c->handles--;
	maybe_free(c);
}

void children_reap(void)
{
	struct rusage used;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
		reaped_user_ns += (uint64_t)used.ru_utime.tv_sec * 1000000000 + (uint64_t)used.ru_utime.tv_usec * 1000;
		reaped_system_ns += (uint64_t)used.ru_stime.tv_sec * 1000000000 + (uint64_t)used.ru_stime.tv_usec * 1000;
		list_for_each_safe(it, &children) {
			struct child *c = container_of(it, struct child, link);

			if (c->pid == pid) {
				on_exit_status(c, status);
				break;
			}
		}
	}
}

void children_reaped_times(uint64_t *ret_user_ns, uint64_t *ret_system_ns)
{
	*ret_user_ns = reaped_user_ns;
	*ret_system_ns = reaped_system_ns;
}

void child_free(struct child *c, bool kill_it)
{
	if (!c || c->is_freed)
		return;
	c->is_freed = true;
	if (kill_it)
		child_signal(c, SIGKILL);
	for (int i = 0; i < 3; i++)
		close_pipe(c, i);
	maybe_free(c);
}

/* ---- beginning ---- */

static void close_fds(int *fds, int n)
{
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* ours: in, out, err (a terminal: only out); theirs: 0, 1, 2. */
static int open_streams(const struct child_spec *spec, int ours[3], int theirs[3])
{
	struct winsize ws = { .ws_row = (unsigned short)spec->rows, .ws_col = (unsigned short)spec->cols };
	int pair[2];

	if (spec->tty) {
		if (openpty(&ours[1], &theirs[0], NULL, NULL, spec->rows && spec->cols ? &ws : NULL) < 0)
			return -errno;
		fcntl(ours[1], F_SETFD, FD_CLOEXEC);
		for (int i = 1; i < 3; i++)
			theirs[i] = fcntl(theirs[0], F_DUPFD_CLOEXEC, 3);
		fcntl(theirs[0], F_SETFD, FD_CLOEXEC);
		return 0;
	}
	for (int i = 0; i < 3; i++) {
		if (i == 0 && !spec->has_stdin) {
			theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (theirs[0] >= 0)
				continue; /* else a pipe that is at its end does as well */
		}
		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		ours[i] = pair[i == 0 ? 1 : 0];
		theirs[i] = pair[i == 0 ? 0 : 1];
	}
	return 0;
}

static void adopt_streams(uv_loop_t *loop, struct child *c, const int ours[3])
{
	for (int i = 0; i < 3; i++) {
		uv_pipe_t *pipe = i == 0 ? &c->in : &c->out[i - 1];

		if (ours[i] < 0)
			continue;
		fcntl(ours[i], F_SETFL, fcntl(ours[i], F_GETFL) | O_NONBLOCK);
		uv_pipe_init(loop, pipe, 0);
		pipe->data = c;
		uv_pipe_open(pipe, ours[i]);
		c->is_open[i] = true;
		c->handles++;
	}
}

static int explain(const struct child_spec *spec, const struct failure *f, int *ret_code, struct error *err)
{
	const char *name = spec->argv ? spec->argv[0] : "";

	*ret_code = f->error == ENOENT || f->error == ENOTDIR ? 127 : 126;
	if (f->step == FAIL_CWD)
		return error_set(err, -f->error, "chdir to cwd (\"%.300s\") set in config.json failed: %s", spec->cwd,
				 error_text(f->error));
	if (f->step == FAIL_USER)
		return error_set(err, -f->error, "cannot become user %u:%u here: %s", (unsigned)spec->uid,
				 (unsigned)spec->gid, error_text(f->error));
	if (f->error == ENOENT && !strchr(name, '/'))
		return error_set(err, -f->error, "exec: \"%.300s\": executable file not found in $PATH", name);
	if (f->error == ENOENT)
		return error_set(err, -f->error, "exec: \"%.300s\": stat %.300s: no such file or directory", name, name);
	return error_set(err, -f->error, "exec: \"%.300s\": %s", name, error_text(f->error));
}

static int spawn(const struct child_spec *spec, const int theirs[3], pid_t *ret_pid, int *ret_code, struct error *err)
{
	struct failure f = { 0 };
	int report[2];
	ssize_t n;
	pid_t parent = getpid(), pid;

	*ret_code = 126;
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot make a pipe: %s", error_text(errno));
	pid = fork();
	if (pid == 0)
		become(spec, parent, theirs, report[1]);
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return error_set(err, -errno, "fork: %s", error_text(errno));
	}
	do /* until exec, which takes no longer than finding the file does */
		n = read(report[0], &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n == (ssize_t)sizeof(f)) {
		waitpid(pid, NULL, 0);
		return explain(spec, &f, ret_code, err);
	}
	*ret_pid = pid;
	return 0;
}

int child_start(uv_loop_t *loop, const struct child_spec *spec, const struct child_events *events, void *arg,
		struct child **ret, int *ret_code, struct error *err)
{
	int ours[3] = { -1, -1, -1 }, theirs[3] = { -1, -1, -1 };
	int r = open_streams(spec, ours, theirs);
	pid_t pid = 0;
	struct child *c;

	*ret_code = 126;
	if (r < 0)
		error_set(err, r, "cannot make the standard streams: %s", error_text(-r));
	else
		r = spawn(spec, theirs, &pid, ret_code, err);
	close_fds(theirs, 3);
	if (r < 0) {
		close_fds(ours, 3);
		return r;
	}
	c = xnew(struct child);
	c->events = events;
	c->arg = arg;
	c->pid = pid;
	c->tty = spec->tty;
	list_append(&children, &c->link);
	adopt_streams(loop, c, ours);
	*ret = c;
	return 0;
}

/* ---- what is asked of it ---- */

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_signal(struct child *c, int signo)
{
	if (c->pid <= 0)
		return -ESRCH;
	return kill(c->pid, signo) < 0 ? -errno : 0;
}

struct stdin_write {
	uv_write_t req;
	struct child *child;
	size_t len;
	char data[];
};

static void finish_stdin(struct child *c)
{
	if (c->is_stdin_ending && c->writes == 0)
		close_pipe(c, 0);
}

static void on_stdin_written(uv_write_t *req, int status)
{
	struct stdin_write *w = container_of(req, struct stdin_write, req);
	struct child *c = w->child;

	c->writes--;
	if (status < 0)
		c->is_stdin_ending = true;
	if (!c->is_freed)
		c->events->stdin_written(c->arg, w->len);
	free(w);
	finish_stdin(c);
}

void child_write(struct child *c, const void *data, size_t len)
{
	struct stdin_write *w;
	uv_buf_t b;

	if (!c->is_open[c->tty ? 1 : 0] || c->is_stdin_ending) {
		c->events->stdin_written(c->arg, len);
		return;
	}
	w = xmalloc(sizeof(*w) + len);
	w->child = c;
	w->len = len;
	memcpy(w->data, data, len);
	b = uv_buf_init(w->data, (unsigned)len);
	c->writes++;
	if (uv_write(&w->req, (uv_stream_t *)(c->tty ? &c->out[0] : &c->in), &b, 1, on_stdin_written) < 0) {
		c->writes--;
		free(w);
		c->events->stdin_written(c->arg, len);
	}
}

/* A terminal has no half to close: as in Docker, nothing happens. */
void child_close_stdin(struct child *c)
{
	if (c->tty)
		return;
	c->is_stdin_ending = true;
	finish_stdin(c);
}

void child_resize(struct child *c, unsigned rows, unsigned cols)
{
	struct winsize ws = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };
	int fd = -1;

	if (c->tty && c->is_open[1] && uv_fileno((uv_handle_t *)&c->out[0], &fd) == 0)
		ioctl(fd, TIOCSWINSZ, &ws);
}

void child_flow(struct child *c, bool is_open)
{
	for (int i = 0; i < 2; i++) {
		if (!c->is_open[i + 1])
			continue;
		if (is_open)
			uv_read_start((uv_stream_t *)&c->out[i], on_alloc, on_read);
		else
			uv_read_stop((uv_stream_t *)&c->out[i]);
	}
}
