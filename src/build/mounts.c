#include "build/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/caches.h"
#include "build/copy.h"
#include "build/internal.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const char script_target[] = "/.build-script";

struct one_mount {
	struct run_mount_flag flag;
	char *target;          /* absolute */
	char *root;            /* bind, cache: host path of what `source` is in; NULL: nothing */
	char *upper;           /* bind, rw: where a copy goes */
	char *host_path;       /* what is mounted */
	char *hash;
	struct cache_dir *cache;
};

struct run_mounts {
	uv_work_t work;
	struct build *build;
	struct arena arena;
	struct one_mount *items;
	size_t n, at;
	char *script, *script_path; /* content; host path */
	json_t *list;
	bool is_waiting;
	struct error err;
	void (*looked)(void *arg, const char *told, const struct error *err);
	void (*ready)(void *arg, const struct error *err);
	void *arg;
};

/* ---- flags ---- */

/* What a mount without an answer in this API is: left out, unless it must be. */
static int check_unserved(struct one_mount *o, struct error *err)
{
	const char *what = o->flag.type == RUN_MOUNT_SECRET ? "secret" : "ssh";

	if (!o->flag.is_required)
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "RUN --mount=type=%s: %s is required, but the classic builder's API has no way to send it", what,
			       *o->flag.id     ? o->flag.id :
			       *o->flag.source ? o->flag.source :
						 what);
}

/* The root that `from` names. */
static int find_root(struct run_mounts *m, struct one_mount *o, struct error *err)
{
	struct build *b = m->build;
	const char *from = o->flag.from;
	int stage = *from ? dockerfile_stage_before(b->dockerfile, b->stage, from, true) : -1;
	struct image *i;

	if (!*from && o->flag.type == RUN_MOUNT_BIND)
		o->root = xasprintf("%s/context", b->dir);
	else if (!*from)
		return 0;
	else if (stage >= 0 && !b->stages[stage].is_built)
		return error_set(err, -EINVAL, "stage %.200s was not built", from);
	else if (stage >= 0)
		o->root = build_root(b, b->stages[stage].image_id);
	else if (images_find(b->engine->images, from, &i, err) < 0)
		return err->code;
	else {
		build_hold(b, i->id);
		o->root = build_root(b, i->id);
	}
	return 0;
}

static int read_flag(struct run_mounts *m, const char *text, struct one_mount *o, struct error *err)
{
	struct build *b = m->build;
	struct expand_source source = { step_variable, b };
	const char *cwd = json_string_value(json_object_get(b->config, "WorkingDir"));
	int r = run_mount_parse(&m->arena, text, b->escape, &source, &o->flag, err);

	if (r < 0)
		return r;
	if (o->flag.type == RUN_MOUNT_SECRET || o->flag.type == RUN_MOUNT_SSH)
		return check_unserved(o, err);
	if (!*o->flag.target)
		return error_set_class(err, ERROR_INVALID, "RUN --mount=%.300s: a target is required", text);
	o->target = text_absolute_path(&m->arena, cwd ? cwd : "", o->flag.target);
	if (strcmp(o->target, "/") == 0)
		return error_set_class(err, ERROR_INVALID, "RUN --mount=%.300s: invalid mount target \"/\"", text);
	return find_root(m, o, err);
}

/* ---- on the pool: what is read ---- */

/* The host path of a directory or file of a root, found by the root's own walk: no link is left in it. */
static int resolve(struct rootfs *fs, const char *root, const char *path, char **ret)
{
	char real[BUILD_PATH_MAX];
	struct rootfs_file f;
	ssize_t n;
	int r = rootfs_open(fs, NULL, NULL, path, O_PATH | O_CLOEXEC, 0, &f);

	if (r < 0)
		return r;
	n = rootfs_dir_path(f.dir, real, sizeof(real));
	if (n >= 0)
		*ret = xasprintf("%s%s%s%s", root, strcmp(real, "/") ? real : "", *f.name ? "/" : "", f.name);
	rootfs_file_done(&f);
	return n < 0 ? (int)n : 0;
}

static void job_of(struct run_mounts *m, struct one_mount *o, struct copy_job *j)
{
	*j = (struct copy_job){ .name = "RUN", .is_from_image = true, .is_cancelled = &m->build->is_cancelled };
	j->source_root = o->root;
	j->chown = j->chmod = arena_dup(&j->arena, "");
	j->dest = arena_dup(&j->arena, "/");
	words_add(&j->arena, &j->sources, arena_printf(&j->arena, "/%s", o->flag.source));
}

/* Digest and place of what is mounted; what may be written is a copy that is thrown away. */
static int look_at(struct run_mounts *m, struct one_mount *o)
{
	CLEANUP(closep) int fd = -1;
	struct copy_job j;
	struct rootfs *fs;
	char *path;
	int r;

	job_of(m, o, &j);
	r = copy_find(&j);
	if (r == 0)
		o->hash = arena_dup(&m->arena, j.found[0].hash);
	else
		m->err = j.err;
	arena_done(&j.arena);
	if (r < 0 || o->flag.type == RUN_MOUNT_CACHE)
		return r;
	r = context_view(o->root, false, &fs, &fd, &m->err);
	if (r < 0)
		return r;
	path = text_clean_path(&m->arena, arena_printf(&m->arena, "/%s", o->flag.source));
	r = resolve(fs, o->root, path, &o->host_path);
	rootfs_free(fs);
	return r < 0 ? error_set(&m->err, r, "RUN --mount: %.300s: %s", path, error_text(-r)) : 0;
}

static void look(uv_work_t *w)
{
	struct run_mounts *m = container_of(w, struct run_mounts, work);

	for (size_t i = 0; i < m->n && !m->err.code; i++)
		if (m->items[i].root)
			look_at(m, &m->items[i]);
}

static void on_looked(uv_work_t *w, int status)
{
	struct run_mounts *m = container_of(w, struct run_mounts, work);
	struct build *b = m->build;
	char *told = arena_dup(&b->arena, "");

	(void)status;
	for (size_t i = 0; i < b->now.mounts.count; i++)
		told = arena_printf(&b->arena, "%s%s--mount=%s", told, *told ? " " : "", b->now.mounts.items[i]);
	for (size_t i = 0; i < m->n; i++)
		if (m->items[i].hash)
			told = arena_printf(&b->arena, "%s %s", told, m->items[i].hash);
	m->looked(m->arg, told, m->err.code ? &m->err : NULL);
}

static int by_key(const void *x, const void *y)
{
	const struct one_mount *a = x, *b = y;

	return strcmp(*a->flag.id ? a->flag.id : a->target, *b->flag.id ? b->flag.id : b->target);
}

struct run_mounts *run_mounts_new(struct build *b, const char *script,
				  void (*looked)(void *arg, const char *told, const struct error *err), void *arg)
{
	struct run_mounts *m = xnew(struct run_mounts);

	m->build = b;
	m->looked = looked;
	m->arg = arg;
	m->list = json_array();
	m->script = xstrdup(script);
	m->items = arena_alloc(&m->arena, (b->now.mounts.count + 1) * sizeof(*m->items));
	for (size_t i = 0; i < b->now.mounts.count && !m->err.code; i++) {
		struct one_mount *o = &m->items[m->n];

		if (read_flag(m, b->now.mounts.items[i], o, &m->err) == 0 && o->target)
			m->n++;
	}
	if (m->n)
		qsort(m->items, m->n, sizeof(*m->items), by_key);
	uv_queue_work(b->engine->loop, &m->work, look, on_looked);
	return m;
}

/* ---- before the container ---- */

static json_t *view(const struct one_mount *o)
{
	json_t *v = json_pack("{s:s, s:s, s:b}", "Type", o->flag.type == RUN_MOUNT_TMPFS ? "tmpfs" : "bind", "Target",
			      o->target, "ReadOnly", o->flag.is_readonly && !o->upper);

	if (o->flag.type != RUN_MOUNT_TMPFS)
		json_object_set_new(v, "Source", json_string(o->host_path));
	else if (o->flag.size_bytes > 0)
		json_object_set_new(v, "TmpfsOptions", json_pack("{s:I}", "SizeBytes", (json_int_t)o->flag.size_bytes));
	return v;
}

/* A copy of the source in `upper`, which is empty. */
static int copy_to(struct run_mounts *m, struct one_mount *o, const char *upper)
{
	struct copy_job j;
	int r;

	job_of(m, o, &j);
	j.below = build_root(m->build, NULL);
	j.upper = xstrdup(upper);
	r = copy_find(&j);
	if (r == 0)
		r = copy_files(&j);
	if (r < 0)
		m->err = j.err;
	else if (!j.found[0].is_dir && o->flag.type == RUN_MOUNT_BIND) {
		free(o->host_path);
		o->host_path = xasprintf("%s/%s", upper, j.found[0].name);
	}
	free(j.below);
	free(j.upper);
	arena_done(&j.arena);
	return r;
}

static int own_cache(struct run_mounts *m, struct one_mount *o)
{
	CLEANUP(closep) int fd = -1;
	struct rootfs *fs;
	int r = context_view(o->host_path, true, &fs, &fd, &m->err);

	if (r < 0)
		return r;
	if (o->flag.uid > 0 || o->flag.gid > 0)
		rootfs_chown(fs, NULL, NULL, "/", o->flag.uid > 0 ? (uint32_t)o->flag.uid : 0,
			     o->flag.gid > 0 ? (uint32_t)o->flag.gid : 0, 0);
	rootfs_chmod(fs, NULL, NULL, "/", o->flag.mode >= 0 ? (uint32_t)o->flag.mode & 07777 : 0755, 0);
	rootfs_free(fs);
	return 0;
}

static void fill_cache(struct run_mounts *m, struct one_mount *o)
{
	int r = cache_make(o->cache);

	if (r < 0)
		error_set(&m->err, r, "no directory for the cache: %s", strerror(-r));
	else if (o->cache->is_new && (!o->root || copy_to(m, o, o->host_path) == 0))
		own_cache(m, o);
}

static int write_script(struct run_mounts *m)
{
	size_t len = strlen(m->script);
	CLEANUP(closep) int fd = open(m->script_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || fchmod(fd, 0755) < 0 || write(fd, m->script, len) != (ssize_t)len)
		return error_set(&m->err, errno ? -errno : -EIO, "the here document cannot be written: %s", strerror(errno));
	return 0;
}

static void fill(uv_work_t *w)
{
	struct run_mounts *m = container_of(w, struct run_mounts, work);

	if (m->script)
		write_script(m);
	for (size_t i = 0; i < m->n && !m->err.code; i++) {
		struct one_mount *o = &m->items[i];

		if (o->upper && build_make_upper(o->upper, &m->err) == 0)
			copy_to(m, o, o->upper);
		else if (o->cache)
			fill_cache(m, o);
	}
}

static void on_filled(uv_work_t *w, int status)
{
	struct run_mounts *m = container_of(w, struct run_mounts, work);

	(void)status;
	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(m->list, view(&m->items[i]));
	if (m->script)
		json_array_append_new(m->list, json_pack("{s:s, s:s, s:s, s:b}", "Type", "bind", "Source",
							 m->script_path, "Target", script_target, "ReadOnly", 1));
	m->ready(m->arg, m->err.code ? &m->err : NULL);
}

static const char *cache_key(const struct one_mount *o)
{
	return *o->flag.id ? o->flag.id : o->target;
}

/* The step has it already, at another place. */
static bool share_own(struct run_mounts *m, struct one_mount *o)
{
	for (size_t i = 0; i < m->at; i++) {
		if (!m->items[i].cache || strcmp(cache_key(&m->items[i]), cache_key(o)) != 0)
			continue;
		o->host_path = xstrdup(m->items[i].host_path);
		return true;
	}
	return false;
}

/* The caches one after the other: whoever waits for one holds those before it, all steps in the same order (by_key). */
static void take_caches(void *arg)
{
	struct run_mounts *m = arg;
	struct build *b = m->build;

	m->is_waiting = false;
	for (; m->at < m->n; m->at++) {
		struct one_mount *o = &m->items[m->at];

		if (o->flag.type == RUN_MOUNT_BIND && !o->flag.is_readonly) {
			o->upper = build_new_upper(b);
			free(o->host_path);
			o->host_path = xstrdup(o->upper);
		}
		if (o->flag.type != RUN_MOUNT_CACHE)
			continue;
		if (share_own(m, o))
			continue;
		o->cache = cache_take(builder_of(b->engine)->caches, cache_key(o), o->flag.sharing, take_caches, m);
		if (!o->cache) {
			m->is_waiting = true;
			return;
		}
		o->host_path = xstrdup(o->cache->path);
	}
	uv_queue_work(b->engine->loop, &m->work, fill, on_filled);
}

void run_mounts_prepare(struct run_mounts *m, void (*ready)(void *arg, const struct error *err))
{
	m->ready = ready;
	if (m->script)
		m->script_path = xasprintf("%s/script-%u", m->build->dir, ++m->build->nuppers);
	take_caches(m);
}

json_t *run_mounts_list(const struct run_mounts *m)
{
	return m->list;
}

const char *run_mounts_script(const struct run_mounts *m)
{
	return m->script ? script_target : NULL;
}

int run_mounts_waits(const struct run_mounts *m)
{
	return m->is_waiting;
}

void run_mounts_free(struct run_mounts *m)
{
	if (!m)
		return;
	if (m->is_waiting)
		cache_stop_waiting(builder_of(m->build->engine)->caches, m);
	for (size_t i = 0; i < m->build->now.mounts.count; i++) {
		struct one_mount *o = &m->items[i];

		if (o->cache)
			cache_give_back(builder_of(m->build->engine)->caches, o->cache);
		free(o->root);
		free(o->upper);
		free(o->host_path);
	}
	free(m->script);
	free(m->script_path);
	json_decref(m->list);
	arena_done(&m->arena);
	free(m);
}
