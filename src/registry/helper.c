#include "registry/helper.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/buf.h"
#include "util/json.h"

/* A manifest and a config at their largest, every byte escaped. */
#define LINE_MAX_BYTES (96u << 20)

struct helper {
	uv_process_t process;
	uv_pipe_t in, out;
	int nhandles; /* not closed yet */
	struct buf line;
	const struct helper_calls *calls; /* NULL: killed */
	void *arg;
	bool has_exited, has_ended, has_result, is_unreachable;
	int signal;
	struct error err;
};

struct writing {
	uv_write_t req;
	struct helper *helper;
	char *text;
	size_t len;
};

static void on_closed(uv_handle_t *handle)
{
	struct helper *h = handle->data;

	if (--h->nhandles > 0)
		return;
	buf_done(&h->line);
	free(h);
}

static void close_all(struct helper *h)
{
	uv_handle_t *handles[] = { (uv_handle_t *)&h->process, (uv_handle_t *)&h->in, (uv_handle_t *)&h->out };

	for (int i = 0; i < 3; i++)
		if (!uv_is_closing(handles[i]))
			uv_close(handles[i], on_closed);
}

/* Its last words have been read, and it is no more. */
static void end_if_over(struct helper *h)
{
	const struct helper_calls *calls = h->calls;

	if (!h->has_exited || !h->has_ended)
		return;
	h->calls = NULL;
	if (calls && !h->has_result && !h->err.code)
		error_set(&h->err, -EIO,
			  h->signal ? "the registry client was killed by signal %d" : "the registry client ended without a result",
			  h->signal);
	if (calls)
		calls->on_end(h->arg, h->err.code ? &h->err : NULL, h->is_unreachable);
	close_all(h);
}

static void on_exit_of(uv_process_t *process, int64_t status, int sig)
{
	struct helper *h = process->data;

	(void)status;
	h->has_exited = true;
	h->signal = sig;
	if (!h->calls)
		close_all(h);
	else
		end_if_over(h);
}

/* ---- what it says ---- */

static void take_error(struct helper *h, json_t *event)
{
	static const struct {
		const char *name;
		enum error_class cls;
	} classes[] = { { "invalid", ERROR_INVALID },     { "unauthorized", ERROR_UNAUTHORIZED },
			{ "forbidden", ERROR_FORBIDDEN }, { "not_found", ERROR_NOT_FOUND },
			{ "conflict", ERROR_CONFLICT },   { "unavailable", ERROR_UNAVAILABLE } };

	error_set(&h->err, -EIO, "%s", json_text(event, "message"));
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strcmp(json_text(event, "class"), classes[i].name) == 0)
			error_set_class(&h->err, classes[i].cls, "%s", json_text(event, "message"));
	h->is_unreachable = json_flag(event, "unreachable");
}

static void take_line(struct helper *h, const char *text, size_t len)
{
	json_t *event = json_loadb(text, len, 0, NULL);
	const char *kind = json_text(event, "event");

	if (strcmp(kind, "error") == 0) {
		take_error(h, event);
	} else if (*kind) {
		h->has_result = h->has_result || strcmp(kind, "result") == 0;
		h->calls->on_event(h->arg, kind, event);
	}
	json_decref(event);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct helper *h = handle->data;

	(void)suggested;
	if (buf_reserve(&h->line, 65536) < 0)
		*buf = uv_buf_init(NULL, 0);
	else
		*buf = uv_buf_init(h->line.data + h->line.len, 65536);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct helper *h = stream->data;
	size_t start = 0, from = h->line.len;
	char *end;

	(void)buf;
	if (n == UV_ENOBUFS)
		error_set(&h->err, -EMSGSIZE, "the registry client says too much at once");
	if (n < 0) {
		h->has_ended = true;
		uv_read_stop(stream);
		if (n == UV_ENOBUFS)
			uv_process_kill(&h->process, SIGKILL);
		if (h->calls)
			end_if_over(h);
		return;
	}
	h->line.len += (size_t)n;
	while (h->calls && (end = memchr(h->line.data + from, '\n', h->line.len - from))) {
		take_line(h, h->line.data + start, (size_t)(end - h->line.data) - start);
		start = from = (size_t)(end - h->line.data) + 1;
	}
	buf_consume(&h->line, start);
}

/* ---- what it is told ---- */

static void on_written(uv_write_t *req, int status)
{
	struct writing *w = req->data;

	(void)status; /* when it has gone, its exit tells */
	explicit_bzero(w->text, w->len);
	free(w->text);
	free(w);
}

void helper_send(struct helper *h, json_t *take_line)
{
	struct writing *w = xnew(struct writing);
	uv_buf_t buf;

	w->text = json_dumps(take_line, JSON_COMPACT);
	json_decref(take_line);
	w->len = strlen(w->text);
	w->text[w->len++] = '\n'; /* over its end: it is bytes from here on */
	w->req.data = w;
	buf = uv_buf_init(w->text, (unsigned)w->len);
	if (uv_write(&w->req, (uv_stream_t *)&h->in, &buf, 1, on_written) < 0)
		on_written(&w->req, -1);
}

void helper_kill(struct helper *h)
{
	if (!h)
		return;
	h->calls = NULL;
	if (h->has_exited)
		close_all(h);
	else
		uv_process_kill(&h->process, SIGKILL);
}

struct helper *helper_start(uv_loop_t *loop, const char *path, json_t *take_request, const struct helper_calls *calls,
			    void *arg, struct error *err)
{
	struct helper *h = xnew(struct helper);
	char *argv[] = { "sockerless-fetch", NULL };
	uv_stdio_container_t stdio[3] = { { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&h->in },
					  { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&h->out },
					  { .flags = UV_IGNORE } };
	uv_process_options_t opt = { .exit_cb = on_exit_of, .file = path, .args = argv, .stdio_count = 3, .stdio = stdio };
	int r;

	if (!path || access(path, X_OK) < 0) {
		error_set_class(err, ERROR_UNIMPLEMENTED,
				"this engine has no registry client: %s is not there (it is built where libcurl is)",
				path ? path : "sockerless-fetch");
		json_decref(take_request);
		free(h);
		return NULL;
	}
	uv_pipe_init(loop, &h->in, 0);
	uv_pipe_init(loop, &h->out, 0);
	h->process.data = h->in.data = h->out.data = h;
	h->nhandles = 3;
	buf_init(&h->line, LINE_MAX_BYTES);
	r = uv_spawn(loop, &h->process, &opt);
	if (r < 0) {
		error_set(err, r, "the registry client cannot be started: %s", uv_strerror(r));
		json_decref(take_request);
		close_all(h);
		return NULL;
	}
	h->calls = calls;
	h->arg = arg;
	uv_read_start((uv_stream_t *)&h->out, on_alloc, on_read);
	helper_send(h, take_request);
	return h;
}
