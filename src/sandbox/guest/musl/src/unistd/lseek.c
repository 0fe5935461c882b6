/* The one call whose result needs more than 32 bits. */
#include <unistd.h>

#include "syscall.h"

off_t __lseek(int fd, off_t offset, int whence)
{
	long long r = __guest_syscall(SYS_lseek, (unsigned)fd, offset,
				      (unsigned)whence, 0, 0, 0);

	return r < 0 ? __syscall_ret((unsigned long)r) : r;
}

weak_alias(__lseek, lseek);
weak_alias(__lseek, lseek64);
