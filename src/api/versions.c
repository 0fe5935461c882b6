/* The one table of what older versions of the API had otherwise, and how to read it: versions.h.
 * Rows follow moby's changelog (api/docs/CHANGELOG.md) and what its older releases sent. */
#include "api/versions.h"

#include <stdio.h>
#include <string.h>

#include "engine/network_mode.h"
#include "http/route.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/id.h"
#include "util/json.h"

#define V(minor) API_VERSION(1, minor)
#define BEFORE(minor) 0, V(minor)
#define SINCE(minor) V(minor), VERSIONS_FOREVER
#define BETWEEN(first, beyond) V(first), V(beyond)
#define ABSENT .change = CHANGE_ABSENT
#define FILL .change = CHANGE_FILL
#define SET .change = CHANGE_SET
#define COPY .change = CHANGE_COPY
#define CALL .change = CHANGE_CALL
#define NEST .change = CHANGE_NEST
#define IGNORE .change = CHANGE_IGNORE
#define DEFAULT .change = CHANGE_DEFAULT
#define REFUSE .change = CHANGE_REFUSE
#define WARN .change = CHANGE_WARN
#define CHECK .change = CHANGE_CHECK

/* ---- containers ----
 * GraphDriver stays beyond 1.52: only engines whose images live in containerd have Storage instead. */

/* The addresses of the default network stood beside the networks. */
static void copy_bridge(json_t *settings)
{
	static const char *const keys[] = { "EndpointID", "Gateway",     "GlobalIPv6Address", "GlobalIPv6PrefixLen",
					    "IPAddress",  "IPPrefixLen", "IPv6Gateway",       "MacAddress" };
	json_t *bridge = json_object_get(json_object_get(settings, "Networks"), "bridge"), *v;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if ((v = json_object_get(bridge, keys[i])))
			json_object_set(settings, keys[i], v);
}

static void append_new(json_t *list, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), text) == 0)
			return;
	json_array_append_new(list, json_string(text));
}

/* Of user-defined networks only. */
static void add_own_aliases(json_t *container)
{
	json_t *networks = json_object_get(json_object_get(container, "NetworkSettings"), "Networks"), *endpoint, *aliases;
	const char *id = json_text(container, "Id"), *name;
	char short_id[ID_SHORT_LEN + 1];

	snprintf(short_id, sizeof(short_id), "%s", id);
	json_object_foreach(networks, name, endpoint) {
		if (strcmp(name, "bridge") == 0 || strcmp(name, "host") == 0 || strcmp(name, "none") == 0)
			continue;
		aliases = json_object_get(endpoint, "Aliases");
		aliases = json_is_array(aliases) ? json_copy(aliases) : json_array();
		append_new(aliases, short_id);
		append_new(aliases, json_text(json_object_get(container, "Config"), "Hostname"));
		json_object_set_new(endpoint, "Aliases", aliases);
	}
}

static void removing_to_exited(json_t *o)
{
	const char *key = json_object_get(o, "Status") && !json_object_get(o, "State") ? "Status" : "State";

	if (strcmp(json_text(o, key), "removing") == 0)
		json_object_set_new(o, key, json_string("exited"));
}

static const struct difference container[] = {
	{ SINCE(52), "Config.MacAddress", ABSENT }, /* kept for those below */
	{ BEFORE(52), "Config", FILL, "{\"OnBuild\":null}" },
	{ BEFORE(52), "NetworkSettings", FILL,
	  "{\"Bridge\":\"\",\"HairpinMode\":false,\"LinkLocalIPv6Address\":\"\",\"LinkLocalIPv6PrefixLen\":0,"
	  "\"SecondaryIPAddresses\":null,\"SecondaryIPv6Addresses\":null,\"EndpointID\":\"\",\"Gateway\":\"\","
	  "\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"IPAddress\":\"\",\"IPPrefixLen\":0,\"IPv6Gateway\":\"\","
	  "\"MacAddress\":\"\"}" },
	{ BEFORE(52), "NetworkSettings", CALL, .call = copy_bridge },
	{ BEFORE(48), "NetworkSettings.Networks.*", NEST, .nested = SHAPE_ENDPOINT },
	{ BEFORE(48), "ImageManifestDescriptor", ABSENT },
	{ BEFORE(45), "", CALL, .call = add_own_aliases },
	{ BEFORE(44), "Config.Healthcheck.StartInterval", ABSENT },
	{ BEFORE(43), "HostConfig.Annotations", ABSENT },
	{ BEFORE(42), "HostConfig", FILL, "{\"KernelMemory\":0}" },
	{ BETWEEN(40, 42), "HostConfig", FILL, "{\"KernelMemoryTCP\":0}" },
	{ BEFORE(41), "HostConfig.CgroupnsMode", ABSENT },
	{ BEFORE(40), "HostConfig.DeviceRequests", ABSENT },
	{ BEFORE(28), "HostConfig.DeviceCgroupRules", ABSENT },
	{ BEFORE(25), "State", CALL, .call = removing_to_exited },
	{ BEFORE(25), "Config.StopTimeout", ABSENT },
	{ BEFORE(25), "HostConfig.Init", ABSENT },
	{ BEFORE(25), "HostConfig.Mounts", ABSENT },
	{ BEFORE(25), "HostConfig.NanoCpus", ABSENT },
	{ BEFORE(25), "HostConfig.CpuCount", ABSENT },
	{ BEFORE(25), "HostConfig.CpuRealtimePeriod", ABSENT },
	{ BEFORE(25), "HostConfig.CpuRealtimeRuntime", ABSENT },
	{ BEFORE(25), "HostConfig.AutoRemove", ABSENT },
	{ BEFORE(25), "Mounts.*.Type", ABSENT },
	{ 0 },
};

static const struct difference container_summary[] = {
	{ BEFORE(52), "Health", ABSENT },
	{ BEFORE(48), "NetworkSettings.Networks.*", NEST, .nested = SHAPE_ENDPOINT },
	{ BEFORE(48), "ImageManifestDescriptor", ABSENT },
	{ BEFORE(46), "HostConfig.Annotations", ABSENT },
	{ BEFORE(25), "", CALL, .call = removing_to_exited },
	{ BEFORE(25), "Mounts.*.Type", ABSENT },
	{ 0 },
};

static const struct difference endpoint[] = {
	{ BEFORE(48), "GwPriority", ABSENT },
	{ BEFORE(44), "DNSNames", ABSENT },
	{ BEFORE(32), "DriverOpts", ABSENT },
	{ 0 },
};

static const struct difference exec[] = {
	{ BEFORE(25), "Pid", ABSENT },
	{ 0 },
};

static const struct difference stats[] = {
	{ BEFORE(52), "os_type", ABSENT },
	{ BEFORE(27), "cpu_stats.online_cpus", ABSENT },
	{ BEFORE(27), "precpu_stats.online_cpus", ABSENT },
	{ 0 },
};

/* ---- images ---- */

/* Nothing had names that said so. */
static void name_the_nameless(json_t *image)
{
	if (json_array_size(json_object_get(image, "RepoTags")) > 0 ||
	    json_array_size(json_object_get(image, "RepoDigests")) > 0)
		return;
	json_object_set_new(image, "RepoTags", json_pack("[s]", "<none>:<none>"));
	json_object_set_new(image, "RepoDigests", json_pack("[s]", "<none>@<none>"));
}

#define IMAGE_CONFIG_50                                                                                                   \
	"{\"Cmd\":null,\"Entrypoint\":null,\"Env\":null,\"Labels\":null,\"OnBuild\":null,\"User\":\"\",\"Volumes\":null," \
	"\"WorkingDir\":\"\"}"
/* A container's, which was used for images as well. */
#define IMAGE_CONFIG_49                                                                                               \
	"{\"Hostname\":\"\",\"Domainname\":\"\",\"AttachStdin\":false,\"AttachStdout\":false,\"AttachStderr\":false," \
	"\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Image\":\"\"}"

static const struct difference image[] = {
	{ BEFORE(53), "Identity", ABSENT },
	{ BEFORE(52), "", FILL, "{\"Parent\":\"\",\"Comment\":\"\",\"DockerVersion\":\"\",\"Author\":\"\"}" },
	{ BEFORE(52), "Config", FILL, IMAGE_CONFIG_50 },
	{ BEFORE(50), "Config", FILL, IMAGE_CONFIG_49 },
	{ BEFORE(48), "Descriptor", ABSENT },
	{ BEFORE(48), "Manifests", ABSENT },
	{ BEFORE(45), "", FILL, "{\"Container\":\"\",\"ContainerConfig\":" IMAGE_CONFIG_49 "}" },
	{ BEFORE(45), "ContainerConfig", FILL, IMAGE_CONFIG_50 },
	{ BEFORE(44), "VirtualSize", COPY, "Size" },
	{ BEFORE(44), "", FILL, "{\"Created\":\"0001-01-01T00:00:00Z\"}" },
	{ BEFORE(44), "Config.Healthcheck.StartInterval", ABSENT },
	{ BEFORE(31), "Metadata", ABSENT },
	{ 0 },
};

static const struct difference image_summary[] = {
	{ BEFORE(54), "Manifests.*.ImageData.Identity", ABSENT },
	{ BEFORE(51), "Containers", SET, "-1" },
	{ BEFORE(48), "Descriptor", ABSENT },
	{ BEFORE(47), "Manifests", ABSENT },
	{ BEFORE(44), "VirtualSize", COPY, "Size" },
	{ BEFORE(43), "", CALL, .call = name_the_nameless },
	{ 0 },
};

/* ---- networks, volumes ---- */

static const struct difference network[] = {
	{ BEFORE(52), "Status", ABSENT },     { BEFORE(48), "EnableIPv4", ABSENT },
	{ BEFORE(30), "ConfigFrom", ABSENT }, { BEFORE(30), "ConfigOnly", ABSENT },
	{ BEFORE(29), "Ingress", ABSENT },    { BEFORE(25), "Created", ABSENT },
	{ BEFORE(25), "Attachable", ABSENT }, { 0 },
};

static const struct difference network_summary[] = {
	{ BEFORE(52), "", FILL, "{\"Containers\":{}}" },
	{ BEFORE(52), "", NEST, .nested = SHAPE_NETWORK },
	{ 0 },
};

static const struct difference volume[] = {
	{ BEFORE(42), "ClusterVolume", ABSENT },
	{ BEFORE(31), "CreatedAt", ABSENT },
	{ BEFORE(25), "Options", ABSENT },
	{ 0 },
};

/* ---- the daemon ---- */

/* There were lists, and no sums. */
static void list_what_is_used(json_t *usage)
{
	static const char *const kinds[][2] = { { "ImageUsage", "Images" },
						{ "ContainerUsage", "Containers" },
						{ "VolumeUsage", "Volumes" },
						{ "BuildCacheUsage", "BuildCache" } };
	json_t *layers = json_object_get(json_object_get(usage, "ImageUsage"), "TotalSize");

	if (layers)
		json_object_set(usage, "LayersSize", layers);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		json_t *items = json_object_get(json_object_get(usage, kinds[i][0]), "Items");

		if (items)
			json_object_set(usage, kinds[i][1], items);
	}
}

static const struct difference usage[] = {
	{ BEFORE(53), "", CALL, .call = list_what_is_used },
	{ BEFORE(52), "ImageUsage", ABSENT },
	{ BEFORE(52), "ContainerUsage", ABSENT },
	{ BEFORE(52), "VolumeUsage", ABSENT },
	{ BEFORE(52), "BuildCacheUsage", ABSENT },
	{ BEFORE(52), "", FILL, "{\"LayersSize\":0,\"Images\":null,\"Containers\":null,\"Volumes\":null,\"BuildCache\":null}" },
	{ BEFORE(52), "Containers.*", NEST, .nested = SHAPE_CONTAINER_SUMMARY },
	{ BEFORE(48), "Images.*.Descriptor", ABSENT }, /* not nested: here containers were always counted */
	{ BEFORE(44), "Images.*.VirtualSize", COPY, "Size" },
	{ BEFORE(43), "Images.*", CALL, .call = name_the_nameless },
	{ BEFORE(42), "Volumes.*", NEST, .nested = SHAPE_VOLUME },
	{ BEFORE(42), "", FILL, "{\"BuilderSize\":0}" },
	{ 0 },
};

/* "name=seccomp,profile=builtin" was "seccomp". */
static void bare_security_options(json_t *info)
{
	json_t *options = json_object_get(info, "SecurityOptions"), *bare = json_array(), *v;
	size_t i;

	json_array_foreach(options, i, v) {
		const char *text = json_is_string(v) ? json_string_value(v) : "";

		if (strncmp(text, "name=", 5) == 0)
			text += 5;
		json_array_append_new(bare, json_stringn(text, strcspn(text, ",")));
	}
	json_object_set_new(info, "SecurityOptions", bare);
}

static const struct difference info[] = {
	{ BEFORE(53), "NRI", ABSENT },
	{ BEFORE(50), "DiscoveredDevices", ABSENT },
	{ BEFORE(50), "", FILL, "{\"BridgeNfIptables\":false,\"BridgeNfIp6tables\":false}" },
	{ BEFORE(49), "FirewallBackend", ABSENT },
	{ BEFORE(49), "ContainerdCommit.Expected", COPY, "ID" },
	{ BEFORE(49), "RuncCommit.Expected", COPY, "ID" },
	{ BEFORE(49), "InitCommit.Expected", COPY, "ID" },
	{ BETWEEN(48, 49), "RegistryConfig", FILL,
	  "{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null}" },
	{ BEFORE(48), "RegistryConfig", FILL,
	  "{\"AllowNondistributableArtifactsCIDRs\":[],\"AllowNondistributableArtifactsHostnames\":[]}" },
	{ BEFORE(46), "Containerd", ABSENT },
	{ BEFORE(44), "CDISpecDirs", ABSENT },
	{ BEFORE(44), "Runtimes.*.status", ABSENT },
	{ BEFORE(42), "", FILL, "{\"KernelMemory\":false}" },
	{ BETWEEN(40, 42), "", FILL, "{\"KernelMemoryTCP\":false}" },
	{ BEFORE(41), "CgroupVersion", ABSENT },
	{ BEFORE(41), "DefaultAddressPools", ABSENT },
	{ BEFORE(40), "PidsLimit", ABSENT },
	{ BEFORE(39), "Warnings", ABSENT },
	{ BEFORE(39), "ProductLicense", ABSENT },
	{ BEFORE(30), "Plugins.Log", ABSENT },
	{ BEFORE(25), "Isolation", ABSENT },
	{ BEFORE(25), "", CALL, .call = bare_security_options },
	{ 0 },
};

static const struct difference version[] = {
	{ BEFORE(35), "Platform", ABSENT },
	{ BEFORE(35), "Components", ABSENT },
	{ BEFORE(25), "MinAPIVersion", ABSENT },
	{ 0 },
};

/* Fields from before there were actors: the CLI up to 24 fails without them. */
static void add_flat_fields(json_t *event)
{
	json_t *actor = json_object_get(event, "Actor");
	const char *type = json_text(event, "Type");

	if (strcmp(type, "container") != 0 && strcmp(type, "image") != 0)
		return;
	json_object_set(event, "status", json_object_get(event, "Action"));
	json_object_set(event, "id", json_object_get(actor, "ID"));
	if (strcmp(type, "container") == 0)
		json_object_set_new(event, "from", json_string(json_text(json_object_get(actor, "Attributes"), "image")));
}

static const struct difference event[] = {
	{ BEFORE(52), "", CALL, .call = add_flat_fields },
	{ BEFORE(30), "scope", ABSENT },
	{ 0 },
};

const struct difference *const versions_of_replies[SHAPE_COUNT] = {
	[SHAPE_CONTAINER] = container,
	[SHAPE_CONTAINER_SUMMARY] = container_summary,
	[SHAPE_ENDPOINT] = endpoint,
	[SHAPE_EXEC] = exec,
	[SHAPE_STATS] = stats,
	[SHAPE_IMAGE] = image,
	[SHAPE_IMAGE_SUMMARY] = image_summary,
	[SHAPE_NETWORK] = network,
	[SHAPE_NETWORK_SUMMARY] = network_summary,
	[SHAPE_VOLUME] = volume,
	[SHAPE_USAGE] = usage,
	[SHAPE_INFO] = info,
	[SHAPE_VERSION] = version,
	[SHAPE_EVENT] = event,
};

/* ---- requests ---- */

/* They were not compared with the type. */
static int drop_other_options(json_t *mount, json_t *warnings, struct error *err)
{
	static const char *const options[][2] = { { "VolumeOptions", "volume" },
						  { "BindOptions", "bind" },
						  { "TmpfsOptions", "tmpfs" } };

	(void)warnings, (void)err;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (strcmp(json_text(mount, "Type"), options[i][1]) != 0)
			json_object_del(mount, options[i][0]);
	return 0;
}

static int refuse_image_mount(json_t *mount, json_t *warnings, struct error *err)
{
	(void)warnings;
	if (strcmp(json_text(mount, "Type"), "image") != 0)
		return 0;
	return error_set_class(err, ERROR_INVALID, "Mount type \"Image\" needs API v1.48 or newer");
}

static int refuse_many_endpoints(json_t *endpoints, json_t *warnings, struct error *err)
{
	struct buf names;
	const char *name;
	json_t *v;

	(void)warnings;
	if (json_object_size(endpoints) < 2)
		return 0;
	buf_init(&names, 1 << 20);
	json_object_foreach(endpoints, name, v)
		buf_printf(&names, "%s%s", names.len ? ", " : "", name);
	error_set_class(err, ERROR_INVALID, "Container cannot be created with multiple network endpoints: %.300s", names.data);
	buf_done(&names);
	return err->code;
}

/* There was one hardware address, the container's, and only these modes give it an interface of its own. */
static int refuse_mac_of_no_network(json_t *body, json_t *warnings, struct error *err)
{
	const char *mode = json_text(json_object_get(body, "HostConfig"), "NetworkMode");

	(void)warnings;
	if (!*json_text(body, "MacAddress") || (strcmp(mode, "host") && strcmp(mode, "none") && !network_mode_container(mode)))
		return 0;
	return error_set_class(err, ERROR_INVALID, "conflicting options: mac-address and the network mode");
}

static int warn_driver_of_mounts(json_t *host, json_t *warnings, struct error *err)
{
	json_t *mount;
	size_t i;

	(void)err;
	if (!*json_text(host, "VolumeDriver"))
		return 0;
	json_array_foreach(json_object_get(host, "Mounts"), i, mount) {
		json_t *driver = json_object_get(json_object_get(mount, "VolumeOptions"), "DriverConfig");

		if (strcmp(json_text(mount, "Type"), "volume") != 0 || *json_text(driver, "Name"))
			continue;
		json_array_append_new(
			warnings,
			json_string("WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. Use '--mount type=volume,volume-driver=...' instead"));
		break;
	}
	return 0;
}

static int warn_empty_bindings(json_t *bindings, json_t *warnings, struct error *err)
{
	struct buf ports;
	const char *port;
	json_t *v;

	(void)err;
	buf_init(&ports, 1 << 20);
	json_object_foreach(bindings, port, v)
		if (json_array_size(v) == 0)
			buf_printf(&ports, "%s%s", ports.len ? ", " : "", port);
	if (ports.len > 0)
		json_array_append_new(warnings, json_sprintf("Following container port(s) have an empty list of port-bindings: %s. Such bindings will be discarded in a future version.",
							     ports.data));
	buf_done(&ports);
	return 0;
}

static const struct difference container_create[] = {
	{ SINCE(52), "MacAddress", REFUSE,
	  "container-wide MAC address no longer supported; use endpoint-specific MAC address instead" },
	{ SINCE(52), "HostConfig.PortBindings", CHECK, .check = warn_empty_bindings },
	{ SINCE(48), "HostConfig", CHECK, .check = warn_driver_of_mounts },
	{ BETWEEN(44, 52), "MacAddress", WARN,
	  "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead." },
	{ SINCE(42), "HostConfig.KernelMemory", IGNORE },
	{ SINCE(42), "HostConfig.KernelMemoryTCP", IGNORE },
	{ BEFORE(48), "HostConfig.Mounts.*", CHECK, .check = refuse_image_mount },
	{ BEFORE(48), "NetworkingConfig.EndpointsConfig.*.GwPriority", IGNORE },
	{ BEFORE(46), "HostConfig.Mounts.*.TmpfsOptions.Options", IGNORE },
	{ BEFORE(45), "HostConfig.Mounts.*.VolumeOptions.Subpath", REFUSE, "VolumeOptions.Subpath needs API v1.45 or newer" },
	{ BEFORE(44), "NetworkingConfig.EndpointsConfig", CHECK, .check = refuse_many_endpoints },
	{ BEFORE(44), "NetworkingConfig.EndpointsConfig.*.MacAddress", IGNORE },
	{ BEFORE(44), "", CHECK, .check = refuse_mac_of_no_network },
	{ BEFORE(44), "HostConfig.Mounts.*.BindOptions.ReadOnlyForceRecursive", REFUSE,
	  "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer" },
	{ BEFORE(44), "HostConfig.Mounts.*.BindOptions.ReadOnlyNonRecursive", IGNORE },
	{ BEFORE(44), "Healthcheck.StartInterval", IGNORE },
	{ BEFORE(43), "HostConfig.Annotations", IGNORE },
	{ BEFORE(42), "HostConfig.Mounts.*", CHECK, .check = drop_other_options },
	{ BEFORE(42), "HostConfig.Mounts.*.BindOptions.CreateMountpoint", IGNORE },
	{ BEFORE(42), "HostConfig.ConsoleSize", IGNORE },
	{ BEFORE(40), "HostConfig.Mounts.*.BindOptions.NonRecursive", IGNORE },
	{ BEFORE(40), "HostConfig.IpcMode", DEFAULT, "\"shareable\"" },
	{ 0 },
};

static const struct difference container_update[] = {
	{ BEFORE(55), "BlkioWeightDevice", IGNORE },
	{ BEFORE(55), "BlkioDeviceReadBps", IGNORE },
	{ BEFORE(55), "BlkioDeviceWriteBps", IGNORE },
	{ BEFORE(55), "BlkioDeviceReadIOps", IGNORE },
	{ BEFORE(55), "BlkioDeviceWriteIOps", IGNORE },
	{ SINCE(42), "KernelMemory", IGNORE },
	{ SINCE(42), "KernelMemoryTCP", IGNORE },
	{ BEFORE(40), "PidsLimit", IGNORE },
	{ BEFORE(28), "NanoCpus", IGNORE },
	{ 0 },
};

static const struct difference exec_create[] = {
	{ BEFORE(42), "ConsoleSize", IGNORE },
	{ BEFORE(35), "WorkingDir", IGNORE },
	{ BEFORE(25), "Env", IGNORE },
	{ 0 },
};

static const struct difference exec_start[] = {
	{ BEFORE(42), "ConsoleSize", IGNORE },
	{ 0 },
};

static const struct difference network_create[] = {
	{ BEFORE(48), "EnableIPv4", IGNORE },
	{ 0 },
};

static const struct difference network_connect[] = {
	{ BEFORE(54), "EndpointConfig.MacAddress", IGNORE },
	{ BEFORE(48), "EndpointConfig.GwPriority", IGNORE },
	{ 0 },
};

static const struct difference volume_create[] = {
	{ BEFORE(42), "ClusterVolumeSpec", IGNORE },
	{ 0 },
};

const struct difference *const versions_of_bodies[BODY_COUNT] = {
	[BODY_CONTAINER_CREATE] = container_create, [BODY_CONTAINER_UPDATE] = container_update,
	[BODY_EXEC_CREATE] = exec_create,           [BODY_EXEC_START] = exec_start,
	[BODY_NETWORK_CREATE] = network_create,     [BODY_NETWORK_CONNECT] = network_connect,
	[BODY_VOLUME_CREATE] = volume_create,
};

/* ---- query parameters that not every version knows ---- */

static const struct {
	const char *operation, *key;
	int since, before;
} parameters[] = {
	{ "ContainerCreate", "platform", SINCE(41) },
	{ "ContainerStats", "one-shot", SINCE(41) },
	{ "ContainerStop", "signal", SINCE(42) },
	{ "ContainerRestart", "signal", SINCE(42) },
	{ "ContainerWait", "condition", SINCE(30) },
	{ "ContainerLogs", "until", SINCE(35) },
	{ "ContainerAttachWebsocket", "stdin", SINCE(42) },
	{ "ContainerAttachWebsocket", "stdout", SINCE(42) },
	{ "ContainerAttachWebsocket", "stderr", SINCE(42) },
	{ "ImageBuild", "platform", SINCE(32) },
	{ "ImageBuild", "outputs", SINCE(40) },
	{ "BuildPrune", "keep-storage", BEFORE(48) },
	{ "BuildPrune", "reserved-space", SINCE(48) },
	{ "BuildPrune", "max-used-space", SINCE(48) },
	{ "BuildPrune", "min-free-space", SINCE(48) },
	{ "ServiceList", "status", SINCE(41) },
	{ "ImageList", "filter", BEFORE(41) },
	{ "ImageList", "shared-size", SINCE(42) },
	{ "ImageList", "manifests", SINCE(47) },
	{ "ImageList", "identity", SINCE(54) },
	{ "ImageCreate", "platform", SINCE(32) },
	{ "ImageInspect", "manifests", SINCE(48) },
	{ "ImageInspect", "platform", SINCE(49) },
	{ "ImageHistory", "platform", SINCE(48) },
	{ "ImageDelete", "platforms", SINCE(50) },
	{ "ImageGet", "platform", SINCE(48) },
	{ "ImageGetAll", "platform", SINCE(48) },
	{ "ImageLoad", "platform", SINCE(48) },
	{ "ImagePush", "platform", SINCE(46) },
	{ "NetworkInspect", "verbose", SINCE(28) },
	{ "NetworkInspect", "scope", SINCE(31) },
	{ "PutContainerArchive", "copyUIDGID", SINCE(30) },
	{ "SystemDataUsage", "type", SINCE(42) },
	{ "SystemDataUsage", "verbose", SINCE(52) },
	{ "VolumeDelete", "force", SINCE(25) },
};

bool versions_knows(const struct request *req, const char *key)
{
	const char *operation = request_route(req)->operation;
	int version_asked = request_api_version(req);

	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		if (strcmp(parameters[i].operation, operation) == 0 && strcmp(parameters[i].key, key) == 0)
			return version_asked >= parameters[i].since && version_asked < parameters[i].before;
	return true;
}

const char *versions_query(const struct request *req, const char *key)
{
	return versions_knows(req, key) ? request_query(req, key) : NULL;
}

bool versions_query_bool(const struct request *req, const char *key)
{
	return versions_knows(req, key) && request_query_bool(req, key);
}

/* ---- what is done otherwise ---- */

bool versions_has(enum feature feature, int api_version)
{
	static const int since[FEATURE_COUNT] = {
		[FEATURE_WS_BINARY] = V(28),          [FEATURE_NETWORK_SUMMARY] = V(28),
		[FEATURE_BUILD_AUX] = V(30),          [FEATURE_WAIT_HEAD] = V(30),
		[FEATURE_WAIT_ERROR] = V(34),         [FEATURE_TEMPLATING] = V(37),
		[FEATURE_MULTIPLEXED_TYPE] = V(42),   [FEATURE_ANONYMOUS_PRUNE] = V(42),
		[FEATURE_EVENT_IMAGE_CREATE] = V(46), [FEATURE_EVENT_JSONL] = V(52),
		[FEATURE_PLATFORM_LISTS] = V(52),
	};

	return api_version >= since[feature];
}
