/* What layers.c and layer_jobs.c share. */
#ifndef SOCKERLESS_IMAGE_LAYERS_INTERNAL_H
#define SOCKERLESS_IMAGE_LAYERS_INTERNAL_H

#include "image/layers.h"
#include "util/map.h"

struct layers {
	struct layers_options options; /* strings owned */
	struct map by_chain;           /* → struct layer */
	struct map blobs;              /* digest → struct blob_use */
	struct layer *builtin;
	char *empty_root;
};

/* What a job has made: `take_root`, a directory below rootfs/, gets its name. Answers the layer that is there when
 * somebody was faster. One reference is the caller's. */
struct layer *layers_add(struct layers *ls, struct layer *parent, const struct layer *made, char *take_root, struct error *err);

/* Has the blob been settled and not been unpacked since? Then its digest need not be checked once more. */
bool layers_take_fresh(struct layers *ls, const char *digest);

#endif
