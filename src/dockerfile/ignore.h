/* .dockerignore, and the patterns of --exclude: which paths of a context are
 * left out (moby/patternmatcher). Pure. */
#ifndef SOCKERLESS_DOCKERFILE_IGNORE_H
#define SOCKERLESS_DOCKERFILE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

enum { IGNORE_MAX_PATTERNS = 10000 };

struct ignore;

/* The file's text; NULL: no patterns. ERROR_INVALID for a pattern that is none. */
int ignore_parse(const char *text, struct ignore **ret, struct error *err);
/* One more pattern, as it stands in the file. */
int ignore_add(struct ignore *g, const char *pattern, struct error *err);
void ignore_free(struct ignore *g); /* takes NULL */
size_t ignore_count(const struct ignore *g);

/* Is `path` ("a/b", clean, relative to the context) left out? Itself or by one of its parents; "." never. */
bool ignore_matches(const struct ignore *g, const char *path);
/* Can a file below an ignored directory be in after all (some pattern begins with !)? Else one need not look there. */
bool ignore_has_exceptions(const struct ignore *g);

#endif
