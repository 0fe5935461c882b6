/* proot 5.1 does not translate the paths of calls that it does not know: programs would see the host's files. With this
 * filter they are told ENOSYS and take the old calls. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/program/agent.h"

#define REFUSE(nr) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

int old_calls_main(char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		REFUSE(SYS_statx),
		REFUSE(SYS_openat2),
		REFUSE(SYS_faccessat2),
		REFUSE(SYS_renameat2),
		REFUSE(SYS_clone3),
		REFUSE(SYS_execveat),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		say("the calls cannot be filtered: %s", strerror(errno));
	execv(argv[0], argv);
	say("%s: %s", argv[0], strerror(errno));
	return 127;
}
