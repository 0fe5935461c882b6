/* POST /containers/{name}/update. */
#include "api/api.h"
#include "api/versions.h"
#include "engine/schema.h"

void ContainerUpdate(struct request *req)
{
	struct error err = { 0 };
	json_t *said = request_json(req) ? json_incref(request_json(req)) : json_object(), *body = NULL, *warnings;

	if (decode_json(said, &schema_container_update, &body, &err) < 0)
		error_prefix(&err, "invalid JSON");
	else if (versions_request(BODY_CONTAINER_UPDATE, body, request_api_version(req), NULL, &err) == 0)
		engine_container_update(api_engine(req), request_param(req, "name"), body, &warnings, &err);
	json_decref(said);
	json_decref(body);
	if (err.code) {
		reply_error(req, &err);
		return;
	}
	if (json_array_size(warnings) == 0) { /* a Go slice that nothing was appended to */
		json_decref(warnings);
		warnings = json_null();
	}
	reply_json(req, 200, json_pack("{s:o}", "Warnings", warnings));
}
