/* Small files of the host. Any thread; these block. */
#ifndef SOCKERLESS_UTIL_FILE_H
#define SOCKERLESS_UTIL_FILE_H

#include <stddef.h>

/* What is in it, at most so many bytes; "" when it is not there or cannot be read. malloc'd. */
char *file_text(const char *path, size_t max_bytes);

#endif
