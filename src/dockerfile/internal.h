/* What the files of this folder share. */
#ifndef SOCKERLESS_DOCKERFILE_INTERNAL_H
#define SOCKERLESS_DOCKERFILE_INTERNAL_H

#include "dockerfile/dockerfile.h"

/* ---- words.c: one line ---- */

enum args_form {
	ARGS_BLANKS,     /* cut at blanks */
	ARGS_WORDS,      /* cut at blanks that no quotes hold; quotes stay */
	ARGS_PAIRS,      /* ENV, LABEL */
	ARGS_LINE,       /* one */
	ARGS_JSON_LINE,  /* a JSON array, else one */
	ARGS_JSON_LIST,  /* a JSON array, else cut at blanks */
	ARGS_HEALTH,     /* a word, then as ARGS_JSON_LINE */
	ARGS_INSTRUCTION, /* another instruction: ONBUILD */
	ARGS_NONE,
};
/* Splits a line into the instruction's name, flags and words. */
int words_split_line(struct arena *a, const char *line, char escape, struct instruction *i, struct error *err);
enum instruction_kind instruction_kind(const char *name);
enum args_form instruction_form(enum instruction_kind kind);
extern const char *const instruction_names[]; /* by kind, NULL-ended */

/* ---- heredoc.c ---- */
/* The here document that a word begins; false: it begins none. Its content comes later. */
bool heredoc_parse(struct arena *a, const char *word, struct heredoc *ret);
/* Those that a line begins. NULL: none. */
struct heredoc *heredocs_of(struct arena *a, const struct instruction *i, const char *line, size_t *ret_count);
char *heredoc_strip_tabs(struct arena *a, const char *content);

#endif
