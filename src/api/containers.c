/* Handlers of /containers that answer with one reply. */
#include <limits.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "api/filters.h"
#include "image/images.h"
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

static const struct container *as_container(const void *object) { return object; }
static bool match_id(const void *o, const char *v) { return strncmp(as_container(o)->id, v, strlen(v)) == 0; }
static bool match_status(const void *o, const char *v) { return strcmp(container_status_name(as_container(o)->state.status), v) == 0; }
static bool match_exited(const void *o, const char *v) { return as_container(o)->state.status == CONTAINER_EXITED && as_container(o)->state.exit_code == atoi(v); }

/* The name filter is an expression over "/name". */
static bool match_name(const void *o, const char *v)
{
	CLEANUP(freep) char *name = xasprintf("/%s", as_container(o)->name);
	regex_t expression;
	bool is_match;

	if (regcomp(&expression, v, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	is_match = regexec(&expression, name, 0, NULL, 0) == 0 || regexec(&expression, name + 1, 0, NULL, 0) == 0;
	regfree(&expression);
	return is_match;
}

static bool match_volume(const void *o, const char *v)
{
	const struct container *c = o;

	for (size_t i = 0; i < c->nmounts; i++)
		if (strcmp(c->mounts[i].destination, v) == 0 || (c->mounts[i].name && strcmp(c->mounts[i].name, v) == 0))
			return true;
	return false;
}

static bool match_network(const void *o, const char *v)
{
	const char *mode = json_string_value(json_object_get(as_container(o)->host_config, "NetworkMode"));

	if (!mode || !*mode || strcmp(mode, "default") == 0)
		mode = "bridge";
	return strcmp(mode, v) == 0;
}

static bool match_health(const void *o, const char *v) { (void)o; return strcmp(v, "none") == 0; }
static bool match_task(const void *o, const char *v) { (void)o; return strcmp(v, "false") == 0 || strcmp(v, "0") == 0; }

struct ancestor { struct engine *engine; const struct container *container; };

/* By the image's id, whatever name it goes by now; by the name it was made from. */
static bool match_ancestor(const void *o, const char *v)
{
	const struct ancestor *a = o;
	struct image *i;

	if (images_find(a->engine->images, v, &i, NULL) == 0)
		return strcmp(i->id, a->container->image_id) == 0;
	return strcmp(a->container->image_ref, v) == 0;
}

static const char *const list_filters[] = { "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation",
					    "label", "name", "network", "publish", "since", "status", "volume", NULL };

/* before, since: another container's creation. */
static bool is_in_time(struct engine *e, json_t *filters, const struct container *c)
{
	const char *before = json_string_value(json_array_get(json_object_get(filters, "before"), 0));
	const char *since = json_string_value(json_array_get(json_object_get(filters, "since"), 0));
	struct container *other;

	if (before && (containers_find(&e->containers, before, &other, NULL) < 0 || c->created_ns >= other->created_ns))
		return false;
	return !since || (containers_find(&e->containers, since, &other, NULL) == 0 && c->created_ns > other->created_ns);
}

static bool is_listed(struct engine *e, struct container *c, json_t *filters, bool all)
{
	struct ancestor a = { e, c };

	if (!all && !container_is_live(c) && !filters_has(filters, "status") && !filters_has(filters, "exited"))
		return false;
	return filters_any(filters, "id", match_id, c) && filters_any(filters, "name", match_name, c) &&
	       filters_any(filters, "status", match_status, c) && filters_any(filters, "exited", match_exited, c) &&
	       filters_any(filters, "volume", match_volume, c) && filters_any(filters, "network", match_network, c) &&
	       filters_any(filters, "health", match_health, c) && filters_any(filters, "is-task", match_task, c) &&
	       filters_any(filters, "ancestor", match_ancestor, &a) && !filters_has(filters, "publish") &&
	       !filters_has(filters, "expose") && filters_labels(filters, json_object_get(c->config, "Labels")) &&
	       is_in_time(e, filters, c);
}

/* Docker knows these words and no others. */
static bool check_status(json_t *filters, struct error *err)
{
	static const char *const states[] = { "created", "running", "paused", "restarting", "removing", "exited", "dead" };
	json_t *v;
	size_t i, k;

	json_array_foreach(json_object_get(filters, "status"), i, v) {
		for (k = 0; k < ARRAY_SIZE(states) && strcmp(states[k], json_string_value(v)); k++)
			;
		if (k < ARRAY_SIZE(states))
			continue;
		error_set_class(err, ERROR_INVALID, "invalid filter 'status=%.100s'", json_string_value(v));
		return false;
	}
	return true;
}

void ContainerList(struct request *req)
{
	struct engine *e = api_engine(req);
	struct error err = { 0 };
	json_t *filters = filters_parse(req, list_filters, &err), *list = json_array();
	bool all = request_query_bool(req, "all"), is_sized = request_query_bool(req, "size");
	struct container **found = xcalloc(e->containers.count + 1, sizeof(struct container *));
	int64_t limit = -1;
	size_t n = 0;

	if (filters && check_status(filters, &err))
		request_query_int(req, "limit", -1, &limit, &err);
	for (struct list *it = e->containers.by_age.prev; !err.code && it != &e->containers.by_age; it = it->prev) {
		struct container *c = container_of(it, struct container, by_age);

		if (limit > 0 && (int64_t)json_array_size(list) >= limit)
			break;
		if (!is_listed(e, c, filters, all || limit > 0))
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
	const char *name = request_param(req, "name"), *signal = request_query(req, "signal");
	struct container *c;
	struct error err = { 0 };

	if (signal && *signal && signal_number(signal) < 0)
		error_set_class(&err, ERROR_INVALID, "invalid signal: %.100s", signal);
	else if (containers_find(&api_engine(req)->containers, name, &c, &err) < 0)
		error_prefix(&err, "cannot kill container: %s", name);
	if (err.code)
		reply_error(req, &err);
	else
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
	events_publish(e->events, "container", "prune", "", json_pack("{s:o}", "reclaimed", json_sprintf("%lld", (long long)p->bytes)));
	reply_json(p->req, 200, json_pack("{s:o, s:I}", "ContainersDeleted", json_array_size(p->removed) ? json_incref(p->removed) : json_null(),
					  "SpaceReclaimed", (json_int_t)p->bytes));
	json_decref(p->removed);
	free(p->containers);
	free(p);
}

static bool is_prunable(const struct container *c, json_t *filters, int64_t until)
{
	return (c->state.status == CONTAINER_EXITED || c->state.status == CONTAINER_CREATED || c->state.status == CONTAINER_DEAD) &&
	       !c->is_removing && (!until || c->created_ns < until) &&
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

	if (!filters || !filters_until(filters, &until, &err)) {
		json_decref(filters);
		reply_error(req, &err);
		return;
	}
	p = xnew(struct pruning);
	p->req = req;
	p->removed = json_array();
	p->containers = xcalloc(e->containers.count + 1, sizeof(struct container *));
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (is_prunable(c, filters, until))
			p->containers[p->n++] = container_ref(c);
	}
	json_decref(filters);
	prune_next(p);
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
