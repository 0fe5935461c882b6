/* Creation: a request's body and an image become a container. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "engine/log.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static const char *const adjectives[] = {
	"amber", "brisk", "calm", "clever", "dapper", "eager", "fair", "gentle", "happy", "jolly", "keen", "lively",
	"merry", "nimble", "patient", "quick", "quiet", "sharp", "steady", "sunny", "swift", "tidy", "vivid", "witty",
};
static const char *const surnames[] = {
	"babbage", "backus", "boole", "dijkstra", "engelbart", "feynman", "gauss", "hamilton", "hopper", "kernighan",
	"knuth", "lamport", "liskov", "lovelace", "mccarthy", "noether", "pascal", "ritchie", "shannon", "tarjan",
	"thompson", "torvalds", "turing", "wirth",
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
	return error_set_class(err, ERROR_INVALID, "Invalid container name (%.200s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			       name);
}

/* ---- types, in the words of Docker's decoder ---- */

struct field { const char *name; json_type type; const char *go; };

static const struct field config_fields[] = {
	{ "Hostname", JSON_STRING, "string" }, { "Domainname", JSON_STRING, "string" }, { "User", JSON_STRING, "string" },
	{ "AttachStdin", JSON_TRUE, "bool" }, { "AttachStdout", JSON_TRUE, "bool" }, { "AttachStderr", JSON_TRUE, "bool" },
	{ "Tty", JSON_TRUE, "bool" }, { "OpenStdin", JSON_TRUE, "bool" }, { "StdinOnce", JSON_TRUE, "bool" },
	{ "Env", JSON_ARRAY, "[]string" }, { "Image", JSON_STRING, "string" }, { "WorkingDir", JSON_STRING, "string" },
	{ "Labels", JSON_OBJECT, "map[string]string" }, { "StopSignal", JSON_STRING, "string" },
	{ "Volumes", JSON_OBJECT, "map[string]struct {}" }, { "HostConfig", JSON_OBJECT, "container.HostConfig" },
	{ "NetworkingConfig", JSON_OBJECT, "network.NetworkingConfig" },
};

static int check_types(json_t *body, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(config_fields); i++) {
		const struct field *f = &config_fields[i];
		json_t *v = json_object_get(body, f->name);

		if (!v || json_is_null(v) || json_typeof(v) == f->type || (f->type == JSON_TRUE && json_is_boolean(v)))
			continue;
		return error_set_class(err, ERROR_INVALID,
				       "invalid JSON: json: cannot unmarshal %s into Go struct field .%s of type %s",
				       json_is_string(v) ? "string" : json_is_number(v) ? "number" : json_is_array(v) ? "array" :
				       json_is_boolean(v) ? "bool" : "object",
				       f->name, f->go);
	}
	return 0;
}

/* Cmd and Entrypoint may be one string (moby: strslice). */
static json_t *as_words(json_t *v)
{
	return json_is_string(v) ? json_pack("[O]", v) : json_is_array(v) ? json_incref(v) : NULL;
}

static void set_default(json_t *config, const char *key, json_t *take_value)
{
	json_t *v = json_object_get(config, key);

	if (!v || json_is_null(v))
		json_object_set_new(config, key, take_value);
	else
		json_decref(take_value);
}

static void merge_env(json_t *config, json_t *image_env)
{
	json_t *merged = json_array(), *env = json_object_get(config, "Env"), *v, *w;
	size_t i, k;

	json_array_foreach(image_env, i, v) {
		const char *text = json_string_value(v);
		size_t n = strcspn(text, "=") + 1;
		bool is_set = false;

		json_array_foreach(env, k, w)
			is_set = is_set || strncmp(json_string_value(w) ? json_string_value(w) : "", text, n) == 0;
		if (!is_set)
			json_array_append(merged, v);
	}
	json_array_foreach(env, k, w)
		json_array_append(merged, w);
	json_object_set_new(config, "Env", merged);
}

static void merge_volumes(json_t *config, json_t *image_volumes)
{
	json_t *own = json_object_get(config, "Volumes"), *all = json_is_object(own) ? json_copy(own) : json_object();

	if (json_is_object(image_volumes))
		json_object_update_missing(all, image_volumes);
	json_object_set_new(config, "Volumes", json_object_size(all) ? json_incref(all) : json_null());
	json_decref(all);
}

/* The image's defaults where the request says nothing; a new entrypoint drops the image's command. */
static json_t *make_config(json_t *body, json_t *image_config)
{
	json_t *config = json_copy(body), *defaults = json_object_get(image_config, "config");
	json_t *entrypoint = as_words(json_object_get(body, "Entrypoint")), *cmd = as_words(json_object_get(body, "Cmd"));
	static const char *const image_fields[] = { "User", "WorkingDir", "StopSignal" };
	static const char *const false_fields[] = { "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce" };

	json_object_del(config, "HostConfig");
	json_object_del(config, "NetworkingConfig");
	/* --entrypoint "" comes as one empty word: no entrypoint, and none of the image's. */
	if (entrypoint && json_array_size(entrypoint) == 1 && !json_string_length(json_array_get(entrypoint, 0))) {
		json_decref(entrypoint);
		entrypoint = json_array();
	}
	if (!cmd && !entrypoint)
		cmd = json_incref(json_object_get(defaults, "Cmd"));
	if (!entrypoint)
		entrypoint = json_incref(json_object_get(defaults, "Entrypoint"));
	json_object_set_new(config, "Cmd", cmd ? cmd : json_null());
	json_object_set(config, "Entrypoint", json_array_size(entrypoint) ? entrypoint : json_null());
	json_decref(entrypoint);
	merge_env(config, json_object_get(defaults, "Env"));
	for (size_t i = 0; i < ARRAY_SIZE(false_fields); i++)
		set_default(config, false_fields[i], json_false());
	set_default(config, "Hostname", json_string(""));
	set_default(config, "Domainname", json_string(""));
	for (size_t i = 0; i < ARRAY_SIZE(image_fields); i++)
		if (!json_string_length(json_object_get(config, image_fields[i])))
			json_object_set(config, image_fields[i], json_object_get(defaults, image_fields[i]));
	set_default(config, "User", json_string(""));
	set_default(config, "WorkingDir", json_string(""));
	merge_volumes(config, json_object_get(defaults, "Volumes"));
	set_default(config, "OnBuild", json_null());
	set_default(config, "Labels", json_object());
	if (json_object_get(defaults, "Labels")) {
		json_t *labels = json_copy(json_object_get(defaults, "Labels"));

		json_object_update(labels, json_object_get(config, "Labels"));
		json_object_set_new(config, "Labels", labels);
	}
	return config;
}

static int set_command(struct container *c, struct error *err)
{
	json_t *words = json_array(), *e = json_object_get(c->config, "Entrypoint"), *cmd = json_object_get(c->config, "Cmd");
	json_t *v;
	size_t i;

	if (json_is_array(e))
		json_array_extend(words, e);
	if (json_is_array(cmd))
		json_array_extend(words, cmd);
	json_array_foreach(words, i, v) {
		if (!json_is_string(v)) {
			json_decref(words);
			return error_set_class(err, ERROR_INVALID, "invalid JSON: a command's words must be strings");
		}
	}
	if (json_array_size(words) == 0) {
		json_decref(words);
		return error_set_class(err, ERROR_INVALID, "no command specified");
	}
	c->path = xstrdup(json_string_value(json_array_get(words, 0)));
	json_array_remove(words, 0);
	c->args = words;
	return 0;
}

static int check_host_config(json_t *host, struct error *err)
{
	struct log_limits limits;

	return log_parse_config(json_object_get(host, "LogConfig"), &limits, err);
}

static struct container *build(const struct container_create *req, struct image *image)
{
	json_t *host = json_object_get(req->body, "HostConfig"), *log;
	struct container *c = container_new();

	id_generate(c->id);
	c->created_ns = clock_wall_ns();
	c->config = make_config(req->body, image->config);
	c->host_config = json_is_object(host) ? json_copy(host) : json_object();
	log = json_object_get(c->host_config, "LogConfig");
	if (!json_string_length(json_object_get(log, "Type"))) {
		json_t *options = json_object_get(log, "Config");

		json_object_set_new(c->host_config, "LogConfig",
				    json_pack("{s:s, s:o}", "Type", "json-file", "Config",
					      json_is_object(options) ? json_incref(options) : json_object()));
	}
	if (json_integer_value(json_object_get(c->host_config, "ShmSize")) <= 0)
		json_object_set_new(c->host_config, "ShmSize", json_integer(64 << 20));
	c->networking = json_incref(json_object_get(req->body, "NetworkingConfig"));
	if (!json_string_length(json_object_get(c->config, "Hostname"))) {
		char name[ID_SHORT_LEN + 1];

		memcpy(name, c->id, ID_SHORT_LEN);
		name[ID_SHORT_LEN] = '\0';
		json_object_set_new(c->config, "Hostname", json_string(name));
	}
	c->image_ref = xstrdup(json_string_value(json_object_get(req->body, "Image")));
	c->image_id = xstrdup(image->id);
	c->platform = xstrdup("linux");
	return c;
}

int engine_container_create(struct engine *e, const struct container_create *req, struct container **ret,
			    json_t **ret_warnings, struct error *err)
{
	const char *image_name = json_string_value(json_object_get(req->body, "Image"));
	const char *name = req->name && req->name[0] == '/' ? req->name + 1 : req->name;
	const char *wanted = json_string_value(json_object_get(json_object_get(req->body, "HostConfig"), "Runtime"));
	char *runtime = NULL;
	struct container *c;
	struct image *image;
	int r = check_types(req->body, err);

	if (r == 0 && name && *name)
		r = check_name(name, err);
	if (r == 0 && (!image_name || !*image_name))
		r = error_set_class(err, ERROR_INVALID, "config cannot be empty in order to create a container");
	if (r == 0)
		r = check_host_config(json_object_get(req->body, "HostConfig"), err);
	if (r == 0)
		r = validate_create(e, req, err);
	if (r == 0)
		r = images_find(e->images, image_name, &image, err);
	if (r == 0)
		r = routing_decide(e, image, wanted, &runtime, err);
	if (r < 0)
		return r;
	c = build(req, image);
	c->runtime = runtime;
	c->name = name && *name ? xstrdup(name) : generate_name(e);
	r = set_command(c, err);
	if (r == 0)
		r = mounts_resolve(e, c, err);
	if (r == 0)
		r = containers_add(&e->containers, c, err);
	if (r < 0) {
		container_unref(c);
		return r;
	}
	volumes_create_of(e, c);
	engine_container_event(e, c, "create", NULL);
	*ret = c;
	*ret_warnings = json_array();
	return 0;
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
	if (r == 0)
		engine_container_event(e, c, "rename", json_pack("{s:s}", "oldName", old));
	free(old);
	return r;
}
