/* The syntax of an image's tag (distribution/reference: regexp.go): here for the daemon and for the registry's client. Pure. */
#ifndef SOCKERLESS_UTIL_TAG_H
#define SOCKERLESS_UTIL_TAG_H

#include <stdbool.h>

enum { TAG_MAX = 128 };

/* ASCII letters, digits, "_", "." and "-", the latter two not first; 1 to TAG_MAX of them. */
bool tag_is_valid(const char *tag);

#endif
