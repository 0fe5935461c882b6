/* What was looked up for an exec, kept for the next one of the same words: a health check asks the same every time.
 * It holds while nothing has changed at the top of the container's own files; what lies deeper there is not kept. */
#ifndef SOCKERLESS_ENGINE_MEMO_H
#define SOCKERLESS_ENGINE_MEMO_H

#include <jansson.h>
#include <time.h>

#include "engine/views.h"

struct memo;

/* Around the look-ups, on a pool thread that has the view for itself. memo_keep takes copies, or keeps nothing, and
 * forgets what there was. */
void memo_begin(struct view *view, struct timespec *ret_changed);
void memo_keep(struct view *view, const json_t *exec_config, const json_t *host_config, const struct run_spec *spec,
	       const struct timespec *changed);
/* Loop thread. True: *ret is what a look-up would find now, to be freed with run_spec_done. */
bool memo_recall(const struct view *view, const json_t *exec_config, const json_t *host_config, struct run_spec *ret);
void memo_free(struct memo *m);

#endif
