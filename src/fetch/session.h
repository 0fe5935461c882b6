/* What one run of the program was asked to do, and by whom: read once, never changed. */
#ifndef SOCKERLESS_FETCH_SESSION_H
#define SOCKERLESS_FETCH_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "fetch/http.h"
#include "fetch/name.h"
#include "fetch/platform.h"

struct session {
	json_t *root;              /* the request: all texts below are its own */
	struct name name;          /* when `has_name` */
	bool has_name;
	const char *tag, *digest;  /* "" when not given */
	struct platform platform, shown_platform;
	const char *username, *password, *identity_token, *registry_token; /* "" when not given */
	const char *dir;           /* where blobs go; "" when not given */
	const char *certs_dir;
	json_t *mirrors, *insecure; /* arrays, may be NULL */
	struct http_options http;
	int tries, backoff_ms, parallel;
};

/* Takes the request. ERROR_INVALID for what it cannot be. */
int session_open(json_t *take_request, struct session *ret, struct error *err);
void session_done(struct session *s);

/* A text of the request, "" when it is not there. */
const char *session_text(const struct session *s, const char *key);

/* A loopback address, localhost, or configured to be one. */
bool session_is_insecure(const struct session *s, const char *domain);

/* Waits before the next try, longer each time; `retry_after` (NULL: none) is obeyed up to a minute.
 * Returns the seconds, rounded up. */
int session_wait_seconds(const struct session *s, int attempt, const char *retry_after);
void session_wait(const struct session *s, int attempt, const char *retry_after);

#endif
