/* What the files of this folder share. */
#ifndef SOCKERLESS_BUILD_INTERNAL_H
#define SOCKERLESS_BUILD_INTERNAL_H

#include <stdatomic.h>

#include <uv.h>

#include "build/build.h"
#include "dockerfile/args.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"
#include "engine/engine.h"
#include "image/images.h"
#include "util/id.h"
#include "util/list.h"

struct ignore;
struct spool;

enum { BUILD_PATH_MAX = 4096 };
#define BUILD_PLATFORM "linux/amd64"

struct caches;

/* Of one engine. */
struct builder {
	struct list builds;
	struct caches *caches;
};
static inline struct builder *builder_of(struct engine *e)
{
	return e->builder;
}

/* What a stage has come to. */
struct stage_result {
	char *image_id; /* NULL: scratch, nothing was made yet; or not built */
	bool is_built;
};

struct build {
	struct list link;           /* in the builder's */
	struct engine *engine;
	struct build_options options; /* strings and JSON owned */
	struct build_sink sink;
	char *dir;                  /* <data root>/build/<id>: context/, step-N/ */
	struct spool *spool;
	struct arena arena;         /* of the whole build */
	struct dockerfile *dockerfile;
	struct build_args args;
	bool *is_needed;            /* by stage: the target reaches it */
	const struct instruction **labels; /* --label: after the last stage's */
	size_t nlabels;
	struct stage_result *stages;
	size_t last_stage;
	unsigned step, nsteps;

	/* The stage under way: */
	size_t stage, at;           /* and the instruction in it */
	char *image_id; /* what has been made so far; NULL: scratch, nothing yet. Set by build_set_image */
	json_t *config; /* config{} as it will be */
	char *author;
	bool is_cmd_set, is_cache_lost;
	struct instruction_list triggers; /* ONBUILD of the base */
	size_t next_trigger;
	char escape; /* of what is under way */
	struct instruction now; /* under way, expanded */
	int64_t epoch_s; /* SOURCE_DATE_EPOCH; -1: none */
	unsigned nuppers; /* directories that steps have filled */

	/* What can be cancelled: */
	atomic_bool is_cancelled;
	struct run_step *run; /* run.c */
	struct layer_job *layer_job;
	struct remote *remote; /* remote.c */
	struct git_fetch *git; /* git.c */
	char *git_dir; /* remote=: what in the checked out repository is the context; NULL: it is none */
	struct words fetched; /* images pulled, and URLs downloaded */
	json_t *held; /* ids of the images that it uses, as keys: they stay until the end */
	json_t *downloads; /* of the latter: URL → {"digest", "modified" (seconds, 0: not told), "name" ("": not told)} */
	uv_timer_t tick; /* the next instruction, from the loop */
};

/* ---- build.c ---- */
/* The end: `err` NULL is a success. exit_code: of a RUN. */
void build_finish(struct build *b, const struct error *err, int exit_code);
/* "os", "architecture", or "os/architecture[/variant]"; "" and NULL: ours. ERROR_INVALID: none, or not ours. */
int build_check_platform(const char *text, struct error *err);
/* The build uses the image: whatever is removed or pruned meanwhile, it stays until the end. Takes NULL. */
void build_hold(struct build *b, const char *image_id);
/* What the stage has come to, held; NULL: scratch. */
void build_set_image(struct build *b, const char *image_id);

/* ---- output.c ---- */
void output_text(struct build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void output_stderr(struct build *b, const char *text, size_t len);
void output_stdout(struct build *b, const char *text, size_t len);
void output_aux_id(struct build *b, const char *image_id);
const char *short_id(const char *image_id, char text[ID_SHORT_LEN + 1]); /* `text`: 12 digits; of NULL "" */

/* ---- context.c: pool ---- */
struct context_job {
	uv_work_t work;
	struct build *build;
	char *text; /* the Dockerfile, malloc'd */
	size_t len;
	char *name; /* its path, as errors name it */
	char *download; /* remote=: the file that came; NULL: it is in the spool */
	char *checkout, *checkout_dir; /* of a Git repository: where it is, and what in it is the context; NULL: none */
	bool keeps_git;
	int fd, own_fd;
	bool is_bare; /* that file is a Dockerfile, and all there is */
	struct error err;
};
/* Unpacks the spooled body and finds the Dockerfile; then steps_begin, or the end. */
void context_open(struct build *b);
/* A read-only view of a directory as a root. */
struct rootfs;
int context_view(const char *path, bool is_writable, struct rootfs **ret, int *ret_fd, struct error *err);

/* ---- steps.c ---- */
void steps_begin(struct build *b, const char *text, size_t len, const char *name);
/* The instruction that is under way has come to its end; goes on with the next. */
void step_done(struct build *b, const struct error *err, int exit_code);
const char *step_variable(void *arg, const char *name); /* expand_source's get; arg: the build */

/* ---- commit.c ---- */
/* Is there an image of this parent that the same command made? Then it is the stage's now, and the step is done but
 * for step_done. */
bool cache_probe(struct build *b, const char *created_by);
/* The new image of the stage, told as an event: the config as it is now, and the layer (NULL: nothing has changed). -ENOENT: somebody has
 * removed the image below. */
int commit_image(struct build *b, struct layer *layer, const char *created_by, struct error *err);
/* The same with what `upper` changes; then step_done. */
void commit_upper(struct build *b, const char *upper, const char *created_by);
struct layer *build_top(struct build *b); /* of the image so far; NULL */
/* "/bin/sh -c #(nop)  COMMENT" with the config's shell; is_joined: without the second blank. In the arena. */
char *nop_command(struct build *b, const char *comment, bool is_joined);
/* The root below the step, as a path; malloc'd. */
char *build_root(struct build *b, const char *image_id);
/* Of a directory for a step, which is made on the pool; malloc'd. */
char *build_new_upper(struct build *b);
int build_make_upper(const char *path, struct error *err);

/* ---- run.c ---- */
void step_run(struct build *b);
void run_cancel(struct run_step *r);
/* What Docker tells of a step that it does in a container, where we need none; one that `--rm=0` keeps is made. */
int run_tell(struct build *b, const char *comment, bool is_joined, struct error *err);

/* ---- copy.c ---- */
void step_copy(struct build *b);
void step_workdir(struct build *b);

#endif
