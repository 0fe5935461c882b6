#include "drivers/local_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { CHUNK = 65536, LINKS_MAX = 40 };

int local_files_open(const struct run_plan *plan, struct rootfs **ret)
{
	struct rootfs_mount *mounts = xcalloc(plan->nmounts, sizeof(*mounts));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < plan->nmounts; i++) {
		const struct run_mount *m = &plan->mounts[i];

		if (m->kind == ROOTFS_MOUNT_VIRTUAL)
			continue;
		mounts[n++] = (struct rootfs_mount){ .kind = (enum rootfs_mount_kind)m->kind,
						     .target = m->target,
						     .lower_fd = m->lower_fd,
						     .upper_fd = m->upper_fd,
						     .fd = m->fd,
						     .is_readonly = m->is_readonly,
						     .is_bind = m->is_bind,
						     .size_limit_bytes = m->size_limit_bytes,
						     .ctx = m->fd_name };
	}
	r = rootfs_new(mounts, n, ret);
	free(mounts);
	return r;
}

uint32_t local_files_go_mode(uint32_t mode)
{
	uint32_t m = mode & 0777;

	m |= S_ISDIR(mode)  ? 1u << 31 :
	     S_ISLNK(mode)  ? 1u << 27 :
	     S_ISFIFO(mode) ? 1u << 25 :
	     S_ISSOCK(mode) ? 1u << 24 :
			      0;
	if (S_ISCHR(mode))
		m |= 1u << 26 | 1u << 21;
	return m | (mode & S_ISUID ? 1u << 23 : 0) | (mode & S_ISGID ? 1u << 22 : 0) | (mode & S_ISVTX ? 1u << 20 : 0);
}

/* As moby: a file where the path says that a directory is, is no "not found" but lstat's own error. */
static int cannot_find(struct file_job *j, int result)
{
	if (result == -ENOTDIR && j->path[strlen(j->path) - 1] == '/')
		return error_set(&j->err, result, "lstat %.300s: not a directory", j->path);
	return error_set_class(&j->err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s", j->path,
			       j->container->name);
}

/* The path ends in '/' or '/.': a link there is followed. */
static bool means_dir(const char *path)
{
	size_t n = strlen(path);

	return n > 1 && (path[n - 1] == '/' || (path[n - 1] == '.' && path[n - 2] == '/'));
}

/* The last component, without the slashes behind it; "/" of the root. */
static char *base_name(const char *path)
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	return start < end ? xstrndup(path + start, end - start) : xstrdup("/");
}

/* `path` with its links followed as far as they lead somewhere: the answer for a link's target
 * (moby: symlink.FollowSymlinkInScope). Names that are not there stay as they are. */
static char *follow(struct rootfs *fs, const char *path)
{
	char *rest = xstrdup(path), *done = xstrdup("");
	unsigned links = 0;

	while (*rest && links < LINKS_MAX) {
		size_t slashes = strspn(rest, "/"), n = strcspn(rest + slashes, "/");
		CLEANUP(freep) char *name = xstrndup(rest + slashes, n), *after = xstrdup(rest + slashes + n);
		CLEANUP(freep) char *next = xasprintf("%s/%s", done, name);
		char target[4096];
		ssize_t len;

		free(rest);
		rest = NULL;
		if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
			char *slash = strcmp(name, "..") == 0 ? strrchr(done, '/') : NULL;

			if (slash)
				*slash = '\0';
			rest = xstrdup(after);
			continue;
		}
		len = rootfs_readlink(fs, NULL, NULL, next, target, sizeof(target));
		if (len > 0) {
			links++;
			if (target[0] == '/')
				*done = '\0';
			rest = xasprintf("%.*s%s", (int)len, target, after);
			continue;
		}
		free(done);
		done = xstrdup(next);
		rest = xstrdup(after);
	}
	free(rest);
	if (*done)
		return done;
	free(done);
	return xstrdup("/");
}

static int look(struct file_job *j, struct rootfs *fs)
{
	struct rootfs_stat st;
	int r = rootfs_stat(fs, NULL, NULL, j->path, means_dir(j->path) ? 0 : AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0)
		return cannot_find(j, r);
	j->stat.name = base_name(j->path);
	j->stat.size = st.size;
	j->stat.go_mode = local_files_go_mode(st.mode);
	j->stat.mtime_ns = (int64_t)st.mtime.tv_sec * 1000000000 + st.mtime.tv_nsec;
	if (S_ISLNK(st.mode))
		j->stat.link_target = follow(fs, j->path);
	return 0;
}

/* A link's target is told as an absolute path, as far as that can be known from here. */
void local_files_stat(struct file_job *job, int64_t size, uint32_t mode, int64_t mtime_ns, const char *link)
{
	const char *slash = strrchr(job->path, '/');

	job->stat.name = base_name(job->path);
	job->stat.size = size;
	job->stat.go_mode = local_files_go_mode(mode);
	job->stat.mtime_ns = mtime_ns;
	if (link)
		job->stat.link_target = link[0] == '/' || !slash ?
						xstrdup(link) :
						xasprintf("%.*s/%s", (int)(slash - job->path), job->path, link);
}

/* ---- tar ---- */

static ssize_t write_fd(void *arg, const void *data, size_t len)
{
	ssize_t n = write(((struct file_job *)arg)->tar_fd, data, len);

	return n < 0 ? -errno : n;
}

struct source {
	int fd;
	char buffer[CHUNK];
};

static ssize_t read_fd(void *arg, const void **ret)
{
	struct source *s = arg;
	ssize_t n = read(s->fd, s->buffer, sizeof(s->buffer));

	*ret = s->buffer;
	return n < 0 ? -errno : n;
}

/* The mount that the path lies in, by its name: the walk itself refuses what links hide. */
static int check_writable(struct file_job *j)
{
	const struct run_mount *in = &j->plan->mounts[0];
	size_t longest = 0;

	for (size_t i = 1; i < j->plan->nmounts; i++) {
		const struct run_mount *m = &j->plan->mounts[i];
		size_t n = strlen(m->target);

		if (n > longest && strncmp(j->path, m->target, n) == 0 && (!j->path[n] || j->path[n] == '/')) {
			in = m;
			longest = n;
		}
	}
	if (!in->is_readonly)
		return 0;
	return error_set_class(&j->err, ERROR_FORBIDDEN,
			       longest ? "mounted volume is marked read-only" : "container rootfs is marked read-only");
}

static void put(struct file_job *j, struct rootfs *fs)
{
	struct tar_extract_options opt = { .no_overwrite_dir_non_dir = j->no_overwrite_dir_non_dir,
					   .copy_uid_gid = true,
					   .has_owner = j->copy_uid_gid,
					   .uid = j->uid,
					   .gid = j->gid };
	struct source *s;
	struct rootfs_stat st;
	int r;

	rootfs_count_used(fs);
	r = rootfs_stat(fs, NULL, NULL, j->path, 0, &st);
	if (r < 0) {
		cannot_find(j, r);
		return;
	}
	if (!S_ISDIR(st.mode)) {
		error_set_class(&j->err, ERROR_INVALID, "extraction point is not a directory");
		return;
	}
	if (check_writable(j) < 0)
		return;
	s = xnew(struct source);
	s->fd = j->tar_fd;
	/* Looked through first: what is no whole archive changes nothing. */
	if (tar_check(read_fd, s, &j->err) == 0 && lseek(s->fd, 0, SEEK_SET) == 0)
		tar_extract(fs, j->path, &opt, read_fd, s, &j->err);
	free(s);
}

static void get(struct file_job *j, struct rootfs *fs)
{
	struct tar_write_options opt = { 0 };
	CLEANUP(freep) char *whole = NULL;

	if (look(j, fs) < 0)
		return;
	opt.rename_root = j->stat.name;
	opt.is_gzip = j->stat.is_gzip = j->is_gzip;
	if (j->path[1] && j->path[strlen(j->path) - 1] == '/')
		whole = xasprintf("%s.", j->path);
	tar_write(fs, whole ? whole : j->path, &opt, write_fd, j, &j->err);
}

static void export_all(struct file_job *j, struct rootfs *fs)
{
	struct tar_write_options opt = { .contents_only = true, .skip_mounts = true };

	tar_write(fs, "/", &opt, write_fd, j, &j->err);
}

/* ---- changes ---- */

struct change {
	char *path;
	int kind;
};
struct changes {
	struct change *v;
	size_t n, size;
};

static int emit_change(void *arg, const char *path, int kind)
{
	struct changes *c = arg;

	if (c->n == c->size) {
		c->size = c->size ? 2 * c->size : 64;
		c->v = xrealloc(c->v, c->size * sizeof(*c->v));
	}
	c->v[c->n++] = (struct change){ xstrdup(path), kind };
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct change *)a)->path, ((const struct change *)b)->path);
}

/* In the order of paths, as Docker tells them. */
static int find_changes(struct file_job *j, struct rootfs *fs)
{
	struct changes c = { 0 };
	int r = rootfs_changes(fs, emit_change, &c);

	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), by_path);
	j->changes = json_array();
	for (size_t i = 0; i < c.n; i++) {
		json_t *o = json_pack("{s:s, s:i}", "Path", c.v[i].path, "Kind", c.v[i].kind);

		if (o) /* a name that is no UTF-8 cannot be told in JSON */
			json_array_append_new(j->changes, o);
		free(c.v[i].path);
	}
	free(c.v);
	return r;
}

static void work(uv_work_t *w)
{
	struct file_job *j = w->data;
	struct rootfs *fs;
	int r;

	if (j->op == FILE_LAYER)
		return;
	r = local_files_open(j->plan, &fs);
	if (r < 0) {
		error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r));
		return;
	}
	switch (j->op) {
	case FILE_STAT: look(j, fs); break;
	case FILE_GET: get(j, fs); break;
	case FILE_PUT: put(j, fs); break;
	case FILE_EXPORT: export_all(j, fs); break;
	case FILE_CHANGES: r = find_changes(j, fs); break;
	case FILE_SIZE: r = rootfs_usage(fs, &j->upper_bytes, &j->total_bytes); break;
	case FILE_LAYER: break;
	}
	if (r < 0)
		error_set(&j->err, r, "the container's files cannot be read: %s", strerror(-r));
	rootfs_free(fs);
}

static void after(uv_work_t *w, int status)
{
	struct file_job *j = w->data;

	(void)status;
	j->done(j);
}

int local_files_run(uv_loop_t *loop, struct file_job *job)
{
	job->work.data = job;
	uv_queue_work(loop, &job->work, work, after);
	return 0;
}
