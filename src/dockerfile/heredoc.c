/* Here documents: which words of a line begin one, and what its word says. */
#include <ctype.h>
#include <string.h>

#include "dockerfile/expand.h"
#include "dockerfile/internal.h"
#include "dockerfile/text.h"

static size_t count_quotes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\'' || *s == '"';
	return n;
}

bool heredoc_parse(struct arena *a, const char *word, struct heredoc *ret)
{
	struct words plain = { 0 }, raw = { 0 };
	bool strips_tabs;

	while (isdigit((unsigned char)*word))
		word++;
	if (strncmp(word, "<<", 2) != 0)
		return false;
	word += 2;
	strips_tabs = *word == '-';
	word += strips_tabs;
	while (text_is_space(*word))
		word++;
	if (!*word || strchr(word, '<'))
		return false;
	if (expand_words(a, word, '\\', EXPAND_KEEP_UNSET, NULL, &plain, NULL) < 0 || plain.count != 1 ||
	    expand_words(a, word, '\\', EXPAND_KEEP_UNSET | EXPAND_KEEP_QUOTES, NULL, &raw, NULL) < 0 || raw.count != 1)
		return false;
	*ret = (struct heredoc){ .name = plain.items[0],
				 .content = arena_dup(a, ""),
				 .expands = count_quotes(plain.items[0]) == count_quotes(raw.items[0]),
				 .strips_tabs = strips_tabs };
	return true;
}

struct heredoc *heredocs_of(struct arena *a, const struct instruction *i, const char *line, size_t *ret_count)
{
	enum instruction_kind kind =
		i->kind == INSTRUCTION_ONBUILD && i->args.count ? instruction_kind(i->args.items[0]) : i->kind;
	struct words words = { 0 };
	struct heredoc *docs;

	*ret_count = 0;
	if ((kind != INSTRUCTION_ADD && kind != INSTRUCTION_COPY && kind != INSTRUCTION_RUN) || i->is_json ||
	    !strstr(line, "<<"))
		return NULL;
	if (expand_words(a, line, '\\', EXPAND_KEEP_UNSET | EXPAND_KEEP_QUOTES | EXPAND_KEEP_ESCAPES, NULL, &words, NULL) < 0)
		return NULL;
	docs = arena_alloc(a, (words.count + 1) * sizeof(*docs));
	for (size_t k = 0; k < words.count; k++)
		*ret_count += heredoc_parse(a, words.items[k], &docs[*ret_count]);
	return docs;
}

char *heredoc_strip_tabs(struct arena *a, const char *content)
{
	char *text = arena_dup(a, content), *out = text;
	bool is_start = true;

	for (const char *in = content; *in; in++) {
		if (is_start && *in == '\t')
			continue;
		is_start = *in == '\n';
		*out++ = *in;
	}
	*out = '\0';
	return text;
}

char *instruction_command(struct arena *a, const struct instruction *i, bool *ret_is_script)
{
	char *line = i->args.count ? i->args.items[0] : NULL;
	struct heredoc doc;

	*ret_is_script = false;
	if (!line || !i->nheredocs || i->is_json)
		return line;
	if (i->nheredocs == 1 && heredoc_parse(a, line, &doc)) {
		line = i->heredocs[0].strips_tabs ? heredoc_strip_tabs(a, i->heredocs[0].content) : i->heredocs[0].content;
		*ret_is_script = strncmp(line, "#!", 2) == 0;
		return line;
	}
	for (size_t k = 0; k < i->nheredocs; k++)
		line = arena_printf(a, "%s\n%s%s", line, i->heredocs[k].content, i->heredocs[k].name);
	return line;
}
