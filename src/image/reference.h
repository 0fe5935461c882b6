/* Names of images as Docker writes and normalises them (distribution/reference):
 * [registry/]path[:tag][@digest]. Pure. */
#ifndef SOCKERLESS_IMAGE_REFERENCE_H
#define SOCKERLESS_IMAGE_REFERENCE_H

#include "util/error.h"

struct reference {
	char name[256];    /* familiar: without docker.io/ and library/ */
	char tag[129];     /* "" when none was given */
	char digest[80];   /* "sha256:…" or "" */
};

/* ERROR_INVALID "invalid reference format" and its variants. */
int reference_parse(const char *text, struct reference *ret, struct error *err);
/* "name:tag", tag latest when there is none; malloc'd. */
char *reference_tagged(const struct reference *ref);

#endif
