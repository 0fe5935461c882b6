/* RUN --mount=type=…,…: one line of CSV (buildkit: commands_runmount.go). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"
#include "dockerfile/text.h"
#include "util/cleanup.h"

static const char *const types[] = { "bind", "cache", "tmpfs", "secret", "ssh", NULL };
static const char *const sharings[] = { "shared", "private", "locked", NULL };
static const char *const keys[] = { "type",        "from", "source", "target",    "readonly", "id",  "sharing",
				    "required",    "size", "mode",   "uid",       "gid",      "src", "dst",
				    "destination", "ro",   "rw",     "readwrite", "env",      NULL };

struct mount_reader {
	struct arena *arena;
	struct run_mount_flag *mount;
	struct error *err;
	bool is_ro_given;
};

static int fail(struct mount_reader *m, const char *text)
{
	return error_set_class(m->err, ERROR_INVALID, "%.900s", text);
}

/* ---- CSV ---- */

static int split_csv(struct arena *a, const char *in, struct words *ret, struct error *err)
{
	for (;;) {
		char *field = arena_alloc(a, strlen(in) + 1), *out = field;

		if (*in == '"') {
			for (in++; *in && !(*in == '"' && in[1] != '"'); in++) {
				in += *in == '"';
				*out++ = *in;
			}
			if (!*in || (in[1] && in[1] != ','))
				return error_set_class(err, ERROR_INVALID,
						       "failed to parse csv mounts: extraneous or missing \" in quoted-field");
			in++;
		}
		while (*in && *in != ',') {
			if (*in == '"')
				return error_set_class(err, ERROR_INVALID,
						       "failed to parse csv mounts: bare \" in non-quoted-field");
			*out++ = *in++;
		}
		words_add(a, ret, field);
		if (!*in++)
			return 0;
	}
}

/* ---- values ---- */

static int choose(struct mount_reader *m, const char *const *options, const char *what, const char *value, size_t *ret)
{
	for (size_t i = 0; options[i]; i++) {
		if (strcasecmp(options[i], value) == 0) {
			*ret = i;
			return 0;
		}
	}
	return fail(m, arena_printf(m->arena, "unsupported %s %s%s", what, text_quote(m->arena, value),
				    text_suggest(m->arena, value, options, true)));
}

/* strconv.ParseBool */
static int take_bool(struct mount_reader *m, const char *key, const char *value, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*ret = strcmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return fail(m, arena_printf(m->arena, "invalid value for %s: %s", key, value));
}

static int take_number(struct mount_reader *m, const char *key, const char *value, int base, long long *ret)
{
	char *end;
	long long n = strtoll(value, &end, base);

	if (!*value || *end || value[0] == '-' || value[0] == '+' || text_is_space(value[0]) || n > UINT_MAX)
		return fail(m, arena_printf(m->arena, "invalid value %s for %s", value, key));
	*ret = n;
	return 0;
}

/* units.RAMInBytes: "64m", "1.5GB", "10 kb". */
static int take_size(struct mount_reader *m, const char *value)
{
	static const char units[] = "bkmgtp";
	char *end;
	double n = strtod(value, &end);
	const char *unit;
	unsigned power = 0;

	end += *end == ' ';
	unit = *end ? strchr(units, *end | 0x20) : units;
	if (end == value || n < 0 || !unit)
		return fail(m, arena_printf(m->arena, "invalid value for size: %s", value));
	power = (unsigned)(unit - units);
	end += *end != '\0';
	if (*end && strcasecmp(end, "b") != 0 && strcasecmp(end, "ib") != 0)
		return fail(m, arena_printf(m->arena, "invalid value for size: %s", value));
	while (power--)
		n *= 1024;
	if (!(n < 9e18))
		return fail(m, arena_printf(m->arena, "invalid value for size: %s", value));
	m->mount->size_bytes = (long long)n;
	return 0;
}

static int check_allowed(struct mount_reader *m, const char *key, bool is_allowed)
{
	return is_allowed ?
		       0 :
		       fail(m, arena_printf(m->arena, "unexpected key '%s' for mount type '%s'", key, types[m->mount->type]));
}

static bool is_one_of(const char *key, const char *a, const char *b, const char *c)
{
	return strcmp(key, a) == 0 || strcmp(key, b) == 0 || strcmp(key, c) == 0;
}

static int take_access(struct mount_reader *m, const char *key, const char *value)
{
	bool is_write = strcmp(key, "rw") == 0 || strcmp(key, "readwrite") == 0, is_on = true;
	int r = value ? take_bool(m, key, value, &is_on) : 0;

	m->is_ro_given = true;
	if (r == 0)
		m->mount->is_readonly = is_on != is_write;
	return r;
}

static int take_required(struct mount_reader *m, const char *key, const char *value)
{
	struct run_mount_flag *f = m->mount;
	int r = check_allowed(m, key, f->type == RUN_MOUNT_SECRET || f->type == RUN_MOUNT_SSH);

	f->is_required = true;
	return r < 0 || !value ? r : take_bool(m, key, value, &f->is_required);
}

static int take(struct mount_reader *m, const char *key, const char *value, const char *field)
{
	struct run_mount_flag *f = m->mount;
	size_t at;
	int r = 0;

	if (strcmp(key, "type") == 0) {
		r = choose(m, types, "mount type", value, &at);
		if (r == 0)
			f->type = (enum run_mount_type)at;
	} else if (strcmp(key, "sharing") == 0) {
		r = choose(m, sharings, "sharing value", value, &at);
		if (r == 0)
			f->sharing = arena_dup(m->arena, sharings[at]);
	} else if (strcmp(key, "from") == 0) {
		f->from = arena_dup(m->arena, value);
	} else if (is_one_of(key, "source", "src", "")) {
		f->source = arena_dup(m->arena, value);
	} else if (is_one_of(key, "target", "dst", "destination")) {
		f->target = arena_dup(m->arena, value);
	} else if (strcmp(key, "id") == 0) {
		f->id = arena_dup(m->arena, value);
	} else if (strcmp(key, "env") == 0) {
		f->env = arena_dup(m->arena, value);
	} else if (strcmp(key, "size") == 0) {
		r = check_allowed(m, key, f->type == RUN_MOUNT_TMPFS);
		r = r < 0 ? r : take_size(m, value);
	} else if (strcmp(key, "mode") == 0) {
		r = take_number(m, key, value, 8, &f->mode);
	} else if (strcmp(key, "uid") == 0) {
		r = take_number(m, key, value, 10, &f->uid);
	} else if (strcmp(key, "gid") == 0) {
		r = take_number(m, key, value, 10, &f->gid);
	} else {
		r = fail(m, arena_printf(m->arena, "unexpected key '%s' in '%s'%s", key, field,
					 text_suggest(m->arena, key, keys, true)));
	}
	return r;
}

static int take_field(struct mount_reader *m, const char *field, char escape, const struct expand_source *source)
{
	const char *eq = strchr(field, '=');
	char *key = text_lower(m->arena, arena_ndup(m->arena, field, eq ? (size_t)(eq - field) : strlen(field)));
	char *value = eq ? arena_dup(m->arena, eq + 1) : NULL;
	int r = 0;

	if (!source) {
		char *dollar = eq && strcmp(key, "from") == 0 ? strchr(value, '$') : NULL;

		return dollar && dollar[1] ?
			       fail(m, "'from' doesn't support variable expansion, define alias stage instead") :
			       0;
	}
	if (eq)
		r = expand_word(m->arena, eq + 1, escape, 0, source, &value, m->err);
	if (r < 0)
		return r;
	if (is_one_of(key, "ro", "readonly", "rw") || strcmp(key, "readwrite") == 0)
		return take_access(m, key, value);
	if (strcmp(key, "required") == 0)
		return take_required(m, key, value);
	if (!value)
		return fail(m, arena_printf(m->arena, "invalid field '%s' must be a key=value pair", field));
	return take(m, key, value, field);
}

static int check_whole(struct mount_reader *m)
{
	struct run_mount_flag *f = m->mount;
	bool has_owner = f->type == RUN_MOUNT_SECRET || f->type == RUN_MOUNT_SSH || f->type == RUN_MOUNT_CACHE;
	const char *bad = f->mode >= 0 ? "mode" : f->uid >= 0 ? "uid" : f->gid >= 0 ? "gid" : NULL;

	if (!has_owner && bad)
		return fail(m, arena_printf(m->arena, "%s not allowed for \"%s\" type mounts", bad, types[f->type]));
	if (!m->is_ro_given)
		f->is_readonly = f->type != RUN_MOUNT_CACHE && f->type != RUN_MOUNT_TMPFS;
	if (f->type == RUN_MOUNT_SECRET && *f->from)
		return fail(m, "secret mount should not have a from");
	if (f->type == RUN_MOUNT_SECRET && *f->sharing)
		return fail(m, "secret mount should not define sharing");
	if (f->type == RUN_MOUNT_SECRET && !*f->source && !*f->target && !*f->id)
		return fail(m, "invalid secret mount. one of source, target required");
	if (f->type == RUN_MOUNT_SECRET && *f->source && *f->id)
		return fail(m, "both source and id can't be set");
	if (*f->sharing && f->type != RUN_MOUNT_CACHE)
		return fail(m, arena_printf(m->arena, "invalid cache sharing set for %s mount", types[f->type]));
	return 0;
}

int run_mount_parse(struct arena *a, const char *text, char escape, const struct expand_source *source,
		    struct run_mount_flag *ret, struct error *err)
{
	struct run_mount_flag found = { .type = RUN_MOUNT_BIND, .size_bytes = -1, .mode = -1, .uid = -1, .gid = -1 };
	struct mount_reader m = { .arena = a, .mount = &found, .err = err };
	struct words fields = { 0 };
	int r;

	found.from = found.source = found.target = found.id = found.sharing = arena_dup(a, "");
	r = split_csv(a, text, &fields, err);
	for (size_t i = 0; r == 0 && i < fields.count; i++)
		r = take_field(&m, fields.items[i], escape, source);
	if (r == 0 && source)
		r = check_whole(&m);
	if (r == 0)
		*ret = found;
	return r;
}
