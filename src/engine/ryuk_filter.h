/* What a client of the reaper says is to be removed. Pure. */
#ifndef SOCKERLESS_ENGINE_RYUK_FILTER_H
#define SOCKERLESS_ENGINE_RYUK_FILTER_H

#include <stdbool.h>

#include <jansson.h>

#include "util/error.h"

/* One line, a query string ("label=a%3Db&label=c", "name=x", "id=y"), into `filters`, an array of objects: key →
 * array of values. A line that is there already is not added again. ERROR_INVALID: not a query, no filter in it,
 * or a key that nothing here knows. */
int ryuk_filter_add(json_t *filters, const char *line, struct error *err);
/* Does a thing match one of the lines: all its labels, any of its names, any of its ids (or their beginnings)? */
bool ryuk_matches(json_t *filters, const char *id, const char *name, json_t *labels);

#endif
