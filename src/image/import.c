/* docker import: a tar of a root file system becomes an image. The upload waits
 * in a spool; unpacking, hashing and classification run on the pool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/change.h"
#include "image/internal.h"
#include "image/platform.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/digest.h"
#include "util/spool.h"

struct image_import {
	uv_work_t work;
	struct images *images;
	struct spool *spool;
	char *repo, *tag, *message, *platform;
	json_t *config;              /* the image's config{} with the changes in it */
	char blob[DIGEST_LEN + 1];
	char *staged;
	struct error err;
	void (*done)(void *arg, struct image *i, const struct error *err);
	void *arg;
};

static void import_free(struct image_import *imp)
{
	spool_free(imp->spool);
	json_decref(imp->config);
	free(imp->repo);
	free(imp->tag);
	free(imp->message);
	free(imp->platform);
	free(imp->staged);
	free(imp);
}

static struct image *make_image(struct image_import *imp, struct layer *layer)
{
	struct image_child child = { .layer = layer,
				     .take_config = json_incref(imp->config),
				     .comment = imp->message,
				     .platform = imp->platform,
				     .kind = IMAGE_IMPORTED };

	return images_make_child(imp->images, &child);
}

static void finish(struct image_import *imp, struct layer *layer)
{
	struct image *i = NULL;

	if (!imp->err.code) {
		i = make_image(imp, layer);
		if (imp->repo)
			images_tag(imp->images, i, imp->repo, imp->tag, &imp->err);
		image_event(imp->images, "import", i, i->id);
	}
	imp->done(imp->arg, i, imp->err.code ? &imp->err : NULL);
	import_free(imp);
}

static void on_layer(void *arg, struct layer *layer, const struct error *err)
{
	struct image_import *imp = arg;

	layers_unpin_blob(imp->images->layers, imp->blob); /* the layer keeps it now, or nobody needs it */
	if (err)
		imp->err = *err;
	finish(imp, layer);
}

static void stage(uv_work_t *w)
{
	struct image_import *imp = container_of(w, struct image_import, work);
	uint64_t bytes;

	blob_stage_file(imp->images->options.data_root, spool_fd(imp->spool), imp->blob, &bytes, &imp->staged, &imp->err);
}

static void on_staged(uv_work_t *w, int status)
{
	struct image_import *imp = container_of(w, struct image_import, work);
	struct layers *ls = imp->images->layers;

	(void)status;
	if (imp->err.code || layers_settle_blob(ls, steal_ptr(imp->staged), imp->blob, &imp->err) < 0) {
		finish(imp, NULL);
		return;
	}
	layers_unpack(ls, NULL, imp->blob, NULL, NULL, on_layer, imp);
}

static void on_stored(void *arg, int result)
{
	struct image_import *imp = arg;

	if (result < 0 && !imp->err.code)
		error_set(&imp->err, result, "the upload cannot be stored: %s", strerror(-result));
	if (imp->err.code)
		finish(imp, NULL);
	else
		uv_queue_work(imp->images->options.loop, &imp->work, stage, on_staged);
}

/* All of them are one text, as in Docker: an ENTRYPOINT leaves a CMD before it alone. */
int image_apply_changes(json_t *config, const char *const *changes, struct error *err)
{
	CLEANUP(freep) char *text = xstrdup("");

	for (; changes && *changes; changes++) {
		char *longer = xasprintf("%s%s\n", text, *changes);

		free(text);
		text = longer;
	}
	return *text ? change_by_text(config, text, err) : 0;
}

static int check(struct image_import *imp, const struct image_import_options *opt, json_t *config, struct error *err)
{
	struct image_platform platform;
	struct reference ref;
	char text[200];
	int r = 0;

	if (opt->repo && *opt->repo)
		r = reference_of_repo(opt->repo, opt->tag, &ref, err);
	if (r == 0 && opt->platform && *opt->platform) {
		r = image_platform_parse(opt->platform, &platform, err);
		if (r == 0 && strcmp(platform.os, "linux") != 0)
			r = error_set_class(err, ERROR_INVALID, "operating system is not supported");
		if (r == 0) {
			image_platform_format(&platform, text, sizeof(text));
			imp->platform = xstrdup(text);
		}
	}
	return r < 0 ? r : image_apply_changes(config, opt->changes, err);
}

struct image_import *images_import(struct images *im, const struct image_import_options *opt, void (*on_drain)(void *arg),
				   void (*done)(void *arg, struct image *i, const struct error *err), void *arg,
				   struct error *err)
{
	struct image_import *imp = xnew(struct image_import);

	imp->config = json_object();
	if (check(imp, opt, imp->config, err) == 0) {
		imp->spool = spool_new(im->options.loop, im->options.data_root);
		if (!imp->spool)
			error_set(err, -errno, "no temporary file: %s", strerror(errno));
	}
	if (!imp->spool) {
		import_free(imp);
		return NULL;
	}
	imp->images = im;
	imp->repo = opt->repo && *opt->repo ? xstrdup(opt->repo) : NULL;
	imp->tag = xstrdup(opt->tag);
	imp->message = xstrdup(opt->message && *opt->message ? opt->message : "Imported from -");
	imp->done = done;
	imp->arg = arg;
	spool_on_drain(imp->spool, on_drain, arg);
	return imp;
}

int image_import_write(struct image_import *imp, const void *data, size_t len)
{
	return spool_write(imp->spool, data, len);
}

void image_import_end(struct image_import *imp, int result)
{
	if (result < 0)
		error_set(&imp->err, result, "the upload broke off: %s", strerror(-result));
	spool_finish(imp->spool, on_stored, imp);
}
