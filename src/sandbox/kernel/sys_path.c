/* Calls by path. A path is copied in once; what the guest changes afterwards
 * changes nothing here. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox/kernel/kernel.h"

int path_base(int at_fd, const char *path, struct rootfs_dir **ret)
{
	struct kfile *f;

	if (path[0] == '/') {
		*ret = NULL;
		return 0;
	}
	if (at_fd == AT_FDCWD) {
		*ret = self.cwd;
		return 0;
	}
	f = fdtable_get(at_fd);
	if (!f)
		return -EBADF;
	if (f->kind != KFILE_DIR)
		return -ENOTDIR;
	*ret = f->dir;
	return 0;
}

int arg_path_get(struct arg_path *p, int at_fd, uint64_t addr)
{
	ssize_t n = copy_in_string(p->text, addr, sizeof(p->text));

	return n < 0 ? (int)n : path_base(at_fd, p->text, &p->at);
}

#define FS self.container->fs

/* ---- open ---- */

static int install_opened(struct rootfs_file *f, int flags)
{
	struct kfile k = { .kind = KFILE_FILE, .is_cloexec = flags & O_CLOEXEC, .flags = flags & ~O_CLOEXEC };
	int fd = f->fd;

	if (f->name[0] == '\0')
		k.kind = KFILE_DIR;
	else if (flags & O_PATH)
		k.kind = KFILE_PATH;
	k.dir = f->dir;
	k.is_lower = f->is_lower;
	k.name = f->name[0] ? strdup(f->name) : NULL;
	if (k.kind == KFILE_FILE && isatty(fd)) { /* by /proc/self/fd */
		k.kind = KFILE_PTY;
		k.rdev = f->st.rdev;
	}
	return fdtable_install(fd, &k);
}

static int open_device(struct rootfs_file *f, int flags)
{
	struct kfile k = { .kind = KFILE_VIRTUAL, .is_cloexec = flags & O_CLOEXEC, .flags = flags, .rdev = f->st.rdev };
	int fd = device_open(f->st.rdev, flags);

	rootfs_file_done(f);
	if (fd < 0)
		return fd;
	device_describe(fd, k.rdev, &k);
	return fdtable_install(fd, &k);
}

static int64_t do_open(int at_fd, uint64_t addr, int flags, uint32_t mode)
{
	struct rootfs_file f;
	struct arg_path p;
	int r = arg_path_get(&p, at_fd, addr);

	if (r < 0)
		return r;
	flags &= ~0100000; /* O_LARGEFILE */
	r = rootfs_open(FS, process_cred(), p.at, p.text, flags, mode, &f);
	if (r < 0)
		return r;
	/* A FIFO's open waits for the other side, but not inside rootfs_open's walk: it is rare enough. */
	return f.is_device ? open_device(&f, flags) : install_opened(&f, flags);
}

SYS(open)
{
	return do_open(AT_FDCWD, a[0], (int)a[1], (uint32_t)a[2]);
}
SYS(creat)
{
	return do_open(AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, (uint32_t)a[1]);
}
SYS(openat)
{
	return do_open((int)a[0], a[1], (int)a[2], (uint32_t)a[3]);
}

/* ---- looking ---- */

SYS(stat)
{
	return stat_path(AT_FDCWD, a[0], 0, a[1]);
}
SYS(lstat)
{
	return stat_path(AT_FDCWD, a[0], AT_SYMLINK_NOFOLLOW, a[1]);
}
SYS(newfstatat)
{
	return stat_path((int)a[0], a[1], (int)a[3], a[2]);
}

static int64_t do_access(int at_fd, uint64_t addr, int mode, int flags)
{
	struct rootfs_cred cred = *process_cred();
	struct arg_path p;
	int r = arg_path_get(&p, at_fd, addr);

	if (r < 0)
		return r;
	if (mode & ~7)
		return -EINVAL;
	if (!(flags & AT_EACCESS)) {
		cred.uid = self.ruid;
		cred.gid = self.rgid;
	}
	return rootfs_access(FS, &cred, p.at, p.text, mode, flags & AT_SYMLINK_NOFOLLOW);
}

SYS(access)
{
	return do_access(AT_FDCWD, a[0], (int)a[1], 0);
}
SYS(faccessat)
{
	return do_access((int)a[0], a[1], (int)a[2], 0);
}
SYS(faccessat2)
{
	return do_access((int)a[0], a[1], (int)a[2], (int)a[3]);
}

static int64_t do_readlink(int at_fd, uint64_t addr, uint64_t out, size_t size)
{
	char target[4096];
	struct arg_path p;
	ssize_t n = arg_path_get(&p, at_fd, addr);

	if (n < 0)
		return n;
	if (size == 0)
		return -EINVAL;
	n = rootfs_readlink(FS, process_cred(), p.at, p.text, target, sizeof(target));
	if (n < 0)
		return n;
	if ((size_t)n > size)
		n = (ssize_t)size;
	return copy_out(out, target, (size_t)n) < 0 ? -EFAULT : n;
}

SYS(readlink)
{
	return do_readlink(AT_FDCWD, a[0], a[1], a[2] & UINT32_MAX);
}
SYS(readlinkat)
{
	return do_readlink((int)a[0], a[1], a[2], a[3] & UINT32_MAX);
}

static int copy_out_statfs(uint64_t addr, const struct rootfs_space *s)
{
	struct statfs out = {
		.f_type = s->kind == ROOTFS_MOUNT_UNION   ? 0x794c7630 :
			  s->kind == ROOTFS_MOUNT_VIRTUAL ? 0x9fa0 :
							    0xef53,
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = s->total_bytes / 4096,
		.f_bfree = s->free_bytes / 4096,
		.f_bavail = s->free_bytes / 4096,
		.f_files = s->files,
		.f_ffree = s->free_files,
		.f_namelen = s->name_max,
	};

	return copy_out(addr, &out, sizeof(out));
}

SYS(statfs)
{
	struct rootfs_space s;
	struct arg_path p;
	int r = arg_path_get(&p, AT_FDCWD, a[0]);

	if (r == 0)
		r = rootfs_statfs(FS, process_cred(), p.at, p.text, &s);
	return r < 0 ? r : copy_out_statfs(a[1], &s);
}

SYS(fstatfs)
{
	struct kfile *f = fdtable_get((int)a[0]);
	struct rootfs_space s;
	int r;

	if (!f)
		return -EBADF;
	r = rootfs_statfs(FS, NULL, f->dir, ".", &s);
	return r < 0 ? r : copy_out_statfs(a[1], &s);
}

/* ---- the working directory ---- */

SYS(chdir)
{
	struct rootfs_dir *dir;
	struct arg_path p;
	int r = arg_path_get(&p, AT_FDCWD, a[0]);

	if (r == 0)
		r = rootfs_open_dir(FS, process_cred(), p.at, p.text, &dir);
	if (r < 0)
		return r;
	rootfs_dir_unref(self.cwd);
	self.cwd = dir;
	return 0;
}

SYS(fchdir)
{
	struct kfile *f = fdtable_get((int)a[0]);

	if (!f)
		return -EBADF;
	if (f->kind != KFILE_DIR)
		return -ENOTDIR;
	rootfs_dir_unref(self.cwd);
	self.cwd = rootfs_dir_ref(f->dir);
	return 0;
}

SYS(getcwd)
{
	char path[4096];
	ssize_t n = rootfs_dir_path(self.cwd, path, sizeof(path));

	if (n < 0)
		return n;
	if ((size_t)n + 1 > (a[1] & UINT32_MAX))
		return -ERANGE;
	return copy_out(a[0], path, (size_t)n + 1) < 0 ? -EFAULT : n + 1;
}

/* ---- changing ---- */

#define ONE_PATH(name, at_fd, addr, ...)               \
	SYS(name)                                      \
	{                                              \
		struct arg_path p;                     \
		int r = arg_path_get(&p, at_fd, addr); \
		return r < 0 ? r : (__VA_ARGS__);      \
	}
#define MY process_cred(), p.at, p.text
ONE_PATH(mkdir, AT_FDCWD, a[0], rootfs_mkdir(FS, MY, (uint32_t)a[1]))
ONE_PATH(mkdirat, (int)a[0], a[1], rootfs_mkdir(FS, MY, (uint32_t)a[2]))
ONE_PATH(rmdir, AT_FDCWD, a[0], rootfs_unlink(FS, MY, AT_REMOVEDIR))
ONE_PATH(unlink, AT_FDCWD, a[0], rootfs_unlink(FS, MY, 0))
ONE_PATH(unlinkat, (int)a[0], a[1], rootfs_unlink(FS, MY, (int)a[2] & AT_REMOVEDIR))
ONE_PATH(mknod, AT_FDCWD, a[0], rootfs_mknod(FS, MY, (uint32_t)a[1], a[2]))
ONE_PATH(mknodat, (int)a[0], a[1], rootfs_mknod(FS, MY, (uint32_t)a[2], a[3]))
ONE_PATH(chmod, AT_FDCWD, a[0], rootfs_chmod(FS, MY, (uint32_t)a[1], 0))
ONE_PATH(fchmodat, (int)a[0], a[1], rootfs_chmod(FS, MY, (uint32_t)a[2], 0))
ONE_PATH(chown, AT_FDCWD, a[0], rootfs_chown(FS, MY, (uint32_t)a[1], (uint32_t)a[2], 0))
ONE_PATH(lchown, AT_FDCWD, a[0], rootfs_chown(FS, MY, (uint32_t)a[1], (uint32_t)a[2], AT_SYMLINK_NOFOLLOW))
ONE_PATH(fchownat, (int)a[0], a[1], rootfs_chown(FS, MY, (uint32_t)a[2], (uint32_t)a[3], (int)a[4] & AT_SYMLINK_NOFOLLOW))
ONE_PATH(truncate, AT_FDCWD, a[0], rootfs_truncate(FS, MY, (int64_t)a[1]))

static int64_t do_rename(int from_fd, uint64_t from, int to_fd, uint64_t to, unsigned flags)
{
	struct arg_path p, q;
	int r = arg_path_get(&p, from_fd, from);

	if (r == 0)
		r = arg_path_get(&q, to_fd, to);
	return r < 0 ? r : rootfs_rename(FS, process_cred(), p.at, p.text, q.at, q.text, flags);
}

SYS(rename)
{
	return do_rename(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}
SYS(renameat)
{
	return do_rename((int)a[0], a[1], (int)a[2], a[3], 0);
}
SYS(renameat2)
{
	return do_rename((int)a[0], a[1], (int)a[2], a[3], (unsigned)a[4]);
}

static int64_t do_link(int from_fd, uint64_t from, int to_fd, uint64_t to, int flags)
{
	struct arg_path p, q;
	int r = arg_path_get(&p, from_fd, from);

	if (r == 0)
		r = arg_path_get(&q, to_fd, to);
	return r < 0 ? r : rootfs_link(FS, process_cred(), p.at, p.text, q.at, q.text, flags & AT_SYMLINK_FOLLOW);
}

SYS(link)
{
	return do_link(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}
SYS(linkat)
{
	return do_link((int)a[0], a[1], (int)a[2], a[3], (int)a[4]);
}

static int64_t do_symlink(uint64_t target, int at_fd, uint64_t addr)
{
	char text[4096];
	struct arg_path p;
	ssize_t n = copy_in_string(text, target, sizeof(text));

	if (n >= 0)
		n = arg_path_get(&p, at_fd, addr);
	return n < 0 ? n : rootfs_symlink(FS, process_cred(), text, p.at, p.text);
}

SYS(symlink)
{
	return do_symlink(a[0], AT_FDCWD, a[1]);
}
SYS(symlinkat)
{
	return do_symlink(a[0], (int)a[1], a[2]);
}

SYS(utimensat)
{
	struct timespec ts[2];
	struct arg_path p;
	int r;

	if (a[2]) {
		if (copy_in(ts, a[2], sizeof(ts)) < 0)
			return -EFAULT;
		for (int i = 0; i < 2; i++)
			ts[i].tv_nsec = (int32_t)ts[i].tv_nsec;
	}
	if (!(a[1] & UINT32_MAX)) { /* futimens */
		struct kfile *f = fdtable_get((int)a[0]);

		if (!f)
			return -EBADF;
		if (f->kind != KFILE_DIR && !f->name)
			return 0;
		if (f->kind == KFILE_FILE && !f->is_lower) {
			r = rootfs_futimens(f->dir, process_cred(), (int)a[0], a[2] ? ts : NULL);
			if (r != -EOPNOTSUPP)
				return r;
		}
		return rootfs_utimens(FS, process_cred(), f->dir, f->kind == KFILE_DIR ? "." : f->name,
				      a[2] ? ts : NULL, AT_SYMLINK_NOFOLLOW);
	}
	r = arg_path_get(&p, (int)a[0], a[1]);
	return r < 0 ? r : rootfs_utimens(FS, MY, a[2] ? ts : NULL, (int)a[3] & AT_SYMLINK_NOFOLLOW);
}

/* ---- listings ---- */

struct dirent_sink {
	uint64_t addr;
	size_t left;
	int error;
};

static int emit_dirent(void *arg, const struct rootfs_dirent *e)
{
	struct dirent_sink *s = arg;
	size_t n = strlen(e->name), len = (19 + n + 1 + 7) & ~(size_t)7;
	struct __attribute__((packed)) {
		uint64_t ino, off;
		uint16_t len;
		uint8_t type;
		char name[264];
	} out = { .ino = e->ino ? e->ino : 1, .off = e->next_cookie, .len = (uint16_t)len, .type = (uint8_t)e->type };

	if (len > s->left || n > 255)
		return 1;
	memcpy(out.name, e->name, n);
	if (copy_out(s->addr, &out, len) < 0) {
		s->error = -EFAULT;
		return 1;
	}
	s->addr += len;
	s->left -= len;
	return 0;
}

SYS(getdents64)
{
	struct kfile *f = fdtable_get((int)a[0]);
	struct dirent_sink s = { .addr = a[1], .left = a[2] & UINT32_MAX };
	size_t size = s.left;
	uint64_t before;
	int r;

	if (!f)
		return -EBADF;
	if (f->kind != KFILE_DIR)
		return -ENOTDIR;
	if (!f->listing) {
		r = rootfs_listing_new(FS, f->dir, &f->listing);
		if (r < 0)
			return r;
	}
	before = f->cookie;
	rootfs_listing_read(f->listing, &f->cookie, emit_dirent, &s);
	if (s.error)
		return s.error;
	if (s.left == size && f->cookie != before)
		return -EINVAL;
	return (int64_t)(size - s.left);
}
