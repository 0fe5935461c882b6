/* The program's output: one JSON object a line, whole lines, from any thread. After a result or an error comes nothing: what
 * threads that are still at work have to say is dropped. */
#ifndef SOCKERLESS_FETCH_EVENTS_H
#define SOCKERLESS_FETCH_EVENTS_H

#include <stdint.h>

#include <jansson.h>

#include "util/error.h"

/* Takes the object; "event" is its kind. Ends the process when nobody reads any more. */
void event_emit(const char *kind, json_t *take);
/* {"event":"progress","digest":…,"current":…,"total":…} */
void event_progress(const char *digest, int64_t current, int64_t total);
/* The last event of what went well. Takes the object. */
void event_result(json_t *take);
/* The last event of what did not:
 * {"event":"error","class":…,"message":…}: "unreachable" when no registry answered. */
void event_error(const struct error *err, int is_unreachable);

#endif
