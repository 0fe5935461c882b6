#include "dockerfile/expand.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "dockerfile/glob.h"
#include "dockerfile/text.h"

enum { NESTING_MAX = 50 };

/* Text that grows in the arena. */
struct text {
	char *data;
	size_t len, size;
};

struct lexer {
	struct arena *arena;
	const char *at;
	char escape;
	unsigned flags, nesting;
	const struct expand_source *source;
	struct error *err;
};

/* The words of the whole: only the outermost statement has them. */
struct cutter {
	struct words *words;
	struct text word;
	bool is_in_word;
};

static int fail(struct lexer *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct lexer *x, const char *fmt, ...)
{
	char message[ERROR_MESSAGE_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return error_set_class(x->err, ERROR_INVALID, "%s", message);
}

static int text_add(struct lexer *x, struct text *t, const char *s, size_t n)
{
	if (t->len + n > EXPAND_MAX_BYTES)
		return fail(x, "the expansion has more than %d bytes", EXPAND_MAX_BYTES);
	if (t->len + n + 1 > t->size) {
		size_t size = 2 * (t->len + n) + 32;
		char *data = arena_alloc(x->arena, size);

		if (t->len)
			memcpy(data, t->data, t->len);
		t->data = data;
		t->size = size;
	}
	memcpy(t->data + t->len, s, n);
	t->len += n;
	t->data[t->len] = '\0';
	return 0;
}

static char *text_of(struct lexer *x, const struct text *t)
{
	return t->data ? t->data : arena_dup(x->arena, "");
}

/* ---- words ---- */

static void end_word(struct lexer *x, struct cutter *c)
{
	if (c->word.len)
		words_add(x->arena, c->words, arena_ndup(x->arena, c->word.data, c->word.len));
	c->word.len = 0;
	c->is_in_word = false;
}

/* What quotes or an escape hold together. */
static int cut_raw(struct lexer *x, struct cutter *c, const char *s, size_t n)
{
	if (!c)
		return 0;
	c->is_in_word = true;
	return text_add(x, &c->word, s, n);
}

static int cut(struct lexer *x, struct cutter *c, const char *s, size_t n)
{
	int r = 0;

	for (size_t i = 0; c && r == 0 && i < n; i++) {
		if (!text_is_space(s[i]))
			r = cut_raw(x, c, s + i, 1);
		else if (c->is_in_word && c->word.len)
			end_word(x, c);
	}
	return r;
}

/* ---- ${…} ---- */

static int statement(struct lexer *x, char stop, unsigned flags, struct cutter *c, char **ret);

static const char *lookup(struct lexer *x, const char *name)
{
	return x->source ? x->source->get(x->source->arg, name) : NULL;
}

/* Letters, digits and _; or digits only; or one of the shell's special parameters. */
static char *name_at(struct lexer *x)
{
	const char *start = x->at;

	if (isdigit((unsigned char)*x->at)) {
		while (isdigit((unsigned char)*x->at))
			x->at++;
	} else if (*x->at && strchr("@*#?-$!", *x->at)) {
		x->at++;
	} else {
		while (isalnum((unsigned char)*x->at) || *x->at == '_' || (unsigned char)*x->at >= 0x80)
			x->at++;
	}
	return arena_ndup(x->arena, start, (size_t)(x->at - start));
}

static int glob_error(struct lexer *x, const char *pattern, const struct error *why)
{
	return fail(x, "invalid pattern (%.100s) in substitution: %.200s", pattern, why->message);
}

/* ${name#pattern} and its like. */
static int trim(struct lexer *x, char operator, const char * pattern, const char *value, char **ret)
{
	bool is_longest = pattern[0] == operator, is_found;
	struct error why = { 0 };
	size_t start, end;

	pattern += is_longest;
	if (operator== '#')
		is_found = glob_prefix(pattern, value, is_longest, &end, &why);
	else
		is_found = glob_suffix(pattern, value, is_longest, &start, &why);
	if (why.code)
		return glob_error(x, pattern, &why);
	if (!is_found)
		*ret = arena_dup(x->arena, value);
	else
		*ret = operator== '#' ? arena_dup(x->arena, value + end) : arena_ndup(x->arena, value, start);
	return 0;
}

static int missing(struct lexer *x, char what)
{
	if (*x->at)
		return -EINVAL; /* what is wrong has been said */
	return what == '/' ? fail(x, "syntax error: missing '/' in ${}") : fail(x, "syntax error: missing '}'");
}

/* ${name-word} and its like; `operator` has been read. */
static int conditional(struct lexer *x, const char *name, char operator, bool is_null_unset, char **ret)
{
	bool is_raw = operator== '#' || operator== '%', is_unset;
	const char *value;
	char *word;

	if (is_null_unset && is_raw)
		return fail(x, "unsupported modifier (:%c) in substitution", operator);
	if (statement(x, '}', is_raw ? x->flags | EXPAND_KEEP_ESCAPES : x->flags & ~(unsigned)EXPAND_KEEP_ESCAPES, NULL,
		      &word) < 0)
		return missing(x, '}');
	value = lookup(x, name);
	is_unset = !value || (is_null_unset && !*value);
	if (!value && x->flags & EXPAND_KEEP_UNSET) {
		*ret = arena_printf(x->arena, "${%s%s%c%s}", name, is_null_unset ? ":" : "", operator, word);
		return 0;
	}
	if (!strchr("+-?#%", operator))
		return fail(x, "unsupported modifier (:%c) in substitution", operator);
	if (is_raw)
		return trim(x, operator, word, value ? value : "", ret);
	if (operator== '?' && is_unset)
		return fail(x, "%.100s: %.300s", name,
			    *word ? word :
			    value ? "is not allowed to be empty" :
				    "is not allowed to be unset");
	if (operator== '+')
		*ret = is_unset ? arena_dup(x->arena, "") : word;
	else
		*ret = is_unset ? word : arena_dup(x->arena, value);
	return 0;
}

/* ${name/pattern/replacement}: the first place, or with // all of them; of each the longest. */
static int replace(struct lexer *x, const char *name, char **ret)
{
	bool is_all = *x->at == '/';
	char *pattern, *with;
	const char *value;
	struct text out = { 0 };
	struct error why = { 0 };
	size_t at = 0, start, end;
	int r = 0;

	x->at += is_all;
	if (statement(x, '/', x->flags | EXPAND_KEEP_ESCAPES, NULL, &pattern) < 0)
		return missing(x, '/');
	if (statement(x, '}', x->flags | EXPAND_KEEP_ESCAPES, NULL, &with) < 0)
		return missing(x, '}');
	value = lookup(x, name);
	if (!value && x->flags & EXPAND_KEEP_UNSET) {
		*ret = arena_printf(x->arena, "${%s/%s/%s}", name, pattern, with);
		return 0;
	}
	value = value ? value : "";
	while (r == 0 && glob_find(pattern, value, at, &start, &end, &why)) {
		r = text_add(x, &out, value + at, start - at);
		if (r == 0)
			r = text_add(x, &out, with, strlen(with));
		at = end;
		if (end == start && value[at])
			r = r < 0 ? r : text_add(x, &out, value + at++, 1);
		if (!is_all || !value[at])
			break;
	}
	if (why.code)
		return glob_error(x, pattern, &why);
	if (r == 0)
		r = text_add(x, &out, value + at, strlen(value + at));
	*ret = text_of(x, &out);
	return r;
}

static int braces(struct lexer *x, char **ret)
{
	const char *name, *value;
	char operator;

	if (!*x->at)
		return fail(x, "syntax error: missing '}'");
	if (strchr("{}:", *x->at))
		return fail(x, "syntax error: bad substitution");
	name = name_at(x);
	operator= * x->at;
	x->at += operator!= '\0';
	switch (operator) {
	case '}':
		value = lookup(x, name);
		*ret = value ? arena_dup(x->arena, value) :
			       arena_printf(x->arena, x->flags & EXPAND_KEEP_UNSET ? "${%s}" : "%.0s", name);
		return 0;
	case ':':
		operator= * x->at;
		x->at += operator!= '\0';
		return conditional(x, name, operator, true, ret);
	case '+':
	case '-':
	case '?':
	case '#':
	case '%': return conditional(x, name, operator, false, ret);
	case '/': return replace(x, name, ret);
	case '\0': return fail(x, "syntax error: missing '}'");
	default: return fail(x, "unsupported modifier (%c) in substitution", operator);
	}
}

static int dollar(struct lexer *x, char **ret)
{
	const char *name, *value;
	int r;

	x->at++;
	if (*x->at == '{') {
		x->at++;
		if (++x->nesting > NESTING_MAX)
			return fail(x, "substitutions are nested too deep");
		r = braces(x, ret);
		x->nesting--;
		return r;
	}
	name = name_at(x);
	value = lookup(x, name);
	if (!*name)
		*ret = arena_dup(x->arena, "$");
	else if (!value && x->flags & EXPAND_KEEP_UNSET)
		*ret = arena_printf(x->arena, "$%s", name);
	else
		*ret = arena_dup(x->arena, value ? value : "");
	return 0;
}

/* ---- quotes ---- */

static int single_quotes(struct lexer *x, char **ret)
{
	const char *start = x->at++, *end = strchr(x->at, '\'');
	bool is_kept = x->flags & EXPAND_KEEP_QUOTES;

	if (!end) {
		x->at += strlen(x->at);
		return fail(x, "unexpected end of statement while looking for matching single-quote");
	}
	*ret = is_kept ? arena_ndup(x->arena, start, (size_t)(end + 1 - start)) :
			 arena_ndup(x->arena, start + 1, (size_t)(end - start - 1));
	x->at = end + 1;
	return 0;
}

/* An escape within double quotes: of a quote, a dollar, and itself. */
static int quoted_escape(struct lexer *x, unsigned flags, struct text *out)
{
	int r = 0;

	x->at++;
	if (flags & EXPAND_KEEP_ESCAPES)
		r = text_add(x, out, &x->escape, 1);
	if (!*x->at)
		return r;
	if (*x->at == '"' || *x->at == '$' || *x->at == x->escape) {
		r = r < 0 ? r : text_add(x, out, x->at, 1);
		x->at++;
		return r;
	}
	return r < 0 ? r : text_add(x, out, &x->escape, 1);
}

static int double_quotes(struct lexer *x, unsigned flags, char **ret)
{
	struct text out = { 0 };
	bool is_kept = flags & EXPAND_KEEP_QUOTES;
	int r = is_kept ? text_add(x, &out, "\"", 1) : 0;
	char *value;

	x->at++;
	while (r == 0 && *x->at && *x->at != '"') {
		if (*x->at == '$') {
			r = dollar(x, &value);
			r = r < 0 ? r : text_add(x, &out, value, strlen(value));
		} else if (*x->at == x->escape) {
			r = quoted_escape(x, flags, &out);
		} else {
			r = text_add(x, &out, x->at++, 1);
		}
	}
	if (r < 0)
		return r;
	if (!*x->at)
		return fail(x, "unexpected end of statement while looking for matching double-quote");
	x->at++;
	r = is_kept ? text_add(x, &out, "\"", 1) : 0;
	*ret = text_of(x, &out);
	return r;
}

/* << and the blanks before a here document's word belong to one word. */
static void heredoc_mark(struct lexer *x, char **ret)
{
	const char *start = x->at++;

	if (*x->at == '<') {
		x->at++;
		while (*x->at == ' ' || *x->at == '\t' || *x->at == '\r')
			x->at++;
	}
	*ret = arena_ndup(x->arena, start, (size_t)(x->at - start));
}

/* ---- the whole ---- */

/* One piece that is special; 1: what is there is not. */
static int special(struct lexer *x, unsigned flags, struct cutter *c, struct text *out)
{
	char first = *x->at, *piece = NULL;
	int r = 1;

	if (first == '$')
		r = dollar(x, &piece);
	else if (first == '<')
		r = (heredoc_mark(x, &piece), 0);
	else if (first == '\'' && !(flags & EXPAND_NO_QUOTES))
		r = single_quotes(x, &piece);
	else if (first == '"' && !(flags & EXPAND_NO_QUOTES))
		r = double_quotes(x, flags, &piece);
	if (r != 0)
		return r;
	r = text_add(x, out, piece, strlen(piece));
	if (r < 0)
		return r;
	return first == '$' ? cut(x, c, piece, strlen(piece)) : cut_raw(x, c, piece, strlen(piece));
}

static int escaped(struct lexer *x, unsigned flags, struct cutter *c, struct text *out)
{
	int r = 0;

	x->at++;
	if (flags & EXPAND_KEEP_ESCAPES) {
		r = cut_raw(x, c, &x->escape, 1);
		r = r < 0 ? r : text_add(x, out, &x->escape, 1);
	}
	if (r < 0 || !*x->at)
		return r;
	r = cut_raw(x, c, x->at, 1);
	r = r < 0 ? r : text_add(x, out, x->at, 1);
	x->at++;
	return r;
}

/* Up to `stop`, which is consumed; '\0': to the end. */
static int statement(struct lexer *x, char stop, unsigned flags, struct cutter *c, char **ret)
{
	struct text out = { 0 };
	int r = 0;

	while (r == 0 && *x->at) {
		if (stop && *x->at == stop) {
			x->at++;
			*ret = text_of(x, &out);
			return 0;
		}
		r = special(x, flags, c, &out);
		if (r != 1)
			continue;
		if (*x->at == x->escape) {
			r = escaped(x, flags, c, &out);
		} else {
			r = cut(x, c, x->at, 1);
			r = r < 0 ? r : text_add(x, &out, x->at, 1);
			x->at++;
		}
	}
	if (r < 0)
		return r;
	if (stop)
		return fail(x, "unexpected end of statement while looking for matching %c", stop);
	*ret = text_of(x, &out);
	return 0;
}

static int process(struct arena *a, const char *word, char escape, unsigned flags, const struct expand_source *source,
		   struct cutter *c, char **ret, struct error *err)
{
	struct lexer x = { .arena = a, .at = word, .escape = escape, .flags = flags, .source = source, .err = err };
	int r = statement(&x, '\0', flags, c, ret);

	if (r < 0)
		error_prefix(err, "failed to process %.400s", text_quote(a, word));
	else if (c)
		end_word(&x, c);
	return r;
}

int expand_word(struct arena *a, const char *word, char escape, unsigned flags, const struct expand_source *source,
		char **ret, struct error *err)
{
	char *text;
	int r = process(a, word, escape, flags, source, NULL, &text, err);

	if (r == 0)
		*ret = text;
	return r;
}

int expand_words(struct arena *a, const char *word, char escape, unsigned flags, const struct expand_source *source,
		 struct words *ret, struct error *err)
{
	struct words found = { 0 };
	struct cutter c = { .words = &found };
	char *text;
	int r = process(a, word, escape, flags, source, &c, &text, err);

	for (size_t i = 0; r == 0 && i < found.count; i++)
		words_add(a, ret, found.items[i]);
	return r;
}
