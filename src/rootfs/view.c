/* The view as an object: mounts, and positions with their layers' fds. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"

static int fd_floor_min = 3;

void rootfs_set_fd_floor(int floor)
{
	fd_floor_min = floor;
}

int fd_floored(int fd)
{
	int moved;

	if (fd < 0)
		return -errno;
	if (fd >= fd_floor_min)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, fd_floor_min);
	if (moved < 0)
		moved = -errno;
	close(fd);
	return moved;
}

static char *join_path(const char *parent, const char *name)
{
	size_t a = strlen(parent), b = strlen(name);
	char *path = malloc(a + b + 2);

	if (!path)
		return NULL;
	memcpy(path, parent, a);
	if (a == 0 || path[a - 1] != '/')
		path[a++] = '/';
	memcpy(path + a, name, b + 1);
	return path;
}

struct rootfs_dir *dir_new(struct rootfs_dir *parent, const char *name, unsigned mount, int take_upper, int take_lower)
{
	struct rootfs_dir *d = calloc(1, sizeof(*d));

	char shown[256];

	if (parent)
		name_show(parent, name, shown);
	if (d) {
		d->path = parent ? join_path(parent->path, shown) : strdup("/");
		d->name = strdup(name);
	}
	if (!d || !d->path || !d->name) {
		if (d) {
			free(d->path);
			free(d->name);
		}
		free(d);
		if (take_upper >= 0)
			close(take_upper);
		if (take_lower >= 0)
			close(take_lower);
		return NULL;
	}
	d->refs = 1;
	d->mount = mount;
	d->upper = take_upper;
	d->lower = take_lower;
	if (parent) {
		d->parent = rootfs_dir_ref(parent);
		d->fs = parent->fs;
	}
	return d;
}

struct rootfs_dir *rootfs_dir_ref(struct rootfs_dir *dir)
{
	dir->refs++;
	return dir;
}

void rootfs_dir_unref(struct rootfs_dir *dir)
{
	while (dir && --dir->refs == 0) {
		struct rootfs_dir *parent = dir->parent;

		if (dir->upper >= 0)
			close(dir->upper);
		if (dir->lower >= 0)
			close(dir->lower);
		free(dir->path);
		free(dir->name);
		free(dir);
		dir = parent;
	}
}

static int dup_or_none(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, fd_floor_min);
}

static bool keeps_xattrs(const struct rootfs_mount *m)
{
	int fd = m->kind == ROOTFS_MOUNT_UNION ? (m->upper_fd >= 0 ? m->upper_fd : m->lower_fd) : m->fd;
	bool answer = true;

	if (m->kind == ROOTFS_MOUNT_VIRTUAL || m->kind == ROOTFS_MOUNT_FILE || m->is_bind || fd < 0)
		return true;
	fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return true;
	answer = fgetxattr(fd, OWNER_XATTR, NULL, 0) >= 0 || errno != EOPNOTSUPP;
	close(fd);
	return answer;
}

int rootfs_new(const struct rootfs_mount *mounts, size_t n, struct rootfs **ret)
{
	struct rootfs *fs = calloc(1, sizeof(*fs));

	if (!fs || n == 0)
		goto fail;
	fs->mounts = calloc(n, sizeof(*mounts));
	fs->keeps_xattrs = calloc(n, sizeof(*fs->keeps_xattrs));
	fs->own_used_bytes = calloc(n, sizeof(*fs->own_used_bytes));
	if (!fs->mounts || !fs->keeps_xattrs || !fs->own_used_bytes)
		goto fail;
	memcpy(fs->mounts, mounts, n * sizeof(*mounts));
	fs->nmounts = n;
	for (size_t i = 0; i < n; i++) {
		fs->mounts[i].target = strdup(mounts[i].target);
		if (!fs->mounts[i].target)
			goto fail;
		fs->keeps_xattrs[i] = keeps_xattrs(&mounts[i]);
		if (!mounts[i].used_bytes)
			fs->mounts[i].used_bytes = &fs->own_used_bytes[i];
	}
	fs->root = dir_new(NULL, "", 0, dup_or_none(mounts[0].kind == ROOTFS_MOUNT_DIR ? mounts[0].fd : mounts[0].upper_fd),
			   dup_or_none(mounts[0].lower_fd));
	if (!fs->root)
		goto fail;
	fs->root->fs = fs;
	*ret = fs;
	return 0;
fail:
	rootfs_free(fs);
	return -ENOMEM;
}

void rootfs_free(struct rootfs *fs)
{
	if (!fs)
		return;
	rootfs_dir_unref(fs->root);
	for (size_t i = 0; i < fs->nmounts; i++)
		free((char *)fs->mounts[i].target);
	free(fs->mounts);
	free(fs->keeps_xattrs);
	free(fs->own_used_bytes);
	free(fs);
}

/* Without xattrs an owner is in a file, which may be written anew where it is. */
void rootfs_witness_begin(struct rootfs *fs)
{
	fs->has_witness = true;
	fs->saw_more = fs->mounts[0].kind != ROOTFS_MOUNT_UNION || !fs->keeps_xattrs[0];
}

bool rootfs_witness_end(struct rootfs *fs)
{
	fs->has_witness = false;
	return !fs->saw_more;
}

int rootfs_root_changed(const struct rootfs *fs, struct timespec *ret)
{
	struct stat st;

	if (fs->root->upper < 0 || fstat(fs->root->upper, &st) < 0)
		return -ENOENT;
	*ret = st.st_ctim;
	return 0;
}

bool rootfs_root_is_local(const struct rootfs *fs)
{
	static const uint32_t kinds[] = { 0xef53 /* ext4 */, 0x58465342 /* XFS */, 0x9123683e /* Btrfs */,
					  0x01021994 /* tmpfs */, 0xf2f52010 /* F2FS */ };
	struct statfs st;

	if (fs->root->upper < 0 || fstatfs(fs->root->upper, &st) < 0)
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if ((uint32_t)st.f_type == kinds[i])
			return true;
	return false;
}

struct rootfs_dir *rootfs_root(struct rootfs *fs)
{
	return rootfs_dir_ref(fs->root);
}

ssize_t rootfs_dir_path(const struct rootfs_dir *dir, char *buf, size_t size)
{
	size_t n = strlen(dir->path);

	if (n + 1 > size)
		return -ERANGE;
	memcpy(buf, dir->path, n + 1);
	return (ssize_t)n;
}

size_t rootfs_mount_count(const struct rootfs *fs)
{
	return fs->nmounts;
}

const struct rootfs_mount *rootfs_mount_at(const struct rootfs *fs, size_t i)
{
	return &fs->mounts[i];
}

const struct rootfs_mount *dir_mount(const struct rootfs_dir *dir)
{
	return &dir->fs->mounts[dir->mount];
}

const char *dir_name(const struct rootfs_dir *dir)
{
	return dir->name;
}

bool dir_is_union(const struct rootfs_dir *dir)
{
	return dir_mount(dir)->kind == ROOTFS_MOUNT_UNION;
}

/* Another process may have copied the directory up since we came here. */
int dir_upper(struct rootfs_dir *dir)
{
	int parent, fd, none = -1;

	if (dir->upper >= 0 || !dir->parent || !dir_is_union(dir) || dir->parent->mount != dir->mount)
		return dir->upper;
	parent = dir_upper(dir->parent);
	if (parent < 0)
		return -1;
	fd = fd_floored(openat(parent, dir_name(dir), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0)
		return -1;
	if (!atomic_compare_exchange_strong(&dir->upper, &none, fd))
		close(fd); /* another thread was faster */
	return dir->upper;
}

int dir_make_upper(struct rootfs_dir *dir)
{
	struct entry e;
	int r = check_writable(dir);

	if (r < 0)
		return r;
	if (dir_upper(dir) >= 0)
		return dir->upper;
	if (!dir->parent)
		return -EROFS;
	r = dir_make_upper(dir->parent);
	if (r < 0)
		return r;
	r = entry_lookup(dir->parent, dir_name(dir), false, &e);
	if (r == 0 && e.place == ENTRY_NONE)
		r = -ENOENT;
	if (r == 0)
		r = copy_up(dir->parent, dir_name(dir), &e, true);
	if (r < 0)
		return r;
	return dir_upper(dir) >= 0 ? dir->upper : -EIO;
}
