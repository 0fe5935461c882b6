/* POST /containers/{name}/update. */
#include "api/api.h"
#include "api/versions.h"
#include "engine/schema.h"

static void on_updated(void *arg, json_t *take_warnings, const struct error *err)
{
	if (err) {
		reply_error(arg, err);
		return;
	}
	if (json_array_size(take_warnings) == 0) { /* a Go slice that nothing was appended to */
		json_decref(take_warnings);
		take_warnings = json_null();
	}
	reply_json(arg, 200, json_pack("{s:o}", "Warnings", take_warnings));
}

void ContainerUpdate(struct request *req)
{
	struct error err = { 0 };
	json_t *said = request_json(req) ? json_incref(request_json(req)) : json_object(), *body = NULL;

	if (decode_json(said, &schema_container_update, &body, &err) < 0)
		error_prefix(&err, "invalid JSON");
	else
		versions_request(BODY_CONTAINER_UPDATE, body, request_api_version(req), NULL, &err);
	if (err.code)
		reply_error(req, &err);
	else
		engine_container_update(api_engine(req), request_param(req, "name"), body, on_updated, req);
	json_decref(said);
	json_decref(body);
}
