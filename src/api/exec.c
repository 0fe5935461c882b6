/* Handlers of exec. */
#include <stdlib.h>

#include "api/api.h"
#include "api/versions.h"
#include "engine/schema.h"
#include "util/alloc.h"

void ContainerExec(struct request *req)
{
	struct container *c = api_container(req);
	json_t *config = NULL;
	struct error err = { 0 };
	struct exec *x;

	if (!c)
		return;
	if (!request_json(req))
		error_set_class(&err, ERROR_INVALID, "invalid JSON: got EOF while reading request body");
	else if (decode_json(request_json(req), &schema_exec_create, &config, &err) < 0)
		error_prefix(&err, "invalid JSON");
	else if (versions_request(BODY_EXEC_CREATE, config, request_api_version(req), NULL, &err) == 0)
		engine_exec_create(api_engine(req), c, config, &x, &err);
	if (err.code)
		reply_error(req, &err);
	else
		reply_json(req, 201, json_pack("{s:s}", "Id", x->id));
	json_decref(config);
}

static struct exec *find(struct request *req)
{
	struct error err = { 0 };
	struct exec *x = NULL;

	if (engine_exec_find(api_engine(req), request_param(req, "id"), &x, &err) < 0)
		reply_error(req, &err);
	return x;
}

struct starting {
	struct engine *engine;
	struct exec *exec;
	bool is_mux;
	int rows, cols;
};

static void on_ready(void *arg, struct stream *s)
{
	struct starting *st = arg;

	if (s) {
		s->is_mux = st->is_mux;
		engine_exec_start_attached(st->engine, st->exec, st->rows, st->cols, s);
	}
	free(st);
}

static void on_detached(void *arg, const struct error *err)
{
	if (err)
		reply_error(arg, err);
	else
		reply_empty(arg, 200);
}

/* The framing is what this request says of a terminal, not what the creation said. */
static void start_attached(struct request *req, struct exec *x, json_t *body)
{
	json_t *size = json_object_get(body, "ConsoleSize");
	bool tty = json_is_true(json_object_get(body, "Tty"));
	struct starting *st = xnew(struct starting);

	st->engine = api_engine(req);
	st->exec = x;
	st->is_mux = !tty;
	if (tty) {
		st->rows = (int)json_integer_value(json_array_get(size, 0));
		st->cols = (int)json_integer_value(json_array_get(size, 1));
	}
	reply_hijack(req, api_stream_type(req, st->is_mux), on_ready, st);
}

void ExecStart(struct request *req)
{
	struct exec *x = find(req);
	json_t *body = NULL;
	struct error err = { 0 };

	if (!x)
		return;
	if (request_json(req) && decode_json(request_json(req), &schema_exec_start, &body, &err) < 0)
		error_prefix(&err, "invalid JSON");
	if (!err.code && body)
		versions_request(BODY_EXEC_START, body, request_api_version(req), NULL, &err);
	if (err.code || engine_exec_start_check(api_engine(req), x, &err) < 0)
		reply_error(req, &err);
	else if (json_is_true(json_object_get(body, "Detach")))
		engine_exec_start_detached(api_engine(req), x, on_detached, req);
	else
		start_attached(req, x, body);
	json_decref(body);
}

void ExecResize(struct request *req)
{
	struct exec *x = find(req);
	struct error err = { 0 };
	int rows, cols;

	if (!x || !api_terminal_size(req, &rows, &cols))
		return;
	if (engine_exec_resize(api_engine(req), x, rows, cols, &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
}

static json_t *process_view(const struct exec *x)
{
	json_t *words = json_copy(json_object_get(x->config, "Cmd")), *o;
	const char *user = json_string_value(json_object_get(x->config, "User"));

	if (!user || !*user)
		user = json_string_value(json_object_get(x->container->config, "User"));
	o = json_pack("{s:b, s:O, s:o, s:b, s:s}", "tty", json_is_true(json_object_get(x->config, "Tty")), "entrypoint",
		      json_array_get(words, 0), "arguments", words, "privileged",
		      json_is_true(json_object_get(x->config, "Privileged")), "user", user ? user : "");
	json_array_remove(words, 0);
	return o;
}

void ExecInspect(struct request *req)
{
	struct exec *x = find(req);
	const char *keys;

	if (!x)
		return;
	keys = json_string_value(json_object_get(x->config, "DetachKeys"));
	reply_shaped(req, 200, SHAPE_EXEC,
		     json_pack("{s:s, s:b, s:o, s:o, s:b, s:b, s:b, s:b, s:s, s:s, s:i, s:s}", "ID", x->id, "Running", x->is_running,
			       "ExitCode", x->has_exit_code ? json_integer(x->exit_code) : json_null(), "ProcessConfig",
			       process_view(x), "OpenStdin", json_is_true(json_object_get(x->config, "AttachStdin")),
			       "OpenStderr", json_is_true(json_object_get(x->config, "AttachStderr")), "OpenStdout",
			       json_is_true(json_object_get(x->config, "AttachStdout")), "CanRemove", 0, "ContainerID",
			       x->container->id, "DetachKeys", keys ? keys : "", "Pid", x->pid, "Driver",
			       x->driver ? x->driver : ""));
}
