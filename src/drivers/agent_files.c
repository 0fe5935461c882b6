/* docker cp and its like. While the container runs, its agent reads and writes the files where they are; what only the
 * layers can tell (diff, export, sizes) is asked of them, after its launcher has brought the changes there. When it does
 * not run, or its agent is a plain one, what lies on this host is worked on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/agent_internal.h"
#include "drivers/local_files.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { NOT_FOUND = 44, INVALID = 40, CHUNK = 64 << 10, SAID_MAX = 1000 }; /* the codes of the agent's files.c */

struct work {
	struct agent_driver *driver;
	struct file_job *job;
	struct agent_session *session;
	struct buf out, said;   /* a stat's answer; stderr */
	uv_fs_t fs;
	char *chunk;            /* on its way from or to the job's file */
	size_t at, len;
	int code;
	bool is_put, is_stat, is_writing, is_over, has_failed;
	char reason[200];
};

static void finish(struct work *w)
{
	struct file_job *job = w->job;

	agent_session_release(w->session);
	buf_done(&w->out);
	buf_done(&w->said);
	free(w->chunk);
	free(w);
	job->done(job);
}

/* ---- the end of the session becomes the job's ---- */

static void read_stat(struct work *w)
{
	struct file_job *job = w->job;
	json_t *o = json_loadb(w->out.data ? w->out.data : "", w->out.len, 0, NULL);
	const char *link = json_string_value(json_object_get(o, "link"));

	if (!o) {
		error_set(&job->err, -EPROTO, "the container's agent gives no answer");
		return;
	}
	local_files_stat(job, json_integer_value(json_object_get(o, "size")),
			 (uint32_t)json_integer_value(json_object_get(o, "mode")),
			 json_integer_value(json_object_get(o, "mtime_s")) * 1000000000 +
				 json_integer_value(json_object_get(o, "mtime_ns")),
			 link);
	json_decref(o);
}

static int open_session(struct work *w, const char *op);

static void conclude(struct work *w)
{
	struct file_job *job = w->job;
	const char *said = w->said.data ? w->said.data : "";

	if (w->reason[0])
		error_set_class(&job->err, ERROR_UNAVAILABLE, "%s", w->reason);
	else if (w->code == NOT_FOUND)
		error_set_class(&job->err, ERROR_NOT_FOUND, "Could not find the file %.300s in container %s", job->path,
				job->container->name);
	else if (w->code == INVALID)
		error_set_class(&job->err, ERROR_INVALID, "%s", said);
	else if (w->code)
		error_set(&job->err, -EIO, "%s", *said ? said : "the container's agent could not do it");
	else if (w->is_stat)
		read_stat(w);
	if (w->is_stat && job->op == FILE_GET && !job->err.code) { /* what is to be sent is known: now the archive */
		w->is_stat = w->is_over = false;
		agent_session_release(w->session);
		w->session = NULL;
		job->stat.is_gzip = job->is_gzip;
		if (open_session(w, "g") == 0)
			return;
		error_set_class(&job->err, ERROR_UNAVAILABLE, "the container's agent takes no more work");
	}
	finish(w);
}

static void maybe_conclude(struct work *w)
{
	if (w->is_over && !w->is_writing)
		conclude(w);
}

/* ---- the archive's bytes, between the session and the job's file; on the pool, a chunk at a time ---- */

static void write_chunk(struct work *w);

static void on_chunk_written(uv_fs_t *req)
{
	struct work *w = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	w->is_writing = false;
	if (n <= 0 && !w->has_failed) {
		w->has_failed = true;
		error_set(&w->job->err, n < 0 ? (int)n : -EIO, "the archive cannot be kept: %s", uv_strerror((int)n));
	}
	if (w->has_failed)
		buf_reset(&w->out);
	else
		buf_consume(&w->out, (size_t)n);
	if (w->out.len > 0) {
		write_chunk(w);
		return;
	}
	if (!w->is_over)
		agent_session_flow(w->session, true);
	maybe_conclude(w);
}

/* The buffer may grow meanwhile: what is written is copied. */
static void write_chunk(struct work *w)
{
	size_t n = w->out.len < CHUNK ? w->out.len : CHUNK;
	uv_buf_t b = uv_buf_init(w->chunk, (unsigned)n);

	memcpy(w->chunk, w->out.data, n);
	w->is_writing = true;
	w->fs.data = w;
	uv_fs_write(w->driver->loop, &w->fs, w->job->tar_fd, &b, 1, -1, on_chunk_written);
}

static void read_chunk(struct work *w);

static void give_on(struct work *w)
{
	if (w->len == 0) {
		agent_session_close_stdin(w->session);
		return;
	}
	if (agent_session_stdin(w->session, w->chunk, w->len) == 0) /* else it has room later, or has ended */
		read_chunk(w);
}

static void on_chunk_read(uv_fs_t *req)
{
	struct work *w = req->data;
	ssize_t n = req->result;

	uv_fs_req_cleanup(req);
	w->is_writing = false;
	w->len = n > 0 ? (size_t)n : 0;
	if (w->is_over)
		maybe_conclude(w);
	else
		give_on(w);
}

static void read_chunk(struct work *w)
{
	uv_buf_t b = uv_buf_init(w->chunk, CHUNK);

	w->is_writing = true;
	w->fs.data = w;
	uv_fs_read(w->driver->loop, &w->fs, w->job->tar_fd, &b, 1, -1, on_chunk_read);
}

/* ---- the session ---- */

static void on_started(void *arg, int pid)
{
	struct work *w = arg;

	(void)pid;
	if (w->is_put)
		read_chunk(w);
}

static void on_failed(void *arg, int exit_code, const char *message)
{
	struct work *w = arg;

	w->code = exit_code;
	snprintf(w->reason, sizeof(w->reason), "%s", message);
	w->is_over = true;
	maybe_conclude(w);
}

static void on_output(void *arg, int stream, const void *data, size_t len)
{
	struct work *w = arg;

	if (stream == 2) {
		buf_append(&w->said, data, len < SAID_MAX - w->said.len ? len : SAID_MAX - w->said.len);
		return;
	}
	buf_append(&w->out, data, len);
	if (w->is_stat || w->is_writing)
		return;
	agent_session_flow(w->session, false);
	write_chunk(w);
}

static void on_exited(void *arg, int code, const char *reason)
{
	struct work *w = arg;

	w->code = code;
	snprintf(w->reason, sizeof(w->reason), "%s", reason ? reason : "");
	w->is_over = true;
	maybe_conclude(w);
}

static void on_drained(void *arg)
{
	struct work *w = arg;

	if (w->is_put && !w->is_over && !w->is_writing && w->len > 0)
		read_chunk(w);
}

static const struct agent_session_events events = { on_started, on_failed, on_output, on_exited, on_drained };

static int open_session(struct work *w, const char *op)
{
	struct agent_container *ac = map_get(&w->driver->running, w->job->container->id);
	const struct file_job *job = w->job;
	json_t *m = json_pack("{s:s, s:s, s:s, s:b, s:b}", "type", "files", "op", op, "path", job->path, "no_overwrite",
			      job->no_overwrite_dir_non_dir, "gzip", job->is_gzip);

	if (job->op == FILE_PUT && job->copy_uid_gid) {
		json_object_set_new(m, "uid", json_integer(job->uid));
		json_object_set_new(m, "gid", json_integer(job->gid));
	}
	buf_reset(&w->out);
	w->session = ac && ac->agent ? agent_session_open(ac->agent, m, &events, w) : (json_decref(m), NULL);
	return w->session ? 0 : -ENOTCONN;
}

static int run_there(struct agent_driver *d, struct file_job *job, struct error *err)
{
	struct work *w = xnew(struct work);

	w->driver = d;
	w->job = job;
	w->is_put = job->op == FILE_PUT;
	w->is_stat = !w->is_put;
	w->chunk = xmalloc(CHUNK);
	buf_init(&w->out, 1 << 20);
	buf_init(&w->said, SAID_MAX);
	if (open_session(w, w->is_put ? "p" : "s") == 0)
		return 0;
	free(w->chunk);
	free(w);
	return error_set_class(err, ERROR_UNAVAILABLE, "the container's agent takes no more work");
}

/* ---- the layers ---- */

static void on_changes(void *arg, int r, const char *why)
{
	struct file_job *job = arg;

	(void)why;
	if (r < 0 && job->op != FILE_SIZE) {
		error_set(&job->err, -EIO,
			  "the changes of container %.12s cannot be taken from where it runs: its launcher.log says why",
			  job->container->id);
		job->done(job);
		return;
	}
	local_files_run(((struct agent_driver *)job->driver)->loop, job);
}

int agent_files_run(struct driver *base, struct file_job *job, struct error *err)
{
	struct agent_driver *d = (struct agent_driver *)base;
	struct agent_container *ac = map_get(&d->running, job->container->id);
	bool is_layers = job->op != FILE_STAT && job->op != FILE_GET && job->op != FILE_PUT;

	if (ac && !ac->is_over && !is_layers && agent_link_is_up(ac->agent) && agent_link_is_ours(ac->agent))
		return run_there(d, job, err);
	if (job->op == FILE_LAYER && ac && !(ac->launch && launch_has_root(ac->launch)))
		return error_set_class(err, ERROR_CONFLICT,
				       "container %.12s cannot be committed: its files lie where its agent runs",
				       job->container->id);
	if (ac && ac->launch && launch_has_root(ac->launch) && ac->was_up) {
		job->driver = base;
		launch_take_changes(ac->launch, on_changes, job);
		return 0;
	}
	return local_files_run(d->loop, job);
}
