/* Texts of /proc that tell of the machine and the container. */
#include "sandbox/kernel/procfs.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static struct proctable *table(void)
{
	return self.container->table;
}

void write_meminfo(const struct proc_slot *slot, struct buf *out)
{
	struct sysinfo si;
	uint64_t total, available;

	(void)slot;
	sysinfo(&si);
	total = (uint64_t)si.totalram * si.mem_unit / 1024;
	available = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit / 1024;
	buf_printf(out,
		   "MemTotal: %15lu kB\nMemFree: %16lu kB\nMemAvailable: %11lu kB\nBuffers: %16lu kB\n"
		   "Cached: %17u kB\nSwapCached: %13u kB\nShmem: %18lu kB\nSReclaimable: %11u kB\n"
		   "SwapTotal: %14lu kB\nSwapFree: %15lu kB\n",
		   total, (uint64_t)si.freeram * si.mem_unit / 1024, available,
		   (uint64_t)si.bufferram * si.mem_unit / 1024, 0, 0, (uint64_t)si.sharedram * si.mem_unit / 1024, 0,
		   (uint64_t)si.totalswap * si.mem_unit / 1024, (uint64_t)si.freeswap * si.mem_unit / 1024);
}

void write_cpuinfo(const struct proc_slot *slot, struct buf *out)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	(void)slot;
	for (long i = 0; i < n; i++)
		buf_printf(out,
			   "processor\t: %ld\nvendor_id\t: sockerless\nmodel name\t: WebAssembly sandbox\n"
			   "cpu MHz\t\t: 1000.000\n\n",
			   i);
}

void write_uptime(const struct proc_slot *slot, struct buf *out)
{
	struct timespec ts;

	(void)slot;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	buf_printf(out, "%ld.%02ld %ld.00\n", ts.tv_sec, ts.tv_nsec / 10000000, ts.tv_sec);
}

void write_loadavg(const struct proc_slot *slot, struct buf *out)
{
	struct sysinfo si;

	(void)slot;
	sysinfo(&si);
	buf_printf(out, "%.2f %.2f %.2f 1/%u %u\n", (double)si.loads[0] / 65536, (double)si.loads[1] / 65536,
		   (double)si.loads[2] / 65536, (unsigned)table()->count, (unsigned)table()->next_vpid);
}

void write_stat(const struct proc_slot *slot, struct buf *out)
{
	struct timespec boot, now;

	(void)slot;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	/* Idle all along: the host's own figures are not the container's to see. */
	buf_printf(out, "cpu  0 0 0 %ld 0 0 0 0 0 0\n", boot.tv_sec * 100 * sysconf(_SC_NPROCESSORS_ONLN));
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		buf_printf(out, "cpu%ld 0 0 0 %ld 0 0 0 0 0 0\n", i, boot.tv_sec * 100);
	buf_printf(out, "intr 0\nctxt 0\nbtime %ld\nprocesses %u\nprocs_running 1\nprocs_blocked 0\n",
		   now.tv_sec - boot.tv_sec, (unsigned)table()->next_vpid);
}

void write_version(const struct proc_slot *slot, struct buf *out)
{
	struct utsname u;

	(void)slot;
	uname(&u);
	buf_printf(out, "Linux version %s (sockerless) %s\n", u.release, u.version);
}

void write_filesystems(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_puts(out, "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\toverlay\n");
}

void write_nothing(const struct proc_slot *slot, struct buf *out)
{
	(void)slot, (void)out;
}

/* ---- below sys and net ---- */

void write_hostname(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_printf(out, "%.64s\n", table()->hostname);
}

void write_domainname(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_printf(out, "%s\n", table()->domainname[0] ? table()->domainname : "(none)");
}

void write_ostype(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_puts(out, "Linux\n");
}

void write_osrelease(const struct proc_slot *slot, struct buf *out)
{
	struct utsname u;

	(void)slot;
	uname(&u);
	buf_printf(out, "%s\n", u.release);
}

void write_osversion(const struct proc_slot *slot, struct buf *out)
{
	struct utsname u;

	(void)slot;
	uname(&u);
	buf_printf(out, "%s\n", u.version);
}

void write_pid_max(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_printf(out, "%d\n", PROCTABLE_PID_MAX);
}

static void put_uuid(struct buf *out, const unsigned char b[16])
{
	for (int i = 0; i < 16; i++)
		buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	buf_puts(out, "\n");
}

void write_uuid(const struct proc_slot *slot, struct buf *out)
{
	unsigned char b[16] = { 0 };

	(void)slot;
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return;
	b[6] = (b[6] & 0x0f) | 0x40; /* version 4 */
	b[8] = (b[8] & 0x3f) | 0x80;
	put_uuid(out, b);
}

/* One for the life of a container: out of its id. */
void write_boot_id(const struct proc_slot *slot, struct buf *out)
{
	unsigned char b[16] = { 0 };

	(void)slot;
	for (size_t i = 0; self.container->id[i]; i++)
		b[i % 16] = (unsigned char)(b[i % 16] * 31 + self.container->id[i]);
	put_uuid(out, b);
}

/* ---- what never changes ---- */

#define CONSTANT(file, words)                                            \
	void write_##file(const struct proc_slot *slot, struct buf *out) \
	{                                                                \
		(void)slot;                                              \
		buf_puts(out, words);                                    \
	}

CONSTANT(ngroups_max, "64\n")
CONSTANT(overcommit_memory, "0\n")
CONSTANT(max_map_count, "1048576\n")
CONSTANT(swappiness, "60\n")
CONSTANT(nr_open, "1048576\n")
CONSTANT(somaxconn, "4096\n")
CONSTANT(ip_forward, "1\n")
CONSTANT(ip_local_port_range, "32768\t60999\n")
CONSTANT(ip_unprivileged_port_start, "0\n")
CONSTANT(ping_group_range, "0\t2147483647\n")

static const char *mount_type(const struct rootfs_mount *m)
{
	switch (m->kind) {
	case ROOTFS_MOUNT_UNION: return "overlay";
	case ROOTFS_MOUNT_VIRTUAL: return m->ops == &procfs_ops ? "proc" : "devtmpfs";
	default: return m->is_bind ? "ext4" : "tmpfs";
	}
}

void write_mounts(const struct proc_slot *slot, struct buf *out)
{
	const struct rootfs *fs = self.container->fs;

	(void)slot;
	for (size_t i = 0; i < rootfs_mount_count(fs); i++) {
		const struct rootfs_mount *m = rootfs_mount_at(fs, i);

		buf_printf(out, "%s %s %s %s,relatime 0 0\n", mount_type(m), m->target, mount_type(m),
			   m->is_readonly ? "ro" : "rw");
	}
}

void write_mountinfo(const struct proc_slot *slot, struct buf *out)
{
	const struct rootfs *fs = self.container->fs;

	(void)slot;
	for (size_t i = 0; i < rootfs_mount_count(fs); i++) {
		const struct rootfs_mount *m = rootfs_mount_at(fs, i);

		buf_printf(out, "%zu %d 0:%zu / %s %s,relatime - %s %s %s\n", i + 20, i ? 20 : 1, i + 1, m->target,
			   m->is_readonly ? "ro" : "rw", mount_type(m), mount_type(m), m->is_readonly ? "ro" : "rw");
	}
}
