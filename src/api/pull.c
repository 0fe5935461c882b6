/* POST /images/create: a pull, or the import of an archive (images.c). */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/transfer.h"
#include "api/versions.h"
#include "engine/pull.h"
#include "image/platform.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct pulling {
	struct transfer *transfer;
	struct engine_pull *pull;
};

static void on_line(void *arg, json_t *take_line, bool is_passing)
{
	transfer_line(((struct pulling *)arg)->transfer, take_line, is_passing);
}

static void on_done(void *arg, struct image *i, const struct error *err)
{
	struct pulling *p = arg;

	(void)i;
	transfer_end(p->transfer, err);
	free(p);
}

static void on_cancel(void *arg)
{
	struct pulling *p = arg;

	engine_image_pull_cancel(p->pull);
	free(p);
}

/* A new object; NULL: err tells. */
static json_t *parse_platform(const char *text, struct error *err)
{
	struct image_platform p;

	if (image_platform_parse(text, &p, err) < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:s}", "os", p.os, "architecture", p.architecture, "variant", p.variant);
}

static void pull(struct request *req, const char *name)
{
	const char *platform = versions_query(req, "platform");
	struct pulling *p = xnew(struct pulling);
	struct engine_pull_request pr = { .name = name, .on_line = on_line, .done = on_done, .arg = p };
	struct error err = { 0 };

	if (platform && *platform)
		pr.platform = parse_platform(platform, &err);
	pr.auth = api_registry_auth(req);
	if (!err.code)
		p->pull = engine_image_pull(api_engine(req), &pr, &err);
	json_decref(pr.platform);
	json_decref(pr.auth);
	if (!p->pull) {
		free(p);
		reply_error(req, &err);
		return;
	}
	p->transfer = transfer_new(req, on_cancel, p);
}

/* A tag takes the place of the name's own; one that is a digest, of both (moby: postImagesCreate). */
static char *name_with_tag(const char *name, const char *tag)
{
	CLEANUP(freep) char *bare = xstrndup(name, strcspn(name, "@"));
	char *slash = strrchr(bare, '/'), *colon = strrchr(bare, ':');

	if (!tag || !*tag)
		return xstrdup(name[strlen(name) - 1] == ':' ? bare : name);
	if (colon && (!slash || colon > slash))
		*colon = '\0';
	return xasprintf("%s%s%s", bare, strncmp(tag, "sha256:", 7) ? ":" : "@", tag);
}

void ImageCreate(struct request *req)
{
	const char *name = request_query(req, "fromImage"), *source = request_query(req, "fromSrc");
	CLEANUP(freep) char *text = NULL;

	if (!name || !*name) {
		api_image_import(req, source ? source : "-");
		return;
	}
	text = name_with_tag(name, request_query(req, "tag"));
	if (text[strlen(text) - 1] == ':')
		text[strlen(text) - 1] = '\0'; /* of docker pull -a */
	pull(req, text);
}
