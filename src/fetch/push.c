/* Push: the blobs that the registry has not, several at a time, then the manifest under its tag.
 *
 * Request: name, tag, blobs [{digest, size, path or text, mount:[repository…]}], manifest (its text), mediaType. Events of each blob:
 * "exists", "mounted" {from}, or "progress" and "pushed"; then "result" {digest, size}.
 * Check: the same, sending nothing; "result" {missing:[digest…]}: those that would be sent. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/events.h"
#include "fetch/manifest.h"
#include "fetch/ops.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"

/* Up to this size a blob goes with one request, above with two (PATCH, PUT): registries differ in what a PUT may carry. */
#define MONOLITHIC_MAX (1 << 20)
#define MOUNTS_MAX 4
#define TOLD_EVERY_NS 100000000
#define PUSH_THREADS 5

struct push {
	struct run *run;
	struct endpoint *endpoint;
	json_t *blobs;
	char *scope;
	pthread_mutex_t lock; /* of what is below */
	size_t next;
	bool has_failed;
	struct error error;
};

struct upload {
	struct push *push;
	struct http *http;
	const char *digest, *path;
	json_t *text; /* NULL: it is in a file */
	int64_t size, told_ns;
	int fd; /* -1: not opened yet */
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static int refuse(const struct http_response *r, struct error *err)
{
	struct refusal refusal;

	endpoint_refusal(r, &refusal);
	return error_set_class(err,
			       refusal.code == REFUSAL_UNAUTHORIZED ? ERROR_UNAUTHORIZED :
			       refusal.code == REFUSAL_DENIED       ? ERROR_FORBIDDEN :
								      ERROR_INTERNAL,
			       "%s", refusal.text);
}

/* ---- one blob ---- */

static int has_blob(struct upload *u, bool *ret, struct error *err)
{
	CLEANUP(freep) char *url = endpoint_url(u->push->endpoint, "blobs/%s", u->digest);
	struct http_request req = { .method = "HEAD", .url = url, .timeout_s = 60 };
	struct http_response response;
	int r = endpoint_call(u->push->endpoint, u->http, &req, u->push->scope, &response, err);

	*ret = r == 0 && response.status == 200;
	http_response_done(&response);
	return r;
}

/* Opens a session: *ret is its URL; NULL: it was mounted from `from` and needs none. */
static int open_session(struct upload *u, const char *from, char **ret, struct error *err)
{
	struct push *p = u->push;
	CLEANUP(freep)
	char *url = from ? endpoint_url(p->endpoint, "blobs/uploads/?mount=%s&from=%s", u->digest, from) :
			   endpoint_url(p->endpoint, "blobs/uploads/");
	CLEANUP(freep) char *scope = from ? xasprintf("%s repository:%s:pull", p->scope, from) : xstrdup(p->scope);
	struct http_request req = { .method = "POST", .url = url, .body_max = 64u << 10, .timeout_s = 60 };
	struct http_response response;
	int r = endpoint_call(p->endpoint, u->http, &req, scope, &response, err);

	*ret = NULL;
	if (r == 0 && response.status == 202) {
		const char *where = http_header(&response, "Location");

		*ret = where ? http_resolve(url, where) : NULL;
		if (!*ret)
			r = error_set(err, -EPROTO, "the registry opens an upload without a location");
	} else if (r == 0 && response.status != 201) {
		r = refuse(&response, err);
	}
	http_response_done(&response);
	return r;
}

/* A session that is not needed after all. */
static void cancel_session(struct upload *u, char *session)
{
	struct http_request req = { .method = "DELETE", .url = session, .body_max = 64u << 10, .timeout_s = 15 };
	struct http_response response = { 0 };
	enum http_failure failure;

	if (session)
		endpoint_send(u->push->endpoint, u->http, &req, u->push->scope, &response, &failure, NULL);
	http_response_done(&response);
	free(session);
}

static void on_sent(void *arg, int64_t sent)
{
	struct upload *u = arg;
	int64_t now = clock_monotonic_ns();

	if (now - u->told_ns < TOLD_EVERY_NS)
		return;
	u->told_ns = now;
	event_progress(u->digest, sent, u->size);
}

/* 1: worth another try. */
static int send_part(struct upload *u, const char *method, const char *url, bool has_body, char **ret_next, struct error *err)
{
	static const char *const octets[] = { "Content-Type: application/octet-stream", NULL };
	struct http_request req = { .method = method, .url = url, .headers = octets, .body_max = 64u << 10 };
	struct http_response response;
	enum http_failure failure;
	const char *where;
	int r;

	if (has_body && u->text) {
		req.body = json_string_value(u->text);
		req.body_len = json_string_length(u->text);
	} else if (has_body && u->size > 0) {
		req.upload_fd = u->fd;
		req.upload_size = u->size;
		req.on_sent = on_sent;
		req.arg = u;
	}
	r = endpoint_send(u->push->endpoint, u->http, &req, u->push->scope, &response, &failure, err);
	if (r < 0) {
		http_response_done(&response);
		return failure == HTTP_ENDED ? r : 1;
	}
	if (response.status < 200 || response.status >= 300) {
		refuse(&response, err);
		r = endpoint_is_passing(response.status) || response.status == 404 ? 1 : err->code;
	} else if (ret_next) {
		where = http_header(&response, "Location");
		*ret_next = http_resolve(url, where ? where : url);
		if (!*ret_next)
			r = error_set(err, -EPROTO, "the registry goes on with an upload nowhere");
	}
	http_response_done(&response);
	return r;
}

static int upload(struct upload *u, const char *session, struct error *err)
{
	CLEANUP(freep) char *next = NULL, *url = NULL;
	bool is_whole = u->size <= MONOLITHIC_MAX;
	int r = 0;

	if (!u->text && u->fd < 0)
		u->fd = open(u->path, O_RDONLY | O_CLOEXEC);
	if (!u->text && u->fd < 0)
		return error_set(err, -errno, "open %s: %s", u->path, error_text(errno));
	if (!is_whole)
		r = send_part(u, "PATCH", session, true, &next, err);
	if (r != 0)
		return r;
	session = next ? next : session;
	url = xasprintf("%s%cdigest=%s", session, strchr(session, '?') ? '&' : '?', u->digest);
	return send_part(u, "PUT", url, is_whole, NULL, err);
}

/* Is it there, can it be had from a neighbour, or must it be sent? One try; 1: worth another. */
static int push_once(struct upload *u, json_t *mounts, struct error *err)
{
	CLEANUP(freep) char *session = NULL;
	bool is_there = false;
	json_t *from;
	size_t i;
	int r = has_blob(u, &is_there, err);

	if (r == 0 && is_there) {
		event_emit("exists", json_pack("{s:s}", "digest", u->digest));
		return 0;
	}
	json_array_foreach(mounts, i, from) {
		char *other = NULL;

		if (r < 0 || i == MOUNTS_MAX)
			break;
		if (!json_is_string(from) || open_session(u, json_string_value(from), &other, NULL) < 0)
			continue; /* not allowed to look there */
		cancel_session(u, session);
		session = other;
		if (!session) {
			event_emit("mounted", json_pack("{s:s, s:O}", "digest", u->digest, "from", from));
			return 0;
		}
	}
	if (r == 0 && !session)
		r = open_session(u, NULL, &session, err);
	if (r == 0)
		r = upload(u, session, err);
	if (r == 0) {
		event_progress(u->digest, u->size, u->size);
		event_emit("pushed", json_pack("{s:s}", "digest", u->digest));
	}
	return r;
}

static int push_blob(struct push *p, struct http *h, json_t *blob, struct error *err)
{
	struct upload u = { .push = p,
			    .http = h,
			    .digest = text_of(blob, "digest"),
			    .path = text_of(blob, "path"),
			    .text = json_object_get(blob, "text"),
			    .fd = -1,
			    .size = json_integer_value(json_object_get(blob, "size")) };
	const struct session *s = p->run->session;
	int r = 1;

	if (!digest_is_valid(u.digest) || u.size < 0)
		return error_set_class(err, ERROR_INVALID, "invalid checksum digest format");
	if (u.text && (!json_is_string(u.text) || (int64_t)json_string_length(u.text) != u.size))
		return error_set_class(err, ERROR_INVALID, "blob %s: its text has another length", u.digest);
	for (int attempt = 0; r == 1 && attempt < s->tries; attempt++) {
		if (attempt > 0) {
			event_emit("retry", json_pack("{s:s, s:i}", "digest", u.digest, "seconds",
						      session_wait_seconds(s, attempt - 1, NULL)));
			session_wait(s, attempt - 1, NULL);
		}
		error_clear(err);
		r = push_once(&u, json_object_get(blob, "mount"), err);
	}
	if (u.fd >= 0)
		close(u.fd);
	return r == 1 ? err->code : r;
}

/* ---- all of them ---- */

static void *work(void *arg)
{
	struct push *p = arg;
	struct http *h = http_new(&p->run->session->http);

	for (;;) {
		struct error err = { 0 };
		json_t *blob = NULL;
		int r;

		pthread_mutex_lock(&p->lock);
		if (!p->has_failed)
			blob = json_array_get(p->blobs, p->next++);
		pthread_mutex_unlock(&p->lock);
		if (!blob)
			break;
		r = push_blob(p, h, blob, &err);
		pthread_mutex_lock(&p->lock);
		if (r < 0 && !p->has_failed) {
			p->has_failed = true;
			p->error = err;
		}
		pthread_mutex_unlock(&p->lock);
	}
	http_free(h);
	return NULL;
}

static int push_blobs(struct push *p, struct error *err)
{
	size_t nblobs = json_array_size(p->blobs), nthreads = nblobs < PUSH_THREADS ? nblobs : PUSH_THREADS;
	pthread_t threads[PUSH_THREADS];

	for (size_t i = 0; i < nthreads; i++)
		if (pthread_create(&threads[i], NULL, work, p) != 0)
			nthreads = i;
	if (nthreads == 0 && nblobs > 0)
		return error_set(err, -EAGAIN, "no thread can be started");
	for (size_t i = 0; i < nthreads; i++)
		pthread_join(threads[i], NULL);
	if (p->has_failed)
		*err = p->error;
	return p->has_failed ? err->code : 0;
}

static int put_manifest(struct push *p, struct error *err)
{
	const struct session *s = p->run->session;
	json_t *text = json_object_get(s->root, "manifest");
	char digest[DIGEST_LEN + 1];
	CLEANUP(freep) char *type = xasprintf("Content-Type: %s", session_text(s, "mediaType")), *url = NULL;
	const char *headers[] = { type, NULL };
	struct http_request req = { .method = "PUT",
				    .headers = headers,
				    .body = json_string_value(text),
				    .body_len = json_string_length(text),
				    .body_max = 64u << 10,
				    .timeout_s = 120 };
	struct http_response response;
	int r;

	digest_of(req.body, req.body_len, digest);
	url = endpoint_url(p->endpoint, "manifests/%s", *s->tag ? s->tag : digest);
	req.url = url;
	r = endpoint_call(p->endpoint, p->run->http, &req, p->scope, &response, err);
	if (r == 0 && (response.status < 200 || response.status >= 300))
		r = refuse(&response, err);
	http_response_done(&response);
	if (r == 0)
		event_result(json_pack("{s:s, s:I}", "digest", digest, "size", (json_int_t)req.body_len));
	return r;
}

static int push_to(struct run *run, struct endpoint **e, void *arg, struct error *err)
{
	struct push p = { .run = run, .endpoint = *e, .blobs = json_object_get(run->session->root, "blobs") };
	int r;

	(void)arg;
	pthread_mutex_init(&p.lock, NULL);
	p.scope = xasprintf("repository:%s:push,pull", run->session->name.path);
	r = push_blobs(&p, err);
	if (r == 0)
		r = put_manifest(&p, err);
	pthread_mutex_destroy(&p.lock);
	free(p.scope);
	return r;
}

static int check_at(struct run *run, struct endpoint **e, void *arg, struct error *err)
{
	struct push p = { .run = run, .endpoint = *e, .blobs = json_object_get(run->session->root, "blobs") };
	json_t *missing = json_array(), *blob;
	size_t i;
	int r = 0;

	(void)arg;
	p.scope = xasprintf("repository:%s:push,pull", run->session->name.path);
	json_array_foreach(p.blobs, i, blob) {
		struct upload u = { .push = &p, .http = run->http, .digest = text_of(blob, "digest") };
		bool is_there = false;

		r = digest_is_valid(u.digest) ? has_blob(&u, &is_there, err) :
						error_set_class(err, ERROR_INVALID, "invalid checksum digest format");
		if (r < 0)
			break;
		if (!is_there)
			json_array_append_new(missing, json_string(u.digest));
	}
	free(p.scope);
	if (r < 0)
		json_decref(missing);
	else
		event_result(json_pack("{s:o}", "missing", missing));
	return r;
}

int op_check(struct run *run, struct error *err)
{
	if (!run->session->has_name)
		return error_set_class(err, ERROR_INVALID, "a name is needed");
	return run_endpoints(run, false, check_at, NULL, err);
}

int op_push(struct run *run, struct error *err)
{
	const struct session *s = run->session;
	const char *type = session_text(s, "mediaType");
	size_t len = json_string_length(json_object_get(s->root, "manifest"));

	if (!s->has_name || len == 0 || len > MANIFEST_MAX || !*type || strpbrk(type, "\r\n"))
		return error_set_class(err, ERROR_INVALID, "a push needs a name, a manifest and its media type");
	return run_endpoints(run, false, push_to, NULL, err);
}
