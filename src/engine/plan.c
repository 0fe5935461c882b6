/* From a container's configuration to what a driver needs: mounts as open
 * directories, users as numbers, one environment. Paths of the user's may lie
 * on slow file systems, so all of it happens on the thread pool. */
#include "engine/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "drivers/local_files.h"
#include "engine/joined.h"
#include "engine/log.h"
#include "engine/memo.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

static char *container_dir(struct engine *e, const struct container *c)
{
	return xasprintf("%s/containers/%s", e->options.data_root, c->id);
}

/* ---- words and environment ---- */

static char **copy_words(const char *first, json_t *rest)
{
	size_t n = json_array_size(rest), k = 0;
	char **v = xcalloc(n + 2, sizeof(*v));

	if (first)
		v[k++] = xstrdup(first);
	for (size_t i = 0; i < n; i++)
		if (json_is_string(json_array_get(rest, i)))
			v[k++] = xstrdup(json_string_value(json_array_get(rest, i)));
	return v;
}

struct env {
	char **v;
	size_t n;
};

/* A later setting of a variable replaces the earlier one; one without '=' removes it. */
static void env_set(struct env *env, const char *text)
{
	size_t len = strcspn(text, "=");

	for (size_t i = 0; i < env->n; i++) {
		if (strncmp(env->v[i], text, len) != 0 || env->v[i][len] != '=')
			continue;
		free(env->v[i]);
		env->v[i] = text[len] ? xstrdup(text) : env->v[--env->n];
		env->v[env->n] = NULL;
		return;
	}
	if (!text[len])
		return;
	env->v = xrealloc(env->v, (env->n + 2) * sizeof(*env->v));
	env->v[env->n++] = xstrdup(text);
	env->v[env->n] = NULL;
}

static void env_default(struct env *env, const char *name, const char *value)
{
	size_t len = strlen(name);
	char *text;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], name, len) == 0 && env->v[i][len] == '=')
			return;
	text = xasprintf("%s=%s", name, value);
	env_set(env, text);
	free(text);
}

/* PATH, HOSTNAME and TERM come first, HOME last, as Docker adds them. */
static char **make_env(struct container *c, json_t *more, bool tty, const char *home)
{
	struct env env = { .v = xcalloc(1, sizeof(char *)) };
	json_t *first = json_object_get(c->config, "Env");

	env_default(&env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env_default(&env, "HOSTNAME", json_text(c->config, "Hostname"));
	if (tty)
		env_default(&env, "TERM", "xterm");
	for (size_t i = 0; i < json_array_size(first); i++)
		if (json_is_string(json_array_get(first, i)))
			env_set(&env, json_string_value(json_array_get(first, i)));
	for (size_t i = 0; i < json_array_size(more); i++)
		if (json_is_string(json_array_get(more, i)))
			env_set(&env, json_string_value(json_array_get(more, i)));
	env_default(&env, "HOME", home);
	return env.v;
}

static const struct {
	const char *name;
	uint32_t resource;
} limits[] = {
	{ "as", RLIMIT_AS },           { "core", RLIMIT_CORE },
	{ "cpu", RLIMIT_CPU },         { "data", RLIMIT_DATA },
	{ "fsize", RLIMIT_FSIZE },     { "locks", RLIMIT_LOCKS },
	{ "memlock", RLIMIT_MEMLOCK }, { "msgqueue", RLIMIT_MSGQUEUE },
	{ "nice", RLIMIT_NICE },       { "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC },     { "rss", RLIMIT_RSS },
	{ "rtprio", RLIMIT_RTPRIO },   { "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },
};

bool ulimit_find(const char *name, uint32_t *ret_resource)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (strcmp(limits[i].name, name) != 0)
			continue;
		if (ret_resource)
			*ret_resource = limits[i].resource;
		return true;
	}
	return false;
}

static void set_limits(struct run_spec *s, json_t *ulimits)
{
	size_t n = json_array_size(ulimits);
	uint32_t resource;

	s->rlimits = xcalloc(n ? n : 1, sizeof(*s->rlimits));
	for (size_t i = 0; i < n; i++) {
		json_t *u = json_array_get(ulimits, i);

		if (ulimit_find(json_text(u, "Name"), &resource))
			s->rlimits[s->nrlimits++] =
				(struct run_rlimit){ resource, (uint64_t)json_integer_value(json_object_get(u, "Soft")),
						     (uint64_t)json_integer_value(json_object_get(u, "Hard")) };
	}
}

/* ---- the process ---- */

static int make_spec(struct plan_job *j, struct rootfs *fs)
{
	struct container *c = j->container;
	json_t *config = j->exec_config ? j->exec_config : c->config;
	const char *user = *json_text(config, "User") ? json_text(config, "User") : json_text(c->config, "User");
	const char *cwd =
		*json_text(config, "WorkingDir") ? json_text(config, "WorkingDir") : json_text(c->config, "WorkingDir");
	struct run_spec *s = &j->plan->spec;
	CLEANUP(freep) char *home = NULL;
	int r = users_resolve(fs, user, json_object_get(j->host_config, "GroupAdd"), s, &home, &j->err);

	if (r < 0)
		return r;
	s->is_main = j->kind == PLAN_START;
	s->tty = json_is_true(json_object_get(config, "Tty"));
	s->open_stdin = json_is_true(json_object_get(config, s->is_main ? "OpenStdin" : "AttachStdin"));
	s->argv = s->is_main ? copy_words(c->path, c->args) : copy_words(NULL, json_object_get(config, "Cmd"));
	s->env = make_env(c, s->is_main ? NULL : json_object_get(config, "Env"), s->tty, home);
	s->cwd = xstrdup(*cwd ? cwd : "/");
	s->rows = (uint16_t)j->rows;
	s->cols = (uint16_t)j->cols;
	set_limits(s, json_object_get(j->host_config, "Ulimits"));
	return 0;
}

static const char *path_of(char **env)
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return NULL;
}

/* The drivers decide by what the command is. */
static void find_program(struct rootfs *fs, struct run_spec *s)
{
	struct rootfs_cred cred = { .uid = s->uid, .gid = s->gid, .ngroups = s->ngroups, .groups = s->groups };
	struct rootfs_dir *cwd = NULL;

	rootfs_open_dir(fs, &cred, NULL, s->cwd, &cwd);
	s->program_error = s->argv[0] ? program_search(fs, &cred, cwd, s->argv[0], path_of(s->env), &s->program) : -ENOENT;
	rootfs_dir_unref(cwd);
}

/* The log is there before the process is: clients that know LogPath find it. */
static void begin_log(const struct plan_job *j)
{
	CLEANUP(freep) char *path = xasprintf("%s/" LOG_FILE, j->dir);
	struct log_limits log;
	int fd;

	if (log_parse_config(json_object_get(j->host_config, "LogConfig"), &log, NULL) < 0 || !log.is_kept)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static int open_files(struct plan_job *j, struct rootfs **ret)
{
	int r = local_files_open(j->plan, ret);

	return r < 0 ? error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r)) : 0;
}

/* Of the mounts it needs only the view: the process finds them where the main process has them. */
static void work_exec(uv_work_t *w)
{
	struct plan_job *j = container_of(w, struct plan_job, work);
	struct timespec changed;
	struct rootfs *fs;

	if (!j->view && plan_add_mounts(j) == 0 && open_files(j, &fs) == 0)
		j->view = view_new(j->plan, fs);
	if (!j->view)
		return;
	memo_begin(j->view, &changed);
	if (make_spec(j, j->view->fs) < 0)
		return;
	find_program(j->view->fs, &j->plan->spec);
	memo_keep(j->view, j->exec_config, j->host_config, &j->plan->spec, &changed);
}

static void work(uv_work_t *w)
{
	struct plan_job *j = container_of(w, struct plan_job, work);
	struct run_plan *p = j->plan;
	struct rootfs *fs = NULL;
	int r = plan_add_mounts(j);

	if (r == 0 && j->kind != PLAN_MOUNTS && j->kind != PLAN_POPULATE) {
		r = open_files(j, &fs);
		if (r == 0 && j->kind == PLAN_START)
			r = plan_prepare_mounts(j, fs);
		if (r == 0)
			r = make_spec(j, fs);
		if (r == 0 && j->kind != PLAN_OWNER)
			find_program(fs, &p->spec);
		rootfs_free(fs);
	}
	if (r == 0 && j->kind == PLAN_START)
		begin_log(j);
	p->mounts[0].is_readonly = p->is_readonly_root; /* from here on */
}

/* Once and for all: what a container deletes of it stays deleted. */
static void note_copied(struct plan_job *j)
{
	for (size_t i = 0; i < j->container->nmounts; i++)
		j->container->mounts[i].wants_copy = false;
	containers_save(&j->engine->containers, j->container);
}

static void after(uv_work_t *w, int status)
{
	struct plan_job *j = container_of(w, struct plan_job, work);

	(void)status;
	if (j->has_copied)
		note_copied(j);
	if (j->view)
		views_give(j->engine->views, j->container, j->started_ns, j->view);
	if (j->err.code) {
		run_plan_free(j->plan);
		j->plan = NULL;
	}
	j->done(j->arg, j->plan, j->err.code ? &j->err : NULL);
	mount_backings_free(j->backings, j->container->nmounts);
	json_decref(j->host_config);
	json_decref(j->exec_config);
	container_files_free(j->files);
	free(j->files_dir);
	free(j->joined_shm);
	container_unref(j->container);
	free(j->dir);
	free(j->image_root);
	free(j);
}

static void on_no_work(void *arg, const struct error *err)
{
	(void)err;
	after(&((struct plan_job *)arg)->work, 0);
}

/* What of it an exec needs when the mounts are open already. */
static json_t *host_config_of_exec(const struct container *c)
{
	json_t *part = json_object();
	static const char *const keys[] = { "GroupAdd", "Ulimits" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set_new(part, keys[i], json_deep_copy(json_object_get(c->host_config, keys[i])));
	return part;
}

static void take_mounts(struct plan_job *j)
{
	struct container *c = j->container;

	j->host_config = json_deep_copy(c->host_config);
	j->backings = mount_backings_new(j->engine, c);
	for (size_t i = 0; i < c->nmounts; i++)
		j->wants_copy = j->wants_copy || c->mounts[i].wants_copy;
	j->files_dir = container_files_dir(j->engine, c);
	j->joined_shm = joined_shm(j->engine, c);
}

void plan_make(struct engine *e, struct container *c, enum plan_kind kind, json_t *exec_config, plan_done done, void *arg)
{
	struct plan_job *j = xnew(struct plan_job);
	struct crun *run = crun_of(e, c);
	struct run_plan *p = xnew(struct run_plan);
	json_t *size = json_object_get(c->host_config, "ConsoleSize");
	struct image *image = NULL;

	j->kind = kind;
	j->engine = e;
	j->container = container_ref(c);
	j->plan = p;
	j->done = done;
	j->arg = arg;
	j->is_live = container_has_process(c) && !run->is_adopted; /* whose mounts were never made here */
	j->started_ns = c->state.started_ns;
	if (kind == PLAN_EXEC)
		j->view = views_take(e->views, c);
	if (j->view && memo_recall(j->view, exec_config, c->host_config, &p->spec)) {
		engine_later(e, on_no_work, j, NULL);
		return;
	}
	j->exec_config = json_deep_copy(exec_config);
	j->dir = container_dir(e, c);
	if (j->view)
		j->host_config = host_config_of_exec(c);
	else
		take_mounts(j);
	j->rows = run->rows ? run->rows : (int)json_integer_value(json_array_get(size, 0));
	j->cols = run->rows ? run->cols : (int)json_integer_value(json_array_get(size, 1));
	if (j->view) {
		uv_queue_work(e->loop, &j->work, work_exec, after);
		return;
	}
	p->is_readonly_root = json_is_true(json_object_get(c->host_config, "ReadonlyRootfs"));
	p->init = json_is_true(json_object_get(c->host_config, "Init"));
	p->hostname = xstrdup(json_text(networks_named(e, c)->config, "Hostname"));
	p->domainname = xstrdup(json_text(networks_named(e, c)->config, "Domainname"));
	resources_limits(c->host_config, &p->limits);
	if (kind == PLAN_START)
		p->netns = networks_netns(e, c);
	if ((kind == PLAN_START && container_files_new(e, c, &j->files, &j->err) < 0) ||
	    images_find(e->images, c->image_id, &image, &j->err) < 0) {
		engine_later(e, on_no_work, j, NULL);
		return;
	}
	j->image_root = xstrdup(image_root(e->images, image));
	uv_queue_work(e->loop, &j->work, kind == PLAN_EXEC ? work_exec : work, after);
}
