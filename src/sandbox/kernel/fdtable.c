/* Guest file descriptors. The number is the host's; a kfile says what the
 * number alone does not. Directories hold a number by a descriptor of
 * /dev/null, so that the host gives it to nobody else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

static struct kfile files[FD_GUEST_MAX];

int fd_to_floor(int fd)
{
	int moved;

	if (fd < 0 || fd >= FD_GUEST_MAX)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	if (moved < 0)
		moved = -errno;
	close(fd);
	return moved;
}

int fd_to_lowest(int fd)
{
	int high = fd_to_floor(fd), low = high < 0 ? high : fcntl(high, F_DUPFD_CLOEXEC, 0);

	if (low < 0 && high >= 0)
		low = -errno;
	if (high >= 0)
		close(high);
	return low;
}

struct kfile *fdtable_get(int fd)
{
	if (fd < 0 || fd >= FD_GUEST_MAX || files[fd].kind == KFILE_NONE)
		return NULL;
	return &files[fd];
}

static void drop(struct kfile *f)
{
	rootfs_dir_unref(f->dir);
	rootfs_listing_free(f->listing);
	socket_unref(f->socket);
	free(f->name);
	memset(f, 0, sizeof(*f));
}

static int limit(void)
{
	uint64_t soft = self.rlimit[RLIMIT_NOFILE][0];

	return soft < FD_GUEST_MAX ? (int)soft : FD_GUEST_MAX;
}

static int place(int host_fd, const struct kfile *f)
{
	if (host_fd >= limit()) {
		struct kfile gone = *f;

		close(host_fd);
		drop(&gone);
		return -EMFILE;
	}
	files[host_fd] = *f;
	return host_fd;
}

int fdtable_install(int host_fd, const struct kfile *f)
{
	int fd = host_fd;

	if (fd < 0)
		fd = fcntl(self.container->null_fd, f->is_cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	if (fd < 0) {
		struct kfile gone = *f;

		drop(&gone);
		return -EMFILE;
	}
	return place(fd, f);
}

int fdtable_close(int fd)
{
	struct kfile *f = fdtable_get(fd);

	if (!f)
		return -EBADF;
	epoll_forget(fd);
	drop(f);
	close(fd);
	return 0;
}

int fdtable_replace(const struct ksocket *s, int take_fd)
{
	int r = 0;

	for (int fd = 0; r == 0 && fd < FD_GUEST_MAX; fd++)
		if (files[fd].kind == KFILE_SOCKET && files[fd].socket == s) {
			r = dup3(take_fd, fd, files[fd].is_cloexec ? O_CLOEXEC : 0) < 0 ? -errno : 0;
			epoll_renew(fd);
		}
	close(take_fd);
	return r;
}

/* The same open file under another number. */
static struct kfile share(const struct kfile *f, bool is_cloexec)
{
	struct kfile g = *f;

	g.is_cloexec = is_cloexec;
	g.listing = NULL; /* taken anew at the same cookie */
	if (g.dir)
		rootfs_dir_ref(g.dir);
	if (g.socket)
		socket_ref(g.socket);
	if (g.name)
		g.name = strdup(g.name);
	return g;
}

static int duplicate(int fd, int lowest, bool is_cloexec)
{
	struct kfile *f = fdtable_get(fd), g;
	int r;

	if (!f)
		return -EBADF;
	if (lowest < 0 || lowest >= limit())
		return -EINVAL;
	r = fcntl(fd, is_cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, lowest);
	if (r < 0)
		return -errno;
	g = share(f, is_cloexec);
	return place(r, &g);
}

static int duplicate_to(int fd, int to, bool is_cloexec)
{
	struct kfile *f = fdtable_get(fd), g;

	if (!f || to < 0 || to >= limit())
		return -EBADF;
	if (dup3(fd, to, is_cloexec ? O_CLOEXEC : 0) < 0)
		return -errno;
	g = share(f, is_cloexec);
	epoll_forget(to);
	drop(&files[to]);
	files[to] = g;
	return to;
}

SYS(dup)
{
	return duplicate((int)a[0], 0, false);
}
SYS(dup2)
{
	return a[0] == a[1] ? (fdtable_get((int)a[0]) ? (int)a[0] : -EBADF) : duplicate_to((int)a[0], (int)a[1], false);
}
SYS(dup3)
{
	return a[0] == a[1] ? -EINVAL : duplicate_to((int)a[0], (int)a[1], a[2] & O_CLOEXEC);
}
SYS(close)
{
	return fdtable_close((int)a[0]);
}

static int set_cloexec(int fd, struct kfile *f, bool is_cloexec)
{
	f->is_cloexec = is_cloexec;
	return fcntl(fd, F_SETFD, is_cloexec ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

static int64_t lock(int fd, int cmd, uint64_t addr)
{
	struct flock lk;
	long r;

	if (copy_in(&lk, addr, sizeof(lk)) < 0)
		return -EFAULT;
	r = fcntl(fd, cmd, &lk) < 0 ? -errno : 0;
	if (r == 0 && cmd == F_GETLK && copy_out(addr, &lk, sizeof(lk)) < 0)
		return -EFAULT;
	return r;
}

SYS(fcntl)
{
	int fd = (int)a[0], cmd = (int)a[1], r;
	struct kfile *f = fdtable_get(fd);

	if (!f)
		return -EBADF;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC: return duplicate(fd, (int)a[2], cmd == F_DUPFD_CLOEXEC);
	case F_GETFD: return f->is_cloexec ? FD_CLOEXEC : 0;
	case F_SETFD: return set_cloexec(fd, f, a[2] & FD_CLOEXEC);
	case F_GETFL:
		if (f->kind == KFILE_DIR || f->kind == KFILE_PATH)
			return f->flags;
		r = fcntl(fd, F_GETFL);
		return r < 0 ? -errno : r;
	case F_SETFL: r = fcntl(fd, F_SETFL, (int)a[2] & (O_APPEND | O_NONBLOCK)); return r < 0 ? -errno : 0;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW: return lock(fd, cmd, a[2]);
	default: return -EINVAL;
	}
}

void fdtable_exec(void)
{
	for (int fd = 0; fd < FD_GUEST_MAX; fd++)
		if (files[fd].kind != KFILE_NONE && files[fd].is_cloexec)
			fdtable_close(fd);
}

/* Their three numbers may be each other's. */
static void place_stdio(const int stdio[3])
{
	int high[3];

	for (int i = 0; i < 3; i++)
		high[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, FD_GUEST_MAX);
	for (int i = 0; i < 3; i++) {
		dup2(high[i] >= 0 ? high[i] : self.container->null_fd, i);
		if (high[i] >= 0)
			close(high[i]);
	}
}

/* The host's table must hold nothing below the floor but these three. */
void fdtable_init(const int stdio[3], bool has_terminal)
{
	if (stdio[0] > 2 && stdio[1] > 2 && stdio[2] > 2)
		for (int i = 0; i < 3; i++)
			dup2(stdio[i], i);
	else
		place_stdio(stdio);
	close_range(3, FD_GUEST_MAX - 1, 0);
	for (int i = 0; i < 3; i++) {
		files[i] = (struct kfile){ .kind = KFILE_HOST, .flags = O_RDWR };
		if (has_terminal && isatty(i)) {
			files[i].kind = KFILE_PTY;
			files[i].rdev = device_terminal_rdev(self.tty_number);
		}
	}
}
