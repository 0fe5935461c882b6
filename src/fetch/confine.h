/* The program's wall: what a hostile registry may have taken over shall not write elsewhere, nor start programs. */
#ifndef SOCKERLESS_FETCH_CONFINE_H
#define SOCKERLESS_FETCH_CONFINE_H

#include "util/error.h"

/* From here on no program is executed, and files are written only below `dir` ("": nowhere), as far as the kernel knows
 * Landlock. */
int confine(const char *dir, struct error *err);

#endif
