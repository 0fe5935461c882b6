#include "engine/schema.h"

#include <stdint.h>

static const struct decode_type uint16 = { .kind = DECODE_INT, .go = "uint16", .min = 0, .max = UINT16_MAX };
static const struct decode_type uint32 = { .kind = DECODE_INT, .go = "uint32", .min = 0, .max = UINT32_MAX };

/* ---- HostConfig ---- */

static const struct decode_field log_config_fields[] = {
	{ "Type", &decode_string },
	{ "Config", &decode_string_map },
	{ NULL, NULL },
};
static const struct decode_type log_config = { .kind = DECODE_STRUCT, .go = "LogConfig", .fields = log_config_fields };

static const struct decode_field port_binding_fields[] = {
	{ "HostIp", &decode_string },
	{ "HostPort", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type port_binding = { .kind = DECODE_STRUCT, .go = "PortBinding", .fields = port_binding_fields };

static const struct decode_type port_bindings = { .kind = DECODE_LIST, .go = "[]nat.PortBinding", .of = &port_binding };

static const struct decode_type port_map = { .kind = DECODE_MAP, .go = "nat.PortMap", .of = &port_bindings, .keeps_null = 1 };

static const struct decode_field restart_policy_fields[] = {
	{ "Name", &decode_string },
	{ "MaximumRetryCount", &decode_int },
	{ NULL, NULL },
};
static const struct decode_type restart_policy = { .kind = DECODE_STRUCT, .go = "RestartPolicy", .fields = restart_policy_fields };

static const struct decode_field weight_device_fields[] = {
	{ "Path", &decode_string },
	{ "Weight", &uint16 },
	{ NULL, NULL },
};
static const struct decode_type weight_device = { .kind = DECODE_STRUCT, .go = "WeightDevice", .fields = weight_device_fields };

static const struct decode_type weight_devices = { .kind = DECODE_LIST, .go = "[]*blkiodev.WeightDevice", .of = &weight_device };

static const struct decode_field throttle_device_fields[] = {
	{ "Path", &decode_string },
	{ "Rate", &decode_uint64 },
	{ NULL, NULL },
};
static const struct decode_type throttle_device = { .kind = DECODE_STRUCT, .go = "ThrottleDevice", .fields = throttle_device_fields };

static const struct decode_type throttle_devices = { .kind = DECODE_LIST, .go = "[]*blkiodev.ThrottleDevice", .of = &throttle_device };

static const struct decode_field device_fields[] = {
	{ "PathOnHost", &decode_string },
	{ "PathInContainer", &decode_string },
	{ "CgroupPermissions", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type device = { .kind = DECODE_STRUCT, .go = "DeviceMapping", .fields = device_fields };

static const struct decode_type devices = { .kind = DECODE_LIST, .go = "[]container.DeviceMapping", .of = &device };

static const struct decode_type string_lists = { .kind = DECODE_LIST, .go = "[][]string", .of = &decode_strings };

static const struct decode_field device_request_fields[] = {
	{ "Driver", &decode_string },      { "Count", &decode_int },          { "DeviceIDs", &decode_strings },
	{ "Capabilities", &string_lists }, { "Options", &decode_string_map }, { NULL, NULL },
};
static const struct decode_type device_request = { .kind = DECODE_STRUCT, .go = "DeviceRequest", .fields = device_request_fields };

static const struct decode_type device_requests = { .kind = DECODE_LIST, .go = "[]container.DeviceRequest", .of = &device_request };

static const struct decode_field ulimit_fields[] = {
	{ "Name", &decode_string },
	{ "Hard", &decode_int64 },
	{ "Soft", &decode_int64 },
	{ NULL, NULL },
};
static const struct decode_type ulimit = { .kind = DECODE_STRUCT, .go = "Ulimit", .fields = ulimit_fields };

static const struct decode_type ulimits = { .kind = DECODE_LIST, .go = "[]*container.Ulimit", .of = &ulimit };

static const struct decode_field bind_options_fields[] = {
	{ "Propagation", &decode_string },          { "NonRecursive", &decode_bool },
	{ "CreateMountpoint", &decode_bool },       { "ReadOnlyNonRecursive", &decode_bool },
	{ "ReadOnlyForceRecursive", &decode_bool }, { NULL, NULL },
};
static const struct decode_type bind_options = { .kind = DECODE_STRUCT, .go = "BindOptions", .fields = bind_options_fields };

static const struct decode_field mount_driver_fields[] = {
	{ "Name", &decode_string },
	{ "Options", &decode_string_map },
	{ NULL, NULL },
};
static const struct decode_type mount_driver = { .kind = DECODE_STRUCT, .go = "Driver", .fields = mount_driver_fields };

static const struct decode_field volume_options_fields[] = {
	{ "NoCopy", &decode_bool },
	{ "Labels", &decode_string_map },
	{ "Subpath", &decode_string },
	{ "DriverConfig", &mount_driver },
	{ NULL, NULL },
};
static const struct decode_type volume_options = { .kind = DECODE_STRUCT, .go = "VolumeOptions", .fields = volume_options_fields };

static const struct decode_field image_options_fields[] = {
	{ "Subpath", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type image_options = { .kind = DECODE_STRUCT, .go = "ImageOptions", .fields = image_options_fields };

static const struct decode_field tmpfs_options_fields[] = {
	{ "SizeBytes", &decode_int64 },
	{ "Mode", &uint32 },
	{ "Options", &string_lists },
	{ NULL, NULL },
};
static const struct decode_type tmpfs_options = { .kind = DECODE_STRUCT, .go = "TmpfsOptions", .fields = tmpfs_options_fields };

static const struct decode_field cluster_options_fields[] = {
	{ NULL, NULL },
};
static const struct decode_type cluster_options = { .kind = DECODE_STRUCT, .go = "ClusterOptions", .fields = cluster_options_fields };

static const struct decode_field mount_fields[] = {
	{ "Type", &decode_string },
	{ "Source", &decode_string },
	{ "Target", &decode_string },
	{ "ReadOnly", &decode_bool },
	{ "Consistency", &decode_string },
	{ "BindOptions", &bind_options },
	{ "VolumeOptions", &volume_options },
	{ "ImageOptions", &image_options },
	{ "TmpfsOptions", &tmpfs_options },
	{ "ClusterOptions", &cluster_options },
	{ NULL, NULL },
};
static const struct decode_type mount = { .kind = DECODE_STRUCT, .go = "Mount", .fields = mount_fields };

static const struct decode_type mounts = { .kind = DECODE_LIST, .go = "[]mount.Mount", .of = &mount };

/* Of HostConfig and of an update. */
#define RESOURCES                                                                                                         \
	{ "CpuShares", &decode_int64 }, { "Memory", &decode_int64 }, { "NanoCpus", &decode_int64 },                       \
		{ "CgroupParent", &decode_string }, { "BlkioWeight", &uint16 }, { "BlkioWeightDevice", &weight_devices }, \
		{ "BlkioDeviceReadBps", &throttle_devices }, { "BlkioDeviceWriteBps", &throttle_devices },                \
		{ "BlkioDeviceReadIOps", &throttle_devices }, { "BlkioDeviceWriteIOps", &throttle_devices },              \
		{ "CpuPeriod", &decode_int64 }, { "CpuQuota", &decode_int64 }, { "CpuRealtimePeriod", &decode_int64 },    \
		{ "CpuRealtimeRuntime", &decode_int64 }, { "CpusetCpus", &decode_string },                                \
		{ "CpusetMems", &decode_string }, { "Devices", &devices }, { "DeviceCgroupRules", &decode_strings },      \
		{ "DeviceRequests", &device_requests }, { "KernelMemory", &decode_int64 },                                \
		{ "KernelMemoryTCP", &decode_int64 }, { "MemoryReservation", &decode_int64 },                             \
		{ "MemorySwap", &decode_int64 }, { "MemorySwappiness", &decode_int64 },                                   \
		{ "OomKillDisable", &decode_bool }, { "PidsLimit", &decode_int64 }, { "Ulimits", &ulimits },              \
		{ "CpuCount", &decode_int64 }, { "CpuPercent", &decode_int64 }, { "IOMaximumIOps", &decode_uint64 },      \
	{                                                                                                                 \
		"IOMaximumBandwidth", &decode_uint64                                                                      \
	}

static const struct decode_field host_config_fields[] = {
	{ "Binds", &decode_strings },
	{ "ContainerIDFile", &decode_string },
	{ "LogConfig", &log_config },
	{ "NetworkMode", &decode_string },
	{ "PortBindings", &port_map },
	{ "RestartPolicy", &restart_policy },
	{ "AutoRemove", &decode_bool },
	{ "VolumeDriver", &decode_string },
	{ "VolumesFrom", &decode_strings },
	{ "ConsoleSize", &decode_size },
	{ "Annotations", &decode_string_map },
	{ "CapAdd", &decode_words },
	{ "CapDrop", &decode_words },
	{ "CgroupnsMode", &decode_string },
	{ "Dns", &decode_strings },
	{ "DnsOptions", &decode_strings },
	{ "DnsSearch", &decode_strings },
	{ "ExtraHosts", &decode_strings },
	{ "GroupAdd", &decode_strings },
	{ "IpcMode", &decode_string },
	{ "Cgroup", &decode_string },
	{ "Links", &decode_strings },
	{ "OomScoreAdj", &decode_int },
	{ "PidMode", &decode_string },
	{ "Privileged", &decode_bool },
	{ "PublishAllPorts", &decode_bool },
	{ "ReadonlyRootfs", &decode_bool },
	{ "SecurityOpt", &decode_strings },
	{ "StorageOpt", &decode_string_map },
	{ "Tmpfs", &decode_string_map },
	{ "UTSMode", &decode_string },
	{ "UsernsMode", &decode_string },
	{ "ShmSize", &decode_int64 },
	{ "Sysctls", &decode_string_map },
	{ "Runtime", &decode_string },
	{ "Isolation", &decode_string },
	RESOURCES,
	{ "Mounts", &mounts },
	{ "MaskedPaths", &decode_strings },
	{ "ReadonlyPaths", &decode_strings },
	{ "Init", &decode_bool },
	{ NULL, NULL },
};
static const struct decode_type host_config = { .kind = DECODE_STRUCT, .go = "HostConfig", .fields = host_config_fields };

/* ---- NetworkingConfig ---- */

static const struct decode_field ipam_config_fields[] = {
	{ "IPv4Address", &decode_string },
	{ "IPv6Address", &decode_string },
	{ "LinkLocalIPs", &decode_strings },
	{ NULL, NULL },
};
static const struct decode_type ipam_config = { .kind = DECODE_STRUCT, .go = "EndpointIPAMConfig", .fields = ipam_config_fields };

static const struct decode_field endpoint_fields[] = {
	{ "IPAMConfig", &ipam_config },          { "Links", &decode_strings },
	{ "Aliases", &decode_strings },          { "MacAddress", &decode_string },
	{ "DriverOpts", &decode_string_map },    { "GwPriority", &decode_int },
	{ "NetworkID", &decode_string },         { "EndpointID", &decode_string },
	{ "Gateway", &decode_string },           { "IPAddress", &decode_string },
	{ "IPPrefixLen", &decode_int },          { "IPv6Gateway", &decode_string },
	{ "GlobalIPv6Address", &decode_string }, { "GlobalIPv6PrefixLen", &decode_int },
	{ "DNSNames", &decode_strings },         { NULL, NULL },
};
static const struct decode_type endpoint = { .kind = DECODE_STRUCT, .go = "EndpointSettings", .fields = endpoint_fields };

static const struct decode_type endpoints = { .kind = DECODE_MAP, .go = "map[string]*network.EndpointSettings", .of = &endpoint };

static const struct decode_field networking_fields[] = {
	{ "EndpointsConfig", &endpoints },
	{ NULL, NULL },
};
static const struct decode_type networking = { .kind = DECODE_STRUCT, .go = "NetworkingConfig", .fields = networking_fields };

/* ---- the bodies ---- */

static const struct decode_field health_fields[] = {
	{ "Test", &decode_strings },
	{ "Interval", &decode_int64 },
	{ "Timeout", &decode_int64 },
	{ "StartPeriod", &decode_int64 },
	{ "StartInterval", &decode_int64 },
	{ "Retries", &decode_int },
	{ NULL, NULL },
};
static const struct decode_type health = { .kind = DECODE_STRUCT, .go = "HealthConfig", .fields = health_fields };

static const struct decode_field schema_container_create_fields[] = {
	{ "Hostname", &decode_string },
	{ "Domainname", &decode_string },
	{ "User", &decode_string },
	{ "AttachStdin", &decode_bool },
	{ "AttachStdout", &decode_bool },
	{ "AttachStderr", &decode_bool },
	{ "ExposedPorts", &decode_empty_map },
	{ "Tty", &decode_bool },
	{ "OpenStdin", &decode_bool },
	{ "StdinOnce", &decode_bool },
	{ "Env", &decode_strings },
	{ "Cmd", &decode_words },
	{ "Healthcheck", &health },
	{ "ArgsEscaped", &decode_bool },
	{ "Image", &decode_string },
	{ "Volumes", &decode_empty_map },
	{ "WorkingDir", &decode_string },
	{ "Entrypoint", &decode_words },
	{ "NetworkDisabled", &decode_bool },
	{ "MacAddress", &decode_string },
	{ "OnBuild", &decode_strings },
	{ "Labels", &decode_string_map },
	{ "StopSignal", &decode_string },
	{ "StopTimeout", &decode_int },
	{ "Shell", &decode_words },
	{ "HostConfig", &host_config },
	{ "NetworkingConfig", &networking },
	{ NULL, NULL },
};
const struct decode_type schema_container_create = { .kind = DECODE_STRUCT,
						     .go = "CreateRequest",
						     .fields = schema_container_create_fields };

static const struct decode_field schema_container_update_fields[] = {
	RESOURCES,
	{ "RestartPolicy", &restart_policy },
	{ NULL, NULL },
};
const struct decode_type schema_container_update = { .kind = DECODE_STRUCT,
						     .go = "UpdateConfig",
						     .fields = schema_container_update_fields };

static const struct decode_field schema_exec_create_fields[] = {
	{ "User", &decode_string },
	{ "Privileged", &decode_bool },
	{ "Tty", &decode_bool },
	{ "ConsoleSize", &decode_size },
	{ "AttachStdin", &decode_bool },
	{ "AttachStderr", &decode_bool },
	{ "AttachStdout", &decode_bool },
	{ "Detach", &decode_bool },
	{ "DetachKeys", &decode_string },
	{ "Env", &decode_strings },
	{ "WorkingDir", &decode_string },
	{ "Cmd", &decode_strings },
	{ NULL, NULL },
};
const struct decode_type schema_exec_create = { .kind = DECODE_STRUCT, .go = "ExecOptions", .fields = schema_exec_create_fields };

static const struct decode_field schema_exec_start_fields[] = {
	{ "Detach", &decode_bool },
	{ "Tty", &decode_bool },
	{ "ConsoleSize", &decode_size },
	{ NULL, NULL },
};
const struct decode_type schema_exec_start = { .kind = DECODE_STRUCT, .go = "ExecStartOptions", .fields = schema_exec_start_fields };

static const struct decode_field schema_volume_create_fields[] = {
	{ "Driver", &decode_string }, { "DriverOpts", &decode_string_map },      { "Labels", &decode_string_map },
	{ "Name", &decode_string },   { "ClusterVolumeSpec", &cluster_options }, { NULL, NULL },
};
const struct decode_type schema_volume_create = { .kind = DECODE_STRUCT, .go = "CreateOptions", .fields = schema_volume_create_fields };

/* ---- networks ---- */

static const struct decode_field ipam_pool_fields[] = {
	{ "Subnet", &decode_string },
	{ "IPRange", &decode_string },
	{ "Gateway", &decode_string },
	{ "AuxiliaryAddresses", &decode_string_map },
	{ NULL, NULL },
};
static const struct decode_type ipam_pool = { .kind = DECODE_STRUCT, .go = "IPAMConfig", .fields = ipam_pool_fields };

static const struct decode_type ipam_pools = { .kind = DECODE_LIST, .go = "[]network.IPAMConfig", .of = &ipam_pool };

static const struct decode_field ipam_fields[] = {
	{ "Driver", &decode_string },
	{ "Options", &decode_string_map },
	{ "Config", &ipam_pools },
	{ NULL, NULL },
};
static const struct decode_type ipam = { .kind = DECODE_STRUCT, .go = "IPAM", .fields = ipam_fields };

static const struct decode_field config_reference_fields[] = {
	{ "Network", &decode_string },
	{ NULL, NULL },
};
static const struct decode_type config_reference = { .kind = DECODE_STRUCT, .go = "ConfigReference", .fields = config_reference_fields };

static const struct decode_field schema_network_create_fields[] = {
	{ "Name", &decode_string },          { "Driver", &decode_string },
	{ "Scope", &decode_string },         { "EnableIPv4", &decode_bool },
	{ "EnableIPv6", &decode_bool },      { "IPAM", &ipam },
	{ "Internal", &decode_bool },        { "Attachable", &decode_bool },
	{ "Ingress", &decode_bool },         { "ConfigOnly", &decode_bool },
	{ "ConfigFrom", &config_reference }, { "Options", &decode_string_map },
	{ "Labels", &decode_string_map },    { NULL, NULL },
};
const struct decode_type schema_network_create = { .kind = DECODE_STRUCT,
						   .go = "CreateRequest",
						   .fields = schema_network_create_fields };

static const struct decode_field schema_network_connect_fields[] = {
	{ "Container", &decode_string },
	{ "EndpointConfig", &endpoint },
	{ NULL, NULL },
};
const struct decode_type schema_network_connect = { .kind = DECODE_STRUCT,
						    .go = "ConnectRequest",
						    .fields = schema_network_connect_fields };

static const struct decode_field schema_network_disconnect_fields[] = {
	{ "Container", &decode_string },
	{ "Force", &decode_bool },
	{ NULL, NULL },
};
const struct decode_type schema_network_disconnect = { .kind = DECODE_STRUCT,
						       .go = "DisconnectRequest",
						       .fields = schema_network_disconnect_fields };
