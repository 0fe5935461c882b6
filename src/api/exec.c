/* Handlers of exec. */
#include <stdlib.h>

#include "api/api.h"
#include "util/alloc.h"

void ContainerExec(struct request *req)
{
	struct container *c = api_container(req);
	struct error err = { 0 };
	struct exec *x;

	if (!c)
		return;
	if (!request_json(req))
		error_set_class(&err, ERROR_INVALID, "invalid JSON: got EOF while reading request body");
	if (err.code || engine_exec_create(api_engine(req), c, request_json(req), &x, &err) < 0)
		reply_error(req, &err);
	else
		reply_json(req, 201, json_pack("{s:s}", "Id", x->id));
}

static struct exec *find(struct request *req)
{
	struct error err = { 0 };
	struct exec *x = NULL;

	if (engine_exec_find(api_engine(req), request_param(req, "id"), &x, &err) < 0)
		reply_error(req, &err);
	return x;
}

struct starting { struct engine *engine; struct exec *exec; bool tty; int rows, cols; char *keys; };

static void on_ready(void *arg, struct stream *s)
{
	struct starting *st = arg;

	if (s) {
		s->is_mux = !st->tty;
		engine_exec_start_attached(st->engine, st->exec, st->tty, st->rows, st->cols, st->keys, s);
	}
	free(st->keys);
	free(st);
}

static void on_detached(void *arg, const struct error *err)
{
	if (err)
		reply_error(arg, err);
	else
		reply_empty(arg, 200);
}

void ExecStart(struct request *req)
{
	struct exec *x = find(req);
	json_t *body = request_json(req), *size = json_object_get(body, "ConsoleSize");
	struct starting *st;
	struct error err = { 0 };

	if (!x)
		return;
	if (engine_exec_start_check(api_engine(req), x, &err) < 0) {
		reply_error(req, &err);
		return;
	}
	if (json_is_true(json_object_get(body, "Detach"))) {
		engine_exec_start_detached(api_engine(req), x, on_detached, req);
		return;
	}
	st = xnew(struct starting);
	st->engine = api_engine(req);
	st->exec = x;
	st->tty = json_is_true(json_object_get(x->config, "Tty"));
	st->rows = (int)json_integer_value(json_array_get(size, 0));
	st->cols = (int)json_integer_value(json_array_get(size, 1));
	st->keys = xstrdup(json_string_value(json_object_get(x->config, "DetachKeys")));
	reply_hijack(req, st->tty || request_api_version(req) < API_VERSION(1, 42) ? "application/vnd.docker.raw-stream" :
									      "application/vnd.docker.multiplexed-stream",
		     on_ready, st);
}

void ExecResize(struct request *req)
{
	struct exec *x = find(req);
	struct error err = { 0 };
	int64_t h, w;

	if (!x)
		return;
	if (request_query_int(req, "h", 0, &h, &err) < 0 || request_query_int(req, "w", 0, &w, &err) < 0 ||
	    engine_exec_resize(api_engine(req), x, (int)h, (int)w, &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
}

void ExecInspect(struct request *req)
{
	struct exec *x = find(req);
	json_t *cmd, *words;
	const char *user;

	if (!x)
		return;
	cmd = json_object_get(x->config, "Cmd");
	words = json_copy(cmd);
	json_array_remove(words, 0);
	user = json_string_value(json_object_get(x->config, "User"));
	reply_json(req, 200,
		   json_pack("{s:s, s:b, s:o, s:{s:b, s:s, s:o, s:O, s:s}, s:b, s:b, s:b, s:b, s:s, s:i, s:s, s:s}", "ID", x->id,
			     "Running", x->is_running, "ExitCode", x->has_exit_code ? json_integer(x->exit_code) : json_null(),
			     "ProcessConfig", "tty", json_is_true(json_object_get(x->config, "Tty")), "entrypoint",
			     json_string_value(json_array_get(cmd, 0)), "arguments", words, "privileged", json_false(), "user",
			     user ? user : "", "OpenStdin", json_is_true(json_object_get(x->config, "AttachStdin")), "OpenStderr",
			     json_is_true(json_object_get(x->config, "AttachStderr")), "OpenStdout",
			     json_is_true(json_object_get(x->config, "AttachStdout")), "CanRemove", 0, "ContainerID",
			     x->container->id, "Pid", x->pid, "DetachKeys", "", "Driver", x->driver ? x->driver : ""));
}
