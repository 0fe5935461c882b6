/* A layer's tar onto the root that is being made of it, straight into the form of docs/rootfs.md: one open for a
 * file, a record of its owner only where that is not root, directories' times at the end. */
#include "rootfs/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"
#include "rootfs/layer_dirs.h"
#include "rootfs/layer_internal.h"
#include "rootfs/tar_input.h"

#define META_PREFIX ".wh..wh."
#define LINKS_DIR ".wh..wh.plnk"                /* AUFS: files that hard links of the layer mean */
#define LINKS_TEMPORARY TEMPORARY_PREFIX "plnk"

enum { PATH_BYTES = 4096 };

struct applier {
	struct layer_dirs dirs;
	struct tar_input *in;
	const struct tar_entry *entry;
	struct layer_figures figures;
	unsigned long long bytes_left, bytes_max, entries_max;
	int links_fd;      /* of LINKS_TEMPORARY; -1: there is none */
	char path[PATH_BYTES];                  /* the entry's, clean; no slash in front */
	char target[PATH_BYTES];
	char known_parent[PATH_BYTES];          /* the path of `parent`, as long as `generation` holds */
	struct layer_node *parent;
	unsigned generation;
	bool is_keeping_records;                /* no xattrs there: records beside files and directories, too */
	struct error *err;
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* An errno that the archive is to blame for, and one that is ours. */
static int complain(struct applier *ap, int r)
{
	if (r == -ENAMETOOLONG || r == -ENOTDIR || r == -ELOOP || r == -EISDIR)
		return error_set_class(ap->err, ERROR_INVALID, "/%.300s: %s", ap->path, error_text(-r));
	return error_set(ap->err, r, "/%.300s: %s", ap->path, error_text(-r));
}

/* ---- names ---- */

static int take_path(struct applier *ap, const char *name, char out[PATH_BYTES])
{
	int r = tar_clean_path(name, out, PATH_BYTES);

	if (r == -EXDEV)
		return error_set_class(ap->err, ERROR_INVALID, "\"%.300s\" is outside of \"/\"", name);
	if (r < 0)
		return error_set_class(ap->err, ERROR_INVALID, "/%.300s: %s", name, error_text(-r));
	return 0;
}

/* Splits in place: *ret_name is the last component, the directory stands before it. */
static const char *split(char *path, const char **ret_name)
{
	char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	if (!slash)
		return "";
	*slash = '\0';
	return path;
}

/* A directory of the archive whose name is one of a whiteout: no such thing can be in an image. */
static bool is_below_marks(const char *dir)
{
	while (dir && *dir) {
		if (has_prefix(dir, WHITEOUT_PREFIX))
			return true;
		dir = strchr(dir, '/');
		if (dir)
			dir++;
	}
	return false;
}

static int find_parent(struct applier *ap, const char *dir, struct layer_node **ret)
{
	int r;

	if (ap->parent && ap->generation == ap->dirs.generation && strcmp(dir, ap->known_parent) == 0) {
		*ret = ap->parent;
		return 0;
	}
	ap->parent = NULL;
	r = layer_dirs_walk(&ap->dirs, dir, ret, ap->err);
	if (r < 0)
		return r;
	memcpy(ap->known_parent, dir, strlen(dir) + 1);
	ap->parent = *ret;
	ap->generation = ap->dirs.generation;
	return 0;
}

/* ---- attributes ---- */

static struct rootfs_stat wanted(const struct tar_entry *e)
{
	static const uint32_t types[] = { S_IFREG, S_IFREG, S_IFLNK, S_IFCHR, S_IFBLK, S_IFDIR, S_IFIFO };
	struct timespec mtime = e->mtime.tv_sec < 0 ? (struct timespec){ 0 } : e->mtime; /* as moby bounds it */

	return (struct rootfs_stat){
		.mode = types[e->type - TAR_FILE] | (e->type == TAR_SYMLINK ? 0777 : e->mode),
		.uid = e->uid,
		.gid = e->gid,
		.rdev = makedev(e->major, e->minor),
		.atime = mtime,
		.mtime = mtime,
	};
}

/* Anew: an older one may be another root's, too. */
static int put_record(int dir_fd, const char *name, const struct rootfs_stat *st, bool with_times)
{
	int r;

	sidecar_remove(dir_fd, name);
	r = sidecar_write(dir_fd, name, st, with_times);
	return r == -ENAMETOOLONG ? 0 : r; /* no room for a record: root's */
}

/* Of a new file, whose mode on the host is `made`. */
static int put_file_owner(struct applier *ap, int dir_fd, const char *name, int fd, const struct rootfs_stat *st, uint32_t made)
{
	struct timespec times[2] = { st->mtime, st->mtime };
	int r = 0;

	if (!owner_is_default(st) && !ap->is_keeping_records) {
		char text[64];
		int n = owner_print(text, sizeof(text), st);

		r = fsetxattr(fd, OWNER_XATTR, text, (size_t)n, 0) < 0 ? -errno : 0;
		ap->is_keeping_records = r == -EOPNOTSUPP;
	}
	if (!owner_is_default(st) && ap->is_keeping_records)
		r = put_record(dir_fd, name, st, false);
	if (ap->entry->nxattrs)
		xattrs_store(fd, ap->entry->xattrs, ap->entry->nxattrs);
	if (r == 0 && (made & ap->dirs.umask) && fchmod(fd, made) < 0)
		r = -errno;
	if (r == 0 && futimens(fd, times) < 0)
		r = -errno;
	return r;
}

static int put_times(int dir_fd, const char *name, const struct rootfs_stat *st)
{
	struct timespec times[2] = { st->mtime, st->mtime };

	return utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int put_dir_owner(struct applier *ap, struct layer_node *n, bool was_made, const struct rootfs_stat *st)
{
	uint32_t mode = (st->mode & 0777) | S_IRWXU;
	bool is_default = owner_is_default(st);
	int fd, r = 0;

	if (was_made && is_default && mode == 0755 && !ap->entry->nxattrs)
		return 0;
	fd = layer_node_fd(&ap->dirs, n);
	if (fd < 0)
		return fd;
	if (!was_made || ap->entry->nxattrs)
		xattrs_store(fd, ap->entry->xattrs, ap->entry->nxattrs);
	if (!is_default)
		r = owner_store_fd(fd, S_IFDIR, st);
	else if (!was_made && fremovexattr(fd, OWNER_XATTR) < 0 && errno != ENODATA)
		r = -errno;
	if (r == 0 && is_default && fchmod(fd, mode) < 0)
		r = -errno;
	if (r != -EOPNOTSUPP)
		return r;
	if (fchmod(fd, mode) < 0)
		return -errno;
	fd = n->parent ? layer_node_fd(&ap->dirs, n->parent) : fd;
	if (fd < 0)
		return fd;
	if (is_default)
		sidecar_remove(fd, n->parent ? n->name : ".");
	return is_default ? 0 : put_record(fd, n->parent ? n->name : ".", st, false);
}

/* ---- content ---- */

int layer_write_all(int fd, const char *data, size_t n, int64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, data, n, at);

		if (done <= 0)
			return done < 0 ? -errno : -EIO;
		data += done;
		n -= (size_t)done;
		at += done;
	}
	return 0;
}

static int put_content(struct applier *ap, int fd)
{
	const struct tar_entry *e = ap->entry;
	int64_t at, end = 0;
	const void *data;
	size_t n;
	int r;

	while ((r = tar_input_data(ap->in, &data, &n, &at, ap->err)) == 0 && n > 0) {
		if (at == 0 && (e->mode & 0111) && n >= 4 && memcmp(data, "\177ELF", 4) == 0)
			ap->figures.has_native = true;
		r = layer_write_all(fd, data, n, at);
		if (r < 0)
			return complain(ap, r);
		end = at + (int64_t)n;
	}
	/* What ends in a hole. */
	if (r == 0 && end < e->size && ftruncate(fd, e->size) < 0)
		r = complain(ap, errno == EINVAL ? -EFBIG : -errno);
	return r;
}

/* ---- one of each kind: 0, -EEXIST when something is there, or an error that has been told ---- */

static int put_file(struct applier *ap, int dir_fd, const char *name, const struct rootfs_stat *st)
{
	uint32_t made = (st->mode & 0777) | S_IRUSR | S_IWUSR;
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, made), r = 0;

	if (fd < 0)
		return errno == EEXIST ? -EEXIST : complain(ap, -errno);
	if (ap->entry->type == TAR_FILE)
		r = put_content(ap, fd);
	if (r == 0) {
		r = put_file_owner(ap, dir_fd, name, fd, st, made);
		r = r < 0 ? complain(ap, r) : 0;
	}
	if (close(fd) < 0 && r == 0)
		r = complain(ap, -errno);
	return r;
}

static int put_symlink(struct applier *ap, int dir_fd, const char *name, const struct rootfs_stat *st)
{
	int r;

	if (symlinkat(ap->entry->link, dir_fd, name) < 0) {
		if (errno == ENOENT || errno == ENAMETOOLONG)
			return error_set_class(ap->err, ERROR_INVALID, "symlink %.200s /%.200s: %s", ap->entry->link,
					       ap->path, error_text(errno));
		return errno == EEXIST ? -EEXIST : complain(ap, -errno);
	}
	r = owner_is_default(st) ? put_times(dir_fd, name, st) : put_record(dir_fd, name, st, true);
	return r < 0 ? complain(ap, r) : 0;
}

static int put_fifo(struct applier *ap, int dir_fd, const char *name, const struct rootfs_stat *st)
{
	uint32_t made = (st->mode & 0777) | S_IRUSR | S_IWUSR;
	int r = 0;

	if (mkfifoat(dir_fd, name, made) < 0)
		return errno == EEXIST ? -EEXIST : complain(ap, -errno);
	if ((made & ap->dirs.umask) && fchmodat(dir_fd, name, made, 0) < 0)
		r = -errno;
	if (r == 0)
		r = owner_is_default(st) ? put_times(dir_fd, name, st) : put_record(dir_fd, name, st, true);
	return r < 0 ? complain(ap, r) : 0;
}

static int link_failed(struct applier *ap, int r)
{
	return error_set_class(ap->err, r == -ENOSPC || r == -EDQUOT ? ERROR_INTERNAL : ERROR_INVALID,
			       "link /%.200s /%.200s: %s", ap->target, ap->path, error_text(-r));
}

static bool is_same_file(int a_fd, const char *a, int b_fd, const char *b)
{
	struct stat one, other;

	return fstatat(a_fd, a, &one, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(b_fd, b, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
	       one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

static int link_to(struct applier *ap, int from_fd, const char *from, int dir_fd, const char *name)
{
	int r = linkat(from_fd, from, dir_fd, name, 0) < 0 ? -errno : 0;

	if (r == -EEXIST && is_same_file(from_fd, from, dir_fd, name))
		return 0;
	if (r == -EMLINK)
		r = layer_copy_file(from_fd, from, dir_fd, name);
	if (r == 0)
		sidecar_link(from_fd, from, dir_fd, name);
	return r == 0 || r == -EEXIST ? r : link_failed(ap, r);
}

/* Attributes stay as they are: the file may be one of a lower layer's, and of other roots. */
static int put_link(struct applier *ap, struct layer_node *in, const char *name)
{
	char path[PATH_BYTES];
	const char *dir, *base;
	struct layer_node *from;
	int r, fd, from_fd;

	if (has_prefix(ap->target, LINKS_DIR)) {
		const char *slash = strrchr(ap->target, '/');

		fd = layer_node_fd(&ap->dirs, in);
		if (!slash || ap->links_fd < 0)
			return error_set_class(ap->err, ERROR_INVALID, "invalid aufs hardlink");
		return fd < 0 ? complain(ap, fd) : link_to(ap, ap->links_fd, slash + 1, fd, name);
	}
	memcpy(path, ap->target, strlen(ap->target) + 1);
	dir = split(path, &base);
	if (!*base || has_prefix(base, WHITEOUT_PREFIX))
		return link_failed(ap, *base ? -ENOENT : -EPERM);
	r = layer_dirs_walk(&ap->dirs, dir, &from, ap->err);
	if (r < 0)
		return r;
	from_fd = layer_node_fd(&ap->dirs, from);
	if (from_fd >= 0)
		from_fd = fcntl(from_fd, F_DUPFD_CLOEXEC, 3);
	fd = layer_node_fd(&ap->dirs, in);
	if (from_fd < 0 || fd < 0)
		r = complain(ap, fd < 0 ? fd : -EMFILE);
	else
		r = link_to(ap, from_fd, base, fd, name);
	if (from_fd >= 0)
		close(from_fd);
	return r;
}

static int create(struct applier *ap, struct layer_node *in, const char *name, const struct rootfs_stat *st)
{
	int fd;

	if (ap->entry->type == TAR_LINK)
		return put_link(ap, in, name);
	fd = layer_node_fd(&ap->dirs, in);
	if (fd < 0)
		return complain(ap, fd);
	switch (ap->entry->type) {
	case TAR_SYMLINK: return put_symlink(ap, fd, name, st);
	case TAR_FIFO: return put_fifo(ap, fd, name, st);
	default: return put_file(ap, fd, name, st); /* of a device: the file that stands for it */
	}
}

/* ---- entries ---- */

static int put_dir(struct applier *ap, struct layer_node *in, const char *name, const struct rootfs_stat *st)
{
	size_t len = strlen(name);
	struct layer_node *n = ap->dirs.root;
	bool was_made = false;
	int r = 0;

	if (in && (len > 255 || in->depth >= LAYER_DEPTH_MAX))
		return complain(ap, -ENAMETOOLONG);
	if (in) {
		bool was_known = layer_node_find(&ap->dirs, in, name, len);

		r = layer_node_enter(&ap->dirs, in, name, len, &n);
		if (r == -ENOTDIR) { /* what this layer has brought before: the last one counts */
			r = layer_remove(&ap->dirs, in, name);
			r = r < 0 ? r : layer_node_enter(&ap->dirs, in, name, len, &n);
		}
		was_made = r == 0 && n->is_fresh && !was_known;
	}
	if (r == 0)
		r = put_dir_owner(ap, n, was_made, st);
	if (r < 0)
		return complain(ap, r);
	n->has_entry = true;
	n->has_mtime = true;
	n->mtime = st->mtime;
	layer_node_holds_new(in);
	return 0;
}

static int put_other(struct applier *ap, struct layer_node *in, const char *name, const struct rootfs_stat *st)
{
	size_t len = strlen(name);
	int r;

	if (len > 255)
		return complain(ap, -ENAMETOOLONG);
	r = create(ap, in, name, st);
	if (r == -EEXIST) {
		r = layer_remove(&ap->dirs, in, name);
		r = r < 0 ? complain(ap, r) : create(ap, in, name, st);
		if (r == -EEXIST)
			return complain(ap, r);
	}
	if (r < 0)
		return r;
	layer_node_holds_new(in);
	/* Whom a later whiteout must not take, and whose link is one of this layer. */
	if (!in->is_fresh && !layer_node_find(&ap->dirs, in, name, len))
		layer_node_add(&ap->dirs, in, name, len);
	return 0;
}

/* Of a lower layer only: what this one has brought stays, wherever in the archive its whiteout stands. */
static int put_whiteout(struct applier *ap, struct layer_node *in, const char *hidden)
{
	struct layer_node *n;
	int r;

	if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		return error_set_class(ap->err, ERROR_INVALID, "invalid whiteout name: /%.300s", ap->path);
	if (in->is_fresh)
		return 0;
	n = layer_node_find(&ap->dirs, in, hidden, strlen(hidden));
	if (!n || (n->is_dir && !n->has_entry && !n->holds_new))
		r = layer_remove(&ap->dirs, in, hidden);
	else
		r = n->is_dir ? layer_purge(&ap->dirs, n) : 0;
	return r < 0 ? complain(ap, r) : 0;
}

/* AUFS keeps the files that hard links mean apart. They live here until the layer is whole. */
static int put_linked_file(struct applier *ap, const struct rootfs_stat *st)
{
	const char *slash = strrchr(ap->path, '/');
	int r;

	if (!slash || ap->entry->type != TAR_FILE)
		return 0;
	if (ap->links_fd < 0) {
		int root = ap->dirs.root->fd;

		if (mkdirat(root, LINKS_TEMPORARY, 0700) < 0)
			return complain(ap, -errno);
		ap->links_fd = openat(root, LINKS_TEMPORARY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (ap->links_fd < 0)
			return complain(ap, -errno);
	}
	r = put_file(ap, ap->links_fd, slash + 1, st);
	if (r == -EEXIST) {
		unlinkat(ap->links_fd, slash + 1, 0);
		r = put_file(ap, ap->links_fd, slash + 1, st);
	}
	return r == -EEXIST ? complain(ap, r) : r;
}

static int put_entry(struct applier *ap)
{
	char path[PATH_BYTES];
	struct rootfs_stat st = wanted(ap->entry);
	struct layer_node *in;
	const char *dir, *name;
	int r;

	if (has_prefix(ap->path, LINKS_DIR))
		return put_linked_file(ap, &st);
	memcpy(path, ap->path, strlen(ap->path) + 1);
	dir = split(path, &name);
	if (is_below_marks(dir))
		return 0;
	if (!*name)
		return ap->entry->type == TAR_DIR ? put_dir(ap, NULL, "", &st) : complain(ap, -EISDIR);
	if (has_prefix(name, META_PREFIX) && strcmp(name, OPAQUE_MARK) != 0)
		return 0;
	r = find_parent(ap, dir, &in);
	if (r < 0)
		return r;
	if (strcmp(name, OPAQUE_MARK) == 0) {
		r = layer_purge(&ap->dirs, in);
		return r < 0 ? complain(ap, r) : 0;
	}
	if (has_prefix(name, WHITEOUT_PREFIX))
		return put_whiteout(ap, in, name + strlen(WHITEOUT_PREFIX));
	return ap->entry->type == TAR_DIR ? put_dir(ap, in, name, &st) : put_other(ap, in, name, &st);
}

/* Before anything of the entry is made. */
static int check_entry(struct applier *ap)
{
	const struct tar_entry *e = ap->entry;

	if (++ap->figures.entries > ap->entries_max)
		return error_set_class(ap->err, ERROR_INVALID, "the layer has more than %llu entries", ap->entries_max);
	if (e->type < TAR_FILE || e->type > TAR_FIFO)
		return error_set_class(ap->err, ERROR_INVALID, "unhandled tar header type %d", e->type);
	if (e->type != TAR_FILE)
		return 0;
	if ((unsigned long long)e->stored_bytes > ap->bytes_left)
		return error_set_class(ap->err, ERROR_INVALID, "the layer has more than %llu bytes", ap->bytes_max);
	ap->bytes_left -= (unsigned long long)e->stored_bytes;
	ap->figures.bytes += (uint64_t)e->size;
	return 0;
}

static int apply_all(struct applier *ap)
{
	for (;;) {
		int r = tar_input_next(ap->in, &ap->entry, ap->err);

		if (r < 0 || !ap->entry)
			return r;
		r = check_entry(ap);
		if (r == 0)
			r = take_path(ap, ap->entry->name, ap->path);
		if (r == 0 && ap->entry->type == TAR_LINK)
			r = take_path(ap, ap->entry->link, ap->target);
		if (r == 0)
			r = put_entry(ap);
		if (r < 0)
			return r;
	}
}

int layer_apply(int dir_fd, const struct layer_limits *limits, tar_read_fn read, void *arg, struct layer_figures *ret,
		struct error *err)
{
	struct applier ap = {
		.bytes_max = limits && limits->max_bytes ? limits->max_bytes : 64ull << 30,
		.entries_max = limits && limits->max_entries ? limits->max_entries : 10000000,
		.links_fd = -1,
		.err = err,
	};
	int r = layer_dirs_init(&ap.dirs, dir_fd);

	ap.bytes_left = ap.bytes_max;
	if (r < 0)
		return error_set(err, r, "%s", error_text(-r));
	r = tar_input_new(read, arg, &ap.in, err);
	if (r == 0)
		r = apply_all(&ap);
	if (r == 0)
		r = tar_input_drain(ap.in, err);
	if (ap.links_fd >= 0) {
		close(ap.links_fd);
		rootfs_remove_tree(ap.dirs.root->fd, LINKS_TEMPORARY);
	}
	if (r == 0) {
		r = layer_dirs_set_times(&ap.dirs);
		if (r < 0)
			r = error_set(err, r, "%s", error_text(-r));
	}
	tar_input_free(ap.in);
	layer_dirs_done(&ap.dirs);
	if (r == 0)
		*ret = ap.figures;
	return r;
}
