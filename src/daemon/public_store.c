/* The public API of sockerless/store.h over the engine's objects and the API's views of them. */
#include <sockerless/store.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "daemon/public.h"
#include "engine/networks.h"
#include "engine/volumes.h"
#include "image/images.h"

/* ---- as JSON ---- */

static json_t *inspect(struct engine *e, enum sockerless_kind kind, const char *name, struct error *err)
{
	struct container *c;
	struct network *n;
	struct volume *v;
	struct image *i;

	switch (kind) {
	case SOCKERLESS_CONTAINER:
		return containers_find(&e->containers, name, &c, err) < 0 ? NULL : view_container_inspect(e, c);
	case SOCKERLESS_IMAGE: return images_find(e->images, name, &i, err) < 0 ? NULL : view_image(e, i);
	case SOCKERLESS_NETWORK: return networks_find(e->networks, name, &n, err) < 0 ? NULL : view_network(n);
	case SOCKERLESS_VOLUME: return volumes_find(e->volumes, name, &v, err) < 0 ? NULL : view_volume(v);
	}
	error_set_class(err, ERROR_INVALID, "there is no such kind of object");
	return NULL;
}

static char *text_of(json_t *take_json)
{
	char *text = json_dumps(take_json, JSON_COMPACT);

	json_decref(take_json);
	return text;
}

char *sockerless_inspect_json(struct sockerless_server *s, enum sockerless_kind kind, const char *name,
			      struct sockerless_error *ret_err)
{
	struct engine *e = public_engine(s, ret_err);
	struct error err = { 0 };
	json_t *o = e ? inspect(e, kind, name, &err) : NULL;

	if (o)
		return text_of(o);
	if (e)
		public_tell(ret_err, &err);
	return NULL;
}

static void list_all(struct engine *e, enum sockerless_kind kind, json_t *list)
{
	switch (kind) {
	case SOCKERLESS_CONTAINER:
		for (struct list *it = e->containers.by_age.prev; it != &e->containers.by_age; it = it->prev) /* newest first */
			json_array_append_new(list, view_container_summary(e, container_of(it, struct container, by_age)));
		return;
	case SOCKERLESS_IMAGE:
		for (struct image *i = images_next(e->images, NULL); i; i = images_next(e->images, i))
			json_array_append_new(list, view_image_summary(e, i, false));
		return;
	case SOCKERLESS_NETWORK:
		for (struct network *n = networks_next(e->networks, NULL); n; n = networks_next(e->networks, n))
			json_array_append_new(list, view_network_summary(n));
		return;
	case SOCKERLESS_VOLUME:
		for (struct volume *v = volumes_next(e->volumes, NULL); v; v = volumes_next(e->volumes, v))
			json_array_append_new(list, view_volume(v));
		return;
	}
}

char *sockerless_list_json(struct sockerless_server *s, enum sockerless_kind kind)
{
	struct engine *e = public_engine(s, NULL);
	json_t *list = json_array();

	if (e)
		list_all(e, kind, list);
	return text_of(list);
}

/* ---- containers ---- */

static const struct container *of(const struct sockerless_container *c)
{
	return (const struct container *)c;
}

const struct sockerless_container *sockerless_container_find(struct sockerless_server *s, const char *name,
							     struct sockerless_error *ret_err)
{
	struct engine *e = public_engine(s, ret_err);
	struct error err = { 0 };
	struct container *c;

	if (!e)
		return NULL;
	if (containers_find(&e->containers, name, &c, &err) == 0)
		return (const struct sockerless_container *)c;
	public_tell(ret_err, &err);
	return NULL;
}

const struct sockerless_container *sockerless_container_next(struct sockerless_server *s,
							     const struct sockerless_container *after)
{
	struct engine *e = public_engine(s, NULL);
	const struct list *next;

	if (!e)
		return NULL;
	next = after ? of(after)->by_age.next : e->containers.by_age.next;
	return next == &e->containers.by_age ?
		       NULL :
		       (const struct sockerless_container *)container_of(next, struct container, by_age);
}

const char *sockerless_container_id(const struct sockerless_container *c)
{
	return of(c)->id;
}

const char *sockerless_container_name(const struct sockerless_container *c)
{
	return of(c)->name;
}

const char *sockerless_container_image(const struct sockerless_container *c)
{
	return of(c)->image_ref;
}

const char *sockerless_container_status(const struct sockerless_container *c)
{
	return container_status_name(of(c)->state.status);
}

const char *sockerless_container_driver(const struct sockerless_container *c)
{
	return of(c)->driver;
}

const char *sockerless_container_argument(const struct sockerless_container *c, size_t n)
{
	return n == 0 ? of(c)->path : json_string_value(json_array_get(of(c)->args, n - 1));
}

const char *sockerless_container_environment(const struct sockerless_container *c, size_t n)
{
	return json_string_value(json_array_get(json_object_get(of(c)->config, "Env"), n));
}

const char *sockerless_container_label(const struct sockerless_container *c, const char *key)
{
	return json_string_value(json_object_get(json_object_get(of(c)->config, "Labels"), key));
}

int sockerless_container_has_tty(const struct sockerless_container *c)
{
	return json_is_true(json_object_get(of(c)->config, "Tty"));
}

int sockerless_container_exit_code(const struct sockerless_container *c)
{
	return of(c)->state.exit_code;
}

int sockerless_container_adopt(struct sockerless_server *s, const char *name,
			       const struct sockerless_container_process_ops *ops, void *process,
			       struct sockerless_error *ret_err)
{
	struct engine *e = public_engine(s, ret_err);
	struct error err = { 0 };
	struct container *c;

	if (!e)
		return -ESHUTDOWN;
	if (containers_find(&e->containers, name, &c, &err) < 0 || engine_container_adopt(e, c, ops, process, &err) < 0)
		return public_tell(ret_err, &err);
	return 0;
}
