/* The master of a terminal whose process has ended. */
#ifndef SOCKERLESS_UTIL_TERMINAL_H
#define SOCKERLESS_UTIL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Something can be read: output, or the end, which comes when the last slave is closed. An orphan may hold one open for ever.
 * False: all that the process wrote has been read. */
bool terminal_has_more(int master);
/* libuv takes a short read and the hang-up together for the end, but a master gives a page at a time. Hands over what is
 * left; the master does not block. */
void terminal_read_rest(int master, void (*take)(void *arg, const char *data, size_t len), void *arg);

#endif
