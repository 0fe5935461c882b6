/* One URL into a file: ADD of the builder, remote build contexts, docker import of a URL.
 *
 * Request: url, dir, file (a name in it), max (bytes). Events: "head" {status, contentType, length, lastModified, etag},
 * "progress", "result" {size, digest, lastModified, contentType, fileName}. The file is not there unless it is whole. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch/events.h"
#include "fetch/ops.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"

#define TOLD_EVERY_NS 100000000
#define BODY_SHOWN 400

struct file {
	const char *url;
	struct digest *hash;
	int64_t have, total, max, told_ns;
	int fd;
	json_t *head; /* what was told of it */
};

static json_t *text_or_empty(const char *text)
{
	json_t *v = json_string(text ? text : "");

	return v ? v : json_string("");
}

/* Of Content-Disposition: filename="a b", filename=a; the last part of a path. "": none. */
static json_t *file_name(const char *disposition)
{
	const char *at = disposition ? strcasestr(disposition, "filename=") : NULL, *end;
	char name[256];

	if (!at)
		return json_string("");
	at += strlen("filename=");
	if (*at == '"')
		end = strchr(++at, '"');
	else
		end = at + strcspn(at, "; ");
	if (!end || end == at || end[-1] == '/' || (size_t)(end - at) >= sizeof(name))
		return json_string("");
	snprintf(name, sizeof(name), "%.*s", (int)(end - at), at);
	return text_or_empty(strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
}

static int on_head(void *arg, const struct http_response *head, struct error *err)
{
	struct file *f = arg;

	f->total = head->content_length;
	if (f->total > f->max)
		return error_set(err, -EFBIG, "%s: %lld bytes, more than %lld", f->url, (long long)f->total,
				 (long long)f->max);
	json_decref(f->head);
	f->head = json_pack("{s:i, s:o, s:I, s:o, s:o, s:o}", "status", head->status, "contentType",
			    text_or_empty(http_header(head, "Content-Type")), "length", (json_int_t)f->total,
			    "lastModified", text_or_empty(http_header(head, "Last-Modified")), "etag",
			    text_or_empty(http_header(head, "ETag")), "fileName",
			    file_name(http_header(head, "Content-Disposition")));
	event_emit("head", json_copy(f->head));
	return 0;
}

static int on_body(void *arg, const void *data, size_t len, struct error *err)
{
	struct file *f = arg;
	int64_t now = clock_monotonic_ns();

	if (f->have + (int64_t)len > f->max)
		return error_set(err, -EFBIG, "%s: more than %lld bytes", f->url, (long long)f->max);
	digest_add(f->hash, data, len);
	while (len > 0) {
		ssize_t n = write(f->fd, data, len);

		if (n < 0)
			return error_set(err, -errno, "write: %s", error_text(errno));
		data = (const char *)data + n;
		len -= (size_t)n;
		f->have += n;
	}
	if (now - f->told_ns >= TOLD_EVERY_NS) {
		f->told_ns = now;
		event_progress("", f->have, f->total);
	}
	return 0;
}

/* How much of a reply's body can be shown, without the space around it; 0: it is no text. */
static int shown_of(const char **body)
{
	size_t n;
	json_t *text;

	while (isspace((unsigned char)**body))
		++*body;
	n = strlen(*body);
	if (n > BODY_SHOWN)
		for (n = BODY_SHOWN; n > 0 && ((*body)[n] & 0xc0) == 0x80;)
			n--;
	while (n > 0 && isspace((unsigned char)(*body)[n - 1]))
		n--;
	text = json_stringn(*body, n);
	if (!text)
		n = 0;
	json_decref(text);
	return (int)n;
}

/* A server that says no, in the words and with the class of Docker (moby: remotecontext.GetWithStatusError). */
static int refuse(const struct file *f, const struct http_response *r, struct error *err)
{
	static const enum error_class classes[] = {
		[0] = ERROR_INVALID, [1] = ERROR_UNAUTHORIZED, [2] = ERROR_INTERNAL, [3] = ERROR_FORBIDDEN, [4] = ERROR_NOT_FOUND
	};
	const char *body = r->body.data ? r->body.data : "";
	int n = shown_of(&body);

	return error_set_class(err, r->status >= 400 && r->status <= 404 ? classes[r->status - 400] : ERROR_INTERNAL,
			       "failed to GET %.400s with status %d %.80s%s%.*s", f->url, r->status, r->reason,
			       n ? ": " : "", n, body);
}

static int get(struct run *run, struct file *f, struct error *err)
{
	struct http_request req = { .method = "GET",
				    .url = f->url,
				    .on_head = on_head,
				    .on_body = on_body,
				    .arg = f,
				    .body_max = 64u << 10,
				    .is_downgrade_allowed = true };
	struct http_response response;
	enum http_failure failure;
	int r = http_send(run->http, &req, &response, &failure, err);

	if (r == 0 && (response.status < 200 || response.status >= 300))
		r = refuse(f, &response, err);
	else if (r < 0 && failure == HTTP_NAMELESS && err)
		err->cls = ERROR_NOT_FOUND;
	http_response_done(&response);
	run->is_unreachable = r < 0 && http_is_unreachable(failure);
	return r;
}

int op_download(struct run *run, struct error *err)
{
	const struct session *s = run->session;
	const char *name = session_text(s, "file");
	json_int_t max = json_integer_value(json_object_get(s->root, "max"));
	CLEANUP(freep)
	char *url = http_resolve(session_text(s, "url"), session_text(s, "url")),
	     *path = xasprintf("%s/%s", s->dir, name), *part = xasprintf("%s.part", path);
	struct file f = { .url = url, .max = max > 0 ? max : INT64_C(1) << 40, .fd = -1 };
	char digest[DIGEST_LEN + 1];
	int r;

	if (!url || !*s->dir || !*name || strchr(name, '/') || name[0] == '.')
		return error_set_class(err, ERROR_INVALID,
				       "a download needs a URL of http or https, a directory and a file's name");
	f.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f.fd < 0)
		return error_set(err, -errno, "open %s: %s", part, error_text(errno));
	f.hash = digest_new();
	r = get(run, &f, err);
	digest_end(f.hash, digest);
	close(f.fd);
	if (r == 0 && rename(part, path) < 0)
		r = error_set(err, -errno, "rename %s: %s", part, error_text(errno));
	if (r < 0)
		unlink(part);
	else
		event_result(json_pack("{s:I, s:s, s:O, s:O, s:O}", "size", (json_int_t)f.have, "digest", digest,
				       "lastModified", json_object_get(f.head, "lastModified"), "contentType",
				       json_object_get(f.head, "contentType"), "fileName",
				       json_object_get(f.head, "fileName")));
	json_decref(f.head);
	return r;
}
