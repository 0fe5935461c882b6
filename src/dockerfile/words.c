/* One line of a Dockerfile: name, flags, and the words in the form that the
 * instruction has (buildkit: parser/line_parsers.go, split_command.go). */
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "dockerfile/internal.h"
#include "dockerfile/text.h"

const char *const instruction_names[] = { "ADD",        "ARG",     "CMD",     "COPY",        "ENTRYPOINT",
					  "ENV",        "EXPOSE",  "FROM",    "HEALTHCHECK", "LABEL",
					  "MAINTAINER", "ONBUILD", "RUN",     "SHELL",       "STOPSIGNAL",
					  "USER",       "VOLUME",  "WORKDIR", NULL };

static const enum args_form forms[] = {
	[INSTRUCTION_ADD] = ARGS_JSON_LIST,        [INSTRUCTION_ARG] = ARGS_WORDS,
	[INSTRUCTION_CMD] = ARGS_JSON_LINE,        [INSTRUCTION_COPY] = ARGS_JSON_LIST,
	[INSTRUCTION_ENTRYPOINT] = ARGS_JSON_LINE, [INSTRUCTION_ENV] = ARGS_PAIRS,
	[INSTRUCTION_EXPOSE] = ARGS_BLANKS,        [INSTRUCTION_FROM] = ARGS_BLANKS,
	[INSTRUCTION_HEALTHCHECK] = ARGS_HEALTH,   [INSTRUCTION_LABEL] = ARGS_PAIRS,
	[INSTRUCTION_MAINTAINER] = ARGS_LINE,      [INSTRUCTION_ONBUILD] = ARGS_INSTRUCTION,
	[INSTRUCTION_RUN] = ARGS_JSON_LINE,        [INSTRUCTION_SHELL] = ARGS_JSON_LINE,
	[INSTRUCTION_STOPSIGNAL] = ARGS_LINE,      [INSTRUCTION_USER] = ARGS_LINE,
	[INSTRUCTION_VOLUME] = ARGS_JSON_LIST,     [INSTRUCTION_WORKDIR] = ARGS_LINE,
	[INSTRUCTION_UNKNOWN] = ARGS_NONE,
};

enum instruction_kind instruction_kind(const char *name)
{
	size_t i = 0;

	while (instruction_names[i] && strcasecmp(instruction_names[i], name) != 0)
		i++;
	return (enum instruction_kind)i;
}

enum args_form instruction_form(enum instruction_kind kind)
{
	return forms[kind];
}

/* What Docker's parser cuts at; a line's end is none. */
static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* ---- words with quotes ---- */

/* A word under construction. */
struct word {
	char *data;
	size_t len;
	bool is_blank_ok; /* it had quotes */
};

static void finish(struct arena *a, struct word *w, struct words *ret)
{
	if (w->len || w->is_blank_ok)
		words_add(a, ret, arena_ndup(a, w->data, w->len));
	w->len = 0;
	w->is_blank_ok = false;
}

/* Quotes and escapes stay; they are taken off when the word is expanded. */
static void split_words(struct arena *a, const char *in, char escape, struct words *ret)
{
	struct word w = { .data = arena_alloc(a, strlen(in) + 1) };
	char quote = '\0';

	for (; *in; in++) {
		if (!quote && text_is_space(*in)) {
			finish(a, &w, ret);
			continue;
		}
		if (!quote && (*in == '\'' || *in == '"')) {
			quote = *in;
			w.is_blank_ok = true;
		} else if (quote && *in == quote) {
			quote = '\0';
		} else if (*in == escape && quote != '\'') {
			if (!in[1])
				break; /* at the end it means nothing */
			w.data[w.len++] = *in++;
		}
		w.data[w.len++] = *in;
	}
	finish(a, &w, ret);
}

static void split_blanks(struct arena *a, const char *in, struct words *ret)
{
	while (*in) {
		const char *start = in;

		while (*in && !is_blank(*in))
			in++;
		words_add(a, ret, arena_ndup(a, start, (size_t)(in - start)));
		if (!*in)
			return;
		while (is_blank(*in))
			in++;
	}
}

/* ---- the forms ---- */

static int split_pairs(struct arena *a, const char *rest, char escape, const char *key, struct words *ret, struct error *err)
{
	struct words words = { 0 };
	const char *value = rest;

	split_words(a, rest, escape, &words);
	if (words.count && !strchr(words.items[0], '=')) { /* ENV name value */
		while (*value && !is_blank(*value))
			value++;
		if (!*value)
			return error_set_class(err, ERROR_INVALID, "%s must have two arguments", key);
		words_add(a, ret, arena_ndup(a, rest, (size_t)(value - rest)));
		while (is_blank(*value))
			value++;
		words_add(a, ret, arena_dup(a, value));
		words_add(a, ret, arena_dup(a, ""));
		return 0;
	}
	for (size_t i = 0; i < words.count; i++) {
		char *eq = strchr(words.items[i], '=');

		if (!eq)
			return error_set_class(err, ERROR_INVALID,
					       "Syntax error - can't find = in %.300s. Must be of the form: name=value",
					       text_quote(a, words.items[i]));
		words_add(a, ret, arena_ndup(a, words.items[i], (size_t)(eq - words.items[i])));
		words_add(a, ret, arena_dup(a, eq + 1));
		words_add(a, ret, arena_dup(a, "="));
	}
	return 0;
}

/* 1: it is no JSON array. */
static int split_json(struct arena *a, const char *rest, struct instruction *i, struct error *err)
{
	json_t *list = *rest == '[' ? json_loads(rest, 0, NULL) : NULL, *item;
	size_t k;

	if (!list)
		return 1;
	json_array_foreach(list, k, item) {
		if (!json_is_string(item)) {
			json_decref(list);
			return error_set_class(err, ERROR_INVALID,
					       "when using JSON array syntax, arrays must be comprised of strings only");
		}
		words_add(a, &i->args, arena_dup(a, json_string_value(item)));
	}
	json_decref(list);
	i->is_json = true;
	return 0;
}

static int split_json_line(struct arena *a, const char *rest, struct instruction *i, struct error *err)
{
	int r = *rest ? split_json(a, rest, i, err) : 0;

	if (r == 1)
		words_add(a, &i->args, arena_dup(a, rest));
	return r < 0 ? r : 0;
}

static int split_health(struct arena *a, const char *rest, struct instruction *i, struct error *err)
{
	size_t n = 0;

	while (rest[n] && !text_is_space(rest[n]))
		n++;
	if (n == 0)
		return 0;
	words_add(a, &i->args, arena_ndup(a, rest, n));
	while (text_is_space(rest[n]))
		n++;
	return split_json_line(a, rest + n, i, err);
}

/* The inner instruction's name and words are the outer one's words. */
static int split_instruction(struct arena *a, const char *rest, char escape, struct instruction *i, struct error *err)
{
	struct instruction inner = { 0 };
	int r = 0;

	if (!*rest)
		return 0;
	if (instruction_kind(arena_ndup(a, rest, strcspn(rest, " \t"))) == INSTRUCTION_ONBUILD)
		words_add(a, &i->args, arena_dup(a, "ONBUILD")); /* is refused: no need to go down */
	else
		r = words_split_line(a, rest, escape, &inner, err);
	if (r == 0 && inner.name) {
		words_add(a, &i->args, inner.name);
		for (size_t k = 0; k < inner.args.count; k++)
			words_add(a, &i->args, inner.args.items[k]);
		i->is_json = inner.is_json;
	}
	return r;
}

static int split_args(struct arena *a, const char *rest, char escape, struct instruction *i, struct error *err)
{
	int r;

	switch (forms[i->kind]) {
	case ARGS_BLANKS: split_blanks(a, rest, &i->args); return 0;
	case ARGS_WORDS: split_words(a, rest, escape, &i->args); return 0;
	case ARGS_PAIRS: return split_pairs(a, rest, escape, instruction_names[i->kind], &i->args, err);
	case ARGS_LINE:
		if (*rest)
			words_add(a, &i->args, arena_dup(a, rest));
		return 0;
	case ARGS_JSON_LINE: return split_json_line(a, rest, i, err);
	case ARGS_JSON_LIST:
		r = split_json(a, rest, i, err);
		if (r == 1)
			split_blanks(a, rest, &i->args);
		return r < 0 ? r : 0;
	case ARGS_HEALTH: return split_health(a, rest, i, err);
	case ARGS_INSTRUCTION: return split_instruction(a, rest, escape, i, err);
	case ARGS_NONE: break;
	}
	return 0;
}

/* ---- flags ---- */

/* Words that begin with --, quotes and escapes taken off; answers what follows them. */
static const char *split_flags(struct arena *a, const char *in, char escape, struct words *flags)
{
	struct word w = { .data = arena_alloc(a, strlen(in) + 1) };
	char quote;

	for (;;) {
		while (text_is_space(*in))
			in++;
		if (in[0] != '-' || in[1] != '-')
			return in;
		quote = '\0';
		for (; *in && (quote || !text_is_space(*in)); in++) {
			if (!quote && (*in == '\'' || *in == '"')) {
				quote = *in;
				w.is_blank_ok = true;
				continue;
			}
			if (quote && *in == quote) {
				quote = '\0';
				continue;
			}
			if (*in == escape && !*++in)
				break;
			w.data[w.len++] = *in;
		}
		if (w.len == 2 && memcmp(w.data, "--", 2) == 0)
			return in;
		finish(a, &w, flags);
	}
}

int words_split_line(struct arena *a, const char *line, char escape, struct instruction *i, struct error *err)
{
	const char *text = text_trim(a, line, strlen(line)), *rest = text;

	while (*rest && !is_blank(*rest))
		rest++;
	i->name = arena_ndup(a, text, (size_t)(rest - text));
	i->original = arena_dup(a, text);
	i->kind = instruction_kind(i->name);
	rest = split_flags(a, rest, escape, &i->flags);
	return split_args(a, text_trim(a, rest, strlen(rest)), escape, i, err);
}
