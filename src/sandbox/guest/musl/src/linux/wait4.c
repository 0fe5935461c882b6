/* The kernel's rusage has 64-bit fields, ours 32-bit ones. */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/wait.h>

#include "syscall.h"

pid_t wait4(pid_t pid, int *status, int options, struct rusage *ru)
{
	long long raw[18];
	long *field;
	int r = __syscall(SYS_wait4, pid, status, options, ru ? raw : 0);

	if (r <= 0 || !ru)
		return __syscall_ret(r);
	ru->ru_utime = (struct timeval){ .tv_sec = raw[0], .tv_usec = raw[1] };
	ru->ru_stime = (struct timeval){ .tv_sec = raw[2], .tv_usec = raw[3] };
	field = &ru->ru_maxrss;
	for (int i = 0; i < 14; i++)
		field[i] = raw[4 + i];
	return r;
}
