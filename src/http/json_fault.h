/* What is wrong with a text that is no JSON, in the words of Go's encoding/json, which clients and their tests know. Pure. */
#ifndef SOCKERLESS_HTTP_JSON_FAULT_H
#define SOCKERLESS_HTTP_JSON_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum { JSON_FAULT_MAX = 128 };

/* "invalid character 'x' looking for beginning of value", "unexpected EOF" (encoding/json: scanner.go). False: the first
 * value is well-formed, or nested deeper than 2,000 levels. */
bool json_fault(const char *text, size_t len, char ret[JSON_FAULT_MAX]);

#endif
