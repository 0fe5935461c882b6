/* An image out of a config and its layers' blobs: each layer that is not there
 * yet is unpacked upon the one below. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct image_assembling {
	struct images *images;
	json_t *config;
	char *raw, *manifest;
	char **blobs;
	bool *is_pinned;
	size_t nblobs, at;
	struct layer *top;       /* what stands so far; a reference */
	struct layer_job *job;   /* NULL: none is under way */
	uv_async_t *start;
	bool is_cancelled;
	struct image_assembly request; /* its callbacks */
};

/* ---- the config ---- */

int image_config_diff_ids(json_t *config, json_t **ret, struct error *err)
{
	json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids"), *id;
	size_t at;

	if (!json_is_array(ids) && !json_is_null(ids) && ids)
		return error_set_class(err, ERROR_INVALID, "invalid image config: rootfs.diff_ids is not a list");
	if (json_array_size(ids) > IMAGE_LAYERS_MAX)
		return error_set_class(err, ERROR_INVALID, "invalid image config: more than %d layers", IMAGE_LAYERS_MAX);
	json_array_foreach(ids, at, id)
		if (!digest_is_valid(json_string_value(id)))
			return error_set_class(err, ERROR_INVALID, "invalid image config: %.100s is not a diff id",
					       json_is_string(id) ? json_string_value(id) : "?");
	*ret = ids;
	return 0;
}

static bool is_text_or_none(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return !v || json_is_null(v) || json_is_string(v);
}

static bool is_texts_or_none(json_t *v)
{
	json_t *text;
	size_t at;

	json_array_foreach(v, at, text)
		if (!json_is_string(text))
			return false;
	return !v || json_is_null(v) || json_is_array(v);
}

static bool is_map_or_none(json_t *v, bool is_of_texts)
{
	const char *key;
	json_t *value;

	json_object_foreach(v, key, value)
		if (is_of_texts && !json_is_string(value))
			return false;
	return !v || json_is_null(v) || json_is_object(v);
}

static bool is_health_or_none(json_t *v)
{
	static const char *const numbers[] = { "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries" };

	for (size_t k = 0; k < ARRAY_SIZE(numbers); k++) {
		json_t *n = json_object_get(v, numbers[k]);

		if (n && !json_is_integer(n) && !json_is_null(n))
			return false;
	}
	return is_map_or_none(v, false) && is_texts_or_none(json_object_get(v, "Test"));
}

static int wrong(const char *what, struct error *err)
{
	return error_set_class(err, ERROR_INVALID, "invalid image config: %s has the wrong type", what);
}

static int check_settings(json_t *settings, struct error *err)
{
	static const char *const texts[] = { "User", "WorkingDir", "StopSignal" },
				 *const lists[] = { "Env", "Cmd", "Entrypoint", "Shell", "OnBuild" }, *const maps[] = { "Volumes", "ExposedPorts" };
	json_t *timeout = json_object_get(settings, "StopTimeout");

	for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
		if (!is_text_or_none(settings, texts[k]))
			return wrong(texts[k], err);
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		if (!is_texts_or_none(json_object_get(settings, lists[k])))
			return wrong(lists[k], err);
	for (size_t k = 0; k < ARRAY_SIZE(maps); k++)
		if (!is_map_or_none(json_object_get(settings, maps[k]), false))
			return wrong(maps[k], err);
	if (!is_map_or_none(json_object_get(settings, "Labels"), true))
		return wrong("Labels", err);
	if (!is_health_or_none(json_object_get(settings, "Healthcheck")))
		return wrong("Healthcheck", err);
	return timeout && !json_is_integer(timeout) && !json_is_null(timeout) ? wrong("StopTimeout", err) : 0;
}

/* What the rest of the engine reads without looking twice. */
static int check_config(json_t *config, struct error *err)
{
	static const char *const texts[] = { "architecture", "os", "variant", "created", "author", "comment" };
	json_t *settings = json_object_get(config, "config"), *os = json_object_get(config, "os");

	if (!json_is_object(config) || !is_map_or_none(settings, false))
		return error_set_class(err, ERROR_INVALID, "invalid image config: it is not an object");
	for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
		if (!is_text_or_none(config, texts[k]))
			return wrong(texts[k], err);
	if (json_string_length(os) > 0 && strcmp(json_string_value(os), "linux") != 0)
		return error_set_class(err, ERROR_INVALID, "image operating system \"%.40s\" cannot be used on this platform",
				       json_string_value(os));
	return check_settings(settings, err);
}

static json_t *parse_config(const char *text, size_t len, struct error *err)
{
	json_error_t where;
	json_t *config = len <= IMAGE_CONFIG_MAX ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &where) : NULL;

	if (!config)
		error_set_class(err, ERROR_INVALID, "invalid image config: %s",
				len <= IMAGE_CONFIG_MAX ? where.text : "too large");
	else if (check_config(config, err) < 0) {
		json_decref(config);
		config = NULL;
	}
	return config;
}

/* ---- layer by layer ---- */

static void assembling_free(struct image_assembling *a)
{
	struct layers *ls = a->images->layers;

	for (size_t i = 0; i < a->nblobs; i++) {
		if (a->is_pinned[i])
			layers_unpin_blob(ls, a->blobs[i]);
		free(a->blobs[i]);
	}
	layer_unref(ls, a->top);
	json_decref(a->config);
	free(a->blobs);
	free(a->is_pinned);
	free(a->raw);
	free(a->manifest);
	free(a);
}

static void end(struct image_assembling *a, const struct error *err)
{
	struct image *i = NULL;

	if (!err) {
		i = image_add(a->images, json_incref(a->config), a->raw, a->request.kind, NULL, a->top);
		if (a->manifest)
			images_set_manifest(a->images, i, a->manifest);
		else
			image_save(a->images, i);
	}
	a->request.done(a->request.arg, i, err);
	assembling_free(a);
}

static void tell(struct image_assembling *a, enum layer_state state, uint64_t bytes)
{
	if (a->request.on_layer)
		a->request.on_layer(a->request.arg, a->at, state, bytes);
}

static void on_bytes(void *arg, uint64_t bytes)
{
	tell(arg, LAYER_EXTRACTING, bytes);
}

static void go_on(struct image_assembling *a);

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct image_assembling *a = arg;

	a->job = NULL;
	if (err) {
		end(a, err);
		return;
	}
	layer_unref(a->images->layers, a->top);
	a->top = layer_ref(l);
	tell(a, LAYER_DONE, 0);
	a->at++;
	go_on(a);
}

/* The next layer upon a->top, if it is there already. */
static struct layer *find_next(const struct image_assembling *a, const char *diff_id)
{
	char chain[DIGEST_LEN + 1];

	layer_chain_id(a->top ? a->top->chain_id : NULL, diff_id, chain);
	return layers_find(a->images->layers, chain);
}

static void go_on(struct image_assembling *a)
{
	struct layers *ls = a->images->layers;
	struct error err = { 0 };
	json_t *diff_ids;

	image_config_diff_ids(a->config, &diff_ids, NULL);
	for (; a->at < a->nblobs && !a->is_cancelled; a->at++) {
		const char *diff_id = json_string_value(json_array_get(diff_ids, a->at));
		struct layer *l = find_next(a, diff_id);

		if (!l && a->is_pinned[a->at]) {
			tell(a, LAYER_EXTRACTING, 0);
			a->job = layers_unpack(ls, a->top, a->blobs[a->at], diff_id, on_bytes, on_layer, a);
			return;
		}
		if (!l) {
			error_set(&err, -ENOENT, "the content of layer %s is not there", diff_id);
			end(a, &err);
			return;
		}
		layer_ref(l);
		layer_unref(ls, a->top);
		a->top = l;
		tell(a, LAYER_EXISTS, 0);
	}
	if (a->is_cancelled)
		error_set(&err, -ECANCELED, "cancelled");
	end(a, err.code ? &err : NULL);
}

/* ---- begin ---- */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void on_start(uv_async_t *handle)
{
	struct image_assembling *a = handle->data;

	a->start = NULL;
	uv_close((uv_handle_t *)handle, free_handle);
	go_on(a);
}

static void start_soon(struct image_assembling *a)
{
	a->start = xnew(uv_async_t);
	uv_async_init(a->images->options.loop, a->start, on_start);
	a->start->data = a;
	uv_async_send(a->start);
}

struct image_assembling *images_assemble(struct images *im, const struct image_assembly *request, struct error *err)
{
	struct error own = { 0 };
	json_t *config = parse_config(request->config, request->config_len, err ? err : &own), *diff_ids = NULL;
	struct image_assembling *a;

	if (!config)
		return NULL;
	if (image_config_diff_ids(config, &diff_ids, err) < 0 ||
	    (json_array_size(diff_ids) != request->nblobs &&
	     error_set_class(err, ERROR_INVALID, "invalid manifest, layers length mismatch: expected %zu, got %zu",
			     json_array_size(diff_ids), request->nblobs))) {
		json_decref(config);
		return NULL;
	}
	a = xnew(struct image_assembling);
	a->images = im;
	a->config = config;
	a->raw = xstrndup(request->config, request->config_len);
	a->manifest = xstrdup(request->manifest);
	a->request = *request;
	a->nblobs = request->nblobs;
	a->blobs = xcalloc(a->nblobs + 1, sizeof(char *));
	a->is_pinned = xcalloc(a->nblobs + 1, sizeof(bool));
	for (size_t i = 0; i < a->nblobs; i++) {
		a->blobs[i] = xstrdup(request->blobs[i]);
		a->is_pinned[i] = layers_pin_blob(im->layers, a->blobs[i]);
	}
	start_soon(a);
	return a;
}

void image_assembling_cancel(struct image_assembling *a)
{
	a->is_cancelled = true;
	if (a->job)
		layer_job_cancel(a->job);
}
