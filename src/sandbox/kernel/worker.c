/* A worker: the host process of one guest process, from its fork off the
 * supervisor to the guest's first instruction. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/limits.h"
#include "sandbox/kernel/module.h"
#include "sandbox/program.h"
#ifdef SANDBOX_DRILLED /* the test build with a hole in the first wall: docs/sandbox.md */
#include "tests/sandbox/attacks.h"
#endif

struct report {
	int32_t error;
	char message[240];
};

static jmp_buf restart_point;
static struct exec_image *restart_image;

static _Noreturn void fail(const struct worker_start *start, int error, const char *text)
{
	struct report rep = { .error = error };

	snprintf(rep.message, sizeof(rep.message), "%s", text);
	(void)!write(start->report_fd, &rep, sizeof(rep));
	_exit(error == -ENOENT ? 127 : 126);
}

void worker_restart(struct exec_image *image)
{
	restart_image = image;
	_longjmp(restart_point, 1);
}

/* Those that the host's kernel keeps for us; the rest is looked at where it matters.
 * Who was forked by the nursery has none yet. */
static void apply_rlimits(bool has_none)
{
	static const int kept[] = { RLIMIT_FSIZE, RLIMIT_CPU };

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		struct rlimit rl = { self.rlimit[kept[i]][0], self.rlimit[kept[i]][1] };

		if (has_none && rl.rlim_cur == RLIM_INFINITY && rl.rlim_max == RLIM_INFINITY)
			continue;
		setrlimit(kept[i], &rl);
	}
}

static void set_identity(const struct worker_start *start)
{
	const struct wire_spawn *s = start->spawn;

	self.container = start->container;
	self.slot = start->slot;
	self.vpid = (int32_t)start->vpid;
	self.ruid = self.euid = self.suid = self.fsuid = s->uid;
	self.rgid = self.egid = self.sgid = self.fsgid = s->gid;
	process_set_groups(s->groups, s->ngroups <= 64 ? s->ngroups : 64);
	self.umask = 022;
	for (int i = 0; i < 16; i++)
		self.rlimit[i][0] = self.rlimit[i][1] = UINT64_MAX;
	self.rlimit[RLIMIT_NOFILE][0] = self.rlimit[RLIMIT_NOFILE][1] = FD_GUEST_MAX;
	self.rlimit[RLIMIT_STACK][0] = 8 << 20;
	for (size_t i = 0; i < s->nrlimits; i++) {
		if (s->rlimits[i].resource >= 16)
			continue;
		self.rlimit[s->rlimits[i].resource][0] = s->rlimits[i].soft;
		self.rlimit[s->rlimits[i].resource][1] = s->rlimits[i].hard;
	}
	apply_rlimits(start->is_walled);
	self.slot->host_pid = getpid();
	self.slot->uid = self.slot->euid = s->uid;
	self.slot->gid = self.slot->egid = s->gid;
	self.slot->pgid = self.slot->sid = self.vpid;
	self.slot->ppid = 0;
}

static void set_terminal(const struct worker_start *start)
{
	struct winsize ws = { .ws_row = start->spawn->rows, .ws_col = start->spawn->cols };

	setsid();
	if (!start->spawn->tty)
		return;
	ioctl(start->stdio[0], TIOCSCTTY, 0);
	if (ws.ws_row && ws.ws_col)
		ioctl(start->stdio[0], TIOCSWINSZ, &ws);
	self.tty_fd = fcntl(start->stdio[0], F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	self.tty_number = start->tty_number;
	self.slot->tty = start->tty_number + 1;
}

static const char *path_of(const char *const *env)
{
	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], "PATH=", 5) == 0)
			return env[i] + 5;
	return NULL;
}

/* Go's words for an errno are the C library's in lower case. */
static const char *errno_text(int error)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s", strerror(error));
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}

/* Docker's words (runc's, as the engine passes them on). */
static _Noreturn void fail_program(const struct worker_start *start, const char *name, int error, enum program_kind kind)
{
	char text[240];

	if (error == -ENOENT && !strchr(name, '/'))
		snprintf(text, sizeof(text), "exec: \"%.100s\": executable file not found in $PATH: unknown", name);
	else if (error == -EACCES && kind != PROGRAM_MODULE)
		snprintf(text, sizeof(text), "exec %.100s: permission denied: native binaries need an agent", name);
	else if (error == -EACCES)
		snprintf(text, sizeof(text), "exec: \"%.100s\": permission denied: unknown", name);
	else
		snprintf(text, sizeof(text), "exec: \"%.80s\": stat %.80s: %s: unknown", name, name, errno_text(-error));
	fail(start, error, text);
}

/* The file is there and cannot be run: no interpreter, no format. In Docker the container
 * has been started by then, and runc's last words are its output. */
static _Noreturn void end_program(const struct worker_start *start, const char *path, int error)
{
	struct report well = { 0 };

	(void)!write(start->report_fd, &well, sizeof(well));
	dprintf(STDERR_FILENO, "exec %s: %s\n", path, errno_text(-error));
	process_exit(255);
}

/* The guest's memory is a reservation of 8 GiB; what else there is needs little. */
static void check_address_space(const struct worker_start *start)
{
	const uint64_t wanted = 9ull << 30;
	struct rlimit rl;
	char text[240];

	if (getrlimit(RLIMIT_AS, &rl) < 0 || rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur >= wanted)
		return;
	snprintf(text, sizeof(text),
		 "the sandbox reserves %llu GiB of address space for a process, and the daemon's limit "
		 "(ulimit -v) is %llu MiB: raise it",
		 (unsigned long long)(wanted >> 30), (unsigned long long)rl.rlim_cur >> 20);
	fail(start, -ENOMEM, text);
}

static void enter_cwd(const struct worker_start *start)
{
	const char *cwd = start->spawn->cwd && *start->spawn->cwd ? start->spawn->cwd : "/";
	char text[240];
	int r = rootfs_open_dir(self.container->fs, process_cred(), NULL, cwd, &self.cwd);

	if (r < 0) {
		snprintf(text, sizeof(text), "chdir to cwd (\"%.100s\") set in config.json failed: %s: unknown", cwd,
			 errno_text(-r));
		fail(start, r == -ENOENT ? -EACCES : r, text);
	}
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The daemon has looked a moment ago, for its drivers to decide, by the same rules as we would; but it does not see what
 * is mounted there. */
static bool is_known(const struct wire_program *p)
{
	return p->path && !is_below(p->path, "/proc") && !is_below(p->path, "/dev");
}

static int find_program(const struct worker_start *start, struct exec_image *image)
{
	const struct wire_spawn *s = start->spawn;
	struct program p;
	int r = program_search(self.container->fs, process_cred(), self.cwd, s->argv[0], path_of(s->env), &p);

	if (r < 0 && p.is_found && p.kind == PROGRAM_MODULE)
		end_program(start, p.path, r);
	if (r < 0)
		fail_program(start, s->argv[0], r, p.kind);
	return exec_prepare_found(&p, (char *const *)s->argv, (char *const *)s->env, image);
}

static void prepare_program(const struct worker_start *start, struct exec_image *image)
{
	const struct wire_spawn *s = start->spawn;
	int r = is_known(&s->program) ?
			exec_prepare_known(&s->program, (char *const *)s->argv, (char *const *)s->env, image) :
			find_program(start, image);

	if (r < 0)
		fail_program(start, s->argv[0], r, PROGRAM_MODULE);
}

void worker_main(const struct worker_start *start)
{
	static struct exec_image image;
	static int report_fd;
	struct report well = { 0 };

	set_identity(start);
	set_terminal(start);
	if (!start->is_walled)
		limits_enter(getpid(), &start->container->setup->limits); /* in a session of its own by now */
	fdtable_init(start->stdio, start->spawn->tty);
	if (start->spawn->is_main)
		prctl(PR_SET_CHILD_SUBREAPER, 1); /* orphans are pid 1's to reap, as on Linux */
	if (!start->is_walled && wall_enter(start->container) < 0)
		fail(start, -EPERM, "the sandbox's second wall cannot be set up on this host");
#ifdef SANDBOX_DRILLED
	if (attack_is_meant(start->spawn->argv)) {
		(void)!write(start->report_fd, &well, sizeof(well));
		attack_main(start->spawn->argv);
	}
#endif
	check_address_space(start);
	enter_cwd(start);
	prepare_program(start, &image);
	report_fd = start->report_fd;
	process_take_ids(&image);
	if (start->spawn->is_main && start->container->setup->init)
		init_fork(start->spawn->argv, report_fd);
	signal_init();
	restart_image = &image;
	if (_setjmp(restart_point) == 0) {
		(void)!write(report_fd, &well, sizeof(well));
		close(report_fd);
	}
	exec_enter(restart_image);
}
