#include "api/transfer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/progress.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct transfer {
	struct request *req;   /* NULL: answered */
	struct stream *stream; /* NULL: not yet */
	void (*cancel)(void *arg);
	void *arg;
	bool has_ended;
};

static void on_close(void *arg)
{
	struct transfer *p = arg;

	if (!p->has_ended)
		p->cancel(p->arg);
	free(p);
}

static const struct stream_events events = { .on_close = on_close };

static void on_gone(void *arg)
{
	struct transfer *p = arg;
	struct request *req = p->req;

	p->cancel(p->arg);
	free(p);
	reply_empty(req, 200); /* to nobody */
}

struct transfer *transfer_new(struct request *req, void (*cancel)(void *arg), void *arg)
{
	struct transfer *p = xnew(struct transfer);

	p->req = req;
	p->cancel = cancel;
	p->arg = arg;
	request_on_gone(req, on_gone, p);
	return p;
}

static void open_stream(struct transfer *p)
{
	if (p->stream)
		return;
	p->stream = reply_progress(p->req);
	p->req = NULL;
	stream_set_events(p->stream, &events, p);
}

void transfer_line(struct transfer *p, json_t *take_line, bool is_passing)
{
	open_stream(p);
	if (is_passing && stream_is_full(p->stream))
		json_decref(take_line);
	else
		progress_line(p->stream, take_line);
}

void transfer_end(struct transfer *p, const struct error *err)
{
	struct request *req = p->req;

	p->has_ended = true;
	if (err && req) {
		free(p);
		reply_error(req, err);
		return;
	}
	open_stream(p);
	if (err)
		progress_error(p->stream, err);
	stream_end(p->stream);
}

/* ---- X-Registry-Auth, X-Registry-Config ---- */

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : c == '-' || c == '+' ? 62 : c == '_' || c == '/' ? 63 : -1;
}

/* base64 of either alphabet; NULL: it is none. */
static char *decode(const char *text, size_t *ret_len)
{
	size_t n = strlen(text), len = 0;
	char *out = xmalloc(n / 4 * 3 + 4);
	unsigned bits = 0;

	while (n > 0 && text[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = digit(text[i]);

		if (d < 0 || n % 4 == 1) {
			free(out);
			return NULL;
		}
		bits = bits << 6 | (unsigned)d;
		if (i % 4 > 0)
			out[len++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_len = len;
	return out;
}

/* Field names in any case, as Go reads them. */
static json_t *pick(json_t *from)
{
	static const char *const keys[] = { "username", "password", "identitytoken", "registrytoken", "serveraddress" };
	json_t *o = json_object(), *v;
	const char *key;

	json_object_foreach(from, key, v)
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (strcasecmp(key, keys[i]) == 0 && json_is_string(v))
				json_object_set(o, keys[i], v);
	return o;
}

static json_t *read_header(struct request *req, const char *name)
{
	const char *header = request_header(req, name);
	size_t len = 0;
	char *text = header && *header ? decode(header, &len) : NULL;
	json_t *root = text ? json_loadb(text, len, 0, NULL) : NULL;

	if (text)
		explicit_bzero(text, len);
	free(text);
	return root;
}

json_t *api_registry_auth(struct request *req)
{
	json_t *root = read_header(req, "X-Registry-Auth"), *auth = pick(root);

	json_decref(root);
	return auth;
}

json_t *api_registry_config(struct request *req)
{
	json_t *root = read_header(req, "X-Registry-Config"), *all = json_object(), *v;
	const char *registry;

	json_object_foreach(root, registry, v)
		json_object_set_new(all, registry, pick(v));
	json_decref(root);
	return all;
}
