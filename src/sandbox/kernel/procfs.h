/* What the files of /proc share: an entry, and who writes its text. */
#ifndef SOCKERLESS_SANDBOX_KERNEL_PROCFS_H
#define SOCKERLESS_SANDBOX_KERNEL_PROCFS_H

#include "sandbox/kernel/kernel.h"
#include "util/buf.h"

struct proc_entry {
	const char *name;
	uint32_t type;
	void (*write)(const struct proc_slot *slot, struct buf *out);
	uint8_t parent; /* of the root's entries: the directory's place in the table */
};

/* Each writes the text of one file; `slot` is the process's, NULL for what belongs to none. */
typedef void proc_write_fn(const struct proc_slot *slot, struct buf *out);
/* procfs_system.c */
proc_write_fn write_meminfo, write_cpuinfo, write_uptime, write_loadavg, write_stat, write_version, write_filesystems,
	write_nothing;
proc_write_fn write_hostname, write_domainname, write_ostype, write_osrelease, write_osversion, write_pid_max,
	write_uuid, write_boot_id;
/* What never changes. */
proc_write_fn write_ngroups_max, write_overcommit_memory, write_max_map_count, write_swappiness, write_nr_open,
	write_somaxconn, write_ip_forward, write_ip_local_port_range, write_ip_unprivileged_port_start,
	write_ping_group_range;
proc_write_fn write_mounts, write_mountinfo;
/* procfs_net.c */
proc_write_fn write_net_dev, write_net_tcp, write_net_tcp6, write_net_udp, write_net_udp6, write_net_raw,
	write_net_raw6, write_net_unix, write_net_route, write_net_if_inet6, write_net_arp;
/* procfs_process.c */
proc_write_fn write_pid_stat, write_pid_status, write_statm, write_cmdline, write_comm, write_environ, write_limits;

#endif
