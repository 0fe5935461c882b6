#include "dockerfile/change.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/glob.h"
#include "dockerfile/internal.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/clock.h"

enum { ENV_MAX_BYTES = 4 << 20, PORTS_MAX = 65536 };

/* ---- expansion ---- */

struct expansion {
	struct arena *arena;
	char escape;
	const struct expand_source *source;
	struct error *err;
};

static int one(struct expansion *x, char **word)
{
	return *word ? expand_word(x->arena, *word, x->escape, 0, x->source, word, x->err) : 0;
}

static int all(struct expansion *x, struct words *w)
{
	char **items = arena_alloc(x->arena, (w->count + 1) * sizeof(*items));
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		items[i] = w->items[i];
		r = one(x, &items[i]);
	}
	w->items = items;
	w->size = w->count;
	return r;
}

static int pairs(struct expansion *x, struct instruction *i)
{
	struct pair *list = arena_alloc(x->arena, (i->npairs + 1) * sizeof(*list));
	int r = 0;

	for (size_t k = 0; r == 0 && k < i->npairs; k++) {
		list[k] = i->pairs[k];
		r = one(x, &list[k].key);
		r = r < 0 ? r : one(x, &list[k].value);
	}
	i->pairs = list;
	return r;
}

static int documents(struct expansion *x, struct instruction *i)
{
	struct heredoc *list = arena_alloc(x->arena, (i->nheredocs + 1) * sizeof(*list));
	int r = 0;

	for (size_t k = 0; r == 0 && k < i->nheredocs; k++) {
		list[k] = i->heredocs[k];
		if (list[k].strips_tabs)
			list[k].content = heredoc_strip_tabs(x->arena, list[k].content);
		if (list[k].expands)
			r = expand_word(x->arena, list[k].content, '\\', EXPAND_NO_QUOTES, x->source, &list[k].content, x->err);
	}
	i->heredocs = list;
	return r;
}

/* The word that stands for a here document is none to expand. */
static int sources(struct expansion *x, struct instruction *i)
{
	char **items = arena_alloc(x->arena, (i->args.count + 1) * sizeof(*items));
	struct heredoc doc;
	int r = 0;

	for (size_t k = 0; r == 0 && k < i->args.count; k++) {
		items[k] = i->args.items[k];
		if (i->is_json || !heredoc_parse(x->arena, items[k], &doc))
			r = one(x, &items[k]);
	}
	i->args.items = items;
	if (r == 0)
		r = one(x, &i->chown);
	if (r == 0)
		r = one(x, &i->chmod);
	if (r == 0)
		r = one(x, &i->checksum);
	return r < 0 ? r : documents(x, i);
}

static int ports(struct expansion *x, struct instruction *i)
{
	struct words found = { 0 };
	int r = 0;

	for (size_t k = 0; r == 0 && k < i->args.count; k++)
		r = expand_words(x->arena, i->args.items[k], x->escape, 0, x->source, &found, x->err);
	i->args = found;
	return r;
}

int instruction_expand(struct arena *a, const struct instruction *i, char escape, const struct expand_source *source,
		       struct instruction *ret, struct error *err)
{
	struct expansion x = { a, escape, source, err };

	*ret = *i;
	if (i->is_given)
		return 0;
	switch (i->kind) {
	case INSTRUCTION_ENV:
	case INSTRUCTION_LABEL:
	case INSTRUCTION_ARG: return pairs(&x, ret);
	case INSTRUCTION_ADD:
	case INSTRUCTION_COPY: return sources(&x, ret);
	case INSTRUCTION_WORKDIR:
	case INSTRUCTION_USER:
	case INSTRUCTION_VOLUME:
	case INSTRUCTION_STOPSIGNAL: return all(&x, &ret->args);
	case INSTRUCTION_EXPOSE: return ports(&x, ret);
	default: return 0;
	}
}

/* ---- parts of a config ---- */

/* JSON holds UTF-8 only: bytes that are none become U+FFFD, as Go's encoder writes them. */
static json_t *text_json(const char *text)
{
	json_t *v = json_string(text);
	char *clean, *out;
	size_t n;

	if (v)
		return v;
	clean = out = xmalloc(3 * strlen(text) + 1);
	while (*text) {
		json_t *whole;

		glob_rune(text, &n);
		whole = json_stringn(text, n);
		memcpy(out, whole ? text : "\xef\xbf\xbd", whole ? n : 3);
		out += whole ? n : 3;
		text += whole ? n : 1;
		json_decref(whole);
	}
	v = json_stringn(clean, (size_t)(out - clean));
	free(clean);
	return v;
}

const char *change_env_get(json_t *env, const char *name)
{
	size_t n = strlen(name), i;
	json_t *v;

	json_array_foreach(env, i, v) {
		const char *text = json_string_value(v);

		if (text && strncmp(text, name, n) == 0 && text[n] == '=')
			return text + n + 1;
	}
	return NULL;
}

void change_env_set(json_t *env, const char *name, const char *value)
{
	char *setting = xasprintf("%s=%s", name, value);
	json_t *text = text_json(setting), *v;
	size_t n = strlen(name), i;

	free(setting);
	json_array_foreach(env, i, v) {
		const char *old = json_string_value(v);

		if (old && strncmp(old, name, n) == 0 && (old[n] == '=' || !old[n])) {
			json_array_set_new(env, i, text);
			return;
		}
	}
	json_array_append_new(env, text);
}

/* The object or array of this name, made where there is none. */
static json_t *part(json_t *config, const char *key, json_t *(*make)(void))
{
	json_t *v = json_object_get(config, key);

	if (!v || json_is_null(v)) {
		v = make();
		json_object_set_new(config, key, v);
	}
	return v;
}

static json_t *array_of(const struct words *w, size_t from)
{
	json_t *list = json_array();

	for (size_t i = from; i < w->count; i++)
		json_array_append_new(list, text_json(w->items[i]));
	return list;
}

json_t *change_shell(json_t *config)
{
	json_t *shell = json_object_get(config, "Shell");

	return json_array_size(shell) ? json_copy(shell) : json_pack("[s, s]", "/bin/sh", "-c");
}

json_t *change_command(json_t *config, const struct instruction *i, const char *line)
{
	json_t *list;

	if (i->is_json)
		return array_of(&i->args, 0);
	list = change_shell(config);
	if (line)
		json_array_append_new(list, text_json(line));
	return list;
}

/* As Go prints a list of strings with %q, or with %v. */
static char *print_list(struct arena *a, json_t *list, bool is_quoted)
{
	struct words w = { 0 };
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v) {
		char *text = arena_dup(a, json_string_value(v));

		words_add(a, &w, is_quoted ? text_quote(a, text) : text);
	}
	return arena_printf(a, "[%s]", words_join(a, &w, " "));
}

/* ---- each instruction ---- */

struct change {
	struct arena *arena;
	const struct instruction *instruction;
	json_t *config;
	bool *is_cmd_set;
	char *comment;
	struct error *err;
};

static int change_pairs(struct change *c)
{
	bool is_env = c->instruction->kind == INSTRUCTION_ENV;
	json_t *into = part(c->config, is_env ? "Env" : "Labels", is_env ? json_array : json_object), *v;
	struct words told = { 0 };
	size_t bytes = 0, k;

	words_add(c->arena, &told, arena_dup(c->arena, is_env ? "ENV" : "LABEL"));
	for (size_t i = 0; i < c->instruction->npairs; i++) {
		const struct pair *p = &c->instruction->pairs[i];

		if (is_env)
			change_env_set(into, p->key, p->value);
		else
			json_object_set_new(into, p->key, text_json(p->value));
		words_add(c->arena, &told, arena_printf(c->arena, "%s=%s", p->key, p->value));
	}
	json_array_foreach(into, k, v)
		bytes += json_string_length(v);
	if (bytes > ENV_MAX_BYTES)
		return error_set_class(c->err, ERROR_INVALID, "the environment has more than %d bytes", ENV_MAX_BYTES);
	c->comment = words_join(c->arena, &told, " ");
	return 0;
}

static int change_cmd(struct change *c)
{
	const struct instruction *i = c->instruction;
	json_t *list = change_command(c->config, i, i->args.count ? i->args.items[0] : NULL);

	c->comment = arena_printf(c->arena, "CMD %s", print_list(c->arena, list, true));
	json_object_set_new(c->config, "Cmd", list);
	*c->is_cmd_set = *c->is_cmd_set || i->args.count > 0;
	return 0;
}

static int change_entrypoint(struct change *c)
{
	const struct instruction *i = c->instruction;
	json_t *list = i->args.count ? change_command(c->config, i, i->args.items[0]) : json_null();

	c->comment = arena_printf(c->arena, "ENTRYPOINT %s", print_list(c->arena, list, true));
	json_object_set_new(c->config, "Entrypoint", list);
	if (!*c->is_cmd_set)
		json_object_del(c->config, "Cmd");
	return 0;
}

static void set_interval(json_t *o, const char *key, long long ns)
{
	if (ns)
		json_object_set_new(o, key, json_integer(ns));
}

static int change_health(struct change *c)
{
	const struct health *h = c->instruction->health;
	char times[4][CLOCK_DURATION_MAX];
	json_t *o = json_object(), *test = array_of(&h->test, 0);

	clock_format_duration(h->interval_ns, times[0]);
	clock_format_duration(h->timeout_ns, times[1]);
	clock_format_duration(h->start_period_ns, times[2]);
	clock_format_duration(h->start_interval_ns, times[3]);
	c->comment = arena_printf(c->arena, "HEALTHCHECK &{Test:%s Interval:%s Timeout:%s StartPeriod:%s StartInterval:%s Retries:%d}",
				  print_list(c->arena, test, false), times[0], times[1], times[2], times[3], h->retries);
	json_object_set_new(o, "Test", test);
	set_interval(o, "Interval", h->interval_ns);
	set_interval(o, "Timeout", h->timeout_ns);
	set_interval(o, "StartPeriod", h->start_period_ns);
	set_interval(o, "StartInterval", h->start_interval_ns);
	set_interval(o, "Retries", h->retries);
	return json_object_set_new(c->config, "Healthcheck", o);
}

/* "8000-8010"; false: it is none. */
static bool parse_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
	char *end;
	unsigned long first, last;

	if (!isdigit((unsigned char)*text))
		return false;
	first = last = strtoul(text, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		last = strtoul(end + 1, &end, 10);
	if (*end || first >= PORTS_MAX || last >= PORTS_MAX || last < first)
		return false;
	*ret_first = (unsigned)first;
	*ret_last = (unsigned)last;
	return true;
}

/* "80", "80/udp", "8000-8010", and with what -p has before it, which means nothing here. */
static int expose(struct change *c, json_t *into, const char *text)
{
	const char *colon = strrchr(text, ':'), *start = colon ? colon + 1 : text, *slash = strchr(start, '/');
	char *port = arena_ndup(c->arena, start, slash ? (size_t)(slash - start) : strlen(start));
	char *protocol = text_lower(c->arena, slash && slash[1] ? slash + 1 : "tcp");
	unsigned first, last;

	if (!*port)
		return error_set_class(c->err, ERROR_INVALID, "no port specified: %.200s<empty>", text);
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0 && strcmp(protocol, "sctp") != 0)
		return error_set_class(c->err, ERROR_INVALID, "invalid proto: %.200s", protocol);
	if (!parse_range(port, &first, &last))
		return error_set_class(c->err, ERROR_INVALID, "invalid containerPort: %.200s", port);
	for (; first <= last; first++)
		json_object_set_new(into, arena_printf(c->arena, "%u/%s", first, protocol), json_object());
	return 0;
}

static int change_expose(struct change *c)
{
	json_t *into = part(c->config, "ExposedPorts", json_object);
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->instruction->args.count; i++)
		r = expose(c, into, c->instruction->args.items[i]);
	c->comment = arena_printf(c->arena, "EXPOSE %s", words_join(c->arena, &c->instruction->args, " "));
	return r;
}

static int change_volumes(struct change *c)
{
	json_t *into = part(c->config, "Volumes", json_object);

	for (size_t i = 0; i < c->instruction->args.count; i++) {
		if (!*c->instruction->args.items[i])
			return error_set_class(c->err, ERROR_INVALID, "VOLUME specified can not be an empty string");
		json_object_set_new(into, c->instruction->args.items[i], json_object());
	}
	c->comment = arena_printf(c->arena, "VOLUME [%s]", words_join(c->arena, &c->instruction->args, " "));
	return 0;
}

static bool is_signal(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end != text && !*end)
		return n != 0;
	text += strncasecmp(text, "SIG", 3) == 0 ? 3 : 0;
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), text) == 0)
			return true;
	if (strcasecmp(text, "CLD") == 0 || strcasecmp(text, "IOT") == 0)
		return true;
	if (strncasecmp(text, "RTMIN", 5) != 0 && strncasecmp(text, "RTMAX", 5) != 0)
		return false;
	n = text[5] ? strtol(text + 5, &end, 10) : 0;
	return !text[5] || (!*end && (text[4] == 'N' || text[4] == 'n' ? n > 0 && n <= 15 : n < 0 && n >= -14));
}

static int change_signal(struct change *c)
{
	const char *signal = c->instruction->args.items[0];

	if (!is_signal(signal))
		return error_set_class(c->err, ERROR_INVALID, "invalid signal: %.200s", signal);
	c->comment = arena_printf(c->arena, "STOPSIGNAL %s", signal);
	return json_object_set_new(c->config, "StopSignal", text_json(signal));
}

static int change_workdir(struct change *c)
{
	const char *before = json_string_value(json_object_get(c->config, "WorkingDir")),
		   *path = c->instruction->args.items[0];

	if (!*path)
		return error_set_class(c->err, ERROR_INVALID, "cannot normalize nothing");
	path = text_absolute_path(c->arena, before ? before : "", path);
	c->comment = arena_printf(c->arena, "WORKDIR %s", path);
	return json_object_set_new(c->config, "WorkingDir", text_json(path));
}

static int change_arg(struct change *c)
{
	struct words told = { 0 };

	for (size_t i = 0; i < c->instruction->npairs; i++) {
		const struct pair *p = &c->instruction->pairs[i];

		words_add(c->arena, &told, p->value ? arena_printf(c->arena, "%s=%s", p->key, p->value) : p->key);
	}
	c->comment = arena_printf(c->arena, "ARG %s", words_join(c->arena, &told, " "));
	return 0;
}

static int change_shell_words(struct change *c)
{
	c->comment = arena_printf(c->arena, "SHELL [%s]", words_join(c->arena, &c->instruction->args, " "));
	return json_object_set_new(c->config, "Shell", array_of(&c->instruction->args, 0));
}

static int dispatch(struct change *c)
{
	const struct instruction *i = c->instruction;

	switch (i->kind) {
	case INSTRUCTION_ENV:
	case INSTRUCTION_LABEL: return change_pairs(c);
	case INSTRUCTION_CMD: return change_cmd(c);
	case INSTRUCTION_ENTRYPOINT: return change_entrypoint(c);
	case INSTRUCTION_HEALTHCHECK: return change_health(c);
	case INSTRUCTION_EXPOSE: return change_expose(c);
	case INSTRUCTION_VOLUME: return change_volumes(c);
	case INSTRUCTION_STOPSIGNAL: return change_signal(c);
	case INSTRUCTION_WORKDIR: return change_workdir(c);
	case INSTRUCTION_ARG: return change_arg(c);
	case INSTRUCTION_SHELL: return change_shell_words(c);
	case INSTRUCTION_MAINTAINER: c->comment = arena_printf(c->arena, "MAINTAINER %s", i->args.items[0]); return 0;
	case INSTRUCTION_USER:
		c->comment = arena_printf(c->arena, "USER %s", i->args.items[0]);
		return json_object_set_new(c->config, "User", text_json(i->args.items[0]));
	case INSTRUCTION_ONBUILD:
		c->comment = arena_printf(c->arena, "ONBUILD %s", i->trigger);
		return json_array_append_new(part(c->config, "OnBuild", json_array), text_json(i->trigger));
	default: return 0;
	}
}

int change_config(struct arena *a, const struct instruction *i, json_t *config, bool *is_cmd_set, char **ret_comment,
		  struct error *err)
{
	struct change c = { .arena = a, .instruction = i, .config = config, .is_cmd_set = is_cmd_set, .err = err };
	int r = dispatch(&c);

	if (r < 0)
		return r;
	if (ret_comment)
		*ret_comment = c.comment;
	return 0;
}

/* ---- --change ---- */

static bool is_change(enum instruction_kind kind)
{
	switch (kind) {
	case INSTRUCTION_ADD:
	case INSTRUCTION_ARG:
	case INSTRUCTION_COPY:
	case INSTRUCTION_FROM:
	case INSTRUCTION_MAINTAINER:
	case INSTRUCTION_RUN:
	case INSTRUCTION_SHELL:
	case INSTRUCTION_UNKNOWN: return false;
	default: return true;
	}
}

static const char *env_of(void *arg, const char *name)
{
	return change_env_get(json_object_get(arg, "Env"), name);
}

static int apply_all(struct arena *a, json_t *config, struct instruction_list *list, struct error *err)
{
	struct expand_source source = { env_of, config };
	struct instruction expanded;
	bool is_cmd_set = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < list->count; i++) {
		if (!is_change(list->items[i]->kind))
			return error_set_class(err, ERROR_INVALID, "%.200s is not a valid change command",
					       list->items[i]->name);
		r = instruction_check(a, list->items[i], err);
	}
	for (size_t i = 0; r == 0 && i < list->count; i++) {
		r = instruction_expand(a, list->items[i], list->escape, &source, &expanded, err);
		if (r == 0)
			r = change_config(a, &expanded, config, &is_cmd_set, NULL, err);
	}
	return r;
}

int change_by_text(json_t *config, const char *text, struct error *err)
{
	struct arena a = { 0 };
	struct instruction_list list;
	int r = instructions_parse(&a, text, strlen(text), &list, err);

	if (r == 0)
		r = apply_all(&a, config, &list, err);
	arena_done(&a);
	return r;
}
