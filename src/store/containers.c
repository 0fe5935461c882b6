/* Containers, their indexes, and their rows in the store. */
#include "store/containers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#define KIND "container"

static const char *const status_names[] = {
	[CONTAINER_CREATED] = "created",   [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",     [CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_REMOVING] = "removing", [CONTAINER_EXITED] = "exited",
	[CONTAINER_DEAD] = "dead",
};

const char *container_status_name(enum container_status s)
{
	return status_names[s];
}

static const char *const health_names[] = {
	[HEALTH_NONE] = "none",
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};

const char *health_status_name(enum health_status s)
{
	return health_names[s];
}

/* ---- life of one ---- */

struct container *container_new(void)
{
	struct container *c = xnew(struct container);

	list_init(&c->by_age);
	map_init(&c->execs);
	c->refs = 1;
	return c;
}

struct container *container_ref(struct container *c)
{
	c->refs++;
	return c;
}

static void mounts_free(struct container *c)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		struct container_mount *m = &c->mounts[i];

		free(m->type);
		free(m->name);
		free(m->source);
		free(m->destination);
		free(m->driver);
		free(m->mode);
		free(m->propagation);
		free(m->subpath);
		free(m->image_id);
	}
	free(c->mounts);
}

void container_unref(struct container *c)
{
	if (!c || --c->refs > 0)
		return;
	json_decref(c->config);
	json_decref(c->host_config);
	json_decref(c->networking);
	json_decref(c->args);
	free(c->name);
	free(c->image_ref);
	free(c->image_id);
	free(c->platform);
	free(c->path);
	free(c->runtime);
	free(c->route);
	free(c->driver);
	free(c->state.error);
	free(c->traits);
	json_decref(c->state.health.log);
	mounts_free(c);
	map_done(&c->execs);
	free(c);
}

/* ---- rows ---- */

/* json_pack's "s*" and "o*" leave out what is NULL. */
static json_t *mount_to_json(const struct container_mount *m)
{
	return json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:b, s:b, s:I, s:i}", "type",
			 m->type, "name", m->name, "source", m->source, "destination", m->destination, "driver",
			 m->driver, "mode", m->mode, "propagation", m->propagation, "subpath", m->subpath, "image",
			 m->image_id, "rw", m->is_rw, "anonymous", m->is_anonymous, "copy", m->wants_copy, "needs_source",
			 m->needs_source, "size", (json_int_t)m->size_bytes, "tmpfs_mode", (int)m->tmpfs_mode);
}

static json_t *health_to_json(const struct container_health *h)
{
	if (h->status == HEALTH_NONE)
		return NULL;
	return json_pack("{s:s, s:i, s:O*}", "status", health_names[h->status], "streak", (int)h->failing_streak, "log",
			 h->log);
}

static void health_from_json(json_t *o, struct container_health *h)
{
	const char *status = json_string_value(json_object_get(o, "status"));

	for (size_t i = 0; status && i < ARRAY_SIZE(health_names); i++)
		if (strcmp(status, health_names[i]) == 0)
			h->status = (enum health_status)i;
	h->failing_streak = (unsigned)json_integer_value(json_object_get(o, "streak"));
	h->log = json_incref(json_object_get(o, "log"));
}

static json_t *state_to_json(const struct container_state *s)
{
	return json_pack("{s:s, s:b, s:b, s:i, s:I, s:I, s:i, s:s*, s:o*}", "status", status_names[s->status], "oom",
			 s->is_oom_killed, "manual", s->is_manually_stopped, "exit_code", s->exit_code, "started",
			 (json_int_t)s->started_ns, "finished", (json_int_t)s->finished_ns, "restarts",
			 (int)s->restart_count, "error", s->error, "health", health_to_json(&s->health));
}

static json_t *container_to_json(const struct container *c)
{
	json_t *mounts = json_array();

	for (size_t i = 0; i < c->nmounts; i++)
		json_array_append_new(mounts, mount_to_json(&c->mounts[i]));
	return json_pack("{s:s, s:I, s:O*, s:O*, s:O*, s:s*, s:s*, s:s*, s:s*, s:O*, s:s*, s:s*, s:s*, s:o, s:o}",
			 "name", c->name, "created", (json_int_t)c->created_ns, "config", c->config, "host_config",
			 c->host_config, "networking", c->networking, "image_ref", c->image_ref, "image_id",
			 c->image_id, "platform", c->platform, "path", c->path, "args", c->args, "runtime", c->runtime,
			 "route", c->route, "driver", c->driver, "mounts", mounts, "state", state_to_json(&c->state));
}

static char *text_of(json_t *o, const char *key)
{
	return xstrdup(json_string_value(json_object_get(o, key)));
}

static void mount_from_json(json_t *o, struct container_mount *m)
{
	m->type = text_of(o, "type");
	m->name = text_of(o, "name");
	m->source = text_of(o, "source");
	m->destination = text_of(o, "destination");
	m->driver = text_of(o, "driver");
	m->mode = text_of(o, "mode");
	m->propagation = text_of(o, "propagation");
	m->subpath = text_of(o, "subpath");
	m->image_id = text_of(o, "image");
	m->is_rw = json_flag(o, "rw");
	m->is_anonymous = json_flag(o, "anonymous");
	m->wants_copy = json_flag(o, "copy");
	m->needs_source = json_flag(o, "needs_source");
	m->size_bytes = (uint64_t)json_number(o, "size");
	m->tmpfs_mode = (uint32_t)json_number(o, "tmpfs_mode");
}

static void state_from_json(json_t *o, struct container_state *s)
{
	const char *status = json_string_value(json_object_get(o, "status"));

	s->status = CONTAINER_DEAD; /* what a row of a newer version might say */
	for (size_t i = 0; status && i < ARRAY_SIZE(status_names); i++)
		if (strcmp(status, status_names[i]) == 0)
			s->status = (enum container_status)i;
	s->is_oom_killed = json_flag(o, "oom");
	s->is_manually_stopped = json_flag(o, "manual");
	s->exit_code = (int)json_number(o, "exit_code");
	s->started_ns = json_number(o, "started");
	s->finished_ns = json_number(o, "finished");
	s->restart_count = (unsigned)json_number(o, "restarts");
	s->error = text_of(o, "error");
	health_from_json(json_object_get(o, "health"), &s->health);
}

static struct container *container_from_json(const char *id, json_t *o)
{
	struct container *c = container_new();
	json_t *mounts = json_object_get(o, "mounts");

	snprintf(c->id, sizeof(c->id), "%s", id);
	c->name = text_of(o, "name");
	c->created_ns = json_number(o, "created");
	c->config = json_incref(json_object_get(o, "config"));
	c->host_config = json_incref(json_object_get(o, "host_config"));
	c->networking = json_incref(json_object_get(o, "networking"));
	c->image_ref = text_of(o, "image_ref");
	c->image_id = text_of(o, "image_id");
	c->platform = text_of(o, "platform");
	c->path = text_of(o, "path");
	c->args = json_incref(json_object_get(o, "args"));
	c->runtime = text_of(o, "runtime");
	c->route = text_of(o, "route");
	c->driver = text_of(o, "driver");
	c->nmounts = json_array_size(mounts);
	c->mounts = xcalloc(c->nmounts ? c->nmounts : 1, sizeof(*c->mounts));
	for (size_t i = 0; i < c->nmounts; i++)
		mount_from_json(json_array_get(mounts, i), &c->mounts[i]);
	state_from_json(json_object_get(o, "state"), &c->state);
	return c;
}

void containers_save(struct containers *cs, struct container *c)
{
	json_t *row;

	if (c->is_gone)
		return;
	narrow_update(cs, c);
	row = container_to_json(c);
	store_put(cs->store, KIND, c->id, row);
	json_decref(row);
}

/* ---- indexes ---- */

static void enter(struct containers *cs, struct container *c)
{
	sorted_add(&cs->ids, c->id);
	map_put(&cs->by_id, c->id, c);
	map_put(&cs->by_name, c->name, c);
	list_append(&cs->by_age, &c->by_age);
	c->age = cs->next_age++;
	narrow_add(cs, c);
}

static void leave(struct containers *cs, struct container *c)
{
	links_leave(cs, c);
	sorted_remove(&cs->ids, c->id);
	map_remove(&cs->by_id, c->id);
	map_remove(&cs->by_name, c->name);
	list_remove(&c->by_age);
	narrow_remove(cs, c);
}

static int load_one(void *arg, const char *id, json_t *value)
{
	struct container *c = container_from_json(id, value);

	if (!c->name || !c->config || !c->host_config) {
		container_unref(c);
		return -EBADMSG;
	}
	enter(arg, c);
	return 0;
}

int containers_init(struct containers *cs, struct store *store, struct error *err)
{
	int r;

	memset(cs, 0, sizeof(*cs));
	cs->store = store;
	list_init(&cs->by_age);
	map_init(&cs->by_id);
	map_init(&cs->by_name);
	index_init(&cs->by_label);
	index_init(&cs->by_part);
	index_init(&cs->by_life);
	index_init(&cs->by_trait);
	r = store_load(store, KIND, load_one, cs, err);
	if (r == -EBADMSG)
		error_set(err, r, "state.db: a container's row is damaged");
	if (r < 0)
		containers_done(cs);
	return r;
}

void containers_done(struct containers *cs)
{
	list_for_each_safe(it, &cs->by_age) {
		struct container *c = container_of(it, struct container, by_age);

		links_leave(cs, c);
		list_remove(it);
		c->is_gone = true;
		container_unref(c);
	}
	map_done(&cs->by_id);
	map_done(&cs->by_name);
	index_done(&cs->by_label);
	index_done(&cs->by_part);
	index_done(&cs->by_life);
	index_done(&cs->by_trait);
	sorted_done(&cs->ids);
}

static int find_by_prefix(struct containers *cs, const char *prefix, struct container **ret, struct error *err)
{
	size_t at, n = sorted_matches(&cs->ids, prefix, &at);

	if (n == 0)
		return -ENOENT;
	if (n > 1)
		return error_set_class(err, ERROR_INVALID, "Multiple IDs found with provided prefix: %s", prefix);
	*ret = map_get(&cs->by_id, cs->ids.keys[at]);
	return 0;
}

int containers_find(struct containers *cs, const char *name, struct container **ret, struct error *err)
{
	struct container *c = map_get(&cs->by_id, name);
	int r;

	if (!c)
		c = map_get(&cs->by_name, name[0] == '/' ? name + 1 : name);
	if (c) {
		*ret = c;
		return 0;
	}
	r = find_by_prefix(cs, name, ret, err);
	if (r == -ENOENT)
		return error_set_class(err, ERROR_NOT_FOUND, "No such container: %s", name);
	return r;
}

static int check_name_free(struct containers *cs, const struct container *c, const char *name, struct error *err)
{
	const struct container *other = map_get(&cs->by_name, name);

	if (!other || other == c)
		return 0;
	return error_set_class(err, ERROR_CONFLICT,
			       "Conflict. The container name \"/%s\" is already in use by container \"%s\". "
			       "You have to remove (or rename) that container to be able to reuse that name.",
			       name, other->id);
}

int containers_add(struct containers *cs, struct container *c, struct error *err)
{
	int r = check_name_free(cs, c, c->name, err);

	if (r < 0)
		return r;
	enter(cs, c);
	containers_save(cs, c);
	return 0;
}

int containers_rename(struct containers *cs, struct container *c, const char *name, struct error *err)
{
	int r = check_name_free(cs, c, name, err);

	if (r < 0)
		return r;
	links_give_names(cs, c);
	map_remove(&cs->by_name, c->name);
	narrow_rename(cs, c, name);
	links_take_names(cs, c);
	map_put(&cs->by_name, c->name, c);
	containers_save(cs, c);
	return 0;
}

void containers_remove(struct containers *cs, struct container *c)
{
	if (c->is_gone)
		return;
	leave(cs, c);
	store_delete(cs->store, KIND, c->id);
	c->is_gone = true;
	container_unref(c);
}
