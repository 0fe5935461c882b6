/* What every public header needs: export marks and the error. */
#ifndef SOCKERLESS_BASE_H
#define SOCKERLESS_BASE_H

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
 * 0 or a negative errno, and accept NULL for it. */
struct sockerless_error {
	int code;           /* negative errno; 0: nothing is set */
	int status;         /* the HTTP status that it means to a client: 400, 404, 500, … */
	char message[1024];
};

#endif
