/* What tls.c and tls_relay.c share. */
#ifndef SOCKERLESS_UTIL_TLS_INTERNAL_H
#define SOCKERLESS_UTIL_TLS_INTERNAL_H

#include <stdbool.h>

#include <gnutls/gnutls.h>

#include "util/list.h"
#include "util/tls.h"

/* Handshakes at work on the pool at once: strangers who knock must leave it to files. */
enum { TLS_WORKING_MAX = 2 };

struct tls_context {
	unsigned refs, nworking;
	struct list waiting; /* relays whose next step has no room on the pool yet */
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	bool is_server;
};

struct tls_context *tls_ref(struct tls_context *c);
/* Ready for its handshake on this descriptor. A code of GnuTLS. */
int tls_session_new(struct tls_context *c, int fd, const char *host, gnutls_session_t *ret);
/* Why a handshake has failed, in words. */
void tls_explain(gnutls_session_t session, int code, char *text, size_t size);

#endif
