/* Names of images as Docker writes and normalises them (distribution/reference):
 * [registry/]path[:tag][@digest]. Pure. */
#ifndef SOCKERLESS_IMAGE_REFERENCE_H
#define SOCKERLESS_IMAGE_REFERENCE_H

#include "util/error.h"
#include "util/tag.h"

enum { REFERENCE_DOMAIN_MAX = 255, REFERENCE_PATH_MAX = 255, REFERENCE_TAG_MAX = TAG_MAX };

struct reference {
	char domain[REFERENCE_DOMAIN_MAX + 1]; /* "docker.io", "localhost:5000", "[::1]:5000"; rarely "" */
	char path[REFERENCE_PATH_MAX + 1];     /* "library/busybox" */
	char name[REFERENCE_DOMAIN_MAX + REFERENCE_PATH_MAX + 2]; /* familiar: without docker.io/ and library/ */
	char tag[REFERENCE_TAG_MAX + 1];       /* "" when none was given */
	char digest[140];                      /* "sha256:…", "sha384:…", "sha512:…", or "" */
};

/* ERROR_INVALID "invalid reference format" and its variants. */
int reference_parse(const char *text, struct reference *ret, struct error *err);
/* "name:tag", tag latest when there is none; malloc'd. */
char *reference_tagged(const struct reference *ref);
/* The same with the digest, if it has one; without a tag then unless one was given. malloc'd. */
char *reference_familiar(const struct reference *ref);
/* "docker.io/library/busybox:latest" of "busybox": malloc'd; NULL for what is no reference. */
char *reference_whole(const char *text);
/* Of the parameters repo and tag (may be NULL) of tag, commit and import; the second one counts where both have a tag, and
 * one of them is always set. ERROR_INVALID: also for a digest, and "invalid tag format". */
int reference_of_repo(const char *repo, const char *tag, struct reference *ret, struct error *err);
/* The id of an image, "sha256:" and 64 digits, that the text means by itself (64 hex digits, or all of it): true. */
int reference_is_id(const char *text, char ret_id[72]);

#endif
