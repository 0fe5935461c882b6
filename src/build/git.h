/* A context of a Git repository, fetched by the host's own git in a child
 * process (moby: builder/remotecontext/git/gitutils.go). Loop thread. */
#ifndef SOCKERLESS_BUILD_GIT_H
#define SOCKERLESS_BUILD_GIT_H

#include <stdbool.h>

#include "util/error.h"

struct build;

/* "https://host/x.git#ref:dir", "git://…", "github.com/…", "git@host:x" in its parts; malloc'd, free with git_source_done.
 * No ref: "HEAD". Refuses what git could take for an option or a pattern. Pure. */
struct git_source {
	char *url, *ref, *dir;
};
int git_source_parse(const char *text, struct git_source *ret, struct error *err);
void git_source_done(struct git_source *s);

/* Checks the source out into <build's directory>/<name>; `then` once, later, never from within. */
struct git_fetch;
void git_fetch_start(struct build *b, const struct git_source *s, const char *name,
		     void (*then)(struct build *b, const struct error *err));
void git_fetch_cancel(struct git_fetch *f); /* takes NULL; `then` comes with an error */

/* Makes the checkout, or `dir` in it, the directory `to`. Blocks: pool. `keeps_git`: with .git. */
int git_take_checkout(const char *checkout, const char *dir, const char *to, bool keeps_git, struct error *err);

#endif
