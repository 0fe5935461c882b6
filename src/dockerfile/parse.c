/* From a Dockerfile's text to its instructions and stages (buildkit:
 * parser/parser.go): directives, comments, continued lines, here documents. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/internal.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct reader {
	struct arena *arena;
	const char *at, *end;
	unsigned line; /* of the one read last */
	char escape;
	bool is_past_directives;
	struct words directives; /* those seen */
	size_t size; /* of the list's array */
	struct instruction_list *list;
	struct error *err;
};

/* ---- lines ---- */

/* The next one with its end; 1: there is none. */
static int next_line(struct reader *rd, const char **ret, size_t *ret_len)
{
	const char *newline = rd->at < rd->end ? memchr(rd->at, '\n', (size_t)(rd->end - rd->at)) : NULL;

	if (rd->at >= rd->end)
		return 1;
	*ret = rd->at;
	*ret_len = (size_t)((newline ? newline + 1 : rd->end) - rd->at);
	if (*ret_len > DOCKERFILE_MAX_LINE)
		return error_set_class(rd->err, ERROR_INVALID, "dockerfile line greater than max allowed size of %d",
				       DOCKERFILE_MAX_LINE);
	rd->at += *ret_len;
	if (rd->line++ == 0 && *ret_len >= 3 && memcmp(*ret, "\xef\xbb\xbf", 3) == 0) {
		*ret += 3;
		*ret_len -= 3;
	}
	return 0;
}

static size_t without_newline(const char *s, size_t n)
{
	while (n && (s[n - 1] == '\n' || s[n - 1] == '\r'))
		n--;
	return n;
}

static size_t blanks_at(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && text_is_space(s[i]))
		i++;
	return i;
}

static bool is_comment(const char *s, size_t n)
{
	size_t i = blanks_at(s, n);

	return i < n && s[i] == '#';
}

/* Does the line go on? Then *n is what stands before the escape. An escaped escape is none. */
static bool goes_on(const struct reader *rd, const char *s, size_t *n)
{
	size_t end = *n;

	while (end && (s[end - 1] == ' ' || s[end - 1] == '\t'))
		end--;
	if (end == 0 || s[end - 1] != rd->escape || (end > 1 && s[end - 2] == rd->escape))
		return false;
	*n = end - 1;
	return true;
}

/* ---- # directive=value, before anything else ---- */

static int set_directive(struct reader *rd, const char *key, const char *value)
{
	for (size_t i = 0; i < rd->directives.count; i++)
		if (strcmp(rd->directives.items[i], key) == 0)
			return error_set_class(rd->err, ERROR_INVALID, "only one %s parser directive can be used", key);
	words_add(rd->arena, &rd->directives, arena_dup(rd->arena, key));
	if (strcmp(key, "escape") != 0)
		return 0;
	if (strcmp(value, "`") != 0 && strcmp(value, "\\") != 0)
		return error_set_class(rd->err, ERROR_INVALID, "invalid escape token '%.40s' does not match ` or \\", value);
	rd->escape = value[0];
	return 0;
}

static int look_for_directive(struct reader *rd, const char *s, size_t n)
{
	static const char *const known[] = { "syntax", "escape", "check" };
	const char *text = arena_ndup(rd->arena, s, n), *value;
	size_t length = 0;

	if (rd->is_past_directives)
		return 0;
	rd->is_past_directives = true;
	if (*text != '#')
		return 0;
	text++;
	text += blanks_at(text, strlen(text));
	while (isalnum((unsigned char)text[length]))
		length++;
	value = text + length;
	value += blanks_at(value, strlen(value));
	if (!isalpha((unsigned char)*text) || *value != '=')
		return 0;
	value = text_trim(rd->arena, value + 1, strlen(value + 1));
	if (!*value)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i]) == length && strncasecmp(known[i], text, length) == 0) {
			rd->is_past_directives = false;
			return set_directive(rd, known[i], value);
		}
	}
	return 0;
}

/* ---- instructions ---- */

/* What continues a line. Comments within are passed over. */
static int join_lines(struct reader *rd, char **text, size_t *len)
{
	bool is_continued = true, has_empty = false;
	size_t size = *len + 1;
	const char *s;
	size_t n;
	int r = 0;

	while (is_continued && (r = next_line(rd, &s, &n)) == 0) {
		if (is_comment(s, n))
			continue;
		n = without_newline(s, n);
		if (blanks_at(s, n) == n) {
			has_empty = true;
			continue;
		}
		is_continued = goes_on(rd, s, &n);
		if (*len + n + 1 > size) {
			char *bigger = arena_alloc(rd->arena, size = 2 * (*len + n + 1));

			memcpy(bigger, *text, *len);
			*text = bigger;
		}
		memcpy(*text + *len, s, n);
		*len += n;
		(*text)[*len] = '\0';
	}
	if (has_empty)
		words_add(rd->arena, &rd->list->warnings,
			  arena_printf(rd->arena, "[WARNING]: Empty continuation line found in: %s\n", *text));
	return r < 0 ? r : 0;
}

static int read_heredoc(struct reader *rd, struct heredoc *doc)
{
	const char *start = rd->at, *s;
	size_t n;
	int r;

	while ((r = next_line(rd, &s, &n)) == 0) {
		const char *word = s;
		size_t length = without_newline(s, n);

		while (doc->strips_tabs && length && *word == '\t') {
			word++;
			length--;
		}
		if (length == strlen(doc->name) && memcmp(word, doc->name, length) == 0) {
			doc->content = arena_ndup(rd->arena, start, (size_t)(s - start));
			return 0;
		}
	}
	return r < 0 ? r : error_set_class(rd->err, ERROR_INVALID, "unterminated heredoc");
}

static int add_instruction(struct reader *rd, const char *line, unsigned first_line)
{
	struct instruction *i = arena_new(rd->arena, struct instruction);
	int r = words_split_line(rd->arena, line, rd->escape, i, rd->err);

	i->line = first_line;
	if (r == 0)
		i->heredocs = heredocs_of(rd->arena, i, line, &i->nheredocs);
	for (size_t k = 0; r == 0 && k < i->nheredocs; k++)
		r = read_heredoc(rd, &i->heredocs[k]);
	if (r == 0 && rd->list->count == DOCKERFILE_MAX_INSTRUCTIONS)
		r = error_set_class(rd->err, ERROR_INVALID, "more than %d instructions", DOCKERFILE_MAX_INSTRUCTIONS);
	if (r < 0)
		return r;
	if (rd->list->count == rd->size) {
		struct instruction **items =
			arena_alloc(rd->arena, (rd->size = 2 * rd->size + 16) * sizeof(struct instruction *));

		if (rd->list->count)
			memcpy(items, rd->list->items, rd->list->count * sizeof(struct instruction *));
		rd->list->items = items;
	}
	rd->list->items[rd->list->count++] = i;
	return 0;
}

static int read_instruction(struct reader *rd, const char *s, size_t n)
{
	unsigned first_line = rd->line;
	size_t blanks;
	char *text;
	int r;

	n = without_newline(s, n);
	blanks = blanks_at(s, n);
	s += blanks;
	n -= blanks;
	r = look_for_directive(rd, s, n);
	if (r < 0 || n == 0 || *s == '#')
		return r;
	if (goes_on(rd, s, &n)) {
		text = arena_ndup(rd->arena, s, n);
		r = join_lines(rd, &text, &n);
	} else {
		text = arena_ndup(rd->arena, s, n);
	}
	return r < 0 ? r : add_instruction(rd, text, first_line);
}

int instructions_parse(struct arena *a, const char *text, size_t len, struct instruction_list *ret, struct error *err)
{
	struct instruction_list list = { 0 };
	struct reader rd = { .arena = a, .at = text, .end = text + len, .escape = '\\', .list = &list, .err = err };
	const char *s;
	size_t n;
	int r = 0;

	if (len > DOCKERFILE_MAX_BYTES)
		return error_set_class(err, ERROR_INVALID, "it has more than %d bytes", DOCKERFILE_MAX_BYTES);
	if (memchr(text, '\0', len))
		return error_set_class(err, ERROR_INVALID, "it holds a NUL byte");
	while (r == 0 && (r = next_line(&rd, &s, &n)) == 0)
		r = read_instruction(&rd, s, n);
	if (r < 0)
		return r;
	if (list.count == 0)
		return error_set_class(err, ERROR_INVALID, "file with no instructions");
	if (list.warnings.count)
		words_add(a, &list.warnings,
			  arena_dup(a, "[WARNING]: Empty continuation lines will become errors in a future release.\n"));
	list.escape = rd.escape;
	*ret = list;
	return 0;
}

/* ---- stages ---- */

static int add_to_stage(struct dockerfile *d, const struct instruction *i, const struct instruction *const *place,
			struct error *err)
{
	if (i->kind == INSTRUCTION_FROM) {
		d->stages[d->nstages++] = (struct stage){ .from = i, .instructions = place + 1 };
		return 0;
	}
	if (d->nstages) {
		d->stages[d->nstages - 1].count++;
		return 0;
	}
	if (i->kind != INSTRUCTION_ARG)
		return error_set_class(err, ERROR_INVALID, "no build stage in current context");
	d->args[d->nargs++] = i;
	return 0;
}

static int make_stages(struct dockerfile *d, const struct instruction_list *list, struct error *err)
{
	const struct instruction **all = arena_alloc(&d->arena, (list->count + 1) * sizeof(*all));
	int r = 0;

	d->stages = arena_alloc(&d->arena, list->count * sizeof(*d->stages));
	d->args = arena_alloc(&d->arena, list->count * sizeof(*d->args));
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		all[i] = list->items[i];
		r = instruction_check(&d->arena, list->items[i], err);
		if (r < 0)
			error_prefix(err, "dockerfile parse error on line %u", all[i]->line);
		else
			r = add_to_stage(d, all[i], all + i, err);
	}
	return r;
}

int dockerfile_parse(const char *text, size_t len, const char *name, struct dockerfile **ret, struct error *err)
{
	struct dockerfile *d = xnew(struct dockerfile);
	struct instruction_list list;
	int r = len ? 0 : error_set_class(err, ERROR_INVALID, "the Dockerfile (%.200s) cannot be empty", name);

	if (r == 0) {
		r = instructions_parse(&d->arena, text, len, &list, err);
		if (r < 0)
			error_prefix(err, "failed to parse %.200s", name);
	}
	if (r == 0)
		r = make_stages(d, &list, err);
	if (r < 0) {
		dockerfile_free(d);
		return r;
	}
	d->escape = list.escape;
	d->warnings = list.warnings;
	*ret = d;
	return 0;
}

void dockerfile_free(struct dockerfile *d)
{
	if (!d)
		return;
	arena_done(&d->arena);
	free(d);
}

int dockerfile_find_stage(const struct dockerfile *d, const char *name)
{
	for (size_t i = 0; i < d->nstages; i++)
		if (d->stages[i].from->stage_name && strcasecmp(d->stages[i].from->stage_name, name) == 0)
			return (int)i;
	return -1;
}

int dockerfile_stage_before(const struct dockerfile *d, size_t at, const char *name, bool is_from)
{
	char *end;
	long n;

	for (size_t i = at; i-- > 0;)
		if (d->stages[i].from->stage_name && strcasecmp(d->stages[i].from->stage_name, name) == 0)
			return (int)i;
	if (!is_from || !isdigit((unsigned char)*name))
		return -1;
	n = strtol(name, &end, 10);
	return *end || n < 0 || (size_t)n >= at ? -1 : (int)n;
}
