/* What a request says about mounts (-v, --mount, --tmpfs, --volumes-from, an
 * image's VOLUMEs) becomes the container's list of mounts. Checks everything
 * and creates nothing: volumes come to be when the container has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

struct parser {
	struct engine *engine;
	struct container *container;
	json_t *missing;  /* sources that are not there */
	json_t *explicit; /* destinations that -v and --mount have taken: a second one is an error */
	struct error *err;
};

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static struct container_mount *find_mount(struct container *c, const char *destination)
{
	for (size_t i = 0; i < c->nmounts; i++)
		if (strcmp(c->mounts[i].destination, destination) == 0)
			return &c->mounts[i];
	return NULL;
}

static void clear(struct container_mount *m)
{
	free(m->type);
	free(m->name);
	free(m->source);
	free(m->destination);
	free(m->driver);
	free(m->mode);
	free(m->propagation);
	free(m->subpath);
	free(m->image_id);
}

/* In the place of one that --volumes-from brought to the same destination. */
static struct container_mount *put(struct parser *p, const char *type, char *take_destination)
{
	struct container *c = p->container;
	struct container_mount *m = find_mount(c, take_destination);

	if (m) {
		clear(m);
	} else {
		c->mounts = xrealloc(c->mounts, (c->nmounts + 1) * sizeof(*c->mounts));
		m = &c->mounts[c->nmounts++];
	}
	*m = (struct container_mount){ .type = xstrdup(type), .destination = take_destination, .is_rw = true };
	return m;
}

static int take(struct parser *p, const char *destination, const char *shown)
{
	if (json_object_get(p->explicit, destination))
		return error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", shown);
	json_object_set_new(p->explicit, destination, json_true());
	return 0;
}

/* `name` "": an anonymous one. Refused as the volume's creation would be. */
static int set_volume(struct parser *p, struct container_mount *m, const char *name, const char *driver, json_t *options)
{
	struct volume_create req = { .driver = driver, .options = options };
	char id[ID_LEN + 1];
	int r;

	if (!*name) {
		id_generate(id);
		m->is_anonymous = true;
	}
	req.name = *name ? name : id;
	r = volumes_check(p->engine->volumes, &req, p->err);
	if (r < 0)
		return r;
	m->name = xstrdup(req.name);
	m->driver = xstrdup("local");
	m->source = volume_data_path(p->engine, m->name);
	m->wants_copy = true;
	return 0;
}

/* ---- -v ---- */

static int invalid_bind(struct parser *p, const char *spec, const char *type, const char *why)
{
	return error_set_class(p->err, ERROR_INVALID,
			       "invalid volume specification: '%.200s': invalid mount config for type \"%s\": %.300s",
			       spec, type, why);
}

/* In Docker's order (moby: validateMountConfigImpl). ret: the clean target. */
static int check_bind(struct parser *p, const char *text, const struct bind_spec *b, char **ret)
{
	bool is_bind = b->source[0] == '/';
	const char *type = is_bind ? "bind" : "volume";

	if (!is_bind && mount_mode_propagation(b->mode))
		return invalid_bind(p, text, type, "field BindOptions must not be specified");
	if (is_bind && mount_mode_has(b->mode, "nocopy"))
		return invalid_bind(p, text, type, "field VolumeOptions must not be specified");
	if (!*b->target)
		return invalid_bind(p, text, type, "field Target must not be empty");
	*ret = path_clean(b->target);
	if (!*ret) {
		CLEANUP(freep)
		char *why = xasprintf("invalid mount path: '%.200s' mount path must be absolute", b->target);

		return invalid_bind(p, text, type, why);
	}
	if (strcmp(*ret, "/") == 0)
		return invalid_bind(p, text, type, "invalid specification: destination can't be '/'");
	if (json_object_get(json_object_get(p->container->host_config, "Tmpfs"), *ret))
		return error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", *ret);
	return take(p, *ret, *ret);
}

static int add_bind(struct parser *p, const struct bind_spec *b, char *take_destination)
{
	const char *propagation = mount_mode_propagation(b->mode);
	struct container_mount *m;

	m = put(p, b->source[0] == '/' ? "bind" : "volume", take_destination);
	m->is_rw = !mount_mode_has(b->mode, "ro");
	if (b->source[0] == '/') {
		m->source = path_clean(b->source);
		m->propagation = xstrdup(propagation ? propagation : "rprivate");
		m->mode = xstrdup(b->mode);
		return 0;
	}
	m->mode = xstrdup(*b->mode ? b->mode : "z");
	if (set_volume(p, m, b->source, json_text(p->container->host_config, "VolumeDriver"), NULL) < 0)
		return p->err->code;
	m->wants_copy = !mount_mode_has(b->mode, "nocopy");
	return 0;
}

static int parse_bind(struct parser *p, const char *text)
{
	CLEANUP(freep) char *destination = NULL;
	struct bind_spec b;
	int r = bind_spec_parse(text, &b, p->err);

	if (r < 0)
		return r;
	r = check_bind(p, text, &b, &destination);
	if (r == 0)
		r = add_bind(p, &b, steal_ptr(destination));
	bind_spec_done(&b);
	return r;
}

/* ---- --mount ---- */

static int invalid_mount(struct parser *p, const char *type, const char *why)
{
	return error_set_class(p->err, ERROR_INVALID, "invalid mount config for type \"%.30s\": %.400s", type, why);
}

static int mount_bind(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "BindOptions");
	const char *source = json_text(o, "Source"), *propagation = json_text(opt, "Propagation");
	CLEANUP(freep) char *why = NULL;

	if (!*source)
		return invalid_mount(p, "bind", "field Source must not be empty");
	if (*propagation && !mount_is_propagation(propagation)) {
		why = xasprintf("invalid propagation mode: %.100s", propagation);
		return invalid_mount(p, "bind", why);
	}
	m->source = path_clean(source);
	if (!m->source) {
		why = xasprintf("invalid mount path: '%.300s' mount path must be absolute", source);
		return invalid_mount(p, "bind", why);
	}
	m->needs_source = !json_is_true(json_object_get(opt, "CreateMountpoint"));
	if (m->needs_source && json_object_get(p->missing, m->source)) {
		why = xasprintf("bind source path does not exist: %s", source);
		return invalid_mount(p, "bind", why);
	}
	m->mode = xstrdup("");
	m->propagation = xstrdup(*propagation ? propagation : "rprivate");
	return 0;
}

/* ret: new text, NULL when nothing is said. */
static int parse_subpath(struct parser *p, json_t *options, const char *type, const char *source, char **ret)
{
	const char *subpath = json_text(options, "Subpath");

	if (!*subpath)
		return 0;
	if (!*source)
		return invalid_mount(p, type, "must not set Subpath when using anonymous volumes");
	if (!path_is_local(subpath))
		return invalid_mount(p, type, "subpath must be a relative path within the volume");
	*ret = xstrdup(subpath);
	return 0;
}

static int mount_volume(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "VolumeOptions"), *driver = json_object_get(opt, "DriverConfig");
	const char *source = json_text(o, "Source");

	if (parse_subpath(p, opt, "volume", source, &m->subpath) < 0 ||
	    set_volume(p, m, source, json_text(driver, "Name"), json_object_get(driver, "Options")) < 0)
		return p->err->code;
	m->mode = xstrdup("z");
	m->wants_copy = !json_is_true(json_object_get(opt, "NoCopy"));
	return 0;
}

/* Docker knows only these (moby: validTmpfsOptions). */
static int check_tmpfs_words(struct parser *p, json_t *words)
{
	CLEANUP(freep) char *why = NULL;
	json_t *v;
	size_t i;

	json_array_foreach(words, i, v) {
		const char *word = json_string_value(json_array_get(v, 0));

		if (json_array_size(v) < 1 || json_array_size(v) > 2)
			return invalid_mount(p, "tmpfs", "invalid option array length");
		if (strcmp(word, "exec") == 0 || strcmp(word, "noexec") == 0)
			continue;
		why = xasprintf("invalid option: %.100s", word);
		return invalid_mount(p, "tmpfs", why);
	}
	return 0;
}

static int mount_tmpfs(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "TmpfsOptions");
	json_int_t bytes = json_integer_value(json_object_get(opt, "SizeBytes"));

	if (*json_text(o, "Source"))
		return invalid_mount(p, "tmpfs", "field Source must not be specified");
	if (bytes < 0)
		return invalid_mount(p, "tmpfs", "the size must not be negative");
	m->mode = xstrdup("");
	m->size_bytes = (uint64_t)bytes;
	m->tmpfs_mode = (uint32_t)json_integer_value(json_object_get(opt, "Mode")) & 07777;
	return check_tmpfs_words(p, json_object_get(opt, "Options"));
}

static int mount_image(struct parser *p, struct container_mount *m, json_t *o)
{
	const char *source = json_text(o, "Source");
	struct image *image;

	if (!*source)
		return invalid_mount(p, "image", "field Source must not be empty");
	if (parse_subpath(p, json_object_get(o, "ImageOptions"), "image", source, &m->subpath) < 0 ||
	    images_find(p->engine->images, source, &image, p->err) < 0)
		return p->err->code;
	m->name = xstrdup(source);
	m->image_id = xstrdup(image->id);
	m->source = xstrdup(image_root(p->engine->images, image));
	m->mode = xstrdup("");
	m->propagation = xstrdup("rprivate");
	m->is_rw = false;
	return 0;
}

static const struct {
	const char *type, *options;
	int (*parse)(struct parser *p, struct container_mount *m, json_t *o);
} kinds[] = {
	{ "bind", "BindOptions", mount_bind },    { "volume", "VolumeOptions", mount_volume },
	{ "image", "ImageOptions", mount_image }, { "tmpfs", "TmpfsOptions", mount_tmpfs },
	{ "cluster", "ClusterOptions", NULL },
};

/* What is the same for all of them. ret: which kind, and the clean target. */
static int check_mount(struct parser *p, json_t *o, size_t *ret_kind, char **ret)
{
	const char *type = json_text(o, "Type"), *target = json_text(o, "Target");
	CLEANUP(freep) char *why = NULL;

	*ret_kind = ARRAY_SIZE(kinds);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].type, type) == 0) {
			*ret_kind = i;
		} else if (json_object_get(o, kinds[i].options)) {
			why = xasprintf("field %s must not be specified", kinds[i].options);
			return invalid_mount(p, type, why);
		}
	}
	if (!*target)
		return invalid_mount(p, type, "field Target must not be empty");
	*ret = path_clean(target);
	if (*ret && strcmp(*ret, "/") == 0)
		return invalid_mount(p, type, "invalid specification: destination can't be '/'");
	if (!*ret) {
		why = xasprintf("invalid mount path: '%.300s' mount path must be absolute", target);
		return invalid_mount(p, type, why);
	}
	if (*ret_kind == ARRAY_SIZE(kinds) || !kinds[*ret_kind].parse)
		return invalid_mount(p, type, "mount type unknown");
	return take(p, *ret, target);
}

static int parse_mount(struct parser *p, json_t *o)
{
	CLEANUP(freep) char *destination = NULL;
	struct container_mount *m;
	size_t kind;
	int r = check_mount(p, o, &kind, &destination);

	if (r < 0)
		return r;
	m = put(p, kinds[kind].type, steal_ptr(destination));
	m->is_rw = !json_is_true(json_object_get(o, "ReadOnly"));
	return kinds[kind].parse(p, m, o);
}

/* ---- --tmpfs ---- */

static int check_tmpfs(struct parser *p, json_t *tmpfs)
{
	struct tmpfs_options o;
	const char *target;
	json_t *v;

	json_object_foreach(tmpfs, target, v) {
		CLEANUP(freep) char *clean = path_clean(target);

		if (clean && strcmp(clean, "/") == 0)
			return error_set_class(p->err, ERROR_INVALID, "invalid specification: destination can't be '/'");
		if (!clean)
			return error_set_class(p->err, ERROR_INVALID,
					       "invalid mount path: '%.300s' mount path must be absolute", target);
		if (json_object_get(p->explicit, clean))
			return error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", target);
		if (tmpfs_parse(json_string_value(v), &o, p->err) < 0)
			return p->err->code;
	}
	return 0;
}

/* ---- --volumes-from, an image's VOLUMEs ---- */

static int parse_from(struct parser *p, const char *spec)
{
	CLEANUP(freep) char *name = xstrdup(spec);
	char *mode = strchr(name, ':');
	struct container *from;

	if (!*spec)
		return error_set_class(p->err, ERROR_INVALID, "volumes-from specification cannot be an empty string");
	if (mode)
		*mode++ = '\0';
	if (!mode || !*mode)
		mode = (char *)"rw";
	if (!mount_mode_is_valid(mode) || mount_mode_propagation(mode) || mount_mode_has(mode, "nocopy"))
		return error_set_class(p->err, ERROR_INVALID, "invalid mode: %.100s", mode);
	if (containers_find(&p->engine->containers, name, &from, p->err) < 0) /* not "not found": clients would pull */
		return error_set_class(p->err, ERROR_INVALID, "No such container: %.200s", name);
	for (size_t i = 0; i < from->nmounts; i++) {
		const struct container_mount *in = &from->mounts[i];
		struct container_mount *m;

		if (strcmp(in->type, "tmpfs") == 0)
			continue;
		m = put(p, in->type, xstrdup(in->destination));
		m->name = copy(in->name);
		m->source = copy(in->source);
		m->driver = copy(in->driver);
		m->mode = xstrdup("");
		m->propagation = copy(in->propagation);
		m->subpath = copy(in->subpath);
		m->image_id = copy(in->image_id);
		m->is_anonymous = in->is_anonymous;
		m->needs_source = in->needs_source;
		m->is_rw = in->is_rw && !mount_mode_has(mode, "ro");
	}
	return 0;
}

static int add_declared(struct parser *p, json_t *volumes, json_t *tmpfs)
{
	const char *path;
	json_t *v;

	json_object_foreach(volumes, path, v) {
		CLEANUP(freep) char *destination = path_clean(path);
		struct container_mount *m;

		if (!destination)
			return error_set_class(p->err, ERROR_INVALID,
					       "invalid volume: '%.200s': mount path must be absolute", path);
		if (find_mount(p->container, destination) || json_object_get(tmpfs, destination))
			continue;
		m = put(p, "volume", steal_ptr(destination));
		m->mode = xstrdup("");
		if (set_volume(p, m, "", json_text(p->container->host_config, "VolumeDriver"), NULL) < 0)
			return p->err->code;
	}
	return 0;
}

/* Docker's order: what others have gives way to what was said. */
static int resolve(struct parser *p)
{
	json_t *host = p->container->host_config, *v;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(host, "VolumesFrom"), i, v)
		if (r == 0)
			r = parse_from(p, json_string_value(v) ? json_string_value(v) : "");
	json_array_foreach(json_object_get(host, "Binds"), i, v)
		if (r == 0)
			r = parse_bind(p, json_string_value(v) ? json_string_value(v) : "");
	json_array_foreach(json_object_get(host, "Mounts"), i, v)
		if (r == 0)
			r = parse_mount(p, v);
	if (r == 0)
		r = check_tmpfs(p, json_object_get(host, "Tmpfs"));
	return r < 0 ? r : add_declared(p, json_object_get(p->container->config, "Volumes"), json_object_get(host, "Tmpfs"));
}

int mounts_resolve(struct engine *e, struct container *c, json_t *missing, struct error *err)
{
	struct parser p = { .engine = e, .container = c, .missing = missing, .explicit = json_object(), .err = err };
	int r = resolve(&p);

	json_decref(p.explicit);
	return r;
}
