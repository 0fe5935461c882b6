#include "fetch/refusal.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

static const struct {
	const char *name, *message;
	enum refusal_code code;
} codes[] = {
	{ "UNKNOWN", "unknown error", REFUSAL_OTHER },
	{ "UNSUPPORTED", "The operation is unsupported.", REFUSAL_OTHER },
	{ "UNAUTHORIZED", "authentication required", REFUSAL_UNAUTHORIZED },
	{ "DENIED", "requested access to the resource is denied", REFUSAL_DENIED },
	{ "UNAVAILABLE", "service unavailable", REFUSAL_OTHER },
	{ "TOOMANYREQUESTS", "too many requests", REFUSAL_TOO_MANY },
	{ "DIGEST_INVALID", "provided digest did not match uploaded content", REFUSAL_OTHER },
	{ "SIZE_INVALID", "provided length did not match content length", REFUSAL_OTHER },
	{ "NAME_INVALID", "invalid repository name", REFUSAL_OTHER },
	{ "TAG_INVALID", "manifest tag did not match URI", REFUSAL_OTHER },
	{ "NAME_UNKNOWN", "repository name not known to registry", REFUSAL_NAME_UNKNOWN },
	{ "MANIFEST_UNKNOWN", "manifest unknown", REFUSAL_MANIFEST_UNKNOWN },
	{ "MANIFEST_INVALID", "manifest invalid", REFUSAL_OTHER },
	{ "MANIFEST_UNVERIFIED", "manifest failed signature verification", REFUSAL_OTHER },
	{ "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", REFUSAL_OTHER },
	{ "BLOB_UNKNOWN", "blob unknown to registry", REFUSAL_BLOB_UNKNOWN },
	{ "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", REFUSAL_OTHER },
	{ "BLOB_UPLOAD_INVALID", "blob upload invalid", REFUSAL_OTHER },
	{ "PAGINATION_NUMBER_INVALID", "invalid number of results requested", REFUSAL_OTHER },
};

/* "manifest unknown: message"; a code that nobody knows is "unknown". */
static void put(struct refusal *ret, const char *code, const char *message)
{
	size_t at = 0, n = 0;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (code && strcasecmp(code, codes[i].name) == 0)
			at = i;
	ret->code = codes[at].code;
	for (const char *p = codes[at].name; *p; p++)
		ret->text[n++] = (char)(*p == '_' ? ' ' : tolower((unsigned char)*p));
	snprintf(ret->text + n, sizeof(ret->text) - n, ": %s", message && *message ? message : codes[at].message);
}

static void put_by_status(struct refusal *ret, int status, const char *message)
{
	put(ret,
	    status == 401 ? "UNAUTHORIZED" :
	    status == 403 ? "DENIED" :
	    status == 429 ? "TOOMANYREQUESTS" :
			    "UNKNOWN",
	    message);
}

/* As Go's %q. */
static void quote(const char *body, size_t len, char *out, size_t size)
{
	size_t n = 0;

	out[n++] = '"';
	for (size_t i = 0; i < len && n + 6 < size; i++) {
		unsigned char c = (unsigned char)body[i];

		if (c == '"' || c == '\\')
			n += (size_t)snprintf(out + n, size - n, "\\%c", c);
		else if (c == '\n' || c == '\r' || c == '\t')
			n += (size_t)snprintf(out + n, size - n, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if (c < 32 || c > 126)
			n += (size_t)snprintf(out + n, size - n, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	snprintf(out + n, size - n, "\"");
}

static void put_unparsed(struct refusal *ret, int status, const char *why, const char *body, size_t len)
{
	char quoted[512];

	quote(body, len, quoted, sizeof(quoted));
	ret->code = REFUSAL_OTHER;
	if (status == 401)
		put(ret, "UNAUTHORIZED", NULL);
	else
		snprintf(ret->text, sizeof(ret->text), "error parsing HTTP %d response body: %s: %s", status, why, quoted);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void read_json(struct refusal *ret, int status, const char *body, size_t len)
{
	json_t *root = json_loadb(body, len, JSON_DECODE_ANY, NULL), *first;
	char why[96];

	first = json_array_get(json_object_get(root, "errors"), 0);
	if (!root && len == 0)
		snprintf(why, sizeof(why), "unexpected end of JSON input");
	else if (!root)
		snprintf(why, sizeof(why), "invalid character '%c' looking for beginning of value",
			 isprint((unsigned char)body[0]) ? body[0] : '?');
	else
		snprintf(why, sizeof(why), "no error details found in HTTP response body");
	if (*text_of(root, "details"))
		put_by_status(ret, status, text_of(root, "details"));
	else if (json_is_object(first) || json_is_string(first))
		put(ret, json_is_string(first) ? json_string_value(first) : text_of(first, "code"), text_of(first, "message"));
	else
		put_unparsed(ret, status, why, body, len);
	json_decref(root);
}

void refusal_read(int status, const char *reason, const char *content_type, const char *body, size_t len,
		  const struct challenge *bearer, struct refusal *ret)
{
	char type[64], text[512];

	snprintf(type, sizeof(type), "%.*s", content_type ? (int)strcspn(content_type, "; ") : 0,
		 content_type ? content_type : "");
	if (status < 400 || status >= 500) {
		ret->code = REFUSAL_OTHER;
		snprintf(ret->text, sizeof(ret->text), "received unexpected HTTP status: %d%s%.200s", status,
			 reason && *reason ? " " : "", reason ? reason : "");
	} else if (bearer && strcmp(bearer->error, "invalid_token") == 0) {
		put(ret, "UNAUTHORIZED", bearer->description);
	} else if (bearer && strcmp(bearer->error, "insufficient_scope") == 0) {
		put(ret, "DENIED", bearer->description);
	} else if (strcasecmp(type, "application/json") == 0 || strcasecmp(type, "application/vnd.api+json") == 0) {
		read_json(ret, status, body, len);
	} else {
		snprintf(text, sizeof(text), "%.*s", len < 400 ? (int)len : 400, body ? body : "");
		put_by_status(ret, status, text);
	}
}
