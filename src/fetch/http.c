#include "fetch/http.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

#include "fetch/http_errors.h"
#include "util/alloc.h"
#include "util/cleanup.h"

#define REDIRECTS_MAX 10

struct http {
	CURL *curl;
	struct http_options options;
};

/* One hop of a request. */
struct hop {
	const struct http_request *req;
	struct http_response *response;
	struct error *err;
	int64_t sent;
	bool is_final;       /* its body is the reply's */
	bool is_head_told, is_ended;
};

struct http *http_new(const struct http_options *opt)
{
	struct http *h = xnew(struct http);

	h->curl = curl_easy_init();
	if (!h->curl)
		abort();
	h->options = *opt;
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

void http_response_done(struct http_response *r)
{
	for (size_t i = 0; i < r->nheaders; i++) {
		free(r->names[i]);
		free(r->values[i]);
	}
	r->nheaders = 0;
	buf_done(&r->body);
}

const char *http_header(const struct http_response *r, const char *name)
{
	for (size_t i = 0; i < r->nheaders; i++)
		if (strcasecmp(r->names[i], name) == 0)
			return r->values[i];
	return NULL;
}

/* ---- URLs ---- */

char *http_resolve(const char *base, const char *where)
{
	CURLU *u = curl_url();
	char *text = NULL, *copy = NULL, *scheme = NULL;

	if (curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK && curl_url_set(u, CURLUPART_URL, where, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) && curl_url_get(u, CURLUPART_URL, &text, 0) == CURLUE_OK)
		copy = xstrdup(text);
	curl_free(text);
	curl_free(scheme);
	curl_url_cleanup(u);
	return copy;
}

static char *part_of(const char *url, CURLUPart part, unsigned flags)
{
	CURLU *u = curl_url();
	char *text = NULL, *copy = NULL;

	if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_get(u, part, &text, flags) == CURLUE_OK)
		copy = xstrdup(text);
	curl_free(text);
	curl_url_cleanup(u);
	return copy;
}

bool http_is_same_origin(const char *a, const char *b)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
	bool is_same = true;

	for (size_t i = 0; i < ARRAY_SIZE(parts) && is_same; i++) {
		CLEANUP(freep)
		char *x = part_of(a, parts[i], CURLU_DEFAULT_PORT), *y = part_of(b, parts[i], CURLU_DEFAULT_PORT);

		is_same = x && y && strcasecmp(x, y) == 0;
	}
	return is_same;
}

/* Go asks for HTTP_PROXY in capitals as well, and never for this host's own addresses. */
static void set_proxy(CURL *curl, const char *url)
{
	CLEANUP(freep) char *host = part_of(url, CURLUPART_HOST, 0);
	const char *proxy = getenv("HTTP_PROXY");

	if (host && (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0))
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	else if (proxy && *proxy && !getenv("http_proxy") && strncmp(url, "http://", 7) == 0)
		curl_easy_setopt(curl, CURLOPT_PROXY, proxy);
}

/* ---- what curl calls ---- */

/* Headers of a reply that comes after another one (100 Continue) replace that one's. */
static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct hop *hop = arg;
	struct http_response *r = hop->response;
	size_t len = size * n, name;
	char *end;

	while (len > 0 && isspace((unsigned char)data[len - 1]))
		len--;
	if (len > 5 && strncmp(data, "HTTP/", 5) == 0) {
		char line[128];

		snprintf(line, sizeof(line), "%.*s", (int)len, data);
		http_response_done(r);
		r->header_bytes = 0;
		end = strchr(line, ' ');
		r->status = end ? atoi(end) : 0;
		end = end ? strchr(end + 1, ' ') : NULL;
		snprintf(r->reason, sizeof(r->reason), "%.63s", end ? end + 1 : "");
		return size * n;
	}
	r->header_bytes += len;
	if (r->header_bytes > HTTP_HEADER_BYTES_MAX || r->nheaders == HTTP_HEADERS_MAX) {
		hop->is_ended = true;
		error_set(hop->err, -EMSGSIZE, "the reply's header is too big");
		return 0;
	}
	end = memchr(data, ':', len);
	if (!end)
		return size * n;
	name = (size_t)(end - data);
	for (end++; end < data + len && isspace((unsigned char)*end);)
		end++;
	r->names[r->nheaders] = xstrndup(data, name);
	r->values[r->nheaders++] = xstrndup(end, (size_t)(data + len - end));
	return size * n;
}

static bool is_redirect(const struct http_response *r)
{
	return (r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 || r->status == 308) &&
	       http_header(r, "Location");
}

static void tell_length(struct http_response *r)
{
	const char *length = http_header(r, "Content-Length");

	r->content_length = length && isdigit((unsigned char)*length) ? strtoll(length, NULL, 10) : -1;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct hop *hop = arg;
	struct http_response *r = hop->response;
	bool is_good = r->status >= 200 && r->status < 300;
	size_t room;
	int result = 0;

	if (is_redirect(r))
		return size * n; /* for people who cannot follow */
	if (is_good && !hop->is_head_told && hop->req->on_head) {
		tell_length(r);
		result = hop->req->on_head(hop->req->arg, r, hop->err);
	}
	hop->is_head_told = true;
	if (result == 0 && is_good && hop->req->on_body) {
		result = hop->req->on_body(hop->req->arg, data, size * n, hop->err);
	} else if (result == 0) {
		room = hop->req->body_max - r->body.len;
		if (size * n > room && is_good)
			result = error_set(hop->err, -EMSGSIZE, "the reply is longer than %zu bytes", hop->req->body_max);
		else
			buf_append(&r->body, data, size * n < room ? size * n : room);
	}
	hop->is_ended = result < 0;
	return result < 0 ? 0 : size * n;
}

static size_t on_read(char *data, size_t size, size_t n, void *arg)
{
	struct hop *hop = arg;
	const struct http_request *req = hop->req;
	int64_t left = (req->body ? (int64_t)req->body_len : req->upload_size) - hop->sent;
	size_t want = (int64_t)(size * n) < left ? size * n : (size_t)left;
	ssize_t got;

	if (req->body) {
		memcpy(data, (const char *)req->body + hop->sent, want);
		got = (ssize_t)want;
	} else {
		got = pread(req->upload_fd, data, want, req->upload_offset + hop->sent);
	}
	if (got < 0 || (got == 0 && want > 0)) {
		hop->is_ended = true;
		error_set(hop->err, -EIO, "reading what is to be sent: %s", got < 0 ? error_text(errno) : "it is too short");
		return CURL_READFUNC_ABORT;
	}
	hop->sent += got;
	if (req->on_sent)
		req->on_sent(req->arg, hop->sent);
	return (size_t)got;
}

/* A connection broke that was kept from before: curl wants to send the body anew. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct hop *hop = arg;

	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	hop->sent = offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- sending ---- */

static void set_trust(CURL *curl, const struct http_trust *t)
{
	if (!t)
		return;
	if (t->is_insecure) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
		curl_easy_setopt(curl, CURLOPT_CAINFO, NULL); /* reading the system's takes longer than all the rest */
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (t->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, t->ca_file);
	if (t->cert)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, t->cert);
	if (t->key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, t->key);
}

static void set_method(CURL *curl, const struct http_request *req, const char *method)
{
	int64_t size = req->body ? (int64_t)req->body_len : req->upload_size;

	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0) {
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	} else if (strcmp(method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	} else {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
}

static struct curl_slist *header_list(const struct http_request *req, bool is_own)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* waiting for a 100 costs a second where none comes */

	for (const char *const *p = req->headers; p && *p; p++)
		list = curl_slist_append(list, *p);
	if (is_own && req->authorization) {
		CLEANUP(freep) char *line = xasprintf("Authorization: %s", req->authorization);

		list = curl_slist_append(list, line);
	}
	return list;
}

static CURLcode send_hop(struct http *h, struct hop *hop, const char *method, const char *url)
{
	bool is_own = http_is_same_origin(url, hop->req->url);
	struct curl_slist *headers = header_list(hop->req, is_own);
	CURL *curl = h->curl;
	CURLcode code;

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, h->options.user_agent);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, h->options.connect_timeout_s);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, h->options.stall_timeout_s);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, hop->req->timeout_s);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, hop);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, hop);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_READDATA, hop);
	curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(curl, CURLOPT_SEEKDATA, hop);
	set_proxy(curl, url);
	set_trust(curl, is_own ? hop->req->trust : NULL);
	set_method(curl, hop->req, method);
	code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	tell_length(hop->response);
	return code;
}

/* The next hop's URL, when there is one: 1; 0 when this was the last; -errno. */
static int next_hop(const struct http_request *req, const struct http_response *r, char **url, const char **method,
		    struct error *err)
{
	char *next;

	if (!is_redirect(r))
		return 0;
	next = http_resolve(*url, http_header(r, "Location"));
	if (!next)
		return error_set(err, -EPROTO, "%s \"%s\": a redirect that leads nowhere", http_verb(req->method), req->url);
	if (strncmp(*url, "https:", 6) == 0 && strncmp(next, "http:", 5) == 0 && !req->is_downgrade_allowed) {
		free(next);
		return error_set(err, -EPROTO, "%s \"%s\": a redirect from https to http is not followed",
				 http_verb(req->method), req->url);
	}
	if (r->status == 303 || ((r->status == 301 || r->status == 302) && strcmp(*method, "POST") == 0))
		*method = strcmp(*method, "HEAD") == 0 ? "HEAD" : "GET";
	free(*url);
	*url = next;
	return 1;
}

int http_send(struct http *h, const struct http_request *req, struct http_response *ret, enum http_failure *ret_failure,
	      struct error *err)
{
	CLEANUP(freep) char *url = xstrdup(req->url);
	const char *method = req->method;
	struct error own = { 0 };
	int r;

	err = err ? err : &own;
	*ret_failure = HTTP_ENDED;
	*ret = (struct http_response){ 0 };
	for (int hops = 0; hops <= REDIRECTS_MAX; hops++) {
		struct hop hop = { .req = req, .response = ret, .err = err };
		CURLcode code;

		http_response_done(ret);
		*ret = (struct http_response){ .content_length = -1 };
		buf_init(&ret->body, req->body_max + 1);
		code = send_hop(h, &hop, method, url);
		if (hop.is_ended)
			return err->code;
		if (code != CURLE_OK) {
			*ret_failure = http_curl_error(h->curl, code, req->method, hops ? url : req->url, err);
			return err->code;
		}
		r = next_hop(req, ret, &url, &method, err);
		if (r < 0)
			return r;
		if (r > 0)
			continue;
		/* An empty body has a head as well. */
		if (ret->status >= 200 && ret->status < 300 && !hop.is_head_told && req->on_head &&
		    req->on_head(req->arg, ret, err) < 0)
			return err->code;
		*ret_failure = HTTP_ANSWERED;
		return 0;
	}
	return error_set(err, -ELOOP, "%s \"%s\": stopped after %d redirects", http_verb(req->method), req->url, REDIRECTS_MAX);
}
