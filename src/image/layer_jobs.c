/* Layers in the making: a blob unpacked upon its parent's root, or a directory's
 * changes written as a blob first. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/layers_internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"
#include "util/list.h"

struct layer_job {
	uv_work_t work;
	uv_async_t *progress; /* NULL: nobody asks */
	struct layers *layers;
	struct layer *parent;
	struct layer made;
	bool has_expected, is_unchanged, is_fresh; /* fresh: made.blob has been checked a moment ago */
	char expected[DIGEST_LEN + 1];
	char *upper_path;     /* commit; NULL: unpack */
	struct layer_write_options write;
	char *blob_path;      /* what is unpacked */
	char *staged;         /* commit: to be settled */
	char *root;           /* the new directory */
	_Atomic uint64_t bytes;
	atomic_bool is_cancelled;
	struct error err;
	void (*on_progress)(void *arg, uint64_t bytes);
	layer_done done;
	void *arg;
};

/* ---- on the pool ---- */

static int open_dir(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : fd;
}

struct source {
	struct layer_job *job;
	struct blob_reader *reader;
	uint64_t told;
};

/* Progress is told once a megabyte: every message costs the loop a turn. */
static ssize_t read_source(void *arg, const void **ret)
{
	struct source *s = arg;
	uint64_t at = blob_reader_position(s->reader);

	if (atomic_load(&s->job->is_cancelled))
		return -ECANCELED;
	atomic_store(&s->job->bytes, at);
	if (s->job->progress && at - s->told > 1024 * 1024) {
		s->told = at;
		uv_async_send(s->job->progress);
	}
	return blob_reader_read(s->reader, ret);
}

static int clone_parent(struct layer_job *job, int to_fd)
{
	CLEANUP(closep) int from = -1;
	int r;

	if (!job->parent)
		return 0;
	from = open_dir(job->parent->root, &job->err);
	if (from < 0)
		return from;
	r = layer_clone(from, to_fd);
	return r < 0 ? error_set(&job->err, r, "the layer below: %s", strerror(-r)) : 0;
}

static int apply(struct layer_job *job, int to_fd)
{
	struct source s = { .job = job };
	struct layer_figures figures = { 0 };
	struct error err = { 0 };
	int r;

	s.reader = job->is_fresh ? blob_reader_open_known(job->blob_path, job->made.blob, &job->err) :
				   blob_reader_open(job->blob_path, &job->err);
	if (!s.reader)
		return job->err.code;
	job->made.compression = blob_reader_compression(s.reader);
	r = layer_apply(to_fd, NULL, read_source, &s, &figures, &job->err);
	job->made.tar_bytes = blob_reader_drain(s.reader);
	if (blob_reader_end(s.reader, job->made.diff_id, &err) < 0 && r == 0)
		job->err = err, r = err.code;
	job->made.bytes = figures.bytes;
	job->made.has_native = figures.has_native || (job->parent && job->parent->has_native);
	return r;
}

/* A directory beside the others, given its name when all of it is there. */
static int unpack(struct layer_job *job)
{
	CLEANUP(closep) int fd = -1;
	char id[ID_LEN + 1];
	int r;

	id_generate(id);
	job->root = xasprintf("%s/rootfs/new-%.16s", job->layers->options.data_root, id);
	if (mkdir(job->root, 0755) < 0 || chmod(job->root, 0755) < 0)
		return error_set(&job->err, -errno, "%s: %s", job->root, strerror(errno));
	fd = open_dir(job->root, &job->err);
	r = fd < 0 ? fd : clone_parent(job, fd);
	if (r == 0)
		r = apply(job, fd);
	if (r == 0 && job->has_expected && strcmp(job->made.diff_id, job->expected) != 0)
		r = error_set_class(&job->err, ERROR_INVALID, "wrong diff id calculated on extraction %s, expected %s",
				    job->made.diff_id, job->expected);
	layer_chain_id(job->parent ? job->parent->chain_id : NULL, job->made.diff_id, job->made.chain_id);
	return r;
}

struct sink {
	struct layer_job *job;
	struct blob_writer *writer;
};

static ssize_t write_sink(void *arg, const void *data, size_t len)
{
	struct sink *s = arg;
	int r = atomic_load(&s->job->is_cancelled) ? -ECANCELED : blob_writer_add(s->writer, data, len);

	return r < 0 ? r : (ssize_t)len;
}

static int write_changes(struct layer_job *job, int lower_fd, int upper_fd, struct sink *s, uint64_t *ret_entries)
{
	struct rootfs_mount mount = {
		.kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = lower_fd, .upper_fd = upper_fd, .fd = -1, .is_readonly = true
	};
	struct rootfs *fs;
	int r = rootfs_new(&mount, 1, &fs);

	if (r < 0)
		return error_set(&job->err, r, "%s: %s", job->upper_path, strerror(-r));
	r = layer_write(fs, &job->write, write_sink, s, ret_entries, &job->err);
	rootfs_free(fs);
	return r;
}

static int stage_changes(struct layer_job *job)
{
	CLEANUP(closep) int upper = open_dir(job->upper_path, &job->err), lower = -1;
	struct sink s = { job, NULL };
	uint64_t entries = 0;

	if (upper < 0)
		return upper;
	lower = open_dir(job->parent ? job->parent->root : job->layers->empty_root, &job->err);
	if (lower < 0)
		return lower;
	s.writer = blob_writer_new(job->layers->options.data_root, &job->err);
	if (!s.writer)
		return job->err.code;
	if (write_changes(job, lower, upper, &s, &entries) < 0 || entries == 0) {
		blob_writer_abort(s.writer);
		job->is_unchanged = job->err.code == 0;
		return job->err.code;
	}
	return blob_writer_end(s.writer, NULL, job->made.blob, &job->made.blob_bytes, &job->staged, &job->err);
}

static void work(uv_work_t *w)
{
	struct layer_job *job = container_of(w, struct layer_job, work);
	struct stat st;
	int r = 0;

	if (job->upper_path) {
		r = stage_changes(job);
		if (r == 0 && !job->is_unchanged)
			job->blob_path = xstrdup(job->staged);
	} else if (stat(job->blob_path, &st) == 0) {
		job->made.blob_bytes = (uint64_t)st.st_size;
	}
	if (r == 0 && !job->is_unchanged)
		unpack(job);
	if (atomic_load(&job->is_cancelled))
		error_set(&job->err, -ECANCELED, "cancelled");
}

/* ---- on the loop ---- */

static void on_progress(uv_async_t *handle)
{
	struct layer_job *job = handle->data;

	if (job)
		job->on_progress(job->arg, atomic_load(&job->bytes));
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void job_free(struct layer_job *job)
{
	if (job->progress) {
		job->progress->data = NULL;
		uv_close((uv_handle_t *)job->progress, free_handle);
	}
	layer_unref(job->layers, job->parent);
	free(job->upper_path);
	free(job->blob_path);
	free(job->staged);
	free(job->root);
	free(job);
}

static void discard(struct layer_job *job)
{
	if (job->staged)
		unlink(job->staged);
	if (job->root) {
		CLEANUP(freep) char *dir = xasprintf("%s/rootfs", job->layers->options.data_root);
		int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0) {
			rootfs_remove_tree(fd, strrchr(job->root, '/') + 1);
			close(fd);
		}
	}
}

static struct layer *add(struct layer_job *job)
{
	struct layers *ls = job->layers;
	struct layer *l;
	bool is_staged = job->staged != NULL;

	if (is_staged && layers_settle_blob(ls, steal_ptr(job->staged), job->made.blob, &job->err) < 0)
		return NULL;
	l = layers_add(ls, job->parent, &job->made, steal_ptr(job->root), &job->err);
	if (is_staged)
		layers_unpin_blob(ls, job->made.blob);
	return l;
}

static void discard_work(uv_work_t *w)
{
	discard(container_of(w, struct layer_job, work));
}

static void finish(struct layer_job *job, struct layer *l)
{
	struct layers *ls = job->layers;

	job->done(job->arg, l, job->err.code ? &job->err : NULL);
	layer_unref(ls, l);
	job_free(job);
}

static void on_discarded(uv_work_t *w, int status)
{
	(void)status;
	finish(container_of(w, struct layer_job, work), NULL);
}

static void after(uv_work_t *w, int status)
{
	struct layer_job *job = container_of(w, struct layer_job, work);

	if (status < 0 && !job->err.code)
		error_set(&job->err, status, "cancelled");
	if (job->err.code)
		uv_queue_work(job->layers->options.loop, &job->work, discard_work, on_discarded);
	else
		finish(job, job->is_unchanged ? NULL : add(job));
}

static struct layer_job *job_new(struct layers *ls, struct layer *parent, layer_done done, void *arg)
{
	struct layer_job *job = xnew(struct layer_job);

	job->layers = ls;
	job->parent = layer_ref(parent);
	job->done = done;
	job->arg = arg;
	return job;
}

struct layer_job *layers_unpack(struct layers *ls, struct layer *parent, const char *blob, const char *expected,
				void (*on_bytes)(void *arg, uint64_t bytes), layer_done done, void *arg)
{
	struct layer_job *job = job_new(ls, parent, done, arg);

	memcpy(job->made.blob, blob, sizeof(job->made.blob));
	job->blob_path = blob_path(ls->options.data_root, blob);
	job->is_fresh = layers_take_fresh(ls, blob);
	job->has_expected = expected != NULL;
	if (expected)
		memcpy(job->expected, expected, sizeof(job->expected));
	if (on_bytes) {
		job->on_progress = on_bytes;
		job->progress = xnew(uv_async_t);
		uv_async_init(ls->options.loop, job->progress, on_progress);
		job->progress->data = job;
	}
	uv_queue_work(ls->options.loop, &job->work, work, after);
	return job;
}

struct layer_job *layers_commit(struct layers *ls, struct layer *parent, const char *upper_path,
				const struct layer_write_options *opt, layer_done done, void *arg)
{
	struct layer_job *job = job_new(ls, parent, done, arg);

	job->upper_path = xstrdup(upper_path);
	job->is_fresh = true;
	if (opt)
		job->write = *opt;
	uv_queue_work(ls->options.loop, &job->work, work, after);
	return job;
}

void layer_job_cancel(struct layer_job *job)
{
	atomic_store(&job->is_cancelled, true);
}
