/* sockerless-sandbox: the zygote. Waits on fd 3 for the daemon's wish of a
 * container, forks a supervisor for it, reaps; ends when the daemon does.
 * Everything slow happens here once: programs' types, fault handlers. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "sandbox/kernel/module.h"
#include "sandbox/kernel/supervisor.h"

enum { ZYGOTE_FD = 3 };

/* Room above the guest's numbers for our own descriptors. */
static void raise_fd_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static void make_container(struct wire_message *m, int zygote_sock)
{
	struct wire_reader r = { .data = m->data, .len = m->len };
	const char *id = wire_get_str(&r);
	pid_t pid;

	if (r.failed || !id || m->nfds != 1)
		return;
	pid = fork();
	if (pid == 0) {
		close(zygote_sock);
		supervisor_main(m->fds[0], id);
	}
}

int main(int argc, char **argv)
{
	struct wire_message m;
	int sock, r;

	(void)argv;
	if (argc > 1 || fcntl(ZYGOTE_FD, F_GETFD) < 0) {
		fprintf(stderr, "sockerless-sandbox is started by sockerlessd and has no options\n");
		return 2;
	}
	raise_fd_limit();
	signal(SIGCHLD, SIG_IGN); /* supervisors reap their own; nobody asks for theirs */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's ^C is the daemon's to decide about */
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sock = fcntl(ZYGOTE_FD, F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	if (sock < 0 || guest_runtime_init() < 0)
		return 1;
	close(ZYGOTE_FD);
	for (const struct guest_module *const *g = guest_modules; *g; g++)
		(*g)->init();
	while ((r = wire_recv(sock, &m)) == 1 || r == -EINTR) {
		if (r == 1) {
			if (m.type == WIRE_CREATE)
				make_container(&m, sock);
			wire_message_done(&m);
		}
	}
	return 0;
}
