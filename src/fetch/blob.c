#include "fetch/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fetch/events.h"
#include "fetch/http_errors.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"

#define PIECE (512u << 10)
#define TOLD_EVERY_NS 100000000
/* A try that brought this much was not in vain: the count of tries starts anew. */
#define WORTHWHILE (8 << 20)

struct download {
	const struct session *session;
	const struct descriptor *d;
	int64_t max, have, told_ns, asked_from;
	bool is_told, is_resumed; /* some of its bytes are of another run */
	int fd;
	struct digest *hash;      /* of what is in the file */
	char *piece;              /* collected, not hashed and written yet */
	size_t npiece;
	char *path, *part;
};

static const char *hex_of(const char *digest)
{
	return digest + 7;
}

/* ---- the file ---- */

/* Opens the .part and locks it: another process may be at the same blob. 1: it has finished it meanwhile. */
static int open_part(struct download *dl, struct error *err)
{
	struct stat now, mine;

	for (;;) {
		if (access(dl->path, F_OK) == 0)
			return 1;
		dl->fd = open(dl->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (dl->fd < 0)
			return error_set(err, -errno, "open %s: %s", dl->part, error_text(errno));
		if (flock(dl->fd, LOCK_EX) < 0 || fstat(dl->fd, &mine) < 0)
			return error_set(err, -errno, "lock %s: %s", dl->part, error_text(errno));
		if (stat(dl->part, &now) == 0 && now.st_ino == mine.st_ino && now.st_dev == mine.st_dev)
			return 0;
		close(dl->fd); /* renamed or removed while we waited */
		dl->fd = -1;
	}
}

static int start_anew(struct download *dl, struct error *err)
{
	digest_end(dl->hash, NULL);
	dl->hash = digest_new();
	dl->have = 0;
	dl->npiece = 0;
	dl->is_resumed = false;
	if (ftruncate(dl->fd, 0) < 0 || lseek(dl->fd, 0, SEEK_SET) < 0)
		return error_set(err, -errno, "write %s: %s", dl->part, error_text(errno));
	return 0;
}

static int hash_what_is_there(struct download *dl, struct error *err)
{
	ssize_t n;

	while ((n = read(dl->fd, dl->piece, PIECE)) > 0) {
		digest_add(dl->hash, dl->piece, (size_t)n);
		dl->have += n;
	}
	if (n < 0 || dl->have > dl->max || (dl->d->size >= 0 && dl->have > dl->d->size))
		return start_anew(dl, err);
	dl->is_resumed = dl->have > 0;
	return 0;
}

static int flush_piece(struct download *dl, struct error *err)
{
	size_t done = 0;

	digest_add(dl->hash, dl->piece, dl->npiece);
	while (done < dl->npiece) {
		ssize_t n = write(dl->fd, dl->piece + done, dl->npiece - done);

		if (n < 0)
			return error_set(err, -errno, "write %s: %s", dl->part, error_text(errno));
		done += (size_t)n;
	}
	dl->have += (int64_t)dl->npiece;
	dl->npiece = 0;
	return 0;
}

/* ---- what the reply brings ---- */

static int mismatch(struct download *dl, int64_t got, struct error *err)
{
	return error_set(err, -EBADMSG, "size of blob %s: %lld bytes were announced, the registry sends %lld",
			 dl->d->digest, (long long)dl->d->size, (long long)got);
}

static int on_head(void *arg, const struct http_response *head, struct error *err)
{
	struct download *dl = arg;
	const char *range = http_header(head, "Content-Range");
	long long from = -1;

	if (head->status == 206 && (!range || sscanf(range, "bytes %lld-", &from) != 1 || from != dl->have))
		return error_set(err, -EPROTO, "blob %s: the registry sends another range than asked for", dl->d->digest);
	if (head->status != 206 && dl->have > 0 && start_anew(dl, err) < 0)
		return err->code;
	dl->asked_from = dl->have;
	if (dl->d->size >= 0 && head->content_length >= 0 && dl->have + head->content_length != dl->d->size)
		return mismatch(dl, dl->have + head->content_length, err);
	return 0;
}

static void tell(struct download *dl, bool is_last)
{
	int64_t now = clock_monotonic_ns(), have = dl->have + (int64_t)dl->npiece;

	if (!dl->is_told || (!is_last && now - dl->told_ns < TOLD_EVERY_NS))
		return;
	dl->told_ns = now;
	event_progress(dl->d->digest, have, dl->d->size);
}

static int on_body(void *arg, const void *data, size_t len, struct error *err)
{
	struct download *dl = arg;
	int64_t have = dl->have + (int64_t)(dl->npiece + len);

	if (dl->d->size >= 0 && have > dl->d->size)
		return mismatch(dl, have, err);
	if (have > dl->max)
		return error_set(err, -EFBIG, "blob %s is longer than %lld bytes", dl->d->digest, (long long)dl->max);
	while (len > 0) {
		size_t n = len < PIECE - dl->npiece ? len : PIECE - dl->npiece;

		memcpy(dl->piece + dl->npiece, data, n);
		dl->npiece += n;
		data = (const char *)data + n;
		len -= n;
		if (dl->npiece == PIECE && flush_piece(dl, err) < 0)
			return err->code;
	}
	tell(dl, false);
	return 0;
}

/* ---- one try ---- */

enum outcome { OUTCOME_DONE, OUTCOME_FINAL, OUTCOME_AGAIN, OUTCOME_ABSENT };

static enum outcome judge(struct download *dl, int r, const struct http_response *response, enum http_failure failure,
			  struct error *err)
{
	struct refusal refusal;

	if (dl->npiece > 0 && (failure != HTTP_ENDED || r == 0)) {
		struct error lost = { 0 };

		if (flush_piece(dl, &lost) < 0) {
			*err = lost;
			return OUTCOME_FINAL;
		}
	}
	if (r < 0)
		return failure == HTTP_ENDED ? OUTCOME_FINAL : OUTCOME_AGAIN;
	if (response->status == 416)
		return start_anew(dl, err) < 0 ? OUTCOME_FINAL : OUTCOME_AGAIN;
	if (response->status < 200 || response->status >= 300) {
		endpoint_refusal(response, &refusal);
		error_set_class(err, refusal.code == REFUSAL_UNAUTHORIZED ? ERROR_UNAUTHORIZED : ERROR_INTERNAL, "%s",
				refusal.text);
		return endpoint_is_passing(response->status) ? OUTCOME_AGAIN :
		       response->status == 404               ? OUTCOME_ABSENT :
							       OUTCOME_FINAL;
	}
	if (dl->d->size >= 0 && dl->have < dl->d->size) {
		error_set(err, -EIO, "blob %s: unexpected EOF after %lld of %lld bytes", dl->d->digest,
			  (long long)dl->have, (long long)dl->d->size);
		return OUTCOME_AGAIN;
	}
	return OUTCOME_DONE;
}

/* Says it every second, as Docker does. */
static void wait_told(struct download *dl, int attempt, const char *retry_after)
{
	int seconds = session_wait_seconds(dl->session, attempt, retry_after);

	if (dl->is_told)
		event_emit("retry", json_pack("{s:s, s:i}", "digest", dl->d->digest, "seconds", seconds));
	session_wait(dl->session, attempt, retry_after);
}

/* From `url`: of the endpoint (with credentials), or NULL: from elsewhere. */
static enum outcome fetch_from(struct download *dl, struct endpoint *e, struct http *h, const char *url, struct error *err)
{
	CLEANUP(freep) char *scope = xasprintf("repository:%s:pull", dl->session->name.path);
	enum outcome outcome = OUTCOME_AGAIN;

	for (int attempt = 0; outcome == OUTCOME_AGAIN; attempt++) {
		CLEANUP(freep)
		char *range = dl->have ? xasprintf("Range: bytes=%lld-", (long long)dl->have) : NULL, *after = NULL;
		const char *headers[] = { range, NULL };
		struct http_request req = { .method = "GET",
					    .url = url,
					    .headers = headers,
					    .body_max = 64u << 10,
					    .on_head = on_head,
					    .on_body = on_body,
					    .arg = dl };
		struct http_response response = { 0 };
		enum http_failure failure;
		int r;

		error_clear(err);
		dl->asked_from = dl->have;
		r = dl->d->size >= 0 && dl->have == dl->d->size ? 1 : /* all there since another run */
			    e ? endpoint_send(e, h, &req, scope, &response, &failure, err) :
				http_send(h, &req, &response, &failure, err);
		if (r > 0)
			return OUTCOME_DONE;
		outcome = judge(dl, r, &response, failure, err);
		after = r == 0 ? xstrdup(http_header(&response, "Retry-After")) : NULL;
		http_response_done(&response);
		if (dl->have - dl->asked_from >= WORTHWHILE)
			attempt = -1;
		if (outcome == OUTCOME_AGAIN && attempt + 1 >= dl->session->tries)
			return OUTCOME_FINAL;
		if (outcome == OUTCOME_AGAIN)
			wait_told(dl, attempt < 0 ? 0 : attempt, after);
	}
	return outcome;
}

/* Layers that may not be passed on have addresses of their own. */
static enum outcome fetch_foreign(struct download *dl, struct http *h, struct error *err)
{
	enum outcome outcome = OUTCOME_ABSENT;
	json_t *url;
	size_t i;

	json_array_foreach(dl->d->urls, i, url) {
		const char *text = json_string_value(url);
		CLEANUP(freep) char *clean = text ? http_resolve(text, text) : NULL;

		if (clean && outcome != OUTCOME_DONE)
			outcome = fetch_from(dl, NULL, h, clean, err);
	}
	return outcome;
}

static int verify(struct download *dl, struct error *err)
{
	char is[DIGEST_LEN + 1];

	digest_end(dl->hash, is);
	dl->hash = digest_new();
	if (strcmp(is, dl->d->digest) == 0)
		return 0;
	return error_set(err, -EBADMSG, "filesystem layer verification failed for digest %s", dl->d->digest);
}

static int run(struct download *dl, struct endpoint *e, struct http *h, struct error *err)
{
	CLEANUP(freep) char *url = endpoint_url(e, "blobs/%s", dl->d->digest);

	for (;;) {
		bool was_resumed = dl->is_resumed;
		enum outcome outcome = fetch_from(dl, e, h, url, err);

		if (outcome == OUTCOME_ABSENT && dl->d->urls)
			outcome = fetch_foreign(dl, h, err);
		if (outcome != OUTCOME_DONE)
			return err->code ? err->code : error_set(err, -EIO, "blob %s cannot be had", dl->d->digest);
		if (verify(dl, err) == 0)
			return 0;
		/* What another run left may be to blame: once more without it. */
		if (start_anew(dl, err) < 0)
			return err->code;
		if (!was_resumed) {
			unlink(dl->part);
			return error_set(err, -EBADMSG, "filesystem layer verification failed for digest %s", dl->d->digest);
		}
	}
}

int blob_download(const struct session *s, struct endpoint *e, struct http *h, const struct descriptor *d, int64_t max,
		  bool is_told, struct error *err)
{
	struct download dl = { .session = s, .d = d, .max = max, .is_told = is_told, .fd = -1 };
	int r;

	if (d->size > max)
		return error_set(err, -EFBIG, "blob %s has %lld bytes, more than %lld", d->digest, (long long)d->size,
				 (long long)max);
	dl.path = xasprintf("%s/%s", s->dir, hex_of(d->digest));
	dl.part = xasprintf("%s.part", dl.path);
	dl.piece = xmalloc(PIECE);
	dl.hash = digest_new();
	r = open_part(&dl, err);
	if (r == 0)
		r = hash_what_is_there(&dl, err);
	if (r == 0)
		r = run(&dl, e, h, err);
	if (r == 0) {
		tell(&dl, true);
		if (rename(dl.part, dl.path) < 0)
			r = error_set(err, -errno, "rename %s: %s", dl.part, error_text(errno));
	}
	if (dl.fd >= 0)
		close(dl.fd);
	digest_end(dl.hash, NULL);
	free(dl.piece);
	free(dl.part);
	free(dl.path);
	return r < 0 ? r : 0;
}

int blob_get(const struct session *s, struct endpoint *e, struct http *h, const struct descriptor *d, size_t max,
	     struct buf *ret, struct error *err)
{
	CLEANUP(freep)
	char *url = endpoint_url(e, "blobs/%s", d->digest), *scope = xasprintf("repository:%s:pull", s->name.path);
	struct http_request req = { .method = "GET", .url = url, .body_max = max, .timeout_s = 300 };
	char is[DIGEST_LEN + 1];
	struct http_response response;
	struct refusal refusal;
	int r = endpoint_call(e, h, &req, scope, &response, err);

	*ret = response.body;
	response.body = (struct buf){ 0 };
	if (r == 0 && (response.status < 200 || response.status >= 300)) {
		response.body = *ret;
		endpoint_refusal(&response, &refusal);
		response.body = (struct buf){ 0 };
		r = error_set_class(err, refusal.code == REFUSAL_UNAUTHORIZED ? ERROR_UNAUTHORIZED : ERROR_INTERNAL,
				    "%s", refusal.text);
	}
	digest_of(ret->data ? ret->data : "", ret->len, is);
	if (r == 0 && strcmp(is, d->digest) != 0)
		r = error_set(err, -EBADMSG, "image config verification failed for digest %s", d->digest);
	http_response_done(&response);
	return r;
}
