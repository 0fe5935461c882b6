/* POST /containers/{name}/update. */
#include "api/api.h"

void ContainerUpdate(struct request *req)
{
	struct error err = { 0 };
	json_t *warnings;

	if (engine_container_update(api_engine(req), request_param(req, "name"), request_json(req),
				    request_api_version(req), &warnings, &err) < 0) {
		reply_error(req, &err);
		return;
	}
	if (json_array_size(warnings) == 0) { /* a Go slice that nothing was appended to */
		json_decref(warnings);
		warnings = json_null();
	}
	reply_json(req, 200, json_pack("{s:o}", "Warnings", warnings));
}
