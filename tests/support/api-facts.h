/* What docs/docker_api_mapping.md tells beside the route table: operations of
 * the Engine API by resource, the operations that each CLI command needs, and
 * in what we differ from Docker. Whether something is served is never written
 * here: the route table says it. */
#ifndef SOCKERLESS_TESTS_API_FACTS_H
#define SOCKERLESS_TESTS_API_FACTS_H

/* Operations that the specification has, as "method path"; served ones are left out when printing. */
struct known_operation {
	const char *operation, *method, *path;
};

static const struct known_operation known_operations[] = {
	{ "ContainerStats", "GET", "/containers/{id}/stats" },
	{ "ContainerUpdate", "POST", "/containers/{id}/update" },
	{ "ImageAttestations", "GET", "/images/{name}/attestations" },
	{ "VolumeUpdate", "PUT", "/volumes/{name}" },
	{ "NetworkCreate", "POST", "/networks/create" },
	{ "NetworkDelete", "DELETE", "/networks/{id}" },
	{ "NetworkConnect", "POST", "/networks/{id}/connect" },
	{ "NetworkDisconnect", "POST", "/networks/{id}/disconnect" },
	{ "NetworkPrune", "POST", "/networks/prune" },
};

/* In what an operation that is served differs from Docker's, by design. */
struct difference {
	const char *operation, *text;
};

static const struct difference differences[] = {
	{ "SystemInfo", "lists the runtimes auto, wasm, synthetic; there is no cgroup or storage driver to name" },
	{ "SystemEvents", "attribute sockerless.driver names the serving driver" },
	{ "ContainerCreate", "settings of the kernel's (capabilities, devices, security options) are kept and told, not enforced" },
	{ "ContainerInspect", "GraphDriver.Data.ExecutionDriver names the serving driver" },
	{ "ContainerTop", "processes of the sandbox only" },
	{ "ContainerArchive", "a file with several names is whole under each; device nodes only where an import brought them" },
	{ "PutContainerArchive", "the whole archive is looked through before anything is written" },
	{ "ContainerStart", "a native program is refused (exit code 126): only an agent could run it" },
	{ "ContainerUpdate",
	  "other limits of a native container that runs: where control groups can be made, else refused (docs/agents.md)" },
	{ "ExecStart", "a native program is refused (exit code 126)" },
	{ "ImageList", "busybox:latest is always there" },
};

struct cli_command {
	const char *command, *operations, *note;
};

static const struct cli_command cli_commands[] = {
	{ "attach", "ContainerInspect ContainerAttach ContainerResize ContainerWait", "" },
	{ "build, builder, buildx", "ImageBuild Session Grpc", "" },
	{ "checkpoint", "CheckpointCreate", "Docker has it as an experiment" },
	{ "commit", "ImageCommit", "" },
	{ "config, node, secret, service, stack, swarm", "SwarmInit SwarmInspect ServiceList", "init and join are refused" },
	{ "container prune", "ContainerPrune", "" },
	{ "context", "", "the CLI's own" },
	{ "cp", "ContainerArchive ContainerArchiveInfo PutContainerArchive", "also before the start and after the end" },
	{ "create", "ContainerCreate ImageCreate", "" },
	{ "diff", "ContainerChanges", "" },
	{ "events", "SystemEvents", "" },
	{ "exec", "ContainerExec ExecStart ExecInspect ExecResize", "" },
	{ "export", "ContainerExport", "" },
	{ "history", "ImageHistory", "" },
	{ "image inspect, image ls, images", "ImageList ImageInspect", "" },
	{ "image prune", "ImagePrune", "" },
	{ "import", "ImageCreate", "" },
	{ "info", "SystemInfo", "" },
	{ "inspect", "ContainerInspect ImageInspect NetworkInspect VolumeInspect", "" },
	{ "kill", "ContainerKill", "" },
	{ "load", "ImageLoad", "" },
	{ "login", "SystemAuth", "" },
	{ "logout", "", "the CLI's own" },
	{ "logs", "ContainerInspect ContainerLogs", "" },
	{ "manifest, trust", "DistributionInspect", "the CLI speaks to the registry itself" },
	{ "network connect, disconnect", "NetworkConnect NetworkDisconnect", "" },
	{ "network create, rm, prune", "NetworkCreate NetworkDelete NetworkPrune", "" },
	{ "network inspect, ls", "NetworkList NetworkInspect", "" },
	{ "pause, unpause", "ContainerPause ContainerUnpause", "" },
	{ "plugin", "PluginList PluginInspect PluginPull", "" },
	{ "port", "ContainerInspect", "" },
	{ "ps", "ContainerList", "" },
	{ "pull", "ImageCreate", "" },
	{ "push", "ImagePush", "" },
	{ "rename", "ContainerRename", "" },
	{ "restart", "ContainerRestart", "" },
	{ "rm", "ContainerDelete", "" },
	{ "rmi", "ImageDelete", "" },
	{ "run", "ContainerCreate ContainerAttach ContainerWait ContainerStart ContainerResize ContainerDelete", "" },
	{ "save", "ImageGetAll", "" },
	{ "search", "ImageSearch", "" },
	{ "start", "ContainerStart ContainerAttach ContainerWait", "" },
	{ "stats", "ContainerStats", "" },
	{ "stop", "ContainerStop", "" },
	{ "system df", "SystemDataUsage", "" },
	{ "system prune", "ContainerPrune ImagePrune NetworkPrune BuildPrune", "" },
	{ "tag", "ImageTag", "" },
	{ "top", "ContainerTop", "" },
	{ "update", "ContainerUpdate", "" },
	{ "version", "SystemVersion", "" },
	{ "volume", "VolumeCreate VolumeList VolumeInspect VolumeDelete VolumePrune", "" },
	{ "wait", "ContainerWait", "" },
};

#endif
