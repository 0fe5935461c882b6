/* Creation: a request's body and an image become a container. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine/internal.h"
#include "engine/joined.h"
#include "engine/mount_spec.h"
#include "engine/networks.h"
#include "engine/schema.h"
#include "image/images.h"
#include "image/platform.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/json.h"

static const char *const adjectives[] = {
	"amber", "brisk", "calm",   "clever", "dapper", "eager",  "fair",    "gentle",
	"happy", "jolly", "keen",   "lively", "merry",  "nimble", "patient", "quick",
	"quiet", "sharp", "steady", "sunny",  "swift",  "tidy",   "vivid",   "witty",
};
static const char *const surnames[] = {
	"babbage", "backus",    "boole",   "dijkstra", "engelbart", "feynman",  "gauss",    "hamilton",
	"hopper",  "kernighan", "knuth",   "lamport",  "liskov",    "lovelace", "mccarthy", "noether",
	"pascal",  "ritchie",   "shannon", "tarjan",   "thompson",  "torvalds", "turing",   "wirth",
};

/* adjective_surname, with a digit behind it when that is taken. */
static char *generate_name(struct engine *e)
{
	for (unsigned attempt = 0;; attempt++) {
		char id[ID_LEN + 1];
		unsigned long n;
		char *name;

		id_generate(id);
		id[8] = '\0';
		n = strtoul(id, NULL, 16);
		name = xasprintf("%s_%s", adjectives[n % ARRAY_SIZE(adjectives)],
				 surnames[n / ARRAY_SIZE(adjectives) % ARRAY_SIZE(surnames)]);
		if (attempt > 4) {
			char *longer = xasprintf("%s%u", name, attempt > 40 ? (unsigned)n : attempt);

			free(name);
			name = longer;
		}
		if (!map_has(&e->containers.by_name, name))
			return name;
		free(name);
	}
}

static int check_name(const char *name, struct error *err)
{
	bool is_good = isalnum((unsigned char)name[0]) && name[1];

	for (const char *p = name; is_good && *p; p++)
		is_good = isalnum((unsigned char)*p) || *p == '_' || *p == '.' || *p == '-';
	if (is_good)
		return 0;
	return error_set_class(err, ERROR_INVALID,
			       "Invalid container name (%.200s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name);
}

/* ---- Config: the image's defaults where the request says nothing ---- */

/* Absent or empty: the image's. */
static void inherit(json_t *config, json_t *defaults, const char *key)
{
	json_t *v = json_object_get(config, key), *d = json_object_get(defaults, key);
	bool is_empty = !v || (json_is_string(v) && !json_string_length(v)) || (json_is_array(v) && !json_array_size(v));

	if (is_empty && d && !json_is_null(d))
		json_object_set(config, key, d);
}

/* The request's variables, then the image's others (moby: daemon/commit.go merge). */
static void merge_env(json_t *config, json_t *image_env)
{
	json_t *own = json_object_get(config, "Env"), *merged = own ? json_copy(own) : json_array(), *v, *w;
	size_t i, k;

	json_array_foreach(image_env, i, v) {
		const char *text = json_string_value(v);
		size_t n = strcspn(text, "=");
		bool is_set = false;

		json_array_foreach(own, k, w)
			is_set = is_set || (strncmp(json_string_value(w), text, n) == 0 &&
					    strchr("=", json_string_value(w)[n])); /* '=' or the end */
		if (!is_set)
			json_array_append(merged, v);
	}
	json_object_set_new(config, "Env", merged);
}

/* Of the image's check what the request's leaves out. */
static void merge_health(json_t *config, json_t *image_health)
{
	static const char *const numbers[] = { "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries" };
	json_t *own = json_object_get(config, "Healthcheck");

	if (!own || !image_health) {
		if (image_health)
			json_object_set(config, "Healthcheck", image_health);
		return;
	}
	own = json_copy(own);
	if (json_array_size(json_object_get(own, "Test")) == 0 && json_object_get(image_health, "Test"))
		json_object_set(own, "Test", json_object_get(image_health, "Test"));
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!json_integer_value(json_object_get(own, numbers[i])) && json_object_get(image_health, numbers[i]))
			json_object_set(own, numbers[i], json_object_get(image_health, numbers[i]));
	json_object_set_new(config, "Healthcheck", own);
}

static void merge_map(json_t *config, json_t *defaults, const char *key)
{
	json_t *own = json_object_get(config, key), *image = json_object_get(defaults, key);

	if (json_object_size(image) == 0)
		return;
	own = own ? json_copy(own) : json_object();
	json_object_update_missing(own, image);
	json_object_set_new(config, key, own);
}

/* A new entrypoint drops the image's command; [""] is none, and not the image's either. */
static void merge_command(json_t *config, json_t *defaults)
{
	json_t *entrypoint = json_object_get(config, "Entrypoint");

	if (json_array_size(entrypoint) == 0) {
		inherit(config, defaults, "Cmd");
		if (!entrypoint)
			inherit(config, defaults, "Entrypoint");
	} else if (json_array_size(entrypoint) == 1 && !json_string_length(json_array_get(entrypoint, 0))) {
		json_object_del(config, "Entrypoint");
	}
}

json_t *config_merge(json_t *own, json_t *defaults)
{
	static const char *const inherited[] = { "User",        "WorkingDir", "StopSignal",
						 "StopTimeout", "Shell",      "ArgsEscaped" };
	static const char *const merged[] = { "Labels", "Volumes", "ExposedPorts" };
	json_t *config = json_copy(own);

	json_object_del(config, "HostConfig");
	json_object_del(config, "NetworkingConfig");
	merge_command(config, defaults);
	merge_env(config, json_object_get(defaults, "Env"));
	merge_health(config, json_object_get(defaults, "Healthcheck"));
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++)
		inherit(config, defaults, inherited[i]);
	for (size_t i = 0; i < ARRAY_SIZE(merged); i++)
		merge_map(config, defaults, merged[i]);
	if (!json_object_get(config, "Labels"))
		json_object_set_new(config, "Labels", json_object());
	/* An image must not choose whom its containers' token is sent to. */
	if (!json_object_get(json_object_get(own, "Labels"), AGENT_LABEL))
		json_object_del(json_object_get(config, "Labels"), AGENT_LABEL);
	return config;
}

static int set_command(struct container *c, struct error *err)
{
	json_t *words = json_array(), *e = json_object_get(c->config, "Entrypoint"), *cmd = json_object_get(c->config, "Cmd");

	if (json_is_array(e))
		json_array_extend(words, e);
	if (json_is_array(cmd))
		json_array_extend(words, cmd);
	if (json_array_size(words) == 0) {
		json_decref(words);
		return error_set_class(err, ERROR_INVALID, "no command specified");
	}
	c->path = xstrdup(json_string_value(json_array_get(words, 0)));
	json_array_remove(words, 0);
	c->args = words;
	return 0;
}

/* ---- HostConfig: what a daemon fills in ---- */

static bool is_empty_text(json_t *o, const char *key)
{
	return json_string_length(json_object_get(o, key)) == 0;
}

static void default_text(json_t *o, const char *key, const char *value)
{
	if (is_empty_text(o, key))
		json_object_set_new(o, key, json_string(value));
}

/* Zero values are what absent fields read as, so a hundred thousand containers need not keep them.
 * `kept`: pointers in Docker's structures, where zero and absent differ. */
static void drop_zeros(json_t *o, const char *const *kept)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(o, next, key, v) {
		bool is_zero = json_is_false(v) || (json_is_string(v) && !json_string_length(v)) ||
			       (json_is_integer(v) && !json_integer_value(v));

		for (size_t i = 0; is_zero && kept[i]; i++)
			is_zero = strcmp(kept[i], key) != 0;
		if (is_zero)
			json_object_del(o, key);
	}
}

/* Lists that read as empty, not as null, when they are absent. */
static void drop_empty_lists(json_t *host)
{
	static const char *const lists[] = { "Dns",
					     "DnsOptions",
					     "DnsSearch",
					     "BlkioWeightDevice",
					     "BlkioDeviceReadBps",
					     "BlkioDeviceWriteBps",
					     "BlkioDeviceReadIOps",
					     "BlkioDeviceWriteIOps",
					     "Devices" };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (json_array_size(json_object_get(host, lists[i])) == 0)
			json_object_del(host, lists[i]);
}

/* "80" is "80/tcp"; a port without bindings has one to a port of our choice. */
static void normalise_ports(json_t *host)
{
	json_t *ports = json_object(), *list;
	const char *port;

	json_object_foreach(json_object_get(host, "PortBindings"), port, list) {
		CLEANUP(freep) char *name = strchr(port, '/') ? xstrdup(port) : xasprintf("%s/tcp", port);

		json_object_set_new(ports, name,
				    json_array_size(list) ? json_incref(list) :
							    json_pack("[{s:s, s:s}]", "HostIp", "", "HostPort", ""));
	}
	json_object_set_new(host, "PortBindings", ports);
}

/* "default" is bridge; a container's name becomes its id, which a rename does not change. */
static void normalise_network(struct engine *e, json_t *host)
{
	const char *mode = json_string_value(json_object_get(host, "NetworkMode"));
	struct container *other;
	struct network *n;

	if (!mode || !*mode || strcmp(mode, "default") == 0)
		json_object_set_new(host, "NetworkMode", json_string("bridge"));
	else if (network_mode_container(mode) &&
		 containers_find(&e->containers, network_mode_container(mode), &other, NULL) == 0)
		json_object_set_new(host, "NetworkMode", json_sprintf("container:%s", other->id));
	else if (network_is_user_defined(mode) && networks_find(e->networks, mode, &n, NULL) == 0 && strcmp(mode, n->name))
		json_object_set_new(host, "NetworkMode", json_string(n->id)); /* what was the beginning of it */
}

static void normalise_log(json_t *host)
{
	json_t *log = json_child(host, "LogConfig");

	default_text(log, "Type", "json-file");
	json_child(log, "Config");
}

static void adapt_host(struct engine *e, json_t *host)
{
	json_int_t memory = json_integer_value(json_object_get(host, "Memory"));

	normalise_network(e, host);
	normalise_ports(host);
	normalise_log(host);
	default_text(json_child(host, "RestartPolicy"), "Name", "no");
	default_text(host, "IpcMode", "private");
	default_text(host, "CgroupnsMode", "private");
	if (memory > 0 && json_integer_value(json_object_get(host, "MemorySwap")) == 0)
		json_object_set_new(host, "MemorySwap", json_integer(2 * memory));
	if (json_integer_value(json_object_get(host, "PidsLimit")) <= 0)
		json_object_del(host, "PidsLimit");
	if (json_integer_value(json_object_get(host, "ShmSize")) <= 0)
		json_object_set_new(host, "ShmSize", json_integer(64 << 20));
}

/* ---- the container ---- */

/* The short id; on the host's network the host's own name. */
static void name_host(struct container *c)
{
	char name[HOST_NAME_MAX + 1] = "";

	if (strcmp(json_string_value(json_object_get(c->host_config, "NetworkMode")), "host") != 0 ||
	    gethostname(name, sizeof(name) - 1) < 0) {
		memcpy(name, c->id, ID_SHORT_LEN);
		name[ID_SHORT_LEN] = '\0';
	}
	json_object_set_new(c->config, "Hostname", json_string(name));
}

/* `body` is decoded and checked. */
static void clean_workdir(json_t *config)
{
	CLEANUP(freep) char *clean = path_clean(json_text(config, "WorkingDir"));

	if (clean)
		json_object_set_new(config, "WorkingDir", json_string(clean));
}

static struct container *build(struct engine *e, json_t *body, struct image *image)
{
	static const char *const config_pointers[] = { "StopTimeout", NULL };
	static const char *const host_pointers[] = { "Init", "MemorySwappiness", "OomKillDisable", NULL };
	struct container *c = container_new();

	id_generate(c->id);
	c->created_ns = clock_wall_ns();
	c->config = config_merge(body, json_object_get(image->config, "config"));
	clean_workdir(c->config);
	c->host_config = json_incref(json_child(body, "HostConfig"));
	c->networking = json_incref(json_child(body, "NetworkingConfig"));
	adapt_host(e, c->host_config);
	if (is_empty_text(c->config, "Hostname"))
		name_host(c);
	drop_zeros(c->config, config_pointers);
	drop_zeros(c->host_config, host_pointers);
	drop_empty_lists(c->host_config);
	c->image_ref = xstrdup(json_string_value(json_object_get(body, "Image")));
	c->image_id = xstrdup(image->id);
	c->platform = xstrdup("linux");
	return c;
}

/* "os", "architecture", or "os/architecture[/variant]". `image` NULL: only whether it is one. */
static int check_platform(const char *text, const struct image *image, const char *image_name, struct error *err)
{
	struct image_platform wanted;
	int r = text && *text ? image_platform_parse(text, &wanted, err) : 0;

	if (r < 0 || !text || !*text || !image)
		return r;
	return image_platform_check(&wanted, image->config, image_name, err);
}

static int check_network_of(struct engine *e, json_t *host, struct error *err)
{
	const char *owner = network_mode_container(json_string_value(json_object_get(host, "NetworkMode")));
	struct container *other;

	return owner ? joined_find(e, owner, &other, err) : 0;
}

static int create(struct engine *e, const struct container_create *req, struct container **ret, struct error *err)
{
	json_t *body = req->body;
	const char *image_name = json_string_value(json_object_get(body, "Image"));
	const char *name = req->name && req->name[0] == '/' ? req->name + 1 : req->name;
	const char *wanted = json_string_value(json_object_get(json_object_get(body, "HostConfig"), "Runtime"));
	char *runtime = NULL, *why = NULL;
	struct container *c;
	struct image *image;
	int r = check_platform(req->platform, NULL, image_name, err);

	if (r == 0 && name && *name)
		r = check_name(name, err);
	if (r == 0 && (!image_name || !*image_name))
		r = error_set_class(err, ERROR_INVALID, "config cannot be empty in order to create a container");
	if (r == 0)
		r = engine_check_builder(image_name, err);
	if (r == 0)
		r = validate_create(body, err);
	if (r == 0)
		r = check_network_of(e, json_object_get(body, "HostConfig"), err);
	if (r == 0)
		r = joined_adapt(e, json_object_get(body, "HostConfig"), err);
	if (r == 0)
		r = networks_adapt_create(e, body, err);
	if (r == 0)
		r = images_find(e->images, image_name, &image, err);
	if (r == 0)
		r = check_platform(req->platform, image, image_name, err);
	if (r == 0)
		r = routing_decide(e, image, wanted, json_object_get(body, "Labels"), &runtime, &why, err);
	if (r < 0)
		return r;
	c = build(e, body, image);
	c->runtime = runtime;
	c->route = why;
	c->name = name && *name ? xstrdup(name) : generate_name(e);
	r = set_command(c, err);
	if (r == 0)
		r = mounts_resolve(e, c, req->missing, err);
	if (r == 0)
		r = containers_add(&e->containers, c, err);
	if (r < 0) {
		container_unref(c);
		return r;
	}
	links_register(e, c);
	engine_container_event(e, c, "create", NULL);
	*ret = c;
	return 0;
}

int engine_container_create(struct engine *e, const struct container_create *req, struct container **ret,
			    json_t **ret_warnings, struct error *err)
{
	json_t *warnings = json_array();
	int r;

	validate_warn(req->body, warnings); /* of what was asked for, not of what is filled in */
	joined_warn(json_object_get(req->body, "HostConfig"), warnings);
	r = create(e, req, ret, err);
	if (r < 0)
		json_decref(warnings);
	else
		*ret_warnings = warnings;
	return r;
}

int engine_container_rename(struct engine *e, struct container *c, const char *name, struct error *err)
{
	char *old = xasprintf("/%s", c->name);
	int r;

	if (name[0] == '/')
		name++;
	r = *name ? 0 : error_set_class(err, ERROR_INVALID, "Neither old nor new names may be empty");
	if (r == 0 && strcmp(c->name, name) == 0)
		r = error_set_class(err, ERROR_INVALID, "Renaming a container with the same name as its current name");
	if (r == 0) {
		r = check_name(name, err);
		if (r == 0)
			r = containers_rename(&e->containers, c, name, err);
		if (r < 0)
			error_prefix(err, "Error when allocating new name");
	}
	if (r == 0) {
		networks_renamed(e, c);
		engine_container_event(e, c, "rename", json_pack("{s:s}", "oldName", old));
	}
	free(old);
	return r;
}
