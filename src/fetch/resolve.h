/* From a tag or digest to the manifest of one platform, all verified. */
#ifndef SOCKERLESS_FETCH_RESOLVE_H
#define SOCKERLESS_FETCH_RESOLVE_H

#include "fetch/endpoint.h"
#include "fetch/manifest.h"

struct resolved {
	struct manifest index, manifest; /* index.root NULL: there was none */
	struct descriptor index_is, manifest_is;
	bool is_known; /* it is the one that the request calls "known": nothing else is set but index_is.digest */
};

/* Of what the name means now: an index or a manifest, in *ret (kind says which) and *ret_is. 1: it is the one of digest
 * `known` ("": none), which was not asked for; only ret_is->digest is set. */
int resolve_top(const struct session *s, struct endpoint *e, struct http *h, const char *known, struct manifest *ret,
		struct descriptor *ret_is, struct error *err);
/* On to the platform's manifest; schema 1 is refused. */
int resolve(const struct session *s, struct endpoint *e, struct http *h, struct resolved *ret, struct error *err);
void resolved_done(struct resolved *r);

/* A registry's refusal in the words of docker pull. */
int resolve_refusal(const struct session *s, const struct http_response *r, struct error *err);

#endif
