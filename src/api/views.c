/* Containers as the API shows them. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

static json_t *time_of(int64_t ns)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(ns, text);
	return json_string(text);
}

/* Go's units.HumanDuration. */
static char *human(int64_t ns)
{
	int64_t s = ns / 1000000000, m = s / 60, h = (m + 30) / 60;

	if (s < 1)
		return xstrdup("Less than a second");
	if (s == 1)
		return xstrdup("1 second");
	if (s < 60)
		return xasprintf("%lld seconds", (long long)s);
	if (m == 1)
		return xstrdup("About a minute");
	if (m < 60)
		return xasprintf("%lld minutes", (long long)m);
	if (h == 1)
		return xstrdup("About an hour");
	if (h < 48)
		return xasprintf("%lld hours", (long long)h);
	if (h < 24 * 14)
		return xasprintf("%lld days", (long long)(h / 24));
	return xasprintf("%lld weeks", (long long)(h / 24 / 7));
}

char *view_status(const struct container *c)
{
	int64_t now = clock_wall_ns();
	CLEANUP(freep) char *up = human(now - c->state.started_ns), *ended = human(now - c->state.finished_ns);

	switch (c->state.status) {
	case CONTAINER_RUNNING:
		return xasprintf("Up %s", up);
	case CONTAINER_PAUSED:
		return xasprintf("Up %s (Paused)", up);
	case CONTAINER_CREATED:
		return xstrdup("Created");
	case CONTAINER_EXITED:
		return xasprintf("Exited (%d) %s ago", c->state.exit_code, ended);
	default:
		return xstrdup(container_status_name(c->state.status));
	}
}

static json_t *state_view(const struct container *c)
{
	const struct container_state *s = &c->state;

	return json_pack("{s:s, s:b, s:b, s:b, s:b, s:b, s:i, s:i, s:s, s:o, s:o}", "Status", container_status_name(s->status),
			 "Running", container_is_live(c), "Paused", s->status == CONTAINER_PAUSED, "Restarting",
			 s->status == CONTAINER_RESTARTING, "OOMKilled", s->is_oom_killed, "Dead", s->status == CONTAINER_DEAD,
			 "Pid", s->pid, "ExitCode", s->exit_code, "Error", s->error ? s->error : "", "StartedAt",
			 time_of(s->started_ns), "FinishedAt", time_of(s->finished_ns));
}

static json_t *mounts_view(const struct container *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];

		json_array_append_new(list, json_pack("{s:s, s:s*, s:s, s:s, s:s*, s:s, s:b, s:s}", "Type", m->type, "Name", m->name,
						      "Source", m->source ? m->source : "", "Destination", m->destination, "Driver",
						      m->driver, "Mode", m->mode ? m->mode : "", "RW", m->is_rw, "Propagation",
						      m->propagation ? m->propagation : ""));
	}
	return list;
}

static json_t *endpoint_view(void)
{
	return json_pack("{s:n, s:n, s:n, s:s, s:n, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:i, s:n}", "IPAMConfig", "Links", "Aliases",
			 "MacAddress", "", "DriverOpts", "NetworkID", "", "EndpointID", "", "Gateway", "", "IPAddress", "",
			 "IPPrefixLen", 0, "IPv6Gateway", "", "GlobalIPv6Address", "", "GlobalIPv6PrefixLen", 0, "DNSNames");
}

static json_t *network_view(const struct container *c)
{
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));
	json_t *networks = json_object();

	if (!mode || !*mode || strcmp(mode, "default") == 0)
		mode = "bridge";
	json_object_set_new(networks, mode, endpoint_view());
	return json_pack("{s:s, s:s, s:{}, s:s, s:o}", "SandboxID", "", "SandboxKey", "", "Ports", "Bridge", "", "Networks",
			 networks);
}

/* Fields of HostConfig that strict clients expect to be there. */
static json_t *host_config_view(const struct container *c)
{
	static const char *const arrays[] = { "Binds", "CapAdd", "CapDrop", "Dns", "DnsOptions", "DnsSearch", "ExtraHosts",
					      "GroupAdd", "Links", "SecurityOpt", "VolumesFrom", "Devices", "Ulimits" };
	json_t *h = json_copy(c->host_config), *v;

	for (size_t i = 0; i < ARRAY_SIZE(arrays); i++)
		if (!json_object_get(h, arrays[i]))
			json_object_set_new(h, arrays[i], json_null());
	if (!json_object_get(h, "NetworkMode"))
		json_object_set_new(h, "NetworkMode", json_string("bridge"));
	v = json_object_get(h, "RestartPolicy");
	if (!json_is_object(v))
		json_object_set_new(h, "RestartPolicy", json_pack("{s:s, s:i}", "Name", "no", "MaximumRetryCount", 0));
	if (!json_object_get(h, "PortBindings"))
		json_object_set_new(h, "PortBindings", json_object());
	if (!json_object_get(h, "AutoRemove"))
		json_object_set_new(h, "AutoRemove", json_false());
	json_object_set_new(h, "Runtime", json_string(c->runtime));
	return h;
}

static char *slashed(const struct container *c)
{
	return xasprintf("/%s", c->name);
}

/* The driver that serves the container shows as a label. */
static json_t *config_view(const struct container *c)
{
	json_t *config = json_copy(c->config), *labels = json_copy(json_object_get(c->config, "Labels"));

	if (!c->driver || !labels) {
		json_decref(labels);
		return config;
	}
	json_object_set_new(labels, "sockerless.driver", json_string(c->driver));
	json_object_set_new(config, "Labels", labels);
	return config;
}

json_t *view_container_inspect(struct engine *e, struct container *c)
{
	CLEANUP(freep) char *name = slashed(c), *log = xasprintf("%s/containers/%s/output.log", e->options.data_root, c->id);
	json_t *ids = json_array(), *o;
	const struct map_entry *x;
	size_t pos = 0;

	while ((x = map_next(&e->execs, &pos)))
		if (((struct exec *)x->value)->container == c && ((struct exec *)x->value)->is_running)
			json_array_append_new(ids, json_string(x->key));
	if (json_array_size(ids) == 0) {
		json_decref(ids);
		ids = json_null();
	}
	o = json_pack("{s:s, s:o, s:s, s:O, s:o, s:s, s:s, s:s, s:s, s:s, s:s}", "Id", c->id, "Created", time_of(c->created_ns),
		      "Path", c->path, "Args", c->args, "State", state_view(c), "Image", c->image_id, "ResolvConfPath", "",
		      "HostnamePath", "", "HostsPath", "", "LogPath", log, "Name", name);
	json_object_set_new(o, "RestartCount", json_integer(c->state.restart_count));
	json_object_set_new(o, "Driver", json_string("sockerless"));
	json_object_set_new(o, "Platform", json_string("linux"));
	json_object_set_new(o, "MountLabel", json_string(""));
	json_object_set_new(o, "ProcessLabel", json_string(""));
	json_object_set_new(o, "AppArmorProfile", json_string(""));
	json_object_set_new(o, "ExecIDs", ids);
	json_object_set_new(o, "HostConfig", host_config_view(c));
	json_object_set_new(o, "GraphDriver", json_pack("{s:s, s:{s:s}}", "Name", "sockerless", "Data", "ExecutionDriver",
							c->driver ? c->driver : ""));
	json_object_set_new(o, "Mounts", mounts_view(c));
	json_object_set_new(o, "Config", config_view(c));
	json_object_set_new(o, "NetworkSettings", network_view(c));
	return o;
}

static char *command_line(const struct container *c)
{
	char *line = xstrdup(c->path);
	json_t *v;
	size_t i;

	json_array_foreach(c->args, i, v) {
		char *longer = xasprintf("%s %s", line, json_string_value(v));

		free(line);
		line = longer;
	}
	return line;
}

json_t *view_container_summary(struct engine *e, struct container *c, int api_version)
{
	CLEANUP(freep) char *name = slashed(c), *status = view_status(c), *command = command_line(c);
	json_t *labels = json_object_get(c->config, "Labels"), *networks = network_view(c), *o;
	const char *mode = json_string_value(json_object_get(c->host_config, "NetworkMode"));

	(void)e, (void)api_version;
	o = json_pack("{s:s, s:[s], s:s, s:s, s:s, s:I, s:[], s:o, s:s, s:s, s:{s:s}, s:{s:O}, s:o}", "Id", c->id, "Names", name,
		      "Image", c->image_ref, "ImageID", c->image_id, "Command", command, "Created",
		      (json_int_t)(c->created_ns / 1000000000), "Ports", "Labels",
		      json_is_object(labels) ? json_incref(labels) : json_object(), "State",
		      container_status_name(c->state.status), "Status", status, "HostConfig", "NetworkMode",
		      mode && *mode ? mode : "bridge", "NetworkSettings", "Networks", json_object_get(networks, "Networks"), "Mounts",
		      mounts_view(c));
	json_decref(networks);
	return o;
}
