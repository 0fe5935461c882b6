/* Words of a Dockerfile: quotes, escapes and variables, as a shell would take
 * them (buildkit: frontend/dockerfile/shell). Pure. */
#ifndef SOCKERLESS_DOCKERFILE_EXPAND_H
#define SOCKERLESS_DOCKERFILE_EXPAND_H

#include "util/arena.h"
#include "util/error.h"

/* What one expansion may grow to, and what a pattern may cost: `ENV A=$A$A` doubles with each line. */
enum { EXPAND_MAX_BYTES = 256 << 10 };

struct expand_source {
	const char *(*get)(void *arg, const char *name); /* NULL: not set */
	void *arg;
};

enum expand_flags {
	EXPAND_KEEP_QUOTES = 1,
	EXPAND_KEEP_ESCAPES = 2,
	EXPAND_NO_QUOTES = 4,  /* quotes mean themselves */
	EXPAND_KEEP_UNSET = 8, /* variables that are not set stay as they are written */
};

/* ERROR_INVALID: failed to process "…": … In `source` NULL: nothing is set. */
int expand_word(struct arena *a, const char *word, char escape, unsigned flags, const struct expand_source *source,
		char **ret, struct error *err);
/* The same, cut into words at the blanks that no quotes hold. Adds to *ret. */
int expand_words(struct arena *a, const char *word, char escape, unsigned flags, const struct expand_source *source,
		 struct words *ret, struct error *err);

#endif
