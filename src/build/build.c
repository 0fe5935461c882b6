/* A build from its request to its end: what it owns, who may stop it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/caches.h"
#include "build/git.h"
#include "build/internal.h"
#include "build/remote.h"
#include "image/platform.h"
#include "image/reference.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"
#include "util/spool.h"

/* ---- options ---- */

static json_t *copy_json(json_t *v)
{
	return v ? json_deep_copy(v) : NULL;
}

static void copy_options(struct build_options *to, const struct build_options *from)
{
	const char **const texts[] = { &to->dockerfile,  &to->remote,       &to->target,
				       &to->platform,    &to->network_mode, &to->id,
				       &to->cpuset_cpus, &to->cpuset_mems,  &to->cgroup_parent };
	json_t **const values[] = { &to->tags,        &to->args,    &to->labels, &to->cache_from,
				    &to->extra_hosts, &to->ulimits, &to->auths };

	*to = *from;
	if (!to->dockerfile || !*to->dockerfile)
		to->dockerfile = "Dockerfile";
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		*texts[i] = xstrdup(*texts[i] ? *texts[i] : "");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		*values[i] = copy_json(*values[i]);
}

static void free_options(struct build_options *o)
{
	const char *const texts[] = { o->dockerfile, o->remote,      o->target,      o->platform,     o->network_mode,
				      o->id,         o->cpuset_cpus, o->cpuset_mems, o->cgroup_parent };
	json_t *const values[] = { o->tags, o->args, o->labels, o->cache_from, o->extra_hosts, o->ulimits, o->auths };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free((char *)texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		json_decref(values[i]);
}

/* A tag may not be given twice for one name, but harmlessly so; nor by digest. */
static int check_tags(json_t *tags, struct error *err)
{
	struct reference ref;
	json_t *v;
	size_t i;

	json_array_foreach(tags, i, v) {
		const char *text = json_string_value(v);

		if (!text || !*text)
			continue;
		if (reference_parse(text, &ref, err) < 0)
			return err->code;
		if (*ref.digest)
			return error_set_class(err, ERROR_INVALID, "build tag cannot contain a digest");
	}
	return 0;
}

int build_check_platform(const char *text, struct error *err)
{
	struct image_platform p;
	int r = text && *text ? image_platform_parse(text, &p, err) : 0;

	if (r < 0 || !text || !*text)
		return r;
	if (image_platform_matches(&p, &image_platform_ours))
		return 0;
	return error_set_class(err, ERROR_INVALID, "platform %.60s: this engine builds for linux/amd64", text);
}

static int check_options(const struct build_options *o, struct error *err)
{
	int r = check_tags(o->tags, err);

	if (r == 0)
		r = build_check_platform(o->platform, err);
	if (r == 0 && o->squashes)
		r = error_set_class(err, ERROR_INVALID, "squash is only supported with experimental mode");
	return r;
}

/* ---- life ---- */

/* Reproducible times: of the build argument, which no ARG need declare. */
static int64_t epoch_of(json_t *args)
{
	const char *text = json_string_value(json_object_get(args, "SOURCE_DATE_EPOCH"));
	char *end;
	long long v = text ? strtoll(text, &end, 10) : -1;

	return text && *text && !*end && v >= 0 ? v : -1;
}

struct build *build_start(struct engine *e, const struct build_options *opt, const struct build_sink *sink, struct error *err)
{
	struct build *b;
	CLEANUP(freep) char *parent = NULL;
	char id[ID_LEN + 1];

	if (check_options(opt, err) < 0)
		return NULL;
	b = xnew(struct build);
	b->engine = e;
	b->sink = *sink;
	copy_options(&b->options, opt);
	b->downloads = json_object();
	b->held = json_object();
	b->epoch_s = epoch_of(b->options.args);
	build_args_init(&b->args, b->options.args, BUILD_PLATFORM);
	id_generate(id);
	parent = xasprintf("%s/build", e->options.data_root);
	b->dir = xasprintf("%s/%.16s", parent, id);
	mkdir(parent, 0700);
	if (mkdir(b->dir, 0700) < 0)
		error_set(err, -errno, "%s: %s", b->dir, strerror(errno));
	else
		b->spool = spool_new(e->loop, b->dir);
	if (!b->spool) {
		if (!err->code)
			error_set(err, -errno, "no temporary file: %s", strerror(errno));
		free_options(&b->options);
		build_args_done(&b->args);
		json_decref(b->downloads);
		json_decref(b->held);
		free(b->dir);
		free(b);
		return NULL;
	}
	spool_on_drain(b->spool, sink->on_drain, sink->arg);
	list_append(&builder_of(e)->builds, &b->link);
	uv_timer_init(e->loop, &b->tick);
	b->tick.data = b;
	return b;
}

int build_write(struct build *b, const void *data, size_t len)
{
	return spool_write(b->spool, data, len);
}

/* remote=: a context by URL; the body is nothing then. */
static int check_remote(const char *remote, struct error *err)
{
	if (strcmp(remote, "client-session") == 0)
		return error_set_class(
			err, ERROR_INVALID,
			"experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead");
	if (!remote_is_git(remote) && !remote_is_url(remote))
		return error_set(err, -EINVAL, "remoteURL (%.300s) could not be recognized as URL", remote);
	return 0;
}

static void on_context(struct build *b, const struct error *err)
{
	struct error told = { 0 };

	if (!err) {
		context_open(b);
		return;
	}
	told = *err;
	error_prefix(&told, "error downloading remote context %.300s", b->options.remote);
	build_finish(b, &told, 0);
}

/* git tells itself what has failed. */
static void on_checkout(struct build *b, const struct error *err)
{
	if (err)
		build_finish(b, err, 0);
	else
		context_open(b);
}

static void begin_remote(struct build *b)
{
	struct git_source source;
	struct error err = { 0 };

	if (!remote_is_git(b->options.remote)) {
		remote_download(b, b->options.remote, on_context);
		return;
	}
	if (git_source_parse(b->options.remote, &source, &err) < 0) {
		build_finish(b, &err, 0);
		return;
	}
	b->git_dir = xstrdup(source.dir);
	git_fetch_start(b, &source, "git", on_checkout);
	git_source_done(&source);
}

static void on_stored(void *arg, int result)
{
	struct build *b = arg;
	struct error err = { 0 };

	if (result < 0)
		error_set(&err, result, "the context cannot be stored: %s", strerror(-result));
	else if (atomic_load(&b->is_cancelled))
		error_set(&err, -ECANCELED, "Build cancelled");
	if (!err.code && *b->options.remote)
		check_remote(b->options.remote, &err);
	if (err.code)
		build_finish(b, &err, 0);
	else if (*b->options.remote)
		begin_remote(b);
	else
		context_open(b);
}

void build_end(struct build *b, int result)
{
	if (result < 0)
		atomic_store(&b->is_cancelled, true);
	spool_finish(b->spool, on_stored, b);
}

void build_cancel(struct build *b)
{
	if (atomic_exchange(&b->is_cancelled, true))
		return;
	if (b->run)
		run_cancel(b->run);
	if (b->layer_job)
		layer_job_cancel(b->layer_job);
	remote_cancel(b);
	git_fetch_cancel(b->git);
}

void build_cancel_by_id(struct engine *e, const char *id)
{
	list_for_each(it, &builder_of(e)->builds) {
		struct build *b = container_of(it, struct build, link);

		if (strcmp(b->options.id, id) == 0)
			build_cancel(b);
	}
}

/* ---- what it uses ---- */

void build_hold(struct build *b, const char *image_id)
{
	if (!image_id || json_object_get(b->held, image_id))
		return;
	json_object_set_new(b->held, image_id, json_true());
	images_hold(b->engine->images, image_id);
}

void build_set_image(struct build *b, const char *image_id)
{
	char *id = xstrdup(image_id);

	build_hold(b, id);
	free(b->image_id);
	b->image_id = id;
}

static void release_all(struct build *b)
{
	const char *id;
	json_t *v;

	json_object_foreach(b->held, id, v)
		images_release(b->engine->images, id);
	json_object_clear(b->held);
}

/* ---- the end ---- */

struct ending {
	uv_work_t work;
	struct build *build;
	struct error err;
	bool has_failed;
	int exit_code;
};

static void remove_dir(const char *path)
{
	CLEANUP(freep) char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');
	int fd;

	*slash = '\0';
	fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	rootfs_remove_tree(fd, slash + 1);
	close(fd);
}

static void clean_up(uv_work_t *w)
{
	remove_dir(container_of(w, struct ending, work)->build->dir);
}

static void build_free(uv_handle_t *handle)
{
	struct build *b = handle->data;

	for (size_t i = 0; b->stages && i < b->dockerfile->nstages; i++)
		free(b->stages[i].image_id);
	free(b->stages);
	free(b->git_dir);
	free(b->is_needed);
	free(b->image_id);
	free(b->author);
	json_decref(b->config);
	json_decref(b->downloads);
	json_decref(b->held);
	spool_free(b->spool);
	dockerfile_free(b->dockerfile);
	build_args_done(&b->args);
	arena_done(&b->arena);
	free_options(&b->options);
	free(b->dir);
	free(b);
}

static void on_clean(uv_work_t *w, int status)
{
	struct ending *end = container_of(w, struct ending, work);
	struct build *b = end->build;
	struct build_result result = { .image_id = end->has_failed ? NULL : b->image_id, .exit_code = end->exit_code };

	(void)status;
	list_remove(&b->link);
	b->sink.done(b->sink.arg, &result, end->has_failed ? &end->err : NULL);
	free(end);
	uv_close((uv_handle_t *)&b->tick, build_free);
}

static int tag_all(struct build *b, struct error *err)
{
	struct image *i = images_by_id(b->engine->images, b->image_id);
	struct reference ref;
	json_t *v;
	size_t k;

	json_array_foreach(b->options.tags, k, v) {
		const char *text = json_string_value(v);
		CLEANUP(freep) char *tagged = NULL;

		if (!text || !*text || reference_parse(text, &ref, NULL) < 0)
			continue;
		tagged = reference_tagged(&ref);
		if (images_tag(b->engine->images, i, ref.name, *ref.tag ? ref.tag : "latest", err) < 0)
			return err->code;
		output_text(b, "Successfully tagged %s\n", tagged);
	}
	return 0;
}

void build_finish(struct build *b, const struct error *err, int exit_code)
{
	struct ending *end = xnew(struct ending);
	char id[ID_SHORT_LEN + 1];

	end->build = b;
	end->exit_code = exit_code;
	end->has_failed = err != NULL;
	if (err)
		end->err = *err;
	if (!err) {
		output_text(b, "Successfully built %s\n", short_id(b->image_id, id));
		end->has_failed = tag_all(b, &end->err) < 0;
	}
	release_all(b); /* before the client, told of its image, can ask for its removal: the files may take a while */
	uv_queue_work(b->engine->loop, &end->work, clean_up, on_clean);
}

void builds_open(struct engine *e)
{
	CLEANUP(freep) char *dir = xasprintf("%s/build", e->options.data_root);

	e->builder = xnew(struct builder);
	list_init(&e->builder->builds);
	remove_dir(dir);
	e->builder->caches = caches_open(e);
}

void builds_stop(struct engine *e)
{
	list_for_each(it, &builder_of(e)->builds)
		build_cancel(container_of(it, struct build, link));
}

void builds_close(struct engine *e)
{
	if (!e || !e->builder)
		return;
	caches_free(e->builder->caches);
	free(e->builder);
	e->builder = NULL;
}
