/* Small files of the host. Any thread; these block. */
#ifndef SOCKERLESS_UTIL_FILE_H
#define SOCKERLESS_UTIL_FILE_H

#include <stddef.h>
#include <stdint.h>

/* What is in it, at most so many bytes; "" when it is not there or cannot be read. malloc'd. */
char *file_text(const char *path, size_t max_bytes);

/* openat2, O_PATH | O_CLOEXEC and `flags`, no way out of the directory `base`: RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS and
 * `resolve`. The kernel answers EAGAIN when something, anywhere on the host, was renamed or mounted while it went through a
 * ".." (openat2(2)): that is tried again, so often that only a host that does nothing else sees it. The descriptor, or -errno. */
int file_open_beneath(int base, const char *path, uint64_t flags, uint64_t resolve);

#endif
