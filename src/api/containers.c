/* Handlers of /containers that answer with one reply. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "util/alloc.h"
#include "util/cleanup.h"

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

void ContainerCreate(struct request *req)
{
	struct container_create create = { .name = request_query(req, "name"), .platform = request_query(req, "platform"),
					   .body = request_json(req), .api_version = request_api_version(req) };
	struct container *c;
	json_t *warnings;
	struct error err = { 0 };

	if (!create.body) {
		error_set_class(&err, ERROR_INVALID, "invalid JSON: got EOF while reading request body");
		reply_error(req, &err);
		return;
	}
	if (engine_container_create(api_engine(req), &create, &c, &warnings, &err) < 0) {
		reply_error(req, &err);
		return;
	}
	reply_json(req, 201, json_pack("{s:s, s:o}", "Id", c->id, "Warnings", warnings));
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

/* Takes both; the containers' references too. */
static void reply_sized(struct request *req, json_t *take_reply, struct container **take_containers, size_t n)
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
	if (!request_query_bool(req, "size")) {
		reply_json(req, 200, view);
		return;
	}
	one = xmalloc(sizeof(struct container *));
	one[0] = container_ref(c);
	reply_sized(req, view, one, 1);
}

/* ---- list ---- */

/* Filters come as {"key": ["a"]} or {"key": {"a": true}}. */
static bool filter_has(json_t *filters, const char *key, bool (*match)(struct container *c, const char *value),
		       struct container *c)
{
	json_t *f = json_object_get(filters, key), *v;
	const char *name;
	size_t i;

	if (!f)
		return true;
	json_array_foreach(f, i, v)
		if (json_is_string(v) && match(c, json_string_value(v)))
			return true;
	if (json_is_object(f))
		json_object_foreach(f, name, v)
			if (match(c, name))
				return true;
	return false;
}

static bool match_id(struct container *c, const char *v) { return strncmp(c->id, v, strlen(v)) == 0; }
static bool match_name(struct container *c, const char *v) { return strstr(c->name, v[0] == '/' || v[0] == '^' ? v + 1 : v); }
static bool match_status(struct container *c, const char *v) { return strcmp(container_status_name(c->state.status), v) == 0; }
static bool match_ancestor(struct container *c, const char *v) { return strncmp(c->image_ref, v, strlen(v)) == 0; }

static bool match_label(struct container *c, const char *v)
{
	CLEANUP(freep) char *key = xstrdup(v);
	char *eq = strchr(key, '=');
	const char *have;

	if (eq)
		*eq++ = '\0';
	have = json_string_value(json_object_get(json_object_get(c->config, "Labels"), key));
	return have && (!eq || strcmp(have, eq) == 0);
}

static bool is_listed(struct container *c, json_t *filters, bool all)
{
	bool is_live = c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;

	if (!all && !is_live && !json_object_get(filters, "status"))
		return false;
	return filter_has(filters, "id", match_id, c) && filter_has(filters, "name", match_name, c) &&
	       filter_has(filters, "status", match_status, c) && filter_has(filters, "label", match_label, c) &&
	       filter_has(filters, "ancestor", match_ancestor, c);
}

void ContainerList(struct request *req)
{
	struct engine *e = api_engine(req);
	const char *text = request_query(req, "filters");
	json_t *filters = text && *text ? json_loads(text, 0, NULL) : json_object(), *list = json_array();
	bool all = request_query_bool(req, "all"), is_sized = request_query_bool(req, "size");
	struct container **found = xcalloc(e->containers.count + 1, sizeof(struct container *));
	int64_t limit = -1;
	size_t n = 0;
	struct error err = { 0 };

	if (!json_is_object(filters))
		error_set_class(&err, ERROR_INVALID, "invalid filter");
	else
		request_query_int(req, "limit", -1, &limit, &err);
	for (struct list *it = e->containers.by_age.prev; !err.code && it != &e->containers.by_age; it = it->prev) {
		struct container *c = container_of(it, struct container, by_age);

		if (limit > 0 && (int64_t)json_array_size(list) >= limit)
			break;
		if (!is_listed(c, filters, all || limit > 0))
			continue;
		json_array_append_new(list, view_container_summary(e, c, request_api_version(req)));
		if (is_sized)
			found[n++] = container_ref(c);
	}
	json_decref(filters);
	if (!err.code) {
		reply_sized(req, list, found, n);
		return;
	}
	free(found);
	json_decref(list);
	reply_error(req, &err);
}

/* ---- operations ---- */

void ContainerStart(struct request *req)
{
	struct container *c = api_container(req);

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
	*ret = t < INT_MIN || t > INT_MAX ? INT_MAX : (int)t;
	return true;
}

void ContainerStop(struct request *req)
{
	struct container *c = api_container(req);
	int t;

	if (c && get_timeout(req, &t))
		engine_container_stop(api_engine(req), c, request_query(req, "signal"), t, api_reply_done, req);
}

void ContainerRestart(struct request *req)
{
	struct container *c = api_container(req);
	int t;

	if (c && get_timeout(req, &t))
		engine_container_restart(api_engine(req), c, request_query(req, "signal"), t, api_reply_done, req);
}

void ContainerKill(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_container_kill(api_engine(req), c, request_query(req, "signal"), api_reply_done, req);
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

void ContainerResize(struct request *req)
{
	struct container *c = api_container(req);
	struct error err = { 0 };
	int64_t h, w;

	if (!c)
		return;
	if (request_query_int(req, "h", 0, &h, &err) < 0 || request_query_int(req, "w", 0, &w, &err) < 0 ||
	    engine_container_resize(api_engine(req), c, (int)h, (int)w, &err) < 0)
		reply_error(req, &err);
	else
		reply_empty(req, 200);
}

void ContainerDelete(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_container_remove(api_engine(req), c, request_query_bool(req, "force"), request_query_bool(req, "v"),
					api_reply_done, req);
}

void ContainerPrune(struct request *req)
{
	struct engine *e = api_engine(req);
	json_t *ids = json_array();

	list_for_each_safe(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (c->state.status != CONTAINER_EXITED && c->state.status != CONTAINER_CREATED && c->state.status != CONTAINER_DEAD)
			continue;
		if (c->is_removing)
			continue;
		json_array_append_new(ids, json_string(c->id));
		engine_container_remove(e, c, false, false, NULL, NULL);
	}
	reply_json(req, 200, json_pack("{s:o, s:i}", "ContainersDeleted", ids, "SpaceReclaimed", 0));
}

/* ---- top ---- */

static void on_top(void *arg, const struct process_info *rows, size_t n, const struct error *err)
{
	struct request *req = arg;
	json_t *processes = json_array();

	if (err) {
		json_decref(processes);
		reply_error(req, err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct process_info *p = &rows[i];
		time_t t = (time_t)(p->start_ns / 1000000000u);
		unsigned long s = p->cpu_ns / 1000000000u;
		char when[16], uid[16], pid[16], ppid[16], cpu[32];
		struct tm tm;

		strftime(when, sizeof(when), "%H:%M", localtime_r(&t, &tm));
		snprintf(uid, sizeof(uid), "%u", p->uid);
		snprintf(pid, sizeof(pid), "%u", p->host_pid);
		snprintf(ppid, sizeof(ppid), "%u", p->ppid);
		snprintf(cpu, sizeof(cpu), "%02lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
		json_array_append_new(processes, json_pack("[s, s, s, s, s, s, s, s]", p->uid ? uid : "root", pid, ppid, "0", when,
							   p->tty ? "pts/0" : "?", cpu, p->command));
	}
	reply_json(req, 200, json_pack("{s:[s, s, s, s, s, s, s, s], s:o}", "Titles", "UID", "PID", "PPID", "C", "STIME", "TTY",
				       "TIME", "CMD", "Processes", processes));
}

void ContainerTop(struct request *req)
{
	struct container *c = api_container(req);
	struct error err = { 0 };

	if (c && engine_top(api_engine(req), c, on_top, req, &err) < 0)
		reply_error(req, &err);
}
