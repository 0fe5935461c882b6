/* /dev: a fixed table. Devices that do something are host descriptors that
 * were opened before the wall went up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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
	{ "0", S_IFCHR | 0620, 136, 0, NULL }, /* in pts: the container's one terminal */
};

enum { NODE_TERMINAL = sizeof(devices) / sizeof(devices[0]) - 1, NODE_PTS = NODE_TERMINAL - 1 };
enum { DEVICES = sizeof(devices) / sizeof(devices[0]) };

static int devfs_lookup(void *ctx, uint64_t dir, const char *name, uint64_t *ret_node)
{
	(void)ctx;
	if (dir == NODE_PTS && strcmp(name, "0") == 0) {
		*ret_node = NODE_TERMINAL;
		return self.tty_fd >= 0 ? 0 : -ENOENT;
	}
	for (size_t i = 1; dir == 0 && i < NODE_TERMINAL; i++) {
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

	if (node >= DEVICES)
		return -ENOENT;
	*ret = (struct rootfs_stat){
		.dev = 5,
		.ino = node + 1,
		.mode = devices[node].type,
		.nlink = 1,
		.rdev = makedev(devices[node].major, devices[node].minor),
		.blksize = 4096,
		.size = devices[node].link ? (int64_t)strlen(devices[node].link) : 0,
		.atime = { s, 0 },
		.mtime = { s, 0 },
		.ctime = { s, 0 },
	};
	return 0;
}

static int devfs_list(void *ctx, uint64_t dir,
		      int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg)
{
	(void)ctx;
	if (dir == NODE_PTS && self.tty_fd >= 0)
		emit(arg, "0", NODE_TERMINAL, DT_CHR);
	for (size_t i = 1; dir == 0 && i < NODE_TERMINAL; i++)
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
	return node < DEVICES ? device_open(makedev(devices[node].major, devices[node].minor), flags) : -ENOENT;
}

const struct rootfs_virtual_ops devfs_ops = {
	.lookup = devfs_lookup,
	.stat = devfs_stat,
	.list = devfs_list,
	.readlink = devfs_readlink,
	.open = devfs_open,
};

int device_terminal_stat(struct rootfs_stat *ret)
{
	return devfs_stat(self.container, NODE_TERMINAL, ret);
}

int device_open(uint64_t rdev, int flags)
{
	const struct container *c = self.container;
	int fd = -1, r;

	if (major(rdev) == 1) {
		switch (minor(rdev)) {
		case 3:
			fd = c->null_fd;
			break;
		case 5:
			fd = c->zero_fd;
			break;
		case 7:
			fd = c->full_fd;
			break;
		case 8:
		case 9:
			fd = c->urandom_fd;
			break;
		}
	} else if (major(rdev) == 5 || major(rdev) == 136) {
		fd = self.tty_fd;
	}
	if (fd < 0)
		return -ENXIO;
	r = fcntl(fd, (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	return r < 0 ? -errno : r;
}
