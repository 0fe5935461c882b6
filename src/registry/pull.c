/* A pull: manifest and config come with the plan; each layer is already there, or being fetched by another pull, or is
 * fetched by ours; from the lowest on they are unpacked while those above still come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/discard.h"
#include "image/layers.h"
#include "registry/internal.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

#ifdef __aarch64__
#define OUR_ARCHITECTURE "arm64"
#else
#define OUR_ARCHITECTURE "amd64"
#endif
#define PARALLEL 3 /* of the program's downloads: more wait */

enum piece_state {
	PIECE_EXISTS,  /* as a layer */
	PIECE_WANTED,  /* its blob comes */
	PIECE_HERE,    /* its blob is in the store, pinned */
	PIECE_DONE,
};

struct piece {
	char digest[DIGEST_LEN + 1], diff_id[DIGEST_LEN + 1], id[13];
	int64_t size;
	enum piece_state state;
	bool is_pinned;
};

struct pull {
	struct list of_registry;
	struct registry *registry;
	struct pull_request request;  /* its texts and objects owned */
	char *name, *tag, *digest;    /* tag: the one at work */
	json_t *tags;                 /* of all tags: those to pull */
	size_t at_tag;
	struct registry_question *question;
	struct helper *helper;        /* NULL when all has come */
	bool is_current, has_downloaded, has_moved;
	char top[DIGEST_LEN + 1];     /* the digest that the name has in the registry */
	char *config, *manifest;
	struct piece *pieces;
	size_t npieces, next;         /* the lowest that is no layer yet */
	struct layer *upon;           /* reference */
	struct layer_job *job;
	struct image_assembling *assembling;
	struct image *last;
	bool is_cancelled;            /* done has been told, or must not be */
};

static struct layers *layers_of(const struct pull *p)
{
	return images_layers(p->registry->options.images);
}

/* ---- saying ---- */

static void say(struct pull *p, json_t *take_line)
{
	if (p->is_cancelled)
		json_decref(take_line);
	else
		p->request.on_line(p->request.arg, take_line, false);
}

static void say_of(struct pull *p, const struct piece *piece, const char *text)
{
	json_t *line = line_status(piece->id, xstrdup(text));

	json_object_set_new(line, "progressDetail", json_object());
	say(p, line);
}

static void say_bytes(struct pull *p, const struct piece *piece, const char *text, int64_t current)
{
	if (!p->is_cancelled)
		p->request.on_line(p->request.arg, line_bytes(piece->id, text, current, piece->size), true);
}

/* "name:tag", "name@digest": what was asked for. */
static char *reference_of(const struct pull *p)
{
	return *p->digest ? xasprintf("%s@%s", p->name, p->digest) : xasprintf("%s:%s", p->name, p->tag);
}

/* ---- its end ---- */

static void hand_over(struct pull *p, const char *digest);

static void release_pieces(struct pull *p)
{
	for (size_t i = 0; i < p->npieces; i++) {
		if (p->pieces[i].is_pinned)
			layers_unpin_blob(layers_of(p), p->pieces[i].digest);
		if (map_get(&p->registry->downloads, p->pieces[i].digest) == p) {
			map_remove(&p->registry->downloads, p->pieces[i].digest);
			hand_over(p, p->pieces[i].digest);
		}
	}
	free(p->pieces);
	p->pieces = NULL;
	p->npieces = p->next = 0;
	layer_unref(layers_of(p), p->upon);
	p->upon = NULL;
	free(p->config);
	free(p->manifest);
	p->config = p->manifest = NULL;
}

static void pull_free(struct pull *p)
{
	list_remove(&p->of_registry);
	if (p->question)
		registry_question_cancel(p->question);
	helper_kill(p->helper);
	release_pieces(p);
	json_decref(p->request.auth);
	json_decref(p->request.platform);
	json_decref(p->tags);
	free(p->name);
	free(p->tag);
	free(p->digest);
	free(p);
}

/* A job of the pool that is under way holds the object until it has come back. */
static void leave(struct pull *p)
{
	p->is_cancelled = true;
	helper_kill(p->helper);
	p->helper = NULL;
	if (p->job)
		layer_job_cancel(p->job);
	else if (p->assembling)
		image_assembling_cancel(p->assembling);
	else
		pull_free(p);
}

static void fail(struct pull *p, const struct error *err, bool is_unreachable)
{
	if (!p->is_cancelled)
		p->request.done(p->request.arg, NULL, err, is_unreachable);
	leave(p);
}

void registry_pull_cancel(struct pull *p)
{
	leave(p);
}

/* ---- blobs ---- */

static char *download_path(const struct registry *r, const char *digest)
{
	return xasprintf("%s/%s", r->dir, digest + 7);
}

/* Its name is free at once: the next pull may want it. */
static void drop_download(const struct registry *r, const char *digest)
{
	CLEANUP(freep) char *from = download_path(r, digest);
	char *gone = xasprintf("%s.gone", from);

	if (rename(from, gone) == 0)
		discard_path(r->options.loop, steal_ptr(gone));
	free(gone);
}

static void ask_for(struct pull *p, const char *digest)
{
	map_put(&p->registry->downloads, digest, p);
	helper_send(p->helper, json_pack("{s:[s]}", "fetch", digest));
}

static bool is_wanted(const struct pull *p, const char *digest)
{
	for (size_t i = 0; p->helper && i < p->npieces; i++)
		if (p->pieces[i].state == PIECE_WANTED && strcmp(p->pieces[i].digest, digest) == 0)
			return true;
	return false;
}

/* Who was fetching it does so no more: one that waits goes on with it. */
static void hand_over(struct pull *p, const char *digest)
{
	list_for_each(it, &p->registry->pulls) {
		struct pull *other = container_of(it, struct pull, of_registry);

		if (other != p && !other->is_cancelled && is_wanted(other, digest)) {
			ask_for(other, digest);
			return;
		}
	}
}

static void go_on(struct pull *p);

/* The blob is in the store now, for all that wait for it. The file it came as stays until its pulls have
 * ended well: then a crash costs no second download. */
static void arrived(struct registry *r, const char *digest)
{
	list_for_each(it, &r->pulls) {
		struct pull *p = container_of(it, struct pull, of_registry);

		for (size_t i = 0; i < p->npieces && !p->is_cancelled; i++) {
			struct piece *piece = &p->pieces[i];

			if (piece->state != PIECE_WANTED || strcmp(piece->digest, digest) != 0)
				continue;
			piece->is_pinned = layers_pin_blob(layers_of(p), digest);
			piece->state = PIECE_HERE;
			p->has_downloaded = true;
			say_of(p, piece, "Verifying Checksum");
			say_of(p, piece, "Download complete");
		}
	}
	/* Going on may end a pull, and with it others': from the start again after each. */
	for (struct list *it = r->pulls.next; it != &r->pulls;) {
		struct pull *p = container_of(it, struct pull, of_registry);
		bool is_next_here = p->next < p->npieces && p->pieces[p->next].state == PIECE_HERE && !p->job &&
				    !p->assembling && !p->is_cancelled;

		it = it->next;
		if (is_next_here) {
			go_on(p);
			it = r->pulls.next;
		}
	}
}

/* By a second name of the file, where the file system knows such; the first stays for the next try. */
static int settle(struct pull *p, const char *digest, struct error *err)
{
	CLEANUP(freep) char *from = download_path(p->registry, digest);
	char *to = xasprintf("%s.settling", from);

	unlink(to);
	if (link(from, to) < 0 && rename(from, to) < 0) {
		error_set(err, -errno, "%s: %s", from, error_text(errno));
		free(to);
		return err->code;
	}
	return layers_settle_blob(layers_of(p), to, digest, err);
}

static void on_blob(struct pull *p, const char *digest)
{
	struct registry *r = p->registry;
	struct error err = { 0 };

	if (map_get(&r->downloads, digest) == p)
		map_remove(&r->downloads, digest);
	if (!is_wanted(p, digest))
		return;
	if (!layers_pin_blob(layers_of(p), digest) && settle(p, digest, &err) < 0) {
		fail(p, &err, false);
		return;
	}
	arrived(r, digest); /* may end p */
	layers_unpin_blob(images_layers(r->options.images), digest);
}

static void on_progress(struct pull *p, json_t *event)
{
	const char *digest = json_text(event, "digest");

	list_for_each(it, &p->registry->pulls) {
		struct pull *other = container_of(it, struct pull, of_registry);

		for (size_t i = 0; i < other->npieces; i++)
			if (other->pieces[i].state == PIECE_WANTED && strcmp(other->pieces[i].digest, digest) == 0)
				say_bytes(other, &other->pieces[i], "Downloading", json_number(event, "current"));
	}
}

static void on_retry(struct pull *p, json_t *event)
{
	int seconds = (int)json_number(event, "seconds");
	char text[40];

	snprintf(text, sizeof(text), "Retrying in %d second%s", seconds, seconds == 1 ? "" : "s");
	for (size_t i = 0; i < p->npieces; i++)
		if (strcmp(p->pieces[i].digest, json_text(event, "digest")) == 0)
			say_of(p, &p->pieces[i], text);
}

/* ---- layers ---- */

static void on_layer_bytes(void *arg, uint64_t bytes)
{
	struct pull *p = arg;

	say_bytes(p, &p->pieces[p->next], "Extracting", (int64_t)bytes);
}

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct pull *p = arg;
	struct error own;

	p->job = NULL;
	if (p->is_cancelled) {
		pull_free(p);
		return;
	}
	if (err) {
		own = *err;
		error_prefix(&own, "failed to register layer");
		fail(p, &own, false);
		return;
	}
	layer_ref(l);
	layer_unref(layers_of(p), p->upon);
	p->upon = l;
	p->pieces[p->next].state = PIECE_DONE;
	say_of(p, &p->pieces[p->next++], "Pull complete");
	go_on(p);
}

static struct layer *find_upon(struct pull *p, const char *diff_id)
{
	char chain[DIGEST_LEN + 1];

	layer_chain_id(p->upon ? p->upon->chain_id : NULL, diff_id, chain);
	return layers_find(layers_of(p), chain);
}

static void assemble(struct pull *p);

/* The next layer, if all for it is there. */
static void go_on(struct pull *p)
{
	for (; p->next < p->npieces; p->next++) {
		struct piece *piece = &p->pieces[p->next];
		struct layer *l = find_upon(p, piece->diff_id);

		if (!l) {
			if (piece->state == PIECE_HERE)
				p->job = layers_unpack(layers_of(p), p->upon, piece->digest, piece->diff_id,
						       on_layer_bytes, on_layer, p);
			return;
		}
		if (piece->state == PIECE_WANTED)
			return; /* its bytes are under way: the layer was made by another pull of the same */
		layer_ref(l);
		layer_unref(layers_of(p), p->upon);
		p->upon = l;
		if (piece->state == PIECE_HERE)
			say_of(p, piece, "Pull complete");
		piece->state = PIECE_DONE;
	}
	assemble(p);
}

/* ---- the image ---- */

static void next_tag(struct pull *p);

/* Its names; who had the tag loses it. */
static int give_names(struct pull *p, struct image *i, struct error *err)
{
	struct images *im = p->registry->options.images;
	CLEANUP(freep) char *at = xasprintf("%s@%s", p->name, *p->top ? p->top : p->digest), *ref = reference_of(p);
	struct image *before = NULL;

	p->has_moved = p->has_moved || images_find(im, ref, &before, NULL) < 0 || before != i;
	images_add_digest(im, i, at);
	return *p->digest ? 0 : images_name(im, i, p->name, p->tag, NULL, err);
}

static void finish(struct pull *p, struct image *i)
{
	CLEANUP(freep) char *ref = reference_of(p);
	struct error err = { 0 };

	say(p, line_status(NULL, xasprintf("Digest: %s", *p->top ? p->top : p->digest)));
	if (give_names(p, i, &err) < 0) {
		fail(p, &err, false);
		return;
	}
	registry_event(p->registry, "pull", i, ref, p->name);
	p->last = i;
	for (size_t k = 0; k < p->npieces; k++)
		drop_download(p->registry, p->pieces[k].digest);
	release_pieces(p);
	next_tag(p);
}

static void on_assembled(void *arg, struct image *i, const struct error *err)
{
	struct pull *p = arg;

	p->assembling = NULL;
	if (p->is_cancelled)
		pull_free(p);
	else if (err)
		fail(p, err, false);
	else
		finish(p, i);
}

static void assemble(struct pull *p)
{
	const char **blobs = xcalloc(p->npieces + 1, sizeof(*blobs));
	struct image_assembly a = { .config = p->config,
				    .config_len = strlen(p->config),
				    .blobs = blobs,
				    .nblobs = p->npieces,
				    .manifest = p->manifest,
				    .kind = IMAGE_PULLED,
				    .done = on_assembled,
				    .arg = p };
	struct error err = { 0 };

	for (size_t i = 0; i < p->npieces; i++)
		blobs[i] = p->pieces[i].digest;
	/* Nothing more is wanted of the registry. */
	helper_kill(p->helper);
	p->helper = NULL;
	p->assembling = images_assemble(p->registry->options.images, &a, &err);
	free(blobs);
	if (!p->assembling)
		fail(p, &err, false);
}

/* ---- the plan ---- */

/* Layers that are there, from the lowest on. */
static void find_existing(struct pull *p)
{
	struct layer *l;

	for (size_t i = 0; i < p->npieces && (l = find_upon(p, p->pieces[i].diff_id)); i++) {
		layer_ref(l);
		layer_unref(layers_of(p), p->upon);
		p->upon = l;
		p->pieces[i].state = PIECE_EXISTS;
		p->next = i + 1;
		say_of(p, &p->pieces[i], "Already exists");
	}
}

static void want_the_rest(struct pull *p)
{
	size_t nasked = 0;

	for (size_t i = p->next; i < p->npieces; i++) {
		p->pieces[i].state = PIECE_WANTED;
		say_of(p, &p->pieces[i], "Pulling fs layer");
	}
	p->has_downloaded = p->has_downloaded || p->next < p->npieces;
	for (size_t i = p->next; i < p->npieces; i++) {
		struct piece *piece = &p->pieces[i];

		piece->is_pinned = layers_pin_blob(layers_of(p), piece->digest);
		if (piece->is_pinned) {
			piece->state = PIECE_HERE;
			say_of(p, piece, "Download complete");
			continue;
		}
		if (!map_has(&p->registry->downloads, piece->digest)) {
			ask_for(p, piece->digest);
			nasked++;
		}
		if (nasked > PARALLEL)
			say_of(p, piece, "Waiting");
	}
}

static int read_plan(struct pull *p, json_t *plan, struct error *err)
{
	json_t *layers = json_object_get(plan, "layers"), *config, *diff_ids = NULL, *layer;
	size_t i;
	int r;

	p->config = xstrdup(json_text(plan, "configText"));
	p->manifest = xstrdup(json_text(plan, "manifestText"));
	config = json_loads(p->config, 0, NULL);
	r = json_is_object(config) ? image_config_diff_ids(config, &diff_ids, err) :
				     error_set_class(err, ERROR_INVALID, "invalid image configuration");
	if (r == 0 && json_array_size(diff_ids) != json_array_size(layers))
		r = error_set(err, -EPROTO, "layers from manifest don't match image configuration");
	if (r == 0) {
		p->npieces = json_array_size(layers);
		p->pieces = xcalloc(p->npieces + 1, sizeof(*p->pieces));
		json_array_foreach(layers, i, layer) {
			struct piece *piece = &p->pieces[i];

			snprintf(piece->digest, sizeof(piece->digest), "%s", json_text(layer, "digest"));
			snprintf(piece->diff_id, sizeof(piece->diff_id), "%s", json_string_value(json_array_get(diff_ids, i)));
			line_id(piece->digest, piece->id);
			piece->size = json_number(layer, "size");
		}
	}
	json_decref(config);
	return r;
}

static void on_plan(struct pull *p, json_t *plan)
{
	const char *id = json_text(json_object_get(plan, "config"), "digest");
	struct error err = { 0 };
	struct image *i;

	if (read_plan(p, plan, &err) < 0) {
		fail(p, &err, false);
		return;
	}
	/* The image is there under another name, or as it was under this one. */
	i = images_by_id(p->registry->options.images, id);
	if (i) {
		helper_kill(p->helper);
		p->helper = NULL;
		if (!i->manifest)
			images_set_manifest(p->registry->options.images, i, p->manifest);
		finish(p, i);
		return;
	}
	find_existing(p);
	want_the_rest(p);
	go_on(p);
}

static void on_found(struct pull *p, const char *digest)
{
	CLEANUP(freep) char *domain = NULL, *path = NULL, *id = NULL;

	registry_split(p->name, &domain, &path);
	id = *p->digest ? xasprintf("%s/%s@%s", domain, path, p->digest) : xstrdup(p->tag);
	snprintf(p->top, sizeof(p->top), "%s", digest);
	say(p, line_status(id, xasprintf("Pulling from %s", path)));
}

static void on_event(void *arg, const char *kind, json_t *event)
{
	struct pull *p = arg;

	if (strcmp(kind, "progress") == 0)
		on_progress(p, event);
	else if (strcmp(kind, "found") == 0)
		on_found(p, json_text(event, "digest"));
	else if (strcmp(kind, "plan") == 0)
		on_plan(p, event);
	else if (strcmp(kind, "retry") == 0)
		on_retry(p, event);
	else if (strcmp(kind, "blob") == 0 && digest_is_valid(json_text(event, "digest")))
		on_blob(p, json_text(event, "digest"));
}

/* With a plan it is killed before it ends by itself: this is an error, or the image that is known. */
static void on_end(void *arg, const struct error *err, bool is_unreachable)
{
	CLEANUP(freep) char *ref = NULL;
	struct pull *p = arg;
	struct error own = { 0 };
	struct image *i;

	p->helper = NULL;
	if (err) {
		fail(p, err, is_unreachable && !p->npieces);
		return;
	}
	ref = reference_of(p);
	if (images_find(p->registry->options.images, ref, &i, &own) == 0)
		finish(p, i);
	else
		fail(p, &own, false);
}

static const struct helper_calls pull_calls = { .on_event = on_event, .on_end = on_end };

/* ---- beginning ---- */

/* What the registry calls the image that has this name here, if that is of the platform that is wanted. */
static const char *known_digest(struct pull *p, struct image *i)
{
	CLEANUP(freep) char *prefix = xasprintf("%s@", p->name);
	const char *arch = json_text(p->request.platform, "architecture");
	json_t *v;
	size_t at;

	if (!i->manifest || strcmp(*arch ? arch : OUR_ARCHITECTURE, json_text(i->config, "architecture")) != 0 ||
	    *json_text(p->request.platform, "variant"))
		return "";
	if (json_array_size(i->digests) != 1)
		return "";
	json_array_foreach(i->digests, at, v)
		if (strncmp(json_string_value(v), prefix, strlen(prefix)) == 0)
			return json_string_value(v) + strlen(prefix);
	return "";
}

static int start(struct pull *p, struct error *err)
{
	CLEANUP(freep) char *ref = reference_of(p);
	json_t *request = json_pack("{s:s, s:s, s:s, s:s, s:s}", "op", "pull", "name", p->name, "tag",
				    *p->digest ? "" : p->tag, "digest", p->digest, "dir", p->registry->dir);
	struct image *here;

	p->top[0] = '\0';
	if (p->request.platform)
		json_object_set(request, "platform", p->request.platform);
	if (!*p->digest && images_find(p->registry->options.images, ref, &here, NULL) == 0)
		json_object_set_new(request, "known", json_string(known_digest(p, here)));
	registry_complete(p->registry, request, p->request.auth);
	p->helper = helper_start(p->registry->options.loop, p->registry->options.fetch_path, request, &pull_calls, p, err);
	return p->helper ? 0 : err->code;
}

/* After one tag the next one of all, or the end. */
static void next_tag(struct pull *p)
{
	CLEANUP(freep) char *shown = NULL;
	struct error err = { 0 };

	if (p->tags && p->at_tag < json_array_size(p->tags)) {
		free(p->tag);
		p->tag = xstrdup(json_string_value(json_array_get(p->tags, p->at_tag++)));
		if (start(p, &err) < 0)
			fail(p, &err, false);
		return;
	}
	shown = p->tags ? xstrdup(p->name) : reference_of(p);
	say(p, line_status(NULL, xasprintf("Status: %s for %s",
					   p->has_moved ? "Downloaded newer image" : "Image is up to date", shown)));
	if (!p->is_cancelled)
		p->request.done(p->request.arg, p->last, NULL, false);
	p->is_cancelled = true;
	pull_free(p);
}

static void on_tags(void *arg, json_t *result, const struct error *err, bool is_unreachable)
{
	struct pull *p = arg;
	struct error own = { 0 };

	p->question = NULL;
	if (err) {
		fail(p, err, is_unreachable);
		return;
	}
	p->tags = json_incref(json_object_get(result, "tags"));
	if (json_array_size(p->tags) == 0) {
		error_set_class(&own, ERROR_NOT_FOUND, "no tags found for %s", p->name);
		fail(p, &own, false);
		return;
	}
	next_tag(p);
}

struct pull *registry_pull(struct registry *r, const struct pull_request *req, struct error *err)
{
	struct pull *p = xnew(struct pull);
	int result = 0;

	p->registry = r;
	p->request = *req;
	p->request.auth = json_incref(req->auth);
	p->request.platform = json_incref(req->platform);
	p->name = xstrdup(req->name);
	p->tag = xstrdup(req->tag);
	p->digest = xstrdup(req->digest);
	list_append(&r->pulls, &p->of_registry);
	if (*p->tag || *p->digest) {
		result = start(p, err);
	} else {
		p->question = registry_ask(r, json_pack("{s:s, s:s}", "op", "tags", "name", p->name), p->request.auth,
					   on_tags, p, err);
		result = p->question ? 0 : err->code;
	}
	if (result < 0) {
		p->is_cancelled = true;
		pull_free(p);
		return NULL;
	}
	return p;
}

void pulls_stop(struct registry *r, const struct error *err)
{
	list_for_each_safe(it, &r->pulls)
		fail(container_of(it, struct pull, of_registry), err, false);
}
