#include "util/decode.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct decode_type decode_string = { .kind = DECODE_STRING, .go = "string" };
const struct decode_type decode_bool = { .kind = DECODE_BOOL, .go = "bool" };
const struct decode_type decode_int = { .kind = DECODE_INT, .go = "int" };
const struct decode_type decode_int64 = { .kind = DECODE_INT, .go = "int64" };
const struct decode_type decode_uint64 = { .kind = DECODE_INT, .go = "uint64", .min = 0, .max = INT64_MAX };
const struct decode_type decode_words = { .kind = DECODE_WORDS, .go = "string" };
const struct decode_type decode_strings = { .kind = DECODE_LIST, .go = "[]string", .of = &decode_string };
const struct decode_type decode_string_map = { .kind = DECODE_MAP, .go = "map[string]string", .of = &decode_string };
static const struct decode_field no_fields[] = { { NULL, NULL } };
static const struct decode_type empty_struct = { .kind = DECODE_STRUCT, .go = "struct {}", .fields = no_fields };
const struct decode_type decode_empty_map = { .kind = DECODE_MAP, .go = "map[string]struct {}", .of = &empty_struct };
static const struct decode_type decode_uint = { .kind = DECODE_INT, .go = "uint", .min = 0, .max = UINT32_MAX };
const struct decode_type decode_size = { .kind = DECODE_LIST, .go = "[2]uint", .of = &decode_uint, .length = 2 };

/* Where we are: "<struct>.<path of fields>". */
struct place {
	const char *go_struct;
	char path[256];
	size_t len;
};

static const char *word_of(json_t *v, char text[64])
{
	switch (json_typeof(v)) {
	case JSON_OBJECT: return "object";
	case JSON_ARRAY: return "array";
	case JSON_STRING: return "string";
	case JSON_TRUE:
	case JSON_FALSE: return "bool";
	case JSON_NULL: return "null";
	default: snprintf(text, 64, "number"); return text;
	}
}

/* A number of the right kind but the wrong size or shape is named. */
static const char *number_word(json_t *v, char text[64])
{
	if (json_is_integer(v))
		snprintf(text, 64, "number %lld", (long long)json_integer_value(v));
	else
		snprintf(text, 64, "number %.15g", json_real_value(v));
	return text;
}

static int refuse(const struct place *at, const char *what, const char *go, struct error *err)
{
	if (!at->len)
		return error_set_class(err, ERROR_INVALID, "json: cannot unmarshal %s into Go value of type %s", what, go);
	return error_set_class(err, ERROR_INVALID, "json: cannot unmarshal %s into Go struct field %s.%s of type %s",
			       what, at->go_struct, at->path, go);
}

static int mismatch(struct place *at, json_t *in, const struct decode_type *t, struct error *err)
{
	char text[64];

	return refuse(at, word_of(in, text), t->go, err);
}

static int decode(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err);

static int decode_number(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err)
{
	char text[64];
	json_int_t n = json_integer_value(in);

	if (!json_is_number(in))
		return mismatch(at, in, t, err);
	if (json_is_real(in) || (t->min != t->max && (n < t->min || n > t->max)))
		return refuse(at, number_word(in, text), t->go, err);
	*ret = json_incref(in);
	return 0;
}

/* Go's strslice reads the value apart from where it stands, so its errors do not name the field. */
static int decode_word_list(json_t *in, const struct decode_type *t, json_t **ret, struct error *err)
{
	struct place nowhere = { 0 };
	json_t *v;
	size_t i;

	if (json_is_string(in)) {
		*ret = json_pack("[O]", in);
		return 0;
	}
	if (!json_is_array(in))
		return mismatch(&nowhere, in, t, err);
	json_array_foreach(in, i, v)
		if (!json_is_string(v) && !json_is_null(v))
			return mismatch(&nowhere, in, t, err);
	return decode(in, &decode_strings, &nowhere, ret, err);
}

static int decode_list(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err)
{
	json_t *list, *v, *part;
	size_t i;
	int r = 0;

	if (!json_is_array(in))
		return mismatch(at, in, t, err);
	list = json_array();
	json_array_foreach(in, i, v) {
		if (t->length && i >= t->length)
			break;
		if (json_is_null(v)) {
			if (t->of->kind == DECODE_STRING)
				json_array_append_new(list, json_string(""));
			continue;
		}
		r = decode(v, t->of, at, &part, err);
		if (r < 0)
			break;
		json_array_append_new(list, part);
	}
	while (r == 0 && json_array_size(list) < t->length)
		json_array_append_new(list, json_integer(0));
	if (r < 0)
		json_decref(list);
	else
		*ret = list;
	return r;
}

static int decode_map(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err)
{
	json_t *map, *v, *part;
	const char *key;
	int r = 0;

	if (!json_is_object(in))
		return mismatch(at, in, t, err);
	map = json_object();
	json_object_foreach(in, key, v) {
		if (json_is_null(v)) {
			part = t->keeps_null                ? json_null() :
			       t->of->kind == DECODE_STRING ? json_string("") :
							      json_object();
		} else {
			r = decode(v, t->of, at, &part, err);
			if (r < 0)
				break;
		}
		json_object_set_new(map, key, part);
	}
	if (r < 0)
		json_decref(map);
	else
		*ret = map;
	return r;
}

static const struct decode_field *find_field(const struct decode_type *t, const char *key)
{
	for (const struct decode_field *f = t->fields; f->name; f++)
		if (strcmp(f->name, key) == 0)
			return f;
	for (const struct decode_field *f = t->fields; f->name; f++)
		if (strcasecmp(f->name, key) == 0)
			return f;
	return NULL;
}

static int decode_field(json_t *object, const struct decode_field *f, json_t *v, const struct decode_type *t,
			struct place *at, struct error *err)
{
	struct place inner = *at;
	json_t *part;
	int n = snprintf(inner.path + inner.len, sizeof(inner.path) - inner.len, "%s%s", inner.len ? "." : "", f->name), r;

	inner.len += (size_t)n < sizeof(inner.path) - inner.len ? (size_t)n : 0;
	inner.go_struct = t->go;
	r = decode(v, f->type, &inner, &part, err);
	if (r == 0)
		json_object_set_new(object, f->name, part);
	return r;
}

static int decode_struct(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err)
{
	const struct decode_field *f;
	json_t *object, *v;
	const char *key;
	int r = 0;

	if (!json_is_object(in))
		return mismatch(at, in, t, err);
	object = json_object();
	json_object_foreach(in, key, v) {
		f = find_field(t, key);
		if (f && !json_is_null(v))
			r = decode_field(object, f, v, t, at, err);
		if (r < 0)
			break;
	}
	if (r < 0)
		json_decref(object);
	else
		*ret = object;
	return r;
}

static int decode(json_t *in, const struct decode_type *t, struct place *at, json_t **ret, struct error *err)
{
	bool is_right = true;

	switch (t->kind) {
	case DECODE_INT: return decode_number(in, t, at, ret, err);
	case DECODE_WORDS: return decode_word_list(in, t, ret, err);
	case DECODE_LIST: return decode_list(in, t, at, ret, err);
	case DECODE_MAP: return decode_map(in, t, at, ret, err);
	case DECODE_STRUCT: return decode_struct(in, t, at, ret, err);
	case DECODE_STRING: is_right = json_is_string(in); break;
	case DECODE_BOOL: is_right = json_is_boolean(in); break;
	}
	if (!is_right)
		return mismatch(at, in, t, err);
	*ret = json_incref(in);
	return 0;
}

int decode_json(json_t *in, const struct decode_type *type, json_t **ret, struct error *err)
{
	struct place at = { .go_struct = type->go };

	return decode(in, type, &at, ret, err);
}
