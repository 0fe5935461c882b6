/* One write(2) per line, so that lines of several threads do not mix. */
#include "util/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"

static enum log_level threshold = LOG_LEVEL_INFO;
static bool json_lines;
static pthread_mutex_t redirect_mutex = PTHREAD_MUTEX_INITIALIZER;
static void (*redirect)(void *arg, enum log_level level, const char *text);
static void *redirect_arg;

static const char *const names[] = { "debug", "info", "warning", "error", "fatal" };

void log_configure(enum log_level level, bool is_json)
{
	threshold = level;
	json_lines = is_json;
}

void log_redirect(void (*write_line)(void *arg, enum log_level level, const char *text), void *arg)
{
	pthread_mutex_lock(&redirect_mutex);
	redirect = write_line;
	redirect_arg = arg;
	pthread_mutex_unlock(&redirect_mutex);
}

int log_parse_level(const char *name, enum log_level *ret_level)
{
	if (!strcmp(name, "warn"))
		name = "warning";
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

/* Escapes control characters, quotes and backslashes: a name chosen by a
 * client must not forge a second line. */
static size_t escape(char *out, size_t size, const char *in)
{
	size_t n = 0;

	for (; *in && n + 7 < size; in++) {
		unsigned char c = (unsigned char)*in;

		if (c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, size - n, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(out + n, size - n, "\\u%04x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = '\0';
	return n;
}

static bool hand_over(enum log_level level, const char *text)
{
	bool is_taken;

	pthread_mutex_lock(&redirect_mutex);
	is_taken = redirect != NULL;
	if (is_taken)
		redirect(redirect_arg, level, text);
	pthread_mutex_unlock(&redirect_mutex);
	return is_taken;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[2048], safe[4096], line[4400], when[CLOCK_RFC3339_MAX];
	va_list ap;
	int n;

	if (level < threshold)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	escape(safe, sizeof safe, text);
	if (hand_over(level, safe))
		return;
	clock_format_rfc3339_fixed(clock_wall_ns(), when);
	n = snprintf(line, sizeof line,
		     json_lines ? "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"%s\"}\n" : "time=\"%s\" level=%s msg=\"%s\"\n",
		     when, names[level], safe);
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere to say it */
}
