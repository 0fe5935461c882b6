#include "build/caches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/engine.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/id.h"

struct caches {
	struct engine *engine;
	char *dir;
	struct list all;
	unsigned long long nrecords; /* written: no two have the same temporary name */
};

struct waiter {
	struct list link;
	void (*ready)(void *arg);
	void *arg;
};

/* ---- records ---- */

static char *record_path(const char *dir)
{
	return xasprintf("%s/record.json", dir);
}

static json_t *record_of(const struct cache_dir *c)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "key", c->key, "created", (json_int_t)c->created_ns, "used",
			 (json_int_t)c->used_ns, "bytes", (json_int_t)c->bytes, "uses", (json_int_t)c->uses);
}

static struct cache_dir *add(struct caches *cs, const char *key, const char *name, const char *dir)
{
	struct cache_dir *c = xnew(struct cache_dir);

	c->key = xstrdup(key);
	c->name = xstrdup(name);
	c->dir = xasprintf("%s/%s", cs->dir, dir);
	c->path = xasprintf("%s/data", c->dir);
	c->created_ns = clock_wall_ns();
	list_init(&c->waiters);
	list_append(&cs->all, &c->link);
	return c;
}

static void drop(struct cache_dir *c)
{
	list_remove(&c->link);
	list_for_each_safe(it, &c->waiters)
		free(container_of(it, struct waiter, link));
	free(c->key);
	free(c->name);
	free(c->dir);
	free(c->path);
	free(c);
}

/* What has no record was never given back, or was being removed. */
static void load(struct caches *cs, int dir_fd, const char *dir)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s/record.json", cs->dir, dir);
	CLEANUP(freep) char *name = xstrndup(dir, strcspn(dir, "."));
	json_t *o = json_load_file(path, 0, NULL);
	const char *key = json_string_value(json_object_get(o, "key"));
	struct cache_dir *c;

	if (!key) {
		rootfs_remove_tree(dir_fd, dir);
		json_decref(o);
		return;
	}
	c = add(cs, key, name, dir);
	c->created_ns = json_integer_value(json_object_get(o, "created"));
	c->used_ns = json_integer_value(json_object_get(o, "used"));
	c->bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes"));
	c->uses = (uint64_t)json_integer_value(json_object_get(o, "uses"));
	json_decref(o);
}

struct caches *caches_open(struct engine *e)
{
	struct caches *cs = xnew(struct caches);
	struct dirent *entry;
	DIR *d;

	cs->engine = e;
	cs->dir = xasprintf("%s/build-cache", e->options.data_root);
	list_init(&cs->all);
	mkdir(cs->dir, 0700);
	d = opendir(cs->dir);
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			load(cs, dirfd(d), entry->d_name);
	if (d)
		closedir(d);
	return cs;
}

void caches_free(struct caches *cs)
{
	if (!cs)
		return;
	list_for_each_safe(it, &cs->all)
		drop(container_of(it, struct cache_dir, link));
	free(cs->dir);
	free(cs);
}

/* ---- use ---- */

static struct cache_dir *find(struct caches *cs, const char *name)
{
	list_for_each(it, &cs->all) {
		struct cache_dir *c = container_of(it, struct cache_dir, link);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static struct cache_dir *find_or_make(struct caches *cs, const char *key, const char *name)
{
	struct cache_dir *c = find(cs, name);
	CLEANUP(freep) char *dir = NULL;
	char id[ID_LEN + 1];

	if (c)
		return c;
	id_generate(id);
	dir = xasprintf("%s.%.16s", name, id);
	c = add(cs, key, name, dir);
	c->is_new = true;
	return c;
}

int cache_make(const struct cache_dir *c)
{
	if ((mkdir(c->dir, 0700) < 0 && errno != EEXIST) || (mkdir(c->path, 0755) < 0 && errno != EEXIST))
		return -errno;
	return 0;
}

struct cache_dir *cache_take(struct caches *cs, const char *key, const char *sharing, void (*ready)(void *arg), void *arg)
{
	bool is_private = strcmp(sharing, "private") == 0, is_locked = strcmp(sharing, "locked") == 0;
	char digest[DIGEST_LEN + 1];
	CLEANUP(freep) char *name = NULL;
	struct cache_dir *c;
	struct waiter *w;

	digest_of(key, strlen(key), digest);
	name = xstrdup(digest + 7);
	c = find_or_make(cs, key, name);
	for (unsigned n = 1; is_private && c->users; n++) {
		free(name);
		name = xasprintf("%s-%u", digest + 7, n);
		c = find_or_make(cs, key, name);
	}
	if (c->is_locked || (is_locked && c->users)) {
		w = xnew(struct waiter);
		w->ready = ready;
		w->arg = arg;
		list_append(&c->waiters, &w->link);
		return NULL;
	}
	c->users++;
	c->uses++;
	c->is_locked = is_locked;
	return c;
}

void cache_stop_waiting(struct caches *cs, void *arg)
{
	list_for_each(it, &cs->all) {
		struct cache_dir *c = container_of(it, struct cache_dir, link);

		list_for_each_safe(at, &c->waiters) {
			struct waiter *w = container_of(at, struct waiter, link);

			if (w->arg != arg)
				continue;
			list_remove(&w->link);
			free(w);
		}
	}
}

struct measuring {
	uv_work_t work;
	struct cache_dir *cache;
	char *dir, *path;
	json_t *record;
	unsigned long long number; /* of the record */
	uint64_t bytes;
};

/* Whole or not at all: without it the next start removes the cache. */
static void write_record(struct measuring *m)
{
	CLEANUP(freep) char *path = record_path(m->dir), *half = xasprintf("%s.%llu", path, m->number);

	json_object_set_new(m->record, "bytes", json_integer((json_int_t)m->bytes));
	if (json_dump_file(m->record, half, JSON_COMPACT) < 0 || rename(half, path) < 0)
		unlink(half);
}

static void measure(uv_work_t *work)
{
	struct measuring *m = container_of(work, struct measuring, work);
	CLEANUP(closep) int fd = open(m->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = fd, .fd = -1 };
	struct rootfs *fs;
	uint64_t total;

	if (fd < 0 || rootfs_new(&mount, 1, &fs) < 0)
		return;
	rootfs_usage(fs, &m->bytes, &total);
	rootfs_free(fs);
	write_record(m);
}

static void on_measured(uv_work_t *work, int status)
{
	struct measuring *m = container_of(work, struct measuring, work);
	struct cache_dir *c = m->cache;

	(void)status;
	c->bytes = m->bytes;
	c->users--;
	json_decref(m->record);
	free(m->dir);
	free(m->path);
	free(m);
	if (!c->is_locked && !list_is_empty(&c->waiters)) {
		struct waiter *w = container_of(c->waiters.next, struct waiter, link);
		void (*ready)(void *arg) = w->ready;
		void *arg = w->arg;

		list_remove(&w->link);
		free(w);
		ready(arg); /* takes it, and wakes the next when it gives it back */
	}
}

void cache_give_back(struct caches *cs, struct cache_dir *c)
{
	struct measuring *m = xnew(struct measuring);

	c->is_locked = false;
	c->is_new = false;
	c->used_ns = clock_wall_ns();
	list_remove(&c->link); /* the one used last is the last */
	list_append(&cs->all, &c->link);
	m->cache = c;
	m->dir = xstrdup(c->dir);
	m->path = xstrdup(c->path);
	m->record = record_of(c);
	m->number = cs->nrecords++;
	uv_queue_work(cs->engine->loop, &m->work, measure, on_measured);
}

/* ---- told, and removed ---- */

void caches_each(struct caches *cs, void (*each)(void *arg, struct cache_dir *c), void *arg)
{
	list_for_each(it, &cs->all)
		each(arg, container_of(it, struct cache_dir, link));
}

struct removing {
	uv_work_t work;
	char *parent, *name;
};

/* The record first: a daemon that is killed in between does not take the rest for a cache. */
static void remove_files(uv_work_t *work)
{
	struct removing *r = container_of(work, struct removing, work);
	CLEANUP(freep) char *dir = xasprintf("%s/%s", r->parent, r->name), *record = record_path(dir);
	CLEANUP(closep) int fd = open(r->parent, O_PATH | O_DIRECTORY | O_CLOEXEC);

	unlink(record);
	if (fd >= 0)
		rootfs_remove_tree(fd, r->name);
}

static void on_files_removed(uv_work_t *work, int status)
{
	struct removing *r = container_of(work, struct removing, work);

	(void)status;
	free(r->parent);
	free(r->name);
	free(r);
}

uint64_t cache_remove(struct caches *cs, struct cache_dir *c)
{
	uint64_t bytes = c->bytes;
	struct removing *r;

	if (c->users || !list_is_empty(&c->waiters))
		return 0;
	r = xnew(struct removing);
	r->parent = xstrdup(cs->dir);
	r->name = xstrdup(strrchr(c->dir, '/') + 1);
	uv_queue_work(cs->engine->loop, &r->work, remove_files, on_files_removed);
	drop(c);
	return bytes;
}
