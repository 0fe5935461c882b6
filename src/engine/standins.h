/* Stand-ins: images whose only content is a native helper that clients start by themselves, and whose work the
 * daemon does in the helper's place. Nothing of the real image is run or fetched: inspect shows it, by the label
 * sockerless.image=stand-in on image and container, and the driver "stand-in". */
#ifndef SOCKERLESS_ENGINE_STANDINS_H
#define SOCKERLESS_ENGINE_STANDINS_H

#include <stdbool.h>

#include "engine/engine.h"
#include "sockerless/process.h"

struct standin {
	const char *name;     /* as the image's label sockerless.stand-in says it */
	const char *pattern;  /* fnmatch(3) on the image's familiar name without tag, with any registry before it */
	const char *config;   /* JSON: what the image's configuration has beside the usual */
	/* A process in `c`; as new_process of sockerless/process.h. */
	int (*start)(struct engine *e, struct container *c, const struct sockerless_process_spec *spec,
		     const struct sockerless_container_process_ops **ret_ops, void **ret_process,
		     struct sockerless_error *err);
};

/* NULL: none stands in for such an image. */
const struct standin *standin_for(const char *reference);
/* The image that stands in for `reference`, made now. ERROR_NOT_FOUND when there is none. */
int standin_make_image(struct engine *e, const char *reference, struct image **ret, struct error *err);
/* The factory of the driver "stand-in"; its ctx is the engine. */
extern const struct sockerless_process_factory_ops standin_factory;

/* ---- ryuk.c ---- */
int ryuk_start(struct engine *e, struct container *c, const struct sockerless_process_spec *spec,
	       const struct sockerless_container_process_ops **ret_ops, void **ret_process, struct sockerless_error *err);

#endif
