/* What a container's start leaves in its upper directory for its mounts to lie
 * on: no part of what a RUN has changed. Pool; blocks. */
#ifndef SOCKERLESS_BUILD_STUBS_H
#define SOCKERLESS_BUILD_STUBS_H

#include <stddef.h>

/* Removes empty directories and empty files at `targets` (and above) that `below` does not have, and copies of its
 * directories that were made on the way there. Paths of the host; failures are passed over. */
void stubs_remove(const char *below, const char *upper, char *const *targets, size_t n);

#endif
