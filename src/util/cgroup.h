/* Control groups of our own, of both versions, where the host lets this user make them: below the caller's own, or of
 * version 2 beside it (whose processes must be in leaves: systemd's DelegateSubgroup). Blocks, on files of the kernel's. */
#ifndef SOCKERLESS_UTIL_CGROUP_H
#define SOCKERLESS_UTIL_CGROUP_H

#include <stdbool.h>

enum { CGROUP_PATH = 512 };

/* The directory of the caller's own group for a controller ("pids"). False: there is none. */
bool cgroup_find_own(const char *controller, char ret[CGROUP_PATH], bool *ret_is_v2);
/* Makes the group `name` with `text` in its file, which of version 1 and 2 is called so. False: it cannot be, and is not. */
bool cgroup_make(const char *controller, const char *name, const char *file_v1, const char *file_v2, const char *text,
		 char ret[CGROUP_PATH], bool *ret_is_v2);
/* Removes the group of that name, made by whoever was where the caller is, if it is there and nothing is in it. */
void cgroup_remove(const char *controller, const char *name);
/* 0 or -errno. */
int cgroup_write(const char *dir, const char *file, const char *text);

#endif
