/* What is asked of JSON objects everywhere: a member as a text, a number, a flag, whatever is there. Pure. */
#ifndef SOCKERLESS_UTIL_JSON_H
#define SOCKERLESS_UTIL_JSON_H

#include <stdbool.h>

#include <jansson.h>

/* "", 0 and false where there is no such member, it is of another type, or `o` is NULL. The text is borrowed. */
const char *json_text(json_t *o, const char *key);
json_int_t json_number(json_t *o, const char *key);
bool json_flag(json_t *o, const char *key);
/* The member, made an empty object where it is missing; borrowed. */
json_t *json_child(json_t *o, const char *key);
/* The texts of an array of them, ended by NULL: a new vector of borrowed texts. Takes NULL. */
const char **json_words(json_t *array);

#endif
