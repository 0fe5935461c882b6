/* docker run --init: pid 1 is ours and the command is pid 2. It hands signals
 * on, reaps orphans and ends as the command does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

static void name_init(const char *const *argv)
{
	struct proc_slot *s = self.slot;
	size_t n;

	snprintf(s->comm, sizeof(s->comm), "docker-init");
	snprintf(s->exe, sizeof(s->exe), "/sbin/docker-init");
	n = (size_t)snprintf(s->cmdline, sizeof(s->cmdline), "/sbin/docker-init%c--%c%s", 0, 0, argv[0]) + 1;
	s->cmdline_len = (uint32_t)(n < sizeof(s->cmdline) ? n : sizeof(s->cmdline));
}

/* A group of its own that has the terminal, so that ^C reaches the command once. */
static void become_command(void)
{
	const uint64_t own[6] = { 0 };

	sys_setpgid(own);
	if (self.tty_fd < 0)
		return;
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(self.tty_fd, getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

static _Noreturn void stand_by(int32_t command)
{
	const struct proc_slot *slot = proctable_find(command);
	pid_t pid, command_pid = slot ? slot->host_pid : -1;
	sigset_t all;
	int signo, status;

	sigfillset(&all);
	for (;;) {
		struct broker_request req = { .op = BROKER_KILL, .pid = command };
		struct broker_reply reply;

		if (sigwait(&all, &signo) != 0)
			continue;
		if (signo != SIGCHLD) {
			req.signo = signo;
			broker_call(&req, -1, &reply, NULL);
			continue;
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == command_pid)
				_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
			proctable_release(proctable_find_host(pid));
		}
	}
}

void init_fork(const char *const *argv, int report_fd)
{
	const uint64_t none[6] = { 0 };
	sigset_t all, old;
	int64_t command;

	/* Whatever comes is handed on: also what comes as soon as the command has reported that it runs, which it may
	 * do before we do anything again. It waits for stand_by. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	self.slot->handled = UINT64_MAX;
	command = sys_fork(none);
	if (command == 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		become_command();
		return;
	}
	if (command < 0)
		_exit(125);
	close(report_fd);
	name_init(argv);
	stand_by((int32_t)command);
}
