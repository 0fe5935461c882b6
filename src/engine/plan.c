/* From a container's configuration to what a driver needs: mounts as open
 * directories, users as numbers, one environment. Paths of the user's may lie
 * on slow file systems, so all of it happens on the thread pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/local_files.h"
#include "engine/internal.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* What the pool may look at. Of the container that is what never changes after
 * its creation: id, config, path, args, mounts. */
struct plan_job {
	uv_work_t work;
	enum plan_kind kind;
	struct engine *engine;
	struct container *container;
	json_t *host_config;         /* a copy: it can be updated meanwhile */
	json_t *exec_config;
	char *dir, *image_root;
	bool is_live;
	int rows, cols;
	struct run_plan *plan;
	struct error err;
	plan_done done;
	void *arg;
};

static char *container_dir(struct engine *e, const struct container *c)
{
	return xasprintf("%s/containers/%s", e->options.data_root, c->id);
}

static const char *text_of(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

/* ---- mounts ---- */

static struct run_mount *add_mount(struct run_plan *p, unsigned kind, const char *target)
{
	struct run_mount *m;

	p->mounts = xrealloc(p->mounts, (p->nmounts + 1) * sizeof(*p->mounts));
	m = &p->mounts[p->nmounts++];
	*m = (struct run_mount){ .kind = kind, .target = xstrdup(target), .lower_fd = -1, .upper_fd = -1, .fd = -1 };
	return m;
}

/* The mode whatever our umask: a guest's ordinary user must get in. */
static int make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0)
		return -errno;
	return chmod(path, mode) < 0 ? -errno : 0;
}

/* mkdir -p: Docker makes the missing source of -v. */
static int make_source(const char *path)
{
	CLEANUP(freep) char *dir = xasprintf("%s/", path);

	for (char *p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		int r;

		*p = '\0';
		r = make_dir(dir, 0755);
		if (r < 0 && r != -EEXIST)
			return r;
		*p = '/';
	}
	return 0;
}

static int open_dir(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int add_root(struct plan_job *j)
{
	CLEANUP(freep) char *upper = xasprintf("%s/upper", j->dir);
	struct run_mount *m = add_mount(j->plan, ROOTFS_MOUNT_UNION, "/");
	int r;

	if (mkdir(j->dir, 0700) < 0 && errno != EEXIST)
		return error_set(&j->err, -errno, "%s: %s", j->dir, strerror(errno));
	r = make_dir(upper, 0755);
	if (r < 0 && r != -EEXIST)
		return error_set(&j->err, r, "%s: %s", upper, strerror(-r));
	m->lower_fd = image_open_root(j->image_root);
	m->upper_fd = open_dir(upper);
	if (m->lower_fd < 0 || m->upper_fd < 0)
		return error_set(&j->err, -EIO, "the container's root cannot be opened");
	return 0;
}

static int add_bind(struct plan_job *j, const struct container_mount *in)
{
	struct stat st;
	struct run_mount *m;
	int r = stat(in->source, &st) < 0 ? -errno : 0;

	if (r == -ENOENT) {
		r = make_source(in->source);
		if (r == 0 && stat(in->source, &st) < 0)
			r = -errno;
	}
	if (r < 0)
		return error_set_class(&j->err, ERROR_INVALID,
				       "error while creating mount source path '%.300s': mkdir %.300s: %s", in->source,
				       in->source, strerror(-r));
	if (S_ISDIR(st.st_mode)) {
		m = add_mount(j->plan, ROOTFS_MOUNT_DIR, in->destination);
		m->fd = open_dir(in->source);
	} else {
		CLEANUP(freep)
		char *dir = realpath(in->source, NULL); /* the source may be a link, as /etc/localtime is */
		char *slash = dir ? strrchr(dir, '/') : NULL;

		if (!slash)
			return error_set(&j->err, -errno, "bind %s: %s", in->source, strerror(errno));
		m = add_mount(j->plan, ROOTFS_MOUNT_FILE, in->destination);
		m->fd_name = xstrdup(slash + 1);
		slash[slash == dir] = '\0';
		m->fd = open_dir(dir);
	}
	m->source = xstrdup(in->source);
	m->is_bind = true;
	m->is_readonly = !in->is_rw;
	return m->fd < 0 ? error_set(&j->err, m->fd, "bind %s: %s", in->source, strerror(-m->fd)) : 0;
}

static int add_volume(struct plan_job *j, const struct container_mount *in)
{
	struct run_mount *m = add_mount(j->plan, ROOTFS_MOUNT_DIR, in->destination);

	m->source = xstrdup(in->source);
	m->is_readonly = !in->is_rw;
	m->fd = volume_open_data(in->source, in->subpath, &j->err);
	return m->fd < 0 ? m->fd : 0;
}

/* A tmpfs is a directory that is empty at each start and is not looked at between two runs. */
static int add_tmpfs(struct plan_job *j, const char *target, mode_t mode, uint64_t size_bytes, bool is_readonly)
{
	CLEANUP(freep) char *base = xasprintf("%s/tmpfs", j->dir), *path = xasprintf("%s/%zu", base, j->plan->nmounts);
	struct run_mount *m;
	int r;

	if (j->kind != PLAN_START && !j->is_live)
		return 0;
	if (j->kind == PLAN_START && (r = make_dir(path, mode)) < 0)
		return error_set(&j->err, r, "tmpfs %.300s: %s", target, strerror(-r));
	m = add_mount(j->plan, ROOTFS_MOUNT_DIR, target);
	m->source = xstrdup("tmpfs");
	m->size_limit_bytes = size_bytes;
	m->is_readonly = is_readonly;
	m->fd = open_dir(path);
	return m->fd < 0 ? error_set(&j->err, m->fd, "tmpfs %.300s: %s", target, strerror(-m->fd)) : 0;
}

static int clear_tmpfs(struct plan_job *j)
{
	CLEANUP(freep) char *base = xasprintf("%s/tmpfs", j->dir);
	int r, fd = open_dir(j->dir);

	if (fd < 0)
		return error_set(&j->err, fd, "%s: %s", j->dir, strerror(-fd));
	rootfs_remove_tree(fd, "tmpfs");
	close(fd);
	r = make_dir(base, 0755);
	return r < 0 ? error_set(&j->err, r, "%s: %s", base, strerror(-r)) : 0;
}

/* --tmpfs /run:rw,size=64m,mode=1777 (checked by mounts.c at create). */
static int add_tmpfs_options(struct plan_job *j)
{
	const char *target;
	json_t *v;

	json_object_foreach(json_object_get(j->host_config, "Tmpfs"), target, v) {
		struct tmpfs_options o;
		int r = tmpfs_parse(json_string_value(v), &o, &j->err);

		if (r == 0)
			r = add_tmpfs(j, target, o.mode, o.size_bytes, o.is_readonly);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_mount(const struct run_plan *p, const char *target)
{
	for (size_t i = 0; i < p->nmounts; i++)
		if (strcmp(p->mounts[i].target, target) == 0)
			return true;
	return false;
}

static void sort_mounts(struct run_plan *p)
{
	for (size_t i = 1; i < p->nmounts; i++) { /* parents before children: by length, few of them */
		struct run_mount m = p->mounts[i];
		size_t k = i;

		for (; k > 0 && strlen(p->mounts[k - 1].target) > strlen(m.target); k--)
			p->mounts[k] = p->mounts[k - 1];
		p->mounts[k] = m;
	}
}

static int add_mounts(struct plan_job *j)
{
	struct container *c = j->container;
	int r = add_root(j);

	if (r == 0 && j->kind == PLAN_START)
		r = clear_tmpfs(j);
	add_mount(j->plan, ROOTFS_MOUNT_VIRTUAL, "/proc")->which = xstrdup("proc");
	add_mount(j->plan, ROOTFS_MOUNT_VIRTUAL, "/dev")->which = xstrdup("dev");
	for (size_t i = 0; r == 0 && i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];

		if (strcmp(m->type, "bind") == 0)
			r = add_bind(j, m);
		else if (strcmp(m->type, "volume") == 0)
			r = add_volume(j, m);
		else
			r = add_tmpfs(j, m->destination, m->tmpfs_mode ? m->tmpfs_mode : 01777, m->size_bytes, !m->is_rw);
	}
	if (r == 0)
		r = add_tmpfs_options(j);
	if (r == 0 && !has_mount(j->plan, "/dev/shm"))
		r = add_tmpfs(j, "/dev/shm", 01777,
			      (uint64_t)json_integer_value(json_object_get(j->host_config, "ShmSize")), false);
	sort_mounts(j->plan);
	return r;
}

static void make_tmpfs_owners(struct plan_job *j, struct rootfs *fs)
{
	struct error ignored; /* they were read before */
	const char *target;
	json_t *v;

	json_object_foreach(json_object_get(j->host_config, "Tmpfs"), target, v) {
		struct tmpfs_options o;

		if (tmpfs_parse(json_string_value(v), &o, &ignored) == 0 && (o.uid || o.gid))
			rootfs_chown(fs, NULL, NULL, target, o.uid, o.gid, 0);
	}
}

/* The working directory is made, root's, when nothing is there. */
static int make_cwd(struct plan_job *j, struct rootfs *fs)
{
	const char *cwd = text_of(j->container->config, "WorkingDir");
	struct rootfs_stat st;

	if (!*cwd)
		return 0;
	rootfs_make_mountpoint(fs, cwd, false);
	if (rootfs_stat(fs, NULL, NULL, cwd, 0, &st) == 0 && !S_ISDIR(st.mode))
		return error_set_class(&j->err, ERROR_INVALID, "Cannot mkdir: %.300s is not a directory", cwd);
	return 0;
}

/* What leads to the mounts is made also below a read-only root, and new volumes get
 * what the image has at their place. */
static int prepare_mounts(struct plan_job *j, struct rootfs *fs)
{
	struct container *c = j->container;

	make_tmpfs_owners(j, fs);
	if (make_cwd(j, fs) < 0)
		return j->err.code;
	for (size_t i = 1; i < j->plan->nmounts; i++)
		rootfs_make_mountpoint(fs, j->plan->mounts[i].target, j->plan->mounts[i].kind == ROOTFS_MOUNT_FILE);
	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];
		int r = 0;

		if (strcmp(m->type, "volume") == 0 && !m->no_copy && !m->subpath)
			r = volume_populate(j->plan->mounts[0].lower_fd, j->plan->mounts[0].upper_fd, m->source,
					    m->destination, &j->err);
		if (r < 0)
			return r;
	}
	return 0;
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
	env_default(&env, "HOSTNAME", text_of(c->config, "Hostname"));
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

		if (ulimit_find(text_of(u, "Name"), &resource))
			s->rlimits[s->nrlimits++] =
				(struct run_rlimit){ resource, (uint64_t)json_integer_value(json_object_get(u, "Soft")),
						     (uint64_t)json_integer_value(json_object_get(u, "Hard")) };
	}
}

/* ---- the process ---- */

/* The predefined networks are the only ones so far. */
static int check_network(struct plan_job *j)
{
	static const char *const known[] = { "", "default", "bridge", "host", "none" };
	const char *mode = text_of(j->host_config, "NetworkMode");

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(mode, known[i]) == 0)
			return 0;
	if (strncmp(mode, "container:", 10) == 0)
		return 0;
	return error_set_class(&j->err, ERROR_NOT_FOUND, "network %.200s not found", mode);
}

static int make_spec(struct plan_job *j, struct rootfs *fs)
{
	struct container *c = j->container;
	json_t *config = j->exec_config ? j->exec_config : c->config;
	const char *user = *text_of(config, "User") ? text_of(config, "User") : text_of(c->config, "User");
	const char *cwd = *text_of(config, "WorkingDir") ? text_of(config, "WorkingDir") : text_of(c->config, "WorkingDir");
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

static void work(uv_work_t *w)
{
	struct plan_job *j = container_of(w, struct plan_job, work);
	struct run_plan *p = j->plan;
	struct rootfs *fs = NULL;
	int r = add_mounts(j);

	if (r == 0 && j->kind == PLAN_START)
		r = check_network(j);
	if (r == 0 && j->kind != PLAN_MOUNTS) {
		r = local_files_open(p, &fs);
		if (r < 0)
			error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r));
		if (r == 0 && j->kind == PLAN_START)
			r = prepare_mounts(j, fs);
		if (r == 0)
			r = make_spec(j, fs);
		if (r == 0 && j->kind != PLAN_OWNER)
			find_program(fs, &p->spec);
		rootfs_free(fs);
	}
	p->mounts[0].is_readonly = p->is_readonly_root; /* from here on */
}

static void after(uv_work_t *w, int status)
{
	struct plan_job *j = container_of(w, struct plan_job, work);

	(void)status;
	if (j->err.code) {
		run_plan_free(j->plan);
		j->plan = NULL;
	}
	j->done(j->arg, j->plan, j->err.code ? &j->err : NULL);
	json_decref(j->host_config);
	json_decref(j->exec_config);
	container_unref(j->container);
	free(j->dir);
	free(j->image_root);
	free(j);
}

static void on_no_image(void *arg, const struct error *err)
{
	(void)err;
	after(&((struct plan_job *)arg)->work, 0);
}

void plan_make(struct engine *e, struct container *c, enum plan_kind kind, json_t *exec_config, plan_done done, void *arg)
{
	struct plan_job *j = xnew(struct plan_job);
	struct crun *run = crun_of(e, c);
	struct run_plan *p = xnew(struct run_plan);
	json_t *size = json_object_get(c->host_config, "ConsoleSize");
	struct image *image;

	j->kind = kind;
	j->engine = e;
	j->container = container_ref(c);
	j->host_config = json_deep_copy(c->host_config);
	j->exec_config = json_deep_copy(exec_config);
	j->dir = container_dir(e, c);
	j->is_live = container_is_live(c);
	j->rows = run->rows ? run->rows : (int)json_integer_value(json_array_get(size, 0));
	j->cols = run->rows ? run->cols : (int)json_integer_value(json_array_get(size, 1));
	j->plan = p;
	j->done = done;
	j->arg = arg;
	p->is_readonly_root = json_is_true(json_object_get(c->host_config, "ReadonlyRootfs"));
	p->init = json_is_true(json_object_get(c->host_config, "Init"));
	p->hostname = xstrdup(text_of(c->config, "Hostname"));
	p->domainname = xstrdup(text_of(c->config, "Domainname"));
	p->pids_max = (uint32_t)json_integer_value(json_object_get(c->host_config, "PidsLimit"));
	p->memory_bytes = (uint64_t)json_integer_value(json_object_get(c->host_config, "Memory"));
	if (images_find(e->images, c->image_id, &image, &j->err) < 0) {
		engine_later(e, on_no_image, j, NULL);
		return;
	}
	j->image_root = xstrdup(image->root_path);
	uv_queue_work(e->loop, &j->work, work, after);
}
