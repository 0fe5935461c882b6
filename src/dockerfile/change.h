/* What an instruction does to the config{} of an image: of a build's steps, and
 * of --change of commit and import (moby: builder/dockerfile/dispatchers.go). Pure. */
#ifndef SOCKERLESS_DOCKERFILE_CHANGE_H
#define SOCKERLESS_DOCKERFILE_CHANGE_H

#include <jansson.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"

/* A copy with its variables expanded, in the instructions that do so; of here documents the contents too. The words of
 * RUN, CMD, ENTRYPOINT, SHELL, HEALTHCHECK and ONBUILD are not a build's to expand. */
int instruction_expand(struct arena *a, const struct instruction *i, char escape, const struct expand_source *source,
		       struct instruction *ret, struct error *err);

/* The value of a variable in an array of "name=value"; NULL. Borrowed. */
const char *change_env_get(json_t *env, const char *name);
void change_env_set(json_t *env, const char *name, const char *value);
/* The command line of RUN, CMD or ENTRYPOINT, with the config's shell before the shell form. New array. */
json_t *change_command(json_t *config, const struct instruction *i, const char *line);
/* ["/bin/sh", "-c"], or what SHELL said. New reference. */
json_t *change_shell(json_t *config);

/* Changes `config`. *is_cmd_set: a CMD was seen in this stage (an ENTRYPOINT before it drops the base's).
 * ret_comment: "CMD [\"sh\"]", as a history tells it; in the arena, may be NULL. ADD, COPY, RUN, FROM change nothing. */
int change_config(struct arena *a, const struct instruction *i, json_t *config, bool *is_cmd_set, char **ret_comment,
		  struct error *err);

/* --change: instructions, one or several lines. ERROR_INVALID: "FOO is not a valid change command". */
int change_by_text(json_t *config, const char *text, struct error *err);

#endif
