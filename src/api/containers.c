/* Handlers of /containers that answer with one reply. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/filters.h"
#include "api/versions.h"
#include "engine/schema.h"
#include "util/alloc.h"

struct container *api_container(struct request *req)
{
	struct container *c = NULL;
	struct error err = { 0 };

	if (containers_find(&api_engine(req)->containers, request_param(req, "name"), &c, &err) < 0)
		reply_error(req, &err);
	return c;
}

void api_reply_done(void *arg, const struct error *err)
{
	if (err)
		reply_error(arg, err);
	else
		reply_empty(arg, 204);
}

/* ---- create: what must be looked at, the container, its volumes ---- */

struct creating {
	struct request *req;
	struct container_create create;
	json_t *warnings; /* of old ways of a request */
	json_t *reply;
};

static void creating_free(struct creating *c)
{
	json_decref(c->create.body);
	json_decref(c->warnings);
	json_decref(c->reply);
	free(c);
}

static void on_prepared(void *arg, const struct error *err)
{
	struct creating *c = arg;

	if (err)
		reply_error(c->req, err);
	else
		reply_json(c->req, 201, json_incref(c->reply));
	creating_free(c);
}

static void create(void *arg, json_t *missing)
{
	struct creating *c = arg;
	struct engine *e = api_engine(c->req);
	struct container *made;
	struct error err = { 0 };
	json_t *warnings;

	c->create.missing = missing;
	if (engine_container_create(e, &c->create, &made, &warnings, &err) < 0) {
		on_prepared(c, &err);
		return;
	}
	json_array_extend(warnings, c->warnings);
	c->reply = json_pack("{s:s, s:o}", "Id", made->id, "Warnings", warnings);
	if (!engine_container_prepare(e, made, on_prepared, c))
		on_prepared(c, NULL);
}

void ContainerCreate(struct request *req)
{
	struct creating *c = xnew(struct creating);
	struct error err = { 0 };

	c->req = req;
	c->create.name = request_query(req, "name");
	c->create.platform = versions_query(req, "platform");
	c->warnings = json_array();
	if (!request_json(req))
		error_set_class(&err, ERROR_INVALID, "invalid JSON: EOF");
	else if (decode_json(request_json(req), &schema_container_create, &c->create.body, &err) < 0)
		error_prefix(&err, "invalid JSON");
	else
		versions_request(BODY_CONTAINER_CREATE, c->create.body, request_api_version(req), c->warnings, &err);
	if (err.code)
		on_prepared(c, &err);
	else if (!engine_container_look(api_engine(req), c->create.body, create, c))
		create(c, NULL);
}

/* ---- sizes: ps --size and inspect --size measure on the pool, one after the other ---- */

struct sizing {
	struct request *req;
	json_t *reply;              /* the object, or an array of them */
	struct container **containers;
	size_t n, at;
};

static json_t *sized_object(struct sizing *s)
{
	return json_is_array(s->reply) ? json_array_get(s->reply, s->at) : s->reply;
}

static void size_next(struct sizing *s);

static void on_size(void *arg, int64_t rw, int64_t rootfs, const struct error *err)
{
	struct sizing *s = arg;

	if (!err) {
		json_object_set_new(sized_object(s), "SizeRw", json_integer(rw));
		json_object_set_new(sized_object(s), "SizeRootFs", json_integer(rootfs));
	}
	container_unref(s->containers[s->at++]);
	size_next(s);
}

static void size_next(struct sizing *s)
{
	if (s->at < s->n) {
		engine_container_size(api_engine(s->req), s->containers[s->at], on_size, s);
		return;
	}
	reply_json(s->req, 200, s->reply);
	free(s->containers);
	free(s);
}

void api_reply_sized(struct request *req, json_t *take_reply, struct container **take_containers, size_t n)
{
	struct sizing *s = xmalloc(sizeof(*s));

	*s = (struct sizing){ .req = req, .reply = take_reply, .containers = take_containers, .n = n };
	size_next(s);
}

void ContainerInspect(struct request *req)
{
	struct container *c = api_container(req);
	struct container **one;
	json_t *view;

	if (!c)
		return;
	view = view_container_inspect(api_engine(req), c);
	versions_shape(SHAPE_CONTAINER, view, request_api_version(req));
	if (!request_query_bool(req, "size")) {
		reply_json(req, 200, view);
		return;
	}
	one = xmalloc(sizeof(struct container *));
	one[0] = container_ref(c);
	api_reply_sized(req, view, one, 1);
}

/* ---- operations ---- */

void ContainerStart(struct request *req)
{
	struct container *c = api_container(req);
	const char *checkpoint = request_query(req, "checkpoint"), *length = request_header(req, "Content-Length");
	struct error err = { 0 };

	if (request_header(req, "Transfer-Encoding") || (length && atoll(length) > 7)) /* as long as a member at least */
		error_set_class(&err, ERROR_INVALID,
				"starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24");
	else if (c && checkpoint && *checkpoint)
		error_set_class(&err, ERROR_INVALID, "checkpoint is only supported in experimental mode");
	if (c && err.code) {
		reply_error(req, &err);
		return;
	}
	if (c)
		engine_container_start(api_engine(req), c, api_reply_done, req);
}

/* t absent: the container's own timeout. */
static bool get_timeout(struct request *req, int *ret)
{
	struct error err = { 0 };
	int64_t t;

	if (request_query_int(req, "t", INT_MIN, &t, &err) < 0) {
		reply_error(req, &err);
		return false;
	}
	*ret = t < INT_MIN ? -1 : t > INT_MAX ? INT_MAX : (int)t;
	return true;
}

/* These say which container they were asked for, by the name that was used. */
static void reply_failed(struct request *req, const char *what, const struct error *err)
{
	struct error told;

	if (!err || err->cls == ERROR_NOT_MODIFIED) {
		api_reply_done(req, err);
		return;
	}
	told = *err;
	error_prefix(&told, "%s container%s %s", what, strcmp(what, "Cannot restart") ? ":" : "", request_param(req, "name"));
	reply_error(req, &told);
}

static void on_stopped(void *arg, const struct error *err)
{
	reply_failed(arg, "cannot stop", err);
}

void ContainerStop(struct request *req)
{
	struct container *c = api_container(req);
	int t;

	if (c && get_timeout(req, &t))
		engine_container_stop(api_engine(req), c, versions_query(req, "signal"), t, on_stopped, req);
}

/* Docker forgets what kind of error it was. */
static void on_restarted(void *arg, const struct error *err)
{
	struct error told = { 0 };

	if (err)
		error_set(&told, err->code, "%s", err->message);
	reply_failed(arg, "Cannot restart", err ? &told : NULL);
}

void ContainerRestart(struct request *req)
{
	struct container *c = api_container(req);
	int t;

	if (c && get_timeout(req, &t))
		engine_container_restart(api_engine(req), c, versions_query(req, "signal"), t, on_restarted, req);
}

static void on_killed(void *arg, const struct error *err)
{
	reply_failed(arg, "cannot kill", err);
}

void ContainerKill(struct request *req)
{
	const char *signal = request_query(req, "signal");
	struct container *c = NULL;
	struct error err = { 0 };

	if (signal && *signal && signal_number(signal) < 0) /* asked before whether there is such a container */
		error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else
		containers_find(&api_engine(req)->containers, request_param(req, "name"), &c, &err);
	if (c)
		engine_container_kill(api_engine(req), c, signal, on_killed, req);
	else
		on_killed(req, &err);
}

void ContainerPause(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_container_pause(api_engine(req), c, api_reply_done, req);
}

void ContainerUnpause(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_container_unpause(api_engine(req), c, api_reply_done, req);
}

void ContainerRename(struct request *req)
{
	struct container *c = api_container(req);
	const char *name = request_query(req, "name");
	struct error err = { 0 };

	if (!c)
		return;
	if (engine_container_rename(api_engine(req), c, name ? name : "", &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 204);
}

/* Digits, perhaps after a minus: what moby's parser (httputils.Uint32Value) tells as out of range, not as bad syntax. */
static bool is_number(const char *text)
{
	text += *text == '-';
	return *text && !text[strspn(text, "0123456789")];
}

static bool get_size(struct request *req, const char *key, const char *what, int *ret)
{
	const char *text = request_query(req, key);
	struct error err = { 0 };
	int64_t n = 0;

	text = text ? text : "";
	if (!is_number(text))
		error_set_class(&err, ERROR_INVALID, "invalid resize %s \"%.60s\": invalid syntax", what, text);
	else if (request_query_int(req, key, 0, &n, &err) < 0 || n < 0 || n > UINT32_MAX)
		error_set_class(&err, ERROR_INVALID, "invalid resize %s \"%.60s\": value out of range", what, text);
	*ret = (int)n;
	if (err.code)
		reply_error(req, &err);
	return !err.code;
}

bool api_terminal_size(struct request *req, int *ret_rows, int *ret_cols)
{
	return get_size(req, "h", "height", ret_rows) && get_size(req, "w", "width", ret_cols);
}

void ContainerResize(struct request *req)
{
	struct container *c = api_container(req);
	struct error err = { 0 };
	int rows, cols;

	if (!c || !api_terminal_size(req, &rows, &cols))
		return;
	if (engine_container_resize(api_engine(req), c, rows, cols, &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
}

static void on_removed(void *arg, const struct error *err)
{
	struct error told;

	if (!err) {
		api_reply_done(arg, NULL);
		return;
	}
	told = *err;
	error_prefix(&told, "cannot remove container \"%s\"", request_param(arg, "name"));
	reply_error(arg, &told);
}

void ContainerDelete(struct request *req)
{
	struct container *c = api_container(req);
	const char *name = request_param(req, "name");
	struct error err = { 0 };

	if (!c)
		return;
	if (c->is_removing) {
		error_set_class(&err, ERROR_CONFLICT, "removal of container %.200s is already in progress", name);
	} else if (!request_query_bool(req, "link")) {
		engine_container_remove(api_engine(req), c, request_query_bool(req, "force"),
					request_query_bool(req, "v"), on_removed, req);
		return;
	} else if (engine_container_unlink(api_engine(req), c, name, &err) == 0) {
		reply_empty(req, 204);
		return;
	}
	reply_error(req, &err);
}

/* ---- prune: measured and removed one after the other ---- */

struct pruning {
	struct request *req;
	struct container **containers;
	size_t n, at;
	int64_t bytes, size;
	json_t *removed;
};

static void prune_next(struct pruning *p);

static void on_pruned(void *arg, const struct error *err)
{
	struct pruning *p = arg;

	if (!err) {
		json_array_append_new(p->removed, json_string(p->containers[p->at]->id));
		p->bytes += p->size;
	}
	container_unref(p->containers[p->at++]);
	prune_next(p);
}

static void on_prune_size(void *arg, int64_t rw, int64_t rootfs, const struct error *err)
{
	struct pruning *p = arg;

	(void)rootfs;
	p->size = err ? 0 : rw;
	engine_container_remove(api_engine(p->req), p->containers[p->at], false, false, on_pruned, p);
}

static void prune_next(struct pruning *p)
{
	struct engine *e = api_engine(p->req);

	if (p->at < p->n) {
		engine_container_size(e, p->containers[p->at], on_prune_size, p);
		return;
	}
	events_publish(e->events, "container", "prune", "",
		       json_pack("{s:o}", "reclaimed", json_sprintf("%lld", (long long)p->bytes)));
	reply_json(p->req, 200,
		   json_pack("{s:o, s:I}", "ContainersDeleted",
			     json_array_size(p->removed) ? json_incref(p->removed) : json_null(), "SpaceReclaimed",
			     (json_int_t)p->bytes));
	e->is_pruning = false;
	json_decref(p->removed);
	free(p->containers);
	free(p);
}

static bool is_prunable(const struct container *c, json_t *filters, int64_t until)
{
	return (c->state.status == CONTAINER_EXITED || c->state.status == CONTAINER_CREATED || c->state.status == CONTAINER_DEAD) &&
	       !c->is_removing && !c->is_held && (!until || c->created_ns < until) &&
	       filters_labels(filters, json_object_get(c->config, "Labels"));
}

void ContainerPrune(struct request *req)
{
	static const char *const known[] = { "label", "label!", "until", NULL };
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, known, &err);
	struct pruning *p;
	int64_t until = 0;

	if (filters && filters_until(filters, &until, &err) && e->is_pruning)
		error_set_class(&err, ERROR_CONFLICT, "a prune operation is already running");
	if (err.code) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	e->is_pruning = true;
	p = xnew(struct pruning);
	p->req = req;
	p->removed = json_array();
	p->containers = xcalloc(e->containers.ids.n + 1, sizeof(struct container *));
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (is_prunable(c, filters, until))
			p->containers[p->n++] = container_ref(c);
	}
	json_decref(filters);
	prune_next(p);
}
