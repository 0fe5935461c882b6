/* /proc: what ps, top, free, mount and shells read. A file's text is made at
 * open and put into a memfd.
 *
 * A node is vpid << 32 | index << 8 | entry: entries of the root and of what is
 * below it (sys, net) have vpid 0. */
#include "sandbox/kernel/procfs.h"
#include "sandbox/kernel/socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

static struct proctable *table(void)
{
	return self.container->table;
}

/* ---- the tables ---- */

enum { ENTRY_SELF = 1, ENTRY_EXE, ENTRY_CWD, ENTRY_ROOT, ENTRY_FD, ENTRY_FD_LINK = 250 };

/* The directories have fixed places: they are named as parents. */
enum {
	ROOT_SYS = 1,
	ROOT_SYS_KERNEL,
	ROOT_SYS_RANDOM,
	ROOT_SYS_VM,
	ROOT_SYS_NET,
	ROOT_SYS_IPV4,
	ROOT_SYS_CORE,
	ROOT_SYS_FS,
	ROOT_NET
};

static const struct proc_entry root_entries[] = {
	{ "", S_IFDIR | 0555, NULL, 255 },
	[ROOT_SYS] = { "sys", S_IFDIR | 0555, NULL, 0 },
	[ROOT_SYS_KERNEL] = { "kernel", S_IFDIR | 0555, NULL, ROOT_SYS },
	[ROOT_SYS_RANDOM] = { "random", S_IFDIR | 0555, NULL, ROOT_SYS_KERNEL },
	[ROOT_SYS_VM] = { "vm", S_IFDIR | 0555, NULL, ROOT_SYS },
	[ROOT_SYS_NET] = { "net", S_IFDIR | 0555, NULL, ROOT_SYS },
	[ROOT_SYS_IPV4] = { "ipv4", S_IFDIR | 0555, NULL, ROOT_SYS_NET },
	[ROOT_SYS_CORE] = { "core", S_IFDIR | 0555, NULL, ROOT_SYS_NET },
	[ROOT_SYS_FS] = { "fs", S_IFDIR | 0555, NULL, ROOT_SYS },
	[ROOT_NET] = { "net", S_IFDIR | 0555, NULL, 0 },
	{ "self", S_IFLNK | 0777, NULL, 0 },
	{ "thread-self", S_IFLNK | 0777, NULL, 0 },
	{ "meminfo", S_IFREG | 0444, write_meminfo, 0 },
	{ "cpuinfo", S_IFREG | 0444, write_cpuinfo, 0 },
	{ "uptime", S_IFREG | 0444, write_uptime, 0 },
	{ "loadavg", S_IFREG | 0444, write_loadavg, 0 },
	{ "stat", S_IFREG | 0444, write_stat, 0 },
	{ "version", S_IFREG | 0444, write_version, 0 },
	{ "filesystems", S_IFREG | 0444, write_filesystems, 0 },
	{ "mounts", S_IFREG | 0444, write_mounts, 0 },
	{ "partitions", S_IFREG | 0444, write_nothing, 0 },
	{ "swaps", S_IFREG | 0444, write_nothing, 0 },
	{ "modules", S_IFREG | 0444, write_nothing, 0 },
	{ "hostname", S_IFREG | 0444, write_hostname, ROOT_SYS_KERNEL },
	{ "domainname", S_IFREG | 0444, write_domainname, ROOT_SYS_KERNEL },
	{ "ostype", S_IFREG | 0444, write_ostype, ROOT_SYS_KERNEL },
	{ "osrelease", S_IFREG | 0444, write_osrelease, ROOT_SYS_KERNEL },
	{ "version", S_IFREG | 0444, write_osversion, ROOT_SYS_KERNEL },
	{ "pid_max", S_IFREG | 0444, write_pid_max, ROOT_SYS_KERNEL },
	{ "uuid", S_IFREG | 0444, write_uuid, ROOT_SYS_RANDOM },
	{ "boot_id", S_IFREG | 0444, write_boot_id, ROOT_SYS_RANDOM },
	{ "ngroups_max", S_IFREG | 0444, write_ngroups_max, ROOT_SYS_KERNEL },
	{ "overcommit_memory", S_IFREG | 0444, write_overcommit_memory, ROOT_SYS_VM },
	{ "max_map_count", S_IFREG | 0444, write_max_map_count, ROOT_SYS_VM },
	{ "swappiness", S_IFREG | 0444, write_swappiness, ROOT_SYS_VM },
	{ "nr_open", S_IFREG | 0444, write_nr_open, ROOT_SYS_FS },
	{ "somaxconn", S_IFREG | 0444, write_somaxconn, ROOT_SYS_CORE },
	{ "ip_forward", S_IFREG | 0444, write_ip_forward, ROOT_SYS_IPV4 },
	{ "ip_local_port_range", S_IFREG | 0444, write_ip_local_port_range, ROOT_SYS_IPV4 },
	{ "ip_unprivileged_port_start", S_IFREG | 0444, write_ip_unprivileged_port_start, ROOT_SYS_IPV4 },
	{ "ping_group_range", S_IFREG | 0444, write_ping_group_range, ROOT_SYS_IPV4 },
	{ "dev", S_IFREG | 0444, write_net_dev, ROOT_NET },
	{ "route", S_IFREG | 0444, write_net_route, ROOT_NET },
	{ "tcp", S_IFREG | 0444, write_net_tcp, ROOT_NET },
	{ "tcp6", S_IFREG | 0444, write_net_tcp6, ROOT_NET },
	{ "udp", S_IFREG | 0444, write_net_udp, ROOT_NET },
	{ "udp6", S_IFREG | 0444, write_net_udp6, ROOT_NET },
	{ "raw", S_IFREG | 0444, write_net_raw, ROOT_NET },
	{ "raw6", S_IFREG | 0444, write_net_raw6, ROOT_NET },
	{ "if_inet6", S_IFREG | 0444, write_net_if_inet6, ROOT_NET },
	{ "arp", S_IFREG | 0444, write_net_arp, ROOT_NET },
	{ "unix", S_IFREG | 0444, write_net_unix, ROOT_NET },
};

static const struct proc_entry pid_entries[] = {
	{ "", S_IFDIR | 0555, NULL, 0 },
	{ "", 0, NULL, 0 },
	{ "exe", S_IFLNK | 0777, NULL, 0 },
	{ "cwd", S_IFLNK | 0777, NULL, 0 },
	{ "root", S_IFLNK | 0777, NULL, 0 },
	{ "fd", S_IFDIR | 0500, NULL, 0 },
	{ "stat", S_IFREG | 0444, write_pid_stat, 0 },
	{ "status", S_IFREG | 0444, write_pid_status, 0 },
	{ "statm", S_IFREG | 0444, write_statm, 0 },
	{ "cmdline", S_IFREG | 0444, write_cmdline, 0 },
	{ "comm", S_IFREG | 0644, write_comm, 0 },
	{ "mounts", S_IFREG | 0444, write_mounts, 0 },
	{ "mountinfo", S_IFREG | 0444, write_mountinfo, 0 },
	{ "limits", S_IFREG | 0444, write_limits, 0 },
	{ "maps", S_IFREG | 0444, write_nothing, 0 },
	{ "smaps", S_IFREG | 0444, write_nothing, 0 },
	{ "environ", S_IFREG | 0400, write_environ, 0 },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct node {
	int32_t vpid;
	uint32_t index;
	uint8_t entry;
	bool is_followed;
};

static struct node decode(uint64_t n)
{
	return (struct node){ (int32_t)(n >> 32 & 0x7fffffff), (uint32_t)(n >> 8 & 0xffffff), (uint8_t)n,
			      (n & ROOTFS_FOLLOWED) != 0 };
}

static uint64_t encode(int32_t vpid, uint32_t index, unsigned entry)
{
	return (uint64_t)vpid << 32 | (uint64_t)index << 8 | entry;
}

static const struct proc_entry *entry_of(struct node n)
{
	static const struct proc_entry fd_link = { "", S_IFLNK | 0700, NULL, 0 };

	if (n.entry == ENTRY_FD_LINK)
		return &fd_link;
	if (n.vpid)
		return n.entry < COUNT(pid_entries) ? &pid_entries[n.entry] : NULL;
	return n.entry < COUNT(root_entries) ? &root_entries[n.entry] : NULL;
}

/* ---- the operations ---- */

static bool parse_number(const char *text, int32_t *ret)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*end || end == text || v < 0 || v > PROCTABLE_PID_MAX || text[0] == '+' || text[0] == '-')
		return false;
	*ret = (int32_t)v;
	return true;
}

static int lookup_in(const struct proc_entry *entries, size_t n, int32_t vpid, uint8_t parent, const char *name, uint64_t *ret)
{
	for (size_t i = 1; i < n; i++) {
		if (entries[i].type && entries[i].parent == parent && strcmp(entries[i].name, name) == 0) {
			*ret = encode(vpid, 0, (unsigned)i);
			return 0;
		}
	}
	return -ENOENT;
}

static int procfs_lookup(void *ctx, uint64_t dir, const char *name, uint64_t *ret_node)
{
	struct node n = decode(dir);
	int32_t number;

	(void)ctx;
	if (n.vpid == 0) {
		if (n.entry == 0 && parse_number(name, &number) && number > 0) {
			*ret_node = encode(number, 0, 0);
			return proctable_find(number) ? 0 : -ENOENT;
		}
		return lookup_in(root_entries, COUNT(root_entries), 0, n.entry, name, ret_node);
	}
	if (n.entry == ENTRY_FD) {
		if (n.vpid != self.vpid || !parse_number(name, &number) || !fdtable_get(number))
			return -ENOENT;
		*ret_node = encode(n.vpid, (uint32_t)number, ENTRY_FD_LINK);
		return 0;
	}
	return lookup_in(pid_entries, COUNT(pid_entries), n.vpid, 0, name, ret_node);
}

static int procfs_stat(void *ctx, uint64_t node, struct rootfs_stat *ret)
{
	struct node n = decode(node);
	const struct proc_entry *e = entry_of(n);
	const struct proc_slot *slot = n.vpid ? proctable_find(n.vpid) : NULL;
	struct timespec now;

	(void)ctx;
	if (!e || (n.vpid && !slot))
		return -ENOENT;
	if (n.entry == ENTRY_FD_LINK && n.is_followed)
		return file_stat((int)n.index, ret);
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct rootfs_stat){
		.dev = 6,
		.ino = node + 2,
		.mode = e->type,
		.nlink = S_ISDIR(e->type) ? 2 : 1,
		.uid = slot ? slot->euid : 0,
		.gid = slot ? slot->egid : 0,
		.blksize = 1024,
		.atime = now,
		.mtime = now,
		.ctime = now,
	};
	return 0;
}

static int list_fds(uint64_t dir, int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg)
{
	struct node n = decode(dir);
	char name[12];

	for (int fd = 0; n.vpid == self.vpid && fd < FD_GUEST_MAX; fd++) {
		if (!fdtable_get(fd))
			continue;
		snprintf(name, sizeof(name), "%d", fd);
		if (emit(arg, name, encode(n.vpid, (uint32_t)fd, ENTRY_FD_LINK), DT_LNK))
			break;
	}
	return 0;
}

static int procfs_list(void *ctx, uint64_t dir, int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type),
		       void *arg)
{
	struct node n = decode(dir);
	const struct proc_entry *entries = n.vpid ? pid_entries : root_entries;
	size_t count = n.vpid ? COUNT(pid_entries) : COUNT(root_entries);
	char name[12];

	(void)ctx;
	if (n.vpid == 0 && n.entry == 0)
		proctable_sweep();
	if (n.entry == ENTRY_FD && n.vpid)
		return list_fds(dir, emit, arg);
	for (size_t i = 1; i < count; i++)
		if (entries[i].type && entries[i].parent == (n.vpid ? 0 : n.entry) &&
		    emit(arg, entries[i].name, encode(n.vpid, 0, (unsigned)i), IFTODT(entries[i].type)))
			return 0;
	for (size_t i = 0; n.vpid == 0 && n.entry == 0 && i < proctable_used(table()); i++) {
		const struct proc_slot *s = &table()->slots[i];

		if (s->state == PROC_FREE || s->vpid <= 0)
			continue;
		snprintf(name, sizeof(name), "%d", s->vpid);
		if (emit(arg, name, encode(s->vpid, 0, 0), DT_DIR))
			break;
	}
	return 0;
}

static int describe_fd(int fd, char *buf, size_t size)
{
	const struct kfile *f = fdtable_get(fd);
	char path[4096];
	struct stat st;

	if (!f)
		return -ENOENT;
	if (f->dir && rootfs_dir_path(f->dir, path, sizeof(path)) >= 0)
		return snprintf(buf, size, "%s%s%s", path, f->name && strcmp(path, "/") ? "/" : "", f->name ? f->name : "");
	if (f->kind == KFILE_PTY)
		return snprintf(buf, size, "/dev/pts/%u", minor(f->rdev));
	if (f->kind == KFILE_SOCKET && f->socket->id)
		return snprintf(buf, size, "socket:[%lu]", f->socket->id);
	if (f->kind == KFILE_EPOLL)
		return snprintf(buf, size, "anon_inode:[eventpoll]");
	if (fstat(fd, &st) < 0)
		return -errno;
	if (f->kind == KFILE_MASTER)
		return snprintf(buf, size, "/dev/ptmx");
	if (f->kind == KFILE_VIRTUAL)
		return snprintf(buf, size, "/dev/null");
	return snprintf(buf, size, "%s:[%lu]", S_ISSOCK(st.st_mode) ? "socket" : "pipe", st.st_ino);
}

static int procfs_readlink(void *ctx, uint64_t node, char *buf, size_t size)
{
	struct node n = decode(node);
	const struct proc_slot *slot;
	char text[4400] = "";
	int len = 0;

	(void)ctx;
	if (n.entry == ENTRY_FD_LINK) {
		len = describe_fd((int)n.index, text, sizeof(text));
	} else if (n.vpid == 0) {
		len = snprintf(text, sizeof(text), "%d", self.vpid);
	} else {
		slot = proctable_find(n.vpid);
		if (!slot)
			return -ENOENT;
		if (n.entry == ENTRY_EXE)
			len = snprintf(text, sizeof(text), "%.127s", slot->exe);
		else if (n.entry == ENTRY_ROOT)
			len = snprintf(text, sizeof(text), "/");
		else if (n.vpid == self.vpid)
			len = (int)rootfs_dir_path(self.cwd, text, sizeof(text));
		else
			return -EACCES;
	}
	if (len < 0)
		return len;
	if ((size_t)len > size)
		len = (int)size;
	memcpy(buf, text, (size_t)len);
	return len;
}

static int procfs_follow(void *ctx, uint64_t node, struct rootfs_dir **ret_dir)
{
	struct node n = decode(node);
	const struct kfile *f;

	(void)ctx;
	if (n.vpid == 0)
		return 0;
	if (n.entry == ENTRY_FD_LINK) {
		f = fdtable_get((int)n.index);
		if (!f)
			return -ENOENT;
		if (f->kind != KFILE_DIR)
			return 2;
		*ret_dir = rootfs_dir_ref(f->dir);
		return 1;
	}
	if (n.entry == ENTRY_CWD && n.vpid == self.vpid) {
		*ret_dir = rootfs_dir_ref(self.cwd);
		return 1;
	}
	return 0; /* exe and root: their text is a path of this very view */
}

static int procfs_open(void *ctx, uint64_t node, int flags)
{
	struct node n = decode(node);
	const struct proc_entry *e = entry_of(n);
	const struct proc_slot *slot = n.vpid ? proctable_find(n.vpid) : NULL;
	struct buf text;
	int fd;

	(void)ctx;
	if (n.entry == ENTRY_FD_LINK) {
		if (!fdtable_get((int)n.index) || fdtable_get((int)n.index)->kind == KFILE_SOCKET)
			return -ENXIO;
		fd = fcntl((int)n.index, (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
		return fd < 0 ? -errno : fd;
	}
	if (!e || !e->write || (n.vpid && !slot))
		return -ENOENT;
	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	buf_init(&text, TEXT_MAX);
	e->write(slot, &text);
	fd = memfd_create("proc", (flags & O_CLOEXEC) ? MFD_CLOEXEC : 0);
	if (fd < 0) {
		fd = -errno;
	} else if (text.len && pwrite(fd, text.data, text.len, 0) != (ssize_t)text.len) {
		close(fd);
		fd = -EIO;
	}
	buf_done(&text);
	return fd;
}

const struct rootfs_virtual_ops procfs_ops = {
	.lookup = procfs_lookup,
	.stat = procfs_stat,
	.list = procfs_list,
	.readlink = procfs_readlink,
	.open = procfs_open,
	.follow = procfs_follow,
};
