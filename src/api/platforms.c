/* The parameters that name a platform of an image as JSON, and what only images of several platforms have. Ours have
 * one, as those of an engine that does not keep its images in containerd. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/versions.h"
#include "image/images.h"
#include "image/platform.h"
#include "util/decode.h"
#include "util/json.h"

static const struct decode_field platform_fields[] = {
	{ "architecture", &decode_string }, { "os", &decode_string },      { "os.version", &decode_string },
	{ "os.features", &decode_strings }, { "variant", &decode_string }, { NULL, NULL },
};
static const struct decode_type platform_type = { .kind = DECODE_STRUCT, .go = "Platform", .fields = platform_fields };

static int check_complete(json_t *p, struct error *err)
{
	bool has_more = *json_text(p, "variant") || *json_text(p, "os.version") ||
			json_array_size(json_object_get(p, "os.features"));

	if (*json_text(p, "os") && *json_text(p, "architecture"))
		return 0;
	return error_set_class(err, ERROR_INVALID, "%s",
			       has_more && !*json_text(p, "os") && !*json_text(p, "architecture") ?
				       "optional platform fields provided, but OS and Architecture are missing" :
				       "both OS and Architecture must be provided");
}

static int parse(const char *text, json_t **ret, struct error *err)
{
	json_error_t why;
	json_t *said = json_loads(text ? text : "", JSON_DECODE_ANY, &why), *p = NULL;
	int r;

	if (!said)
		return error_set_class(err, ERROR_INVALID, "failed to parse platform: %.100s", why.text);
	r = decode_json(said, &platform_type, &p, err);
	json_decref(said);
	if (r < 0)
		error_prefix(err, "failed to parse platform");
	else
		r = check_complete(p, err);
	if (r < 0)
		json_decref(p);
	else
		*ret = p;
	return r;
}

int api_parse_platform(const char *text, struct image_platform *ret, struct error *err)
{
	json_t *p;
	int r = parse(text, &p, err);

	if (r == 0) {
		image_platform_of(ret, p);
		json_decref(p);
	}
	return r;
}

static int check_text(const char *text, const struct image *i, const char *name, struct error *err)
{
	struct image_platform wanted;

	if (api_parse_platform(text, &wanted, err) < 0)
		return err->code;
	return image_platform_check(&wanted, i->config, name, err);
}

int api_check_platform(struct request *req, const char *key, const struct image *i, struct error *err)
{
	size_t n = versions_knows(req, key) ? request_query_count(req, key) : 0;

	for (size_t k = 0; k < n; k++) {
		const char *text = request_query_nth(req, key, k);

		if (text && *text && check_text(text, i, request_param(req, "name"), err) < 0)
			return err->code;
	}
	return 0;
}

/* No image of one platform has an index that could hold them. */
void ImageAttestations(struct request *req)
{
	const char *name = request_param(req, "name");
	struct error err = { 0 };
	struct image *i;

	if (request_query_count(req, "platform") > 1)
		error_set_class(&err, ERROR_INVALID, "only one platform value is currently supported");
	else if (images_find(api_engine(req)->images, name, &i, &err) == 0)
		api_check_platform(req, "platform", i, &err);
	if (err.code)
		reply_error(req, &err);
	else
		reply_json(req, 200, json_array());
}
