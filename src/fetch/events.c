#include "fetch/events.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_over; /* under the lock: the last event is out */

static void emit(const char *kind, json_t *take, bool is_last)
{
	char *text;
	size_t len, done = 0;
	ssize_t n = 1;

	json_object_set_new(take, "event", json_string(kind));
	text = json_dumps(take, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(take);
	if (!text)
		return;
	len = strlen(text);
	text[len++] = '\n'; /* over its end: from here on it is bytes */
	pthread_mutex_lock(&lock);
	while (!is_over && done < len && (n = write(STDOUT_FILENO, text + done, len - done)) > 0)
		done += (size_t)n;
	is_over = is_over || is_last;
	pthread_mutex_unlock(&lock);
	free(text);
	if (n <= 0)
		_exit(1);
}

void event_emit(const char *kind, json_t *take)
{
	emit(kind, take, false);
}

void event_result(json_t *take)
{
	emit("result", take, true);
}

void event_progress(const char *digest, int64_t current, int64_t total)
{
	event_emit("progress", json_pack("{s:s, s:I, s:I}", "digest", digest, "current", (json_int_t)current, "total",
					 (json_int_t)total));
}

void event_error(const struct error *err, int is_unreachable)
{
	static const char *const names[] = {
		[ERROR_INTERNAL] = "internal",         [ERROR_INVALID] = "invalid",
		[ERROR_UNAUTHORIZED] = "unauthorized", [ERROR_FORBIDDEN] = "forbidden",
		[ERROR_NOT_FOUND] = "not_found",       [ERROR_CONFLICT] = "conflict",
		[ERROR_NOT_MODIFIED] = "internal",     [ERROR_UNIMPLEMENTED] = "internal",
		[ERROR_UNAVAILABLE] = "unavailable",
	};
	json_t *text = json_string(err->message);

	/* A registry's words that are no UTF-8 are no JSON either. */
	emit("error",
	     json_pack("{s:s, s:o, s:b}", "class", names[err->cls], "message",
		       text ? text : json_string("the registry's answer cannot be shown"), "unreachable", is_unreachable),
	     true);
}
