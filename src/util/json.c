#include "util/json.h"

#include "util/alloc.h"

const char *json_text(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

json_int_t json_number(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool json_flag(json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

json_t *json_child(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!v) {
		v = json_object();
		json_object_set_new(o, key, v);
	}
	return v;
}

const char **json_words(json_t *array)
{
	const char **words = xcalloc(json_array_size(array) + 1, sizeof(*words));
	json_t *v;
	size_t i;

	json_array_foreach(array, i, v)
		words[i] = json_string_value(v);
	return words;
}
