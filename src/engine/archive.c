/* docker cp, diff, export and sizes: the engine's side. The driver that serves
 * the container does the work; a tar waits in a spool, so that neither the
 * client nor the files are waited for by the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "util/alloc.h"
#include "util/spool.h"

struct archive_job {
	struct file_job file;        /* first: the driver hands it back */
	struct engine *engine;
	struct run_plan *plan;
	struct spool *spool;
	struct error early;          /* what failed before a driver was asked */
	void (*answer)(struct archive_job *j, const struct error *err);
	union {
		void (*stat)(void *arg, const struct path_stat *st, const struct error *err);
		struct stream *(*get)(void *arg, const struct path_stat *st, const struct error *err);
		struct stream *(*export)(void *arg, const struct error *err);
		void (*changes)(void *arg, json_t *borrow_array, const struct error *err);
		void (*size)(void *arg, int64_t rw, int64_t rootfs, const struct error *err);
		engine_done put;
	} done;
	void *arg;
};

static void job_free(void *arg)
{
	struct archive_job *j = arg;

	run_plan_free(j->plan);
	container_unref(j->file.container);
	json_decref(j->file.changes);
	free(j->file.stat.name);
	free(j->file.stat.link_target);
	free((char *)j->file.path);
	free(j);
}

/* Every job ends here, from the loop; `answer` frees it or keeps it for a stream. */
static void on_done(struct file_job *file)
{
	struct archive_job *j = (struct archive_job *)file;

	j->answer(j, file->err.code ? &file->err : NULL);
}

static void on_early(void *arg, const struct error *err)
{
	struct archive_job *j = arg;

	j->answer(j, err);
}

static struct archive_job *job_new(struct engine *e, struct container *c, enum file_op op, const char *path, void *arg)
{
	struct archive_job *j = xnew(struct archive_job);

	j->engine = e;
	j->arg = arg;
	j->file.op = op;
	j->file.container = container_ref(c);
	j->file.path = path[0] == '/' ? xstrdup(path) : xasprintf("/%s", path);
	j->file.tar_fd = -1;
	j->file.done = on_done;
	if (op == FILE_GET || op == FILE_PUT || op == FILE_EXPORT) {
		j->spool = spool_new(e->loop, e->options.data_root);
		if (!j->spool)
			error_set(&j->early, -errno, "no temporary file: %s", strerror(errno));
		else
			j->file.tar_fd = spool_fd(j->spool);
	}
	return j;
}

static void on_planned(void *arg, struct run_plan *plan, const struct error *err)
{
	struct archive_job *j = arg;

	j->plan = plan;
	j->file.plan = plan;
	if (!err && j->file.op == FILE_PUT && j->file.copy_uid_gid) {
		j->file.uid = plan->spec.uid;
		j->file.gid = plan->spec.gid;
	}
	if (err)
		j->early = *err;
	if (err || chain_files(j->engine->drivers, &j->file, &j->early) < 0)
		j->answer(j, &j->early);
}

static void job_run(struct archive_job *j)
{
	if (j->early.code)
		engine_later(j->engine, on_early, j, &j->early);
	else
		plan_make(j->engine, j->file.container, j->file.copy_uid_gid ? PLAN_OWNER : PLAN_MOUNTS, NULL, on_planned, j);
}

/* ---- stat, changes, size ---- */

static void answer_stat(struct archive_job *j, const struct error *err)
{
	j->done.stat(j->arg, err ? NULL : &j->file.stat, err);
	job_free(j);
}

void engine_archive_stat(struct engine *e, struct container *c, const char *path,
			 void (*done)(void *arg, const struct path_stat *st, const struct error *err), void *arg)
{
	struct archive_job *j = job_new(e, c, FILE_STAT, path, arg);

	j->answer = answer_stat;
	j->done.stat = done;
	job_run(j);
}

static void answer_changes(struct archive_job *j, const struct error *err)
{
	j->done.changes(j->arg, j->file.changes, err);
	job_free(j);
}

void engine_container_changes(struct engine *e, struct container *c,
			      void (*done)(void *arg, json_t *borrow_array, const struct error *err), void *arg)
{
	struct archive_job *j = job_new(e, c, FILE_CHANGES, "/", arg);

	j->answer = answer_changes;
	j->done.changes = done;
	job_run(j);
}

static void answer_size(struct archive_job *j, const struct error *err)
{
	j->done.size(j->arg, (int64_t)j->file.upper_bytes, (int64_t)j->file.total_bytes, err);
	job_free(j);
}

void engine_container_size(struct engine *e, struct container *c,
			   void (*done)(void *arg, int64_t rw, int64_t rootfs, const struct error *err), void *arg)
{
	struct archive_job *j = job_new(e, c, FILE_SIZE, "/", arg);

	j->answer = answer_size;
	j->done.size = done;
	job_run(j);
}

/* ---- get, export ---- */

static void send_tar(struct archive_job *j, struct stream *s, const struct error *err)
{
	if (s && !err) {
		spool_send(j->spool, s, job_free, j);
		return;
	}
	spool_free(j->spool);
	job_free(j);
}

static void answer_get(struct archive_job *j, const struct error *err)
{
	if (!err)
		engine_container_event(j->engine, j->file.container, "archive-path", NULL);
	send_tar(j, j->done.get(j->arg, &j->file.stat, err), err);
}

void engine_archive_get(struct engine *e, struct container *c, const char *path, bool is_gzip,
			struct stream *(*head)(void *arg, const struct path_stat *st, const struct error *err), void *arg)
{
	struct archive_job *j = job_new(e, c, FILE_GET, path, arg);

	j->file.is_gzip = is_gzip;
	j->answer = answer_get;
	j->done.get = head;
	job_run(j);
}

static void answer_export(struct archive_job *j, const struct error *err)
{
	if (!err)
		engine_container_event(j->engine, j->file.container, "export", NULL);
	send_tar(j, j->done.export(j->arg, err), err);
}

void engine_export(struct engine *e, struct container *c, struct stream *(*head)(void *arg, const struct error *err), void *arg)
{
	struct archive_job *j = job_new(e, c, FILE_EXPORT, "/", arg);

	j->answer = answer_export;
	j->done.export = head;
	job_run(j);
}

/* ---- put ---- */

struct upload {
	struct archive_job *job;
};

static void answer_put(struct archive_job *j, const struct error *err)
{
	if (!err)
		engine_container_event(j->engine, j->file.container, "extract-to-dir", NULL);
	j->done.put(j->arg, err);
	spool_free(j->spool);
	job_free(j);
}

struct upload *engine_archive_put(struct engine *e, struct container *c, const char *path,
				  bool no_overwrite_dir_non_dir, bool copy_uid_gid, void (*on_drain)(void *arg),
				  engine_done done, void *arg, struct error *err)
{
	struct archive_job *j = job_new(e, c, FILE_PUT, path, arg);
	struct upload *u;

	if (j->early.code) {
		*err = j->early;
		job_free(j);
		return NULL;
	}
	j->answer = answer_put;
	j->done.put = done;
	j->file.no_overwrite_dir_non_dir = no_overwrite_dir_non_dir;
	/* A container without a user has nobody to give the files to (moby: tarCopyOptions). */
	j->file.copy_uid_gid = copy_uid_gid && json_string_length(json_object_get(c->config, "User")) > 0;
	spool_on_drain(j->spool, on_drain, arg);
	u = xnew(struct upload);
	u->job = j;
	return u;
}

int upload_write(struct upload *u, const void *data, size_t len)
{
	return spool_write(u->job->spool, data, len);
}

static void on_stored(void *arg, int result)
{
	struct archive_job *j = arg;

	if (result < 0 && !j->early.code)
		error_set(&j->early, result, "the upload cannot be stored: %s", strerror(-result));
	job_run(j);
}

void upload_end(struct upload *u, int result)
{
	struct archive_job *j = u->job;

	free(u);
	if (result < 0)
		error_set(&j->early, result, "the upload broke off: %s", strerror(-result));
	spool_finish(j->spool, on_stored, j);
}
