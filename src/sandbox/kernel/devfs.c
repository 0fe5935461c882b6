/* /dev: a fixed table. Devices that do something are host descriptors that
 * were opened before the wall went up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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
	{ "fd", S_IFLNK | 0777, 0, 0, "/proc/self/fd" },
	{ "stdin", S_IFLNK | 0777, 0, 0, "/proc/self/fd/0" },
	{ "stdout", S_IFLNK | 0777, 0, 0, "/proc/self/fd/1" },
	{ "stderr", S_IFLNK | 0777, 0, 0, "/proc/self/fd/2" },
	{ "pts", S_IFDIR | 0755, 0, 0, NULL },
};

/* The terminals in /dev/pts follow the table: node DEVICES + N is number N. */
enum { DEVICES = sizeof(devices) / sizeof(devices[0]), NODE_PTS = DEVICES - 1, TERMINALS_MAX = 4096 };

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
		if (!parse_number(name, &number) || !proctable_has_terminal(number))
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

static int devfs_list(void *ctx, uint64_t dir, int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg)
{
	char name[12];

	(void)ctx;
	for (uint32_t n = 0, gap = 0; dir == NODE_PTS && gap < 64 && n < TERMINALS_MAX; n++) {
		gap = proctable_has_terminal(n) ? 0 : gap + 1; /* numbers are given out from the lowest on */
		snprintf(name, sizeof(name), "%u", n);
		if (gap == 0 && emit(arg, name, DEVICES + n, DT_CHR))
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
	} else if (major(rdev) == 136) {
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
