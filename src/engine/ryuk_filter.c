#include "engine/ryuk_filter.h"

#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | (c >= 'A' ? 0x20 : 0)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place; false for a bad escape or a NUL. */
static bool unescape(char *text)
{
	char *to = text;

	for (; *text; text++, to++) {
		*to = *text == '+' ? ' ' : *text;
		if (*text != '%')
			continue;
		if (hex(text[1]) < 0 || hex(text[2]) < 0)
			return false;
		*to = (char)(hex(text[1]) << 4 | hex(text[2]));
		if (!*to)
			return false;
		text += 2;
	}
	*to = '\0';
	return true;
}

static bool is_known(const char *key)
{
	return strcmp(key, "label") == 0 || strcmp(key, "name") == 0 || strcmp(key, "id") == 0;
}

static int add_pair(json_t *filter, char *pair, struct error *err)
{
	char *value = strchr(pair, '=');
	json_t *values;

	if (value)
		*value++ = '\0';
	if (!unescape(pair) || (value && !unescape(value)))
		return error_set_class(err, ERROR_INVALID, "parse query: invalid URL escape");
	if (!is_known(pair))
		return error_set_class(err, ERROR_INVALID, "unknown filter key: %.100s", pair);
	values = json_object_get(filter, pair);
	if (!values) {
		values = json_array();
		json_object_set_new(filter, pair, values);
	}
	if (json_array_append_new(values, json_string(value ? value : "")) < 0)
		return error_set_class(err, ERROR_INVALID, "parse query: the value is not UTF-8");
	return 0;
}

int ryuk_filter_add(json_t *filters, const char *line, struct error *err)
{
	CLEANUP(freep) char *copy = xstrdup(line);
	json_t *filter = json_object(), *have;
	int r = 0;
	size_t i;

	for (char *pair = copy, *next; r == 0 && pair; pair = next) {
		next = strchr(pair, '&');
		if (next)
			*next++ = '\0';
		if (*pair)
			r = add_pair(filter, pair, err);
	}
	if (r == 0 && json_object_size(filter) == 0)
		r = error_set_class(err, ERROR_INVALID, "no filters in the line");
	json_array_foreach(filters, i, have)
		if (r == 0 && json_equal(have, filter)) {
			json_decref(filter);
			return 0;
		}
	if (r == 0)
		json_array_append(filters, filter);
	json_decref(filter);
	return r;
}

static bool has_label(json_t *labels, const char *wanted)
{
	const char *value = strchr(wanted, '='), *is;
	CLEANUP(freep) char *key = value ? xstrndup(wanted, (size_t)(value - wanted)) : xstrdup(wanted);
	json_t *v = json_object_get(labels, key);

	is = json_string_value(v);
	return v && (!value || (is && strcmp(is, value + 1) == 0));
}

static bool has_any(json_t *values, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach(values, i, v)
		if (*json_string_value(v) && strncmp(text, json_string_value(v), strlen(json_string_value(v))) == 0)
			return true;
	return false;
}

static bool matches_one(json_t *filter, const char *id, const char *name, json_t *labels)
{
	json_t *ids = json_object_get(filter, "id"), *names = json_object_get(filter, "name"), *v;
	size_t i;

	json_array_foreach(json_object_get(filter, "label"), i, v)
		if (!has_label(labels, json_string_value(v)))
			return false;
	return (!ids || has_any(ids, id)) && (!names || has_any(names, name));
}

bool ryuk_matches(json_t *filters, const char *id, const char *name, json_t *labels)
{
	json_t *f;
	size_t i;

	json_array_foreach(filters, i, f)
		if (matches_one(f, id, name, labels))
			return true;
	return false;
}
