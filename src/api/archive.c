/* Handlers of docker cp, diff and export. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "util/alloc.h"
#include "util/clock.h"

/* base64 of the JSON, as the header wants it. */
static char *encode(const struct path_stat *st)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char when[CLOCK_RFC3339_MAX], *text, *out;
	json_t *o;
	size_t n, k = 0;

	clock_format_rfc3339(st->mtime_ns, when);
	o = json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", st->name, "size", (json_int_t)st->size, "mode",
		      (json_int_t)st->go_mode, "mtime", when, "linkTarget", st->link_target ? st->link_target : "");
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	n = strlen(text);
	out = xmalloc(n / 3 * 4 + 8);
	for (size_t i = 0; i < n; i += 3) {
		unsigned long v = (unsigned long)(unsigned char)text[i] << 16;

		v |= i + 1 < n ? (unsigned long)(unsigned char)text[i + 1] << 8 : 0;
		v |= i + 2 < n ? (unsigned char)text[i + 2] : 0;
		out[k++] = digits[v >> 18];
		out[k++] = digits[v >> 12 & 63];
		out[k++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
		out[k++] = i + 2 < n ? digits[v & 63] : '=';
	}
	out[k] = '\0';
	free(text);
	return out;
}

static void add_stat_header(struct request *req, const struct path_stat *st)
{
	char *text = encode(st);

	reply_header(req, "X-Docker-Container-Path-Stat", text);
	free(text);
}

/* NULL when it has been answered. */
static const char *get_path(struct request *req)
{
	const char *path = request_query(req, "path");
	struct error err = { 0 };

	if (path && *path)
		return path;
	error_set_class(&err, ERROR_INVALID, "bad parameter: path cannot be empty");
	reply_error(req, &err);
	return NULL;
}

/* A missing file is told with the container's name as the client has it: a name, an id or a part of one. */
static void refuse(struct request *req, const struct error *err)
{
	struct error told = *err;

	if (err->cls == ERROR_NOT_FOUND && strncmp(err->message, "Could not find the file ", 24) == 0)
		error_set_class(&told, ERROR_NOT_FOUND, "Could not find the file %.300s in container %.200s",
				request_query(req, "path"), request_param(req, "name"));
	reply_error(req, &told);
}

static void on_stat(void *arg, const struct path_stat *st, const struct error *err)
{
	struct request *req = arg;

	if (err) {
		refuse(req, err);
		return;
	}
	add_stat_header(req, st);
	reply_empty(req, 200);
}

void ContainerArchiveInfo(struct request *req)
{
	struct container *c = api_container(req);
	const char *path = c ? get_path(req) : NULL;

	if (path)
		engine_archive_stat(api_engine(req), c, path, on_stat, req);
}

static struct stream *on_head(void *arg, const struct path_stat *st, const struct error *err)
{
	struct request *req = arg;

	if (err) {
		refuse(req, err);
		return NULL;
	}
	add_stat_header(req, st);
	if (st->is_gzip)
		reply_header(req, "Content-Encoding", "gzip");
	return reply_stream(req, 200, "application/x-tar");
}

void ContainerArchive(struct request *req)
{
	struct container *c = api_container(req);
	const char *path = c ? get_path(req) : NULL;

	if (path)
		engine_archive_get(api_engine(req), c, path, api_accepts(req, "Accept-Encoding", "gzip"), on_head, req);
}

static void on_put(void *arg, const struct error *err)
{
	if (err)
		refuse(arg, err);
	else
		reply_empty(arg, 200);
}

static void on_drain(void *arg)
{
	request_body_resume(arg);
}

struct put {
	struct request *req;
	struct upload *upload;
};

static void on_data(void *arg, const void *data, size_t len)
{
	struct put *p = arg;

	if (upload_write(p->upload, data, len) == 1)
		request_body_pause(p->req);
}

static void on_end(void *arg, int result)
{
	struct put *p = arg;

	upload_end(p->upload, result);
	free(p);
}

void PutContainerArchive(struct request *req)
{
	struct container *c = api_container(req);
	const char *path = c ? get_path(req) : NULL;
	struct error err = { 0 };
	struct upload *u;
	struct put *p;

	if (!path)
		return;
	u = engine_archive_put(api_engine(req), c, path, request_query_bool(req, "noOverwriteDirNonDir"),
			       request_query_bool(req, "copyUIDGID"), on_drain, on_put, req, &err);
	if (!u) {
		reply_error(req, &err);
		return;
	}
	p = xmalloc(sizeof(*p));
	*p = (struct put){ req, u };
	request_body_start(req, on_data, on_end, p);
}

/* ---- diff, export ---- */

static void on_changes(void *arg, json_t *changes, const struct error *err)
{
	if (err)
		reply_error(arg, err);
	else
		reply_json(arg, 200, json_array_size(changes) ? json_incref(changes) : json_null());
}

void ContainerChanges(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_container_changes(api_engine(req), c, on_changes, req);
}

static struct stream *on_export(void *arg, const struct error *err)
{
	if (!err)
		return reply_stream(arg, 200, "application/octet-stream");
	reply_error(arg, err);
	return NULL;
}

void ContainerExport(struct request *req)
{
	struct container *c = api_container(req);

	if (c)
		engine_export(api_engine(req), c, on_export, req);
}
