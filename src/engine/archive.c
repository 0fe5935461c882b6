/* docker cp: files in and out of a container, running or not. The work is done
 * on the thread pool over the same directories that the sandbox sees; a tar
 * waits in an unlinked file of the data root, so neither side waits for the other. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/internal.h"
#include "rootfs/tar.h"
#include "util/alloc.h"

enum { CHUNK = 65536 };

enum archive_kind { ARCHIVE_STAT, ARCHIVE_GET, ARCHIVE_PUT };

struct archive_job {
	uv_work_t work;
	enum archive_kind kind;
	struct engine *engine;
	struct container *container;
	struct run_plan *plan;
	char *path;
	int fd;                      /* the tar */
	struct tar_extract_options extract;
	char buffer[CHUNK];
	struct path_stat st;
	struct error err;
	void (*stat_done)(void *arg, const struct path_stat *st, const struct error *err);
	struct stream *(*head)(void *arg, const struct path_stat *st, const struct error *err);
	engine_done put_done;
	void *arg;
	struct stream *stream;
};

/* ---- on the pool ---- */

static int open_view(struct archive_job *j, struct rootfs **ret)
{
	struct rootfs_mount *mounts = xcalloc(j->plan->nmounts, sizeof(*mounts));
	size_t n = 0;
	int r;

	for (size_t i = 0; i < j->plan->nmounts; i++) {
		const struct run_mount *m = &j->plan->mounts[i];

		if (m->kind == ROOTFS_MOUNT_VIRTUAL)
			continue;
		mounts[n++] = (struct rootfs_mount){ .kind = (enum rootfs_mount_kind)m->kind, .target = m->target,
						     .lower_fd = m->lower_fd, .upper_fd = m->upper_fd, .fd = m->fd,
						     .is_readonly = m->is_readonly, .is_bind = m->is_bind, .ctx = m->fd_name };
	}
	r = rootfs_new(mounts, n, ret);
	free(mounts);
	return r;
}

/* Go's os.FileMode. */
static uint32_t go_mode(uint32_t mode)
{
	uint32_t m = mode & 0777;

	m |= S_ISDIR(mode) ? 1u << 31 : S_ISLNK(mode) ? 1u << 27 : S_ISFIFO(mode) ? 1u << 25 : S_ISSOCK(mode) ? 1u << 24 : 0;
	if (S_ISCHR(mode))
		m |= 1u << 26 | 1u << 21;
	return m | (mode & S_ISUID ? 1u << 23 : 0) | (mode & S_ISGID ? 1u << 22 : 0) | (mode & S_ISVTX ? 1u << 20 : 0);
}

static int look(struct archive_job *j, struct rootfs *fs)
{
	struct rootfs_stat st;
	char target[4096], *base;
	size_t n = strlen(j->path);
	bool wants_dir = n > 1 && (j->path[n - 1] == '/' || (j->path[n - 1] == '.' && j->path[n - 2] == '/'));
	int r = rootfs_stat(fs, NULL, NULL, j->path, wants_dir ? 0 : AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0)
		return error_set_class(&j->err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s", j->path,
				       j->container->id);
	base = strrchr(j->path, '/');
	j->st.name = xstrdup(base && base[1] ? base + 1 : j->path);
	j->st.size = st.size;
	j->st.go_mode = go_mode(st.mode);
	j->st.mtime_ns = (int64_t)st.mtime.tv_sec * 1000000000 + st.mtime.tv_nsec;
	if (S_ISLNK(st.mode)) {
		ssize_t len = rootfs_readlink(fs, NULL, NULL, j->path, target, sizeof(target));

		j->st.link_target = xstrndup(target, len > 0 ? (size_t)len : 0);
	}
	return 0;
}

static ssize_t write_fd(void *arg, const void *data, size_t len)
{
	ssize_t n = write(((struct archive_job *)arg)->fd, data, len);

	return n < 0 ? -errno : n;
}

static ssize_t read_fd(void *arg, const void **ret)
{
	struct archive_job *j = arg;
	ssize_t n = read(j->fd, j->buffer, sizeof(j->buffer));

	*ret = j->buffer;
	return n < 0 ? -errno : n;
}

static void put(struct archive_job *j, struct rootfs *fs)
{
	struct rootfs_stat st;
	int r = rootfs_stat(fs, NULL, NULL, j->path, 0, &st);

	if (r < 0)
		error_set_class(&j->err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s", j->path,
				j->container->id);
	else if (!S_ISDIR(st.mode))
		error_set_class(&j->err, ERROR_INVALID, "extraction point is not a directory");
	else
		tar_extract(fs, j->path, &j->extract, read_fd, j, &j->err);
}

static void work(uv_work_t *w)
{
	struct archive_job *j = container_of(w, struct archive_job, work);
	struct tar_write_options opt = { 0 };
	struct rootfs *fs;
	int r = open_view(j, &fs);

	if (r < 0) {
		error_set(&j->err, r, "the container's files cannot be opened: %s", strerror(-r));
		return;
	}
	if (j->kind == ARCHIVE_PUT) {
		lseek(j->fd, 0, SEEK_SET);
		put(j, fs);
	} else if (look(j, fs) == 0 && j->kind == ARCHIVE_GET) {
		opt.rename_root = j->st.name;
		tar_write(fs, j->path, &opt, write_fd, j, &j->err);
		lseek(j->fd, 0, SEEK_SET);
	}
	rootfs_free(fs);
}

/* ---- on the loop ---- */

static void job_free(struct archive_job *j)
{
	if (j->fd >= 0)
		close(j->fd);
	run_plan_free(j->plan);
	container_unref(j->container);
	free(j->st.name);
	free(j->st.link_target);
	free(j->path);
	free(j);
}

static void pump(void *arg)
{
	struct archive_job *j = arg;

	while (!stream_is_full(j->stream)) {
		ssize_t n = read(j->fd, j->buffer, sizeof(j->buffer));

		if (n <= 0) {
			stream_end(j->stream);
			return;
		}
		if (stream_write(j->stream, j->buffer, (size_t)n) < 0)
			return;
	}
}

static void on_stream_closed(void *arg)
{
	job_free(arg);
}

static void after(uv_work_t *w, int status)
{
	static const struct stream_events events = { .on_drain = pump, .on_close = on_stream_closed };
	struct archive_job *j = container_of(w, struct archive_job, work);
	const struct error *err = j->err.code ? &j->err : NULL;

	(void)status;
	if (j->kind == ARCHIVE_STAT) {
		j->stat_done(j->arg, &j->st, err);
	} else if (j->kind == ARCHIVE_PUT) {
		j->put_done(j->arg, err);
	} else {
		j->stream = j->head(j->arg, &j->st, err);
		if (j->stream && !err) {
			stream_set_events(j->stream, &events, j);
			pump(j);
			return;
		}
	}
	job_free(j);
}

static struct archive_job *job_new(struct engine *e, struct container *c, const char *path, enum archive_kind kind,
				   struct error *err)
{
	struct archive_job *j = xnew(struct archive_job);
	int r;

	j->kind = kind;
	j->engine = e;
	j->container = container_ref(c);
	j->path = path[0] == '/' ? xstrdup(path) : xasprintf("/%s", path);
	j->fd = -1;
	r = plan_make(e, c, &j->plan, err);
	if (r == 0 && kind != ARCHIVE_STAT) {
		j->fd = open(e->options.data_root, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
		if (j->fd < 0)
			r = error_set(err, -errno, "no temporary file: %s", strerror(errno));
	}
	if (r < 0) {
		job_free(j);
		return NULL;
	}
	return j;
}

void engine_archive_stat(struct engine *e, struct container *c, const char *path,
			 void (*done)(void *arg, const struct path_stat *st, const struct error *err), void *arg)
{
	struct error err = { 0 };
	struct archive_job *j = job_new(e, c, path, ARCHIVE_STAT, &err);

	if (!j) {
		done(arg, NULL, &err);
		return;
	}
	j->stat_done = done;
	j->arg = arg;
	uv_queue_work(e->loop, &j->work, work, after);
}

void engine_archive_get(struct engine *e, struct container *c, const char *path,
			struct stream *(*head)(void *arg, const struct path_stat *st, const struct error *err), void *arg)
{
	struct error err = { 0 };
	struct archive_job *j = job_new(e, c, path, ARCHIVE_GET, &err);

	if (!j) {
		head(arg, NULL, &err);
		return;
	}
	j->head = head;
	j->arg = arg;
	uv_queue_work(e->loop, &j->work, work, after);
}

/* ---- upload ---- */

struct upload { struct archive_job *job; };

struct upload *engine_archive_put(struct engine *e, struct container *c, const char *path, bool no_overwrite_dir_non_dir,
				  bool copy_uid_gid, void (*on_drain)(void *arg), engine_done done, void *arg,
				  struct error *err)
{
	struct archive_job *j = job_new(e, c, path, ARCHIVE_PUT, err);
	struct upload *u;

	(void)on_drain;
	if (!j)
		return NULL;
	j->extract.no_overwrite_dir_non_dir = no_overwrite_dir_non_dir;
	j->extract.copy_uid_gid = copy_uid_gid;
	j->put_done = done;
	j->arg = arg;
	u = xnew(struct upload);
	u->job = j;
	return u;
}

int upload_write(struct upload *u, const void *data, size_t len)
{
	if (!u->job->err.code && write(u->job->fd, data, len) != (ssize_t)len)
		error_set(&u->job->err, -errno, "the upload cannot be stored: %s", strerror(errno));
	return 0;
}

void upload_end(struct upload *u, int result)
{
	struct archive_job *j = u->job;

	free(u);
	if (result == 0 && !j->err.code) {
		uv_queue_work(j->engine->loop, &j->work, work, after);
		return;
	}
	if (!j->err.code)
		error_set(&j->err, result, "the upload broke off: %s", strerror(-result));
	j->put_done(j->arg, &j->err);
	job_free(j);
}
