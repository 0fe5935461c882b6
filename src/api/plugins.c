/* Plugins: there are none, and none can be had. */
#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "http/json_fault.h"
#include "image/reference.h"

static const char no_plugins[] = "plugins are not supported: what they do here is built in";

void PluginList(struct request *req)
{
	static const char *const known[] = { "enabled", "capability", NULL };
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err);
	bool is_enabled;

	if (filters && filters_bool(filters, "enabled", false, &is_enabled, &err))
		reply_json(req, 200, json_array());
	else
		reply_error(req, &err);
	json_decref(filters);
}

/* A body that Docker reads as JSON of any kind but an object: ROUTE_BODY_JSON is not for it. */
static int check_array(struct request *req, const char *go, struct error *err)
{
	size_t len;
	const char *text = request_body_text(req, &len);
	char fault[JSON_FAULT_MAX];
	json_error_t at;
	json_t *body;
	int r = 0;

	if (!len)
		return 0;
	body = json_loadb(text, len, 0, &at);
	if (!body)
		r = error_set_class(err, ERROR_INVALID, "invalid JSON: %s", json_fault(text, len, fault) ? fault : at.text);
	else if (!json_is_array(body) && !json_is_null(body))
		r = error_set_class(err, ERROR_INVALID, "invalid JSON: json: cannot unmarshal into Go value of type %s", go);
	json_decref(body);
	return r;
}

static int check_remote(struct request *req, struct error *err)
{
	const char *remote = request_query(req, "remote");
	struct reference ref;

	return reference_parse(remote ? remote : "", &ref, err);
}

/* What needs a plug-in that is there. enable, disable, inspect, remove, push, set, upgrade. */
void PluginOperation(struct request *req)
{
	const char *operation = request_route(req)->operation;
	struct error err = { 0 };
	int64_t timeout;
	int r = 0;

	if (strcmp(operation, "PluginEnable") == 0) {
		const char *text = request_query(req, "timeout");

		r = text && *text ? request_query_int(req, "timeout", 0, &timeout, &err) :
				    error_set_class(&err, ERROR_INVALID, "strconv.Atoi: parsing \"\": invalid syntax");
	} else if (strcmp(operation, "PluginSet") == 0) {
		r = check_array(req, "[]string", &err);
	} else if (strcmp(operation, "PluginUpgrade") == 0) {
		r = check_array(req, "plugin.Privileges", &err);
		if (r == 0)
			r = check_remote(req, &err);
	}
	if (r == 0)
		error_set_class(&err, ERROR_NOT_FOUND, "plugin \"%.300s\" not found", request_param(req, "name"));
	reply_error(req, &err);
}

/* What would bring one: privileges, pull, create. */
void PluginInstall(struct request *req)
{
	const char *operation = request_route(req)->operation, *name = request_query(req, "name");
	struct error err = { 0 };
	struct reference ref;
	int r = 0;

	if (strcmp(operation, "PluginCreate") == 0) {
		r = reference_parse(name ? name : "", &ref, &err);
		if (r < 0)
			error_prefix(&err, "failed to parse reference %.200s", name ? name : "");
	} else {
		if (strcmp(operation, "PluginPull") == 0)
			r = check_array(req, "plugin.Privileges", &err);
		if (r == 0)
			r = check_remote(req, &err);
	}
	if (r == 0)
		error_set(&err, -ENOTSUP, "%s", no_plugins);
	reply_error(req, &err);
}
