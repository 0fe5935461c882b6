/* Operations that need what is not there yet: a registry client, stored layers, a builder. What Docker checks first is
 * checked; what is left is said as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* ---- the registry ---- */

/* As a registry that cannot be reached, with the reason. */
static void reply_unreachable(struct request *req, const char *host, const char *path)
{
	struct error err = { 0 };

	error_set(&err, -EHOSTUNREACH, "Get \"https://%.200s/v2/%.300s\": this engine has no registry client yet", host, path);
	reply_error(req, &err);
}

void SystemAuth(struct request *req)
{
	const char *address = json_string_value(json_object_get(request_json(req), "serveraddress"));
	char host[256];
	size_t n;

	address = address ? address : "";
	if (strncmp(address, "https://", 8) == 0)
		address += 8;
	else if (strncmp(address, "http://", 7) == 0)
		address += 7;
	n = strcspn(address, "/");
	snprintf(host, sizeof(host), "%.*s", (int)n, address);
	reply_unreachable(req, !*host || strcmp(host, "index.docker.io") == 0 ? "registry-1.docker.io" : host, "");
}

static bool is_image_id(const char *name)
{
	if (strncmp(name, "sha256:", 7) == 0)
		name += 7;
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

void DistributionInspect(struct request *req)
{
	const char *name = request_param(req, "name");
	struct error err = { 0 };
	struct reference ref;

	if (is_image_id(name)) {
		error_set(&err, -EINVAL, "no manifest found for full image ID");
	} else if (reference_parse(name, &ref, &err) == 0) {
		CLEANUP(freep)
		char *path = xasprintf("%s/manifests/%s", ref.path,
				       *ref.digest ? ref.digest :
				       *ref.tag    ? ref.tag :
						     "latest");

		reply_unreachable(req, strcmp(ref.domain, "docker.io") == 0 ? "registry-1.docker.io" : ref.domain, path);
		return;
	}
	reply_error(req, &err);
}

/* ---- the builder: nothing is built, so nothing is cached ---- */

static int check_bytes(struct request *req, const char *key, struct error *err)
{
	const char *text = request_query(req, key);
	int64_t bytes;

	if (request_query_int(req, key, 0, &bytes, err) == 0)
		return 0;
	error_prefix(err, "%s is in bytes and expects an integer, got %.100s", key, text);
	return err->code;
}

static int check_cache_filters(struct request *req, struct error *err)
{
	static const char *const known[] = { "unused-for", "until",       "label", "label!", "id",      "parent",
					     "type",       "description", "inuse", "shared", "private", NULL };
	json_t *filters = filters_parse(req, known, err);
	int64_t until;
	int r = 0;

	if (!filters)
		return err->code;
	if (filters_has(filters, "until") && filters_has(filters, "unused-for"))
		r = error_set_class(err, ERROR_INVALID, "conflicting filters: \"until\" and \"unused-for\"");
	else if (json_array_size(json_object_get(filters, "until")) > 1)
		r = error_set_class(err, ERROR_INVALID, "filters expect only one value");
	else if (!filters_until(filters, &until, err))
		r = error_set_class(err, ERROR_INVALID,
				    "\"until\" filter expects a duration (e.g., '24h') or a timestamp: failed to parse value as "
				    "time or duration: \"%.100s\"",
				    json_string_value(json_array_get(json_object_get(filters, "until"), 0)));
	json_decref(filters);
	return r;
}

void BuildPrune(struct request *req)
{
	static const char *const sizes[] = { "keep-storage", "reserved-space", "max-used-space", "min-free-space" };
	struct error err = { 0 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sizes); i++)
		if (versions_knows(req, sizes[i]))
			r = check_bytes(req, sizes[i], &err);
	if (r == 0)
		r = check_cache_filters(req, &err);
	if (r < 0)
		reply_error(req, &err);
	else
		reply_json(req, 200, json_pack("{s:n, s:i}", "CachesDeleted", "SpaceReclaimed", 0));
}

/* ---- registries ---- */

static const struct {
	const char *operation, *what;
} absent[] = {
	{ "ImagePush", "pushing images" },
	{ "ImageSearch", "searching a registry" },
};

/* One of the above. What it is about must be there. */
void AbsentOperation(struct request *req)
{
	const char *operation = request_route(req)->operation, *name = request_param(req, "name"), *what = operation;
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	struct image *i;
	int r = 0;

	for (size_t k = 0; k < ARRAY_SIZE(absent); k++)
		if (strcmp(absent[k].operation, operation) == 0)
			what = absent[k].what;
	if (*name)
		r = images_find(e->images, name, &i, &err);
	if (r == 0)
		error_set(&err, -ENOTSUP, "%s is not there yet", what);
	reply_error(req, &err);
}

static const char no_experiment[] =
	"This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.";

/* Checkpoints: an experiment of Docker's that is not taken part in. */
void ExperimentalOperation(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNIMPLEMENTED, no_experiment);
	reply_error(req, &err);
}
