/* What a build gets from elsewhere: base images by pulls, files and contexts by
 * URL. All of it is spoken by sockerless-fetch; nothing of a remote host's is parsed here. */
#ifndef SOCKERLESS_BUILD_REMOTE_H
#define SOCKERLESS_BUILD_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct build;

/* Is the image to be pulled before it can be used: not here, or (`pull`) not pulled by this build yet? Loop thread. */
bool remote_wants_image(struct build *b, const char *name);
/* Pulls it; then `then`, from the loop, with an error or none. */
void remote_pull(struct build *b, const char *name, void (*then)(struct build *b, const struct error *err));

bool remote_is_url(const char *text); /* http:// or https:// */
bool remote_is_git(const char *text);
/* What a server told of a download; "" and 0 where it did not. Borrowed. */
struct remote_facts {
	const char *digest; /* "sha256:…" */
	const char *name;   /* Content-Disposition's */
	int64_t modified_s;
};
/* Where a download of this build's is, malloc'd; NULL: it has not been made. `ret` may be NULL. */
char *remote_file(struct build *b, const char *url, struct remote_facts *ret);
/* Downloads the URL. */
void remote_download(struct build *b, const char *url, void (*then)(struct build *b, const struct error *err));
/* Ends what is under way: `then` runs with an error. */
void remote_cancel(struct build *b);

#endif
