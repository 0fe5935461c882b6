/* Calls on open files: read, write, seek, sizes, owners. Buffers go to the
 * host as they are: it answers EFAULT for holes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandbox/kernel/socket.h"

enum { IOV_MAX_GUEST = 1024 };

static int check_data(int fd)
{
	const struct kfile *f = fdtable_get(fd);

	if (!f || f->kind == KFILE_PATH)
		return -EBADF;
	return f->kind == KFILE_DIR ? -EISDIR : 0;
}

static bool is_socket(int fd)
{
	return fdtable_get(fd)->kind == KFILE_SOCKET;
}

static bool is_positioned(long n)
{
	return n == SYS_pread64 || n == SYS_pwrite64 || n == SYS_preadv || n == SYS_pwritev;
}

/* Where the file's mount has a size a write is counted: between these two. */
static int begin_growth(int fd, int64_t offset, uint64_t *len, struct rootfs_growth *g)
{
	const struct kfile *f = fdtable_get(fd);

	g->mount = NULL;
	if (!f || f->kind != KFILE_FILE)
		return 0;
	return rootfs_grow_begin(f->dir, f->name, fd, offset, len, g);
}

static int64_t end_growth(struct rootfs_growth *g, int64_t result)
{
	rootfs_grow_end(g);
	return result;
}

static int64_t transfer(long n, const uint64_t a[6])
{
	uint64_t len = a[2] & UINT32_MAX;
	struct rootfs_growth growth = { .mount = NULL };
	int r = check_data((int)a[0]);
	void *p = guest_ptr(a[1], len);

	if (r < 0)
		return r;
	if (!p && len)
		return -EFAULT;
	if (is_socket((int)a[0])) {
		struct iovec v = { p, len };

		return is_positioned(n) ? -ESPIPE : socket_transfer((int)a[0], n == SYS_write, &v, 1);
	}
	if (n != SYS_write && n != SYS_pwrite64)
		return host_block(n, (int)a[0], (long)p, (long)len, (long)a[3], 0, 0);
	r = len ? begin_growth((int)a[0], n == SYS_pwrite64 ? (int64_t)a[3] : -1, &len, &growth) : 0;
	if (r < 0)
		return r;
	return end_growth(&growth, host_block(n, (int)a[0], (long)p, (long)len, (long)a[3], 0, 0));
}

SYS(read)
{
	return transfer(SYS_read, a);
}
SYS(write)
{
	return transfer(SYS_write, a);
}
SYS(pread64)
{
	return transfer(SYS_pread64, a);
}
SYS(pwrite64)
{
	return transfer(SYS_pwrite64, a);
}

static int copy_in_iov(struct iovec *v, uint64_t addr, size_t n)
{
	uint32_t raw[IOV_MAX_GUEST][2];

	if (n > IOV_MAX_GUEST)
		return -EINVAL;
	if (n && copy_in(raw, addr, n * sizeof(raw[0])) < 0)
		return -EFAULT;
	for (size_t i = 0; i < n; i++) {
		v[i].iov_len = raw[i][1];
		v[i].iov_base = guest_ptr(raw[i][0], raw[i][1]);
		if (!v[i].iov_base && v[i].iov_len)
			return -EFAULT;
	}
	return 0;
}

static uint64_t length_of(const struct iovec *v, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i].iov_len;
	return sum;
}

/* To `len` bytes; answers how many parts are left. */
static size_t cut(struct iovec *v, size_t n, uint64_t len)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].iov_len >= len) {
			v[i].iov_len = len;
			return i + 1;
		}
		len -= v[i].iov_len;
	}
	return n;
}

static int64_t transfer_vector(long n, const uint64_t a[6], int64_t offset)
{
	struct rootfs_growth growth = { .mount = NULL };
	struct iovec v[IOV_MAX_GUEST];
	size_t count = a[2] & UINT32_MAX;
	uint64_t len, room;
	int r = check_data((int)a[0]);

	if (r == 0)
		r = copy_in_iov(v, a[1], count);
	if (r < 0)
		return r;
	if (is_socket((int)a[0]))
		return is_positioned(n) ? -ESPIPE : socket_transfer((int)a[0], n == SYS_writev, v, count);
	len = room = n == SYS_writev || n == SYS_pwritev ? length_of(v, count) : 0;
	r = len ? begin_growth((int)a[0], n == SYS_pwritev ? offset : -1, &room, &growth) : 0;
	if (r < 0)
		return r;
	if (room < len)
		count = cut(v, count, room);
	return end_growth(&growth, host_block(n, (int)a[0], (long)v, (long)count, (long)offset, 0, 0));
}

SYS(readv)
{
	return transfer_vector(SYS_readv, a, 0);
}
SYS(writev)
{
	return transfer_vector(SYS_writev, a, 0);
}
SYS(preadv)
{
	return transfer_vector(SYS_preadv, a, (int64_t)a[3]);
}
SYS(pwritev)
{
	return transfer_vector(SYS_pwritev, a, (int64_t)a[3]);
}

SYS(lseek)
{
	struct kfile *f = fdtable_get((int)a[0]);
	off_t r;

	if (!f)
		return -EBADF;
	if (f->kind == KFILE_SOCKET)
		return -ESPIPE;
	if (f->kind == KFILE_DIR) {
		if (a[2] != SEEK_SET)
			return a[2] == SEEK_CUR ? (int64_t)f->cookie : -EINVAL;
		f->cookie = a[1];
		rootfs_listing_free(f->listing);
		f->listing = NULL;
		return (int64_t)a[1];
	}
	r = lseek((int)a[0], (off_t)a[1], (int)a[2]);
	return r < 0 ? -errno : r;
}

SYS(pipe2)
{
	struct kfile f = { .kind = KFILE_HOST, .is_cloexec = a[1] & O_CLOEXEC, .flags = O_RDONLY };
	int fds[2];

	if (pipe2(fds, (int)a[1] & (O_CLOEXEC | O_NONBLOCK)) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		f.flags = i ? O_WRONLY : O_RDONLY;
		if (fdtable_install(fds[i], &f) >= 0)
			continue;
		if (i)
			fdtable_close(fds[0]);
		else
			close(fds[1]);
		return -EMFILE;
	}
	if (copy_out(a[0], fds, sizeof(fds)) == 0)
		return 0;
	fdtable_close(fds[0]);
	fdtable_close(fds[1]);
	return -EFAULT;
}

SYS(pipe)
{
	const uint64_t args[6] = { a[0], 0 };

	return sys_pipe2(args);
}

/* ---- calls that the host may do as they are ---- */

#define ON_FILE(name, ...)                                              \
	SYS(name)                                                       \
	{                                                               \
		int r = check_data((int)a[0]);                          \
		return r < 0 ? r : host_block(SYS_##name, __VA_ARGS__); \
	}
ON_FILE(flock, (int)a[0], (long)a[1], 0, 0, 0, 0)
ON_FILE(sync_file_range, (int)a[0], (long)a[1], (long)a[2], (long)a[3], 0, 0)

SYS(ftruncate)
{
	struct rootfs_growth growth;
	uint64_t none = 0;
	int r = check_data((int)a[0]);

	if (r == 0)
		r = begin_growth((int)a[0], 0, &none, &growth);
	return r < 0 ? r : end_growth(&growth, host_block(SYS_ftruncate, (int)a[0], (long)a[1], 0, 0, 0, 0));
}

SYS(fallocate)
{
	struct rootfs_growth growth;
	uint64_t len = (int64_t)a[3] > 0 ? a[3] : 0, room = len;
	int r = check_data((int)a[0]);

	if (r == 0)
		r = begin_growth((int)a[0], (int64_t)a[2], &room, &growth);
	if (r < 0)
		return r;
	if (room < len)
		return end_growth(&growth, -ENOSPC);
	return end_growth(&growth, host_block(SYS_fallocate, (int)a[0], (long)a[1], (long)a[2], (long)a[3], 0, 0));
}

SYS(fsync)
{
	return fdtable_get((int)a[0]) ? 0 : -EBADF;
}
SYS(fdatasync)
{
	return sys_fsync(a);
}
SYS(syncfs)
{
	return sys_fsync(a);
}
SYS(sync)
{
	return 0;
}
SYS(fadvise64)
{
	return sys_fsync(a);
}
SYS(readahead)
{
	return sys_fsync(a);
}

static long send_file(int to, int from, int64_t *offset, uint64_t len)
{
	struct ksocket *s;
	long n;

	if (socket_get(to, &s) < 0)
		return host_block(SYS_sendfile, to, from, (long)offset, (long)len, 0, 0);
	if (!socket_is_stream(s) || socket_is_channel(s)) /* a packet has a head of ours */
		return -EINVAL;
	if (socket_settle(to, s, !socket_is_nonblocking(to)) < 0)
		return -EAGAIN;
	n = socket_block(to, s, SYS_sendfile, to, from, (long)offset, (long)len, 0, 0);
	socket_count(s, true, n);
	return n;
}

SYS(sendfile)
{
	struct rootfs_growth growth = { .mount = NULL };
	uint64_t len = a[3] & UINT32_MAX;
	int r = check_data((int)a[0]);
	int64_t offset = 0;
	long n;

	if (r == 0)
		r = check_data((int)a[1]);
	if (r < 0)
		return r;
	if (a[2] && copy_in(&offset, a[2], 8) < 0)
		return -EFAULT;
	if (is_socket((int)a[1]))
		return -EINVAL;
	r = len ? begin_growth((int)a[0], -1, &len, &growth) : 0;
	if (r < 0)
		return r;
	n = end_growth(&growth, send_file((int)a[0], (int)a[1], a[2] ? &offset : NULL, len));
	if (n >= 0 && a[2] && copy_out(a[2], &offset, 8) < 0)
		return -EFAULT;
	return n;
}

/* ---- by the name that an open file had ---- */

int kfile_by_name(struct kfile *f, struct rootfs_dir **ret_at, const char **ret_name)
{
	if (f->kind == KFILE_DIR || (f->dir && (!f->name || !f->name[0]))) {
		*ret_at = f->dir;
		*ret_name = ".";
		return 0;
	}
	if (!f->dir || !f->name)
		return -EINVAL;
	*ret_at = f->dir;
	*ret_name = f->name;
	return 0;
}

SYS(fchmod)
{
	struct kfile *f = fdtable_get((int)a[0]);
	struct rootfs_dir *at;
	const char *name;

	if (!f)
		return -EBADF;
	if (f->kind == KFILE_FILE && !f->is_lower) {
		int r = rootfs_fchmod(f->dir, process_cred(), (int)a[0], (uint32_t)a[1]);

		if (r != -EOPNOTSUPP)
			return r;
	}
	if (kfile_by_name(f, &at, &name) < 0)
		return 0; /* pipes and terminals: nobody sees it */
	return rootfs_chmod(self.container->fs, process_cred(), at, name, (uint32_t)a[1], 0);
}

SYS(fchown)
{
	struct kfile *f = fdtable_get((int)a[0]);
	struct rootfs_dir *at;
	const char *name;

	if (!f)
		return -EBADF;
	if (f->kind == KFILE_FILE && !f->is_lower) {
		int r = rootfs_fchown(f->dir, process_cred(), (int)a[0], (uint32_t)a[1], (uint32_t)a[2]);

		if (r != -EOPNOTSUPP)
			return r;
	}
	if (kfile_by_name(f, &at, &name) < 0)
		return 0;
	return rootfs_chown(self.container->fs, process_cred(), at, name, (uint32_t)a[1], (uint32_t)a[2], 0);
}

/* struct stat of x86-64. */
static int copy_out_stat(uint64_t addr, const struct rootfs_stat *st)
{
	struct stat out = {
		.st_dev = st->dev,
		.st_ino = st->ino,
		.st_nlink = st->nlink,
		.st_mode = st->mode,
		.st_uid = st->uid,
		.st_gid = st->gid,
		.st_rdev = st->rdev,
		.st_size = st->size,
		.st_blksize = st->blksize,
		.st_blocks = st->blocks,
		.st_atim = st->atime,
		.st_mtim = st->mtime,
		.st_ctim = st->ctime,
	};

	return copy_out(addr, &out, sizeof(out));
}

int file_stat(int fd, struct rootfs_stat *ret)
{
	struct kfile *f = fdtable_get(fd);
	int r;

	if (!f)
		return -EBADF;
	if (f->kind == KFILE_DIR)
		return rootfs_dir_stat(self.container->fs, f->dir, ret);
	if (f->kind == KFILE_PTY)
		return device_terminal_stat(minor(f->rdev), ret);
	if (f->kind == KFILE_PATH)
		return rootfs_stat(self.container->fs, NULL, f->dir, f->name, AT_SYMLINK_NOFOLLOW, ret);
	r = rootfs_fstat(self.container->fs, f->dir, f->name, fd, ret);
	if (r == 0 && (f->kind == KFILE_VIRTUAL || f->kind == KFILE_MASTER) && f->rdev) {
		ret->rdev = f->rdev;
		ret->mode = S_IFCHR | 0666;
	}
	if (r == 0 && f->kind == KFILE_SOCKET && f->socket->id)
		ret->ino = f->socket->id;
	/* A pipe from outside belongs to whoever runs here. */
	if (r == 0 && (f->kind == KFILE_HOST || f->kind == KFILE_SOCKET)) {
		ret->uid = self.euid;
		ret->gid = self.egid;
	}
	return r;
}

SYS(fstat)
{
	struct rootfs_stat st;
	int r = file_stat((int)a[0], &st);

	return r < 0 ? r : copy_out_stat(a[1], &st);
}

int stat_path(int at_fd, uint64_t path_addr, int flags, uint64_t out)
{
	char path[4096];
	struct rootfs_stat st;
	struct rootfs_dir *at;
	ssize_t n = copy_in_string(path, path_addr, sizeof(path));
	int r;

	if (n < 0)
		return (int)n;
	if (n == 0 && (flags & AT_EMPTY_PATH) && at_fd != AT_FDCWD) {
		r = file_stat(at_fd, &st);
	} else {
		r = path_base(at_fd, path, &at);
		if (r == 0)
			r = rootfs_stat(self.container->fs, process_cred(), at, path, flags & AT_SYMLINK_NOFOLLOW, &st);
	}
	return r < 0 ? r : copy_out_stat(out, &st);
}
