/* LogConfig: what the drivers take, and what --details shows of it. */
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "engine/log.h"
#include "engine/mount_spec.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/json.h"

/* Decimal, as Docker's units.FromHumanSize: 1k is 1000. */
static bool parse_bytes(const char *text, uint64_t *ret)
{
	static const char units[] = "bkmgtp";
	uint64_t factor = 1;
	const char *unit;
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	int c = tolower((unsigned char)*end);

	unit = c ? strchr(units, c) : units;
	if (!isdigit((unsigned char)*text) || !unit)
		return false;
	for (; unit > units; unit--)
		factor *= 1000;
	end += c != 0;
	end += c && c != 'b' && tolower((unsigned char)*end) == 'b';
	if (*end || v > (1ull << 50) / factor)
		return false;
	*ret = (uint64_t)v * factor;
	return true;
}

static int parse_bool(const char *key, const char *value, bool *ret, struct error *err)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" }, *const no[] = { "0",     "f",
												    "F",     "false",
												    "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		*ret = strcmp(yes[i], value) == 0;
		if (*ret || strcmp(no[i], value) == 0)
			return 0;
	}
	return error_set_class(err, ERROR_INVALID,
			       "invalid boolean value for %s: strconv.ParseBool: parsing \"%.60s\": invalid syntax",
			       key, value);
}

static int parse_count(const char *value, bool is_local, unsigned *ret, struct error *err)
{
	char *end;
	long n = strtol(value, &end, 10);

	if (!*value || *end) {
		error_set_class(err, ERROR_INVALID, "strconv.Atoi: parsing \"%.60s\": invalid syntax", value);
		if (is_local)
			error_prefix(err, "invalid value for max-file: %.60s", value);
		return -EINVAL;
	}
	if (n < !is_local)
		return error_set_class(err, ERROR_INVALID,
				       is_local ? "max-file must not be negative" : "max-file cannot be less than 1");
	*ret = n < 1 ? 1 : n < LOG_FILES_MAX ? (unsigned)n : LOG_FILES_MAX;
	return 0;
}

static int parse_size(const char *value, bool is_local, uint64_t *ret, struct error *err)
{
	if (!parse_bytes(value, ret)) {
		error_set_class(err, ERROR_INVALID, "invalid size: '%.60s'", value);
		if (is_local)
			error_prefix(err, "invalid value for max-size: %.60s", value);
		return -EINVAL;
	}
	if (!*ret && !is_local)
		return error_set_class(err, ERROR_INVALID, "max-size must be a positive number");
	return 0;
}

static int parse_option(const char *key, const char *value, bool is_local, struct log_limits *l, bool *compress,
			struct error *err)
{
	static const char *const other[] = { "labels", "labels-regex",   "env", "env-regex", "tag",
					     "mode",   "max-buffer-size" };

	if (strcmp(key, "max-size") == 0)
		return parse_size(value, is_local, &l->max_bytes, err);
	if (strcmp(key, "max-file") == 0)
		return parse_count(value, is_local, &l->max_files, err);
	if (strcmp(key, "compress") == 0)
		return parse_bool(key, value, compress, err);
	for (size_t i = 0; i < ARRAY_SIZE(other); i++)
		if (strcmp(other[i], key) == 0)
			return 0;
	return error_set_class(err, ERROR_INVALID,
			       is_local ? "unknown log opt '%.60s' for log driver local" :
					  "unknown log opt '%.60s' for json-file log driver",
			       key);
}

static int check_mode(json_t *options, struct error *err)
{
	const char *mode = json_text(options, "mode");
	uint64_t bytes;

	if (*mode && strcmp(mode, "blocking") && strcmp(mode, "non-blocking"))
		return error_set_class(err, ERROR_INVALID, "logger: logging mode not supported: %.60s", mode);
	if (json_object_get(options, "max-buffer-size") && strcmp(mode, "non-blocking"))
		return error_set_class(err, ERROR_INVALID,
				       "logger: max-buffer-size option is only supported with 'mode=non-blocking'");
	if (json_object_get(options, "max-buffer-size") && !size_parse(json_text(options, "max-buffer-size"), &bytes))
		return error_set_class(err, ERROR_INVALID, "error parsing option max-buffer-size: invalid size: '%.60s'",
				       json_text(options, "max-buffer-size"));
	return 0;
}

/* What is rotated away is compressed, or would be: there must be something. */
static int check_compress(bool compress, bool is_local, const struct log_limits *l, struct error *err)
{
	if (!compress)
		return 0;
	if (is_local && l->max_files < 2)
		return error_set_class(err, ERROR_INVALID, "compression cannot be enabled when max file count is 1");
	if (!is_local && (l->max_files < 2 || !l->max_bytes))
		return error_set_class(err, ERROR_INVALID,
				       "compress cannot be true when max-file is less than 2 or max-size is not set");
	return 0;
}

int log_parse_config(json_t *config, struct log_limits *ret, struct error *err)
{
	const char *driver = json_text(config, "Type"), *key;
	json_t *options = json_object_get(config, "Config"), *v;
	struct log_limits l = { .max_files = 1, .is_kept = true };
	bool is_local = strcmp(driver, "local") == 0, compress = is_local;
	int r;

	if (!*driver)
		driver = "json-file";
	if (strcmp(driver, "none") == 0)
		l.is_kept = false;
	else if (is_local) /* moby: daemon/logger/local, its defaults */
		l = (struct log_limits){ .max_bytes = 20 << 20, .max_files = 5, .is_kept = true };
	else if (strcmp(driver, "json-file") != 0)
		return error_set_class(err, ERROR_INVALID, "logger: no log driver named '%.100s' is registered", driver);
	r = check_mode(options, err);
	json_object_foreach(options, key, v)
		if (r == 0 && l.is_kept)
			r = parse_option(key, json_string_value(v) ? json_string_value(v) : "", is_local, &l, &compress, err);
	if (r == 0 && l.is_kept)
		r = check_compress(compress, is_local, &l, err);
	l.is_compressed = compress;
	if (r == 0)
		*ret = l;
	return r;
}

/* ---- details ---- */

static bool is_named(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == n && strncmp(list, name, n) == 0)
			return true;
	return false;
}

static void take(json_t *chosen, json_t *all, const char *list, const char *expression)
{
	bool has_regex = false;
	const char *name;
	regex_t re;
	json_t *v;

	if (*expression)
		has_regex = regcomp(&re, expression, REG_EXTENDED | REG_NOSUB) == 0;
	json_object_foreach(all, name, v)
		if (is_named(list, name) || (has_regex && regexec(&re, name, 0, NULL, 0) == 0))
			json_object_set(chosen, name, v);
	if (has_regex)
		regfree(&re);
}

static json_t *variables_of(json_t *env)
{
	json_t *all = json_object(), *v;
	size_t i;

	json_array_foreach(env, i, v) {
		const char *text = json_string_value(v), *eq = strchr(text, '=');
		CLEANUP(freep) char *name = eq ? xstrndup(text, (size_t)(eq - text)) : NULL;

		if (name)
			json_object_set_new(all, name, json_string(eq + 1));
	}
	return all;
}

/* Go's url.QueryEscape. */
static void escape(struct buf *b, const char *text)
{
	for (; *text; text++) {
		if (isalnum((unsigned char)*text) || strchr("-_.~", *text))
			buf_append(b, text, 1);
		else if (*text == ' ')
			buf_puts(b, "+");
		else
			buf_printf(b, "%%%02X", (unsigned char)*text);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *log_details(json_t *options, json_t *container_config)
{
	json_t *chosen = json_object(), *variables = variables_of(json_object_get(container_config, "Env")), *v;
	const char **names, *name;
	struct buf b;
	size_t n = 0;

	take(chosen, json_object_get(container_config, "Labels"), json_text(options, "labels"),
	     json_text(options, "labels-regex"));
	take(chosen, variables, json_text(options, "env"), json_text(options, "env-regex"));
	names = xcalloc(json_object_size(chosen) + 1, sizeof(*names));
	json_object_foreach(chosen, name, v)
		names[n++] = name;
	if (n)
		qsort(names, n, sizeof(*names), by_text);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_puts(&b, i ? "," : "");
		escape(&b, names[i]);
		buf_puts(&b, "=");
		escape(&b, json_text(chosen, names[i]));
	}
	buf_puts(&b, " ");
	free(names);
	json_decref(variables);
	json_decref(chosen);
	return buf_steal(&b);
}
