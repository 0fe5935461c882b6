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
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/sorted.h"

/* In the table is one object for each name. One that is being removed keeps its place until its files are
 * gone, so that nobody makes the name again before, but nobody finds it. */
struct volumes {
	struct engine *engine;
	struct map by_name;
	struct sorted names;
	bool is_pruning;
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

static struct volume *slot(const struct volumes *vs, const char *name)
{
	return map_get(&vs->by_name, name);
}

static struct volume *find(const struct volumes *vs, const char *name)
{
	struct volume *v = slot(vs, name);

	return v && v->is_removing ? v->next : v;
}

static void insert(struct volumes *vs, struct volume *v)
{
	map_put(&vs->by_name, v->name, v);
	sorted_add(&vs->names, v->name);
}

static void take_out(struct volumes *vs, struct volume *v)
{
	sorted_remove(&vs->names, v->name);
	map_remove(&vs->by_name, v->name);
}

static struct volume *volume_new(struct volumes *vs, const char *name)
{
	struct volume *v = xnew(struct volume);

	v->name = xstrdup(name);
	v->mountpoint = volume_data_path(vs->engine, name);
	list_init(&v->held);
	return v;
}

static void volume_free(struct volume *v)
{
	if (!v)
		return;
	volume_free(v->next);
	json_decref(v->labels);
	json_decref(v->options);
	free(v->users);
	free(v->name);
	free(v->mountpoint);
	free(v);
}

bool volume_is_anonymous(const struct volume *v)
{
	return json_object_get(v->labels, VOLUME_ANONYMOUS_LABEL) != NULL;
}

static int load(void *arg, const char *id, json_t *o)
{
	struct volumes *vs = arg;
	struct volume *v = volume_new(vs, id);

	v->labels = json_incref(json_object_get(o, "labels"));
	v->options = json_incref(json_object_get(o, "options"));
	v->created_ns = json_integer_value(json_object_get(o, "created"));
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
	map_init(&vs->by_name);
	if (r == 0)
		r = store_load(e->store, "volume", load, vs, err);
	if (r < 0) {
		volumes_free(vs);
		return r;
	}
	*ret = e->volumes = vs;
	list_for_each(it, &e->containers.by_age)
		volumes_enter(e, container_of(it, struct container, by_age), NULL, NULL);
	return 0;
}

void volumes_free(struct volumes *vs)
{
	if (!vs)
		return;
	for (size_t i = 0; i < vs->names.n; i++)
		volume_free(slot(vs, vs->names.keys[i]));
	map_done(&vs->by_name);
	sorted_done(&vs->names);
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
	for (size_t at = after ? sorted_position(&vs->names, after->name) + 1 : 0; at < vs->names.n; at++) {
		struct volume *v = slot(vs, vs->names.keys[at]);

		if (v->is_removing)
			v = v->next;
		if (v)
			return v;
	}
	return NULL;
}

static void publish(struct volumes *vs, const char *action, const char *name)
{
	events_publish(vs->engine->events, "volume", action, name, json_pack("{s:s}", "driver", "local"));
}

/* ---- creation ---- */

/* Somebody who waits for a volume's directory. */
struct making {
	uv_work_t work;
	struct list link;        /* in `held` of a volume whose name is still being removed */
	struct volumes *volumes;
	char *path;
	struct error err;
	engine_done done;
	void *arg;
};

static void make_work(uv_work_t *w)
{
	struct making *m = container_of(w, struct making, work);

	volume_make(m->path, &m->err);
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

static void make(struct volumes *vs, struct volume *v, engine_done done, void *arg)
{
	struct making *m = xnew(struct making);
	struct volume *old = slot(vs, v->name);

	m->volumes = vs;
	m->path = xstrdup(v->mountpoint);
	m->done = done;
	m->arg = arg;
	list_init(&m->link);
	if (old && old != v)
		list_append(&v->held, &m->link);
	else
		uv_queue_work(vs->engine->loop, &m->work, make_work, on_made);
}

int volumes_check(struct volumes *vs, const struct volume_create *req, struct error *err)
{
	const char *name = req->name ? req->name : "";
	bool is_known = *name && find(vs, name);
	int r = 0;

	if (req->driver && *req->driver && strcmp(req->driver, "local") != 0)
		r = volume_no_driver(req->driver, err);
	else if (!is_known && *name && volume_check_name(name, err) < 0)
		return err ? err->code : -EINVAL;
	else if (!is_known)
		r = volume_options_check(req->options, err);
	if (r < 0)
		error_prefix(err, "create%s%.200s", *name ? " " : "", name);
	return r;
}

/* It is there: its row and its event. */
static void establish(struct volumes *vs, struct volume *v)
{
	json_t *row = json_pack("{s:O*, s:O*, s:I}", "labels", v->labels, "options", v->options, "created",
				(json_int_t)v->created_ns);

	store_put(vs->engine->store, "volume", v->name, row);
	json_decref(row);
	publish(vs, "create", v->name);
}

static struct volume *create(struct volumes *vs, const char *name, const struct volume_create *req, bool is_anonymous)
{
	struct volume *v = volume_new(vs, name), *old = slot(vs, name);

	v->labels = is_anonymous && req->labels ? json_copy(req->labels) :
		    is_anonymous                ? json_object() :
						  json_incref(req->labels);
	if (is_anonymous)
		json_object_set_new(v->labels, VOLUME_ANONYMOUS_LABEL, json_string(""));
	v->options = json_incref(req->options);
	v->created_ns = clock_wall_ns();
	if (old) {
		old->next = v;
		return v;
	}
	insert(vs, v);
	establish(vs, v);
	return v;
}

int volumes_create(struct volumes *vs, const struct volume_create *req, struct volume **ret, engine_done done,
		   void *arg, struct error *err)
{
	bool is_anonymous = !req->name || !*req->name;
	char id[ID_LEN + 1];
	struct volume *v;
	int r = volumes_check(vs, req, err);

	if (r < 0)
		return r;
	if (is_anonymous)
		id_generate(id);
	v = is_anonymous ? NULL : find(vs, req->name);
	if (!v)
		v = create(vs, is_anonymous ? id : req->name, req, is_anonymous);
	make(vs, v, done, arg);
	*ret = v;
	return 0;
}

/* ---- users ---- */

static void add_user(struct volume *v, struct container *c)
{
	if (v->nusers == v->size) {
		v->size = v->size ? 2 * v->size : 2;
		v->users = xrealloc(v->users, v->size * sizeof(struct container *));
	}
	v->users[v->nusers++] = c;
}

/* The containers come one after the other, each with all its mounts. */
static bool is_user(const struct volume *v, const struct container *c)
{
	return v->nusers > 0 && v->users[v->nusers - 1] == c;
}

static void remove_user(struct volume *v, const struct container *c)
{
	size_t lo = 0, hi = v->nusers;

	while (lo < hi) { /* they stand in order of age */
		size_t mid = lo + (hi - lo) / 2;

		if (v->users[mid]->age < c->age)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == v->nusers || v->users[lo] != c)
		return;
	v->nusers--;
	memmove(v->users + lo, v->users + lo + 1, (v->nusers - lo) * sizeof(struct container *));
}

/* The options and labels of --mount, which are kept with the container's request. */
static json_t *options_of(const struct container *c, const char *destination)
{
	json_t *m;
	size_t i;

	json_array_foreach(json_object_get(c->host_config, "Mounts"), i, m) {
		CLEANUP(freep) char *target = path_clean(json_string_value(json_object_get(m, "Target")));

		if (target && strcmp(target, destination) == 0)
			return json_object_get(m, "VolumeOptions");
	}
	return NULL;
}

size_t volumes_enter(struct engine *e, struct container *c, engine_done done, void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		bool is_volume = strcmp(m->type, "volume") == 0;
		json_t *said = is_volume ? options_of(c, m->destination) : NULL;
		struct volume_create req = { .name = m->name,
					     .options = json_object_get(json_object_get(said, "DriverConfig"), "Options"),
					     .labels = json_object_get(said, "Labels") };
		struct volume *v = is_volume ? find(e->volumes, m->name) : NULL;

		if (!is_volume || (v && is_user(v, c)))
			continue;
		if (!v)
			v = create(e->volumes, m->name, &req, m->is_anonymous);
		add_user(v, c);
		if (done)
			make(e->volumes, v, done, arg);
		n++;
	}
	return n;
}

void volumes_leave(struct engine *e, struct container *c, bool remove_anonymous)
{
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		struct volume *v = strcmp(m->type, "volume") == 0 ? find(e->volumes, m->name) : NULL;

		if (!v)
			continue;
		remove_user(v, c);
		if (remove_anonymous && m->is_anonymous && v->nusers == 0)
			volumes_remove(e->volumes, v, NULL, NULL);
	}
}

json_t *volume_users(struct engine *e, const char *name)
{
	const struct volume *v = find(e->volumes, name);
	json_t *ids = json_array();

	for (size_t i = 0; v && i < v->nusers; i++)
		json_array_append_new(ids, json_string(v->users[i]->id));
	return ids;
}

/* ---- removal ---- */

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

/* The place goes to the one that was made meanwhile, or closes. */
static void replace(struct volumes *vs, struct volume *v)
{
	struct volume *next = v->next;

	v->next = NULL;
	take_out(vs, v);
	if (next) {
		insert(vs, next);
		establish(vs, next);
		list_for_each_safe(it, &next->held) {
			struct making *m = container_of(it, struct making, link);

			list_remove(it);
			uv_queue_work(vs->engine->loop, &m->work, make_work, on_made);
		}
	}
	volume_free(v);
}

static void on_removed(uv_work_t *w, int status)
{
	struct removing *rm = container_of(w, struct removing, work);

	(void)status;
	store_delete(rm->volumes->engine->store, "volume", rm->volume->name);
	publish(rm->volumes, "destroy", rm->volume->name);
	replace(rm->volumes, rm->volume);
	if (rm->done)
		rm->done(rm->arg, NULL);
	free(rm);
}

/* All that fit into the message. */
static void tell_users(const struct volume *v, struct error *err)
{
	struct buf ids;

	buf_init(&ids, 700);
	for (size_t i = 0; i < v->nusers && ids.len + ID_LEN + 2 < 650; i++)
		buf_printf(&ids, "%s%s", i ? ", " : "", v->users[i]->id);
	buf_append(&ids, "", 1);
	error_set_class(err, ERROR_CONFLICT, "remove %.200s: volume is in use - [%s]", v->name, ids.data);
	buf_done(&ids);
}

void volumes_remove(struct volumes *vs, struct volume *v, engine_done done, void *arg)
{
	struct error err = { 0 };
	struct removing *rm;

	if (v->nusers > 0)
		tell_users(v, &err);
	else if (slot(vs, v->name) != v) /* made again while the old one goes: a moment */
		error_set_class(&err, ERROR_CONFLICT, "remove %.200s: the volume is being removed", v->name);
	if (err.code) {
		if (done)
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

bool volumes_prune_begin(struct volumes *vs)
{
	bool is_free = !vs->is_pruning;

	vs->is_pruning = true;
	return is_free;
}

void volumes_prune_end(struct volumes *vs)
{
	vs->is_pruning = false;
}

/* ---- where the files are ---- */

/* Somebody else has it mounted. */
static bool is_mounted(const struct volume *v, const struct container *except)
{
	for (size_t i = 0; i < v->nusers; i++) {
		struct container *c = v->users[i];

		if (c != except && (container_has_process(c) || crun_is_starting(c)))
			return true;
	}
	return false;
}

static void back_volume(struct engine *e, struct volume *v, const struct container *c, struct mount_backing *b)
{
	struct volume_options o;

	volume_options_read(v->options, &o);
	b->is_readonly = o.is_readonly;
	b->errnum = o.errnum;
	if (o.kind != VOLUME_PLAIN) {
		b->mountpoint = xstrdup(v->mountpoint);
		b->attempt = volume_options_print(v->options, v->mountpoint);
	}
	switch (o.kind) {
	case VOLUME_BIND:
		b->is_bind = true;
		b->path = xstrdup(o.device);
		break;
	case VOLUME_TMPFS:
		/* What nobody has mounted is empty when the next one comes. */
		if (!v->generation || !(container_has_process(c) || is_mounted(v, c)))
			v->generation = clock_wall_ns();
		b->is_tmpfs = true;
		b->tmpfs = o.tmpfs;
		b->path = xasprintf("%s/volumes/%s/tmpfs.%lld", e->options.data_root, v->name, (long long)v->generation);
		break;
	default: b->path = xstrdup(v->mountpoint);
	}
}

struct mount_backing *mount_backings_new(struct engine *e, const struct container *c)
{
	struct mount_backing *list = xcalloc(c->nmounts ? c->nmounts : 1, sizeof(*list));

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		struct volume *v = strcmp(m->type, "volume") == 0 ? find(e->volumes, m->name) : NULL;
		struct image *image;

		list[i].wants_copy = m->wants_copy;
		if (v)
			back_volume(e, v, c, &list[i]);
		else if (m->image_id && images_find(e->images, m->image_id, &image, NULL) == 0)
			list[i].path = xstrdup(image_root(e->images, image));
		else
			list[i].path = xstrdup(m->source);
	}
	return list;
}

void mount_backings_free(struct mount_backing *b, size_t n)
{
	for (size_t i = 0; b && i < n; i++) {
		free(b[i].path);
		free(b[i].mountpoint);
		free(b[i].attempt);
	}
	free(b);
}
