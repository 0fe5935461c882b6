#include "fetch/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fetch/refusal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define REPLY_MAX (1u << 20)
#define TOKEN_MAX (256u << 10)
#define LIFETIME_MIN_S 60
#define TIMEOUT_S 15
#define CLIENT_ID "docker"

static void drop(struct tokens *t, size_t i)
{
	free(t->kept[i].scope);
	free(t->kept[i].header);
	t->kept[i] = t->kept[--t->count];
}

void tokens_done(struct tokens *t)
{
	while (t->count)
		drop(t, 0);
	free(t->refresh_token);
}

void tokens_forget(struct tokens *t, const char *header)
{
	for (size_t i = 0; header && i < t->count; i++)
		if (strcmp(t->kept[i].header, header) == 0) {
			drop(t, i);
			return;
		}
}

char *token_basic(const char *username, const char *password)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	CLEANUP(freep) char *plain = xasprintf("%s:%s", username, password);
	size_t len = strlen(plain), n = 0;
	char *out = xmalloc(6 + (len + 2) / 3 * 4 + 1);

	memcpy(out, "Basic ", 6);
	n = 6;
	for (size_t i = 0; i < len; i += 3) {
		unsigned b = (unsigned char)plain[i] << 16;

		b |= i + 1 < len ? (unsigned)(unsigned char)plain[i + 1] << 8 : 0;
		b |= i + 2 < len ? (unsigned char)plain[i + 2] : 0;
		out[n++] = digits[b >> 18];
		out[n++] = digits[b >> 12 & 63];
		out[n++] = i + 1 < len ? digits[b >> 6 & 63] : '=';
		out[n++] = i + 2 < len ? digits[b & 63] : '=';
	}
	out[n] = '\0';
	return out;
}

/* "key=value" in the form of a URL's query, after what is there. */
static void put(struct buf *b, const char *key, const char *value)
{
	buf_printf(b, "%s%s=", b->len ? "&" : "", key);
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || strchr("-_.~", *p))
			buf_append(b, p, 1);
		else
			buf_printf(b, "%%%02X", *p);
}

/* Several scopes are several parameters. */
static void put_scopes(struct buf *b, const char *scope)
{
	while (*scope) {
		size_t n = strcspn(scope, " ");
		CLEANUP(freep) char *one = xstrndup(scope, n);

		if (n)
			put(b, "scope", one);
		scope += n + (scope[n] == ' ');
	}
}

static int keep(struct tokens *t, const char *scope, json_t *root, char **ret, struct error *err)
{
	const char *token = json_string_value(json_object_get(root, "access_token"));
	const char *refresh = json_string_value(json_object_get(root, "refresh_token"));
	json_int_t lifetime = json_integer_value(json_object_get(root, "expires_in"));

	if (!token || !*token)
		token = json_string_value(json_object_get(root, "token"));
	if (!token || !*token || strlen(token) > TOKEN_MAX || strpbrk(token, "\r\n"))
		return error_set(err, -EPROTO, "authorization server did not include a token in the response");
	if (refresh && *refresh) {
		free(t->refresh_token);
		t->refresh_token = xstrdup(refresh);
	}
	if (lifetime < LIFETIME_MIN_S)
		lifetime = LIFETIME_MIN_S;
	if (lifetime > 86400)
		lifetime = 86400;
	if (t->count == TOKENS_MAX)
		drop(t, 0);
	t->kept[t->count].scope = xstrdup(scope);
	t->kept[t->count].header = xasprintf("Bearer %s", token);
	t->kept[t->count].expires_ns = clock_monotonic_ns() + (lifetime - 5) * 1000000000;
	*ret = xstrdup(t->kept[t->count++].header);
	return 0;
}

static int read_reply(struct tokens *t, const char *scope, const struct http_response *r, char **ret, struct error *err)
{
	json_t *root;
	int result;

	if (r->status < 200 || r->status >= 400) {
		struct refusal refusal;

		refusal_read(r->status, r->reason, http_header(r, "Content-Type"), r->body.data ? r->body.data : "",
			     r->body.len, NULL, &refusal);
		return error_set_class(err, refusal.code == REFUSAL_UNAUTHORIZED ? ERROR_UNAUTHORIZED : ERROR_INTERNAL,
				       "%s", refusal.text);
	}
	root = json_loadb(r->body.data ? r->body.data : "", r->body.len, 0, NULL);
	result = root ? keep(t, scope, root, ret, err) :
			error_set(err, -EPROTO, "unable to decode token response: it is not JSON");
	json_decref(root);
	return result;
}

static int ask(struct tokens *t, struct http *h, const struct challenge *c, const struct credentials *who,
	       const char *scope, const struct http_trust *trust, char **ret, struct error *err)
{
	bool is_refresh = *who->identity_token, has_password = *who->username && *who->password;
	CLEANUP(freep) char *url = NULL, *basic = NULL;
	static const char *const form[] = { "Content-Type: application/x-www-form-urlencoded", NULL };
	struct http_trust same = { .is_insecure = trust->is_insecure, .ca_file = trust->ca_file }; /* our certificate is not for it */
	struct http_request req = {
		.method = is_refresh ? "POST" : "GET", .body_max = REPLY_MAX, .timeout_s = TIMEOUT_S, .trust = &same
	};
	struct http_response response;
	enum http_failure failure;
	struct buf b;
	int r;

	buf_init(&b, 64u << 10);
	if (*c->service || is_refresh)
		put(&b, "service", c->service);
	if (is_refresh) {
		put(&b, "scope", scope);
		put(&b, "client_id", CLIENT_ID);
		put(&b, "grant_type", "refresh_token");
		put(&b, "refresh_token", who->identity_token);
		url = xstrdup(c->realm);
		req.body = b.data;
		req.body_len = b.len;
		req.headers = form;
	} else {
		put_scopes(&b, scope);
		if (t->is_offline) {
			put(&b, "offline_token", "true");
			put(&b, "client_id", CLIENT_ID);
		}
		if (has_password) {
			put(&b, "account", who->username);
			basic = token_basic(who->username, who->password);
		}
		url = xasprintf("%s%s%s", c->realm, b.len ? strchr(c->realm, '?') ? "&" : "?" : "", b.len ? b.data : "");
		req.authorization = basic;
	}
	req.url = url;
	r = http_send(h, &req, &response, &failure, err);
	if (r == 0)
		r = read_reply(t, scope, &response, ret, err);
	http_response_done(&response);
	buf_done(&b);
	return r;
}

int tokens_get(struct tokens *t, struct http *h, const struct challenge *c, const struct credentials *who,
	       const char *scope, const struct http_trust *trust, bool is_secure, char **ret, struct error *err)
{
	bool is_plain = strncmp(c->realm, "http://", 7) == 0;

	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->kept[i].scope, scope) != 0)
			continue;
		if (t->kept[i].expires_ns > clock_monotonic_ns()) {
			*ret = xstrdup(t->kept[i].header);
			return 0;
		}
		drop(t, i);
		break;
	}
	if (!*c->realm)
		return error_set(err, -EPROTO, "no realm specified for token auth challenge");
	if (!is_plain && strncmp(c->realm, "https://", 8) != 0)
		return error_set(err, -EPROTO, "invalid token auth challenge realm: %.200s", c->realm);
	if (is_plain && is_secure && (*who->identity_token || *who->password))
		return error_set(err, -EPROTO,
				 "the token service %.200s is not asked: credentials do not go to it in the clear", c->realm);
	return ask(t, h, c, who, scope, trust, ret, err);
}
