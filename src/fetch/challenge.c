#include "fetch/challenge.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static bool is_token(char c)
{
	return c > 32 && c < 127 && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static const char *skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')
		p++;
	return p;
}

/* Reads a token in small letters; what does not fit is cut. */
static const char *read_token(const char *p, char *out, size_t size)
{
	size_t n = 0;

	for (; is_token(*p); p++)
		if (n + 1 < size)
			out[n++] = (char)tolower((unsigned char)*p);
	out[n] = '\0';
	return p;
}

/* A token or a quoted text; *ret_len beyond size - 1 tells that it did not fit. NULL: the quote has no end. */
static const char *read_value(const char *p, char *out, size_t size, size_t *ret_len)
{
	bool is_quoted = *p == '"';
	size_t n = 0;

	for (p += is_quoted; is_quoted ? *p && *p != '"' : is_token(*p); p++) {
		if (is_quoted && *p == '\\' && !*++p)
			return NULL;
		if (n + 1 < size)
			out[n] = *p;
		n++;
	}
	if (is_quoted && *p++ != '"')
		return NULL;
	out[n < size ? n : size - 1] = '\0';
	*ret_len = n;
	return p;
}

bool challenge_parse(const char *header, struct challenge *ret)
{
	struct challenge c = { 0 };
	const struct {
		const char *key;
		char *to;
		size_t size;
	} known[] = { { "realm", c.realm, sizeof(c.realm) },
		      { "service", c.service, sizeof(c.service) },
		      { "error", c.error, sizeof(c.error) },
		      { "error_description", c.description, sizeof(c.description) } };
	const char *p = skip_space(read_token(skip_space(header), c.scheme, sizeof(c.scheme)));
	char key[32], value[1024];
	size_t len;

	while (*p && c.scheme[0]) {
		p = read_token(skip_space(p), key, sizeof(key));
		if (!key[0] || *p++ != '=')
			break;
		p = read_value(p, value, sizeof(value), &len);
		if (!p || len == 0)
			break;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(known[i].key, key) == 0 && len < known[i].size)
				memcpy(known[i].to, value, len + 1);
		p = skip_space(p);
		if (*p++ != ',')
			break;
	}
	*ret = c;
	return c.scheme[0] != '\0';
}
