/* The one table of what the API offers. docs/docker_api_mapping.md is made of it. */
#include "api/api.h"

#define ALL 0
#define V(minor) API_VERSION(1, minor)

const struct route api_routes[] = {
	{ "SystemPing", "GET", "/_ping", SystemPing, 0, ALL, SLOT_NONE, "full" },
	{ "SystemPingHead", "HEAD", "/_ping", SystemPing, 0, ALL, SLOT_NONE, "full" },
	{ "SystemVersion", "GET", "/version", SystemVersion, 0, ALL, SLOT_NONE, "full" },
	{ "SystemInfo", "GET", "/info", SystemInfo, 0, ALL, SLOT_NONE, "full" },
	{ "SystemEvents", "GET", "/events", SystemEvents, ROUTE_STREAM, ALL, SLOT_NONE, "partial: filters type, event, container" },
	{ "SystemAuth", "POST", "/auth", SystemAuth, ROUTE_BODY_JSON, ALL, SLOT_NONE, "refused: there is no registry client yet" },
	{ "ContainerList", "GET", "/containers/json", ContainerList, 0, ALL, SLOT_NONE, "partial: filters id, name, status, label, ancestor" },
	{ "ContainerCreate", "POST", "/containers/create", ContainerCreate, ROUTE_BODY_JSON, ALL, SLOT_NONE,
	  "partial: no named volumes, --mount, --tmpfs" },
	{ "ContainerPrune", "POST", "/containers/prune", ContainerPrune, 0, ALL, SLOT_LIFECYCLE, "partial: no filters" },
	{ "ContainerInspect", "GET", "/containers/{name}/json", ContainerInspect, 0, ALL, SLOT_NONE, "full" },
	{ "ContainerTop", "GET", "/containers/{name}/top", ContainerTop, 0, ALL, SLOT_LIFECYCLE, "partial: the columns of -ef" },
	{ "ContainerLogs", "GET", "/containers/{name}/logs", ContainerLogs, ROUTE_STREAM, ALL, SLOT_NONE, "full" },
	{ "ContainerStart", "POST", "/containers/{name}/start", ContainerStart, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerStop", "POST", "/containers/{name}/stop", ContainerStop, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerRestart", "POST", "/containers/{name}/restart", ContainerRestart, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerKill", "POST", "/containers/{name}/kill", ContainerKill, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerPause", "POST", "/containers/{name}/pause", ContainerPause, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerUnpause", "POST", "/containers/{name}/unpause", ContainerUnpause, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerRename", "POST", "/containers/{name}/rename", ContainerRename, 0, ALL, SLOT_NONE, "full" },
	{ "ContainerResize", "POST", "/containers/{name}/resize", ContainerResize, 0, ALL, SLOT_STREAM, "full" },
	{ "ContainerWait", "POST", "/containers/{name}/wait", ContainerWait, ROUTE_STREAM, ALL, SLOT_LIFECYCLE, "full" },
	{ "ContainerAttach", "POST", "/containers/{name}/attach", ContainerAttach, ROUTE_HIJACK, ALL, SLOT_STREAM,
	  "partial: logs=1 is ignored" },
	{ "ContainerArchive", "GET", "/containers/{name}/archive", ContainerArchive, ROUTE_STREAM, ALL, SLOT_FILESYSTEM, "full" },
	{ "ContainerArchiveInfo", "HEAD", "/containers/{name}/archive", ContainerArchiveInfo, 0, ALL, SLOT_FILESYSTEM, "full" },
	{ "PutContainerArchive", "PUT", "/containers/{name}/archive", PutContainerArchive, ROUTE_BODY_STREAM, ALL,
	  SLOT_FILESYSTEM, "full" },
	{ "ContainerChanges", "GET", "/containers/{name}/changes", ContainerChanges, 0, ALL, SLOT_FILESYSTEM, "full" },
	{ "ContainerExport", "GET", "/containers/{name}/export", ContainerExport, ROUTE_STREAM, ALL, SLOT_FILESYSTEM, "full" },
	{ "ContainerExec", "POST", "/containers/{name}/exec", ContainerExec, ROUTE_BODY_JSON, ALL, SLOT_EXEC, "full" },
	{ "ContainerDelete", "DELETE", "/containers/{name}", ContainerDelete, 0, ALL, SLOT_LIFECYCLE, "full" },
	{ "ExecStart", "POST", "/exec/{id}/start", ExecStart, ROUTE_BODY_JSON | ROUTE_HIJACK, ALL, SLOT_EXEC, "full" },
	{ "ExecResize", "POST", "/exec/{id}/resize", ExecResize, 0, ALL, SLOT_STREAM, "full" },
	{ "ExecInspect", "GET", "/exec/{id}/json", ExecInspect, 0, ALL, SLOT_EXEC, "full" },
	{ "ImageList", "GET", "/images/json", ImageList, 0, ALL, SLOT_NONE, "partial: the built-in image" },
	{ "ImageCreate", "POST", "/images/create", ImageCreate, 0, ALL, SLOT_NONE, "refused: there is no registry client yet" },
	{ "ImageInspect", "GET", "/images/{name...}/json", ImageInspect, 0, ALL, SLOT_NONE, "full" },
	{ "ImageHistory", "GET", "/images/{name...}/history", ImageHistory, 0, ALL, SLOT_NONE, "full" },
	{ "NetworkList", "GET", "/networks", NetworkList, 0, ALL, SLOT_NONE, "partial: the predefined ones" },
	{ "NetworkInspect", "GET", "/networks/{name}", NetworkInspect, 0, ALL, SLOT_NONE, "partial: the predefined ones" },
	{ "VolumeList", "GET", "/volumes", VolumeList, 0, ALL, SLOT_NONE, "partial: there are none yet" },
};

const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);
