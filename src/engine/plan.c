/* From a container's configuration to what a driver needs: mounts as open
 * directories, users as numbers, one environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"

char *container_dir(struct engine *e, const struct container *c)
{
	return xasprintf("%s/containers/%s", e->options.data_root, c->id);
}

static struct run_mount *add_mount(struct run_plan *p, unsigned kind, const char *target)
{
	struct run_mount *m;

	p->mounts = xrealloc(p->mounts, (p->nmounts + 1) * sizeof(*p->mounts));
	m = &p->mounts[p->nmounts++];
	*m = (struct run_mount){ .kind = kind, .target = xstrdup(target), .lower_fd = -1, .upper_fd = -1, .fd = -1 };
	return m;
}

/* 0755 whatever our umask: a guest's ordinary user must get in. */
static int make_dir(const char *path)
{
	if (mkdir(path, 0755) < 0)
		return -errno;
	return chmod(path, 0755) < 0 ? -errno : 0;
}

static int open_dir(const char *path, bool create)
{
	int fd, r = create ? make_dir(path) : 0;

	if (r < 0 && r != -EEXIST)
		return r;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int add_root(struct engine *e, struct container *c, struct run_plan *p, struct error *err)
{
	CLEANUP(freep) char *dir = container_dir(e, c), *upper = xasprintf("%s/upper", dir);
	struct run_mount *m = add_mount(p, ROOTFS_MOUNT_UNION, "/");
	struct image *image;
	int r = images_find(e->images, c->image_id, &image, err);

	if (r < 0)
		return r;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", dir, strerror(errno));
	m->is_readonly = p->is_readonly_root;
	m->lower_fd = image_open_root(image->root_path);
	m->upper_fd = open_dir(upper, true);
	if (m->lower_fd < 0 || m->upper_fd < 0)
		return error_set(err, -EIO, "the container's root cannot be opened");
	return 0;
}

static int add_bind(struct run_plan *p, const struct container_mount *in, struct error *err)
{
	struct stat st;
	struct run_mount *m;

	/* Docker makes a missing source of -v a directory. */
	if (stat(in->source, &st) < 0 && (errno != ENOENT || make_dir(in->source) < 0 || stat(in->source, &st) < 0))
		return error_set_class(err, ERROR_INVALID, "error while creating mount source path '%.300s': %s", in->source,
				       strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		m = add_mount(p, ROOTFS_MOUNT_DIR, in->destination);
		m->fd = open_dir(in->source, false);
	} else {
		CLEANUP(freep) char *dir = xstrdup(in->source);
		char *slash = strrchr(dir, '/');

		m = add_mount(p, ROOTFS_MOUNT_FILE, in->destination);
		m->fd_name = xstrdup(slash + 1);
		slash[slash == dir] = '\0';
		m->fd = open_dir(dir, false);
	}
	m->source = xstrdup(in->source);
	m->is_bind = true;
	m->is_readonly = !in->is_rw;
	return m->fd < 0 ? error_set(err, m->fd, "bind %s: %s", in->source, strerror(-m->fd)) : 0;
}

static char **copy_words(const char *first, json_t *rest)
{
	size_t n = json_array_size(rest), k = 0;
	char **v = xcalloc(n + 2, sizeof(*v));

	if (first)
		v[k++] = xstrdup(first);
	for (size_t i = 0; i < n; i++)
		v[k++] = xstrdup(json_string_value(json_array_get(rest, i)) ? json_string_value(json_array_get(rest, i)) : "");
	return v;
}

static bool has_variable(char **env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

/* HOSTNAME, HOME and TERM as Docker adds them. */
static char **make_env(struct container *c, json_t *more, bool tty, const char *home)
{
	json_t *all = json_array(), *v;
	char **env;
	size_t i, n;

	json_array_extend(all, json_object_get(c->config, "Env"));
	json_array_foreach(more, i, v)
		json_array_append(all, v);
	env = copy_words(NULL, all);
	json_decref(all);
	for (n = 0; env[n]; n++)
		;
	env = xrealloc(env, (n + 5) * sizeof(*env));
	if (!has_variable(env, "PATH"))
		env[n++] = xstrdup("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	env[n] = NULL;
	if (!has_variable(env, "HOSTNAME"))
		env[n++] = xasprintf("HOSTNAME=%s", json_string_value(json_object_get(c->config, "Hostname")));
	env[n] = NULL;
	if (!has_variable(env, "HOME"))
		env[n++] = xasprintf("HOME=%s", home);
	env[n] = NULL;
	if (tty && !has_variable(env, "TERM"))
		env[n++] = xstrdup("TERM=xterm");
	env[n] = NULL;
	return env;
}

/* ---- users ---- */

/* The field'th column of the line of `file` whose first or third column is `key`. */
static char *look_up(const char *root, const char *upper, const char *file, const char *key, int field)
{
	const char *dirs[] = { upper, root };
	char line[1024], *result = NULL;
	FILE *f = NULL;

	for (int i = 0; !f && i < 2; i++) {
		CLEANUP(freep) char *path = xasprintf("%s/etc/%s", dirs[i], file);

		f = fopen(path, "re");
	}
	while (f && !result && fgets(line, sizeof(line), f)) {
		char *columns[8] = { 0 }, *p = line, *c;
		int n = 0;

		line[strcspn(line, "\n")] = '\0';
		while (n < 8 && (c = strsep(&p, ":")))
			columns[n++] = c;
		if (n > field && n > 2 && (strcmp(columns[0], key) == 0 || strcmp(columns[2], key) == 0))
			result = xstrdup(columns[field]);
	}
	if (f)
		fclose(f);
	return result;
}

static int resolve_user(struct engine *e, struct container *c, const char *user, struct run_spec *s, char **ret_home,
			struct error *err)
{
	CLEANUP(freep) char *dir = container_dir(e, c), *upper = xasprintf("%s/upper", dir);
	CLEANUP(freep) char *name = xstrdup(user && *user ? user : "0");
	CLEANUP(freep) char *uid = NULL, *gid = NULL;
	char *group = strchr(name, ':'), *end;
	struct image *image;
	int r = images_find(e->images, c->image_id, &image, err);

	if (r < 0)
		return r;
	if (group)
		*group++ = '\0';
	uid = look_up(image->root_path, upper, "passwd", name, 2);
	gid = group ? look_up(image->root_path, upper, "group", group, 2) :
		      look_up(image->root_path, upper, "passwd", name, 3);
	*ret_home = look_up(image->root_path, upper, "passwd", name, 5);
	s->uid = (uint32_t)strtoul(uid ? uid : name, &end, 10);
	if (*end)
		return error_set_class(err, ERROR_INVALID, "unable to find user %.100s: no matching entries in passwd file", name);
	s->gid = (uint32_t)strtoul(gid ? gid : group ? group : "0", &end, 10);
	if (*end)
		return error_set_class(err, ERROR_INVALID, "unable to find group %.100s: no matching entries in group file", group);
	return 0;
}

static const char *text_of(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
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

int plan_mounts(struct engine *e, struct container *c, struct run_plan **ret, struct error *err)
{
	struct run_plan *p = xnew(struct run_plan);
	int r;

	p->is_readonly_root = json_is_true(json_object_get(c->host_config, "ReadonlyRootfs"));
	r = add_root(e, c, p, err);
	if (r == 0) {
		add_mount(p, ROOTFS_MOUNT_VIRTUAL, "/proc")->which = xstrdup("proc");
		add_mount(p, ROOTFS_MOUNT_VIRTUAL, "/dev")->which = xstrdup("dev");
	}
	for (size_t i = 0; r == 0 && i < c->nmounts; i++)
		r = add_bind(p, &c->mounts[i], err);
	sort_mounts(p);
	if (r < 0) {
		run_plan_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

int plan_make(struct engine *e, struct container *c, struct run_plan **ret, struct error *err)
{
	CLEANUP(freep) char *home = NULL;
	struct crun *run = crun_of(e, c);
	struct run_plan *p;
	int r = plan_mounts(e, c, &p, err);

	if (r < 0)
		return r;
	p->init = json_is_true(json_object_get(c->host_config, "Init"));
	p->hostname = xstrdup(text_of(c->config, "Hostname"));
	p->domainname = xstrdup(text_of(c->config, "Domainname"));
	p->pids_max = (uint32_t)json_integer_value(json_object_get(c->host_config, "PidsLimit"));
	r = resolve_user(e, c, text_of(c->config, "User"), &p->spec, &home, err);
	if (r < 0) {
		run_plan_free(p);
		return r;
	}
	p->spec.is_main = true;
	p->spec.tty = json_is_true(json_object_get(c->config, "Tty"));
	p->spec.open_stdin = json_is_true(json_object_get(c->config, "OpenStdin"));
	p->spec.argv = copy_words(c->path, c->args);
	p->spec.env = make_env(c, NULL, p->spec.tty, home && *home ? home : "/");
	p->spec.cwd = xstrdup(*text_of(c->config, "WorkingDir") ? text_of(c->config, "WorkingDir") : "/");
	p->spec.rows = (uint16_t)run->rows;
	p->spec.cols = (uint16_t)run->cols;
	*ret = p;
	return 0;
}

int spec_for_exec(struct engine *e, struct container *c, json_t *config, struct run_spec *s, struct error *err)
{
	CLEANUP(freep) char *home = NULL;
	const char *user = *text_of(config, "User") ? text_of(config, "User") : text_of(c->config, "User");
	const char *cwd = *text_of(config, "WorkingDir") ? text_of(config, "WorkingDir") : text_of(c->config, "WorkingDir");
	int r;

	memset(s, 0, sizeof(*s));
	r = resolve_user(e, c, user, s, &home, err);
	if (r < 0)
		return r;
	s->tty = json_is_true(json_object_get(config, "Tty"));
	s->open_stdin = json_is_true(json_object_get(config, "AttachStdin"));
	s->argv = copy_words(NULL, json_object_get(config, "Cmd"));
	s->env = make_env(c, json_object_get(config, "Env"), s->tty, home && *home ? home : "/");
	s->cwd = xstrdup(*cwd ? cwd : "/");
	return 0;
}
