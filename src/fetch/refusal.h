/* What a registry says when it says no, in the words of Docker's client. Pure. */
#ifndef SOCKERLESS_FETCH_REFUSAL_H
#define SOCKERLESS_FETCH_REFUSAL_H

#include <stddef.h>

#include "fetch/challenge.h"

enum refusal_code {
	REFUSAL_OTHER,
	REFUSAL_UNAUTHORIZED,
	REFUSAL_DENIED,
	REFUSAL_TOO_MANY,
	REFUSAL_MANIFEST_UNKNOWN,
	REFUSAL_NAME_UNKNOWN,
	REFUSAL_BLOB_UNKNOWN,
};

struct refusal {
	enum refusal_code code;
	char text[768]; /* "manifest unknown: manifest unknown" */
};

/* `reason`: the status line after the number. `content_type` NULL: none. `bearer` NULL: no such challenge came. */
void refusal_read(int status, const char *reason, const char *content_type, const char *body, size_t len,
		  const struct challenge *bearer, struct refusal *ret);

#endif
