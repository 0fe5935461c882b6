/* What an instruction's words and flags mean, and what is wrong with them
 * (buildkit: instructions/parse.go, bflag.go; the messages are theirs). */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/expand.h"
#include "dockerfile/internal.h"
#include "dockerfile/text.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* ---- flags ---- */

/* What an instruction takes: a switch, a text, or a text several times. */
struct flag {
	const char *name;
	bool *is_on;
	char **text;
	struct words *list;
	bool *is_given;
	bool is_used;
};

static int refuse_flag(struct arena *a, const char *name, const struct flag *flags, size_t n, struct error *err)
{
	const char *options[12] = { 0 };

	for (size_t i = 0; i < n && i < ARRAY_SIZE(options) - 1; i++)
		options[i] = flags[i].name;
	return error_set_class(err, ERROR_INVALID, "unknown flag: %.200s%s", name, text_suggest(a, name + 2, options, true));
}

static int set_flag(struct arena *a, struct flag *f, const char *name, const char *value, struct error *err)
{
	if (f->is_used && !f->list)
		return error_set_class(err, ERROR_INVALID, "duplicate flag specified: %.200s", name);
	f->is_used = true;
	if (f->is_given)
		*f->is_given = true;
	if (f->is_on) {
		if (value && !*value)
			return error_set_class(err, ERROR_INVALID, "missing a value on flag: %.200s", name);
		if (value && strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0)
			return error_set_class(err, ERROR_INVALID,
					       "expecting boolean value for flag %.200s, not: %.200s", name, value);
		*f->is_on = !value || strcasecmp(value, "true") == 0;
		return 0;
	}
	if (!value)
		return error_set_class(err, ERROR_INVALID, "missing a value on flag: %.200s", name);
	if (f->list)
		words_add(a, f->list, arena_dup(a, value));
	else
		*f->text = arena_dup(a, value);
	return 0;
}

static int take_flags(struct arena *a, struct instruction *i, struct flag *flags, size_t n, struct error *err)
{
	int r = 0;

	for (size_t k = 0; r == 0 && k < i->flags.count; k++) {
		const char *text = i->flags.items[k], *eq = strchr(text, '=');
		char *name = arena_ndup(a, text, eq ? (size_t)(eq - text) : strlen(text));
		size_t at = 0;

		while (at < n && strcmp(flags[at].name, name + 2) != 0)
			at++;
		if (at == n)
			return refuse_flag(a, name, flags, n, err);
		r = set_flag(a, &flags[at], name, eq ? eq + 1 : NULL, err);
	}
	return r;
}

static int no_flags(struct arena *a, struct instruction *i, struct error *err)
{
	return take_flags(a, i, NULL, 0, err);
}

/* ---- how many words ---- */

static int at_least_one(const struct instruction *i, struct error *err)
{
	if (i->args.count)
		return 0;
	return error_set_class(err, ERROR_INVALID, "%s requires at least one argument", instruction_names[i->kind]);
}

static int exactly_one(const struct instruction *i, struct error *err)
{
	if (i->args.count == 1)
		return 0;
	return error_set_class(err, ERROR_INVALID, "%s requires exactly one argument", instruction_names[i->kind]);
}

/* ---- each instruction ---- */

static int check_pairs(struct arena *a, struct instruction *i, struct error *err)
{
	int r = no_flags(a, i, err);

	if (r == 0)
		r = at_least_one(i, err);
	i->npairs = i->args.count / 3;
	i->pairs = arena_alloc(a, (i->npairs + 1) * sizeof(*i->pairs));
	for (size_t k = 0; r == 0 && k < i->npairs; k++) {
		i->pairs[k] = (struct pair){ i->args.items[3 * k], i->args.items[3 * k + 1] };
		if (!*i->pairs[k].key)
			r = error_set_class(err, ERROR_INVALID, "%s names can not be blank", instruction_names[i->kind]);
	}
	return r;
}

static int check_arg(struct arena *a, struct instruction *i, struct error *err)
{
	int r = at_least_one(i, err);

	i->npairs = i->args.count;
	i->pairs = arena_alloc(a, (i->npairs + 1) * sizeof(*i->pairs));
	for (size_t k = 0; r == 0 && k < i->npairs; k++) {
		const char *text = i->args.items[k], *eq = strchr(text, '=');

		if (eq == text)
			r = error_set_class(err, ERROR_INVALID, "ARG names can not be blank");
		else if (eq)
			i->pairs[k] = (struct pair){ arena_ndup(a, text, (size_t)(eq - text)), arena_dup(a, eq + 1) };
		else
			i->pairs[k].key = arena_dup(a, text);
	}
	return r;
}

static int check_copy(struct arena *a, struct instruction *i, struct error *err)
{
	struct heredoc doc;
	const char *name = instruction_names[i->kind];
	bool is_add = i->kind == INSTRUCTION_ADD;
	struct flag flags[] = {
		{ .name = "chown", .text = &i->chown },
		{ .name = "chmod", .text = &i->chmod },
		{ .name = "link", .is_on = &i->is_link },
		{ .name = "exclude", .list = &i->excludes },
		{ .name = is_add ? "checksum" : "from", .text = is_add ? &i->checksum : &i->from },
		{ .name = is_add ? "keep-git-dir" : "parents", .is_on = is_add ? &i->keeps_git : &i->has_parents },
		{ .name = "unpack", .is_on = &i->unpacks, .is_given = &i->is_unpack_given },
	};
	int r = 0;

	if (i->args.count < 2)
		return error_set_class(err, ERROR_INVALID,
				       "%s requires at least two arguments, but only one was provided. Destination could not be determined",
				       name);
	r = take_flags(a, i, flags, ARRAY_SIZE(flags) - !is_add, err);
	if (r == 0 && heredoc_parse(a, i->args.items[i->args.count - 1], &doc))
		r = error_set_class(err, ERROR_INVALID, "%s cannot accept a heredoc as a destination", name);
	return r;
}

static bool is_stage_name(const char *name)
{
	if (!islower((unsigned char)*name))
		return false;
	while (*name && (islower((unsigned char)*name) || isdigit((unsigned char)*name) || strchr("-_.", *name)))
		name++;
	return !*name;
}

static int check_from(struct arena *a, struct instruction *i, struct error *err)
{
	struct flag flags[] = { { .name = "platform", .text = &i->platform } };

	if (i->args.count == 3 && strcasecmp(i->args.items[1], "as") == 0) {
		i->stage_name = text_lower(a, i->args.items[2]);
		if (!is_stage_name(i->stage_name))
			return error_set_class(err, ERROR_INVALID,
					       "invalid name for build stage: %.300s, name can't start with a number or contain symbols",
					       text_quote(a, i->args.items[2]));
	} else if (i->args.count != 1) {
		return error_set_class(err, ERROR_INVALID, "FROM requires either one or three arguments");
	}
	i->base = i->args.items[0];
	return take_flags(a, i, flags, ARRAY_SIZE(flags), err);
}

static int check_onbuild(struct arena *a, struct instruction *i, struct error *err)
{
	static const char *const refused[] = { "MAINTAINER", "FROM" };
	const char *text = i->original + strlen(i->name);
	int r = at_least_one(i, err);

	if (r == 0)
		r = no_flags(a, i, err);
	if (r == 0 && strcasecmp(i->args.items[0], "ONBUILD") == 0)
		r = error_set_class(err, ERROR_INVALID, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	for (size_t k = 0; r == 0 && k < ARRAY_SIZE(refused); k++)
		if (strcasecmp(i->args.items[0], refused[k]) == 0)
			r = error_set_class(err, ERROR_INVALID, "%s isn't allowed as an ONBUILD trigger", refused[k]);
	if (r < 0)
		return r;
	while (text_is_space(*text))
		text++;
	i->trigger = arena_dup(a, text);
	for (size_t k = 0; k < i->nheredocs; k++)
		i->trigger = arena_printf(a, "%s\n%s%s", i->trigger, i->heredocs[k].content, i->heredocs[k].name);
	return 0;
}

static int check_run(struct arena *a, struct instruction *i, struct error *err)
{
	struct run_mount_flag mount;
	struct flag flags[] = {
		{ .name = "mount", .list = &i->mounts },
		{ .name = "network", .text = &i->network },
		{ .name = "security", .text = &i->security },
	};
	int r;

	i->network = arena_dup(a, "default");
	i->security = arena_dup(a, "sandbox");
	r = take_flags(a, i, flags, ARRAY_SIZE(flags), err);
	for (size_t k = 0; r == 0 && k < i->mounts.count; k++)
		r = run_mount_parse(a, i->mounts.items[k], '\\', NULL, &mount, err);
	if (r == 0 && strcmp(i->network, "default") && strcmp(i->network, "none") && strcmp(i->network, "host"))
		r = error_set_class(err, ERROR_INVALID, "invalid network mode %.200s", text_quote(a, i->network));
	if (r == 0 && strcmp(i->security, "sandbox") && strcmp(i->security, "insecure"))
		r = error_set_class(err, ERROR_INVALID, "security %.200s is not valid", text_quote(a, i->security));
	return r;
}

/* ---- HEALTHCHECK ---- */

/* Go's words for what is no duration. */
static int bad_duration(struct arena *a, const char *text, struct error *err)
{
	size_t n = strspn(text, "+-"), digits = strspn(text + n, "0123456789."),
	       unit = strcspn(text + n + digits, "0123456789.+-");

	if (!digits)
		return error_set_class(err, ERROR_INVALID, "time: invalid duration %.100s", text_quote(a, text));
	if (!unit)
		return error_set_class(err, ERROR_INVALID, "time: missing unit in duration %.100s", text_quote(a, text));
	return error_set_class(err, ERROR_INVALID, "time: unknown unit %.100s in duration %.100s",
			       text_quote(a, arena_ndup(a, text + n + digits, unit)), text_quote(a, text));
}

static int take_interval(struct arena *a, const char *name, const char *text, long long *ret, struct error *err)
{
	int64_t ns = 0;

	if (*text && strcmp(text, "0") != 0 && clock_parse_duration(text, &ns) < 0)
		return bad_duration(a, text, err);
	if (ns != 0 && ns < 1000000)
		return error_set_class(err, ERROR_INVALID, "Interval \"%s\" cannot be less than 1ms", name);
	*ret = ns;
	return 0;
}

static int take_retries(struct arena *a, const char *text, int *ret, struct error *err)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (!*text)
		return 0;
	if (*end || end == text || text_is_space(*text))
		return error_set_class(err, ERROR_INVALID, "strconv.ParseInt: parsing %.100s: invalid syntax",
				       text_quote(a, text));
	if (errno || n > INT32_MAX || n < INT32_MIN)
		return error_set_class(err, ERROR_INVALID, "strconv.ParseInt: parsing %.100s: value out of range",
				       text_quote(a, text));
	if (n < 0)
		return error_set_class(err, ERROR_INVALID, "--retries cannot be negative (%ld)", n);
	*ret = (int)n;
	return 0;
}

static int take_test(struct arena *a, struct instruction *i, struct error *err)
{
	char *kind = i->args.items[0];

	for (char *p = kind; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (strcmp(kind, "CMD") != 0)
		return error_set_class(err, ERROR_INVALID, "Unknown type %.200s in HEALTHCHECK (try CMD)", text_quote(a, kind));
	if (i->args.count == 1)
		return error_set_class(err, ERROR_INVALID, "Missing command after HEALTHCHECK CMD");
	words_add(a, &i->health->test, arena_dup(a, i->is_json ? "CMD" : "CMD-SHELL"));
	for (size_t k = 1; k < i->args.count; k++)
		words_add(a, &i->health->test, i->args.items[k]);
	return 0;
}

static int check_health(struct arena *a, struct instruction *i, struct error *err)
{
	char *interval = "", *timeout = "", *period = "", *start = "", *retries = "";
	struct flag flags[] = {
		{ .name = "interval", .text = &interval },   { .name = "timeout", .text = &timeout },
		{ .name = "start-period", .text = &period }, { .name = "start-interval", .text = &start },
		{ .name = "retries", .text = &retries },
	};
	struct health *h = i->health = arena_new(a, struct health);
	int r = at_least_one(i, err);

	if (r == 0 && strcasecmp(i->args.items[0], "NONE") == 0) {
		words_add(a, &h->test, arena_dup(a, "NONE"));
		return i->args.count == 1 ? 0 : error_set_class(err, ERROR_INVALID, "HEALTHCHECK NONE takes no arguments");
	}
	if (r == 0)
		r = take_flags(a, i, flags, ARRAY_SIZE(flags), err);
	if (r == 0)
		r = take_test(a, i, err);
	if (r == 0)
		r = take_interval(a, "interval", interval, &h->interval_ns, err);
	if (r == 0)
		r = take_interval(a, "timeout", timeout, &h->timeout_ns, err);
	if (r == 0)
		r = take_interval(a, "start-period", period, &h->start_period_ns, err);
	if (r == 0)
		r = take_interval(a, "start-interval", start, &h->start_interval_ns, err);
	return r < 0 ? r : take_retries(a, retries, &h->retries, err);
}

/* ---- the rest ---- */

static int compare(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int check_expose(struct arena *a, struct instruction *i, struct error *err)
{
	int r = at_least_one(i, err);

	if (r == 0)
		r = no_flags(a, i, err);
	if (r == 0)
		qsort(i->args.items, i->args.count, sizeof(*i->args.items), compare);
	return r;
}

static int check_volume(struct arena *a, struct instruction *i, struct error *err)
{
	int r = at_least_one(i, err);

	if (r == 0)
		r = no_flags(a, i, err);
	for (size_t k = 0; r == 0 && k < i->args.count; k++) {
		i->args.items[k] = text_trim(a, i->args.items[k], strlen(i->args.items[k]));
		if (!*i->args.items[k])
			r = error_set_class(err, ERROR_INVALID, "VOLUME specified can not be an empty string");
	}
	return r;
}

static int check_shell(struct arena *a, struct instruction *i, struct error *err)
{
	int r = no_flags(a, i, err);

	if (r == 0)
		r = at_least_one(i, err);
	if (r == 0 && !i->is_json)
		r = error_set_class(err, ERROR_INVALID, "SHELL requires the arguments to be in JSON form");
	return r;
}

int instruction_check(struct arena *a, struct instruction *i, struct error *err)
{
	int r;

	i->from = i->chown = i->chmod = i->checksum = i->platform = arena_dup(a, "");
	switch (i->kind) {
	case INSTRUCTION_ADD:
	case INSTRUCTION_COPY: return check_copy(a, i, err);
	case INSTRUCTION_ARG: return check_arg(a, i, err);
	case INSTRUCTION_CMD:
	case INSTRUCTION_ENTRYPOINT: return no_flags(a, i, err);
	case INSTRUCTION_ENV:
	case INSTRUCTION_LABEL: return check_pairs(a, i, err);
	case INSTRUCTION_EXPOSE: return check_expose(a, i, err);
	case INSTRUCTION_FROM: return check_from(a, i, err);
	case INSTRUCTION_HEALTHCHECK: return check_health(a, i, err);
	case INSTRUCTION_MAINTAINER:
	case INSTRUCTION_USER:
	case INSTRUCTION_WORKDIR: r = exactly_one(i, err); return r < 0 ? r : no_flags(a, i, err);
	case INSTRUCTION_ONBUILD: return check_onbuild(a, i, err);
	case INSTRUCTION_RUN: return check_run(a, i, err);
	case INSTRUCTION_SHELL: return check_shell(a, i, err);
	case INSTRUCTION_STOPSIGNAL: return exactly_one(i, err);
	case INSTRUCTION_VOLUME: return check_volume(a, i, err);
	case INSTRUCTION_UNKNOWN: break;
	}
	return error_set_class(err, ERROR_INVALID, "unknown instruction: %.200s%s", i->name,
			       text_suggest(a, i->name, instruction_names, false));
}
