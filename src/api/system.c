/* Handlers about the daemon itself, and the lists that are short so far. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "api/api.h"
#include "drivers/launchers.h"
#include "api/versions.h"
#include "image/images.h"
#include "network/ipam.h"
#include "registry/registry.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"

static const char *const ping_headers[] = {
	"Cache-Control",
	"no-cache, no-store, must-revalidate",
	"Pragma",
	"no-cache",
	"Builder-Version",
	"1",
	"Swarm",
	"inactive",
	NULL,
};
static const struct constant_reply ping = { 200, "text/plain; charset=utf-8", "OK", ping_headers };
static const struct constant_reply ping_head = { 200, "text/plain; charset=utf-8", "", ping_headers }; /* moby's says 0 bytes */

void SystemPing(struct request *req)
{
	reply_constant(req, strcmp(request_method(req), "HEAD") == 0 ? &ping_head : &ping);
}

void SystemOptions(struct request *req)
{
	reply_empty(req, 200);
}

/* Go's name of a machine, as version has it and info has not. */
static const char *go_arch(const char *machine)
{
	return strcmp(machine, "x86_64") == 0 ? "amd64" : strcmp(machine, "aarch64") == 0 ? "arm64" : machine;
}

static const char *or_own(const char *told, const char *own)
{
	return told ? told : own;
}

void SystemVersion(struct request *req)
{
	const struct engine_descriptor *d = engine_descriptor(api_engine(req));
	const char *version = or_own(d->server_version, SOCKERLESS_VERSION), *os = or_own(d->os_type, "linux");
	const char *arch = go_arch(or_own(d->architecture, "amd64"));
	struct utsname u;

	uname(&u);
	reply_shaped(req, 200, SHAPE_VERSION,
		     json_pack("{s:{s:s}, s:[{s:s, s:s, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}],"
			       " s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
			       "Platform", "Name", "sockerless", "Components", "Name", "Engine", "Version", version,
			       "Details", "Os", os, "ApiVersion", API_VERSION_MAX_TEXT, "Arch", arch, "BuildTime", "",
			       "Experimental", "false", "GitCommit", "", "GoVersion", "none: C11", "KernelVersion",
			       u.release, "MinAPIVersion", API_VERSION_MIN_TEXT, "Version", version, "ApiVersion",
			       API_VERSION_MAX_TEXT, "MinAPIVersion", API_VERSION_MIN_TEXT, "GitCommit", "", "GoVersion",
			       "none: C11", "Os", os, "Arch", arch, "KernelVersion", u.release, "BuildTime", ""));
}

static void put(json_t *o, const char *key, json_t *take_value)
{
	json_object_set_new(o, key, take_value);
}

/* PRETTY_NAME of /etc/os-release, without its quotes; malloc'd. */
static char *os_release(const char *key, const char *fallback)
{
	FILE *f = fopen("/etc/os-release", "re");
	size_t n = strlen(key);
	char line[256], *found = NULL;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *v = line + n + 1;

		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		v += *v == '"';
		v[strcspn(v, "\"\n")] = '\0';
		found = xstrdup(v);
	}
	if (f)
		fclose(f);
	return found ? found : xstrdup(fallback);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", "..", and this one */
}

/* What the sandbox does by other means than a kernel's cgroups counts as done. */
static void put_abilities(json_t *o)
{
	static const char *const yes[] = { "MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota",
					   "CPUShares",   "CPUSet",    "PidsLimit",    "IPv4Forwarding" };
	static const char *const no[] = { "OomKillDisable", "Debug", "ExperimentalBuild", "LiveRestoreEnabled" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		put(o, yes[i], json_true());
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		put(o, no[i], json_false());
	put(o, "Warnings", json_null());
}

static void put_counts(json_t *o, struct engine *e)
{
	size_t running, paused, stopped;

	engine_counts(e, &running, &paused, &stopped);
	put(o, "Containers", json_integer((json_int_t)(running + paused + stopped)));
	put(o, "ContainersRunning", json_integer((json_int_t)running));
	put(o, "ContainersPaused", json_integer((json_int_t)paused));
	put(o, "ContainersStopped", json_integer((json_int_t)stopped));
	put(o, "Images", json_integer((json_int_t)images_count(e->images)));
	put(o, "NFd", json_integer(count_fds()));
	put(o, "NGoroutines", json_integer(0));
	put(o, "NEventsListener", json_integer((json_int_t)events_count(e->events)));
}

static json_t *operating_system(const struct engine_descriptor *d)
{
	CLEANUP(freep) char *os = os_release("PRETTY_NAME", "Linux");

	return d->operating_system ? json_string(d->operating_system) : json_sprintf("%s (sockerless)", os);
}

static void put_host(json_t *o, const struct engine_descriptor *d)
{
	CLEANUP(freep) char *version = os_release("VERSION_ID", "");
	char when[CLOCK_RFC3339_MAX], host[65] = "";
	struct utsname u;
	struct sysinfo si;

	clock_format_rfc3339(clock_wall_ns(), when);
	gethostname(host, sizeof(host) - 1);
	uname(&u);
	sysinfo(&si);
	put(o, "SystemTime", json_string(when));
	put(o, "KernelVersion", json_string(u.release));
	put(o, "OperatingSystem", operating_system(d));
	put(o, "OSVersion", json_string(version));
	put(o, "OSType", json_string(or_own(d->os_type, "linux")));
	put(o, "Architecture", json_string(or_own(d->architecture, u.machine)));
	put(o, "NCPU", json_integer(d->cpus ? (json_int_t)d->cpus : get_nprocs()));
	put(o, "MemTotal",
	    json_integer((json_int_t)(d->memory_bytes ? d->memory_bytes : (uint64_t)si.totalram * si.mem_unit)));
	put(o, "Name", json_string(or_own(d->name, host)));
}

static json_t *address_pools(struct engine *e)
{
	json_t *list = json_array();
	char base[PREFIX_TEXT_MAX];
	struct ipam_pool pool;

	for (size_t i = 0; e->options.address_pools[i]; i++) {
		if (ipam_parse_pool(e->options.address_pools[i], &pool, NULL) < 0)
			continue;
		prefix_format(pool.base, base);
		json_array_append_new(list, json_pack("{s:s, s:i}", "Base", base, "Size", (int)pool.size));
	}
	return list;
}

static json_t *execution_drivers(struct engine *e)
{
	json_t *text;
	struct buf b;

	buf_init(&b, 1 << 16);
	for (const struct driver *d = e->drivers; d; d = d->next)
		if (engine_is_runtime(e, d->ops->name))
			buf_printf(&b, "%s%s", b.len ? ", " : "", d->ops->name);
	text = json_string(b.len ? b.data : "");
	buf_done(&b);
	return text;
}

/* The chain's own links, and what an embedder has put before them; the engine's inner ones are nobody's to choose.
 * Launchers among them, with what is known of how they do here. */
static json_t *view_runtimes(struct engine *e)
{
	json_t *o = json_pack("{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}", "auto", "path", "", "wasm", "path",
			      "sockerless-sandbox", "synthetic", "path", "", "agent", "path", "sockerless-agent");
	const struct launcher *l = NULL;

	for (const struct driver *d = e->drivers; d; d = d->next)
		if (!json_object_get(o, d->ops->name) && engine_is_runtime(e, d->ops->name))
			json_object_set_new(o, d->ops->name, json_pack("{s:s}", "path", ""));
	while ((l = launchers_next(agent_driver_launchers(e->agents), l))) {
		json_t *runtime = json_pack("{s:s}", "path", l->name);

		if (l->state != LAUNCHER_UNKNOWN)
			json_object_set_new(runtime, "status",
					    json_pack("{s:o}", "sockerless.launcher",
						      l->state == LAUNCHER_WORKS ? json_string("works") :
										   json_sprintf("fails: %s", l->why)));
		json_object_set_new(o, l->name, runtime);
	}
	return o;
}

/* How containers are run here. */
static void put_execution(json_t *o, struct engine *e)
{
	CLEANUP(freep) char *native = launchers_tell(agent_driver_launchers(e->agents));

	put(o, "Driver", json_string(engine_storage_driver(e)));
	put(o, "Plugins",
	    json_pack("{s:[s], s:[s, s, s], s:n, s:[s, s, s]}", "Volume", "local", "Network", "bridge", "host", "null",
		      "Authorization", "Log", "json-file", "local", "none"));
	put(o, "LoggingDriver", json_string("json-file"));
	put(o, "CgroupDriver", json_string("none"));
	put(o, "CgroupVersion", json_string("2"));
	put(o, "Runtimes", view_runtimes(e));
	put(o, "DriverStatus",
	    json_pack("[[s, o], [s, s], [s, s]]", "Execution drivers", execution_drivers(e), "Native images", native,
		      "Synthetic driver",
		      e->options.pretend ? "pretends to run what no driver can run" : "refuses what no driver can run"));
	put(o, "DefaultRuntime", json_string(e->options.default_runtime));
	put(o, "InitBinary", json_string("docker-init"));
}

static void put_security(json_t *o)
{
	json_t *options = json_pack("[s]", "name=seccomp,profile=builtin");

	if (geteuid() != 0)
		json_array_append_new(options, json_string("name=rootless"));
	put(o, "SecurityOptions", options);
}

/* Docker has it, and it has nothing to say here. */
static void put_absent(json_t *o)
{
	static const char *const empty[] = { "HttpProxy", "HttpsProxy", "NoProxy", "Isolation", "ProductLicense" };
	static const char *const commits[] = { "ContainerdCommit", "RuncCommit", "InitCommit" };

	for (size_t i = 0; i < ARRAY_SIZE(empty); i++)
		put(o, empty[i], json_string(""));
	for (size_t i = 0; i < ARRAY_SIZE(commits); i++)
		put(o, commits[i], json_pack("{s:s}", "ID", ""));
	put(o, "GenericResources", json_null());
	put(o, "Labels", json_array());
	put(o, "CDISpecDirs", json_array());
	put(o, "Swarm",
	    json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "NodeID", "", "NodeAddr", "", "LocalNodeState", "inactive",
		      "ControlAvailable", 0, "Error", "", "RemoteManagers"));
}

void SystemInfo(struct request *req)
{
	struct engine *e = api_engine(req);
	const struct engine_descriptor *d = engine_descriptor(e);
	json_t *o = json_object();

	put(o, "ID", json_string(or_own(d->id, e->id)));
	put(o, "ServerVersion", json_string(or_own(d->server_version, SOCKERLESS_VERSION)));
	put(o, "DockerRootDir", json_string(e->options.data_root));
	put_counts(o, e);
	put_execution(o, e);
	put_abilities(o);
	put_security(o);
	put_host(o, d);
	put(o, "IndexServerAddress", json_string("https://index.docker.io/v1/"));
	put(o, "RegistryConfig", registry_config(e->registry));
	put_absent(o);
	if (e->options.address_pools[0])
		put(o, "DefaultAddressPools", address_pools(e));
	reply_shaped(req, 200, SHAPE_INFO, o);
}
