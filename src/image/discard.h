/* Files and trees that nobody needs any more: deleting a large one takes long, so the pool does it, and nobody waits.
 * What is not deleted when the daemon ends is swept at its next start. Loop thread. */
#ifndef SOCKERLESS_IMAGE_DISCARD_H
#define SOCKERLESS_IMAGE_DISCARD_H

#include <uv.h>

/* Removes DIR/NAME, a file or a directory with all that is in it; one that is not there is no error. Copies the texts. */
void discard(uv_loop_t *loop, const char *dir, const char *name);
/* The same of a path with a directory in it. Takes it; NULL is nothing. */
void discard_path(uv_loop_t *loop, char *take_path);

#endif
