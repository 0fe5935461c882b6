/* Handlers of docker image inspect and docker history. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/versions.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"

/* ---- inspect ---- */

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

static bool is_empty(const json_t *v)
{
	return json_is_null(v) || (json_is_string(v) && json_string_length(v) == 0) ||
	       (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

/* What the image specification knows and what is set. */
static json_t *config_view(const struct image *i)
{
	static const char *const keys[] = { "User",        "ExposedPorts", "Env",        "Entrypoint", "Cmd",
					    "Volumes",     "WorkingDir",   "Labels",     "StopSignal", "Shell",
					    "Healthcheck", "OnBuild",      "ArgsEscaped" };
	json_t *config = json_object_get(i->config, "config"), *o = json_object(), *v;

	for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
		if ((v = json_object_get(config, keys[k])) && !is_empty(v) && !json_is_false(v))
			json_object_set(o, keys[k], v);
	json_object_set_new(o, "Labels", view_image_labels(i));
	return o;
}

static void put_text(json_t *o, json_t *config, const char *from, const char *key)
{
	if (*json_text(config, from))
		json_object_set(o, key, json_object_get(config, from));
}

/* An image without one has its last step's. */
static const char *comment_of(const struct image *i)
{
	json_t *history = json_object_get(i->config, "history");
	const char *comment = json_text(i->config, "comment");

	return *comment ? comment : json_text(json_array_get(history, json_array_size(history) - 1), "comment");
}

static json_t *view_root_fs(const struct image *i)
{
	json_t *layers = json_object_get(json_object_get(i->config, "rootfs"), "diff_ids");

	if (json_array_size(layers) == 0)
		return json_pack("{s:s}", "Type", "layers");
	return json_pack("{s:s, s:O}", "Type", "layers", "Layers", layers);
}

json_t *view_image(struct engine *e, const struct image *i)
{
	char when[CLOCK_RFC3339_MAX] = CLOCK_ZERO_TIME;
	const char *os = json_text(i->config, "os");
	json_t *o;

	if (i->tagged_ns)
		clock_format_rfc3339(i->tagged_ns, when);
	o = json_pack("{s:s, s:O, s:O, s:o, s:s, s:s, s:I, s:{s:s, s:n}, s:o, s:{s:s}}", "Id", i->id, "RepoTags",
		      i->tags, "RepoDigests", i->digests, "Config", config_view(i), "Architecture",
		      json_text(i->config, "architecture"), "Os", *os ? os : "linux", "Size", (json_int_t)i->size_bytes,
		      "GraphDriver", "Name", engine_storage_driver(e), "Data", "RootFS", view_root_fs(i), "Metadata",
		      "LastTagTime", when);
	if (i->parent_id)
		json_object_set_new(o, "Parent", json_string(i->parent_id));
	put_text(o, i->config, "variant", "Variant");
	put_text(o, i->config, "os.version", "OsVersion");
	put_text(o, i->config, "created", "Created");
	put_text(o, i->config, "author", "Author");
	if (*comment_of(i))
		json_object_set_new(o, "Comment", json_string(comment_of(i)));
	return o;
}

void ImageInspect(struct request *req)
{
	struct image *i = api_find_image(req);
	struct error err = { 0 };

	if (!i)
		return;
	if (versions_query_bool(req, "manifests") && versions_knows(req, "platform") &&
	    *text_or_empty(request_query(req, "platform")))
		error_set_class(&err, ERROR_INVALID, "conflicting options: manifests and platform options cannot both be set");
	else
		api_check_platform(req, "platform", i, &err);
	if (err.code)
		reply_error(req, &err);
	else
		reply_shaped(req, 200, SHAPE_IMAGE, view_image(api_engine(req), i));
}

/* ---- history: moby, daemon/images/image_history.go ---- */

static json_t *view_step(json_t *step, int64_t size)
{
	int64_t created = 0;

	clock_parse_timestamp(json_text(step, "created"), 0, &created);
	return json_pack("{s:s, s:I, s:s, s:n, s:I, s:s}", "Id", "<missing>", "Created",
			 (json_int_t)(created / 1000000000), "CreatedBy", json_text(step, "created_by"), "Tags", "Size",
			 (json_int_t)size, "Comment", json_text(step, "comment"));
}

/* Newest first. The layers belong to the steps that are not empty, in their order. */
static int view_steps(const struct image *i, json_t *list, struct error *err)
{
	size_t nlayers = json_array_size(json_object_get(json_object_get(i->config, "rootfs"), "diff_ids")), n = 0, at;
	const struct layer **layers = xcalloc(nlayers + 1, sizeof(*layers));
	json_t *step;
	int r = 0;

	for (const struct layer *l = i->top; l && n < nlayers; l = l->parent)
		layers[nlayers - ++n] = l; /* those of a former built-in image are missing: NULL */
	n = 0;
	json_array_foreach(json_object_get(i->config, "history"), at, step) {
		bool is_empty_layer = json_is_true(json_object_get(step, "empty_layer"));

		if (!is_empty_layer && n >= nlayers)
			r = error_set(err, -EINVAL, "too many non-empty layers in History section");
		if (r < 0)
			break;
		json_array_insert_new(list, 0, view_step(step, is_empty_layer || !layers[n] ? 0 : (int64_t)layers[n]->bytes));
		n += !is_empty_layer;
	}
	free(layers);
	return r;
}

/* Parents that are there are told by their ids, as far as the row of them is unbroken. */
static void name_steps(struct images *im, const struct image *i, json_t *list)
{
	json_t *step;
	size_t at;

	json_array_foreach(list, at, step) {
		if (!i)
			break;
		json_object_set_new(step, "Id", json_string(i->id));
		if (json_array_size(i->tags) > 0)
			json_object_set(step, "Tags", i->tags);
		i = i->parent_id ? images_by_id(im, i->parent_id) : NULL;
	}
}

void ImageHistory(struct request *req)
{
	struct image *i = api_find_image(req);
	struct error err = { 0 };
	json_t *list = json_array();

	if (i && api_check_platform(req, "platform", i, &err) == 0 && view_steps(i, list, &err) == 0) {
		name_steps(api_engine(req)->images, i, list);
		reply_json(req, 200, list);
		return;
	}
	json_decref(list);
	if (i)
		reply_error(req, &err);
}
