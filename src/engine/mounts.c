/* What a request says about mounts (-v, --mount, --tmpfs, --volumes-from, an
 * image's VOLUMEs) becomes the container's list of mounts. Checks everything
 * and creates nothing: volumes come to be when the container has. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/internal.h"
#include "engine/volumes.h"
#include "util/alloc.h"
#include "util/cleanup.h"

struct parser {
	struct engine *engine;
	struct container *container;
	struct error *err;
};

static const char *text_of(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

/* Without doubled and trailing slashes and dots. False: not absolute. */
static bool clean_path(const char *path, char **ret)
{
	char *out, *end;

	if (path[0] != '/')
		return false;
	out = end = xcalloc(1, strlen(path) + 2);
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0) {
			while (end > out && *--end != '/')
				;
		} else if (n > 1 || (n == 1 && *path != '.')) {
			*end++ = '/';
			memcpy(end, path, n);
			end += n;
		}
		path += n + (path[n] == '/');
	}
	if (end == out)
		*end++ = '/';
	*end = '\0';
	*ret = out;
	return true;
}

static struct container_mount *find_mount(struct container *c, const char *destination)
{
	for (size_t i = 0; i < c->nmounts; i++)
		if (strcmp(c->mounts[i].destination, destination) == 0)
			return &c->mounts[i];
	return NULL;
}

static struct container_mount *add(struct parser *p, const char *type, char *take_destination)
{
	struct container *c = p->container;
	struct container_mount *m;

	c->mounts = xrealloc(c->mounts, (c->nmounts + 1) * sizeof(*c->mounts));
	m = &c->mounts[c->nmounts++];
	*m = (struct container_mount){ .type = xstrdup(type), .destination = take_destination, .is_rw = true };
	return m;
}

/* name NULL: an anonymous one. */
static void set_volume(struct parser *p, struct container_mount *m, const char *name)
{
	char id[ID_LEN + 1];

	if (!name) {
		id_generate(id);
		name = id;
		m->is_anonymous = true;
	}
	m->name = xstrdup(name);
	m->driver = xstrdup("local");
	m->source = volume_data_path(p->engine, name);
}

/* ---- -v ---- */

static bool is_propagation(const char *word)
{
	static const char *const words[] = { "private", "rprivate", "shared", "rshared", "slave", "rslave" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i], word) == 0)
			return true;
	return false;
}

/* "ro,z,nocopy" (moby: volume/mounts/linux_parser.go). */
static int parse_mode(struct parser *p, struct container_mount *m, const char *mode, bool is_volume)
{
	CLEANUP(freep) char *copy = xstrdup(mode);
	char *at = copy, *word;

	while (*mode && (word = strsep(&at, ","))) {
		if (strcmp(word, "ro") == 0)
			m->is_rw = false;
		else if (strcmp(word, "nocopy") == 0 && is_volume)
			m->no_copy = true;
		else if (is_propagation(word) && !is_volume)
			free(m->propagation), m->propagation = xstrdup(word);
		else if (strcmp(word, "rw") && strcmp(word, "z") && strcmp(word, "Z") && strcmp(word, "cached") &&
			 strcmp(word, "consistent") && strcmp(word, "delegated"))
			return error_set_class(p->err, ERROR_INVALID, "invalid mode: %.100s", mode);
	}
	return 0;
}

static int invalid_spec(struct parser *p, const char *spec, const char *why)
{
	return error_set_class(p->err, ERROR_INVALID, "invalid volume specification: '%.200s'%s%s", spec,
			       *why ? ": " : "", why);
}

static int parse_bind(struct parser *p, const char *spec)
{
	CLEANUP(freep) char *copy = xstrdup(spec);
	char *at = copy, *parts[3] = { 0 }, *destination;
	struct container_mount *m;
	size_t n = 0;
	bool is_path;

	do
		parts[n++] = strsep(&at, ":");
	while (at && n < 3);
	if (at || !*parts[0] || (n > 1 && !*parts[1]))
		return invalid_spec(p, spec, "");
	if (!clean_path(parts[n > 1], &destination)) {
		CLEANUP(freep)
		char *why = xasprintf("invalid mount config for type \"%s\": invalid mount path: '%s' mount path "
				      "must be absolute",
				      parts[0][0] == '/' ? "bind" : "volume", parts[n > 1]);

		return invalid_spec(p, spec, why);
	}
	if (strcmp(destination, "/") == 0) {
		free(destination);
		return invalid_spec(
			p, spec,
			parts[0][0] == '/' ?
				"invalid mount config for type \"bind\": invalid specification: destination can't be '/'" :
				"invalid mount config for type \"volume\": invalid specification: destination can't be '/'");
	}
	if (find_mount(p->container, destination)) {
		error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", destination);
		free(destination);
		return p->err->code;
	}
	is_path = n > 1 && parts[0][0] == '/';
	m = add(p, is_path ? "bind" : "volume", destination);
	if (is_path) {
		clean_path(parts[0], &m->source);
		m->propagation = xstrdup("rprivate");
	} else {
		if (n > 1 && volume_check_name(parts[0], p->err) < 0)
			return p->err->code;
		set_volume(p, m, n > 1 ? parts[0] : NULL);
	}
	m->mode = xstrdup(n == 3 ? parts[2] : is_path ? "" : "z");
	return n == 3 ? parse_mode(p, m, parts[2], !is_path) : 0;
}

/* ---- --mount ---- */

static int invalid_mount(struct parser *p, const char *type, const char *why)
{
	return error_set_class(p->err, ERROR_INVALID, "invalid mount config for type \"%.30s\": %.300s", type, why);
}

static int mount_bind(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "BindOptions");
	CLEANUP(freep) char *why = NULL;
	struct stat st;

	if (!*text_of(o, "Source"))
		return invalid_mount(p, "bind", "field Source must not be empty");
	if (!clean_path(text_of(o, "Source"), &m->source)) {
		why = xasprintf("invalid mount path: '%s' mount path must be absolute", text_of(o, "Source"));
		return invalid_mount(p, "bind", why);
	}
	if (stat(m->source, &st) < 0 && !json_is_true(json_object_get(opt, "CreateMountpoint"))) {
		why = xasprintf("bind source path does not exist: %s", m->source);
		return invalid_mount(p, "bind", why);
	}
	m->mode = xstrdup("");
	m->propagation = xstrdup(*text_of(opt, "Propagation") ? text_of(opt, "Propagation") : "rprivate");
	return is_propagation(m->propagation) ? 0 : invalid_mount(p, "bind", "invalid propagation mode");
}

static int mount_volume(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "VolumeOptions");
	const char *driver = text_of(json_object_get(opt, "DriverConfig"), "Name"), *source = text_of(o, "Source");

	if (*source && volume_check_name(source, p->err) < 0)
		return p->err->code;
	if (*driver && strcmp(driver, "local") != 0)
		return volume_no_driver(driver, p->err);
	set_volume(p, m, *source ? source : NULL);
	m->mode = xstrdup("z");
	m->no_copy = json_is_true(json_object_get(opt, "NoCopy"));
	m->subpath = *text_of(opt, "Subpath") ? xstrdup(text_of(opt, "Subpath")) : NULL;
	if (m->subpath && (m->subpath[0] == '/' || strstr(m->subpath, "..")))
		return invalid_mount(p, "volume", "subpath must be a relative path within the volume");
	return 0;
}

static int mount_tmpfs(struct parser *p, struct container_mount *m, json_t *o)
{
	json_t *opt = json_object_get(o, "TmpfsOptions");

	if (*text_of(o, "Source"))
		return invalid_mount(p, "tmpfs", "field Source must not be specified");
	m->mode = xstrdup("");
	m->size_bytes = (uint64_t)json_integer_value(json_object_get(opt, "SizeBytes"));
	m->tmpfs_mode = (uint32_t)json_integer_value(json_object_get(opt, "Mode")) & 07777;
	return 0;
}

static int parse_mount(struct parser *p, json_t *o)
{
	const char *type = text_of(o, "Type"), *target = text_of(o, "Target");
	struct container_mount *m;
	char *destination;

	if (strcmp(type, "bind") && strcmp(type, "volume") && strcmp(type, "tmpfs"))
		return invalid_mount(p, type, "mount type unknown");
	if (!*target)
		return invalid_mount(p, type, "field Target must not be empty");
	if (!clean_path(target, &destination))
		return invalid_mount(p, type, "invalid mount path: mount path must be absolute");
	if (strcmp(destination, "/") == 0 || find_mount(p->container, destination)) {
		bool is_root = strcmp(destination, "/") == 0;

		if (!is_root)
			error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", destination);
		free(destination);
		return is_root ? invalid_mount(p, type, "invalid specification: destination can't be '/'") : p->err->code;
	}
	m = add(p, type, destination);
	m->is_rw = !json_is_true(json_object_get(o, "ReadOnly"));
	if (strcmp(type, "bind") == 0)
		return mount_bind(p, m, o);
	return strcmp(type, "volume") == 0 ? mount_volume(p, m, o) : mount_tmpfs(p, m, o);
}

/* ---- --tmpfs ---- */

static bool parse_size(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long long v = strtoull(text, &end, 10);
	int shift = *end == 'k' || *end == 'K' ? 10 :
		    *end == 'm' || *end == 'M' ? 20 :
		    *end == 'g' || *end == 'G' ? 30 :
						 0;

	if (!isdigit((unsigned char)*text) || end[shift != 0] || v > UINT64_MAX >> shift)
		return false;
	*ret = (uint64_t)v << shift;
	return true;
}

int tmpfs_parse(const char *text, struct tmpfs_options *ret, struct error *err)
{
	static const char *const ignored[] = { "rw",       "exec",        "noexec",    "suid",  "nosuid",
					       "dev",      "nodev",       "sync",      "async", "noatime",
					       "relatime", "strictatime", "nodiratime" };
	CLEANUP(freep) char *copy = xstrdup(text ? text : "");
	char *at = copy, *word, *end;

	*ret = (struct tmpfs_options){ .mode = 01777 };
	while ((word = strsep(&at, ","))) {
		bool is_known = !*word || strcmp(word, "ro") == 0 || strncmp(word, "nr_inodes=", 10) == 0;

		for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
			is_known = is_known || strcmp(ignored[i], word) == 0;
		if (strcmp(word, "ro") == 0)
			ret->is_readonly = true;
		if (strncmp(word, "size=", 5) == 0)
			is_known = parse_size(word + 5, &ret->size_bytes);
		if (strncmp(word, "uid=", 4) == 0 || strncmp(word, "gid=", 4) == 0) {
			*(word[0] == 'u' ? &ret->uid : &ret->gid) = (uint32_t)strtoul(word + 4, &end, 10);
			is_known = isdigit((unsigned char)word[4]) && !*end;
		}
		if (strncmp(word, "mode=", 5) == 0) {
			ret->mode = (mode_t)strtoul(word + 5, &end, 8) & 07777;
			is_known = word[5] && !*end;
		}
		if (!is_known)
			return error_set_class(err, ERROR_INVALID, "invalid tmpfs option [\"%.100s\"]", word);
	}
	return 0;
}

static int check_tmpfs(struct parser *p, json_t *tmpfs)
{
	struct tmpfs_options o;
	const char *target;
	json_t *v;

	json_object_foreach(tmpfs, target, v) {
		if (target[0] != '/')
			return error_set_class(p->err, ERROR_INVALID,
					       "invalid mount path: '%.300s' mount path must be absolute", target);
		if (find_mount(p->container, target))
			return error_set_class(p->err, ERROR_INVALID, "Duplicate mount point: %.300s", target);
		if (tmpfs_parse(json_string_value(v), &o, p->err) < 0)
			return p->err->code;
	}
	return 0;
}

/* ---- --volumes-from, an image's VOLUMEs ---- */

static char *copy(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static int parse_from(struct parser *p, const char *spec)
{
	CLEANUP(freep) char *name = xstrdup(spec);
	char *mode = strchr(name, ':');
	struct container *from;

	if (mode)
		*mode++ = '\0';
	if (containers_find(&p->engine->containers, name, &from, p->err) < 0) /* not "not found": clients would pull */
		return error_set_class(p->err, ERROR_INVALID, "No such container: %.200s", name);
	if (mode && strcmp(mode, "ro") && strcmp(mode, "rw"))
		return error_set_class(p->err, ERROR_INVALID, "invalid mode: %.100s", mode);
	for (size_t i = 0; i < from->nmounts; i++) {
		const struct container_mount *in = &from->mounts[i];
		struct container_mount *m;

		if (find_mount(p->container, in->destination) || strcmp(in->type, "tmpfs") == 0)
			continue;
		m = add(p, in->type, xstrdup(in->destination));
		m->name = copy(in->name);
		m->source = copy(in->source);
		m->driver = copy(in->driver);
		m->mode = copy(mode ? mode : in->mode);
		m->propagation = copy(in->propagation);
		m->subpath = copy(in->subpath);
		m->no_copy = true;
		m->is_rw = in->is_rw && !(mode && strcmp(mode, "ro") == 0);
	}
	return 0;
}

static int add_declared(struct parser *p, json_t *volumes, json_t *tmpfs)
{
	const char *path;
	char *destination;
	json_t *v;

	json_object_foreach(volumes, path, v) {
		struct container_mount *m;

		if (!clean_path(path, &destination))
			return error_set_class(p->err, ERROR_INVALID,
					       "invalid volume: '%.200s': mount path must be absolute", path);
		if (find_mount(p->container, destination) || json_object_get(tmpfs, destination)) {
			free(destination);
			continue;
		}
		m = add(p, "volume", destination);
		set_volume(p, m, NULL);
		m->mode = xstrdup("");
	}
	return 0;
}

int mounts_resolve(struct engine *e, struct container *c, struct error *err)
{
	struct parser p = { e, c, err };
	json_t *host = c->host_config, *v, *list;
	size_t i;
	int r = 0;

	json_array_foreach(json_object_get(host, "Binds"), i, v)
		if (r == 0)
			r = parse_bind(&p, json_string_value(v) ? json_string_value(v) : "");
	json_array_foreach(json_object_get(host, "Mounts"), i, v)
		if (r == 0)
			r = parse_mount(&p, v);
	list = json_object_get(host, "Tmpfs");
	if (r == 0)
		r = check_tmpfs(&p, list);
	json_array_foreach(json_object_get(host, "VolumesFrom"), i, v)
		if (r == 0)
			r = parse_from(&p, json_string_value(v) ? json_string_value(v) : "");
	return r < 0 ? r : add_declared(&p, json_object_get(c->config, "Volumes"), list);
}
