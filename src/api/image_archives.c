/* Handlers of docker save and docker load. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/progress.h"
#include "api/versions.h"
#include "image/archives.h"
#include "image/platform.h"
#include "util/alloc.h"

/* Some said more than one; a store that keeps one platform of an image cannot serve them. *ret_has: one was said. */
static int get_platform(struct request *req, struct image_platform *ret, bool *ret_has, struct error *err)
{
	size_t n = versions_knows(req, "platform") ? request_query_count(req, "platform") : 0;

	*ret_has = n > 0;
	if (n > 1 && !versions_has(FEATURE_PLATFORM_LISTS, request_api_version(req)))
		return error_set_class(
			err, ERROR_INVALID,
			"multiple platform parameters are not supported in this API version; use API version 1.52 or later");
	for (size_t i = 0; i < n; i++)
		if (api_parse_platform(request_query_nth(req, "platform", i), ret, err) < 0)
			return err->code;
	if (n > 1)
		return error_set_class(
			err, ERROR_INVALID,
			"multiple platforms not supported for this image store; use a multi-platform image store such as containerd-snapshotter");
	return 0;
}

/* ---- save ---- */

static struct stream *on_head(void *arg, const struct error *err)
{
	if (!err)
		return reply_stream(arg, 200, "application/x-tar");
	reply_error(arg, err);
	return NULL;
}

static void save(struct request *req, const char *const *names, size_t n)
{
	struct image_platform platform;
	struct image_save_options opt = { .names = names, .nnames = n };
	struct error err = { 0 };
	bool has_platform;

	if (get_platform(req, &platform, &has_platform, &err) == 0) {
		opt.platform = has_platform ? &platform : NULL;
		images_save(api_engine(req)->images, &opt, on_head, req, &err);
	}
	if (err.code)
		reply_error(req, &err);
}

void ImageGet(struct request *req)
{
	const char *name = request_param(req, "name");

	save(req, &name, 1);
}

void ImageGetAll(struct request *req)
{
	size_t n = request_query_count(req, "names");
	const char **names = xcalloc(n + 1, sizeof(*names));

	for (size_t i = 0; i < n; i++)
		names[i] = request_query_nth(req, "names", i);
	save(req, names, n);
	free(names);
}

/* ---- load ---- */

struct loading {
	struct request *req;
	struct stream *stream;       /* NULL: nothing has been said yet */
	bool is_quiet, is_closed, is_done;
	struct image_load *load;
};

static void loading_free(struct loading *l)
{
	if (l->is_done && (l->is_closed || !l->stream))
		free(l);
}

static void on_close(void *arg)
{
	struct loading *l = arg;

	l->is_closed = true;
	if (!l->is_done)
		image_load_cancel(l->load);
	loading_free(l);
}

/* The head leaves with the first line. */
static struct stream *stream_of(struct loading *l)
{
	static const struct stream_events events = { .on_close = on_close };

	if (!l->stream) {
		l->stream = reply_progress(l->req);
		stream_set_events(l->stream, &events, l);
	}
	return l->stream;
}

static void on_layer(void *arg, const char *diff_id, uint64_t bytes, uint64_t total)
{
	struct loading *l = arg;

	if (!l->is_closed && !l->is_quiet && !stream_is_full(stream_of(l)))
		progress_amount(stream_of(l), diff_id, "Loading layer", bytes, total);
}

static void on_text(void *arg, const char *text)
{
	struct loading *l = arg;

	if (!l->is_closed)
		progress_text(stream_of(l), text);
}

static void on_done(void *arg, const struct error *err)
{
	struct loading *l = arg;

	l->is_done = true;
	if (!l->is_closed && err)
		progress_error(stream_of(l), err);
	if (!l->is_closed)
		stream_end(stream_of(l));
	loading_free(l);
}

static void on_drain(void *arg)
{
	request_body_resume(((struct loading *)arg)->req);
}

static void on_data(void *arg, const void *data, size_t len)
{
	struct loading *l = arg;

	if (image_load_write(l->load, data, len) == 1)
		request_body_pause(l->req);
}

static void on_end(void *arg, int result)
{
	image_load_end(((struct loading *)arg)->load, result);
}

void ImageLoad(struct request *req)
{
	struct loading *l = xnew(struct loading);
	struct image_load_options opt = {
		.on_drain = on_drain, .on_layer = on_layer, .on_text = on_text, .done = on_done, .arg = l
	};
	struct image_platform platform;
	struct error err = { 0 };
	bool has_platform;

	l->req = req;
	l->is_quiet = request_query_bool_default(req, "quiet", true);
	if (get_platform(req, &platform, &has_platform, &err) == 0) {
		opt.platform = has_platform ? &platform : NULL;
		l->load = images_load(api_engine(req)->images, &opt, &err);
	}
	if (!l->load) {
		reply_error(req, &err);
		free(l);
		return;
	}
	request_body_start(req, on_data, on_end, l);
}
