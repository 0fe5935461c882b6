#include "dockerfile/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

bool text_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of the UTF-8 character at s; 0: it is none. */
static size_t rune_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80                 ? 1 :
		   s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		   s[0] >= 0xf0 && s[0] < 0xf5 ? 4 :
						 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

static char *quote_byte(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char *known = "\a\b\f\n\r\t\v", *at = strchr(known, c);

	*out++ = '\\';
	if (c == '"' || c == '\\') {
		*out++ = (char)c;
	} else if (c && at) {
		*out++ = "abfnrtv"[at - known];
	} else {
		*out++ = 'x';
		*out++ = hex[c >> 4];
		*out++ = hex[c & 15];
	}
	return out;
}

char *text_quote(struct arena *a, const char *s)
{
	char *text = arena_alloc(a, 4 * strlen(s) + 3), *out = text;
	const unsigned char *in = (const unsigned char *)s;

	*out++ = '"';
	while (*in) {
		size_t n = rune_length(in);

		if (n == 0 || *in < ' ' || *in == 0x7f || *in == '"' || *in == '\\') {
			out = quote_byte(out, *in++);
			continue;
		}
		memcpy(out, in, n);
		out += n;
		in += n;
	}
	*out++ = '"';
	return text;
}

/* ---- "did you mean" ---- */

enum { SUGGEST_MAX = 40, SUGGEST_DISTANCE = 3 };

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's distance of two short words. */
static unsigned distance(const char *s, const char *t, bool minds_case)
{
	unsigned row[SUGGEST_MAX + 1], n = (unsigned)strlen(t);

	for (unsigned k = 0; k <= n; k++)
		row[k] = k;
	for (unsigned i = 1; s[i - 1]; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned k = 1; k <= n; k++) {
			unsigned above = row[k];
			bool is_same = minds_case ? s[i - 1] == t[k - 1] :
						    tolower((unsigned char)s[i - 1]) == tolower((unsigned char)t[k - 1]);

			row[k] = least(above + 1, row[k - 1] + 1, diagonal + !is_same);
			diagonal = above;
		}
	}
	return row[n];
}

static bool is_all(const char *s, int (*test)(int))
{
	while (*s && (!isalpha((unsigned char)*s) || test((unsigned char)*s)))
		s++;
	return !*s;
}

static char *in_case_of(struct arena *a, const char *match, const char *word)
{
	int (*convert)(int) = is_all(word, islower) ? tolower : is_all(word, isupper) ? toupper : tolower;
	char *text = arena_dup(a, match);

	for (char *p = text; *p; p++)
		*p = (char)convert((unsigned char)*p);
	return text;
}

char *text_suggest(struct arena *a, const char *word, const char *const *options, bool minds_case)
{
	unsigned best = SUGGEST_DISTANCE;
	const char *match = NULL;

	for (; strlen(word) < SUGGEST_MAX && *options; options++) {
		unsigned d = distance(word, *options, minds_case);

		if (d == 0)
			return arena_dup(a, "");
		if (d < best) {
			best = d;
			match = *options;
		}
	}
	if (!match)
		return arena_dup(a, "");
	return arena_printf(a, " (did you mean %s?)", minds_case ? match : in_case_of(a, match, word));
}

/* ---- small ones ---- */

char *text_trim(struct arena *a, const char *s, size_t n)
{
	while (n && text_is_space(*s)) {
		s++;
		n--;
	}
	while (n && text_is_space(s[n - 1]))
		n--;
	return arena_ndup(a, s, n);
}

char *text_lower(struct arena *a, const char *s)
{
	char *text = arena_dup(a, s);

	for (char *p = text; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return text;
}

char *text_clean_path(struct arena *a, const char *path)
{
	bool is_absolute = path[0] == '/';
	char *out = arena_alloc(a, strlen(path) + 2), *end = out, *floor;

	if (is_absolute)
		*end++ = '/';
	floor = end; /* what no ".." takes away */
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			if (end > floor) {
				while (end > floor && end[-1] != '/')
					end--;
				if (end > floor)
					end--;
			} else if (!is_absolute) {
				if (end > out)
					*end++ = '/';
				memcpy(end, "..", 2);
				end += 2;
				floor = end;
			}
		} else if (n && !(n == 1 && path[0] == '.')) {
			if (end > out && end[-1] != '/')
				*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n;
		path += *path == '/';
	}
	if (end == out)
		*end++ = '.';
	*end = '\0';
	return out;
}

char *text_absolute_path(struct arena *a, const char *base, const char *path)
{
	return text_clean_path(a, path[0] == '/' ? path : arena_printf(a, "/%s/%s", base, path));
}
