/* A view of a fresh temporary directory, for targets that look at files. */
#ifndef SOCKERLESS_TESTS_FUZZ_ROOT_H
#define SOCKERLESS_TESTS_FUZZ_ROOT_H

#include "rootfs/rootfs.h"

/* Made at the first call, removed at the end of the process. */
struct rootfs *fuzz_root(void);
/* Replaces a file in it; parents must be there (etc is). */
void fuzz_root_put(const char *name, const void *data, size_t len, mode_t mode);

#endif
