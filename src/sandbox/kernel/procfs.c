/* /proc: what ps, top, free, mount and shells read. A file's text is made at
 * open and put into a memfd. What other processes' slots say is a hint that
 * those processes write: it is shown, never trusted.
 *
 * A node is vpid << 32 | index << 8 | entry: entries of the root have vpid 0. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"
#include "util/buf.h"

enum { TEXT_MAX = 1 << 20 };

struct proc_entry {
	const char *name;
	uint32_t type;
	void (*write)(const struct proc_slot *slot, struct buf *out);
};

/* ---- texts of the root ---- */

static struct proctable *table(void)
{
	return self.container->table;
}

static void write_meminfo(const struct proc_slot *slot, struct buf *out)
{
	struct sysinfo si;
	uint64_t total, available;

	(void)slot;
	sysinfo(&si);
	total = (uint64_t)si.totalram * si.mem_unit / 1024;
	available = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit / 1024;
	buf_printf(out, "MemTotal: %15lu kB\nMemFree: %16lu kB\nMemAvailable: %11lu kB\nBuffers: %16lu kB\n"
			"Cached: %17u kB\nSwapCached: %13u kB\nShmem: %18lu kB\nSReclaimable: %11u kB\n"
			"SwapTotal: %14lu kB\nSwapFree: %15lu kB\n",
		   total, (uint64_t)si.freeram * si.mem_unit / 1024, available, (uint64_t)si.bufferram * si.mem_unit / 1024,
		   0, 0, (uint64_t)si.sharedram * si.mem_unit / 1024, 0, (uint64_t)si.totalswap * si.mem_unit / 1024,
		   (uint64_t)si.freeswap * si.mem_unit / 1024);
}

static void write_cpuinfo(const struct proc_slot *slot, struct buf *out)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	(void)slot;
	for (long i = 0; i < n; i++)
		buf_printf(out, "processor\t: %ld\nvendor_id\t: sockerless\nmodel name\t: WebAssembly sandbox\n"
				"cpu MHz\t\t: 1000.000\n\n", i);
}

static void write_uptime(const struct proc_slot *slot, struct buf *out)
{
	struct timespec ts;

	(void)slot;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	buf_printf(out, "%ld.%02ld %ld.00\n", ts.tv_sec, ts.tv_nsec / 10000000, ts.tv_sec);
}

static void write_loadavg(const struct proc_slot *slot, struct buf *out)
{
	struct sysinfo si;

	(void)slot;
	sysinfo(&si);
	buf_printf(out, "%.2f %.2f %.2f 1/%u %u\n", (double)si.loads[0] / 65536, (double)si.loads[1] / 65536,
		   (double)si.loads[2] / 65536, (unsigned)table()->count, (unsigned)table()->next_vpid);
}

static void write_stat(const struct proc_slot *slot, struct buf *out)
{
	struct timespec boot, now;

	(void)slot;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	/* Idle all along: the host's own figures are not the container's to see. */
	buf_printf(out, "cpu  0 0 0 %ld 0 0 0 0 0 0\n", boot.tv_sec * 100);
	for (long i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		buf_printf(out, "cpu%ld 0 0 0 %ld 0 0 0 0 0 0\n", i, boot.tv_sec * 100);
	buf_printf(out, "intr 0\nctxt 0\nbtime %ld\nprocesses %u\nprocs_running 1\nprocs_blocked 0\n",
		   now.tv_sec - boot.tv_sec, (unsigned)table()->next_vpid);
}

static void write_version(const struct proc_slot *slot, struct buf *out)
{
	struct utsname u;

	(void)slot;
	uname(&u);
	buf_printf(out, "Linux version %s (sockerless) %s\n", u.release, u.version);
}

static void write_filesystems(const struct proc_slot *slot, struct buf *out)
{
	(void)slot;
	buf_puts(out, "nodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\toverlay\n");
}

static void write_nothing(const struct proc_slot *slot, struct buf *out)
{
	(void)slot, (void)out;
}

static const char *mount_type(const struct rootfs_mount *m)
{
	switch (m->kind) {
	case ROOTFS_MOUNT_UNION:
		return "overlay";
	case ROOTFS_MOUNT_VIRTUAL:
		return m->ops == &procfs_ops ? "proc" : "devtmpfs";
	default:
		return m->is_bind ? "ext4" : "tmpfs";
	}
}

static void write_mounts(const struct proc_slot *slot, struct buf *out)
{
	const struct rootfs *fs = self.container->fs;

	(void)slot;
	for (size_t i = 0; i < rootfs_mount_count(fs); i++) {
		const struct rootfs_mount *m = rootfs_mount_at(fs, i);

		buf_printf(out, "%s %s %s %s,relatime 0 0\n", mount_type(m), m->target, mount_type(m),
			   m->is_readonly ? "ro" : "rw");
	}
}

static void write_mountinfo(const struct proc_slot *slot, struct buf *out)
{
	const struct rootfs *fs = self.container->fs;

	(void)slot;
	for (size_t i = 0; i < rootfs_mount_count(fs); i++) {
		const struct rootfs_mount *m = rootfs_mount_at(fs, i);

		buf_printf(out, "%zu %d 0:%zu / %s %s,relatime - %s %s %s\n", i + 20, i ? 20 : 1, i + 1, m->target,
			   m->is_readonly ? "ro" : "rw", mount_type(m), mount_type(m), m->is_readonly ? "ro" : "rw");
	}
}

/* ---- texts of a process ---- */

static char state_of(const struct proc_slot *s)
{
	if (s->state == PROC_ZOMBIE)
		return 'Z';
	return s->is_sleeping && s != self.slot ? 'S' : 'R';
}

static void write_pid_stat(const struct proc_slot *s, struct buf *out)
{
	struct timespec boot, now;
	struct rusage ru = { 0 };
	uint64_t booted_ns, start;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	booted_ns = (uint64_t)(now.tv_sec - boot.tv_sec) * 1000000000u;
	start = s->start_ns > booted_ns ? (s->start_ns - booted_ns) / 10000000u : 0;
	if (s == self.slot)
		getrusage(RUSAGE_SELF, &ru);
	buf_printf(out, "%d (%.15s) %c %d %d %d %d -1 4194304 0 0 0 0 %ld %ld 0 0 20 0 1 0 %lu %lu %u"
			" 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
		   s->vpid, s->comm, state_of(s), proctable_parent(s), s->pgid, s->sid, s->tty ? 34816 + s->tty - 1 : 0,
		   ru.ru_utime.tv_sec * 100 + ru.ru_utime.tv_usec / 10000,
		   ru.ru_stime.tv_sec * 100 + ru.ru_stime.tv_usec / 10000, start, (uint64_t)s->memory_pages * 65536,
		   s->memory_pages * 16);
}

static void write_pid_status(const struct proc_slot *s, struct buf *out)
{
	char state = state_of(s);

	buf_printf(out, "Name:\t%.15s\nUmask:\t%04o\nState:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n"
			"TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\nGroups:\t\n"
			"VmPeak:\t%8u kB\nVmSize:\t%8u kB\nVmRSS:\t%8u kB\nThreads:\t1\n"
			"SigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		   s->comm, s == self.slot ? self.umask : 022, state, state == 'R' ? "running" : state == 'S' ? "sleeping" : "zombie",
		   s->vpid, s->vpid, proctable_parent(s), s->uid, s->euid, s->euid, s->euid, s->gid, s->egid, s->egid, s->egid,
		   s->memory_pages * 64, s->memory_pages * 64, s->memory_pages * 64, (uint64_t)s->ignored, (uint64_t)s->handled);
}

static void write_statm(const struct proc_slot *s, struct buf *out)
{
	buf_printf(out, "%u %u 0 0 0 %u 0\n", s->memory_pages * 16, s->memory_pages * 16, s->memory_pages * 16);
}

static void write_cmdline(const struct proc_slot *s, struct buf *out)
{
	size_t n = s->cmdline_len;

	buf_append(out, s->cmdline, n <= sizeof(s->cmdline) ? n : sizeof(s->cmdline));
}

static void write_comm(const struct proc_slot *s, struct buf *out)
{
	buf_printf(out, "%.15s\n", s->comm);
}

static void write_limits(const struct proc_slot *s, struct buf *out)
{
	(void)s;
	buf_printf(out, "Limit                     Soft Limit           Hard Limit           Units     \n"
			"Max open files            %-20lu %-20lu files     \n",
		   self.rlimit[RLIMIT_NOFILE][0], self.rlimit[RLIMIT_NOFILE][1]);
}

/* ---- the tables ---- */

enum { ENTRY_SELF = 1, ENTRY_EXE, ENTRY_CWD, ENTRY_ROOT, ENTRY_FD, ENTRY_FD_LINK = 250 };

static const struct proc_entry root_entries[] = {
	{ "", S_IFDIR | 0555, NULL },
	{ "self", S_IFLNK | 0777, NULL },
	{ "thread-self", S_IFLNK | 0777, NULL },
	{ "meminfo", S_IFREG | 0444, write_meminfo },
	{ "cpuinfo", S_IFREG | 0444, write_cpuinfo },
	{ "uptime", S_IFREG | 0444, write_uptime },
	{ "loadavg", S_IFREG | 0444, write_loadavg },
	{ "stat", S_IFREG | 0444, write_stat },
	{ "version", S_IFREG | 0444, write_version },
	{ "filesystems", S_IFREG | 0444, write_filesystems },
	{ "mounts", S_IFREG | 0444, write_mounts },
	{ "partitions", S_IFREG | 0444, write_nothing },
	{ "swaps", S_IFREG | 0444, write_nothing },
	{ "modules", S_IFREG | 0444, write_nothing },
};

static const struct proc_entry pid_entries[] = {
	{ "", S_IFDIR | 0555, NULL },
	{ "", 0, NULL },
	{ "exe", S_IFLNK | 0777, NULL },
	{ "cwd", S_IFLNK | 0777, NULL },
	{ "root", S_IFLNK | 0777, NULL },
	{ "fd", S_IFDIR | 0500, NULL },
	{ "stat", S_IFREG | 0444, write_pid_stat },
	{ "status", S_IFREG | 0444, write_pid_status },
	{ "statm", S_IFREG | 0444, write_statm },
	{ "cmdline", S_IFREG | 0444, write_cmdline },
	{ "comm", S_IFREG | 0644, write_comm },
	{ "mounts", S_IFREG | 0444, write_mounts },
	{ "mountinfo", S_IFREG | 0444, write_mountinfo },
	{ "limits", S_IFREG | 0444, write_limits },
	{ "maps", S_IFREG | 0444, write_nothing },
	{ "smaps", S_IFREG | 0444, write_nothing },
	{ "environ", S_IFREG | 0400, write_nothing },
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
	static const struct proc_entry fd_link = { "", S_IFLNK | 0700, NULL };

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

static int lookup_in(const struct proc_entry *entries, size_t n, int32_t vpid, const char *name, uint64_t *ret)
{
	for (size_t i = 1; i < n; i++) {
		if (entries[i].type && strcmp(entries[i].name, name) == 0) {
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
		if (parse_number(name, &number) && number > 0) {
			*ret_node = encode(number, 0, 0);
			return proctable_find(number) ? 0 : -ENOENT;
		}
		return lookup_in(root_entries, COUNT(root_entries), 0, name, ret_node);
	}
	if (n.entry == ENTRY_FD) {
		if (n.vpid != self.vpid || !parse_number(name, &number) || !fdtable_get(number))
			return -ENOENT;
		*ret_node = encode(n.vpid, (uint32_t)number, ENTRY_FD_LINK);
		return 0;
	}
	return lookup_in(pid_entries, COUNT(pid_entries), n.vpid, name, ret_node);
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

static int procfs_list(void *ctx, uint64_t dir,
		       int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg)
{
	struct node n = decode(dir);
	const struct proc_entry *entries = n.vpid ? pid_entries : root_entries;
	size_t count = n.vpid ? COUNT(pid_entries) : COUNT(root_entries);
	char name[12];

	(void)ctx;
	if (n.entry == ENTRY_FD && n.vpid)
		return list_fds(dir, emit, arg);
	for (size_t i = 1; i < count; i++)
		if (entries[i].type && emit(arg, entries[i].name, encode(n.vpid, 0, (unsigned)i), IFTODT(entries[i].type)))
			return 0;
	for (size_t i = 0; n.vpid == 0 && i < proctable_used(table()); i++) {
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
	if (fstat(fd, &st) < 0)
		return -errno;
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
