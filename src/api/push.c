/* POST /images/{name}/push */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/transfer.h"
#include "image/images.h"
#include "image/reference.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct pushing {
	struct transfer *transfer;
	struct push *push;
};

static void on_line(void *arg, json_t *take_line, bool is_passing)
{
	transfer_line(((struct pushing *)arg)->transfer, take_line, is_passing);
}

static void on_done(void *arg, const struct error *err)
{
	struct pushing *p = arg;

	transfer_end(p->transfer, err);
	free(p);
}

static void on_cancel(void *arg)
{
	struct pushing *p = arg;

	registry_push_cancel(p->push);
	free(p);
}

static int parse(struct request *req, struct reference *ret, struct error *err)
{
	const char *name = request_param(req, "name"), *tag = request_query(req, "tag");
	CLEANUP(freep) char *text = NULL;
	struct reference ref;
	int r = reference_parse(name, &ref, err);

	if (r < 0)
		return r;
	if (tag && *tag) {
		text = xasprintf("%s:%s", ref.name, tag);
		return reference_parse(text, ret, err);
	}
	*ret = ref;
	return 0;
}

/* What is wrong with the image is told in the stream, after the first line, as Docker does. */
static void push(struct request *req, const struct reference *ref)
{
	struct registry *registry = api_engine(req)->registry;
	struct pushing *p = xnew(struct pushing);
	struct push_request pr = {
		.name = ref->name, .tag = ref->tag, .auth = api_registry_auth(req), .on_line = on_line, .done = on_done, .arg = p
	};
	CLEANUP(freep) char *domain = NULL, *path = NULL;
	struct error err = { 0 };

	registry_split(ref->name, &domain, &path);
	p->transfer = transfer_new(req, on_cancel, p);
	transfer_line(p->transfer,
		      json_pack("{s:o}", "status", json_sprintf("The push refers to repository [%s/%s]", domain, path)),
		      false);
	if (*ref->digest)
		error_set(&err, -EINVAL, "cannot push a digest reference");
	else
		p->push = registry_push(registry, &pr, &err);
	json_decref(pr.auth);
	if (!p->push)
		on_done(p, &err);
}

void ImagePush(struct request *req)
{
	CLEANUP(freep) char *name = NULL;
	struct reference ref;
	struct error err = { 0 };
	struct image *i = NULL;

	if (parse(req, &ref, &err) == 0) {
		name = reference_tagged(&ref);
		if (images_find(api_engine(req)->images, name, &i, NULL) == 0)
			api_check_platform(req, "platform", i, &err);
	}
	if (err.code)
		reply_error(req, &err);
	else
		push(req, &ref);
}
