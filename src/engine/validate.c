/* What a request to create a container may not ask for, in Docker's words, and
 * what it asks for in vain. Pure: looks at decoded JSON only. */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/internal.h"
#include "engine/log.h"
#include "engine/networks.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

enum { HOSTNAME_MAX = 64 };

static bool is_true(json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static bool has_any(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	return json_array_size(v) > 0 || json_object_size(v) > 0;
}

#define refuse(err, ...) error_set_class(err, ERROR_INVALID, __VA_ARGS__)

/* ---- Config ---- */

static int check_health(json_t *health, struct error *err)
{
	static const char *const times[] = { "Interval", "Timeout", "StartPeriod", "StartInterval" };

	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		json_int_t ns = json_number(health, times[i]);

		if (ns != 0 && ns < 1000000)
			return refuse(err, "%s in Healthcheck cannot be less than 1ms", times[i]);
	}
	return json_number(health, "Retries") < 0 ? refuse(err, "Retries in Healthcheck cannot be negative") : 0;
}

/* "80", "80/tcp", "8000-8010/udp". */
bool port_parse(const char *text, unsigned *ret_first, unsigned *ret_last, char ret_protocol[8])
{
	char *end;
	unsigned long first, last;

	if (!isdigit((unsigned char)*text))
		return false;
	first = last = strtoul(text, &end, 10);
	if (*end == '-') {
		if (!isdigit((unsigned char)end[1]))
			return false;
		last = strtoul(end + 1, &end, 10);
	}
	if (first > 65535 || last > 65535 || last < first)
		return false;
	memcpy(ret_protocol, "tcp", 4);
	if (*end == '/') {
		if (strcasecmp(end, "/tcp") && strcasecmp(end, "/udp") && strcasecmp(end, "/sctp"))
			return false;
		for (size_t i = 0; i <= strlen(end + 1); i++)
			ret_protocol[i] = (char)tolower((unsigned char)end[1 + i]);
	} else if (*end) {
		return false;
	}
	*ret_first = (unsigned)first;
	*ret_last = (unsigned)last;
	return true;
}

/* A key that moby's decoder would refuse is told in its words (api/types/network: ParsePort). */
static int refuse_port(const char *port, struct error *err)
{
	int n = (int)strcspn(port, "/");

	if (n && (int)strspn(port, "0123456789") == n && strtoul(port, NULL, 10) > 65535)
		return refuse(err, "invalid JSON: invalid port '%.*s': value out of range", n > 100 ? 100 : n, port);
	if ((int)strspn(port, "0123456789-") < n)
		return refuse(err, "invalid JSON: invalid port '%.*s': invalid syntax", n > 100 ? 100 : n, port);
	return refuse(err, "invalid port specification: \"%.100s\"", port);
}

static int check_ports(json_t *ports, bool allow_range, struct error *err)
{
	unsigned first, last;
	char protocol[8];
	const char *port;
	json_t *v;

	json_object_foreach(ports, port, v)
		if (!port_parse(port, &first, &last, protocol) || first == 0 || (first != last && !allow_range))
			return refuse_port(port, err);
	return 0;
}

static int check_config(json_t *config, struct error *err)
{
	const char *cwd = json_text(config, "WorkingDir"), *signal = json_text(config, "StopSignal"),
		   *host = json_text(config, "Hostname");
	json_t *v;
	size_t i;

	if (*cwd && *cwd != '/')
		return refuse(err, "the working directory '%.300s' is invalid, it needs to be an absolute path", cwd);
	if (*signal && signal_number(signal) < 0)
		return refuse(err, "invalid signal: %.100s", signal);
	json_array_foreach(json_object_get(config, "Env"), i, v)
		if (!*json_string_value(v) || *json_string_value(v) == '=')
			return refuse(err, "invalid environment variable: %.200s", json_string_value(v));
	if (strlen(host) > HOSTNAME_MAX)
		return refuse(err, "hostname \"%.200s\" is too long (maximum %d bytes)", host, HOSTNAME_MAX);
	if (check_health(json_object_get(config, "Healthcheck"), err) < 0)
		return err->code;
	return check_ports(json_object_get(config, "ExposedPorts"), true, err);
}

/* ---- HostConfig ---- */

static int check_bindings(json_t *bindings, struct error *err)
{
	unsigned first, last;
	const char *port, *host_port;
	char protocol[8];
	json_t *list, *v;
	size_t i;

	if (check_ports(bindings, false, err) < 0)
		return err->code;
	json_object_foreach(bindings, port, list) {
		json_array_foreach(list, i, v) {
			host_port = json_text(v, "HostPort");
			if (*host_port && !port_parse(host_port, &first, &last, protocol))
				return refuse(err, "invalid port specification: \"%.100s\"", host_port);
		}
	}
	return 0;
}

int validate_restart(json_t *policy, bool is_auto_removed, struct error *err)
{
	const char *name = json_text(policy, "Name");
	json_int_t count = json_number(policy, "MaximumRetryCount");

	if (is_auto_removed && *name && strcmp(name, "no"))
		return refuse(err, "can't create 'AutoRemove' container with restart policy");
	if (strcmp(name, "on-failure") == 0)
		return count < 0 ? refuse(err, "invalid restart policy: maximum retry count cannot be negative") : 0;
	if (strcmp(name, "always") && strcmp(name, "no") && strcmp(name, "unless-stopped"))
		return !*name ? 0 :
				refuse(err, "invalid restart policy: unknown policy '%.100s'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
				       name);
	if (count == 0)
		return 0;
	return refuse(err, "invalid restart policy: maximum retry count can only be used with 'on-failure'%s",
		      count < 0 ? " and cannot be negative" : "");
}

static int check_capabilities(json_t *host, const char *key, struct error *err)
{
	static const char *const names[] = {
		"ALL",
		"AUDIT_CONTROL",
		"AUDIT_READ",
		"AUDIT_WRITE",
		"BLOCK_SUSPEND",
		"BPF",
		"CHECKPOINT_RESTORE",
		"CHOWN",
		"DAC_OVERRIDE",
		"DAC_READ_SEARCH",
		"FOWNER",
		"FSETID",
		"IPC_LOCK",
		"IPC_OWNER",
		"KILL",
		"LEASE",
		"LINUX_IMMUTABLE",
		"MAC_ADMIN",
		"MAC_OVERRIDE",
		"MKNOD",
		"NET_ADMIN",
		"NET_BIND_SERVICE",
		"NET_BROADCAST",
		"NET_RAW",
		"PERFMON",
		"SETFCAP",
		"SETGID",
		"SETPCAP",
		"SETUID",
		"SYSLOG",
		"SYS_ADMIN",
		"SYS_BOOT",
		"SYS_CHROOT",
		"SYS_MODULE",
		"SYS_NICE",
		"SYS_PACCT",
		"SYS_PTRACE",
		"SYS_RAWIO",
		"SYS_RESOURCE",
		"SYS_TIME",
		"SYS_TTY_CONFIG",
		"WAKE_ALARM",
	};
	json_t *v;
	size_t i, k;

	json_array_foreach(json_object_get(host, key), i, v) {
		const char *name = json_string_value(v);

		name += strncasecmp(name, "CAP_", 4) == 0 ? 4 : 0;
		for (k = 0; k < ARRAY_SIZE(names) && strcasecmp(names[k], name); k++)
			;
		if (k == ARRAY_SIZE(names))
			return refuse(err, "invalid %s: unknown capability: \"CAP_%.60s\"", key, name);
	}
	return 0;
}

static int check_network_of_container(json_t *config, json_t *host, struct error *err)
{
	if (!*network_mode_container(json_text(host, "NetworkMode")))
		return refuse(err, "invalid network mode: invalid container format container:<name|id>");
	if (*json_text(config, "Hostname"))
		return refuse(err, "conflicting options: hostname and the network mode");
	if (has_any(host, "Links"))
		return refuse(err, "conflicting options: container type network can't be used with links. This would result in undefined behavior");
	if (has_any(host, "Dns"))
		return refuse(err, "conflicting options: dns and the network mode");
	if (has_any(host, "ExtraHosts"))
		return refuse(err, "conflicting options: custom host-to-IP mapping and the network mode");
	if (has_any(host, "PortBindings") || is_true(host, "PublishAllPorts"))
		return refuse(err, "conflicting options: port publishing and the container type network mode");
	if (has_any(config, "ExposedPorts"))
		return refuse(err, "conflicting options: port exposing and the container type network mode");
	return 0;
}

static int check_modes(json_t *config, json_t *host, struct error *err)
{
	const char *network = json_text(host, "NetworkMode"), *ipc = json_text(host, "IpcMode"),
		   *pid = json_text(host, "PidMode");
	const char *uts = json_text(host, "UTSMode"), *cgroup = json_text(host, "CgroupnsMode"),
		   *isolation = json_text(host, "Isolation");

	if (network_mode_container(network) && check_network_of_container(config, host, err) < 0)
		return err->code;
	if (strcmp(uts, "host") == 0 && *json_text(config, "Hostname"))
		return refuse(err, "conflicting options: hostname and the UTS mode");
	if (strcmp(network, "host") == 0 && has_any(host, "Links"))
		return refuse(err, "conflicting options: host type networking can't be used with links. This would result in undefined behavior");
	if (*isolation && strcasecmp(isolation, "default"))
		return refuse(err, "invalid isolation (%.60s): linux only supports 'default'", isolation);
	if (*ipc && strcmp(ipc, "none") && strcmp(ipc, "host") && strcmp(ipc, "private") && strcmp(ipc, "shareable") &&
	    !(network_mode_container(ipc) && ipc[10]))
		return refuse(err, "invalid IPC mode: %.100s", ipc);
	if (*pid && strcmp(pid, "host") && !(network_mode_container(pid) && pid[10]))
		return refuse(err, "invalid PID mode: %.100s", pid);
	if (*uts && strcmp(uts, "host"))
		return refuse(err, "invalid UTS mode: %.100s", uts);
	if (*cgroup && strcmp(cgroup, "private") && strcmp(cgroup, "host"))
		return refuse(err, "invalid cgroup namespace mode: %.100s", cgroup);
	return 0;
}

static int check_ulimits(json_t *ulimits, struct error *err)
{
	json_t *u;
	size_t i;

	json_array_foreach(ulimits, i, u) {
		json_int_t soft = json_number(u, "Soft"), hard = json_number(u, "Hard");

		if (!ulimit_find(json_text(u, "Name"), NULL))
			return refuse(err, "invalid ulimit type: %.100s", json_text(u, "Name"));
		if (hard != -1 && (soft > hard || soft == -1))
			return refuse(err, "ulimit soft limit must be less than or equal to hard limit: %lld > %lld",
				      (long long)soft, (long long)hard);
	}
	return 0;
}

static int check_resources(json_t *host, struct error *err)
{
	json_int_t score = json_number(host, "OomScoreAdj");

	if (score < -1000 || score > 1000)
		return refuse(err, "Invalid value %lld, range for oom score adj is [-1000, 1000]", (long long)score);
	if (json_number(host, "ShmSize") < 0)
		return refuse(err, "SHM size can not be less than 0");
	if (resources_check(host, false, err) < 0)
		return err->code;
	return check_ulimits(json_object_get(host, "Ulimits"), err);
}

/* Docker gives these; here nothing could, and a container without them would be a lie. */
static int check_hardware(json_t *host, struct error *err)
{
	json_t *device = json_array_get(json_object_get(host, "Devices"), 0);

	if (has_any(host, "DeviceRequests"))
		return refuse(err, "could not select device driver \"\" with capabilities: [[gpu]]");
	if (device)
		return refuse(err, "error gathering device information while adding custom device \"%.200s\": devices of the host cannot be given to a sandbox",
			      json_text(device, "PathOnHost"));
	return 0;
}

static int check_extra_hosts(json_t *hosts, struct error *err)
{
	json_t *v;
	size_t i;

	json_array_foreach(hosts, i, v) {
		const char *text = json_string_value(v), *address = extra_host_address(text);

		if (!address || address == text + 1 || !*address)
			return refuse(err, "bad format for add-host: \"%.200s\"", text);
	}
	return 0;
}

static int check_host(json_t *host, struct error *err)
{
	struct log_limits limits;
	int r = validate_restart(json_object_get(host, "RestartPolicy"), is_true(host, "AutoRemove"), err);

	if (r == 0)
		r = check_extra_hosts(json_object_get(host, "ExtraHosts"), err);
	if (r == 0)
		r = check_bindings(json_object_get(host, "PortBindings"), err);
	if (r == 0)
		r = check_capabilities(host, "CapAdd", err);
	if (r == 0)
		r = check_capabilities(host, "CapDrop", err);
	if (r == 0 && json_object_get(json_object_get(host, "Annotations"), ""))
		r = refuse(err, "invalid Annotations: the empty string is not permitted as an annotation key");
	if (r == 0)
		r = check_resources(host, err);
	if (r == 0)
		r = check_hardware(host, err);
	if (r == 0)
		r = log_parse_config(json_object_get(host, "LogConfig"), &limits, err);
	return r;
}

/* ---- the whole ---- */

static int check_mount_options(json_t *mounts, struct error *err)
{
	static const char *const options[][2] = { { "VolumeOptions", "volume" },
						  { "BindOptions", "bind" },
						  { "TmpfsOptions", "tmpfs" } };
	json_t *m;
	size_t i;

	json_array_foreach(mounts, i, m)
		for (size_t k = 0; k < ARRAY_SIZE(options); k++)
			if (json_object_get(m, options[k][0]) && strcmp(json_text(m, "Type"), options[k][1]) != 0)
				return refuse(err, "%s must not be specified on mount type \"%.30s\"", options[k][0],
					      json_text(m, "Type"));
	return 0;
}

int validate_create(json_t *body, struct error *err)
{
	json_t *host = json_object_get(body, "HostConfig");
	int r = check_modes(body, host, err);

	if (r == 0)
		r = check_mount_options(json_object_get(host, "Mounts"), err);
	if (r == 0)
		r = check_config(body, err);
	if (r == 0)
		r = check_host(host, err);
	return r;
}

/* ---- warnings ---- */

void validate_warn(json_t *body, json_t *warnings)
{
	json_t *host = json_object_get(body, "HostConfig");
	const char *mode = json_text(host, "NetworkMode");

	resources_adapt(host, warnings);
	if (strcmp(json_text(host, "NetworkMode"), "host") == 0 && has_any(host, "PortBindings"))
		json_array_append_new(warnings, json_string("Published ports are discarded when using host network mode"));
	if (has_any(host, "Links") && (!*mode || strcmp(mode, "default") == 0 || strcmp(mode, "bridge") == 0))
		json_array_append_new(
			warnings,
			json_string("Links on the default bridge network are deprecated and will be removed in a future release. Use a custom network instead."));
}
