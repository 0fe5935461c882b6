/* Manifests and indexes of OCI and of Docker's schema 2: what a registry may send, read with distrust. Pure. */
#ifndef SOCKERLESS_FETCH_MANIFEST_H
#define SOCKERLESS_FETCH_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "fetch/platform.h"
#include "util/error.h"

#define MANIFEST_MAX (4u << 20)   /* bytes */
#define MANIFEST_LAYERS_MAX 512
#define MANIFEST_ENTRIES_MAX 4096 /* of an index */
#define MANIFEST_ACCEPT                                                                                        \
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "   \
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json, " \
	"application/vnd.docker.distribution.manifest.v1+prettyjws"

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX, MANIFEST_SCHEMA1 };

struct descriptor {
	char digest[72];
	char media_type[128];
	int64_t size;
	json_t *urls; /* borrowed of the manifest; NULL when there are none */
};

struct manifest {
	enum manifest_kind kind;
	char media_type[128];
	json_t *root;
	char *text; /* its bytes, where somebody keeps them here; freed with the rest */
	struct descriptor config, *layers;
	size_t nlayers;
};

/* `content_type` may be NULL: then the document tells. Schema 1 is recognised, no more.
 * ERROR_INVALID for what is no manifest, holds too much or contradicts itself. */
int manifest_parse(const void *data, size_t len, const char *content_type, struct manifest *ret, struct error *err);
void manifest_done(struct manifest *m);

/* The entries of an index that serve, best first; stable. *ret: an array of *ret_count, malloc'd.
 * ERROR_NOT_FOUND "no matching manifest for linux/x in the manifest list entries"; `shown` is that platform. */
int manifest_choose(const struct manifest *index, const struct platform *wanted, const struct platform *shown,
		    struct descriptor **ret, size_t *ret_count, struct error *err);
/* os, architecture, variant, os.version, os.features of each entry: a new array. */
json_t *manifest_platforms(const struct manifest *index);

#endif
