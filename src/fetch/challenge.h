/* WWW-Authenticate (RFC 7235) as Docker reads it: one challenge a header line. Pure. */
#ifndef SOCKERLESS_FETCH_CHALLENGE_H
#define SOCKERLESS_FETCH_CHALLENGE_H

#include <stdbool.h>

struct challenge {
	char scheme[16];       /* in small letters: "basic", "bearer" */
	char realm[1024];
	char service[256];
	char error[64];
	char description[512]; /* error_description */
};

/* False: no challenge. A parameter that is too long for its place counts as absent. */
bool challenge_parse(const char *header, struct challenge *ret);

#endif
