/* Patterns with * and ?: of a variable's substitution, and of paths as Go's
 * filepath.Match takes them. Pure; in time that a client cannot blow up. */
#ifndef SOCKERLESS_DOCKERFILE_GLOB_H
#define SOCKERLESS_DOCKERFILE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

/* ${name#pattern}: * is anything but a line's end, ? one character of it, \ escapes *, ?, \, } and /. Where the pattern
 * is none, *why says so and the answer is false.
 * The shortest or longest beginning of `text` that matches ends at *ret_end. */
bool glob_prefix(const char *pattern, const char *text, bool is_longest, size_t *ret_end, struct error *why);
/* The shortest or longest end begins at *ret_start. */
bool glob_suffix(const char *pattern, const char *text, bool is_longest, size_t *ret_start, struct error *why);
/* The first place from `from` on, there the longest. */
bool glob_find(const char *pattern, const char *text, size_t from, size_t *ret_start, size_t *ret_end, struct error *why);

/* filepath.Match: * and ? do not match a slash; [a-z], [^a-z], \c. False: "syntax error in pattern". */
bool glob_path_is_valid(const char *pattern);
bool glob_path_match(const char *pattern, const char *path); /* of a valid one */
bool glob_path_has_wildcards(const char *path);

/* The character at s (its bytes in *ret_len), a byte that is none as itself. */
unsigned glob_rune(const char *s, size_t *ret_len);
/* [class] at `at`: answers what stands behind it, NULL when it is none. */
const char *glob_class(const char *at, unsigned rune, bool *ret_matches);

#endif
