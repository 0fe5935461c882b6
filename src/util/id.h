/* Identifiers as Docker makes them: 64 hex digits, shown as their first 12. */
#ifndef SOCKERLESS_UTIL_ID_H
#define SOCKERLESS_UTIL_ID_H

#include <stdbool.h>

#define ID_LEN 64
#define ID_SHORT_LEN 12

/* 64 random hex digits whose first 12 are not all decimal (a short id must
 * not read as a number; moby: pkg/stringid). Any thread. */
void id_generate(char ret_id[ID_LEN + 1]);

/* True for 1–64 characters of [0-9a-f]. */
bool id_is_hex(const char *s);

#endif
