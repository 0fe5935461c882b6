#include "build/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "build/internal.h"
#include "engine/pull.h"
#include "image/reference.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#define DOWNLOAD_MAX_BYTES (16ll << 30)

struct remote {
	struct build *build;
	struct engine_pull *pull;
	struct registry_question *question;
	char *name; /* of the image, or the URL */
	void (*then)(struct build *b, const struct error *err);
};

static void end(struct remote *r, const struct error *err)
{
	struct build *b = r->build;
	void (*then)(struct build *b, const struct error *err) = r->then;

	b->remote = NULL;
	if (!err)
		words_add(&b->arena, &b->fetched, arena_dup(&b->arena, r->name));
	free(r->name);
	free(r);
	then(b, err);
}

static bool has_fetched(struct build *b, const char *name)
{
	for (size_t i = 0; i < b->fetched.count; i++)
		if (strcmp(b->fetched.items[i], name) == 0)
			return true;
	return false;
}

static struct remote *begin(struct build *b, const char *name, void (*then)(struct build *b, const struct error *err))
{
	struct remote *r = b->remote = xnew(struct remote);

	r->build = b;
	r->name = xstrdup(name);
	r->then = then;
	return r;
}

/* ---- images ---- */

bool remote_wants_image(struct build *b, const char *name)
{
	struct reference ref;
	struct image *i;

	if (has_fetched(b, name) || reference_parse(name, &ref, NULL) < 0)
		return false;
	return b->options.pulls || images_find(b->engine->images, name, &i, NULL) < 0;
}

static void on_line(void *arg, json_t *take_line, bool is_passing)
{
	struct build *b = ((struct remote *)arg)->build;
	CLEANUP(freep) char *text = json_dumps(take_line, JSON_COMPACT), *line = NULL;

	(void)is_passing;
	json_decref(take_line);
	if (!text || b->options.is_quiet)
		return;
	line = xasprintf("%s\r\n", text);
	b->sink.output(b->sink.arg, line, strlen(line));
}

static void on_pulled(void *arg, struct image *i, const struct error *err)
{
	struct remote *r = arg;

	if (i)
		build_hold(r->build, i->id);
	end(r, err);
}

/* What X-Registry-Config has for the image's registry. */
static json_t *auth_for(struct build *b, const char *familiar)
{
	CLEANUP(freep) char *domain = NULL, *path = NULL;
	json_t *auths = b->options.auths, *auth;

	registry_split(familiar, &domain, &path);
	auth = json_object_get(auths, strcmp(domain, "docker.io") == 0 ? "https://index.docker.io/v1/" : domain);
	return json_is_object(auth) ? auth : NULL;
}

void remote_pull(struct build *b, const char *name, void (*then)(struct build *b, const struct error *err))
{
	struct remote *r = begin(b, name, then);
	struct engine_pull_request request = { .on_line = on_line, .done = on_pulled, .arg = r };
	CLEANUP(freep) char *tagged = NULL;
	struct reference ref;
	struct error err = { 0 };

	if (reference_parse(name, &ref, &err) == 0) {
		tagged = *ref.digest ? xstrdup(name) : reference_tagged(&ref);
		request.name = tagged;
		request.auth = auth_for(b, ref.name);
		r->pull = engine_image_pull(b->engine, &request, &err);
	}
	if (!r->pull)
		end(r, &err);
}

/* ---- URLs ---- */

bool remote_is_url(const char *text)
{
	return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
}

/* moby: urlutil.IsGitURL */
bool remote_is_git(const char *text)
{
	const char *end = strpbrk(text, "#");
	size_t n = end ? (size_t)(end - text) : strlen(text);

	if (remote_is_url(text))
		return n > 4 && strncmp(text + n - 4, ".git", 4) == 0;
	return strncmp(text, "git://", 6) == 0 || strncmp(text, "github.com/", 11) == 0 || strncmp(text, "git@", 4) == 0;
}

static char *file_of(struct build *b, const char *url)
{
	char digest[DIGEST_LEN + 1];

	digest_of(url, strlen(url), digest);
	return xasprintf("%s/url-%.32s", b->dir, digest + 7);
}

char *remote_file(struct build *b, const char *url, struct remote_facts *ret)
{
	json_t *told = json_object_get(b->downloads, url);

	if (!has_fetched(b, url))
		return NULL;
	if (ret)
		*ret = (struct remote_facts){ .digest = json_text(told, "digest"),
					      .name = json_text(told, "name"),
					      .modified_s = json_integer_value(json_object_get(told, "modified")) };
	return file_of(b, url);
}

/* RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT"; 0: another form, or none. */
static int64_t parse_http_date(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	char month[4];
	const char *at;

	if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour, &tm.tm_min,
		   &tm.tm_sec) != 6)
		return 0;
	at = strstr(months, month);
	if (!at || (at - months) % 3)
		return 0;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	return timegm(&tm) > 0 ? timegm(&tm) : 0;
}

static void on_downloaded(void *arg, json_t *result, const struct error *err, bool is_unreachable)
{
	struct remote *r = arg;

	(void)is_unreachable;
	if (!err)
		json_object_set_new(r->build->downloads, r->name,
				    json_pack("{s:s, s:s, s:I}", "digest", json_text(result, "digest"), "name",
					      json_text(result, "fileName"), "modified",
					      (json_int_t)parse_http_date(json_text(result, "lastModified"))));
	end(r, err);
}

void remote_download(struct build *b, const char *url, void (*then)(struct build *b, const struct error *err))
{
	struct remote *r = begin(b, url, then);
	CLEANUP(freep) char *path = file_of(b, url);
	struct error err = { 0 };
	json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:I}", "op", "download", "url", url, "dir", b->dir, "file",
				    strrchr(path, '/') + 1, "max", (json_int_t)DOWNLOAD_MAX_BYTES);

	r->question = registry_ask(b->engine->registry, request, NULL, on_downloaded, r, &err);
	if (!r->question)
		end(r, &err);
}

void remote_cancel(struct build *b)
{
	struct remote *r = b->remote;
	struct error err = { 0 };

	if (!r)
		return;
	if (r->pull)
		engine_image_pull_cancel(r->pull);
	if (r->question)
		registry_question_cancel(r->question);
	error_set(&err, -ECANCELED, "Build cancelled");
	end(r, &err);
}
