/* The certificates of one registry: DIR/<host:port>/ with ca.crt and others, client.cert and client.key, as Docker has
 * them. */
#ifndef SOCKERLESS_FETCH_CERTS_H
#define SOCKERLESS_FETCH_CERTS_H

#include "fetch/http.h"

struct certs {
	struct http_trust trust; /* its texts are below */
	char *ca_file, *cert, *key;
	int ca_fd;               /* what ca_file names: the system's authorities and the registry's; 0: none */
};

/* No such directory: the system's authorities alone. */
int certs_open(struct certs *c, const char *dir, const char *domain, struct error *err);
void certs_done(struct certs *c);

#endif
