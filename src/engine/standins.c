#include "engine/standins.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "engine/internal.h"
#include "image/images.h"
#include "image/reference.h"
#include "util/alloc.h"
#include "util/cleanup.h"

static const struct standin standins[] = {
	{ .name = "ryuk",
	  .pattern = "testcontainers/ryuk",
	  .config = "{\"Cmd\":[\"/bin/ryuk\"],\"Labels\":{\"org.testcontainers.ryuk\":\"true\"}}",
	  .start = ryuk_start },
};

const struct standin *standin_for(const char *reference)
{
	struct reference ref;

	if (reference_parse(reference, &ref, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(standins); i++) {
		char elsewhere[64];

		snprintf(elsewhere, sizeof(elsewhere), "*/%s", standins[i].pattern);
		if (fnmatch(standins[i].pattern, ref.name, 0) == 0 || fnmatch(elsewhere, ref.name, 0) == 0)
			return &standins[i];
	}
	return NULL;
}

int standin_make_image(struct engine *e, const char *reference, struct image **ret, struct error *err)
{
	const struct standin *s = standin_for(reference);
	json_t *config, *labels;
	int r;

	if (!s)
		return error_set_class(err, ERROR_NOT_FOUND, "No such image: %.300s", reference);
	config = json_loads(s->config, 0, NULL);
	labels = json_object_get(config, "Labels");
	json_object_set_new(labels, "sockerless.image", json_string("stand-in"));
	json_object_set_new(labels, "sockerless.stand-in", json_string(s->name));
	r = images_make_over(e->images, reference, IMAGE_STANDIN, config, ret, err);
	json_decref(config);
	return r;
}

/* Only what this engine made itself counts: a label alone can be on any image. */
static const struct standin *standin_of(struct engine *e, const struct container *c)
{
	struct image *i;
	json_t *labels;
	const char *name;

	if (images_find(e->images, c->image_id, &i, NULL) < 0 || i->kind != IMAGE_STANDIN)
		return NULL;
	labels = json_object_get(json_object_get(i->config, "config"), "Labels");
	name = json_string_value(json_object_get(labels, "sockerless.stand-in"));
	for (size_t n = 0; name && n < ARRAY_SIZE(standins); n++)
		if (strcmp(standins[n].name, name) == 0)
			return &standins[n];
	return NULL;
}

static int new_process(void *ctx, const struct sockerless_process_spec *spec,
		       const struct sockerless_container_process_ops **ret_ops, void **ret_process,
		       struct sockerless_error *err)
{
	struct engine *e = ctx;
	const struct standin *s;
	struct container *c;

	if (containers_find(&e->containers, spec->container_id, &c, NULL) < 0)
		return SOCKERLESS_DECLINED;
	s = standin_of(e, c);
	return s ? s->start(e, c, spec, ret_ops, ret_process, err) : SOCKERLESS_DECLINED;
}

const struct sockerless_process_factory_ops standin_factory = {
	.size = sizeof(standin_factory),
	.name = "stand-in",
	.new_process = new_process,
};
