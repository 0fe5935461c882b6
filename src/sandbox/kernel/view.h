/* A container's view of files, from the description that the daemon sent. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_VIEW_H
#define SOCKERLESS_SANDBOX_KERNEL_VIEW_H

#include "sandbox/kernel/kernel.h"

/* Makes c->fs of the mounts in setup; `fds` (in the message's order, without
 * the table's) are borrowed for the container's life. 0 or -errno. */
int container_open_view(struct container *c, const struct wire_setup *setup, const int *fds, size_t nfds);

#endif
