/* One name in one directory: which layer has it, and what it is. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

void make_whiteout_name(char out[300], const char *name)
{
	size_t at = sizeof(WHITEOUT_PREFIX) - 1, n = strnlen(name, 299 - at);

	memcpy(out, WHITEOUT_PREFIX, at);
	memcpy(out + at, name, n);
	out[at + n] = '\0';
}

static bool is_mount_point(const struct rootfs_dir *dir, const char *name, unsigned *ret_mount)
{
	const struct rootfs *fs = dir->fs;
	size_t n = strlen(dir->path);
	char shown[256];

	name_show(dir, name, shown);
	if (n == 1)
		n = 0; /* "/" */
	/* The last one mounted on a place covers those before it. */
	for (size_t i = fs->nmounts; i-- > 1;) {
		const char *target = fs->mounts[i].target;

		if (strncmp(target, dir->path, n) == 0 && target[n] == '/' && strcmp(target + n + 1, shown) == 0) {
			*ret_mount = (unsigned)i;
			return true;
		}
	}
	return false;
}

static int lookup_virtual(struct rootfs_dir *dir, const char *name, struct entry *ret)
{
	const struct rootfs_mount *m = dir_mount(dir);
	struct rootfs_stat st;
	int r = m->ops->lookup(m->ctx, dir->node, name, &ret->node);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = m->ops->stat(m->ctx, ret->node, &st);
	if (r < 0)
		return r;
	ret->place = ENTRY_VIRTUAL;
	ret->type = st.mode & S_IFMT;
	return 0;
}

/* Of the upper layer only its top directory's names tell by themselves when they change: what is found there, or looked
 * for below, is what may change unseen. */
static void bear_witness(const struct rootfs_dir *dir, const struct entry *e, int upper)
{
	struct rootfs *fs = dir->fs;

	if (fs->has_witness && (e->place == ENTRY_UPPER || dir->mount != 0 || (upper >= 0 && dir->parent)))
		fs->saw_more = true;
}

static int lookup_layers(struct rootfs_dir *dir, const char *name, bool is_fresh, struct entry *ret)
{
	char whiteout[300];
	int upper = is_fresh ? dir->upper : dir_upper(dir);

	if (upper >= 0) {
		if (fstatat(upper, name, &ret->host, AT_SYMLINK_NOFOLLOW) == 0) {
			ret->place = ENTRY_UPPER;
			ret->type = ret->host.st_mode & S_IFMT;
			bear_witness(dir, ret, upper);
			return 0;
		}
		if (errno != ENOENT)
			return -errno;
		bear_witness(dir, ret, upper);
		make_whiteout_name(whiteout, name);
		if (dir->lower >= 0 && faccessat(upper, whiteout, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 0;
	}
	if (dir->lower < 0)
		return 0;
	if (fstatat(dir->lower, name, &ret->host, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	ret->place = ENTRY_LOWER;
	ret->type = ret->host.st_mode & S_IFMT;
	return 0;
}

int entry_lookup(struct rootfs_dir *dir, const char *name, bool is_fresh, struct entry *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	if (is_mount_point(dir, name, &ret->mount)) {
		dir->fs->saw_more = dir->fs->saw_more || dir->fs->has_witness;
		ret->place = ENTRY_MOUNT;
		ret->type = dir->fs->mounts[ret->mount].kind == ROOTFS_MOUNT_FILE ? S_IFREG : S_IFDIR;
		return 0;
	}
	if (dir_mount(dir)->kind == ROOTFS_MOUNT_VIRTUAL)
		return lookup_virtual(dir, name, ret);
	return lookup_layers(dir, name, is_fresh, ret);
}

int entry_layer(struct rootfs_dir *dir, const struct entry *e)
{
	return e->place == ENTRY_UPPER ? dir_upper(dir) : e->place == ENTRY_LOWER ? dir->lower : -1;
}

static int open_mount(struct rootfs_dir *dir, const char *name, unsigned mount, struct rootfs_dir **ret)
{
	const struct rootfs_mount *m = &dir->fs->mounts[mount];
	int upper = -1, lower = -1;

	if (m->kind == ROOTFS_MOUNT_FILE)
		return -ENOTDIR;
	if (m->kind != ROOTFS_MOUNT_VIRTUAL) {
		int top = m->kind == ROOTFS_MOUNT_DIR ? m->fd : m->upper_fd;

		if (top >= 0)
			upper = fd_floored(fcntl(top, F_DUPFD_CLOEXEC, 3));
		if (m->kind == ROOTFS_MOUNT_UNION && m->lower_fd >= 0)
			lower = fd_floored(fcntl(m->lower_fd, F_DUPFD_CLOEXEC, 3));
	}
	*ret = dir_new(dir, name, mount, upper, lower);
	return *ret ? 0 : -ENOMEM;
}

static bool is_opaque(int upper)
{
	return faccessat(upper, OPAQUE_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A directory of the lower layer shows through one of the upper of the same
 * name, unless a whiteout or an opaque mark is between them. */
static int open_lower(struct rootfs_dir *dir, const char *name, int upper)
{
	char whiteout[300];

	if (dir->lower < 0 || !dir_is_union(dir))
		return -1;
	if (upper >= 0 && is_opaque(upper))
		return -1;
	if (upper >= 0) { /* else the look-up that found the lower one has seen that there is none */
		make_whiteout_name(whiteout, name);
		if (faccessat(dir->upper, whiteout, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return -1;
	}
	return fd_floored(openat(dir->lower, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int entry_open_dir(struct rootfs_dir *dir, const char *name, const struct entry *e, struct rootfs_dir **ret)
{
	int upper = -1, lower = -1;

	if (e->place == ENTRY_MOUNT)
		return open_mount(dir, name, e->mount, ret);
	if (e->type != S_IFDIR)
		return -ENOTDIR;
	if (e->place == ENTRY_UPPER) {
		upper = fd_floored(openat(dir_upper(dir), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		if (upper < 0)
			return upper;
	}
	if (e->place != ENTRY_VIRTUAL) {
		lower = open_lower(dir, name, upper);
		if (e->place == ENTRY_LOWER && lower < 0)
			return lower == -1 ? -ENOENT : lower;
	}
	*ret = dir_new(dir, name, dir->mount, upper, lower < 0 ? -1 : lower);
	if (!*ret)
		return -ENOMEM;
	(*ret)->node = e->node;
	return 0;
}

static int stat_mount(struct rootfs_dir *dir, const struct entry *e, struct rootfs_stat *ret)
{
	const struct rootfs_mount *m = &dir->fs->mounts[e->mount];
	struct stat host;
	int fd = m->kind == ROOTFS_MOUNT_UNION ? (m->upper_fd >= 0 ? m->upper_fd : m->lower_fd) : m->fd;

	if (m->kind == ROOTFS_MOUNT_VIRTUAL)
		return m->ops->stat(m->ctx, 0, ret);
	if (m->kind == ROOTFS_MOUNT_FILE ? fstatat(fd, m->ctx, &host, AT_SYMLINK_NOFOLLOW) < 0 : fstat(fd, &host) < 0)
		return -errno;
	stat_from_host(&host, e->mount, ret);
	if (m->is_real)
		return 0;
	owner_apply(fd, m->kind == ROOTFS_MOUNT_FILE ? m->ctx : ".", host.st_mode & S_IFMT,
		    m->kind != ROOTFS_MOUNT_FILE && !m->is_bind, ret);
	return 0;
}

int entry_stat(struct rootfs_dir *dir, const char *name, const struct entry *e, struct rootfs_stat *ret)
{
	const struct rootfs_mount *m = dir_mount(dir);

	switch (e->place) {
	case ENTRY_NONE: return -ENOENT;
	case ENTRY_MOUNT: return stat_mount(dir, e, ret);
	case ENTRY_VIRTUAL: return m->ops->stat(m->ctx, e->node, ret);
	default:
		stat_from_host(&e->host, dir->mount, ret);
		if (m->is_real) {
			ret->rdev = e->host.st_rdev;
			return 0;
		}
		owner_apply(entry_layer(dir, e), name, e->type, dir_has_marks(dir), ret);
		return 0;
	}
}
