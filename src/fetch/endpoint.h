/* One registry's address: found, greeted (GET /v2/), and spoken to with the right credentials. Shared by threads. */
#ifndef SOCKERLESS_FETCH_ENDPOINT_H
#define SOCKERLESS_FETCH_ENDPOINT_H

#include "fetch/http.h"
#include "fetch/refusal.h"
#include "fetch/session.h"

struct endpoint;

/* Addresses to try in turn. `is_pull`: mirrors first. NULL-ended, malloc'd with their texts. */
struct endpoint_address {
	char *base;          /* "https://host:port", no slash at its end */
	char *domain;        /* names the directory of certificates */
	bool is_mirror, is_insecure;
};
size_t endpoint_addresses(const struct session *s, bool is_pull, struct endpoint_address **ret);
void endpoint_addresses_free(struct endpoint_address *list, size_t n);

/* Greets. *ret_is_unreachable: nobody answered, as opposed to somebody who is no registry. */
int endpoint_open(const struct session *s, struct http *h, const struct endpoint_address *at, struct endpoint **ret,
		  bool *ret_is_unreachable, struct error *err);
void endpoint_free(struct endpoint *e);

const char *endpoint_base(const struct endpoint *e);
bool endpoint_is_mirror(const struct endpoint *e);
/* "base/v2/<path of the name>/<rest>": malloc'd. */
char *endpoint_url(const struct endpoint *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Sends with credentials for `scope` ("repository:x:pull", space-separated; "" none); once more after a 401 that asks for
 * others. `req`'s authorization and trust are set here. */
int endpoint_send(struct endpoint *e, struct http *h, struct http_request *req, const char *scope,
		  struct http_response *ret, enum http_failure *ret_failure, struct error *err);
/* The same, again and again after 429, 5xx and broken connections (not for bodies that a sink has seen a part of). */
int endpoint_call(struct endpoint *e, struct http *h, struct http_request *req, const char *scope,
		  struct http_response *ret, struct error *err);
bool endpoint_is_passing(int status); /* 429, 5xx */

/* What a reply that is no success says. */
void endpoint_refusal(const struct http_response *r, struct refusal *ret);
/* A refresh token that the token service gave; "" when it gave none. Owned by the endpoint. */
const char *endpoint_identity_token(const struct endpoint *e);
/* The same with asking for one: before the first send. */
void endpoint_ask_identity_token(struct endpoint *e);

#endif
