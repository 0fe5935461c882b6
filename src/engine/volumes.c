/* Volumes as objects. What blocks is in volume_files.c. */
#include "engine/volumes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/clock.h"

struct volumes {
	struct engine *engine;
	struct volume **sorted;  /* by name */
	size_t n, size;
};

char *volume_data_path(struct engine *e, const char *name)
{
	return xasprintf("%s/volumes/%s/_data", e->options.data_root, name);
}

int volume_check_name(const char *name, struct error *err)
{
	bool is_good = isalnum((unsigned char)name[0]) && name[1];

	if (strlen(name) == 1)
		return error_set_class(err, ERROR_INVALID,
				       "create %s: volume name is too short, names should be at least two alphanumeric characters",
				       name);
	for (const char *p = name; is_good && *p; p++)
		is_good = isalnum((unsigned char)*p) || *p == '_' || *p == '.' || *p == '-';
	if (is_good && strlen(name) <= 255)
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "create %.200s: \"%.200s\" includes invalid characters for a local volume name, only "
			       "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
			       name, name);
}

int volume_no_driver(const char *driver, struct error *err)
{
	return error_set_class(err, ERROR_NOT_FOUND,
			       "error looking up volume plugin %.100s: plugin \"%.100s\" not found", driver, driver);
}

/* Where a volume is, or would be. */
static size_t position(const struct volumes *vs, const char *name)
{
	size_t lo = 0, hi = vs->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (strcmp(vs->sorted[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct volume *find(const struct volumes *vs, const char *name)
{
	size_t at = position(vs, name);

	return at < vs->n && strcmp(vs->sorted[at]->name, name) == 0 ? vs->sorted[at] : NULL;
}

static void insert(struct volumes *vs, struct volume *v)
{
	size_t at = position(vs, v->name);

	if (vs->n == vs->size) {
		vs->size = vs->size ? 2 * vs->size : 16;
		vs->sorted = xrealloc(vs->sorted, vs->size * sizeof(*vs->sorted));
	}
	memmove(vs->sorted + at + 1, vs->sorted + at, (vs->n - at) * sizeof(*vs->sorted));
	vs->sorted[at] = v;
	vs->n++;
}

static void volume_free(struct volume *v)
{
	json_decref(v->labels);
	json_decref(v->options);
	free(v->name);
	free(v->mountpoint);
	free(v);
}

static void forget(struct volumes *vs, struct volume *v)
{
	size_t at = position(vs, v->name);

	vs->n--;
	memmove(vs->sorted + at, vs->sorted + at + 1, (vs->n - at) * sizeof(*vs->sorted));
	volume_free(v);
}

static int load(void *arg, const char *id, json_t *o)
{
	struct volumes *vs = arg;
	struct volume *v = xnew(struct volume);

	v->name = xstrdup(id);
	v->mountpoint = volume_data_path(vs->engine, id);
	v->labels = json_incref(json_object_get(o, "labels"));
	v->options = json_incref(json_object_get(o, "options"));
	v->created_ns = json_integer_value(json_object_get(o, "created"));
	v->is_anonymous = json_is_true(json_object_get(o, "anonymous"));
	insert(vs, v);
	return 0;
}

int volumes_open(struct engine *e, struct volumes **ret, struct error *err)
{
	struct volumes *vs = xnew(struct volumes);
	char *dir = xasprintf("%s/volumes", e->options.data_root);
	int r = mkdir(dir, 0700) < 0 && errno != EEXIST ? error_set(err, -errno, "%s: %s", dir, strerror(errno)) : 0;

	free(dir);
	vs->engine = e;
	if (r == 0)
		r = store_load(e->store, "volume", load, vs, err);
	if (r < 0) {
		volumes_free(vs);
		return r;
	}
	*ret = vs;
	return 0;
}

void volumes_free(struct volumes *vs)
{
	if (!vs)
		return;
	for (size_t i = 0; i < vs->n; i++)
		volume_free(vs->sorted[i]);
	free(vs->sorted);
	free(vs);
}

int volumes_find(struct volumes *vs, const char *name, struct volume **ret, struct error *err)
{
	struct volume *v = find(vs, name);

	if (!v)
		return error_set_class(err, ERROR_NOT_FOUND, "get %.200s: no such volume", name);
	*ret = v;
	return 0;
}

struct volume *volumes_next(struct volumes *vs, const struct volume *after)
{
	size_t at = after ? position(vs, after->name) + 1 : 0;

	return at < vs->n ? vs->sorted[at] : NULL;
}

static void publish(struct volumes *vs, const char *action, const char *name)
{
	events_publish(vs->engine->events, "volume", action, name, json_pack("{s:s}", "driver", "local"));
}

/* ---- creation ---- */

struct making {
	uv_work_t work;
	struct engine *engine;
	char *path;
	struct error err;
	engine_done done;
	void *arg;
};

static void make_work(uv_work_t *w)
{
	struct making *m = container_of(w, struct making, work);
	int fd = volume_open_data(m->path, NULL, &m->err);

	if (fd >= 0)
		close(fd);
}

static void on_made(uv_work_t *w, int status)
{
	struct making *m = container_of(w, struct making, work);

	(void)status;
	if (m->done)
		m->done(m->arg, m->err.code ? &m->err : NULL);
	free(m->path);
	free(m);
}

static int check_request(const char *name, const char *driver, json_t *options, struct error *err)
{
	const char *key;
	json_t *v;
	int r = name ? volume_check_name(name, err) : 0;

	if (r < 0)
		return r;
	if (driver && *driver && strcmp(driver, "local") != 0) {
		r = volume_no_driver(driver, err);
		error_prefix(err, "create %.100s", name ? name : "");
		return r;
	}
	json_object_foreach(options, key, v)
		return error_set_class(err, ERROR_INVALID,
				       "create %.100s: option \"%.100s\": this engine mounts nothing, so the local driver has no options",
				       name ? name : "", key);
	return 0;
}

int volumes_create(struct volumes *vs, const char *name, const char *driver, json_t *options, json_t *labels,
		   bool is_anonymous, struct volume **ret, engine_done done, void *arg, struct error *err)
{
	struct making *m;
	struct volume *v;
	char id[ID_LEN + 1];
	json_t *row;
	int r = check_request(name, driver, options, err);

	if (r < 0)
		return r;
	v = name ? find(vs, name) : NULL;
	if (!v) {
		if (!name)
			id_generate(id);
		v = xnew(struct volume);
		v->name = xstrdup(name ? name : id);
		v->mountpoint = volume_data_path(vs->engine, v->name);
		v->labels = json_incref(labels);
		v->options = json_incref(options);
		v->created_ns = clock_wall_ns();
		v->is_anonymous = is_anonymous;
		insert(vs, v);
		row = json_pack("{s:O*, s:O*, s:I, s:b}", "labels", labels, "options", options, "created",
				(json_int_t)v->created_ns, "anonymous", is_anonymous);
		store_put(vs->engine->store, "volume", v->name, row);
		json_decref(row);
		publish(vs, "create", v->name);
	}
	m = xnew(struct making);
	m->engine = vs->engine;
	m->path = xstrdup(v->mountpoint);
	m->done = done;
	m->arg = arg;
	uv_queue_work(vs->engine->loop, &m->work, make_work, on_made);
	*ret = v;
	return 0;
}

void volumes_create_of(struct engine *e, struct container *c)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		json_t *labels = m->is_anonymous ? json_pack("{s:s}", "com.docker.volume.anonymous", "") : NULL;
		struct volume *v;

		if (strcmp(m->type, "volume") == 0)
			volumes_create(e->volumes, m->name, NULL, NULL, labels, m->is_anonymous, &v, NULL, NULL, NULL);
		json_decref(labels);
	}
}

/* ---- removal ---- */

json_t *volume_users(struct engine *e, const char *name)
{
	json_t *ids = json_array();

	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		for (size_t i = 0; i < c->nmounts; i++) {
			if (!c->mounts[i].name || strcmp(c->mounts[i].name, name) != 0)
				continue;
			json_array_append_new(ids, json_string(c->id));
			break;
		}
	}
	return ids;
}

struct removing {
	uv_work_t work;
	struct volumes *volumes;
	struct volume *volume;
	engine_done done;
	void *arg;
};

static void remove_work(uv_work_t *w)
{
	struct removing *rm = container_of(w, struct removing, work);
	char *parent = xasprintf("%s/volumes", rm->volumes->engine->options.data_root);
	int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	free(parent);
	if (fd < 0)
		return;
	rootfs_remove_tree(fd, rm->volume->name);
	close(fd);
}

static void on_removed(uv_work_t *w, int status)
{
	struct removing *rm = container_of(w, struct removing, work);

	(void)status;
	store_delete(rm->volumes->engine->store, "volume", rm->volume->name);
	publish(rm->volumes, "destroy", rm->volume->name);
	forget(rm->volumes, rm->volume);
	if (rm->done)
		rm->done(rm->arg, NULL);
	free(rm);
}

void volumes_remove(struct volumes *vs, struct volume *v, engine_done done, void *arg)
{
	json_t *ids = volume_users(vs->engine, v->name);
	struct error err = { 0 };
	struct removing *rm;

	if (json_array_size(ids) > 0)
		error_set_class(&err, ERROR_CONFLICT, "remove %.200s: volume is in use - [%s]", v->name,
				json_string_value(json_array_get(ids, 0)));
	else if (v->is_removing)
		error_set_class(&err, ERROR_CONFLICT, "remove %.200s: the volume is being removed", v->name);
	json_decref(ids);
	if (err.code) {
		engine_later(vs->engine, done, arg, &err);
		return;
	}
	v->is_removing = true;
	rm = xnew(struct removing);
	rm->volumes = vs;
	rm->volume = v;
	rm->done = done;
	rm->arg = arg;
	uv_queue_work(vs->engine->loop, &rm->work, remove_work, on_removed);
}

void volumes_remove_of(struct engine *e, struct container *c)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		struct volume *v = c->mounts[i].is_anonymous ? find(e->volumes, c->mounts[i].name) : NULL;

		if (v)
			volumes_remove(e->volumes, v, NULL, NULL);
	}
}
