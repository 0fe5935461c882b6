/* The kernel counts in 64-bit bytes; ours are 32-bit units, so scale the unit
 * until the largest amount fits. */
#include <sys/sysinfo.h>

#include "syscall.h"

struct raw_sysinfo {
	long long uptime;
	unsigned long long loads[3];
	unsigned long long totalram, freeram, sharedram, bufferram;
	unsigned long long totalswap, freeswap;
	unsigned short procs, pad;
	unsigned long long totalhigh, freehigh;
	unsigned mem_unit;
};

int __lsysinfo(struct sysinfo *info)
{
	struct raw_sysinfo raw;
	unsigned shift = 0;
	int r = syscall(SYS_sysinfo, &raw);

	if (r < 0)
		return r;
	while ((raw.totalram | raw.totalswap) >> shift > 0xffffffffull)
		shift++;
	*info = (struct sysinfo){
		.uptime = raw.uptime,
		.loads = { raw.loads[0], raw.loads[1], raw.loads[2] },
		.totalram = raw.totalram >> shift,
		.freeram = raw.freeram >> shift,
		.sharedram = raw.sharedram >> shift,
		.bufferram = raw.bufferram >> shift,
		.totalswap = raw.totalswap >> shift,
		.freeswap = raw.freeswap >> shift,
		.procs = raw.procs,
		.totalhigh = raw.totalhigh >> shift,
		.freehigh = raw.freehigh >> shift,
		.mem_unit = (raw.mem_unit ? raw.mem_unit : 1) << shift,
	};
	return 0;
}

weak_alias(__lsysinfo, sysinfo);
