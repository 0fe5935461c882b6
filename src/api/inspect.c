/* GET /containers/{name}/json: every field that Docker has, whatever was said at
 * creation; and what the list shows of the same things. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Go's zero values in Docker's order; null only where Docker has null. */
static const char config_defaults[] =
	"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,\"AttachStdout\":false,\"AttachStderr\":false,"
	"\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":[],\"Cmd\":null,\"Image\":\"\",\"Volumes\":null,"
	"\"WorkingDir\":\"\",\"Entrypoint\":null,\"Labels\":{}}";

static const char host_defaults[] =
	"{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{}},\"NetworkMode\":\"bridge\","
	"\"PortBindings\":{},\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},\"AutoRemove\":false,\"VolumeDriver\":\"\","
	"\"VolumesFrom\":null,\"ConsoleSize\":[0,0],\"CapAdd\":null,\"CapDrop\":null,\"CgroupnsMode\":\"private\",\"Dns\":[],"
	"\"DnsOptions\":[],\"DnsSearch\":[],\"ExtraHosts\":null,\"GroupAdd\":null,\"IpcMode\":\"private\",\"Cgroup\":\"\","
	"\"Links\":null,\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,\"PublishAllPorts\":false,\"ReadonlyRootfs\":false,"
	"\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\",\"ShmSize\":67108864,\"Runtime\":\"\",\"Isolation\":\"\","
	"\"CpuShares\":0,\"Memory\":0,\"NanoCpus\":0,\"CgroupParent\":\"\",\"BlkioWeight\":0,\"BlkioWeightDevice\":[],"
	"\"BlkioDeviceReadBps\":[],\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],\"BlkioDeviceWriteIOps\":[],"
	"\"CpuPeriod\":0,\"CpuQuota\":0,\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\","
	"\"Devices\":[],\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,\"MemorySwap\":0,"
	"\"MemorySwappiness\":null,\"OomKillDisable\":null,\"PidsLimit\":null,\"Ulimits\":null,\"CpuCount\":0,\"CpuPercent\":0,"
	"\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,"
	"\"MaskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/interrupts\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\","
	"\"/proc/sched_debug\",\"/proc/scsi\",\"/proc/timer_list\",\"/proc/timer_stats\",\"/sys/devices/virtual/powercap\","
	"\"/sys/firmware\"],"
	"\"ReadonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]}";

/* What is given over what is usual; absent nested fields too. */
static json_t *filled(const char *defaults, json_t *given)
{
	json_t *o = json_loads(defaults, 0, NULL);

	json_object_update_recursive(o, given);
	return o;
}

static json_t *time_of(int64_t ns)
{
	char text[CLOCK_RFC3339_MAX];

	clock_format_rfc3339(ns, text);
	return json_string(text);
}

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

/* Those that have no check have no health at all. */
static json_t *health_view(const struct container_health *h)
{
	if (h->status == HEALTH_NONE)
		return NULL;
	return json_pack("{s:s, s:i, s:o}", "Status", health_status_name(h->status), "FailingStreak",
			 (int)h->failing_streak, "Log", h->log ? json_copy(h->log) : json_array());
}

static json_t *state_view(const struct container *c)
{
	const struct container_state *s = &c->state;

	return json_pack("{s:s, s:b, s:b, s:b, s:b, s:b, s:i, s:i, s:s, s:o, s:o, s:o*}", "Status",
			 container_status_name(s->status), "Running", container_is_live(c), "Paused",
			 s->status == CONTAINER_PAUSED, "Restarting", s->status == CONTAINER_RESTARTING, "OOMKilled",
			 s->is_oom_killed, "Dead", s->status == CONTAINER_DEAD, "Pid", s->pid, "ExitCode", s->exit_code,
			 "Error", text_or_empty(s->error), "StartedAt", time_of(s->started_ns), "FinishedAt",
			 time_of(s->finished_ns), "Health", health_view(&s->health));
}

json_t *view_mounts(const struct container *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct container_mount *m = &c->mounts[i];

		json_array_append_new(list, json_pack("{s:s, s:s*, s:s, s:s, s:s*, s:s, s:b, s:s}", "Type", m->type,
						      "Name", m->name, "Source", text_or_empty(m->source), "Destination",
						      m->destination, "Driver", m->driver, "Mode", text_or_empty(m->mode),
						      "RW", m->is_rw, "Propagation", text_or_empty(m->propagation)));
	}
	return list;
}

/* ---- the whole ---- */

/* Of the default bridge only: "/other:/self/alias". An endpoint says its own. */
static json_t *links_view(const struct container *c)
{
	json_t *links = json_array();

	for (const struct container_link *l = c->links; l; l = l->next)
		json_array_append_new(links, json_sprintf("/%s:/%s/%s", l->child->name, c->name, l->alias));
	return links;
}

static json_t *host_view(const struct container *c)
{
	json_t *h = filled(host_defaults, c->host_config);

	json_object_set_new(h, "Runtime", json_string(c->runtime));
	json_object_set_new(h, "Links", c->links ? links_view(c) : json_null());
	if (json_is_true(json_object_get(h, "Privileged")) && !json_object_get(c->host_config, "MaskedPaths")) {
		json_object_set_new(h, "MaskedPaths", json_null());
		json_object_set_new(h, "ReadonlyPaths", json_null());
	}
	return h;
}

/* The driver that serves the container shows as a label. */
static json_t *config_view(struct engine *e, const struct container *c)
{
	json_t *config = filled(config_defaults, c->config), *labels, *endpoints = container_endpoints(e, c);
	const char *network = network_mode_name(e, network_mode_of(c));
	json_t *mac = json_object_get(json_object_get(endpoints, network), "MacAddress");

	if (mac)
		json_object_set(config, "MacAddress", mac);
	json_decref(endpoints);

	if (!c->driver && !c->route)
		return config;
	labels = json_copy(json_object_get(config, "Labels"));
	if (c->driver)
		json_object_set_new(labels, "sockerless.driver", json_string(c->driver));
	if (c->route)
		json_object_set_new(labels, "sockerless.route", json_string(c->route));
	json_object_set_new(config, "Labels", labels);
	return config;
}

/* Execs that have not ended; null when there is none. */
static json_t *exec_ids(const struct container *c)
{
	json_t *ids = json_array();
	const struct map_entry *x;
	size_t pos = 0;

	while ((x = map_next(&c->execs, &pos)))
		if (!((struct exec *)x->value)->has_exit_code)
			json_array_append_new(ids, json_string(x->key));
	if (json_array_size(ids) > 0)
		return ids;
	json_decref(ids);
	return json_null();
}

static json_t *path_in(const char *dir, const char *name)
{
	return dir ? json_sprintf("%s/%s", dir, name) : json_string("");
}

json_t *view_container_inspect(struct engine *e, struct container *c)
{
	CLEANUP(freep) char *log = engine_container_log_path(e, c), *files = container_files_dir(e, c);

	return json_pack("{s:s, s:o, s:s, s:O, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:i, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:{s:s, s:{s:s}},"
			 " s:o, s:o, s:o}",
			 "Id", c->id, "Created", time_of(c->created_ns), "Path", c->path, "Args", c->args, "State",
			 state_view(c), "Image", c->image_id, "ResolvConfPath", path_in(files, "resolv.conf"), "HostnamePath",
			 path_in(files, "hostname"), "HostsPath", path_in(files, "hosts"), "LogPath", text_or_empty(log),
			 "Name", json_sprintf("/%s", c->name), "RestartCount", (int)c->state.restart_count, "Driver",
			 engine_storage_driver(e), "Platform", "linux", "MountLabel", "", "ProcessLabel", "",
			 "AppArmorProfile", "", "ExecIDs", exec_ids(c), "HostConfig", host_view(c), "GraphDriver",
			 "Name", engine_storage_driver(e), "Data", "ExecutionDriver", text_or_empty(c->driver), "Mounts",
			 view_mounts(c), "Config", config_view(e, c), "NetworkSettings", view_network_settings(e, c));
}
