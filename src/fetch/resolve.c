#include "fetch/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"

#define NESTED_MAX 3

/* "name:tag" or "name@digest" */
static char *reference_of(const struct session *s)
{
	if (*s->digest)
		return xasprintf("%s@%s", s->name.familiar, s->digest);
	return xasprintf("%s:%s", s->name.familiar, *s->tag ? s->tag : "latest");
}

int resolve_refusal(const struct session *s, const struct http_response *r, struct error *err)
{
	CLEANUP(freep) char *ref = reference_of(s);
	struct refusal refusal;

	endpoint_refusal(r, &refusal);
	switch (refusal.code) {
	case REFUSAL_DENIED:
		return error_set_class(err, ERROR_NOT_FOUND,
				       "pull access denied for %s, repository does not exist or may require 'docker login': %s",
				       s->name.familiar, refusal.text);
	case REFUSAL_MANIFEST_UNKNOWN:
		return error_set_class(err, ERROR_NOT_FOUND, "manifest for %s not found: %s", ref, refusal.text);
	case REFUSAL_NAME_UNKNOWN:
		return error_set_class(err, ERROR_NOT_FOUND, "repository %s not found: %s", s->name.familiar, refusal.text);
	case REFUSAL_UNAUTHORIZED: return error_set_class(err, ERROR_UNAUTHORIZED, "%s", refusal.text);
	default: return error_set(err, -EIO, "%s", refusal.text);
	}
}

static int call(const struct session *s, struct endpoint *e, struct http *h, const char *method, const char *what,
		struct http_response *ret, struct error *err)
{
	static const char *const accept[] = { "Accept: " MANIFEST_ACCEPT, NULL };
	CLEANUP(freep)
	char *url = endpoint_url(e, "manifests/%s", what), *scope = xasprintf("repository:%s:pull", s->name.path);
	struct http_request req = { .method = method, .url = url, .headers = accept, .body_max = MANIFEST_MAX, .timeout_s = 120 };

	return endpoint_call(e, h, &req, scope, ret, err);
}

static bool is_success(const struct http_response *r)
{
	return r->status >= 200 && r->status < 400;
}

/* `digest` "": whatever comes. */
static int take(const struct http_response *r, const char *digest, struct manifest *ret, struct descriptor *ret_is,
		struct error *err)
{
	const char *data = r->body.data ? r->body.data : "";
	struct descriptor d = { .size = (int64_t)r->body.len };
	int result;

	digest_of(data, r->body.len, d.digest);
	if (*digest && strcmp(digest, d.digest) != 0)
		return error_set(err, -EBADMSG, "manifest verification failed for digest %s", digest);
	result = manifest_parse(data, r->body.len, http_header(r, "Content-Type"), ret, err);
	if (result < 0)
		return result;
	snprintf(d.media_type, sizeof(d.media_type), "%s", ret->media_type);
	ret->text = xstrndup(data, r->body.len);
	*ret_is = d;
	return 0;
}

static int get(const struct session *s, struct endpoint *e, struct http *h, const char *what, const char *digest,
	       struct manifest *ret, struct descriptor *ret_is, struct error *err)
{
	struct http_response response;
	int r;

	r = call(s, e, h, "GET", what, &response, err);
	if (r == 0)
		r = is_success(&response) ? take(&response, digest, ret, ret_is, err) : resolve_refusal(s, &response, err);
	http_response_done(&response);
	return r;
}

/* A HEAD first: where the image is here already that is all, and it does not count as a pull. */
int resolve_top(const struct session *s, struct endpoint *e, struct http *h, const char *known, struct manifest *ret,
		struct descriptor *ret_is, struct error *err)
{
	const char *tag = *s->tag ? s->tag : "latest", *told;
	char digest[DIGEST_LEN + 1] = "";
	struct http_response response;
	int r;

	if (*s->digest)
		return get(s, e, h, s->digest, s->digest, ret, ret_is, err);
	r = call(s, e, h, "HEAD", tag, &response, err);
	if (r == 0) {
		told = http_header(&response, "Docker-Content-Digest");
		if (is_success(&response) && told && digest_is_valid(told))
			snprintf(digest, sizeof(digest), "%s", told);
	}
	http_response_done(&response);
	if (*digest && strcmp(digest, known) == 0) {
		snprintf(ret_is->digest, sizeof(ret_is->digest), "%s", digest);
		return 1;
	}
	return r < 0 ? r : get(s, e, h, *digest ? digest : tag, digest, ret, ret_is, err);
}

static int refuse_schema1(const struct session *s, struct error *err)
{
	CLEANUP(freep)
	char *ref = *s->digest ? xasprintf("%s/%s@%s", s->name.domain, s->name.path, s->digest) :
				 xasprintf("%s/%s:%s", s->name.domain, s->name.path, *s->tag ? s->tag : "latest");

	return error_set_class(err, ERROR_INVALID,
			       "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of %s to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/",
			       ref);
}

/* The best entry that leads to an image; an entry may be an index again. */
static int resolve_index(const struct session *s, struct endpoint *e, struct http *h, const struct manifest *index,
			 int depth, struct manifest *ret, struct descriptor *ret_is, struct error *err)
{
	CLEANUP(freep) struct descriptor *choices = NULL;
	size_t n = 0;
	int r = manifest_choose(index, &s->platform, &s->shown_platform, &choices, &n, err);

	for (size_t i = 0; i < n && (i == 0 || r == -ENOENT); i++) {
		struct manifest m = { 0 };

		r = get(s, e, h, choices[i].digest, choices[i].digest, &m, ret_is, err);
		if (r < 0)
			return r;
		if (m.kind == MANIFEST_IMAGE) {
			*ret = m;
			return 0;
		}
		if (m.kind == MANIFEST_SCHEMA1)
			r = refuse_schema1(s, err);
		else if (depth == NESTED_MAX)
			r = error_set_class(err, ERROR_INVALID, "invalid manifest: indexes within indexes");
		else
			r = resolve_index(s, e, h, &m, depth + 1, ret, ret_is, err);
		manifest_done(&m);
	}
	return r;
}

int resolve(const struct session *s, struct endpoint *e, struct http *h, struct resolved *ret, struct error *err)
{
	struct resolved res = { 0 };
	struct descriptor is;
	struct manifest top = { 0 };
	int r = resolve_top(s, e, h, session_text(s, "known"), &top, &is, err);

	if (r < 0)
		return r;
	if (r == 1) {
		*ret = (struct resolved){ .is_known = true, .index_is = is };
		return 0;
	}
	if (top.kind == MANIFEST_SCHEMA1) {
		manifest_done(&top);
		return refuse_schema1(s, err);
	}
	if (top.kind == MANIFEST_IMAGE) {
		res.manifest = top;
		res.manifest_is = is;
	} else {
		res.index = top;
		res.index_is = is;
		r = resolve_index(s, e, h, &top, 0, &res.manifest, &res.manifest_is, err);
	}
	if (r < 0)
		resolved_done(&res);
	else
		*ret = res;
	return r;
}

void resolved_done(struct resolved *r)
{
	manifest_done(&r->index);
	manifest_done(&r->manifest);
}
