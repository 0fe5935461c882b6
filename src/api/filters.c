#include "api/filters.h"

#include <string.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/clock.h"

static bool is_known(const char *const *known, const char *key)
{
	for (; *known; known++)
		if (strcmp(*known, key) == 0)
			return true;
	return false;
}

/* NULL: not strings. In the old form every key counts, whatever its value. */
static json_t *values_of(json_t *v)
{
	json_t *values = json_array(), *item;
	const char *name;
	size_t i;

	json_array_foreach(v, i, item) {
		if (!json_is_string(item)) {
			json_decref(values);
			return NULL;
		}
		json_array_append(values, item);
	}
	if (json_is_object(v))
		json_object_foreach(v, name, item)
			json_array_append_new(values, json_string(name));
	return values;
}

json_t *filters_parse(const struct request *req, const char *const *known, struct error *err)
{
	const char *text = request_query(req, "filters"), *key;
	json_t *raw = text && *text ? json_loads(text, 0, NULL) : json_object(), *filters, *v, *values;

	if (!json_is_object(raw)) {
		json_decref(raw);
		error_set_class(err, ERROR_INVALID, "invalid filter");
		return NULL;
	}
	filters = json_object();
	json_object_foreach(raw, key, v) {
		values = json_is_array(v) || json_is_object(v) ? values_of(v) : NULL;
		if (values && (!known || is_known(known, key))) {
			json_object_set_new(filters, key, values);
			continue;
		}
		if (values)
			error_set_class(err, ERROR_INVALID, "invalid filter '%.100s'", key);
		else
			error_set_class(err, ERROR_INVALID, "invalid filter");
		json_decref(values);
		json_decref(filters);
		filters = NULL;
		break;
	}
	json_decref(raw);
	return filters;
}

bool filters_has(json_t *filters, const char *key)
{
	return json_array_size(json_object_get(filters, key)) > 0;
}

bool filters_any(json_t *filters, const char *key, bool (*match)(const void *object, const char *value), const void *object)
{
	json_t *values = json_object_get(filters, key), *v;
	size_t i;

	if (json_array_size(values) == 0)
		return true;
	json_array_foreach(values, i, v)
		if (match(object, json_string_value(v)))
			return true;
	return false;
}

static bool has_label(json_t *labels, const char *wanted)
{
	size_t n = strcspn(wanted, "=");
	const char *have = json_string_value(json_object_getn(labels, wanted, n));

	return have && (!wanted[n] || strcmp(have, wanted + n + 1) == 0);
}

bool filters_labels(json_t *filters, json_t *labels)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(filters, "label"), i, v)
		if (!has_label(labels, json_string_value(v)))
			return false;
	json_array_foreach(json_object_get(filters, "label!"), i, v)
		if (has_label(labels, json_string_value(v)))
			return false;
	return true;
}

bool filters_bool(json_t *filters, const char *key, bool fallback, bool *ret, struct error *err)
{
	json_t *values = json_object_get(filters, key), *v;
	bool is_true = false, is_false = false;
	struct buf all;
	size_t i;

	*ret = fallback;
	if (!values)
		return true;
	buf_init(&all, 200);
	json_array_foreach(values, i, v) {
		const char *text = json_string_value(v);

		is_true = is_true || strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
		is_false = is_false || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
		buf_printf(&all, "%s%.100s", i ? " " : "", text);
	}
	*ret = is_true;
	if (is_true == is_false) /* neither, or both */
		error_set_class(err, ERROR_INVALID,
				json_array_size(values) ? "invalid filter '%.50s=[%s]'" : "invalid filter '%.50s'", key,
				all.data ? all.data : "");
	buf_done(&all);
	return is_true != is_false;
}

bool filters_until_all(json_t *filters, int64_t *ret_ns, struct error *err)
{
	int64_t now = clock_wall_ns(), ns;
	json_t *v;
	size_t i;

	*ret_ns = 0;
	json_array_foreach(json_object_get(filters, "until"), i, v) {
		const char *text = json_string_value(v);

		if (clock_parse_timestamp(text, now, &ns) < 0) {
			error_set_class(err, ERROR_INVALID,
					"invalid value for \"until\": failed to parse value as time or duration: \"%.100s\"",
					text);
			return false;
		}
		if (i == 0 || ns < *ret_ns)
			*ret_ns = ns;
	}
	return true;
}

bool filters_until(json_t *filters, int64_t *ret_ns, struct error *err)
{
	*ret_ns = 0;
	if (json_array_size(json_object_get(filters, "until")) > 1) {
		error_set_class(err, ERROR_INVALID, "more than one until filter specified");
		return false;
	}
	return filters_until_all(filters, ret_ns, err);
}
