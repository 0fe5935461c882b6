/* docker import URL: the archive is downloaded into a file, and imported from there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/progress.h"
#include "api/transfer.h"
#include "image/discard.h"
#include "image/images.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define PIECE (256u << 10)

struct url_import {
	struct transfer *transfer;   /* NULL: the client has gone */
	struct engine *engine;
	struct registry_download *download;
	struct image_import *import; /* NULL: not yet, or its end has been said */
	struct image_import_options options; /* its texts owned */
	char *url, *path;
	uv_fs_t read;
	char *piece;
	int fd;
	bool is_reading;
};

static void import_free(struct url_import *u)
{
	for (const char *const *p = u->options.changes; p && *p; p++)
		free((char *)*p);
	free((void *)u->options.changes);
	free((char *)u->options.repo);
	free((char *)u->options.tag);
	free((char *)u->options.message);
	free((char *)u->options.platform);
	if (u->fd >= 0)
		close(u->fd);
	discard_path(u->engine->loop, u->path);
	free(u->url);
	free(u->piece);
	free(u);
}

static void end(struct url_import *u, const struct error *err)
{
	if (u->transfer)
		transfer_end(u->transfer, err);
	import_free(u);
}

static void on_imported(void *arg, struct image *i, const struct error *err)
{
	struct url_import *u = arg;

	if (u->transfer && !err)
		transfer_line(u->transfer, json_pack("{s:s}", "status", i->id), false);
	end(u, err);
}

static void read_on(void *arg);

static void on_read(uv_fs_t *req)
{
	struct url_import *u = req->data;
	struct image_import *import = u->import;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	u->is_reading = false;
	if (n <= 0 || !u->transfer) {
		u->import = NULL;
		image_import_end(import, !u->transfer ? -EPIPE : n < 0 ? (int)n : 0);
	} else if (image_import_write(import, u->piece, (size_t)n) == 0) {
		read_on(u);
	}
}

static void read_on(void *arg)
{
	struct url_import *u = arg;
	uv_buf_t buf = uv_buf_init(u->piece, PIECE);

	if (u->is_reading || !u->import)
		return;
	u->is_reading = true;
	u->read.data = u;
	if (uv_fs_read(u->engine->loop, &u->read, u->fd, &buf, 1, -1, on_read) < 0)
		abort(); /* a descriptor of ours */
}

static void on_downloaded(void *arg, const struct download_result *result, const struct error *err)
{
	struct url_import *u = arg;
	struct error own = { 0 };

	u->download = NULL;
	if (err) {
		end(u, err);
		return;
	}
	u->path = xstrdup(result->path);
	u->fd = open(u->path, O_RDONLY | O_CLOEXEC);
	if (u->fd < 0)
		error_set(&own, -errno, "%s: %s", u->path, error_text(errno));
	else
		u->import = images_import(u->engine->images, &u->options, read_on, on_imported, u, &own);
	if (!u->import) {
		end(u, &own);
		return;
	}
	u->piece = xmalloc(PIECE);
	read_on(u);
}

/* What the server says before this is the reply's own status. */
static void on_found(void *arg)
{
	struct url_import *u = arg;

	transfer_line(u->transfer, json_pack("{s:o}", "status", json_sprintf("Downloading from %s", u->url)), false);
}

static void on_progress(void *arg, int64_t current, int64_t total)
{
	struct url_import *u = arg;

	transfer_line(u->transfer,
		      json_pack("{s:s, s:{s:I, s:I}}", "status", "Importing", "progressDetail", "current",
				(json_int_t)current, "total", (json_int_t)(total > 0 ? total : 0)),
		      true);
}

/* A pull of bytes that is under way goes to its end with nobody to hear of it. */
static void on_cancel(void *arg)
{
	struct url_import *u = arg;

	u->transfer = NULL;
	if (!u->download)
		return; /* on_read, or on_imported, sees it */
	registry_download_cancel(u->download);
	import_free(u);
}

void api_import_url(struct request *req, const char *url, const struct image_import_options *opt)
{
	struct url_import *u = xnew(struct url_import);
	struct error err = { 0 };
	const char **changes;
	size_t n = 0;

	while (opt->changes && opt->changes[n])
		n++;
	changes = xcalloc(n + 1, sizeof(*changes));
	for (size_t i = 0; i < n; i++)
		changes[i] = xstrdup(opt->changes[i]);
	u->engine = api_engine(req);
	u->fd = -1;
	u->url = strstr(url, "://") ? xstrdup(url) : xasprintf("http://%s", url);
	u->options = (struct image_import_options){ .repo = xstrdup(opt->repo),
						    .tag = xstrdup(opt->tag),
						    .message = xstrdup(opt->message),
						    .platform = xstrdup(opt->platform),
						    .changes = changes };
	u->download = registry_download(u->engine->registry, u->url, 0, on_found, on_progress, on_downloaded, u, &err);
	if (!u->download) {
		import_free(u);
		reply_error(req, &err);
		return;
	}
	u->transfer = transfer_new(req, on_cancel, u);
}
