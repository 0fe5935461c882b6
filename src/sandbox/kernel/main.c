/* sockerless-sandbox: the zygote. Waits on fd 3 for the daemon's wish of a
 * container, forks a supervisor for it, reaps; ends when the daemon does. When
 * a supervisor was killed its container's processes come to us: they end too.
 * Everything slow happens here once: programs' types, fault handlers. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/kernel/cgroup.h"
#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"
#include "sandbox/kernel/supervisor.h"
#include "util/alloc.h"

enum { ZYGOTE_FD = 3, OWN_FDS_MIN = 64 };

/* Whom we have forked; everything else below us is an orphan. */
static pid_t *supervisors;
static size_t supervisor_count, supervisor_size;

/* Room above the guest's numbers for our own descriptors. */
static bool raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	return rl.rlim_cur >= FD_GUEST_MAX + OWN_FDS_MIN;
}

static void remember(pid_t pid)
{
	if (supervisor_count == supervisor_size) {
		supervisor_size = supervisor_size ? supervisor_size * 2 : 64;
		supervisors = xrealloc(supervisors, supervisor_size * sizeof(*supervisors));
	}
	supervisors[supervisor_count++] = pid;
}

static bool forget(pid_t pid)
{
	for (size_t i = 0; i < supervisor_count; i++) {
		if (supervisors[i] != pid)
			continue;
		supervisors[i] = supervisors[--supervisor_count];
		return true;
	}
	return false;
}

static void make_container(struct wire_message *m, int zygote_sock, int signal_fd)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	const char *id = wire_get_str(&r);
	pid_t pid;

	if (r.failed || !id || m->nfds != 1)
		return;
	pid = fork();
	if (pid == 0) {
		close(zygote_sock);
		close(signal_fd);
		supervisor_main(m->fds[0], id);
	}
	if (pid > 0)
		remember(pid);
}

static void kill_orphan(void *arg, pid_t pid)
{
	struct descent_facts f;
	bool is_supervisor = false;

	(void)arg;
	if (descent_look(pid, &f) < 0 || f.parent != getpid())
		return;
	for (size_t i = 0; i < supervisor_count; i++)
		is_supervisor = is_supervisor || supervisors[i] == pid;
	if (!is_supervisor)
		descent_signal(pid, getpid(), SIGKILL); /* its children are orphans next */
}

/* A supervisor that ends by itself leaves nothing behind. */
static void reap(int signal_fd)
{
	struct signalfd_siginfo info;
	bool has_orphans = false;
	int status;
	pid_t pid;

	(void)!read(signal_fd, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		has_orphans = !forget(pid) || !WIFEXITED(status) || has_orphans;
	if (has_orphans)
		descent_each(getpid(), false, kill_orphan, NULL);
}

static int make_signal_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return fd_to_floor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

int main(int argc, char **argv)
{
	static unsigned char room[WIRE_ROOM_BYTES];
	struct wire_message m;
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	int sock, signal_fd, r = 1;

	(void)argv;
	if (argc > 1 || fcntl(ZYGOTE_FD, F_GETFD) < 0) {
		fprintf(stderr, "sockerless-sandbox is started by sockerlessd and has no options\n");
		return 2;
	}
	if (!raise_fd_limit()) {
		fprintf(stderr, "sockerless-sandbox: the limit of open files (ulimit -n) must be %d or more\n",
			FD_GUEST_MAX + OWN_FDS_MIN);
		return 1;
	}
	signal_begin();
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sock = fcntl(ZYGOTE_FD, F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	signal_fd = make_signal_fd();
	if (sock < 0 || signal_fd < 0 || guest_runtime_init() < 0)
		return 1;
	close(ZYGOTE_FD);
	for (const struct guest_module *const *g = guest_modules; *g; g++)
		(*g)->init();
	prepared_make();
	fds[0].fd = sock;
	fds[1].fd = signal_fd;
	while (r == 1 || r == -EINTR) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			reap(signal_fd);
		if (!fds[0].revents)
			continue;
		r = wire_recv(sock, room, &m);
		if (r == 1) {
			if (m.type == WIRE_CREATE)
				make_container(&m, sock, signal_fd);
			wire_message_done(&m);
		}
	}
	descent_kill_all();
	cgroup_sweep();
	return 0;
}
