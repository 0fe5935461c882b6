/* Scope-bound clean-up in the manner of lxc's memory_utils and systemd.
 * CLEANUP(fn) runs fn(&variable) when the scope ends; steal_ptr and steal_fd
 * hand ownership out of the scope. A longjmp (cmocka's assertions) skips it. */
#ifndef SOCKERLESS_UTIL_CLEANUP_H
#define SOCKERLESS_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Closes *fd if it is open; keeps errno. */
void closep(int *fd);

#define steal_ptr(p)                            \
	({                                      \
		__typeof__(p) steal_val_ = (p); \
		(p) = NULL;                     \
		steal_val_;                     \
	})

static inline int steal_fd(int *fd)
{
	int r = *fd;

	*fd = -1;
	return r;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
