/* The union file system: one container's merged view of a read-only lower
 * directory, a writable upper directory and a table of mounts.
 *
 * One library, two users: the sandbox's kernel (one thread, fork, no malloc
 * failure handling beyond -ENOMEM, static libc only) and the daemon (archive,
 * changes, program look-up; several pool threads at once). Hence: no global
 * mutable state, no logging, no struct error: every function returns 0 (or a
 * count) or -errno as the kernel's system call of that name would.
 *
 * Resolution is by component on directory fds; `..` pops our own chain of
 * positions and symlinks expand on our side, so no path can lead out.
 * The format of an upper directory is defined in docs/rootfs.md.
 *
 * Threads: a struct rootfs and its dirs may be used by several threads at
 * once for all calls but rootfs_free. Blocks: yes, on files: never call on
 * the daemon's loop. */
#ifndef SOCKERLESS_ROOTFS_ROOTFS_H
#define SOCKERLESS_ROOTFS_ROOTFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct rootfs;
struct rootfs_dir; /* a referenced position: a directory of the merged view */

enum rootfs_mount_kind {
	ROOTFS_MOUNT_UNION,   /* lower_fd (or -1) under upper_fd (or -1: read only) */
	ROOTFS_MOUNT_DIR,     /* fd: a host directory (bind, volume, tmpfs backing) */
	ROOTFS_MOUNT_FILE,    /* a host file bound onto a file: fd is its directory, ctx its name */
	ROOTFS_MOUNT_VIRTUAL, /* answered by `ops` (the kernel's /proc and /dev) */
};

/* What a directory entry or an opened object is, as the guest sees it. */
struct rootfs_stat {
	uint64_t dev, ino, rdev; /* dev: one made-up number per mount */
	uint32_t mode, nlink, uid, gid; /* mode with S_IFMT, from the overlay */
	uint32_t blksize;
	int64_t size, blocks;
	struct timespec atime, mtime, ctime;
};

/* Guest identity for permission checks; NULL where a function takes one
 * means "everything is allowed" (the daemon's own work). uid 0 has
 * CAP_DAC_OVERRIDE, CAP_FOWNER and CAP_CHOWN. */
struct rootfs_cred {
	uint32_t uid, gid; /* file system ids */
	size_t ngroups;
	const uint32_t *groups;
	uint32_t umask;
};

/* A virtual file system (procfs, devfs). `node` is its own name for an
 * object; the root's is 0. All return 0/-errno. */
#define ROOTFS_FOLLOWED (1ull << 63)
struct rootfs_virtual_ops {
	int (*lookup)(void *ctx, uint64_t dir, const char *name, uint64_t *ret_node);
	int (*stat)(void *ctx, uint64_t node, struct rootfs_stat *ret);
	/* Calls emit for each entry; stops when it answers non-zero. */
	int (*list)(void *ctx, uint64_t dir, int (*emit)(void *arg, const char *name, uint64_t node, uint32_t type), void *arg);
	int (*readlink)(void *ctx, uint64_t node, char *buf, size_t size); /* length */
	/* Opens: returns a host fd, or -errno. */
	int (*open)(void *ctx, uint64_t node, int flags);
	/* A magic link (/proc/self/fd/3, /proc/self/cwd, /proc/self/root, /dev/fd)
	 * may stand for a directory position instead of text: answers 1 and a
	 * new reference in *ret_dir; 2 when it stands for an open file, which then
	 * is `node | ROOTFS_FOLLOWED`; 0 when `node` is an ordinary link. */
	int (*follow)(void *ctx, uint64_t node, struct rootfs_dir **ret_dir);
};

struct rootfs_mount {
	enum rootfs_mount_kind kind;
	const char *target; /* absolute in the guest, clean, "/" for the first */
	int lower_fd, upper_fd, fd; /* borrowed until rootfs_free; -1 when unused */
	bool is_readonly;
	/* Bind mounts of host directories: what the guest sets of owners and modes is
	 * kept in an xattr of the host's file and is seen only by us; no record of ours is
	 * made beside it. See docs/rootfs.md. */
	bool is_bind;
	/* A bind whose owners, modes and devices are the host's own, set and read as they are: the root of a native
	 * container, where we are root (of a user namespace, perhaps). */
	bool is_real;
	uint64_t size_limit_bytes; /* 0: none */
	/* With a limit: what its files take, shared by all views of the mount; borrowed. NULL: this view counts alone,
	 * from rootfs_count_used on. */
	_Atomic uint64_t *used_bytes;
	const struct rootfs_virtual_ops *ops;
	void *ctx;
};

/* mounts[0] must be "/"; parents before children. Missing mount points are
 * not created here (see rootfs_make_mountpoint). Copies the table. */
int rootfs_new(const struct rootfs_mount *mounts, size_t n, struct rootfs **ret);
void rootfs_free(struct rootfs *fs);

/* For who keeps what he has looked up: whether all of it, from the one call to the other, came from the lower layer of
 * "/", so that it stays true until rootfs_root_changed tells another time. One thread; no other may use `fs` meanwhile. */
void rootfs_witness_begin(struct rootfs *fs);
bool rootfs_witness_end(struct rootfs *fs);
/* When a name, the owner or the mode of the upper layer's top directory was last changed. -ENOENT: there is none.
 * Waits for nothing where rootfs_root_is_local says so: the file system is a usual one of this machine. */
int rootfs_root_changed(const struct rootfs *fs, struct timespec *ret);
bool rootfs_root_is_local(const struct rootfs *fs);

struct rootfs_dir *rootfs_root(struct rootfs *fs); /* new reference */
struct rootfs_dir *rootfs_dir_ref(struct rootfs_dir *dir);
void rootfs_dir_unref(struct rootfs_dir *dir); /* takes NULL */

/* Host fds that the library keeps are placed at or above this number in the
 * calling process (default 3): the sandbox keeps them out of the guest's. */
void rootfs_set_fd_floor(int floor);

/* The guest's absolute path of a position. Length without NUL, or -errno. */
ssize_t rootfs_dir_path(const struct rootfs_dir *dir, char *buf, size_t size);

/* In all calls below `at` is the directory that a relative path starts from
 * (NULL: the root), `path` a guest path (-ENOENT when empty), `cred` the
 * guest's identity or NULL. flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH where
 * the system call has them. */

struct rootfs_file {
	struct rootfs_stat st; /* as opened */
	int fd; /* regular file, FIFO or virtual file; else -1 */
	struct rootfs_dir *dir; /* the directory itself when it is one, else the parent; new reference */
	char name[256]; /* last component for a non-directory, else "" */
	bool is_device; /* a device node: st.rdev tells, fd is -1; open it through devfs */
	bool is_lower; /* fd is of the lower layer: fchmod & co. go by dir/name */
};

/* open(2): O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_APPEND,
 * O_TMPFILE and access modes are honoured, copy-up happens for writers; the fd
 * is O_CLOEXEC as asked and not moved to the floor. Directories give fd -1. */
int rootfs_open(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		uint32_t mode, struct rootfs_file *ret);
/* A regular file that `cred` may execute, to be looked at, whether it may be read or not. -EACCES: it is no such. */
int rootfs_open_program(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			struct rootfs_file *ret);
void rootfs_file_done(struct rootfs_file *f); /* closes fd, drops dir */
/* The file that stands for an AF_UNIX socket (mknod of S_IFSOCK makes it): opened to read, O_CLOEXEC, so that it can
 * be shown to whoever knows sockets by their file. -ECONNREFUSED: not a socket, or one of the host's; -EACCES. */
int rootfs_open_socket(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path);

int rootfs_stat(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		struct rootfs_stat *ret);
/* The same for a host fd that came from rootfs_open of this view; `dir` and `name` as it told
 * them (NULL: a file of nowhere, as a pipe is). They may be stale: the fd decides. */
int rootfs_fstat(struct rootfs *fs, struct rootfs_dir *dir, const char *name, int fd, struct rootfs_stat *ret);
/* chmod, chown and utimens of an open file of the upper layer (is_lower false), whatever has become
 * of its name. -EOPNOTSUPP: this file system keeps that by name only. */
int rootfs_fchmod(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, uint32_t mode);
int rootfs_fchown(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, uint32_t uid, uint32_t gid);
int rootfs_futimens(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const struct timespec ts[2]);
int rootfs_dir_stat(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_stat *ret);
ssize_t rootfs_readlink(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			char *buf, size_t size);
int rootfs_access(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int mode,
		  int flags);
/* chdir, and any other use of a directory by name. New reference. */
int rootfs_open_dir(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    struct rootfs_dir **ret);

int rootfs_mkdir(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, uint32_t mode);
int rootfs_mknod(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t mode, uint64_t rdev);
int rootfs_unlink(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags); /* AT_REMOVEDIR */
int rootfs_rename(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *from_at, const char *from,
		  struct rootfs_dir *to_at, const char *to, unsigned flags); /* RENAME_* */
int rootfs_link(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *from_at, const char *from,
		struct rootfs_dir *to_at, const char *to, int flags);
int rootfs_symlink(struct rootfs *fs, const struct rootfs_cred *cred, const char *target, struct rootfs_dir *at,
		   const char *path);
int rootfs_chmod(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t mode, int flags);
int rootfs_chown(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		 uint32_t uid, uint32_t gid, int flags);
int rootfs_utimens(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		   const struct timespec ts[2], int flags);
int rootfs_truncate(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int64_t size);

/* statfs figures: total, free (bytes) of the mount that holds `path`. */
struct rootfs_space {
	uint64_t total_bytes, free_bytes, files, free_files;
	uint32_t name_max;
	bool is_readonly;
	enum rootfs_mount_kind kind;
};
int rootfs_statfs(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		  struct rootfs_space *ret);

/* A guest's extended attributes, of the name space "user": setxattr(2) with its flags in `how` (value NULL: removexattr),
 * getxattr, listxattr, of what is in a layer or volume on a file system that has user xattrs (else -EOPNOTSUPP, as on
 * binds and on mounts with a size). -ENOSPC: more than ROOTFS_XATTRS_MAX bytes of a file, with names and all. The second three:
 * of an open file of the upper layer. Two who change one file's in the same moment: one change may be lost. */
int rootfs_xattr_change(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			int flags, const char *name, const void *value, size_t size, int how);
ssize_t rootfs_xattr_get(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			 int flags, const char *name, void *to, size_t size);
ssize_t rootfs_xattr_list(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
			  int flags, char *to, size_t size);
int rootfs_fxattr_change(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const char *name,
			 const void *value, size_t size, int how);
ssize_t rootfs_fxattr_get(struct rootfs_dir *dir, const struct rootfs_cred *cred, int fd, const char *name, void *to,
			  size_t size);
ssize_t rootfs_fxattr_list(struct rootfs_dir *dir, int fd, char *to, size_t size);

/* The same of whatever name, as an archive brings and takes them: its PAX records ("LENGTH SCHILY.xattr.NAME=VALUE\n").
 * Of a file or directory of a layer or volume; 0 bytes: none. The daemon's side. */
enum { ROOTFS_XATTRS_MAX = 4096 };
size_t rootfs_xattrs(struct rootfs *fs, struct rootfs_dir *at, const char *path, char to[ROOTFS_XATTRS_MAX]);
size_t rootfs_file_xattrs(const struct rootfs_file *f, char to[ROOTFS_XATTRS_MAX]);
void rootfs_set_xattrs(struct rootfs_file *f, const char *records, size_t len);
/* Of a directory, beside those of other names that it has; it is copied up. -ENOTDIR: it is none of a layer or volume. */
int rootfs_add_dir_xattrs(struct rootfs *fs, struct rootfs_dir *at, const char *path, const char *records, size_t len);

/* Merged listing with stable offsets. *cookie starts at 0 and is what a
 * guest's lseek/d_off holds; "." and ".." are included. Calls emit until it
 * answers non-zero (that entry counts as not consumed) or the end. */
struct rootfs_dirent {
	const char *name;
	uint64_t ino;
	uint32_t type; /* DT_* */
	uint64_t next_cookie;
};
struct rootfs_listing; /* a snapshot taken at the first read and at rewind */
int rootfs_listing_new(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_listing **ret);
int rootfs_listing_read(struct rootfs_listing *l, uint64_t *cookie,
			int (*emit)(void *arg, const struct rootfs_dirent *entry), void *arg);
void rootfs_listing_free(struct rootfs_listing *l);
/* All names of a directory at once, in their order, without "." and "..". The daemon's side; 0 or -errno. */
struct rootfs_names {
	char **v;
	size_t n, size;
};
int rootfs_names_read(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_names *ret);
void rootfs_names_done(struct rootfs_names *names);

/* Creates what is missing of a mount target in the upper layer (directories
 * 0755, and an empty file 0644 for ROOTFS_MOUNT_FILE), through symlinks. */
int rootfs_make_mountpoint(struct rootfs *fs, const char *target, bool is_file);

/* Mounts with a size. A write through the descriptor of an open file stands between the two calls:
 * begin answers 0, with *len cut to what there is room for (a short write), or -ENOSPC and no end is due.
 * `dir` and `name` as rootfs_open told them, dir may be NULL; offset -1: the descriptor's position.
 * With *len 0 it may only shrink. What a file that has no name any more holds is not counted. */
struct rootfs_growth {
	const struct rootfs_mount *mount; /* NULL: nothing is counted */
	uint64_t before_bytes, reserved_bytes;
	int64_t dense_size; /* of a file without holes, written to within it or at its end; -1: of another */
	int fd;
};
int rootfs_grow_begin(struct rootfs_dir *dir, const char *name, int fd, int64_t offset, uint64_t *len,
		      struct rootfs_growth *ret);
void rootfs_grow_end(struct rootfs_growth *g);
/* Adds up the files of every such mount. */
void rootfs_count_used(struct rootfs *fs);

/* The mount table, for /proc/mounts. */
size_t rootfs_mount_count(const struct rootfs *fs);
const struct rootfs_mount *rootfs_mount_at(const struct rootfs *fs, size_t i);

/* `docker diff`: walks the upper of mounts[0], parents before children.
 * kind: 0 modified, 1 added, 2 deleted (moby: pkg/archive ChangeType). */
int rootfs_changes(struct rootfs *fs, int (*emit)(void *arg, const char *path, int kind), void *arg);
/* Bytes in the upper layer (SizeRw) and of the whole view (SizeRootFs). */
int rootfs_usage(struct rootfs *fs, uint64_t *ret_upper_bytes, uint64_t *ret_total_bytes);

/* Removes a container's upper directory (any name escaping, any mode):
 * recursive, by fd, never following links. dir_fd is the parent. */
int rootfs_remove_tree(int dir_fd, const char *name);

#endif
