/* Answers that an embedder's driver gives to what takes time, and work on files.
 * They reach whoever asked from the loop's next turn, whenever they are given. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/custom_internal.h"
#include "drivers/local_files.h"
#include "util/alloc.h"

static void on_closed(uv_handle_t *h)
{
	struct sockerless_answer *a = h->data;

	free(a->rows);
	free(a);
}

struct sockerless_answer *custom_answer_new(struct custom_driver *d, void (*deliver)(struct sockerless_answer *a), void *arg)
{
	struct sockerless_answer *a = xnew(struct sockerless_answer);

	a->driver = d;
	a->deliver = deliver;
	a->arg = arg;
	list_append(&d->answers, &a->link);
	uv_timer_init(d->loop, &a->timer);
	a->timer.data = a;
	return a;
}

void custom_answer_drop(struct sockerless_answer *a)
{
	list_remove(&a->link);
	uv_close((uv_handle_t *)&a->timer, on_closed);
}

static void on_turn(uv_timer_t *t)
{
	struct sockerless_answer *a = t->data;

	list_remove(&a->link);
	a->deliver(a);
	uv_close((uv_handle_t *)t, on_closed);
}

void custom_answers_end(struct custom_driver *d)
{
	list_for_each_safe(it, &d->answers) {
		struct sockerless_answer *a = container_of(it, struct sockerless_answer, link);

		if (!a->is_given)
			error_set_class(&a->err, ERROR_UNAVAILABLE, "the daemon is stopping");
		on_turn(&a->timer);
	}
}

static void give(struct sockerless_answer *a)
{
	if (a->is_given)
		return;
	a->is_given = true;
	uv_timer_start(&a->timer, on_turn, 0, 0);
}

void sockerless_answer_done(struct sockerless_answer *a)
{
	give(a);
}

static void set_failure(struct sockerless_answer *a, int code, const char *message)
{
	if (code >= 0)
		code = -EIO;
	if (a->job && code == -ENOENT)
		error_set_class(&a->err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s",
				a->job->path ? a->job->path : "/", a->job->container->name);
	else
		error_set(&a->err, code, "%.900s", message && *message ? message : strerror(-code));
}

void sockerless_answer_failed(struct sockerless_answer *a, int code, const char *message)
{
	if (!a->is_given)
		set_failure(a, code, message);
	give(a);
}

void sockerless_answer_row(struct sockerless_answer *a, const struct sockerless_process_row *row)
{
	a->rows = xrealloc(a->rows, (a->nrows + 1) * sizeof(*a->rows));
	public_row(row, &a->rows[a->nrows++]);
}

void sockerless_answer_stats(struct sockerless_answer *a, const struct sockerless_process_stats *stats)
{
	public_stats(stats, &a->figures);
}

/* ---- files ---- */

void sockerless_answer_path(struct sockerless_answer *a, const struct sockerless_path_stat *stat)
{
	struct path_stat *to = &a->job->stat;
	struct sockerless_path_stat s;

	public_copy(&s, sizeof(s), stat, stat->size);
	free(to->name);
	free(to->link_target);
	to->name = xstrdup(s.name ? s.name : "/");
	to->size = s.size_bytes;
	to->go_mode = local_files_go_mode(s.mode);
	to->mtime_ns = s.mtime_ns;
	to->link_target = xstrdup(s.link_target);
}

void sockerless_answer_change(struct sockerless_answer *a, const char *path, enum sockerless_change change)
{
	if (!a->job->changes)
		a->job->changes = json_array();
	json_array_append_new(a->job->changes, json_pack("{s:s, s:i}", "Path", path, "Kind", (int)change));
}

void sockerless_answer_size(struct sockerless_answer *a, uint64_t own_bytes, uint64_t total_bytes)
{
	a->job->upper_bytes = own_bytes;
	a->job->total_bytes = total_bytes;
}

static void deliver_file(struct sockerless_answer *a)
{
	struct file_job *job = a->job;

	job->err = a->err;
	if (!a->err.code && (job->op == FILE_STAT || job->op == FILE_GET) && !job->stat.name)
		error_set(&job->err, -EIO, "driver %s has answered without a path", a->driver->ops.name);
	if (job->op == FILE_CHANGES && !job->changes)
		job->changes = json_array();
	job->done(job);
}

static struct sockerless_file_job public_job(const struct file_job *job)
{
	static const enum sockerless_file_op ops[] = {
		[FILE_STAT] = SOCKERLESS_FILE_STAT,     [FILE_GET] = SOCKERLESS_FILE_GET,
		[FILE_PUT] = SOCKERLESS_FILE_PUT,       [FILE_CHANGES] = SOCKERLESS_FILE_CHANGES,
		[FILE_EXPORT] = SOCKERLESS_FILE_EXPORT, [FILE_SIZE] = SOCKERLESS_FILE_SIZE
	};
	bool has_path = job->op == FILE_STAT || job->op == FILE_GET || job->op == FILE_PUT;

	return (struct sockerless_file_job){ .size = sizeof(struct sockerless_file_job),
					     .op = ops[job->op],
					     .container_id = job->container->id,
					     .path = has_path ? job->path : NULL,
					     .tar_fd = job->tar_fd,
					     .no_overwrite_dir_non_dir = job->no_overwrite_dir_non_dir,
					     .copy_uid_gid = job->copy_uid_gid };
}

int custom_files_run(struct driver *base, struct file_job *job, struct error *err)
{
	struct custom_driver *d = custom_of(base);
	bool is_ours = job->container->driver && strcmp(job->container->driver, d->ops.name) == 0;
	struct sockerless_error said = PUBLIC_ERROR_INIT;
	void *process = custom_running(d, job->container->id);
	int r = SOCKERLESS_DECLINED;

	if (job->op == FILE_LAYER && process && d->filesystem.run)
		return error_set_class(err, ERROR_CONFLICT,
				       "container %.12s cannot be committed: its files are not kept by this engine",
				       job->container->id);
	if (d->filesystem.run && job->op != FILE_LAYER) {
		struct sockerless_answer *a = custom_answer_new(d, deliver_file, NULL);

		a->job = job;
		a->public_job = public_job(job);
		r = d->filesystem.run(d->ctx, process, &a->public_job, a, &said);
		if (r != 0)
			custom_answer_drop(a);
	}
	if (r == SOCKERLESS_DECLINED)
		return is_ours ? local_files_run(d->loop, job) : DRIVER_DECLINED;
	if (r == -ENOENT)
		return error_set_class(err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s",
				       job->path, job->container->name);
	return r < 0 ? public_error(r, &said, err) : 0;
}
