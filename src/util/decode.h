/* A request's JSON against a table of types, as Go's decoder reads it into a
 * struct: field names in any case, unknown fields dropped, null as absent, the
 * last of two wins, and a wrong type refused in the decoder's own words. Pure. */
#ifndef SOCKERLESS_UTIL_DECODE_H
#define SOCKERLESS_UTIL_DECODE_H

#include <stddef.h>

#include <jansson.h>

#include "util/error.h"

enum decode_kind {
	DECODE_STRING,
	DECODE_BOOL,
	DECODE_INT,    /* within [min, max] when they differ */
	DECODE_WORDS,  /* an array of strings, or one string */
	DECODE_LIST,   /* of `of`; of exactly `length` when that is not 0, padded with 0 */
	DECODE_MAP,    /* from strings to `of`; a null value stays where `keeps_null` */
	DECODE_STRUCT,
};

struct decode_field;

struct decode_type {
	enum decode_kind kind;
	const char *go;                    /* the type's name in messages: "int64"; of a struct its bare name */
	const struct decode_type *of;
	const struct decode_field *fields; /* ended by a NULL name */
	json_int_t min, max;
	size_t length;
	int keeps_null;
};

struct decode_field {
	const char *name;                  /* canonical: what the result has */
	const struct decode_type *type;
};

/* A new object of canonical names. -EINVAL with ERROR_INVALID: "json: cannot unmarshal …". */
int decode_json(json_t *in, const struct decode_type *type, json_t **ret, struct error *err);

/* The types that every table needs. */
extern const struct decode_type decode_string, decode_bool, decode_int, decode_int64, decode_uint64, decode_words,
	decode_strings, decode_string_map, decode_empty_map, decode_size;

#endif
