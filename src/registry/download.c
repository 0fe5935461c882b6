/* A URL into a file: for ADD, remote build contexts and docker import. */
#include <stdlib.h>
#include <string.h>

#include "image/discard.h"
#include "registry/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"
#include "util/json.h"

struct registry_download {
	struct list of_registry;
	struct registry *registry;
	struct helper *helper;
	char *path;
	json_t *result;
	void (*on_found)(void *arg);
	void (*on_progress)(void *arg, int64_t current, int64_t total);
	void (*done)(void *arg, const struct download_result *result, const struct error *err);
	void *arg;
};

static void download_free(struct registry_download *d)
{
	list_remove(&d->of_registry);
	helper_kill(d->helper);
	json_decref(d->result);
	free(d->path);
	free(d);
}

static void on_event(void *arg, const char *kind, json_t *event)
{
	struct registry_download *d = arg;

	if (strcmp(kind, "result") == 0 && !d->result)
		d->result = json_incref(event);
	else if (strcmp(kind, "head") == 0)
		d->on_found(d->arg);
	else if (strcmp(kind, "progress") == 0)
		d->on_progress(d->arg, json_number(event, "current"), json_number(event, "total"));
}

static void on_end(void *arg, const struct error *err, bool is_unreachable)
{
	struct registry_download *d = arg;
	struct download_result result = { .path = d->path,
					  .bytes = json_number(d->result, "size"),
					  .digest = json_text(d->result, "digest"),
					  .last_modified = json_text(d->result, "lastModified"),
					  .content_type = json_text(d->result, "contentType") };

	(void)is_unreachable;
	d->helper = NULL;
	d->done(d->arg, err ? NULL : &result, err);
	download_free(d);
}

static const struct helper_calls calls = { .on_event = on_event, .on_end = on_end };

struct registry_download *
registry_download(struct registry *r, const char *url, int64_t bytes_max, void (*on_found)(void *arg),
		  void (*on_progress)(void *arg, int64_t current, int64_t total),
		  void (*done)(void *arg, const struct download_result *result, const struct error *err), void *arg,
		  struct error *err)
{
	struct registry_download *d = xnew(struct registry_download);
	CLEANUP(freep) char *name = NULL;
	char id[ID_LEN + 1];

	id_generate(id);
	name = xasprintf("url-%.16s", id);
	d->registry = r;
	d->path = xasprintf("%s/%s", r->dir, name);
	d->on_found = on_found;
	d->on_progress = on_progress;
	d->done = done;
	d->arg = arg;
	list_init(&d->of_registry);
	d->helper = helper_start(r->options.loop, r->options.fetch_path,
				 json_pack("{s:s, s:s, s:s, s:s, s:I}", "op", "download", "url", url, "dir", r->dir,
					   "file", name, "max", (json_int_t)bytes_max),
				 &calls, d, err);
	if (!d->helper) {
		download_free(d);
		return NULL;
	}
	list_append(&r->downloading, &d->of_registry);
	return d;
}

/* The file is made whole under another name: what is left of that goes when the process has been killed, or next week. */
void registry_download_cancel(struct registry_download *d)
{
	discard_path(d->registry->options.loop, xasprintf("%s.part", d->path));
	download_free(d);
}

void downloads_stop(struct registry *r, const struct error *err)
{
	list_for_each_safe(it, &r->downloading) {
		struct registry_download *d = container_of(it, struct registry_download, of_registry);

		helper_kill(d->helper);
		on_end(d, err, false);
	}
}
