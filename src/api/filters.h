/* ?filters= of lists, prunes and events: {"key": ["a", "b"]} or, from old
 * clients, {"key": {"a": true}} (moby: api/types/filters). */
#ifndef SOCKERLESS_API_FILTERS_H
#define SOCKERLESS_API_FILTERS_H

#include <stdbool.h>

#include <jansson.h>

#include "http/request.h"

/* A new object of arrays of strings, empty when there are no filters. NULL with
 * *err set: no JSON, another shape, or a key that is not in `known`
 * (NULL-ended; NULL: every key is). */
json_t *filters_parse(const struct request *req, const char *const *known, struct error *err);
bool filters_has(json_t *filters, const char *key);
/* True when the key is absent or any of its values matches. */
bool filters_any(json_t *filters, const char *key, bool (*match)(const void *object, const char *value), const void *object);
/* "label": all must be there; "label!": none may. "key" or "key=value". */
bool filters_labels(json_t *filters, json_t *labels);
/* A boolean filter: `fallback` when absent. False with *err set: neither true nor false. */
bool filters_bool(json_t *filters, const char *key, bool fallback, bool *ret, struct error *err);
/* "until" of prunes: 0 when absent; wall clock. ERROR_INVALID when there are several. */
bool filters_until(json_t *filters, int64_t *ret_ns, struct error *err);
/* "until" of lists: the earliest of them. */
bool filters_until_all(json_t *filters, int64_t *ret_ns, struct error *err);

#endif
