/* --chmod: an octal number, or what chmod(1) takes: "u+x,go-w". Pure. */
#ifndef SOCKERLESS_BUILD_MODE_H
#define SOCKERLESS_BUILD_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum { MODE_CLAUSES_MAX = 32 };

struct mode_clause {
	uint32_t who;      /* bits that it may touch */
	char op;           /* + - = */
	uint32_t bits;     /* of all of u, g and o */
	bool only_execute; /* X: x where a directory is, or somebody has it */
	char copy_of;      /* u, g, o, or '\0' */
};

struct mode_change {
	bool is_set, is_octal;
	uint32_t octal;
	struct mode_clause clauses[MODE_CLAUSES_MAX];
	size_t count;
};

/* "" changes nothing. ERROR_INVALID "invalid chmod parameter: …". */
int mode_parse(const char *text, struct mode_change *ret, struct error *err);
/* The permission bits of a file with this mode (S_IFMT included). */
uint32_t mode_apply(const struct mode_change *m, uint32_t mode);

#endif
