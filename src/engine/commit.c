/* docker commit: what a container has changed becomes a layer upon its image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dockerfile/change.h"
#include "engine/internal.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct commit {
	struct file_job file;        /* first: the driver hands it back */
	struct engine *engine;
	struct container *container; /* a reference */
	struct layer *below;         /* a reference: the image may go meanwhile */
	char *image_id;
	json_t *config;              /* the image's config{} */
	char *repo, *tag, *comment, *author;
	bool is_paused, has_paused;
	struct layer *layer;         /* a reference; NULL: nothing has changed */
	struct error err;
	void (*done)(void *arg, struct image *i, const struct error *err);
	void *arg;
};

/* ---- the config ---- */

/* What is a container's alone is not the image's. Nor is what the built-in image says of itself true of this one. */
static void drop_own(json_t *config)
{
	static const char *const own[] = { "Hostname",        "Domainname", "AttachStdin", "AttachStdout",
					   "AttachStderr",    "Tty",        "OpenStdin",   "StdinOnce",
					   "NetworkDisabled", "MacAddress", "Image" };
	json_t *labels = json_object_get(config, "Labels");

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		json_object_del(config, own[i]);
	if (json_object_get(labels, "sockerless.image")) {
		labels = json_copy(labels);
		json_object_del(labels, "sockerless.image");
		json_object_set_new(config, "Labels", labels);
	}
}

static int make_config(struct commit *m, const struct engine_commit_options *opt, struct error *err)
{
	json_t *base = json_deep_copy(opt->config ? opt->config : m->container->config);
	int r = image_apply_changes(base, opt->changes, err);

	if (r == 0) {
		m->config = config_merge(base, m->container->config);
		drop_own(m->config);
	}
	json_decref(base);
	return r;
}

/* ---- the end ---- */

static char *command_of(const struct container *c)
{
	json_t *words = json_object_get(c->config, "Cmd"), *word;
	char *line = xstrdup("");
	size_t at;

	json_array_foreach(words, at, word) {
		char *longer = xasprintf("%s%s%s", line, at ? " " : "", json_string_value(word));

		free(line);
		line = longer;
	}
	return line;
}

static void commit_free(struct commit *m)
{
	struct layers *ls = images_layers(m->engine->images);

	layer_unref(ls, m->layer);
	layer_unref(ls, m->below);
	container_unref(m->container);
	json_decref(m->config);
	free(m->image_id);
	free(m->repo);
	free(m->tag);
	free(m->comment);
	free(m->author);
	free(m);
}

static struct image *make_image(struct commit *m)
{
	CLEANUP(freep) char *command = command_of(m->container), *name = NULL;
	struct images *im = m->engine->images;
	struct image_child child = { .parent = images_by_id(im, m->image_id),
				     .layer = m->layer,
				     .take_config = json_incref(m->config),
				     .created_by = command,
				     .comment = m->comment,
				     .author = m->author,
				     .kind = IMAGE_COMMITTED };
	struct reference ref;
	struct image *i;

	if (!child.parent) {
		json_decref(m->config);
		error_set_class(&m->err, ERROR_NOT_FOUND, "No such image: %s", m->image_id);
		return NULL;
	}
	i = images_make_child(im, &child);
	images_tell_created(im, i);
	if (m->repo) {
		images_tag(im, i, m->repo, m->tag, NULL); /* has been checked */
		reference_of_repo(m->repo, m->tag, &ref, NULL);
		name = reference_tagged(&ref);
	}
	engine_container_event(
		m->engine, m->container, "commit",
		json_pack("{s:s, s:s, s:s}", "comment", m->comment, "imageID", i->id, "imageRef", name ? name : ""));
	return i;
}

static void finish(void *arg, const struct error *unpause_error)
{
	struct commit *m = arg;
	struct image *i = m->err.code ? NULL : make_image(m);

	(void)unpause_error; /* it has ended meanwhile, or was unpaused by hand */
	m->done(m->arg, i, m->err.code ? &m->err : NULL);
	commit_free(m);
}

static void go_on_running(struct commit *m)
{
	if (m->has_paused)
		engine_container_unpause(m->engine, m->container, finish, m);
	else
		finish(m, NULL);
}

/* ---- the layer ---- */

static void on_layer(void *arg, struct layer *l, const struct error *err)
{
	struct commit *m = arg;

	if (err)
		m->err = *err;
	m->layer = layer_ref(l);
	go_on_running(m);
}

static void make_layer(struct commit *m)
{
	CLEANUP(freep)
	char *upper = xasprintf("%s/containers/%s/upper", m->engine->options.data_root, m->container->id);

	if (access(upper, F_OK) < 0) /* it has never been started, nor written to */
		go_on_running(m);
	else
		layers_commit(images_layers(m->engine->images), m->below, upper, NULL, on_layer, m);
}

static void on_paused(void *arg, const struct error *err)
{
	struct commit *m = arg;

	m->has_paused = !err; /* what does not run stands still by itself */
	make_layer(m);
}

static void on_checked(struct file_job *file)
{
	struct commit *m = (struct commit *)file;

	if (m->file.err.code) {
		m->err = m->file.err;
		finish(m, NULL);
	} else if (m->is_paused && m->container->state.status == CONTAINER_RUNNING) {
		engine_container_pause(m->engine, m->container, on_paused, m);
	} else {
		make_layer(m);
	}
}

/* ---- begin ---- */

static int check(const struct container *c, const struct engine_commit_options *opt, struct error *err)
{
	struct reference ref;

	if (opt->repo && *opt->repo && reference_of_repo(opt->repo, opt->tag, &ref, err) < 0)
		return err->code;
	if (c->state.status == CONTAINER_DEAD)
		return error_set_class(err, ERROR_CONFLICT, "You cannot commit container %s which is Dead", c->id);
	if (c->is_removing)
		return error_set_class(err, ERROR_CONFLICT, "You cannot commit container %s which is being removed", c->id);
	return 0;
}

int engine_commit(struct engine *e, struct container *c, const struct engine_commit_options *opt,
		  void (*done)(void *arg, struct image *i, const struct error *err), void *arg, struct error *err)
{
	struct image *image = images_by_id(e->images, c->image_id);
	struct commit *m;

	if (check(c, opt, err) < 0)
		return err->code;
	if (!image)
		return error_set_class(err, ERROR_NOT_FOUND, "No such image: %s", c->image_id);
	m = xnew(struct commit);
	m->engine = e;
	m->container = container_ref(c);
	m->below = layer_ref(image->top);
	m->image_id = xstrdup(image->id);
	m->repo = opt->repo && *opt->repo ? xstrdup(opt->repo) : NULL;
	m->tag = opt->tag ? xstrdup(opt->tag) : NULL;
	m->comment = xstrdup(opt->comment ? opt->comment : "");
	m->author = xstrdup(opt->author ? opt->author : "");
	m->is_paused = opt->is_paused;
	m->done = done;
	m->arg = arg;
	m->file.op = FILE_LAYER;
	m->file.container = c;
	m->file.tar_fd = -1;
	m->file.done = on_checked;
	if (make_config(m, opt, err) < 0 || chain_files(e->drivers, &m->file, err) < 0) {
		commit_free(m);
		return err->code;
	}
	return 0;
}
