#include "dockerfile/ignore.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/glob.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/arena.h"

enum { PATTERN_MAX = 2048 };

enum piece_kind {
	PIECE_BYTE,
	PIECE_ANY,   /* ?: one character but a slash */
	PIECE_CLASS, /* [a-z] */
	PIECE_STAR,  /* *: anything without a slash */
	PIECE_DEEP,  /* ** within: nothing, or directories with their slash */
	PIECE_REST,  /* ** at the end */
};
struct piece {
	enum piece_kind kind;
	char byte;
	const char *class;
};

/* What suffices to compare. */
enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_SUFFIX, PATTERN_PIECES };

struct pattern {
	enum pattern_kind kind;
	const char *text;
	struct piece *pieces;
	size_t count;
	bool is_exception;
};

struct ignore {
	struct arena arena;
	struct pattern *patterns;
	size_t count, size;
	bool has_exceptions;
	uint8_t states[2][PATTERN_MAX + 1]; /* of the comparison under way */
};

/* ---- patterns ---- */

static void compile(struct ignore *g, struct pattern *p)
{
	const char *at = p->text;

	p->kind = PATTERN_EXACT;
	p->pieces = arena_alloc(&g->arena, (strlen(at) + 1) * sizeof(*p->pieces));
	for (size_t i = 0; *at; i++) {
		struct piece piece = { PIECE_BYTE, *at, NULL };

		if (at[0] == '*' && at[1] == '*') {
			at += 2;
			at += *at == '/';
			piece.kind = *at ? PIECE_DEEP : PIECE_REST;
			p->kind = piece.kind == PIECE_REST && p->kind == PATTERN_EXACT ? PATTERN_PREFIX : PATTERN_PIECES;
			if (i == 0)
				p->kind = PATTERN_SUFFIX;
			p->pieces[p->count++] = piece;
			continue;
		}
		piece.kind = *at == '*' ? PIECE_STAR : *at == '?' ? PIECE_ANY : *at == '[' ? PIECE_CLASS : PIECE_BYTE;
		if (piece.kind != PIECE_BYTE || (*at == '\\' && at[1]))
			p->kind = PATTERN_PIECES;
		at += *at == '\\' && at[1];
		piece.byte = *at;
		piece.class = at;
		if (piece.kind == PIECE_CLASS)
			at = glob_class(at, 0, &(bool){ false });
		else
			at++;
		p->pieces[p->count++] = piece;
	}
}

int ignore_add(struct ignore *g, const char *line, struct error *err)
{
	struct pattern p = { 0 };
	char *text = text_trim(&g->arena, line, strlen(line));

	if (*text == '!') {
		p.is_exception = true;
		text = text_trim(&g->arena, text + 1, strlen(text + 1));
		if (!*text)
			return error_set_class(err, ERROR_INVALID, "illegal exclusion pattern: \"!\"");
	}
	if (!*text)
		return 0;
	text = text_clean_path(&g->arena, text);
	text += text[0] == '/' && text[1];
	if (strlen(text) > PATTERN_MAX || !glob_path_is_valid(text))
		return error_set_class(err, ERROR_INVALID, "syntax error in pattern");
	if (g->count == IGNORE_MAX_PATTERNS)
		return error_set_class(err, ERROR_INVALID, "more than %d patterns", IGNORE_MAX_PATTERNS);
	p.text = text;
	compile(g, &p);
	if (g->count == g->size) {
		g->size = g->size ? 2 * g->size : 8;
		g->patterns = xrealloc(g->patterns, g->size * sizeof(*g->patterns));
	}
	g->patterns[g->count++] = p;
	g->has_exceptions = g->has_exceptions || p.is_exception;
	return 0;
}

int ignore_parse(const char *text, struct ignore **ret, struct error *err)
{
	struct ignore *g = xnew(struct ignore);
	int r = 0;

	if (text && strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (r == 0 && text && *text) {
		size_t n = strcspn(text, "\n");
		char *line = xstrndup(text, n);

		if (line[0] != '#')
			r = ignore_add(g, line, err);
		free(line);
		text += n;
		text += *text == '\n';
	}
	if (r < 0)
		ignore_free(g);
	else
		*ret = g;
	return r;
}

void ignore_free(struct ignore *g)
{
	if (!g)
		return;
	arena_done(&g->arena);
	free(g->patterns);
	free(g);
}

size_t ignore_count(const struct ignore *g)
{
	return g->count;
}

bool ignore_has_exceptions(const struct ignore *g)
{
	return g->has_exceptions;
}

/* ---- comparison ---- */

static void settle(const struct pattern *p, uint8_t *states)
{
	for (size_t i = 0; i < p->count; i++)
		if (states[i] && p->pieces[i].kind >= PIECE_STAR)
			states[i + 1] = 1;
}

/* What the states before and after a piece become. A DEEP that has begun is 2: it ends only with a slash. */
static void advance(const struct piece *piece, const char *s, uint8_t *to)
{
	bool is_match = false;
	size_t n;

	switch (piece->kind) {
	case PIECE_BYTE: to[1] = to[1] || piece->byte == *s; break;
	case PIECE_ANY: to[1] = to[1] || *s != '/'; break;
	case PIECE_CLASS:
		glob_class(piece->class, glob_rune(s, &n), &is_match);
		to[1] = to[1] || is_match;
		break;
	case PIECE_STAR: to[0] = to[0] ? to[0] : *s != '/'; break;
	case PIECE_REST: to[0] = 1; break;
	case PIECE_DEEP:
		to[0] = to[0] ? to[0] : 2;
		to[1] = to[1] || *s == '/';
		break;
	}
}

static bool match_pieces(const struct ignore *g, const struct pattern *p, const char *s, size_t len)
{
	uint8_t *from = ((struct ignore *)g)->states[0], *to = ((struct ignore *)g)->states[1], *swap;

	memset(from, 0, p->count + 1);
	from[0] = 1;
	settle(p, from);
	for (const char *end = s + len; s < end; s++) {
		/* The rest of a character goes with its first byte, where that was taken as one. */
		bool is_rest = ((unsigned char)*s & 0xc0) == 0x80;

		memset(to, 0, p->count + 1);
		for (size_t i = 0; i <= p->count; i++) {
			bool was_whole = i > 0 && (p->pieces[i - 1].kind == PIECE_ANY || p->pieces[i - 1].kind == PIECE_CLASS);

			if (!from[i])
				continue;
			if (is_rest && was_whole)
				to[i] = 1;
			else if (i < p->count)
				advance(&p->pieces[i], s, to + i);
		}
		for (size_t i = 0; i < p->count; i++)
			if (to[i] == 1 && p->pieces[i].kind >= PIECE_STAR)
				to[i + 1] = 1;
		swap = from;
		from = to;
		to = swap;
	}
	return from[p->count];
}

static bool matches(const struct ignore *g, const struct pattern *p, const char *path, size_t len)
{
	size_t n = strlen(p->text);

	switch (p->kind) {
	case PATTERN_EXACT: return n == len && memcmp(path, p->text, n) == 0;
	case PATTERN_PREFIX: return len >= n - 2 && memcmp(path, p->text, n - 2) == 0;
	case PATTERN_SUFFIX:
		n -= 2;
		if (len >= n && memcmp(path + len - n, p->text + 2, n) == 0)
			return true;
		return p->text[2] == '/' && len == n - 1 && memcmp(path, p->text + 3, len) == 0;
	case PATTERN_PIECES: break;
	}
	return match_pieces(g, p, path, len);
}

bool ignore_matches(const struct ignore *g, const char *path)
{
	bool is_out = false;

	if (strcmp(path, ".") == 0)
		return false;
	for (size_t i = 0; i < g->count; i++) {
		const struct pattern *p = &g->patterns[i];
		const char *slash = path;
		bool is_match;

		if (p->is_exception != is_out)
			continue;
		is_match = matches(g, p, path, strlen(path));
		while (!is_match && (slash = strchr(slash, '/'))) {
			is_match = matches(g, p, path, (size_t)(slash - path));
			slash++;
		}
		if (is_match)
			is_out = !p->is_exception;
	}
	return is_out;
}
