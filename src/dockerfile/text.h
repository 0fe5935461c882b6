/* Texts as Docker's messages have them: quoted as by Go's %q, and "did you mean". Pure. */
#ifndef SOCKERLESS_DOCKERFILE_TEXT_H
#define SOCKERLESS_DOCKERFILE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/arena.h"

/* "a\tb" with its quotes, as Go's strconv.Quote. */
char *text_quote(struct arena *a, const char *s);
/* " (did you mean X?)", or "" when nothing of `options` (NULL-ended) is near enough. Without regard to case the answer
 * has the case of `word`. */
char *text_suggest(struct arena *a, const char *word, const char *const *options, bool minds_case);
/* A blank, as unicode.IsSpace says for ASCII. */
bool text_is_space(char c);
/* Without blanks at both ends. */
char *text_trim(struct arena *a, const char *s, size_t n);
char *text_lower(struct arena *a, const char *s);
/* Go's path.Clean. */
char *text_clean_path(struct arena *a, const char *path);
/* path.Join("/", base, path) where path is not absolute; cleaned. */
char *text_absolute_path(struct arena *a, const char *base, const char *path);

#endif
