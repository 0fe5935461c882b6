/* One error: a class (which alone makes the HTTP status), an errno as detail,
 * and a message in a fixed buffer, so that reporting an error cannot fail.
 * Functions return 0 or -errno; their last argument is the caller's
 * `struct error *err`, which may be NULL. Any thread; never blocks. */
#ifndef SOCKERLESS_UTIL_ERROR_H
#define SOCKERLESS_UTIL_ERROR_H

#include <stdarg.h>

#define ERROR_MESSAGE_MAX 1024

/* Set only where the meaning is known: a bare errno stays internal (500),
 * so that a missing directory of ours never reads as "no such container". */
enum error_class {
	ERROR_INTERNAL = 0, /* 500 */
	ERROR_INVALID,      /* 400 */
	ERROR_UNAUTHORIZED, /* 401 */
	ERROR_FORBIDDEN,    /* 403 */
	ERROR_NOT_FOUND,    /* 404 */
	ERROR_CONFLICT,     /* 409 */
	ERROR_NOT_MODIFIED, /* 304 */
	ERROR_UNIMPLEMENTED, /* 501 */
	ERROR_UNAVAILABLE,  /* 503 */
};

struct error {
	enum error_class cls;
	int code; /* negative errno, 0 when nothing is set */
	char message[ERROR_MESSAGE_MAX];
};

/* Sets code (a negative errno) and message, class internal. Returns code. */
int error_set(struct error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same with a class; code is derived from the class (-EINVAL, -ENOENT,
 * -EEXIST, -EACCES, -EALREADY, -ENOSYS, -EAGAIN; -EIO for internal). */
int error_set_class(struct error *err, enum error_class cls, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ /* it cannot see that they never answer 0 */
#define error_set(...) (error_set(__VA_ARGS__), -1)
#define error_set_class(...) (error_set_class(__VA_ARGS__), -1)
#endif

/* Puts "prefix: " before the message that is there; keeps class and code. */
void error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* strerror in Go's writing, which is Docker's: a small first letter. Static or the thread's own. */
const char *error_text(int errnum);

/* Empties *err. */
void error_clear(struct error *err);

/* The HTTP status of a class: the only table that maps one to the other. */
int error_http_status(enum error_class cls);

#endif
