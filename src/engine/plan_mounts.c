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

#include "drivers/local_files.h"
#include "engine/joined.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

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
	resources_storage(j->host_config, &m->size_limit_bytes, NULL); /* checked at create */
	m->lower_fd = image_open_root(j->image_root);
	m->upper_fd = open_dir(upper);
	if (m->lower_fd < 0 || m->upper_fd < 0)
		return error_set(&j->err, -EIO, "the container's root cannot be opened");
	return 0;
}

/* The words of the program that does the mounting for Docker. */
static int mount_failed(struct plan_job *j, const char *source, const char *target, const char *why)
{
	return error_set(&j->err, -EIO,
			 "failed to create task for container: failed to create shim task: OCI runtime create failed: runc "
			 "create failed: unable to start container process: error during container init: error mounting "
			 "\"%.200s\" to rootfs at \"%.200s\": %.300s",
			 source, target, why);
}

static int find_source(struct plan_job *j, const struct container_mount *in, struct stat *st)
{
	int r = stat(in->source, st) < 0 ? -errno : 0;

	if (r == -ENOENT && in->needs_source) {
		CLEANUP(freep) char *why = xasprintf("stat %.200s: no such file or directory", in->source);

		return mount_failed(j, in->source, in->destination, why);
	}
	if (r == -ENOENT) {
		r = make_source(in->source);
		if (r == 0 && stat(in->source, st) < 0)
			r = -errno;
	}
	if (r < 0)
		error_set_class(&j->err, ERROR_INVALID, "error while creating mount source path '%.300s': mkdir %.300s: %s",
				in->source, in->source, strerror(-r));
	return r;
}

static int add_bind(struct plan_job *j, const struct container_mount *in)
{
	struct stat st;
	struct run_mount *m;
	int r = find_source(j, in, &st);

	if (r < 0)
		return r;
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

static int add_volume(struct plan_job *j, const struct container_mount *in, const struct mount_backing *b)
{
	struct run_mount *m = add_mount(j->plan, ROOTFS_MOUNT_DIR, in->destination);

	m->source = xstrdup(in->source);
	m->is_readonly = !in->is_rw;
	m->size_limit_bytes = b->is_tmpfs ? b->tmpfs.size_bytes : 0;
	return volume_open(b, in->subpath, m, &j->err);
}

/* An image's root, or a part of it, to be read. */
static int add_image(struct plan_job *j, const struct container_mount *in, const struct mount_backing *b)
{
	struct run_mount *m = add_mount(j->plan, ROOTFS_MOUNT_UNION, in->destination);
	int r = access(b->path, F_OK) == 0 ? volume_open(b, in->subpath, m, &j->err) :
					     error_set(&j->err, -ENOENT, "layer not found for image %.200s", in->name);

	if (r < 0)
		return r;
	m->source = xstrdup(in->source);
	m->is_readonly = true;
	if (m->kind == ROOTFS_MOUNT_FILE)
		return 0;
	m->kind = ROOTFS_MOUNT_UNION;
	m->lower_fd = m->fd;
	m->fd = -1;
	return 0;
}

/* A tmpfs is a directory that is empty at each start and is not looked at between two runs. */
static bool has_mount(const struct run_plan *p, const char *target)
{
	for (size_t i = 0; i < p->nmounts; i++)
		if (strcmp(p->mounts[i].target, target) == 0)
			return true;
	return false;
}

static int mount_tmpfs(struct plan_job *j, const char *target, const char *path, uint64_t size_bytes, bool is_readonly)
{
	struct run_mount *m = add_mount(j->plan, ROOTFS_MOUNT_DIR, target);

	m->source = xstrdup("tmpfs");
	m->size_limit_bytes = size_bytes;
	m->is_readonly = is_readonly;
	m->fd = open_dir(path);
	return m->fd < 0 ? error_set(&j->err, m->fd, "tmpfs %.300s: %s", target, strerror(-m->fd)) : 0;
}

/* A directory of the container's own, empty at each start. */
static int add_tmpfs(struct plan_job *j, const char *name, const char *target, mode_t mode, uint64_t size_bytes, bool is_readonly)
{
	CLEANUP(freep) char *path = xasprintf("%s/tmpfs/%s", j->dir, name);
	int r;

	if (j->kind != PLAN_START && !j->is_live)
		return 0;
	if (j->kind == PLAN_START && (r = make_dir(path, mode)) < 0)
		return error_set(&j->err, r, "tmpfs %.300s: %s", target, strerror(-r));
	return mount_tmpfs(j, target, path, size_bytes, is_readonly);
}

static int add_numbered_tmpfs(struct plan_job *j, const char *target, mode_t mode, uint64_t size_bytes, bool is_readonly)
{
	CLEANUP(freep) char *name = xasprintf("%zu", j->plan->nmounts);

	return add_tmpfs(j, name, target, mode, size_bytes, is_readonly);
}

/* Its own, another container's (joined.h), or none. */
static int add_shm(struct plan_job *j)
{
	uint64_t size = (uint64_t)json_integer_value(json_object_get(j->host_config, "ShmSize"));

	if (has_mount(j->plan, "/dev/shm") || strcmp(json_text(j->host_config, "IpcMode"), "none") == 0)
		return 0;
	if (!j->joined_shm)
		return add_tmpfs(j, SHM_DIR, "/dev/shm", 01777, size, false);
	if (j->kind != PLAN_START && (!j->is_live || access(j->joined_shm, F_OK) < 0))
		return 0; /* whose it is has gone since the start */
	return mount_tmpfs(j, "/dev/shm", j->joined_shm, size, false);
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
			r = add_numbered_tmpfs(j, target, o.mode, o.size_bytes, o.is_readonly);
		if (r < 0)
			return r;
	}
	return 0;
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

static int add_one(struct plan_job *j, size_t i)
{
	const struct container_mount *m = &j->container->mounts[i];

	if (strcmp(m->type, "bind") == 0)
		return add_bind(j, m);
	if (strcmp(m->type, "volume") == 0)
		return add_volume(j, m, &j->backings[i]);
	if (strcmp(m->type, "image") == 0)
		return add_image(j, m, &j->backings[i]);
	return add_numbered_tmpfs(j, m->destination, m->tmpfs_mode ? m->tmpfs_mode : 01777, m->size_bytes, !m->is_rw);
}

/* ---- where they lie: a mount's target may lead through links of the image or of other mounts ---- */

/* `path` with its links followed; names that are not there stay as they are. NULL: a loop. */
static char *follow(struct rootfs *fs, const char *path)
{
	CLEANUP(freep) char *rest = xstrdup(path), *done = xstrdup("");

	for (unsigned links = 0; *rest && links < 40;) {
		size_t slashes = strspn(rest, "/"), n = strcspn(rest + slashes, "/");
		CLEANUP(freep) char *name = xstrndup(rest + slashes, n), *after = xstrdup(rest + slashes + n);
		char target[4096], *slash = strrchr(done, '/'), *next;
		ssize_t len = -1;

		if (n == 0 || strcmp(name, ".") == 0) {
			next = xstrdup(done);
		} else if (strcmp(name, "..") == 0) {
			next = xstrndup(done, slash ? (size_t)(slash - done) : 0);
		} else {
			next = xasprintf("%s/%s", done, name);
			len = rootfs_readlink(fs, NULL, NULL, next, target, sizeof(target));
		}
		free(rest);
		rest = len > 0 ? xasprintf("%.*s%s", (int)len, target, after) : xstrdup(after);
		if (len <= 0) {
			free(done);
			done = next;
			continue;
		}
		links++;
		free(next);
		if (target[0] == '/')
			*done = '\0';
	}
	return *rest ? NULL : steal_ptr(done);
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}

/* A directory goes over a directory, a file over a file; where nothing is, it is made in what is mounted there. */
static int make_place(struct plan_job *j, struct rootfs *fs, const struct run_mount *m, const char *target)
{
	CLEANUP(freep) char *why = NULL;
	struct rootfs_stat st;
	int r;

	if (j->kind != PLAN_START)
		return 0;
	if (rootfs_stat(fs, NULL, NULL, target, 0, &st) < 0) {
		r = rootfs_make_mountpoint(fs, target, m->kind == ROOTFS_MOUNT_FILE);
		if (r == 0)
			return 0;
		why = xasprintf("create mountpoint for %.100s mount: make mountpoint \"%.100s\": %s", m->target, target,
				error_text(-r));
		return mount_failed(j, m->source, m->target, why);
	}
	if (!S_ISDIR(st.mode) == (m->kind == ROOTFS_MOUNT_FILE))
		return 0;
	mount_failed(j, m->source, m->target,
		     "not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the "
		     "specified host path exists and is the expected type");
	j->err.cls = ERROR_INVALID;
	return j->err.code;
}

/* Parents first, so that a link in one mount is seen before what lies behind it is mounted. */
static int resolve_targets(struct plan_job *j)
{
	struct run_plan *p = j->plan;

	for (size_t i = 1; i < p->nmounts; i++) {
		struct run_mount *m = &p->mounts[i];
		CLEANUP(freep) char *real = NULL;
		struct rootfs *fs;
		size_t all = p->nmounts;
		int r;

		if (is_below(m->target, "/proc") || is_below(m->target, "/dev"))
			continue; /* no links of ours */
		p->nmounts = i; /* what is mounted before it */
		r = local_files_open(p, &fs);
		p->nmounts = all;
		if (r < 0)
			return error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r));
		real = follow(fs, m->target);
		r = real && strcmp(real, "/") ? make_place(j, fs, m, real) : 0;
		rootfs_free(fs);
		if (r < 0)
			return r;
		if (!real || strcmp(real, "/") == 0)
			return mount_failed(j, m->source, m->target, real ? "it leads to /" : error_text(ELOOP));
		if (strcmp(real, m->target) == 0)
			continue;
		free(m->target);
		m->target = steal_ptr(real);
	}
	sort_mounts(p);
	return 0;
}

/* What Docker finds out when the mounts are made (moby: setupMounts). */
static int check_bind_options(struct plan_job *j)
{
	json_t *m;
	size_t i;

	json_array_foreach(json_object_get(j->host_config, "Mounts"), i, m) {
		json_t *o = json_object_get(m, "BindOptions");
		bool non_recursive = json_is_true(json_object_get(o, "ReadOnlyNonRecursive"));
		bool force = json_is_true(json_object_get(o, "ReadOnlyForceRecursive"));
		const char *conflict = NULL;

		if (!json_is_true(json_object_get(m, "ReadOnly")))
			conflict = non_recursive ? "!ReadOnly && BindOptions.ReadOnlyNonRecursive" :
				   force         ? "!ReadOnly && BindOptions.ReadOnlyForceRecursive" :
						   NULL;
		else if (non_recursive && force)
			conflict = "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive";
		if (conflict)
			return error_set(&j->err, -EINVAL, "mount options conflict: %s", conflict);
	}
	return 0;
}

/* ---- the content of new volumes ---- */

static int populate_one(struct plan_job *j, struct rootfs *image, const struct container_mount *m,
			const struct mount_backing *b)
{
	const struct run_mount *root = &j->plan->mounts[0];
	struct run_mount volume = { .lower_fd = -1, .upper_fd = -1, .fd = -1 };
	struct rootfs_stat st;
	int r;

	if (rootfs_stat(image, NULL, NULL, m->destination, 0, &st) < 0)
		return 0;
	if (!S_ISDIR(st.mode) && m->is_anonymous && !*m->mode)
		return error_set(&j->err, -EEXIST, "cannot mount volume over existing file, file exists %.300s", m->destination);
	if (!S_ISDIR(st.mode))
		return 0;
	r = volume_open(b, m->subpath, &volume, &j->err);
	if (r == 0 && volume.kind == ROOTFS_MOUNT_DIR)
		r = volume_populate(root->lower_fd, root->upper_fd, &volume, m->destination, &j->err);
	if (volume.fd >= 0)
		close(volume.fd);
	free(volume.fd_name);
	if (r < 0 && j->err.cls == ERROR_NOT_FOUND) { /* a subpath that is to come: its start will tell */
		error_clear(&j->err);
		return 0;
	}
	if (r < 0)
		error_prefix(&j->err, "failed to populate volume");
	return r;
}

static int populate(struct plan_job *j)
{
	struct container *c = j->container;
	struct rootfs *image;
	int r = local_files_open(j->plan, &image); /* the root is all there is so far */

	if (r < 0)
		return error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r));
	for (size_t i = 0; r == 0 && i < c->nmounts; i++)
		if (j->backings[i].wants_copy)
			r = populate_one(j, image, &c->mounts[i], &j->backings[i]);
	rootfs_free(image);
	j->has_copied = r == 0;
	return r;
}

/* /etc/hosts, /etc/hostname, /etc/resolv.conf: the container's own files, unless the user has mounted others there. */
static int add_network_files(struct plan_job *j)
{
	static const char *const names[] = { "hosts", "hostname", "resolv.conf" };

	if (j->files && container_files_write(j->files, &j->err) < 0)
		return j->err.code;
	for (size_t i = 0; j->files_dir && i < sizeof(names) / sizeof(names[0]); i++) {
		CLEANUP(freep) char *target = xasprintf("/etc/%s", names[i]);
		struct run_mount *m;
		int fd = has_mount(j->plan, target) ? -1 : open_dir(j->files_dir);

		if (fd < 0)
			continue;
		m = add_mount(j->plan, ROOTFS_MOUNT_FILE, target);
		m->fd = fd;
		m->fd_name = xstrdup(names[i]);
		m->source = xasprintf("%s/%s", j->files_dir, names[i]);
		m->is_bind = true;
		m->is_readonly = j->plan->is_readonly_root;
	}
	return 0;
}

int plan_add_mounts(struct plan_job *j)
{
	struct container *c = j->container;
	int r = add_root(j);

	if (r == 0 && j->wants_copy)
		r = populate(j);
	if (r < 0 || j->kind == PLAN_POPULATE)
		return r;
	if (j->kind == PLAN_START)
		r = check_bind_options(j);
	if (r == 0 && j->kind == PLAN_START)
		r = clear_tmpfs(j);
	add_mount(j->plan, ROOTFS_MOUNT_VIRTUAL, "/proc")->which = xstrdup("proc");
	add_mount(j->plan, ROOTFS_MOUNT_VIRTUAL, "/dev")->which = xstrdup("dev");
	for (size_t i = 0; r == 0 && i < c->nmounts; i++)
		r = add_one(j, i);
	if (r == 0)
		r = add_tmpfs_options(j);
	if (r == 0)
		r = add_shm(j);
	if (r == 0)
		r = add_network_files(j);
	sort_mounts(j->plan);
	return r == 0 ? resolve_targets(j) : r;
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
	const char *cwd = json_text(j->container->config, "WorkingDir");
	struct rootfs_stat st;

	if (!*cwd)
		return 0;
	rootfs_make_mountpoint(fs, cwd, false);
	if (rootfs_stat(fs, NULL, NULL, cwd, 0, &st) == 0 && !S_ISDIR(st.mode))
		return error_set_class(&j->err, ERROR_INVALID, "Cannot mkdir: %.300s is not a directory", cwd);
	return 0;
}

/* The places of the virtual mounts; the others have theirs. */
int plan_prepare_mounts(struct plan_job *j, struct rootfs *fs)
{
	make_tmpfs_owners(j, fs);
	for (size_t i = 1; i < j->plan->nmounts; i++)
		if (j->plan->mounts[i].kind == ROOTFS_MOUNT_VIRTUAL)
			rootfs_make_mountpoint(fs, j->plan->mounts[i].target, false);
	return make_cwd(j, fs);
}
