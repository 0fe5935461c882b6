/* What every public header needs: export marks and the error.
 *
 * Structs grow at their end only, and begin with `size`: whoever makes one sets it to its sizeof, and whoever
 * reads one takes what lies beyond it as zero. So a program may be older or newer than the library. */
#ifndef SOCKERLESS_BASE_H
#define SOCKERLESS_BASE_H

#include <stddef.h>

#if defined(__GNUC__)
#define SOCKERLESS_API __attribute__((visibility("default")))
#else
#define SOCKERLESS_API
#endif

#ifdef __cplusplus
#define SOCKERLESS_BEGIN extern "C" {
#define SOCKERLESS_END }
#else
#define SOCKERLESS_BEGIN
#define SOCKERLESS_END
#endif

/* Owned by the caller, filled by the call that failed. Functions that take one answer
 * 0 or a negative errno, and accept NULL for it. Zeroed is well initialised: size 0 means this first form. */
struct sockerless_error {
	size_t size;
	int code;           /* negative errno; 0: nothing is set */
	int status;         /* the HTTP status that it means to a client: 400, 404, 500, … */
	char message[1024];
};

#endif
