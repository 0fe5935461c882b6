/* Where an image's name leads: "busybox" to docker.io's library/busybox, "host:5000/x/y" to that host. Pure. */
#ifndef SOCKERLESS_FETCH_NAME_H
#define SOCKERLESS_FETCH_NAME_H

#include <stdbool.h>

#include "util/error.h"

struct name {
	char domain[256]; /* as the reference has it: "docker.io", "127.0.0.1:5000" */
	char path[256];   /* within the registry: "library/busybox" */
	char familiar[256];
};

/* `familiar`: a repository without tag and digest, already checked by the daemon; here only its characters are, since
 * they go into URLs. ERROR_INVALID "invalid reference format". */
int name_split(const char *familiar, struct name *ret, struct error *err);

bool name_is_docker(const char *domain);
/* "127.0.0.1:5000" → "127.0.0.1", "[::1]:5000" → "::1". */
void name_host_of(const char *domain, char *ret, unsigned size);

#endif
