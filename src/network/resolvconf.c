#include "network/resolvconf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/alloc.h"
#include "util/file.h"

enum { FILE_MAX = 1 << 20, LOOK_MS = 1000 };

/* ---- the text ---- */

static json_t *words_of(const char *line, size_t len)
{
	json_t *words = json_array();

	for (size_t i = 0; i < len;) {
		size_t n = 0;

		while (i < len && strchr(" \t\r", line[i]))
			i++;
		while (i + n < len && !strchr(" \t\r", line[i + n]))
			n++;
		if (n)
			json_array_append_new(words, json_stringn(line + i, n));
		i += n;
	}
	return words;
}

static void replace(json_t **at, json_t *words, size_t max)
{
	json_decref(*at);
	*at = json_array();
	for (size_t i = 1; i < json_array_size(words) && i <= max; i++)
		json_array_append(*at, json_array_get(words, i));
}

static void read_line(struct resolvconf *r, const char *line, size_t len)
{
	json_t *words = *line == '#' || *line == ';' ? json_array() : words_of(line, len);
	const char *key = json_string_value(json_array_get(words, 0));

	if (!key) {
		json_decref(words);
		return;
	}
	if (strcmp(key, "nameserver") == 0) {
		if (json_array_size(words) > 1)
			json_array_append(r->servers, json_array_get(words, 1));
	} else if (strcmp(key, "domain") == 0) {
		replace(&r->search, words, 1);
	} else if (strcmp(key, "search") == 0) {
		replace(&r->search, words, SIZE_MAX - 1);
	} else if (strcmp(key, "options") == 0) {
		replace(&r->options, words, SIZE_MAX - 1);
	} else {
		buf_append(&r->other, line, len);
		buf_puts(&r->other, "\n");
	}
	json_decref(words);
}

void resolvconf_parse(const char *text, struct resolvconf *ret)
{
	*ret = (struct resolvconf){ json_array(), json_array(), json_array(), { 0 } };
	buf_init(&ret->other, FILE_MAX);
	while (*text) {
		size_t len = strcspn(text, "\n");

		read_line(ret, text, len);
		text += len + (text[len] == '\n');
	}
}

void resolvconf_done(struct resolvconf *r)
{
	json_decref(r->servers);
	json_decref(r->search);
	json_decref(r->options);
	buf_done(&r->other);
	*r = (struct resolvconf){ 0 };
}

/* ---- the host's ---- */

struct resolvconf_file {
	char *path;
	struct resolvconf conf;
	struct stat seen;
	uint64_t looked_ms;
	bool is_read;
};

struct resolvconf_file *resolvconf_file_new(const char *path)
{
	struct resolvconf_file *f = xnew(struct resolvconf_file);

	f->path = xstrdup(path);
	return f;
}

void resolvconf_file_free(struct resolvconf_file *f)
{
	if (!f)
		return;
	resolvconf_done(&f->conf);
	free(f->path);
	free(f);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

const struct resolvconf *resolvconf_file_get(struct resolvconf_file *f, uint64_t now_ms)
{
	struct stat st = { 0 };
	char *text;

	if (f->is_read && now_ms - f->looked_ms < LOOK_MS)
		return &f->conf;
	f->looked_ms = now_ms;
	if (stat(f->path, &st) < 0)
		st = (struct stat){ 0 };
	if (f->is_read && is_same(&st, &f->seen))
		return &f->conf;
	f->seen = st;
	f->is_read = true;
	resolvconf_done(&f->conf);
	text = file_text(f->path, FILE_MAX);
	resolvconf_parse(text, &f->conf);
	free(text);
	return &f->conf;
}
