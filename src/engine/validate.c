/* What a request asks for and nobody could give, refused when the container is
 * created, as Docker does it and in its words. */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "engine/internal.h"

enum { MEMORY_MIN_BYTES = 6 << 20, OOM_SCORE_MAX = 1000 };

static const char *text_of(json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

static long long number_of(json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static int check_config(json_t *config, struct error *err)
{
	const char *cwd = text_of(config, "WorkingDir"), *signal = text_of(config, "StopSignal");

	if (*cwd && *cwd != '/')
		return error_set_class(err, ERROR_INVALID,
				       "the working directory '%.300s' is invalid, it needs to be an absolute path", cwd);
	if (*signal && signal_number(signal) < 0)
		return error_set_class(err, ERROR_INVALID, "invalid signal: %.100s", signal);
	return 0;
}

static int check_resources(json_t *host, struct error *err)
{
	long long memory = number_of(host, "Memory"), nano = number_of(host, "NanoCpus"), oom = number_of(host, "OomScoreAdj");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (memory && memory < MEMORY_MIN_BYTES)
		return error_set_class(err, ERROR_INVALID, "Minimum memory limit allowed is 6MB");
	if (nano < 0 || nano > cpus * 1000000000LL)
		return error_set_class(err, ERROR_INVALID,
				       "range of CPUs is from 0.01 to %ld.00, as there are only %ld CPUs available", cpus, cpus);
	if (oom < -OOM_SCORE_MAX || oom > OOM_SCORE_MAX)
		return error_set_class(err, ERROR_INVALID, "invalid value %lld, range for oom score adj is [-1000, 1000]", oom);
	return 0;
}

static int check_capabilities(json_t *host, const char *key, struct error *err)
{
	static const char *const known[] = {
		"ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
		"DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE",
		"MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON",
		"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
		"SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
	};
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(host, key), i, v) {
		const char *name = json_string_value(v);
		bool is_known = false;

		if (!name)
			continue;
		if (strncasecmp(name, "CAP_", 4) == 0)
			name += 4;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			is_known = is_known || strcasecmp(known[k], name) == 0;
		if (!is_known)
			return error_set_class(err, ERROR_INVALID, "invalid %s: unknown capability: \"CAP_%.100s\"", key, name);
	}
	return 0;
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(text, *list) == 0)
			return true;
	return false;
}

static int check_namespaces(struct engine *e, json_t *host, struct error *err)
{
	static const char *const ipc_modes[] = { "", "none", "private", "shareable", "host", NULL };
	const char *ipc = text_of(host, "IpcMode"), *isolation = text_of(host, "Isolation"), *net = text_of(host, "NetworkMode");
	struct container *other;

	if (!is_one_of(ipc, ipc_modes) && strncmp(ipc, "container:", 10) != 0)
		return error_set_class(err, ERROR_INVALID, "invalid IPC mode: %.100s", ipc);
	if (*isolation && strcasecmp(isolation, "default") != 0)
		return error_set_class(err, ERROR_INVALID, "invalid isolation (%.100s): only the default is supported", isolation);
	/* Not "not found": a client would take it for the image and pull. */
	if (strncmp(net, "container:", 10) == 0 && containers_find(&e->containers, net + 10, &other, err) < 0)
		return error_set_class(err, ERROR_INVALID, "No such container: %.200s", net + 10);
	return 0;
}

/* Docker gives these; here nothing could, and a container without them would be a lie. */
static int check_hardware(json_t *host, struct error *err)
{
	json_t *device = json_array_get(json_object_get(host, "Devices"), 0);

	if (json_array_size(json_object_get(host, "DeviceRequests")))
		return error_set_class(err, ERROR_INVALID, "could not select device driver \"\" with capabilities: [[gpu]]");
	if (device)
		return error_set_class(err, ERROR_INVALID, "error gathering device information while adding custom device \"%.200s\": "
				       "devices of the host cannot be given to a sandbox", text_of(device, "PathOnHost"));
	return 0;
}

/* "os/architecture[/variant]" against the one platform whose images are here. */
static int check_platform(const struct container_create *req, struct error *err)
{
	const char *want = req->platform;

	if (!want || !*want || strcmp(want, "linux") == 0 || strcmp(want, "linux/amd64") == 0 || strcmp(want, "amd64") == 0)
		return 0;
	return error_set_class(err, ERROR_NOT_FOUND,
			       "image with reference %.200s was found but its platform (linux/amd64) does not match the specified "
			       "platform (%.100s)", text_of(req->body, "Image"), want);
}

int validate_create(struct engine *e, const struct container_create *req, struct error *err)
{
	json_t *host = json_object_get(req->body, "HostConfig");
	int r = check_config(req->body, err);

	if (r == 0)
		r = check_resources(host, err);
	if (r == 0)
		r = check_capabilities(host, "CapAdd", err);
	if (r == 0)
		r = check_capabilities(host, "CapDrop", err);
	if (r == 0)
		r = check_hardware(host, err);
	if (r == 0)
		r = check_namespaces(e, host, err);
	return r == 0 ? check_platform(req, err) : r;
}
