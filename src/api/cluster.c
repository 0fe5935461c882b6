/* Swarm, nodes, services, tasks, secrets, configs: a node outside a cluster answers them, and there is no other
 * kind here. What a request says wrong is told first, as Docker does (moby: daemon/server/router/swarm). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/decode.h"

struct operation {
	const char *name;
	int (*check)(struct request *req, const struct operation *op, struct error *err);
	const char *kind;           /* of what is listed or updated */
	const char *const *filters; /* NULL: every key is taken */
	const char *answer;         /* NULL: no manager */
};

static const char no_manager[] = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to "
				 "connect this node to swarm and try again.";
static const char no_swarm[] = "This node is not part of a swarm";
static const char no_cluster[] = "This node cannot be part of a swarm: sockerless has no cluster manager";

static const char *const node_filters[] = { "name", "id", "label", "role", "membership", "node.label", NULL };
static const char *const service_filters[] = { "name", "id", "label", "mode", "runtime", NULL };
static const char *const secret_filters[] = { "names", "name", "id", "label", NULL };
static const char *const config_filters[] = { "name", "id", "label", NULL };

/* ---- checks ---- */

/* Go's strconv.ParseBool; absent and empty are fine. */
static bool is_bool(struct request *req, const char *key)
{
	static const char *const words[] = { "",  "1", "t", "T",     "TRUE",  "true", "True",
					     "0", "f", "F", "FALSE", "false", "False" };
	const char *text = request_query(req, key);

	for (size_t i = 0; text && i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], text) == 0)
			return true;
	return !text;
}

static int check_wrapped_bool(struct request *req, const char *key, struct error *err)
{
	const char *text = request_query(req, key);

	if (is_bool(req, key))
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "invalid value for %s: %.100s: strconv.ParseBool: parsing \"%.100s\": invalid syntax",
			       key, text, text);
}

static int check_list(struct request *req, const struct operation *op, struct error *err)
{
	json_t *filters = filters_parse(req, op->filters, err);

	if (!filters)
		return err->code;
	json_decref(filters);
	if (strcmp(op->kind, "service") == 0 && versions_knows(req, "status"))
		return check_wrapped_bool(req, "status", err);
	return 0;
}

static int check_inspect(struct request *req, const struct operation *op, struct error *err)
{
	(void)op;
	return check_wrapped_bool(req, "insertDefaults", err);
}

static bool is_uint64(const char *text, bool *ret_is_large)
{
	char *end;

	*ret_is_large = false;
	if (!*text || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	strtoull(text, &end, 10);
	*ret_is_large = errno == ERANGE;
	return !*ret_is_large;
}

static int check_short_version(struct request *req, const struct operation *op, struct error *err)
{
	const char *text = request_query(req, "version");
	bool is_large;

	if (text && is_uint64(text, &is_large))
		return 0;
	return error_set_class(err, ERROR_INVALID, "invalid %s version", op->kind);
}

static int check_version(struct request *req, const struct operation *op, struct error *err)
{
	const char *text = request_query(req, "version");
	bool is_large;

	text = text ? text : "";
	if (is_uint64(text, &is_large))
		return 0;
	return error_set_class(err, ERROR_INVALID, "invalid %s version '%.100s': strconv.ParseUint: parsing \"%.100s\": %s",
			       op->kind, text, text, is_large ? "value out of range" : "invalid syntax");
}

static int check_swarm_update(struct request *req, const struct operation *op, struct error *err)
{
	static const char *const flags[] = { "rotateWorkerToken", "rotateManagerToken", "rotateManagerUnlockKey" };

	if (check_version(req, op, err) < 0)
		return err->code;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (!is_bool(req, flags[i]))
			return error_set_class(err, ERROR_INVALID, "invalid value for %s: %.100s", flags[i],
					       request_query(req, flags[i]));
	return 0;
}

static int check_service_update(struct request *req, const struct operation *op, struct error *err)
{
	const char *from = request_query(req, "registryAuthFrom");

	if (check_version(req, op, err) < 0)
		return err->code;
	if (from && *from && strcmp(from, "spec") && strcmp(from, "previous-spec"))
		return error_set_class(err, ERROR_INVALID, "invalid registryAuthFrom '%.100s'", from);
	return 0;
}

static int check_logs(struct request *req, const struct operation *op, struct error *err)
{
	(void)op;
	if (!request_query_bool(req, "stdout") && !request_query_bool(req, "stderr"))
		return error_set_class(err, ERROR_INVALID, "must specify at least one of 'stdout' or 'stderr'");
	return 0;
}

static int check_templating(struct request *req, const struct operation *op, struct error *err)
{
	int version = request_api_version(req);

	if (versions_has(FEATURE_TEMPLATING, version) || !json_is_object(json_object_get(request_json(req), "Templating")))
		return 0;
	return error_set_class(err, ERROR_INVALID, "%s templating is not supported on the specified API version: %d.%d",
			       op->kind, version / 1000, version % 1000);
}

static const struct decode_field address_fields[] = {
	{ "ListenAddr", &decode_string },     { "AdvertiseAddr", &decode_string },
	{ "DataPathAddr", &decode_string },   { "RemoteAddrs", &decode_strings },
	{ "JoinToken", &decode_string },      { "ForceNewCluster", &decode_bool },
	{ "AutoLockManagers", &decode_bool }, { NULL, NULL },
};
static const struct decode_type init_type = { .kind = DECODE_STRUCT, .go = "InitRequest", .fields = address_fields };
static const struct decode_type join_type = { .kind = DECODE_STRUCT, .go = "JoinRequest", .fields = address_fields };

/* What both want: an address to listen at. */
static int get_addresses(struct request *req, const struct decode_type *type, json_t **ret, struct error *err)
{
	const char *listen;

	*ret = NULL;
	if (request_json(req) && decode_json(request_json(req), type, ret, err) < 0) {
		error_prefix(err, "invalid JSON");
		return err->code;
	}
	listen = json_string_value(json_object_get(*ret, "ListenAddr"));
	if (!listen || !*listen)
		return error_set_class(err, ERROR_INVALID, "invalid ListenAddr \"\": invalid empty address");
	return 0;
}

static int check_init(struct request *req, const struct operation *op, struct error *err)
{
	json_t *body = NULL;
	const char *name = json_string_value(json_object_get(json_object_get(request_json(req), "Spec"), "Name"));
	int r = get_addresses(req, &init_type, &body, err);

	(void)op;
	json_decref(body);
	if (r == 0 && name && *name && strcmp(name, "default"))
		r = error_set_class(err, ERROR_INVALID, "swarm spec must be named \"default\"");
	return r;
}

static int check_join(struct request *req, const struct operation *op, struct error *err)
{
	json_t *body = NULL, *remotes, *v;
	int r = get_addresses(req, &join_type, &body, err);
	size_t i;

	(void)op;
	remotes = json_object_get(body, "RemoteAddrs");
	if (r == 0 && json_array_size(remotes) == 0)
		r = error_set_class(err, ERROR_INVALID, "at least 1 RemoteAddr is required to join");
	json_array_foreach(remotes, i, v)
		if (r == 0 && !*json_string_value(v))
			r = error_set_class(err, ERROR_INVALID, "invalid remoteAddr \"\": invalid empty address");
	json_decref(body);
	return r;
}

/* ---- the table; what is not in it has nothing to be checked ---- */

static const struct operation operations[] = {
	{ .name = "SwarmInit", .check = check_init, .answer = no_cluster },
	{ .name = "SwarmJoin", .check = check_join, .answer = no_cluster },
	{ .name = "SwarmLeave", .answer = no_swarm },
	{ .name = "SwarmUpdate", .check = check_swarm_update, .kind = "swarm" },
	{ .name = "NodeList", .check = check_list, .kind = "node", .filters = node_filters },
	{ .name = "NodeUpdate", .check = check_version, .kind = "node" },
	{ .name = "ServiceList", .check = check_list, .kind = "service", .filters = service_filters },
	{ .name = "ServiceInspect", .check = check_inspect },
	{ .name = "ServiceUpdate", .check = check_service_update, .kind = "service" },
	{ .name = "ServiceLogs", .check = check_logs },
	{ .name = "TaskList", .check = check_list, .kind = "task" },
	{ .name = "TaskLogs", .check = check_logs },
	{ .name = "SecretList", .check = check_list, .kind = "secret", .filters = secret_filters },
	{ .name = "SecretCreate", .check = check_templating, .kind = "secret" },
	{ .name = "SecretUpdate", .check = check_short_version, .kind = "secret" },
	{ .name = "ConfigList", .check = check_list, .kind = "config", .filters = config_filters },
	{ .name = "ConfigCreate", .check = check_templating, .kind = "config" },
	{ .name = "ConfigUpdate", .check = check_short_version, .kind = "config" },
};

void ClusterOperation(struct request *req)
{
	const char *name = request_route(req)->operation, *answer = no_manager;
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
		const struct operation *op = &operations[i];

		if (strcmp(op->name, name) != 0)
			continue;
		if (op->check && op->check(req, op, &err) < 0) {
			reply_error(req, &err);
			return;
		}
		answer = op->answer ? op->answer : no_manager;
	}
	error_set_class(&err, ERROR_UNAVAILABLE, "%s", answer);
	reply_error(req, &err);
}
