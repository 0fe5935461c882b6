/* HostConfig's resources, as create and update take them: what cannot be, in
 * Docker's words, what has no effect, and the limits that the rest comes to. Pure. */
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sysinfo.h>

#include "engine/internal.h"
#include "engine/mount_spec.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/json.h"

enum { MEMORY_MIN = 6 << 20, CPU_MAX = 8192, CPU_PERIOD_US = 100000 };

#define refuse(err, ...) error_set_class(err, ERROR_INVALID, __VA_ARGS__)

/* ---- memory ---- */

static int check_memory(json_t *host, bool is_update, struct error *err)
{
	json_int_t memory = json_number(host, "Memory"), swap = json_number(host, "MemorySwap");
	json_int_t reservation = json_number(host, "MemoryReservation"), swappiness = json_number(host, "MemorySwappiness");

	if (memory != 0 && memory < MEMORY_MIN)
		return refuse(err, "Minimum memory limit allowed is 6MB");
	if (memory > 0 && swap > 0 && swap < memory)
		return refuse(err, "Minimum memoryswap limit should be larger than memory limit, see usage");
	if (memory == 0 && swap > 0 && !is_update)
		return refuse(err, "You should always set the Memory limit when using Memoryswap limit, see usage");
	if (swappiness < -1 || swappiness > 100)
		return refuse(err, "Invalid value: %lld, valid memory swappiness range is 0-100", (long long)swappiness);
	if (reservation != 0 && reservation < MEMORY_MIN)
		return refuse(err, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > 0 && memory < reservation)
		return refuse(err, "Minimum memory limit can not be less than memory reservation limit, see usage");
	return 0;
}

/* ---- processors ---- */

struct cpus {
	unsigned char is_in[CPU_MAX + 1];
};

/* "0-3,5"; false: not of that form. */
static bool cpus_parse(const char *text, struct cpus *ret)
{
	memset(ret, 0, sizeof(*ret));
	while (*text) {
		unsigned long first, last;
		char *end;

		if (!isdigit((unsigned char)*text))
			return false;
		first = last = strtoul(text, &end, 10);
		if (*end == '-') {
			if (!isdigit((unsigned char)end[1]))
				return false;
			last = strtoul(end + 1, &end, 10);
		}
		if (last < first || last > CPU_MAX || (*end && *end != ','))
			return false;
		for (; first <= last; first++)
			ret->is_in[first] = 1;
		text = end + (*end == ',');
	}
	return true;
}

/* Those that this process may use: "0-1". */
static void cpus_print(const cpu_set_t *set, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < CPU_SETSIZE; i++) {
		int last = i;

		if (!CPU_ISSET(i, set) || n >= size)
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		n += (size_t)snprintf(out + n, size - n, last > i ? "%s%d-%d" : "%s%d", n ? "," : "", i, last);
		i = last;
	}
}

static int check_cpuset(json_t *host, struct error *err)
{
	const char *cpus = json_text(host, "CpusetCpus"), *mems = json_text(host, "CpusetMems");
	struct cpus set;
	char available[256];
	cpu_set_t ours;

	CPU_ZERO(&ours);
	sched_getaffinity(0, sizeof(ours), &ours);
	cpus_print(&ours, available, sizeof(available));
	if (!cpus_parse(cpus, &set))
		return refuse(err, "Invalid value %.100s for cpuset cpus: invalid format: %.100s", cpus, cpus);
	for (int i = 0; i <= CPU_MAX; i++)
		if (set.is_in[i] && (i >= CPU_SETSIZE || !CPU_ISSET(i, &ours)))
			return refuse(err, "Requested CPUs are not available - requested %.100s, available: %s", cpus, available);
	if (!cpus_parse(mems, &set))
		return refuse(err, "Invalid value %.100s for cpuset mems: invalid format: %.100s", mems, mems);
	for (int i = 1; i <= CPU_MAX; i++)
		if (set.is_in[i])
			return refuse(err, "Requested memory nodes are not available - requested %.100s, available: 0", mems);
	return 0;
}

static int check_cpu(json_t *host, struct error *err)
{
	json_int_t nano = json_number(host, "NanoCpus"), period = json_number(host, "CpuPeriod"),
		   quota = json_number(host, "CpuQuota");
	int n = get_nprocs();

	if (json_number(host, "CpuShares") < 0)
		return refuse(err, "invalid CPU shares (%lld): value must be a positive integer",
			      (long long)json_number(host, "CpuShares"));
	if (json_number(host, "CpuRealtimePeriod") || json_number(host, "CpuRealtimeRuntime"))
		return refuse(err, "kernel does not support CPU real-time scheduler");
	if (nano > 0 && period > 0)
		return refuse(err, "Conflicting options: Nano CPUs and CPU Period cannot both be set");
	if (nano > 0 && quota > 0)
		return refuse(err, "Conflicting options: Nano CPUs and CPU Quota cannot both be set");
	if (nano < 0 || nano > n * 1000000000LL)
		return refuse(err, "range of CPUs is from 0.01 to %d.00, as there are only %d CPUs available", n, n);
	if (period != 0 && (period < 1000 || period > 1000000))
		return refuse(err, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
	if (quota > 0 && quota < 1000)
		return refuse(err, "CPU cfs quota can not be less than 1ms (i.e. 1000)");
	return check_cpuset(host, err);
}

/* ---- storage ---- */

int resources_storage(json_t *host, uint64_t *ret_bytes, struct error *err)
{
	const char *key;
	json_t *v;

	*ret_bytes = 0;
	json_object_foreach(json_object_get(host, "StorageOpt"), key, v) {
		if (strcasecmp(key, "size") != 0)
			return error_set(err, -EINVAL, "Unknown option %.100s", key);
		if (!size_parse(json_string_value(v), ret_bytes))
			return error_set(err, -EINVAL, "invalid size: '%.100s'", json_string_value(v));
	}
	return 0;
}

int resources_check(json_t *host, bool is_update, struct error *err)
{
	json_int_t weight = json_number(host, "BlkioWeight");
	uint64_t storage_bytes;

	if (json_number(host, "IOMaximumBandwidth"))
		return refuse(err, "invalid option: QoS maximum bandwidth configuration is not supported on linux");
	if (json_number(host, "IOMaximumIOps"))
		return refuse(err, "invalid option: QoS maximum IOPs configuration is not supported on linux");
	if (weight != 0 && (weight < 10 || weight > 1000))
		return refuse(err, "Range of blkio weight is from 10 to 1000");
	if (check_memory(host, is_update, err) < 0 || check_cpu(host, err) < 0)
		return err->code;
	return resources_storage(host, &storage_bytes, err);
}

/* ---- what has no effect ---- */

static void warn(json_t *warnings, const char *text)
{
	json_array_append_new(warnings, json_string(text));
}

void resources_adapt(json_t *host, json_t *warnings)
{
	static const char *const unenforced[] = { "MemoryReservation", "BlkioWeight" };
	static const char *const lists[] = { "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps",
					     "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps" };

	for (size_t i = 0; i < ARRAY_SIZE(unenforced); i++)
		if (json_number(host, unenforced[i]))
			json_array_append_new(warnings, json_sprintf("%s is kept, but this engine does not enforce it.",
								     unenforced[i]));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (json_array_size(json_object_get(host, lists[i])))
			json_array_append_new(warnings,
					      json_sprintf("%s is kept, but this engine does not enforce it.", lists[i]));
	if (json_number(host, "MemorySwappiness") > 0 && json_number(host, "MemorySwappiness") <= 100)
		warn(warnings,
		     "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.");
	if (json_number(host, "MemorySwappiness") >= -1 && json_number(host, "MemorySwappiness") <= 100)
		json_object_del(host, "MemorySwappiness");
	if (json_is_true(json_object_get(host, "OomKillDisable")))
		warn(warnings, "Your kernel does not support OomKillDisable. OomKillDisable discarded.");
	json_object_del(host, "OomKillDisable");
	if (json_number(host, "CpuPercent") > 0)
		warn(warnings, "linux does not support CPU percent. Percent discarded.");
	json_object_del(host, "CpuPercent");
}

/* ---- limits ---- */

void resources_limits(json_t *host, struct limits *ret)
{
	json_int_t nano = json_number(host, "NanoCpus"), period = json_number(host, "CpuPeriod"),
		   quota = json_number(host, "CpuQuota"), pids = json_number(host, "PidsLimit"),
		   memory = json_number(host, "Memory");
	struct cpus set;

	memset(ret, 0, sizeof(*ret));
	ret->memory_bytes = memory > 0 ? (uint64_t)memory : 0;
	ret->pids_max = pids > 0 && pids <= UINT32_MAX ? (uint32_t)pids : 0;
	ret->cpu_shares = (uint32_t)json_number(host, "CpuShares");
	if (period <= 0)
		period = CPU_PERIOD_US;
	if (nano > 0)
		quota = nano * period / 1000000000;
	if (quota > 0) {
		ret->cpu_quota_ns = (uint64_t)quota * 1000;
		ret->cpu_period_ns = (uint64_t)period * 1000;
	} else if (nano > 0) { /* less than a microsecond */
		ret->cpu_quota_ns = 1000;
		ret->cpu_period_ns = (uint64_t)period * 1000;
	}
	if (!cpus_parse(json_text(host, "CpusetCpus"), &set))
		return;
	for (unsigned i = 0; i < LIMITS_CPUS_MAX; i++)
		if (set.is_in[i])
			ret->cpus[i / 64] |= 1ull << (i % 64);
}
