/* Tokens of a registry's token service: fetched with a password, or with an identity token by OAuth 2; kept until they
 * age. Not thread safe: under the endpoint's lock. */
#ifndef SOCKERLESS_FETCH_TOKEN_H
#define SOCKERLESS_FETCH_TOKEN_H

#include "fetch/challenge.h"
#include "fetch/http.h"

#define TOKENS_MAX 16

struct credentials {
	const char *username, *password, *identity_token; /* "" when there are none */
};

struct tokens {
	struct {
		char *scope, *header;  /* "Bearer …" */
		int64_t expires_ns;    /* monotonic */
	} kept[TOKENS_MAX];
	size_t count;
	bool is_offline;               /* asks for a refresh token */
	char *refresh_token;           /* what came of it, or NULL */
};

void tokens_done(struct tokens *t);

/* *ret: the value of an Authorization header, malloc'd. `trust`: the registry's, which holds for its token service too.
 * `is_secure`: the registry speaks TLS, so no password may go to a token service that does not. */
int tokens_get(struct tokens *t, struct http *h, const struct challenge *c, const struct credentials *who,
	       const char *scope, const struct http_trust *trust, bool is_secure, char **ret, struct error *err);
/* The registry did not take this one. NULL: nothing happens. */
void tokens_forget(struct tokens *t, const char *header);

/* "Basic …", malloc'd. */
char *token_basic(const char *username, const char *password);

#endif
