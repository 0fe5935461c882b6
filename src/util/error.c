/* Formatting and classing of errors. Knows nothing of HTTP but the status
 * that each class stands for (moby: api/server/httpstatus/status.go). */
#include "util/error.h"
#undef error_set
#undef error_set_class

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int status;
	int code;
} classes[] = {
	[ERROR_INTERNAL] = { 500, -EIO },          [ERROR_INVALID] = { 400, -EINVAL },
	[ERROR_UNAUTHORIZED] = { 401, -EACCES },   [ERROR_FORBIDDEN] = { 403, -EACCES },
	[ERROR_NOT_FOUND] = { 404, -ENOENT },      [ERROR_CONFLICT] = { 409, -EEXIST },
	[ERROR_NOT_MODIFIED] = { 304, -EALREADY }, [ERROR_UNIMPLEMENTED] = { 501, -ENOSYS },
	[ERROR_UNAVAILABLE] = { 503, -EAGAIN },
};

static void error_vset(struct error *err, enum error_class cls, int code, const char *fmt, va_list ap)
{
	char text[ERROR_MESSAGE_MAX]; /* an argument may be err->message itself */

	if (!err)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
	err->cls = cls;
	err->code = code;
	memcpy(err->message, text, sizeof text);
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, ERROR_INTERNAL, code, fmt, ap);
	va_end(ap);
	return code;
}

int error_set_class(struct error *err, enum error_class cls, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_vset(err, cls, classes[cls].code, fmt, ap);
	va_end(ap);
	return classes[cls].code;
}

void error_prefix(struct error *err, const char *fmt, ...)
{
	char text[2 * ERROR_MESSAGE_MAX];
	va_list ap;
	int n;

	if (!err)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, ERROR_MESSAGE_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= ERROR_MESSAGE_MAX)
		return;
	snprintf(text + n, sizeof text - (size_t)n, ": %s", err->message);
	text[ERROR_MESSAGE_MAX - 1] = '\0';
	memcpy(err->message, text, ERROR_MESSAGE_MAX);
}

void error_clear(struct error *err)
{
	if (err)
		memset(err, 0, offsetof(struct error, message) + 1);
}

int error_http_status(enum error_class cls)
{
	return classes[cls].status;
}

const char *error_text(int errnum)
{
	static _Thread_local char text[128];

	snprintf(text, sizeof(text), "%s", strerror(errnum));
	text[0] = (char)tolower((unsigned char)text[0]);
	return text;
}
