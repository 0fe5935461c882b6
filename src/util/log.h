/* The daemon's own log: one line on stderr per event, text or JSON.
 * Library code below the daemon returns errors instead of logging; the
 * boundary of a request or task logs once. Any thread. */
#ifndef SOCKERLESS_UTIL_LOG_H
#define SOCKERLESS_UTIL_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_FATAL };

/* Of the whole process; before other threads log. */
void log_configure(enum log_level level, bool is_json);
/* Lines go to `write`, one at a time, instead of stderr. NULL: to stderr again. */
void log_redirect(void (*write)(void *arg, enum log_level level, const char *text), void *arg);
/* debug, info, warn(ing), error, fatal. Returns 0 or -EINVAL. */
int log_parse_level(const char *name, enum log_level *ret_level);

/* One line; control characters are escaped, what is longer than 2 KiB is cut. Blocks on stderr. */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
