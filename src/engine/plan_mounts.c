/* A container's mounts as open directories: binds, volumes, tmpfs, and what
 * leads to them. All of it blocks and runs on the pool. */
#include "engine/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/volumes.h"
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const char *text_of(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

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

int plan_add_mounts(struct plan_job *j)
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
int plan_prepare_mounts(struct plan_job *j, struct rootfs *fs)
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
