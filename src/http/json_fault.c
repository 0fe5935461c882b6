#include "http/json_fault.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LOOKING_FOR_KEY "looking for beginning of object key string"
#define LOOKING_FOR_VALUE "looking for beginning of value"

enum { DEPTH_MAX = 2000, QUOTED_MAX = 12 };

struct scan {
	const unsigned char *at, *end;
	int depth;
	char *fault; /* JSON_FAULT_MAX bytes; empty: none so far */
};

/* A byte is a character of Latin-1, as Go's scanner takes it. */
static void quote(unsigned char c, char out[QUOTED_MAX])
{
	static const char letters[] = "abtnvfr"; /* of 7 to 13 */

	if (c == '\'' || c == '\\')
		snprintf(out, QUOTED_MAX, "'\\%c'", c);
	else if (c >= 7 && c <= 13)
		snprintf(out, QUOTED_MAX, "'\\%c'", letters[c - 7]);
	else if (c < 0x20 || c == 0x7f)
		snprintf(out, QUOTED_MAX, "'\\x%02x'", c);
	else if (c >= 0x80 && c < 0xa1)
		snprintf(out, QUOTED_MAX, c == 0xa0 ? "'\\u00a0'" : "'\\u%04x'", c);
	else if (c >= 0xa1)
		snprintf(out, QUOTED_MAX, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
	else
		snprintf(out, QUOTED_MAX, "'%c'", c);
}

/* Always false: the caller's result. */
static bool blame(struct scan *s, const char *where)
{
	char c[QUOTED_MAX];

	if (s->at == s->end) {
		snprintf(s->fault, JSON_FAULT_MAX, "unexpected EOF");
		return false;
	}
	quote(*s->at, c);
	snprintf(s->fault, JSON_FAULT_MAX, "invalid character %s %s", c, where);
	return false;
}

static void skip_space(struct scan *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n'))
		s->at++;
}

static bool is_at(const struct scan *s, char c)
{
	return s->at < s->end && *s->at == (unsigned char)c;
}

/* After the backslash. */
static bool escape(struct scan *s)
{
	if (s->at == s->end || !*s->at || !strchr("bfnrt\\/\"u", *s->at))
		return blame(s, "in string escape code");
	if (*s->at++ != 'u')
		return true;
	for (int i = 0; i < 4; i++, s->at++)
		if (s->at == s->end || !isxdigit(*s->at))
			return blame(s, "in \\u hexadecimal character escape");
	return true;
}

static bool string(struct scan *s)
{
	for (s->at++; !is_at(s, '"');) {
		if (s->at == s->end || *s->at < 0x20)
			return blame(s, "in string literal");
		if (*s->at++ == '\\' && !escape(s))
			return false;
	}
	s->at++;
	return true;
}

static bool digits(struct scan *s, const char *where)
{
	if (s->at == s->end || !isdigit(*s->at))
		return blame(s, where);
	while (s->at < s->end && isdigit(*s->at))
		s->at++;
	return true;
}

static bool number(struct scan *s)
{
	if (is_at(s, '-'))
		s->at++;
	if (is_at(s, '0'))
		s->at++;
	else if (!digits(s, "in numeric literal"))
		return false;
	if (is_at(s, '.')) {
		s->at++;
		if (!digits(s, "after decimal point in numeric literal"))
			return false;
	}
	if (is_at(s, 'e') || is_at(s, 'E')) {
		s->at++;
		if (is_at(s, '+') || is_at(s, '-'))
			s->at++;
		return digits(s, "in exponent of numeric literal");
	}
	return true;
}

static bool literal(struct scan *s, const char *word)
{
	char where[64];

	for (const char *p = word; *p; p++, s->at++) {
		if (is_at(s, *p))
			continue;
		snprintf(where, sizeof(where), "in literal %s (expecting '%c')", word, *p);
		return blame(s, where);
	}
	return true;
}

static bool value(struct scan *s);

static bool member(struct scan *s)
{
	if (!is_at(s, '"'))
		return blame(s, LOOKING_FOR_KEY);
	if (!string(s))
		return false;
	skip_space(s);
	if (!is_at(s, ':'))
		return blame(s, "after object key");
	s->at++;
	return value(s);
}

/* What stands between brackets of either kind. `after`, `looking`: where a fault is, behind an item and behind a comma. */
static bool items(struct scan *s, char close, bool (*item)(struct scan *s), const char *after, const char *looking)
{
	s->at++;
	skip_space(s);
	while (!is_at(s, close)) {
		if (!item(s))
			return false;
		skip_space(s);
		if (is_at(s, close))
			break;
		if (!is_at(s, ','))
			return blame(s, after);
		s->at++;
		skip_space(s);
		if (is_at(s, close)) /* the comma wants another one */
			return blame(s, looking);
	}
	s->at++;
	return true;
}

/* Deeper than DEPTH_MAX: false, without a fault. */
static bool value(struct scan *s)
{
	bool is_good;

	skip_space(s);
	if (s->depth == DEPTH_MAX)
		return false;
	s->depth++;
	switch (s->at < s->end ? *s->at : 0) {
	case '{': is_good = items(s, '}', member, "after object key:value pair", LOOKING_FOR_KEY); break;
	case '[': is_good = items(s, ']', value, "after array element", LOOKING_FOR_VALUE); break;
	case '"': is_good = string(s); break;
	case 't': is_good = literal(s, "true"); break;
	case 'f': is_good = literal(s, "false"); break;
	case 'n': is_good = literal(s, "null"); break;
	default:
		is_good = is_at(s, '-') || (s->at < s->end && isdigit(*s->at)) ? number(s) : blame(s, LOOKING_FOR_VALUE);
	}
	s->depth--;
	return is_good;
}

bool json_fault(const char *text, size_t len, char ret[JSON_FAULT_MAX])
{
	struct scan s = { .at = (const unsigned char *)text, .end = (const unsigned char *)text + len, .fault = ret };

	*ret = '\0';
	value(&s);
	return *ret != '\0';
}
