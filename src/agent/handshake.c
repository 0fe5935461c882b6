#include "agent/handshake.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "agent/base64.h"
#include "agent/sha1.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

int handshake_head_length(const char *text, size_t len)
{
	size_t max = len < HANDSHAKE_HEAD_MAX ? len : HANDSHAKE_HEAD_MAX;
	const char *end = max > 0 ? memmem(text, max, "\r\n\r\n", 4) : NULL;

	if (end)
		return (int)(end - text) + 4;
	return len >= HANDSHAKE_HEAD_MAX ? -EMSGSIZE : 0;
}

char *handshake_target(const char *head, size_t len)
{
	const char *end = memchr(head, '\r', len), *space;

	if (!end || end - head < 14 || memcmp(head, "GET /", 5) != 0)
		return NULL;
	space = memchr(head + 4, ' ', (size_t)(end - head - 4));
	if (!space || end - space != 9 || memcmp(space, " HTTP/1.1", 9) != 0)
		return NULL;
	return xstrndup(head + 4, (size_t)(space - head - 4));
}

int handshake_status(const char *head, size_t len)
{
	if (len < 13 || memcmp(head, "HTTP/1.1 ", 9) != 0 || !isdigit((unsigned char)head[9]) ||
	    !isdigit((unsigned char)head[10]) || !isdigit((unsigned char)head[11]))
		return -1;
	return (head[9] - '0') * 100 + (head[10] - '0') * 10 + head[11] - '0';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

char *handshake_header(const char *head, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *end = head + len, *line = memchr(head, '\n', len);

	while (line && ++line < end) {
		const char *next = memchr(line, '\n', (size_t)(end - line)), *stop = next ? next : end;

		if ((size_t)(stop - line) > n && strncasecmp(line, name, n) == 0 && line[n] == ':') {
			line += n + 1;
			while (line < stop && is_blank(*line))
				line++;
			while (stop > line && (is_blank(stop[-1]) || stop[-1] == '\r'))
				stop--;
			return xstrndup(line, (size_t)(stop - line));
		}
		line = next;
	}
	return NULL;
}

bool handshake_list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list && *list) {
		size_t len;

		list += strspn(list, ", \t");
		len = strcspn(list, ",");
		while (len > 0 && is_blank(list[len - 1]))
			len--;
		if (len == n && strncasecmp(list, word, n) == 0)
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *decode(const char *text, size_t len)
{
	char *out = xmalloc(len + 1), *to = out;

	for (size_t i = 0; i < len; i++) {
		int c = (unsigned char)text[i];

		if (c == '%') {
			c = i + 2 < len && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0 ?
				    hex(text[i + 1]) * 16 + hex(text[i + 2]) :
				    0;
			i += 2;
		}
		if (c == 0) {
			free(out);
			return NULL;
		}
		*to++ = (char)c;
	}
	*to = '\0';
	return out;
}

char *handshake_query(const char *target, const char *key)
{
	const char *at = strchr(target, '?');
	size_t n = strlen(key);

	while (at && *at) {
		size_t len;

		at++;
		len = strcspn(at, "&");
		if (len > n && strncmp(at, key, n) == 0 && at[n] == '=')
			return decode(at + n + 1, len - n - 1);
		at += len;
	}
	return NULL;
}

static void random_bytes(void *to, size_t len)
{
	if (getrandom(to, len, 0) != (ssize_t)len)
		abort(); /* nothing may be built upon bytes that are not random */
}

void handshake_make_key(char out[HANDSHAKE_KEY_LEN + 1])
{
	unsigned char bytes[16];

	random_bytes(bytes, sizeof(bytes));
	base64_encode(bytes, sizeof(bytes), out);
}

void handshake_accept_key(const char *key, char out[HANDSHAKE_ACCEPT_LEN + 1])
{
	CLEANUP(freep) char *text = xasprintf("%s" GUID, key);
	unsigned char digest[SHA1_LEN];

	sha1_of(text, strlen(text), digest);
	base64_encode(digest, sizeof(digest), out);
}

char *handshake_request(const char *host, const char *target, const char *key, const char *token)
{
	CLEANUP(freep) char *bearer = token ? xasprintf("Authorization: Bearer %s\r\n", token) : xstrdup("");

	return xasprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
			 "Sec-WebSocket-Protocol: " AGENT_PROTOCOL "\r\n%s\r\n",
			 target, host, key, bearer);
}

const char *handshake_fault(const char *head, size_t len, char **ret_key)
{
	CLEANUP(freep) char *upgrade = handshake_header(head, len, "Upgrade");
	CLEANUP(freep) char *connection = handshake_header(head, len, "Connection");
	CLEANUP(freep) char *version = handshake_header(head, len, "Sec-WebSocket-Version");
	CLEANUP(freep) char *key = handshake_header(head, len, "Sec-WebSocket-Key");

	if (!handshake_list_has(upgrade, "websocket") || !handshake_list_has(connection, "upgrade"))
		return "a WebSocket is expected";
	if (!version || strcmp(version, "13") != 0)
		return "WebSocket version 13 is expected";
	if (!key || strlen(key) != HANDSHAKE_KEY_LEN)
		return "bad Sec-WebSocket-Key";
	*ret_key = steal_ptr(key);
	return NULL;
}

char *handshake_response(const char *key, bool has_protocol)
{
	char accept[HANDSHAKE_ACCEPT_LEN + 1];

	handshake_accept_key(key, accept);
	return xasprintf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Accept: %s\r\n%s\r\n",
			 accept, has_protocol ? "Sec-WebSocket-Protocol: " AGENT_PROTOCOL "\r\n" : "");
}

static const char *reason_of(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 404: return "Not Found";
	case 409: return "Conflict";
	case 410: return "Gone";
	default: return "Service Unavailable";
	}
}

char *handshake_refusal(int status, const char *content_type, const char *body)
{
	return xasprintf("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			 status, reason_of(status), content_type, strlen(body), body);
}

void token_make(char out[TOKEN_LEN + 1])
{
	unsigned char bytes[TOKEN_LEN / 2];

	random_bytes(bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

bool token_equal(const char *a, const char *b)
{
	unsigned char differs = 0;
	size_t n;

	if (!a || !b || !*a || strlen(a) != strlen(b))
		return false;
	n = strlen(a);
	for (size_t i = 0; i < n; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}
