/* /dev: a fixed table. Devices that do something are host descriptors that
 * were opened before the wall went up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

static const struct device {
	const char *name;
	uint32_t type;
	unsigned major, minor;
	const char *link;
} devices[] = {
	{ "", S_IFDIR | 0755, 0, 0, NULL },
	{ "null", S_IFCHR | 0666, 1, 3, NULL },
	{ "zero", S_IFCHR | 0666, 1, 5, NULL },
	{ "full", S_IFCHR | 0666, 1, 7, NULL },
	{ "random", S_IFCHR | 0666, 1, 8, NULL },
	{ "urandom", S_IFCHR | 0666, 1, 9, NULL },
	{ "tty", S_IFCHR | 0666, 5, 0, NULL },
	{ "console", S_IFCHR | 0620, 5, 1, NULL },
	{ "ptmx", S_IFCHR | 0666, 5, 2, NULL },
	{ "log", S_IFLNK | 0777, 0, 0, "/var/run/log" }, /* sockets are files of the union file system */
	{ "fd", S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
	{ "stdin", S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
	{ "stdout", S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
	{ "stderr", S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
	{ "pts", S_IFDIR | 0755, 0, 0, NULL },
};

/* The terminals in /dev/pts follow the table: node DEVICES + N is number N. */
enum { DEVICES = sizeof(devices) / sizeof(devices[0]), NODE_PTS = DEVICES - 1, TERMINALS_MAX = 4096 };

/* Terminals that the guest makes by ptmx go by the host's number above this one: the daemon's are below it. */
enum { OWN_TERMINALS = 1000 };

/* The master of /dev/pts/N, if this process holds it; -1. */
static int master_of(uint32_t number)
{
	for (int fd = 0; number >= OWN_TERMINALS && fd < FD_GUEST_MAX; fd++) {
		const struct kfile *f = fdtable_get(fd);

		if (f && f->kind == KFILE_MASTER && f->cookie == number)
			return fd;
	}
	return -1;
}

static bool has_terminal(uint32_t number)
{
	return proctable_has_terminal(number) || master_of(number) >= 0;
}

static bool parse_number(const char *text, uint32_t *ret)
{
	char shown[16];
	unsigned n;

	if (sscanf(text, "%4u", &n) != 1)
		return false;
	snprintf(shown, sizeof(shown), "%u", n);
	*ret = n;
	return n < TERMINALS_MAX && strcmp(shown, text) == 0;
}

static int devfs_lookup(void *ctx, uint64_t dir, const char *name, uint64_t *ret_node)
{
	uint32_t number;

	(void)ctx;
	if (dir == NODE_PTS) {
		if (!parse_number(name, &number) || !has_terminal(number))
			return -ENOENT;
		*ret_node = DEVICES + number;
		return 0;
	}
	for (size_t i = 1; dir == 0 && i < DEVICES; i++) {
		if (strcmp(devices[i].name, name) == 0) {
			*ret_node = i;
			return 0;
		}
	}
	return -ENOENT;
}

static int devfs_stat(void *ctx, uint64_t node, struct rootfs_stat *ret)
{
	const struct container *c = ctx;
	int64_t s = (int64_t)(c->boot_ns / 1000000000u);
	bool is_terminal = node >= DEVICES;
	const struct device *d =
		is_terminal ? &(const struct device){ "", S_IFCHR | 0620, 136, (unsigned)(node - DEVICES), NULL } :
			      &devices[node];

	if (node >= DEVICES + TERMINALS_MAX)
		return -ENOENT;
	*ret = (struct rootfs_stat){
		.dev = 5,
		.ino = node + 1,
		.mode = d->type,
		.nlink = 1,
		.rdev = makedev(d->major, d->minor),
		.blksize = 4096,
		.size = d->link ? (int64_t)strlen(d->link) : 0,
		.atime = { s, 0 },
		.mtime = { s, 0 },
		.ctime = { s, 0 },
	};
	return 0;
}

/* The terminal of slot i, if no slot before has the same; else TERMINALS_MAX. */
static uint32_t first_terminal_of(size_t i)
{
	const struct proc_slot *slots = self.container->table->slots;
	uint32_t tty = slots[i].tty;

	if (slots[i].state == PROC_FREE || tty == 0)
		return TERMINALS_MAX;
	for (size_t k = 0; k < i; k++)
		if (slots[k].state != PROC_FREE && slots[k].tty == tty)
			return TERMINALS_MAX;
	return tty - 1;
}

static int devfs_list(void *ctx, uint64_t dir, int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg)
{
	char name[12];

	(void)ctx;
	for (size_t i = 0; dir == NODE_PTS && i < proctable_used(self.container->table); i++) {
		uint32_t number = first_terminal_of(i);

		snprintf(name, sizeof(name), "%u", number);
		if (number < TERMINALS_MAX && emit(arg, name, DEVICES + number, DT_CHR))
			break;
	}
	for (size_t i = 1; dir == 0 && i < DEVICES; i++)
		if (emit(arg, devices[i].name, i, IFTODT(devices[i].type)))
			break;
	return 0;
}

static int devfs_readlink(void *ctx, uint64_t node, char *buf, size_t size)
{
	size_t n;

	(void)ctx;
	if (node >= DEVICES || !devices[node].link)
		return -EINVAL;
	n = strlen(devices[node].link);
	memcpy(buf, devices[node].link, n < size ? n : size);
	return (int)(n < size ? n : size);
}

static int devfs_open(void *ctx, uint64_t node, int flags)
{
	(void)ctx;
	return node < DEVICES ? device_open(makedev(devices[node].major, devices[node].minor), flags) :
				device_open(device_terminal_rdev((uint32_t)(node - DEVICES)), flags);
}

const struct rootfs_virtual_ops devfs_ops = {
	.lookup = devfs_lookup,
	.stat = devfs_stat,
	.list = devfs_list,
	.readlink = devfs_readlink,
	.open = devfs_open,
};

uint64_t device_terminal_rdev(uint32_t number)
{
	return makedev(136, number);
}

int device_terminal_stat(uint32_t number, struct rootfs_stat *ret)
{
	return devfs_stat(self.container, DEVICES + number, ret);
}

static int ask_for_terminal(const struct broker_request *req, int master, struct broker_reply *reply)
{
	int fd = -1;
	long r = broker_call(req, master, reply, &fd);

	if (r == 0)
		r = reply->result;
	if (r == 0 && fd < 0)
		r = -ENFILE;
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? (int)r : fd_to_lowest(fd);
}

static int open_master(int flags)
{
	const struct broker_request req = { .op = BROKER_OPEN_PTY, .sender_vpid = self.vpid };
	struct broker_reply reply;
	int fd = ask_for_terminal(&req, -1, &reply);

	if (fd < 0)
		return fd;
	if (reply.value[0] >= TERMINALS_MAX - OWN_TERMINALS) {
		close(fd);
		return -ENOSPC;
	}
	fcntl(fd, F_SETFD, (flags & O_CLOEXEC) ? FD_CLOEXEC : 0);
	fcntl(fd, F_SETFL, flags & O_NONBLOCK);
	return fd;
}

/* Landlock has no way to a slave's file. A session's leader that has no terminal gets the one that it opens. */
static int open_slave(int master, uint32_t number, int flags)
{
	const struct broker_request req = { .op = BROKER_OPEN_TTY, .sender_vpid = self.vpid };
	struct broker_reply reply;
	int fd = ask_for_terminal(&req, master, &reply);

	if (fd < 0)
		return fd;
	fcntl(fd, F_SETFD, (flags & O_CLOEXEC) ? FD_CLOEXEC : 0);
	fcntl(fd, F_SETFL, flags & O_NONBLOCK);
	if (!(flags & O_NOCTTY) && !self.slot->tty && self.slot->sid == self.vpid && ioctl(fd, TIOCSCTTY, 0) == 0) {
		if (self.tty_fd >= 0)
			close(self.tty_fd);
		self.tty_fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_GUEST_MAX);
		self.tty_number = number;
		self.slot->tty = number + 1;
	}
	return fd;
}

void device_describe(int fd, uint64_t rdev, struct kfile *ret)
{
	unsigned number = 0;

	if (rdev == makedev(5, 2) && ioctl(fd, TIOCGPTN, &number) == 0) {
		ret->kind = KFILE_MASTER;
		ret->cookie = OWN_TERMINALS + number;
	} else if (isatty(fd)) {
		ret->kind = KFILE_PTY;
		ret->rdev = major(rdev) == 136 ? rdev : device_terminal_rdev(self.tty_number);
	}
}

int device_open(uint64_t rdev, int flags)
{
	const struct container *c = self.container;
	int fd = -1, r;

	if (major(rdev) == 1) {
		switch (minor(rdev)) {
		case 3: fd = c->null_fd; break;
		case 5: fd = c->zero_fd; break;
		case 7: fd = c->full_fd; break;
		case 8:
		case 9: fd = c->urandom_fd; break;
		}
	} else if (rdev == makedev(5, 2)) {
		return open_master(flags);
	} else if (major(rdev) == 136) {
		if (master_of(minor(rdev)) >= 0)
			return open_slave(master_of(minor(rdev)), minor(rdev), flags);
		if (minor(rdev) != self.tty_number)
			return -EIO; /* the terminal of another session: only its own processes hold it */
		fd = self.tty_fd;
	} else if (major(rdev) == 5) {
		fd = minor(rdev) == 0 && !self.slot->tty ? -1 : self.tty_fd;
	}
	if (fd < 0)
		return -ENXIO;
	r = fcntl(fd, (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	return r < 0 ? -errno : r;
}
