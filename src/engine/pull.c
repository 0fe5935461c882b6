#include "engine/pull.h"

#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/standins.h"
#include "image/images.h"
#include "image/reference.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

struct engine_pull {
	struct engine *engine;
	struct engine_pull_request request; /* its objects owned */
	struct reference ref;
	char *name;              /* "x:latest": the image's, whatever was written */
	struct pull *pull;       /* NULL: none is under way */
	struct registry_question *question;
	char *replaced_id;       /* the synthetic image that has the name now */
	bool is_cancelled, is_waiting; /* for its turn of the loop */
	struct image *made;
};

static void pull_free(struct engine_pull *p)
{
	json_decref(p->request.platform);
	json_decref(p->request.auth);
	free(p->name);
	free(p->replaced_id);
	free(p);
}

static void say(struct engine_pull *p, const char *id, char *take_text)
{
	json_t *line = json_pack("{s:s}", "status", take_text);

	if (id)
		json_object_set_new(line, "id", json_string(id));
	free(take_text);
	p->request.on_line(p->request.arg, line, false);
}

static void say_pulling(struct engine_pull *p)
{
	CLEANUP(freep) char *domain = NULL, *path = NULL;

	registry_split(p->ref.name, &domain, &path);
	say(p, *p->ref.tag ? p->ref.tag : "latest", xasprintf("Pulling from %s", path));
}

static void end(struct engine_pull *p, struct image *i, const struct error *err)
{
	if (!p->is_cancelled)
		p->request.done(p->request.arg, i, err);
	pull_free(p);
}

/* ---- without a registry ---- */

static bool is_mode(const struct engine_pull *p, const char *mode)
{
	return strcmp(images_mode(p->engine->images), mode) == 0;
}

static void say_synthetic(struct engine_pull *p)
{
	say(p, NULL,
	    xasprintf("Synthetic image: nothing was downloaded; the built-in root file system stands in for %s", p->ref.name));
	say(p, NULL, xasprintf("Status: Made a synthetic image for %s", p->name));
}

static void make_synthetic(struct engine_pull *p, json_t *changes)
{
	struct error err = { 0 };
	struct image *i = NULL;

	images_make_over(p->engine->images, p->name, IMAGE_SYNTHETIC, changes, &i, &err);
	if (!err.code)
		say_synthetic(p);
	end(p, err.code ? NULL : i, err.code ? &err : NULL);
}

/* The image's own settings on the built-in root: SOCKERLESS_FETCH_IMAGE_CONFIG=true. Without them it is as ever. */
static void on_config(void *arg, json_t *result, const struct error *err, bool is_unreachable)
{
	struct engine_pull *p = arg;
	json_t *config = err ? NULL : json_loads(json_text(result, "configText"), 0, NULL);

	(void)is_unreachable;
	p->question = NULL;
	if (err)
		say(p, NULL, xasprintf("The image's configuration cannot be had: %s", err->message));
	make_synthetic(p, json_object_get(config, "config"));
	json_decref(config);
}

static bool ask_for_config(struct engine_pull *p)
{
	const char *wish = getenv("SOCKERLESS_FETCH_IMAGE_CONFIG");
	json_t *request;

	if (!wish || (strcmp(wish, "true") != 0 && strcmp(wish, "1") != 0))
		return false;
	request = json_pack("{s:s, s:s, s:s, s:s}", "op", "config", "name", p->ref.name, "tag",
			    *p->ref.digest ? "" :
			    *p->ref.tag    ? p->ref.tag :
					     "latest",
			    "digest", p->ref.digest);
	p->question = registry_ask(p->engine->registry, request, p->request.auth, on_config, p, NULL);
	return p->question != NULL;
}

/* The next turn of the loop: what needs no registry, or does not get one. */
static void on_turn(void *arg, const struct error *err)
{
	struct engine_pull *p = arg;
	struct error own = { 0 };
	struct image *i;

	(void)err;
	p->is_waiting = false;
	if (p->is_cancelled) {
		pull_free(p);
		return;
	}
	say_pulling(p);
	if (images_find(p->engine->images, p->name, &i, NULL) == 0) {
		say(p, NULL, xasprintf("Status: Image is up to date for %s", p->name));
		end(p, i, NULL);
	} else if (standin_for(p->name)) {
		standin_make_image(p->engine, p->name, &i, &own);
		if (!own.code) {
			say(p, NULL,
			    xasprintf("Stand-in: nothing was downloaded; this engine does the work of %s itself", p->ref.name));
			say(p, NULL, xasprintf("Status: Made a stand-in image for %s", p->name));
		}
		end(p, own.code ? NULL : i, own.code ? &own : NULL);
	} else if (!ask_for_config(p)) {
		make_synthetic(p, NULL);
	}
}

static bool needs_no_registry(struct engine_pull *p)
{
	struct image *i;

	if (is_mode(p, "synthetic") || standin_for(p->name))
		return true;
	return !is_mode(p, "registry") && images_find(p->engine->images, p->name, &i, NULL) == 0 && i->kind == IMAGE_BUILTIN;
}

/* ---- with one ---- */

static void on_line(void *arg, json_t *take_line, bool is_passing)
{
	struct engine_pull *p = arg;

	p->request.on_line(p->request.arg, take_line, is_passing);
}

/* A registry of this host that does not answer is down; any other: there is no way to any. */
static bool may_pretend(const struct engine_pull *p)
{
	CLEANUP(freep) char *domain = NULL, *path = NULL;

	registry_split(p->ref.name, &domain, &path);
	return is_mode(p, "auto") && !registry_is_loopback(domain);
}

/* The synthetic image whose name has gone to the real one goes too, unless containers use it. */
static void drop_replaced(struct engine_pull *p)
{
	struct image *old = p->replaced_id ? images_by_id(p->engine->images, p->replaced_id) : NULL;
	json_t *report = NULL;

	if (old && json_array_size(old->tags) == 0 && json_array_size(old->digests) == 0 &&
	    engine_image_remove(p->engine, p->replaced_id, false, false, &report, NULL) == 0)
		json_decref(report);
}

static void pretend(struct engine_pull *p, const char *why)
{
	struct image *here;

	say_pulling(p);
	say(p, NULL, xasprintf("No registry can be reached: %s", why));
	if (images_find(p->engine->images, p->name, &here, NULL) == 0) {
		say(p, NULL, xasprintf("Status: The image that is here stays for %s", p->name));
		end(p, here, NULL);
		return;
	}
	make_synthetic(p, NULL);
}

/* This engine was built without a registry client. */
static void on_no_client(void *arg, const struct error *err)
{
	struct engine_pull *p = arg;

	p->is_waiting = false;
	if (p->is_cancelled)
		pull_free(p);
	else
		pretend(p, err->message);
}

static void on_pulled(void *arg, struct image *i, const struct error *err, bool is_unreachable)
{
	struct engine_pull *p = arg;

	p->pull = NULL;
	if (!err)
		drop_replaced(p);
	if (err && is_unreachable && may_pretend(p))
		pretend(p, err->message);
	else
		end(p, i, err);
}

static int begin(struct engine_pull *p, struct error *err)
{
	struct pull_request request = { .name = p->ref.name,
					.tag = p->ref.tag,
					.digest = p->ref.digest,
					.platform = p->request.platform,
					.auth = p->request.auth,
					.on_line = on_line,
					.done = on_pulled,
					.arg = p };
	struct image *i;

	if (images_find(p->engine->images, p->name, &i, NULL) == 0 && i->kind == IMAGE_SYNTHETIC)
		p->replaced_id = xstrdup(i->id);
	p->pull = registry_pull(p->engine->registry, &request, err);
	if (!p->pull && err->cls == ERROR_UNIMPLEMENTED && may_pretend(p)) {
		p->is_waiting = true;
		engine_later(p->engine, on_no_client, p, err);
		return 0;
	}
	return p->pull ? 0 : err->code;
}

struct engine_pull *engine_image_pull(struct engine *e, const struct engine_pull_request *req, struct error *err)
{
	struct engine_pull *p = xnew(struct engine_pull);
	int r = reference_parse(req->name, &p->ref, err);

	p->engine = e;
	p->request = *req;
	p->request.platform = json_incref(req->platform);
	p->request.auth = json_incref(req->auth);
	if (r == 0 && strcmp(p->ref.name, "scratch") == 0)
		r = error_set_class(err, ERROR_FORBIDDEN, "'scratch' is a reserved name");
	if (r == 0)
		r = engine_check_builder(req->name, err);
	if (r == 0) {
		p->name = *p->ref.digest ? xasprintf("%s@%s", p->ref.name, p->ref.digest) : reference_tagged(&p->ref);
		if (needs_no_registry(p)) {
			p->is_waiting = true;
			engine_later(e, on_turn, p, NULL);
			return p;
		}
		r = begin(p, err);
	}
	if (r < 0) {
		pull_free(p);
		return NULL;
	}
	return p;
}

void engine_image_pull_cancel(struct engine_pull *p)
{
	p->is_cancelled = true;
	if (p->pull)
		registry_pull_cancel(p->pull);
	if (p->question)
		registry_question_cancel(p->question);
	if (!p->is_waiting)
		pull_free(p);
}
