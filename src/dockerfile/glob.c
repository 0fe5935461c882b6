#include "dockerfile/glob.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"

/* A pattern's length, and how many steps one question may take: the product of both lengths, and a text's
 * square for glob_find. */
enum { PATTERN_MAX = 1024, STEPS_MAX = 64 << 20 };

/* ---- of substitutions: all states of the pattern go along the text at once ---- */

enum token_kind { TOKEN_BYTE, TOKEN_ANY, TOKEN_STAR };
struct token {
	enum token_kind kind;
	char byte;
};

struct machine {
	struct token tokens[PATTERN_MAX];
	size_t count;
	bool states[2][PATTERN_MAX + 1]; /* before token i; count: all has matched */
	unsigned now;
	bool is_backward;
	uint64_t steps;
	struct error *why;
};

static int add_token(struct machine *m, enum token_kind kind, char byte)
{
	if (m->count == PATTERN_MAX)
		return error_set_class(m->why, ERROR_INVALID, "longer than %d characters", PATTERN_MAX);
	m->tokens[m->count++] = (struct token){ kind, byte };
	return 0;
}

static int compile(struct machine *m, const char *p)
{
	int r = 0;

	for (; r == 0 && *p; p++) {
		if (*p == '\\' && (p[1] == '}' || p[1] == '/'))
			continue;
		if (*p == '\\') {
			p++;
			if (!*p || !strchr("*?\\", *p))
				return error_set_class(m->why, ERROR_INVALID, "invalid escape '\\%c'", *p ? *p : ' ');
			r = add_token(m, TOKEN_BYTE, *p);
		} else {
			r = add_token(m, *p == '*' ? TOKEN_STAR : *p == '?' ? TOKEN_ANY : TOKEN_BYTE, *p);
		}
	}
	return r;
}

static struct machine *machine_new(const char *pattern, bool is_backward, struct error *why)
{
	struct machine *m = xnew(struct machine);

	m->why = why;
	m->is_backward = is_backward;
	if (compile(m, pattern) < 0) {
		free(m);
		return NULL;
	}
	for (size_t i = 0; is_backward && i < m->count / 2; i++) {
		struct token t = m->tokens[i];

		m->tokens[i] = m->tokens[m->count - 1 - i];
		m->tokens[m->count - 1 - i] = t;
	}
	return m;
}

/* A star may be nothing. */
static bool settle(struct machine *m, bool *states)
{
	bool is_alive = false;

	for (size_t i = 0; i < m->count; i++) {
		if (states[i] && m->tokens[i].kind == TOKEN_STAR)
			states[i + 1] = true;
		is_alive = is_alive || states[i];
	}
	return is_alive || states[m->count];
}

static bool begin(struct machine *m)
{
	m->now = 0;
	memset(m->states[0], 0, sizeof(m->states[0]));
	m->states[0][0] = true;
	return settle(m, m->states[0]);
}

/* Not the first byte of a character: no match begins or ends before it. */
static bool is_within(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* One byte. A character of several is one for `?`: it is passed with its first byte going forward, and with what
 * follows it the state behind stays; backward the other way round. False: nothing can match any more. */
static bool step(struct machine *m, char byte)
{
	bool *from = m->states[m->now], *to = m->states[!m->now];
	bool is_rest = is_within(byte);

	m->steps += m->count + 1;
	memset(to, 0, m->count + 1);
	for (size_t i = 0; i <= m->count; i++) {
		const struct token *t = &m->tokens[i];

		if (!from[i])
			continue;
		if (is_rest && !m->is_backward && i > 0 && m->tokens[i - 1].kind == TOKEN_ANY)
			to[i] = true;
		if (i == m->count)
			break;
		if (t->kind == TOKEN_STAR && byte != '\n')
			to[i] = true;
		else if (t->kind == TOKEN_BYTE && t->byte == byte)
			to[i + 1] = true;
		else if (t->kind == TOKEN_ANY && byte != '\n')
			to[i + !(is_rest && m->is_backward)] = true;
	}
	m->now = !m->now;
	return settle(m, to);
}

static bool has_matched(const struct machine *m)
{
	return m->states[m->now][m->count];
}

static bool is_too_much(struct machine *m)
{
	if (m->steps <= STEPS_MAX)
		return false;
	error_set_class(m->why, ERROR_INVALID, "too much to compare");
	return true;
}

/* How far from the start (or, backward, from the end) it matches; the longest unless the shortest will do. */
static bool run(struct machine *m, const char *text, size_t len, bool is_longest, size_t *ret_len)
{
	bool is_alive = begin(m), is_found = has_matched(m);

	*ret_len = 0;
	for (size_t i = 0; i < len && is_alive && !(is_found && !is_longest); i++) {
		is_alive = step(m, m->is_backward ? text[len - 1 - i] : text[i]);
		if (has_matched(m) && !is_within(m->is_backward ? text[len - 1 - i] : text[i + 1])) {
			is_found = true;
			*ret_len = i + 1;
		}
		if (is_too_much(m))
			return false;
	}
	return is_found;
}

bool glob_prefix(const char *pattern, const char *text, bool is_longest, size_t *ret_end, struct error *why)
{
	CLEANUP(freep) struct machine *m = machine_new(pattern, false, why);

	return m && run(m, text, strlen(text), is_longest, ret_end);
}

bool glob_suffix(const char *pattern, const char *text, bool is_longest, size_t *ret_start, struct error *why)
{
	CLEANUP(freep) struct machine *m = machine_new(pattern, true, why);
	size_t len = strlen(text), n;

	if (!m || !run(m, text, len, is_longest, &n))
		return false;
	*ret_start = len - n;
	return true;
}

bool glob_find(const char *pattern, const char *text, size_t from, size_t *ret_start, size_t *ret_end, struct error *why)
{
	CLEANUP(freep) struct machine *m = machine_new(pattern, false, why);
	size_t len = strlen(text), n;

	for (; m && from <= len && !is_too_much(m); from++) {
		m->steps += 16;
		if (run(m, text + from, len - from, true, &n)) {
			*ret_start = from;
			*ret_end = from + n;
			return true;
		}
	}
	return false;
}

/* ---- of paths ---- */

unsigned glob_rune(const char *s, size_t *ret_len)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : u[0] >= 0xc0 ? 2 : 1;
	unsigned rune = n == 1 ? u[0] : u[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80) {
			*ret_len = 1;
			return u[0];
		}
		rune = rune << 6 | (u[i] & 0x3f);
	}
	*ret_len = n;
	return rune;
}

/* One end of a range; NULL: there is none. */
static const char *class_end(const char *at, unsigned *ret)
{
	size_t n;

	if (!*at || *at == '-' || *at == ']')
		return NULL;
	at += *at == '\\';
	if (!*at)
		return NULL;
	*ret = glob_rune(at, &n);
	return at[n] ? at + n : NULL;
}

const char *glob_class(const char *at, unsigned rune, bool *ret_matches)
{
	bool is_negated = at[1] == '^', is_in = false;
	unsigned low, high;

	at += 1 + is_negated;
	for (unsigned ranges = 0; *at != ']' || ranges == 0; ranges++) {
		at = class_end(at, &low);
		high = low;
		if (at && *at == '-')
			at = class_end(at + 1, &high);
		if (!at)
			return NULL;
		is_in = is_in || (low <= rune && rune <= high);
	}
	*ret_matches = is_in != is_negated;
	return at + 1;
}

bool glob_path_is_valid(const char *p)
{
	bool is_match;

	while (p && *p) {
		if (*p == '[') {
			p = glob_class(p, 0, &is_match);
			continue;
		}
		if (*p == '\\' && !*++p)
			return false;
		p++;
	}
	return p != NULL;
}

/* One piece of the pattern that is no star, against one character; NULL: it does not match. */
static const char *match_one(const char *p, const char *s, size_t *ret_len)
{
	bool is_match;
	unsigned rune;

	if (!*s)
		return NULL;
	rune = glob_rune(s, ret_len);
	if (*p == '?')
		return *s == '/' ? NULL : p + 1;
	if (*p == '[') {
		p = glob_class(p, rune, &is_match);
		return p && is_match && *s != '/' ? p : NULL;
	}
	p += *p == '\\';
	*ret_len = 1;
	return *p == *s && *p ? p + 1 : NULL;
}

bool glob_path_match(const char *p, const char *s)
{
	const char *star = NULL, *retry = NULL, *next;
	size_t n;

	while (*s || *p) {
		if (*p == '*') {
			while (*p == '*')
				p++;
			star = p;
			retry = s;
			continue;
		}
		next = *p ? match_one(p, s, &n) : NULL;
		if (next) {
			p = next;
			s += n;
		} else if (star && *retry && *retry != '/') {
			s = ++retry;
			p = star;
		} else {
			return false;
		}
	}
	return true;
}

bool glob_path_has_wildcards(const char *path)
{
	for (; *path; path++) {
		if (*path == '\\' && path[1])
			path++;
		else if (*path == '*' || *path == '?' || *path == '[')
			return true;
	}
	return false;
}
