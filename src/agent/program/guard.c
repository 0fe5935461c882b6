/* Runs proot so that it can be trusted with a container.
 *
 * proot 5.1 does not translate the paths of calls that it does not know: programs would see the host's files. With a
 * filter they are told ENOSYS and take the old calls. And what it traces runs on untraced when it is killed, on the
 * host's files: the option that it does not ask for (PTRACE_O_EXITKILL, ptrace(2)) is put into the call with which it
 * sets its others. For that it is traced itself until it makes that call; whom it traces inherit its options. */
#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/program/agent.h"

#ifdef __aarch64__
#define FOURTH_ARGUMENT(r) (r).regs[3]
#else
#define FOURTH_ARGUMENT(r) (r).r10
#endif

#define REFUSE(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

enum { FAILED = 127 };

/* ptrace(PTRACE_SETOPTIONS) without the option stops for the guard; when nobody guards it fails. */
static int filter_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		REFUSE(SYS_statx),
		REFUSE(SYS_openat2),
		REFUSE(SYS_faccessat2),
		REFUSE(SYS_renameat2),
		REFUSE(SYS_clone3),
		REFUSE(SYS_execveat),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PTRACE_SETOPTIONS, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[3])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PTRACE_O_EXITKILL, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ?
		       -errno :
		       0;
}

static void run(char **argv, pid_t guard, const sigset_t *mask)
{
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != guard || ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
		_exit(FAILED);
	raise(SIGSTOP);
	sigprocmask(SIG_SETMASK, mask, NULL);
	r = filter_calls();
	if (r < 0) {
		say("the calls cannot be filtered: %s", strerror(-r));
		_exit(FAILED);
	}
	execv(argv[0], argv);
	say("%s: %s", argv[0], strerror(errno));
	_exit(FAILED);
}

static void add_option(pid_t pid)
{
	struct user_regs_struct regs;
	struct iovec v = { .iov_base = &regs, .iov_len = sizeof(regs) };

	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &v) < 0)
		return;
	FOURTH_ARGUMENT(regs) |= PTRACE_O_EXITKILL;
	ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &v);
}

/* One stop of it; after the one that is waited for nobody traces it any more. */
static void on_stop(pid_t pid, int status)
{
	int signo = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_SECCOMP) {
		add_option(pid);
		ptrace(PTRACE_DETACH, pid, 0, 0);
		return;
	}
	ptrace(PTRACE_CONT, pid, 0, event || signo == SIGSTOP ? 0 : signo);
}

/* Until it has ended; whoever ends us ends all that is below. */
static int attend(pid_t pid, const sigset_t *set)
{
	bool has_begun = false;
	int status, signo;
	pid_t ended;

	for (;;) {
		while ((ended = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
			if (ended != pid)
				continue;
			if (!WIFSTOPPED(status))
				return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			if (!has_begun)
				ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC);
			has_begun = true;
			on_stop(pid, status);
		}
		signo = sigwaitinfo(set, NULL);
		if (signo > 0 && signo != SIGCHLD)
			tree_signal(SIGKILL);
	}
}

int guard_main(char **argv)
{
	sigset_t set, old;
	pid_t guard = getpid(), pid;
	int code;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &old);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid == 0)
		run(argv, guard, &old);
	code = pid < 0 ? FAILED : attend(pid, &set);
	tree_signal(SIGKILL);
	return code;
}
