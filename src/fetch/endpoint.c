#include "fetch/endpoint.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch/certs.h"
#include "fetch/http_errors.h"
#include "fetch/token.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define CHALLENGES_MAX 4
#define ERROR_BODY_MAX (64u << 10)
#define GREETING_TIMEOUT_S 15

struct endpoint {
	const struct session *session;
	char *base;
	bool is_mirror;
	struct certs certs;
	pthread_mutex_t lock; /* of what is below */
	struct challenge challenges[CHALLENGES_MAX];
	size_t nchallenges;
	struct tokens tokens;
};

/* ---- addresses ---- */

static void add(struct endpoint_address *list, size_t *n, const char *scheme, const char *domain, bool is_mirror, bool is_insecure)
{
	list[(*n)++] = (struct endpoint_address){ .base = xasprintf("%s%s", scheme, domain),
						  .domain = xstrndup(domain, strcspn(domain, "/")),
						  .is_mirror = is_mirror,
						  .is_insecure = is_insecure };
	for (char *end = list[*n - 1].base + strlen(list[*n - 1].base); end[-1] == '/'; *--end = '\0')
		;
}

size_t endpoint_addresses(const struct session *s, bool is_pull, struct endpoint_address **ret)
{
	size_t n = 0, nmirrors = json_array_size(s->mirrors), i;
	struct endpoint_address *list = xcalloc(nmirrors + 3, sizeof(*list));
	const char *domain = s->name.domain;
	json_t *v;

	if (name_is_docker(domain)) {
		json_array_foreach(s->mirrors, i, v) {
			const char *url = json_string_value(v);
			bool is_plain = url && strncmp(url, "http://", 7) == 0;
			const char *rest = !url                             ? "" :
					   is_plain                         ? url + 7 :
					   strncmp(url, "https://", 8) == 0 ? url + 8 :
									      url;
			CLEANUP(freep) char *host = xstrndup(rest, strcspn(rest, "/"));

			if (is_pull && *host)
				add(list, &n, is_plain ? "http://" : "https://", rest, true,
				    is_plain || session_is_insecure(s, host));
		}
		add(list, &n, "https://", "registry-1.docker.io", false, false);
	} else {
		bool is_insecure = session_is_insecure(s, domain);

		add(list, &n, "https://", domain, false, is_insecure);
		if (is_insecure)
			add(list, &n, "http://", domain, false, true);
	}
	*ret = list;
	return n;
}

void endpoint_addresses_free(struct endpoint_address *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].base);
		free(list[i].domain);
	}
	free(list);
}

/* ---- greeting ---- */

/* Of a 401: what it asks for replaces what was asked for before. */
static void keep_challenges(struct endpoint *e, const struct http_response *r)
{
	size_t n = 0;

	if (r->status != 401 || !http_header(r, "WWW-Authenticate"))
		return;
	for (size_t i = 0; i < r->nheaders && n < CHALLENGES_MAX; i++)
		if (strcasecmp(r->names[i], "WWW-Authenticate") == 0)
			n += challenge_parse(r->values[i], &e->challenges[n]);
	e->nchallenges = n;
}

int endpoint_open(const struct session *s, struct http *h, const struct endpoint_address *at, struct endpoint **ret,
		  bool *ret_is_unreachable, struct error *err)
{
	struct endpoint *e = xnew(struct endpoint);
	CLEANUP(freep) char *url = xasprintf("%s/v2/", at->base);
	struct http_request req = {
		.method = "GET", .url = url, .trust = &e->certs.trust, .body_max = ERROR_BODY_MAX, .timeout_s = GREETING_TIMEOUT_S
	};
	struct http_response response = { 0 };
	enum http_failure failure = HTTP_ENDED;
	int r;

	e->session = s;
	e->base = xstrdup(at->base);
	e->is_mirror = at->is_mirror;
	pthread_mutex_init(&e->lock, NULL);
	*ret_is_unreachable = false;
	r = strncmp(at->base, "https:", 6) == 0 ? certs_open(&e->certs, s->certs_dir, at->domain, err) : 0;
	e->certs.trust.is_insecure = at->is_insecure;
	if (r == 0) {
		r = http_send(h, &req, &response, &failure, err);
		if (r == 0)
			keep_challenges(e, &response);
		http_response_done(&response);
	}
	if (r < 0) {
		*ret_is_unreachable = http_is_unreachable(failure) || failure == HTTP_BROKEN;
		endpoint_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void endpoint_free(struct endpoint *e)
{
	if (!e)
		return;
	certs_done(&e->certs);
	tokens_done(&e->tokens);
	pthread_mutex_destroy(&e->lock);
	free(e->base);
	free(e);
}

const char *endpoint_base(const struct endpoint *e)
{
	return e->base;
}

bool endpoint_is_mirror(const struct endpoint *e)
{
	return e->is_mirror;
}

char *endpoint_url(const struct endpoint *e, const char *fmt, ...)
{
	char rest[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(rest, sizeof(rest), fmt, ap);
	va_end(ap);
	return xasprintf("%s/v2/%s/%s", e->base, e->session->name.path, rest);
}

/* ---- credentials ---- */

/* Of docker.io's account a mirror learns nothing. */
static void credentials_of(const struct endpoint *e, struct credentials *ret)
{
	const struct session *s = e->session;

	*ret = e->is_mirror ? (struct credentials){ "", "", "" } :
			      (struct credentials){ s->username, s->password, s->identity_token };
}

static int authorize(struct endpoint *e, struct http *h, const struct http_request *req, const char *scope, char **ret,
		     struct error *err)
{
	struct credentials c;
	int r = 0;

	credentials_of(e, &c);
	if (*e->session->registry_token && !e->is_mirror) {
		*ret = e->nchallenges ? xasprintf("Bearer %s", e->session->registry_token) : NULL;
		return 0;
	}
	for (size_t i = 0; i < e->nchallenges && r == 0 && !*ret; i++) {
		if (strcmp(e->challenges[i].scheme, "bearer") == 0)
			r = tokens_get(&e->tokens, h, &e->challenges[i], &c, scope, &e->certs.trust,
				       strncmp(e->base, "https:", 6) == 0, ret, err);
		else if (strcmp(e->challenges[i].scheme, "basic") == 0 && *c.username && *c.password)
			*ret = token_basic(c.username, c.password);
		else if (strcmp(e->challenges[i].scheme, "basic") == 0)
			r = error_set(err, -EACCES, "no basic auth credentials");
	}
	if (r < 0)
		error_prefix(err, "%s \"%.*s\"", http_verb(req->method), (int)strcspn(req->url, "?"), req->url);
	return r;
}

/* Worth asking again: other challenges than before, or a token that may have aged. */
static bool is_worth_again(const struct endpoint *e, const char *authorization)
{
	if (e->nchallenges == 0)
		return false;
	return !authorization || strncmp(authorization, "Bearer ", 7) == 0;
}

int endpoint_send(struct endpoint *e, struct http *h, struct http_request *req, const char *scope,
		  struct http_response *ret, enum http_failure *ret_failure, struct error *err)
{
	*ret = (struct http_response){ 0 };
	/* A registry may have its uploads elsewhere: that host is told nothing. */
	if (!http_is_same_origin(req->url, e->base))
		return http_send(h, req, ret, ret_failure, err);
	req->trust = &e->certs.trust;
	req->is_downgrade_allowed = e->certs.trust.is_insecure;
	for (int round = 0;; round++) {
		CLEANUP(freep) char *authorization = NULL;
		bool is_again;
		int r;

		*ret_failure = HTTP_ENDED;
		pthread_mutex_lock(&e->lock);
		r = authorize(e, h, req, scope, &authorization, err);
		pthread_mutex_unlock(&e->lock);
		if (r < 0)
			return r;
		req->authorization = authorization;
		r = http_send(h, req, ret, ret_failure, err);
		req->authorization = NULL;
		if (r < 0 || ret->status != 401 || round > 0)
			return r;
		pthread_mutex_lock(&e->lock);
		keep_challenges(e, ret);
		is_again = is_worth_again(e, authorization) && !*e->session->registry_token;
		if (is_again)
			tokens_forget(&e->tokens, authorization);
		pthread_mutex_unlock(&e->lock);
		if (!is_again)
			return 0;
		http_response_done(ret);
	}
}

bool endpoint_is_passing(int status)
{
	return status == 429 || (status >= 500 && status != 501 && status != 505);
}

int endpoint_call(struct endpoint *e, struct http *h, struct http_request *req, const char *scope,
		  struct http_response *ret, struct error *err)
{
	enum http_failure failure;

	for (int attempt = 0;; attempt++) {
		int r = endpoint_send(e, h, req, scope, ret, &failure, err);
		bool is_last = attempt + 1 >= e->session->tries;

		if (is_last || (r < 0 && failure != HTTP_BROKEN && !http_is_unreachable(failure)) ||
		    (r == 0 && !endpoint_is_passing(ret->status)))
			return r;
		session_wait(e->session, attempt, r == 0 ? http_header(ret, "Retry-After") : NULL);
		http_response_done(ret);
	}
}

void endpoint_refusal(const struct http_response *r, struct refusal *ret)
{
	struct challenge c, *bearer = NULL;

	for (size_t i = 0; i < r->nheaders && !bearer; i++)
		if (r->status == 401 && strcasecmp(r->names[i], "WWW-Authenticate") == 0 &&
		    challenge_parse(r->values[i], &c) && strcmp(c.scheme, "bearer") == 0)
			bearer = &c;
	refusal_read(r->status, r->reason, http_header(r, "Content-Type"), r->body.data ? r->body.data : "",
		     r->body.len, bearer, ret);
}

const char *endpoint_identity_token(const struct endpoint *e)
{
	return e->tokens.refresh_token ? e->tokens.refresh_token : "";
}

void endpoint_ask_identity_token(struct endpoint *e)
{
	e->tokens.is_offline = true;
}
