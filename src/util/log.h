/* The daemon's own log: one line on stderr per event, text or JSON.
 * Library code below the daemon returns errors instead of logging; the
 * boundary of a request or task logs once. Any thread. */
#ifndef SOCKERLESS_UTIL_LOG_H
#define SOCKERLESS_UTIL_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };

void log_configure(enum log_level level, bool is_json);
/* debug, info, warn(ing), error, fatal. Returns 0 or -EINVAL. */
int log_parse_level(const char *name, enum log_level *ret_level);

void log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
