/* The engine as an object, and what everything in it shares. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drivers/agent.h"
#include "drivers/plugin.h"
#include "drivers/synthetic.h"
#include "drivers/wasm.h"
#include "engine/internal.h"
#include "engine/networks.h"
#include "engine/standins.h"
#include "engine/views.h"
#include "engine/volumes.h"
#include "image/images.h"
#include "registry/registry.h"
#include "rootfs/rootfs.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static const char *const *copy_list(const char *const *list)
{
	size_t n = 0;
	const char **copy;

	while (list && list[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(list[i]);
	return copy;
}

static void free_list(const char *const *list)
{
	for (size_t i = 0; list && list[i]; i++)
		free((char *)list[i]);
	free((void *)list);
}

static void copy_options(struct engine *e, const struct engine_options *o)
{
	e->options = *o;
	e->options.data_root = xstrdup(o->data_root);
	e->options.socket_path = xstrdup(o->socket_path);
	e->options.default_runtime = xstrdup(o->default_runtime ? o->default_runtime : "auto");
	e->options.routes = copy_list(o->routes);
	e->options.sandbox_path = xstrdup(o->sandbox_path);
	e->options.guest_path = xstrdup(o->guest_path);
	e->options.images_mode = xstrdup(o->images_mode ? o->images_mode : "auto");
	e->options.fetch_path = xstrdup(o->fetch_path);
	e->options.registry_mirrors = copy_list(o->registry_mirrors);
	e->options.insecure_registries = copy_list(o->insecure_registries);
	e->options.address_pools = copy_list(o->address_pools);
	e->options.bip = xstrdup(o->bip);
	e->options.host_gateway_ip = xstrdup(o->host_gateway_ip);
	e->options.agents.token = xstrdup(o->agents.token);
	e->options.agents.data_root = e->options.data_root;
	e->options.agents.agent_path = xstrdup(o->agents.agent_path);
	e->options.agents.launcher_dirs = xstrdup(o->agents.launcher_dirs);
	e->options.agents.native = xstrdup(o->agents.native);
	e->options.agents.callback = xstrdup(o->agents.callback);
	e->options.agents.authorities = xstrdup(o->agents.authorities);
}

/* What ran when the daemon ended was killed with it. */
static void reconcile(struct engine *e)
{
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (c->state.status != CONTAINER_RUNNING && c->state.status != CONTAINER_PAUSED &&
		    c->state.status != CONTAINER_RESTARTING)
			continue;
		if (c->state.status != CONTAINER_RESTARTING) {
			c->state.exit_code = 137;
			free(c->state.error);
			c->state.error = xstrdup("it was ended with the daemon, which did not end in order");
			c->state.finished_ns = clock_wall_ns();
		}
		c->state.status = CONTAINER_EXITED;
		if (c->state.health.status != HEALTH_NONE)
			c->state.health.status = HEALTH_UNHEALTHY;
		containers_save(&e->containers, c);
	}
}

/* Containers that were to go with their end; directories of containers that never came to be. */
static void sweep(struct engine *e)
{
	CLEANUP(freep) char *dir = xasprintf("%s/containers", e->options.data_root);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	list_for_each_safe(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (json_is_true(json_object_get(c->host_config, "AutoRemove")))
			engine_container_remove(e, c, true, true, NULL, NULL);
	}
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.' && !map_has(&e->containers.by_id, entry->d_name))
			rootfs_remove_tree(fd, entry->d_name);
	if (d)
		closedir(d);
}

static int load_id(void *arg, const char *id, json_t *value)
{
	struct engine *e = arg;

	(void)id;
	free(e->id);
	e->id = xstrdup(json_string_value(value));
	return 0;
}

static int identify(struct engine *e, struct error *err)
{
	char id[ID_LEN + 1];
	json_t *text;
	int r = store_load(e->store, "engine", load_id, e, err);

	if (r < 0 || e->id)
		return r;
	id_generate(id);
	e->id = xstrdup(id);
	text = json_string(id);
	store_put(e->store, "engine", "id", text);
	json_decref(text);
	return 0;
}

static void put_first(struct engine *e, struct driver *d)
{
	d->next = e->drivers;
	e->drivers = d;
}

/* Agents come first, then what an embedder runs elsewhere, then stand-ins; what an embedder adds (embed.c) goes before
 * them. The order is the chain's meaning. */
static int build_chain(struct engine *e, struct error *err)
{
	int r = wasm_driver_new(e->loop, e->options.sandbox_path, &e->drivers, err);

	if (r < 0)
		return r;
	e->drivers->next = synthetic_driver_new(e->loop, e->options.pretend);
	put_first(e, plugin_driver_new(e->loop, &standin_factory, e));
	e->backend = plugin_driver_new(e->loop, &backend_factory, NULL);
	put_first(e, e->backend);
	e->agents = agent_driver_new(e->loop, e->store, &e->options.agents);
	put_first(e, e->agents);
	return chain_check(e->drivers, err);
}

static int open_parts(struct engine *e, struct error *err)
{
	struct images_options io = { .loop = e->loop,
				     .data_root = e->options.data_root,
				     .guest_path = e->options.guest_path,
				     .mode = e->options.images_mode };
	struct registry_options ro = { .loop = e->loop,
				       .data_root = e->options.data_root,
				       .fetch_path = e->options.fetch_path,
				       .mirrors = e->options.registry_mirrors,
				       .insecure = e->options.insecure_registries };
	struct networks_options no = { .address_pools = e->options.address_pools,
				       .bip = e->options.bip,
				       .host_gateway_ip = e->options.host_gateway_ip,
				       .allow_host_loopback = e->options.allow_host_loopback };
	char *dir = xasprintf("%s/containers", e->options.data_root);
	int r = mkdir(dir, 0700) < 0 && errno != EEXIST ? error_set(err, -errno, "%s: %s", dir, strerror(errno)) : 0;

	free(dir);
	if (r == 0)
		r = store_open(e->loop, e->options.is_ephemeral ? NULL : e->options.data_root, &e->store, err);
	if (r == 0)
		r = events_new(e->store, &e->events);
	if (r == 0)
		r = containers_init(&e->containers, e->store, err);
	if (r == 0)
		r = identify(e, err);
	io.store = e->store;
	io.events = e->events;
	if (r == 0)
		r = images_open(&io, &e->images, err);
	ro.images = e->images;
	ro.events = e->events;
	if (r == 0)
		r = registry_open(&ro, &e->registry, err);
	if (r == 0)
		r = volumes_open(e, &e->volumes, err);
	if (r == 0)
		r = networks_open(e, &no, &e->networks, err);
	if (r == 0)
		links_load(e);
	if (r == 0)
		r = build_chain(e, err);
	return r;
}

int engine_open(const struct engine_options *opt, struct engine **ret, struct error *err)
{
	struct engine *e = xnew(struct engine);
	int r;

	e->loop = opt->loop;
	copy_options(e, opt);
	e->views = views_new();
	map_init(&e->execs);
	list_init(&e->containers.by_age);
	e->started_ns = clock_wall_ns();
	r = open_parts(e, err);
	if (r < 0) {
		engine_free(e);
		return r;
	}
	reconcile(e);
	sweep(e);
	restart_all(e);
	*ret = e;
	return 0;
}

void engine_stop(struct engine *e, void (*done)(void *arg), void *arg)
{
	e->is_stopping = true;
	/* The zygote's end kills every process; rows say so at the next start. */
	reconcile(e);
	chain_free(e->drivers);
	e->drivers = NULL;
	networks_stop_all(e);
	registry_stop(e->registry);
	list_for_each(it, &e->containers.by_age) {
		struct container *c = container_of(it, struct container, by_age);

		if (c->run)
			crun_abandon(c->run);
	}
	done(arg);
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	chain_free(e->drivers);
	store_close(e->store);
	execs_done(e);
	list_for_each(it, &e->containers.by_age)
		crun_free(container_of(it, struct container, by_age));
	if (e->containers.store)
		containers_done(&e->containers);
	views_free(e->views);
	events_free(e->events);
	registry_free(e->registry);
	images_free(e->images);
	volumes_free(e->volumes);
	networks_free(e->networks);
	free((char *)e->options.data_root);
	free((char *)e->options.socket_path);
	free((char *)e->options.agents.token);
	free((char *)e->options.agents.agent_path);
	free((char *)e->options.agents.launcher_dirs);
	free((char *)e->options.agents.native);
	free((char *)e->options.agents.callback);
	free((char *)e->options.agents.authorities);
	free((char *)e->options.default_runtime);
	free_list(e->options.routes);
	free((char *)e->options.sandbox_path);
	free((char *)e->options.guest_path);
	free((char *)e->options.images_mode);
	free((char *)e->options.fetch_path);
	free_list(e->options.registry_mirrors);
	free_list(e->options.insecure_registries);
	free_list(e->options.address_pools);
	free((char *)e->options.bip);
	free((char *)e->options.host_gateway_ip);
	free(e->id);
	free(e);
}

void engine_container_event(struct engine *e, struct container *c, const char *action, json_t *take_extra)
{
	json_t *attributes = json_object_get(c->config, "Labels");

	attributes = json_is_object(attributes) ? json_copy(attributes) : json_object();
	json_object_set_new(attributes, "image", json_string(c->image_ref ? c->image_ref : ""));
	json_object_set_new(attributes, "name", json_string(c->name));
	if (c->driver)
		json_object_set_new(attributes, "sockerless.driver", json_string(c->driver));
	if (take_extra)
		json_object_update(attributes, take_extra);
	json_decref(take_extra);
	events_publish(e->events, "container", action, c->id, attributes);
}

void engine_counts(struct engine *e, size_t *ret_running, size_t *ret_paused, size_t *ret_stopped)
{
	size_t n[3] = { 0 };

	list_for_each(it, &e->containers.by_age) {
		const struct container *c = container_of(it, struct container, by_age);

		n[c->state.status == CONTAINER_RUNNING ? 0 : c->state.status == CONTAINER_PAUSED ? 1 : 2]++;
	}
	*ret_running = n[0];
	*ret_paused = n[1];
	*ret_stopped = n[2];
}

/* ---- callbacks that must not come from within a call ---- */

struct later {
	uv_idle_t idle;
	engine_done done;
	void *arg;
	bool has_error;
	struct error err;
};

static void on_later_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_later(uv_idle_t *idle)
{
	struct later *l = idle->data;

	uv_idle_stop(idle);
	l->done(l->arg, l->has_error ? &l->err : NULL);
	uv_close((uv_handle_t *)idle, on_later_closed);
}

void engine_later(struct engine *e, engine_done done, void *arg, const struct error *err)
{
	struct later *l;

	if (!done)
		return;
	l = xnew(struct later);
	l->done = done;
	l->arg = arg;
	l->has_error = err != NULL;
	if (err)
		l->err = *err;
	uv_idle_init(e->loop, &l->idle);
	l->idle.data = l;
	uv_idle_start(&l->idle, on_later);
}
