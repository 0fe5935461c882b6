/* The handler of docker commit. */
#include <stdlib.h>

#include "api/api.h"
#include "engine/schema.h"
#include "image/images.h"
#include "util/alloc.h"

static void on_committed(void *arg, struct image *i, const struct error *err)
{
	if (err)
		reply_error(arg, err);
	else
		reply_json(arg, 201, json_pack("{s:s}", "Id", i->id));
}

/* A body without one member of a Config is none. */
static int decode_config(struct request *req, json_t **ret, struct error *err)
{
	json_t *config;

	*ret = NULL;
	if (json_object_size(request_json(req)) == 0)
		return 0;
	if (decode_json(request_json(req), &schema_container_create, &config, err) < 0)
		return err->code;
	json_object_del(config, "HostConfig");
	json_object_del(config, "NetworkingConfig");
	if (json_object_size(config) > 0)
		*ret = config;
	else
		json_decref(config);
	return 0;
}

static void commit(struct request *req, json_t *config, struct error *err)
{
	const char *name = request_query(req, "container");
	size_t n = request_query_count(req, "changes");
	const char **changes = xcalloc(n + 1, sizeof(*changes));
	struct engine_commit_options opt = { .repo = request_query(req, "repo"),
					     .tag = request_query(req, "tag"),
					     .comment = request_query(req, "comment"),
					     .author = request_query(req, "author"),
					     .is_paused = request_query_bool_default(req, "pause", true),
					     .changes = changes,
					     .config = config };
	struct container *c;

	for (size_t i = 0; i < n; i++)
		changes[i] = request_query_nth(req, "changes", i);
	if (containers_find(&api_engine(req)->containers, name ? name : "", &c, err) == 0)
		engine_commit(api_engine(req), c, &opt, on_committed, req, err);
	free(changes);
}

void ImageCommit(struct request *req)
{
	struct error err = { 0 };
	json_t *config;

	if (decode_config(req, &config, &err) == 0) {
		commit(req, config, &err);
		json_decref(config);
	}
	if (err.code)
		reply_error(req, &err);
}
