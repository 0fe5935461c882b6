/* A Dockerfile as its text says it: instructions with their words, flags and
 * here documents, cut into stages (buildkit: frontend/dockerfile/parser and
 * instructions; errors in their words). Nothing is expanded. Pure. */
#ifndef SOCKERLESS_DOCKERFILE_DOCKERFILE_H
#define SOCKERLESS_DOCKERFILE_DOCKERFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/arena.h"
#include "util/error.h"

struct expand_source;

enum { DOCKERFILE_MAX_BYTES = 2 << 20, DOCKERFILE_MAX_LINE = 65535, DOCKERFILE_MAX_INSTRUCTIONS = 10000 };

enum instruction_kind {
	INSTRUCTION_ADD,
	INSTRUCTION_ARG,
	INSTRUCTION_CMD,
	INSTRUCTION_COPY,
	INSTRUCTION_ENTRYPOINT,
	INSTRUCTION_ENV,
	INSTRUCTION_EXPOSE,
	INSTRUCTION_FROM,
	INSTRUCTION_HEALTHCHECK,
	INSTRUCTION_LABEL,
	INSTRUCTION_MAINTAINER,
	INSTRUCTION_ONBUILD,
	INSTRUCTION_RUN,
	INSTRUCTION_SHELL,
	INSTRUCTION_STOPSIGNAL,
	INSTRUCTION_USER,
	INSTRUCTION_VOLUME,
	INSTRUCTION_WORKDIR,
	INSTRUCTION_UNKNOWN,
};

struct heredoc {
	char *name, *content;
	bool expands;     /* its word has no quotes */
	bool strips_tabs; /* <<- */
};

struct pair {
	char *key, *value; /* ARG: value NULL when there is none */
};

struct health {
	struct words test;
	long long interval_ns, timeout_ns, start_period_ns, start_interval_ns;
	int retries;
};

struct instruction {
	enum instruction_kind kind;
	char *name;          /* as it is written */
	char *original;      /* the line, continued lines joined: what a build's step shows */
	unsigned line;
	struct words args; /* the words; of shell form one, the whole line; of ENV and LABEL key, value, "=" or "" */
	struct words flags; /* "--from=x" */
	bool is_json;
	struct heredoc *heredocs;
	size_t nheredocs;

	/* What is made of them by instruction_check. */
	struct pair *pairs; /* ENV, LABEL, ARG */
	size_t npairs;
	struct health *health;
	char *trigger; /* ONBUILD */
	char *base, *platform, *stage_name; /* FROM; the name in small letters, or NULL */
	char *from, *chown, *chmod, *checksum; /* COPY, ADD: "" where there is none */
	char *network, *security; /* RUN: "default", "sandbox" */
	struct words excludes, mounts;
	bool has_parents, is_link, keeps_git, unpacks;
	bool is_unpack_given;
	bool is_given; /* by --label, not by the file: nothing in it is expanded */
};

struct stage {
	const struct instruction *from;
	const struct instruction *const *instructions; /* those after it */
	size_t count;
};

struct dockerfile {
	struct arena arena;
	char escape;
	struct words warnings; /* "[WARNING]: …" lines */
	const struct instruction **args; /* ARG before the first FROM */
	size_t nargs;
	struct stage *stages;
	size_t nstages;
};

/* `name` is that of the file, for messages. ERROR_INVALID: "the Dockerfile (x) cannot be empty", "failed to parse x: …",
 * "dockerfile parse error on line 3: …". */
int dockerfile_parse(const char *text, size_t len, const char *name, struct dockerfile **ret, struct error *err);
void dockerfile_free(struct dockerfile *d); /* takes NULL */

/* The number of the stage of this name, in any case; -1. */
int dockerfile_find_stage(const struct dockerfile *d, const char *name);
/* The number of the stage that COPY --from or FROM means, before stage `at`: by name or (is_from: COPY) by number;
 * -1: none, it is an image's name. */
int dockerfile_stage_before(const struct dockerfile *d, size_t at, const char *name, bool is_from);

/* ---- pieces: triggers of ONBUILD, --change ---- */

struct instruction_list {
	struct instruction **items;
	size_t count;
	char escape;
	struct words warnings;
};
/* Instructions as they stand there, not yet checked. */
int instructions_parse(struct arena *a, const char *text, size_t len, struct instruction_list *ret, struct error *err);
/* What the shell gets of a RUN in shell form: the line with its here documents; of a line that is nothing but one, its
 * content. *ret_is_script: that names its own interpreter, it is a file to be run. NULL: RUN has no words. */
char *instruction_command(struct arena *a, const struct instruction *i, bool *ret_is_script);
/* Fills what is made of words and flags. */
int instruction_check(struct arena *a, struct instruction *i, struct error *err);

/* ---- RUN --mount ---- */

enum run_mount_type { RUN_MOUNT_BIND, RUN_MOUNT_CACHE, RUN_MOUNT_TMPFS, RUN_MOUNT_SECRET, RUN_MOUNT_SSH };
struct run_mount_flag {
	enum run_mount_type type;
	char *from, *source, *target, *id, *sharing; /* "" where there is none */
	char *env; /* NULL: not given */
	bool is_readonly, is_required;
	long long size_bytes, mode, uid, gid; /* -1: not given */
};
/* `source` NULL: a first look, before variables are known. */
int run_mount_parse(struct arena *a, const char *text, char escape, const struct expand_source *source,
		    struct run_mount_flag *ret, struct error *err);

#endif
