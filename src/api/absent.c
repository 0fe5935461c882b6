/* Operations that need what is not there yet: a registry client, stored layers. What Docker checks first is
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
