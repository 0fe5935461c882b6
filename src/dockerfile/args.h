/* Build arguments and their scopes: given with the build, declared before the
 * first FROM, declared in a stage (moby: builder/dockerfile/buildargs.go). Pure. */
#ifndef SOCKERLESS_DOCKERFILE_ARGS_H
#define SOCKERLESS_DOCKERFILE_ARGS_H

#include <jansson.h>

#include "util/arena.h"
#include "util/map.h"

struct build_args {
	struct arena arena;
	json_t *given;        /* name → string, or null: named without a value */
	struct map metas;     /* before the first FROM: name → value, or args_no_value */
	struct map allowed;   /* in this stage */
	struct map seen;      /* declared anywhere */
	const char *platform; /* "linux/amd64" */
};

/* `given`: borrowed for its life; NULL: none. */
void build_args_init(struct build_args *b, json_t *given, const char *platform);
void build_args_done(struct build_args *b);
void build_args_begin_stage(struct build_args *b); /* nothing is declared in it yet */
void build_args_declare(struct build_args *b, const char *name, const char *value, bool is_meta); /* value NULL: none */

/* What a variable is in FROM and in ARG before it. NULL: not set. Borrowed. */
const char *build_args_get_meta(const struct build_args *b, const char *name);
/* In a stage: declared there, or one of the proxies, which need no declaration. */
const char *build_args_get(const struct build_args *b, const char *name);
/* "name=value" of all that are set in the stage and are not in `env` (an array of such), by name. Into the arena `a`. */
void build_args_list(const struct build_args *b, struct arena *a, json_t *env, struct words *ret);
/* HTTP_PROXY and its like, which no ARG names: they leave no trace in the image. */
bool build_args_is_transparent(const struct build_args *b, const char *name);
/* "[Warning] One or more build-args [x y] were not consumed\n", or NULL. In the arena. */
char *build_args_unused(const struct build_args *b, struct arena *a);

#endif
