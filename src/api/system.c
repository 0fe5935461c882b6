/* Handlers about the daemon itself, and the lists that are short so far. */
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/api.h"
#include "image/images.h"
#include "util/alloc.h"
#include "util/clock.h"

void SystemPing(struct request *req)
{
	reply_header(req, "Cache-Control", "no-cache, no-store, must-revalidate");
	reply_header(req, "Pragma", "no-cache");
	reply_header(req, "Builder-Version", "1");
	reply_header(req, "Swarm", "inactive");
	reply_text(req, 200, "text/plain; charset=utf-8", strcmp(request_method(req), "HEAD") == 0 ? "" : "OK");
}

void SystemOptions(struct request *req)
{
	reply_empty(req, 200);
}

void SystemVersion(struct request *req)
{
	struct utsname u;

	uname(&u);
	reply_json(req, 200,
		   json_pack("{s:{s:s}, s:[{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}],"
			     " s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
			     "Platform", "Name", "sockerless", "Components", "Name", "Engine", "Version", SOCKERLESS_VERSION,
			     "Details", "Os", "linux", "ApiVersion", API_VERSION_MAX_TEXT, "Arch", "amd64", "BuildTime", "", "Experimental", "false",
			     "GitCommit", "", "GoVersion", "none: C11", "KernelVersion", u.release, "MinAPIVersion",
			     API_VERSION_MIN_TEXT, "Version", SOCKERLESS_VERSION, "ApiVersion", API_VERSION_MAX_TEXT,
			     "MinAPIVersion", API_VERSION_MIN_TEXT, "GitCommit", "", "GoVersion", "none: C11", "Os", "linux",
			     "Arch", "amd64", "KernelVersion", u.release, "BuildTime", ""));
}

static void put(json_t *o, const char *key, json_t *take_value)
{
	json_object_set_new(o, key, take_value);
}

void SystemInfo(struct request *req)
{
	static const char *const yes[] = { "MemoryLimit", "PidsLimit", "IPv4Forwarding", "OomKillDisable" };
	static const char *const no[] = { "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "Debug",
					  "BridgeNfIptables", "BridgeNfIp6tables", "ExperimentalBuild", "LiveRestoreEnabled" };
	struct engine *e = api_engine(req);
	size_t running, paused, stopped;
	char when[CLOCK_RFC3339_MAX], host[65] = "";
	struct utsname u;
	struct sysinfo si;
	json_t *o = json_object();

	engine_counts(e, &running, &paused, &stopped);
	clock_format_rfc3339(clock_wall_ns(), when);
	gethostname(host, sizeof(host) - 1);
	uname(&u);
	sysinfo(&si);
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		put(o, yes[i], json_false());
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		put(o, no[i], json_false());
	put(o, "ID", json_string(e->id));
	put(o, "Containers", json_integer((json_int_t)(running + paused + stopped)));
	put(o, "ContainersRunning", json_integer((json_int_t)running));
	put(o, "ContainersPaused", json_integer((json_int_t)paused));
	put(o, "ContainersStopped", json_integer((json_int_t)stopped));
	put(o, "Images", json_integer((json_int_t)images_count(e->images)));
	put(o, "Driver", json_string("sockerless"));
	put(o, "DriverStatus", json_pack("[[s, s], [s, s]]", "Execution drivers", "wasm, synthetic", "Synthetic driver",
				     e->options.pretend ? "pretends to run what no driver can run" : "refuses what no driver can run"));
	put(o, "Plugins", json_pack("{s:[s], s:[s, s, s], s:n, s:[s, s, s]}", "Volume", "local", "Network", "bridge", "host", "none",
				    "Authorization", "Log", "json-file", "local", "none"));
	put(o, "NFd", json_integer(0));
	put(o, "NGoroutines", json_integer(0));
	put(o, "NEventsListener", json_integer(0));
	put(o, "SystemTime", json_string(when));
	put(o, "LoggingDriver", json_string("json-file"));
	put(o, "CgroupDriver", json_string("none"));
	put(o, "CgroupVersion", json_string("2"));
	put(o, "KernelVersion", json_string(u.release));
	put(o, "OperatingSystem", json_string("sockerless (no container of this daemon touches the kernel)"));
	put(o, "OSVersion", json_string(""));
	put(o, "OSType", json_string("linux"));
	put(o, "Architecture", json_string("x86_64"));
	put(o, "IndexServerAddress", json_string("https://index.docker.io/v1/"));
	put(o, "RegistryConfig", json_pack("{s:[], s:{}, s:[]}", "InsecureRegistryCIDRs", "IndexConfigs", "Mirrors"));
	put(o, "NCPU", json_integer(get_nprocs()));
	put(o, "MemTotal", json_integer((json_int_t)((uint64_t)si.totalram * si.mem_unit)));
	put(o, "GenericResources", json_null());
	put(o, "DockerRootDir", json_string(e->options.data_root));
	put(o, "HttpProxy", json_string(""));
	put(o, "HttpsProxy", json_string(""));
	put(o, "NoProxy", json_string(""));
	put(o, "Name", json_string(host));
	put(o, "Labels", json_array());
	put(o, "ServerVersion", json_string(SOCKERLESS_VERSION));
	put(o, "Runtimes", json_pack("{s:{s:s}, s:{s:s}, s:{s:s}}", "auto", "path", "", "wasm", "path", "sockerless-sandbox", "synthetic",
				      "path", ""));
	put(o, "DefaultRuntime", json_string(e->options.default_runtime));
	put(o, "Swarm", json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "NodeID", "", "NodeAddr", "", "LocalNodeState", "inactive",
				  "ControlAvailable", 0, "Error", "", "RemoteManagers"));
	put(o, "Isolation", json_string(""));
	put(o, "InitBinary", json_string(""));
	put(o, "ContainerdCommit", json_pack("{s:s}", "ID", ""));
	put(o, "RuncCommit", json_pack("{s:s}", "ID", ""));
	put(o, "InitCommit", json_pack("{s:s}", "ID", ""));
	put(o, "SecurityOptions", json_pack("[s]", "name=seccomp,profile=builtin"));
	put(o, "Warnings", json_array());
	reply_json(req, 200, o);
}

void SystemAuth(struct request *req)
{
	struct error err = { 0 };

	error_set_class(&err, ERROR_UNIMPLEMENTED, "there is no registry client yet");
	reply_error(req, &err);
}

/* ---- networks ---- */

static const struct { const char *name, *id, *driver; } networks[] = {
	{ "bridge", "b000000000000000000000000000000000000000000000000000000000000001", "bridge" },
	{ "host", "b000000000000000000000000000000000000000000000000000000000000002", "host" },
	{ "none", "b000000000000000000000000000000000000000000000000000000000000003", "null" },
};

static json_t *network_view(size_t i)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:{s:s, s:n, s:[]}, s:b, s:b, s:b, s:{s:s}, s:b, s:{}, s:{}, s:{}}",
			 "Name", networks[i].name, "Id", networks[i].id, "Created", "2024-01-01T00:00:00Z", "Scope", "local", "Driver",
			 networks[i].driver, "EnableIPv4", 1, "EnableIPv6", 0, "IPAM", "Driver", "default", "Options", "Config",
			 "Internal", 0, "Attachable", 0, "Ingress", 0, "ConfigFrom", "Network", "", "ConfigOnly", 0, "Containers",
			 "Options", "Labels");
}

void NetworkList(struct request *req)
{
	json_t *list = json_array();

	for (size_t i = 0; i < 3; i++)
		json_array_append_new(list, network_view(i));
	reply_json(req, 200, list);
}

void NetworkInspect(struct request *req)
{
	const char *name = request_param(req, "name");
	struct error err = { 0 };

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(name, networks[i].name) == 0 || strcmp(name, networks[i].id) == 0) {
			reply_json(req, 200, network_view(i));
			return;
		}
	}
	error_set_class(&err, ERROR_NOT_FOUND, "network %.100s not found", name);
	reply_error(req, &err);
}
