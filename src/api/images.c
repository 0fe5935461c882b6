/* Handlers of /images. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/progress.h"
#include "api/versions.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

struct image *api_find_image(struct request *req)
{
	struct error err = { 0 };
	struct image *i = NULL;

	if (images_find(api_engine(req)->images, request_param(req, "name"), &i, &err) < 0)
		reply_error(req, &err);
	return i;
}

/* With what the image is: so that one that was built, pulled or made up can be told from another. New reference. */
json_t *view_image_labels(const struct image *i)
{
	json_t *labels = json_object_get(json_object_get(i->config, "config"), "Labels");

	labels = json_is_object(labels) ? json_copy(labels) : json_object();
	json_object_set_new(labels, "sockerless.image", json_string(image_kind_name(i->kind)));
	return labels;
}

static bool has_labels(json_t *filters, const struct image *i)
{
	json_t *labels = view_image_labels(i);
	bool is = filters_labels(filters, labels);

	json_decref(labels);
	return is;
}

/* ---- list ---- */

/* What layers it shares with another image: those that somebody else holds too, and all below them. */
static int64_t shared_size(const struct image *i)
{
	const struct layer *l = i->top;

	while (l && l->refs < 2)
		l = l->parent;
	return (int64_t)layer_total_bytes(l);
}

json_t *view_image_summary(struct engine *e, const struct image *i, bool is_measured)
{
	return json_pack("{s:s, s:s, s:O, s:O, s:I, s:I, s:I, s:o, s:i}", "Id", i->id, "ParentId",
			 i->parent_id ? i->parent_id : "", "RepoTags", i->tags, "RepoDigests", i->digests, "Created",
			 (json_int_t)(i->created_ns / 1000000000), "Size", (json_int_t)i->size_bytes, "SharedSize",
			 (json_int_t)(is_measured ? shared_size(i) : -1), "Labels", view_image_labels(i), "Containers",
			 (int)engine_image_users(e, i));
}

static bool matches_name(const char *text, char mark, const char *pattern)
{
	CLEANUP(freep) char *name = xstrdup(text);
	char *end = strrchr(name, mark);

	if (fnmatch(pattern, name, FNM_PATHNAME) == 0)
		return true;
	if (end)
		*end = '\0';
	return fnmatch(pattern, name, FNM_PATHNAME) == 0;
}

/* "busybox", "busy*", "busybox:latest", "docker.io/library/busybox". `mark`: what ends the repository. */
static bool matches_pattern(const char *text, char mark, const char *pattern)
{
	CLEANUP(freep) char *whole = reference_whole(text);

	return matches_name(text, mark, pattern) || (whole && matches_name(whole, mark, pattern));
}

/* The names among `names` that one of the patterns means: a new array. */
static json_t *names_meant(json_t *names, char mark, json_t *patterns)
{
	json_t *meant = json_array(), *name, *pattern;
	size_t i, k;

	json_array_foreach(names, i, name) {
		json_array_foreach(patterns, k, pattern) {
			if (matches_pattern(json_string_value(name), mark, json_string_value(pattern))) {
				json_array_append(meant, name);
				break;
			}
		}
	}
	return meant;
}

/* Asked for by reference, an image shows the names that were meant, and no others. False: none was. */
static bool keep_meant(json_t *view, const struct image *i, json_t *patterns)
{
	json_t *tags = names_meant(i->tags, ':', patterns), *digests = names_meant(i->digests, '@', patterns);
	bool is_meant = json_array_size(tags) > 0 || json_array_size(digests) > 0;

	json_object_set_new(view, "RepoTags", tags);
	json_object_set_new(view, "RepoDigests", digests);
	return is_meant;
}

/* Digests alone do not keep an image from being one that dangles. */
static bool is_dangling(struct images *im, const struct image *i)
{
	return json_array_size(i->tags) == 0 && !images_has_child(im, i);
}

/* Steps of a build are shown with `all` only. */
static bool is_step(struct images *im, const struct image *i)
{
	return json_array_size(i->tags) + json_array_size(i->digests) == 0 && images_has_child(im, i);
}

/* "before" and "since" of several images: all of them. */
static int get_times(struct images *im, json_t *filters, int64_t *ret_before, int64_t *ret_since, struct error *err)
{
	struct image *other;
	json_t *v;
	size_t i;

	*ret_before = INT64_MAX;
	*ret_since = INT64_MIN;
	json_array_foreach(json_object_get(filters, "before"), i, v) {
		if (images_find(im, json_string_value(v), &other, err) < 0)
			return err->code;
		*ret_before = other->created_ns < *ret_before ? other->created_ns : *ret_before;
	}
	json_array_foreach(json_object_get(filters, "since"), i, v) {
		if (images_find(im, json_string_value(v), &other, err) < 0)
			return err->code;
		*ret_since = other->created_ns > *ret_since ? other->created_ns : *ret_since;
	}
	return 0;
}

/* Asked for with dangling=true, nothing else; with dangling=false, none of those. */
static bool is_hidden(struct images *im, const struct image *i, bool is_all, bool has_wish, bool wants_dangling)
{
	if (has_wish && wants_dangling)
		return !is_dangling(im, i);
	if (json_array_size(i->tags) + json_array_size(i->digests) > 0)
		return false;
	return has_wish || (!is_all && is_step(im, i));
}

static int list_images(struct engine *e, json_t *filters, bool is_all, bool is_measured, json_t *list, struct error *err)
{
	json_t *patterns = json_object_get(filters, "reference");
	bool wants_dangling = false;
	int64_t until = 0, before, since;

	if (!filters_bool(filters, "dangling", false, &wants_dangling, err) ||
	    !filters_until_all(filters, &until, err) || get_times(e->images, filters, &before, &since, err) < 0)
		return err->code;
	for (struct image *i = images_next(e->images, NULL); i; i = images_next(e->images, i)) {
		json_t *view;

		if (!has_labels(filters, i) || (until && i->created_ns >= until) || i->created_ns >= before ||
		    i->created_ns <= since || is_hidden(e->images, i, is_all, filters_has(filters, "dangling"), wants_dangling))
			continue;
		view = view_image_summary(e, i, is_measured);
		if (json_array_size(patterns) == 0 || keep_meant(view, i, patterns))
			json_array_append(list, view);
		json_decref(view);
	}
	return 0;
}

void ImageList(struct request *req)
{
	static const char *const known[] = { "before", "dangling", "label", "reference", "since", "until", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err), *list = json_array();
	bool is_measured = versions_query_bool(req, "shared-size");
	const char *name = versions_query(req, "filter"); /* of old: what is now filter "reference" */

	if (filters && name && *name && !filters_has(filters, "reference"))
		json_object_set_new(filters, "reference", json_pack("[s]", name));
	if (versions_query_bool(req, "identity") && !versions_query_bool(req, "manifests"))
		error_set_class(&err, ERROR_INVALID, "conflicting options: identity requires manifests=1");
	else if (filters)
		list_images(e, filters, request_query_bool(req, "all"), is_measured, list, &err);
	json_decref(filters);
	if (!err.code) {
		reply_shaped(req, 200, SHAPE_IMAGE_SUMMARY, list);
		return;
	}
	json_decref(list);
	reply_error(req, &err);
}

/* ---- tag, delete, prune ---- */

void ImageTag(struct request *req)
{
	struct image *i = api_find_image(req);
	const char *repo = request_query(req, "repo");
	struct error err = { 0 };

	if (!i)
		return;
	if (images_tag(api_engine(req)->images, i, repo ? repo : "", request_query(req, "tag"), &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 201);
}

void ImageDelete(struct request *req)
{
	size_t nplatforms = versions_knows(req, "platforms") ? request_query_count(req, "platforms") : 0;
	struct error err = { 0 };
	struct image *i;
	json_t *report;

	if (nplatforms > 1)
		error_set_class(&err, ERROR_INVALID, "multiple platforms are not supported");
	else if (images_find(api_engine(req)->images, request_param(req, "name"), &i, &err) == 0)
		api_check_platform(req, "platforms", i, &err);
	if (err.code || engine_image_remove(api_engine(req), request_param(req, "name"), request_query_bool(req, "force"),
					    request_query_bool(req, "noprune"), &report, &err) < 0)
		reply_error(req, &err);
	else
		reply_json(req, 200, report);
}

struct pruning {
	struct images *images;
	json_t *filters;
	bool dangling_only;
	int64_t until;
};

static bool is_pruned(void *arg, const struct image *i)
{
	const struct pruning *p = arg;

	return (!p->dangling_only || is_dangling(p->images, i)) && (!p->until || i->created_ns < p->until) &&
	       has_labels(p->filters, i);
}

void ImagePrune(struct request *req)
{
	static const char *const known[] = { "dangling", "label", "label!", "until", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	struct pruning p = { .images = e->images, .filters = filters_parse(req, known, &err) };
	json_t *report;
	int64_t bytes;

	if (!p.filters || !filters_bool(p.filters, "dangling", true, &p.dangling_only, &err) ||
	    !filters_until(p.filters, &p.until, &err)) {
		json_decref(p.filters);
		reply_error(req, &err);
		return;
	}
	report = engine_images_prune(e, is_pruned, &p, &bytes);
	json_decref(p.filters);
	events_publish(e->events, "image", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%lld", (long long)bytes)));
	if (json_array_size(report) == 0) {
		json_decref(report);
		report = json_null();
	}
	reply_json(req, 200, json_pack("{s:o, s:I}", "ImagesDeleted", report, "SpaceReclaimed", (json_int_t)bytes));
}

/* ---- import ---- */

struct importing {
	struct request *req;
	struct image_import *import;
};

static void on_imported(void *arg, struct image *i, const struct error *err)
{
	struct stream *s;

	if (err) {
		reply_error(arg, err);
		return;
	}
	s = reply_progress(arg);
	progress_status(s, NULL, xstrdup(i->id));
	stream_end(s);
}

static void on_drain(void *arg)
{
	request_body_resume(arg);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct importing *im = arg;

	if (image_import_write(im->import, data, len) == 1)
		request_body_pause(im->req);
}

static void on_end(void *arg, int result)
{
	struct importing *im = arg;

	image_import_end(im->import, result);
	free(im);
}

void api_image_import(struct request *req, const char *source)
{
	size_t n = request_query_count(req, "changes");
	const char **changes = xcalloc(n + 1, sizeof(char *)), *message = request_query(req, "message");
	struct image_import_options opt = { .repo = request_query(req, "repo"),
					    .tag = request_query(req, "tag"),
					    .message = message && *message ? message : "Imported from -",
					    .platform = request_query(req, "platform"),
					    .changes = changes };
	struct importing *im;
	CLEANUP(freep) char *said = NULL;
	struct image_import *started;
	struct error err = { 0 };

	for (size_t i = 0; i < n; i++)
		changes[i] = request_query_nth(req, "changes", i);
	if (strcmp(source, "-") != 0) {
		if (!message || !*message) {
			said = xasprintf("Imported from %s", source);
			opt.message = said;
		}
		api_import_url(req, source, &opt);
		free(changes);
		return;
	}
	started = images_import(api_engine(req)->images, &opt, on_drain, on_imported, req, &err);
	free(changes);
	if (!started) {
		reply_error(req, &err);
		return;
	}
	im = xnew(struct importing);
	im->req = req;
	im->import = started;
	request_body_start(req, on_data, on_end, im);
}
