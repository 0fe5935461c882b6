/* Platforms of images, as containerd normalises and compares them. Pure. */
#ifndef SOCKERLESS_IMAGE_PLATFORM_H
#define SOCKERLESS_IMAGE_PLATFORM_H

#include <stdbool.h>

#include <jansson.h>

#include "util/error.h"

struct image_platform {
	char os[64], architecture[64], variant[64]; /* normalised; variant may be "" */
};

/* Of three texts, each of which may be NULL: small letters, "x86_64" is amd64, "aarch64" arm64, "v8" of arm64 and "v1" of
 * amd64 go without saying, arm is v7. */
void image_platform_set(struct image_platform *p, const char *os, const char *architecture, const char *variant);
/* Of an object with os, architecture and variant: an image's config, a descriptor's platform. No os: linux. */
void image_platform_of(struct image_platform *p, json_t *object);
/* "linux", "arm64", "linux/arm/v7" (containerd: platforms.Parse). ERROR_INVALID in its words. */
int image_platform_parse(const char *text, struct image_platform *p, struct error *err);
/* What this engine runs. */
extern const struct image_platform image_platform_ours;
/* Does an image of platform `p` run where `wanted` is asked for? A config without variant suits any. */
bool image_platform_matches(const struct image_platform *wanted, const struct image_platform *p);
/* ERROR_NOT_FOUND in Docker's words when the image of that config, known by `name`, is of another. */
int image_platform_check(const struct image_platform *wanted, json_t *config, const char *name, struct error *err);
/* "linux/arm/v7" */
void image_platform_format(const struct image_platform *p, char *out, unsigned long size);

#endif
