/* The copy itself: from one root into the upper directory over another, owners
 * and modes as asked for, archives of ADD unpacked. */
#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/copy.h"
#include "build/internal.h"
#include "build/mode.h"
#include "dockerfile/text.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/map.h"

#define UNPACKED_MAX_BYTES (64ull << 30)
enum { USER_FILE_MAX = 1 << 20, LINKS_MAX = 40 };

struct copying {
	struct copy_job *job;
	struct rootfs *from, *to;
	bool has_owner;
	uint32_t uid, gid;
	struct mode_change mode;
	struct map links;        /* inode of a source with several names → its copy's path */
};

static int fail(struct copying *c, const char *path, int r)
{
	if (!c->job->err.code)
		error_set(&c->job->err, r, "failed to copy files: %.300s: %s", path, error_text(-r));
	return c->job->err.code;
}

/* ---- owners ---- */

/* The number in the third column of the line of this name; false: there is none. */
static bool find_id(struct rootfs *fs, const char *file, const char *name, uint32_t *ret)
{
	CLEANUP(freep) char *text = xmalloc(USER_FILE_MAX + 1);
	struct rootfs_file f;
	size_t len = 0, n = strlen(name);
	ssize_t got;
	char *line, *at = text;

	if (rootfs_open(fs, NULL, NULL, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &f) < 0)
		return false;
	while (f.fd >= 0 && len < USER_FILE_MAX && (got = read(f.fd, text + len, USER_FILE_MAX - len)) > 0)
		len += (size_t)got;
	rootfs_file_done(&f);
	text[len] = '\0';
	while ((line = strsep(&at, "\n"))) {
		char *column;

		if (strncmp(line, name, n) != 0 || line[n] != ':')
			continue;
		column = strchr(line + n + 1, ':');
		if (!column || !isdigit((unsigned char)column[1]))
			continue;
		*ret = (uint32_t)strtoul(column + 1, NULL, 10);
		return true;
	}
	return false;
}

static bool is_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static int resolve_owner(struct copying *c)
{
	static const char prefix[] = "unable to convert uid/gid chown string to host mapping";
	struct copy_job *j = c->job;
	char *user = arena_dup(&j->arena, j->chown), *group = strchr(user, ':');

	c->has_owner = *j->chown || !j->is_from_image;
	if (!*j->chown)
		return 0;
	if (group && strchr(group + 1, ':'))
		return error_set(&j->err, -EINVAL, "%s: invalid chown string format: %.200s", prefix, j->chown);
	if (group)
		*group++ = '\0';
	else
		group = user;
	if (!is_number(user, &c->uid) && !find_id(c->to, "/etc/passwd", user, &c->uid))
		return error_set(&j->err, -EINVAL, "%s: can't find uid for user %.200s: no such user: %.200s", prefix,
				 user, user);
	if (!is_number(group, &c->gid) && !find_id(c->to, "/etc/group", group, &c->gid))
		return error_set(&j->err, -EINVAL, "%s: can't find gid for group %.200s: no such group: %.200s", prefix,
				 group, group);
	return 0;
}

/* ---- at the destination ---- */

static int own_new(struct copying *c, const char *path)
{
	int r = rootfs_chmod(c->to, NULL, NULL, path, 0755, 0);

	if (r == 0 && c->has_owner && (c->uid || c->gid))
		r = rootfs_chown(c->to, NULL, NULL, path, c->uid, c->gid, AT_SYMLINK_NOFOLLOW);
	return r;
}

/* All directories of a path, each that is new to the owner. */
static int make_dirs(struct copying *c, const char *path)
{
	char part[BUILD_PATH_MAX];
	size_t n = 0;
	int r = 0;

	while (r == 0 && path[n]) {
		struct rootfs_stat st;

		n += 1 + strcspn(path + n + 1, "/");
		if (n >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, path, n);
		part[n] = '\0';
		if (n == 1 || rootfs_stat(c->to, NULL, NULL, part, 0, &st) == 0)
			continue;
		r = rootfs_mkdir(c->to, NULL, NULL, part, 0755);
		if (r == 0)
			r = own_new(c, part);
	}
	return r;
}

static int remove_entry(void *arg, const char *name);

struct removing {
	struct copying *copying;
	const char *path;
};

static int remove_all(struct copying *c, const char *path)
{
	struct removing below = { c, path };
	struct rootfs_stat st;
	int r = rootfs_stat(c->to, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st);

	if (r < 0 || !S_ISDIR(st.mode))
		return r == -ENOENT ? 0 : r < 0 ? r : rootfs_unlink(c->to, NULL, NULL, path, 0);
	r = copy_each(c->to, path, remove_entry, &below);
	return r < 0 ? r : rootfs_unlink(c->to, NULL, NULL, path, AT_REMOVEDIR);
}

static int remove_entry(void *arg, const char *name)
{
	struct removing *rm = arg;
	char path[BUILD_PATH_MAX];
	int r = copy_join(path, rm->path, name);

	return r < 0 ? r : remove_all(rm->copying, path);
}

/* The path behind the links that the last component may be. */
static int follow(struct copying *c, char path[BUILD_PATH_MAX])
{
	char link[BUILD_PATH_MAX];

	for (int i = 0; i < LINKS_MAX; i++) {
		ssize_t n = rootfs_readlink(c->to, NULL, NULL, path, link, sizeof(link) - 1);
		char *slash = strrchr(path, '/');
		struct arena a = { 0 };
		char *next;

		if (n == -EINVAL || n == -ENOENT || n == -ENOTDIR)
			return 0;
		if (n < 0)
			return (int)n;
		link[n] = '\0';
		next = text_absolute_path(&a, arena_ndup(&a, path, (size_t)(slash - path)), link);
		n = snprintf(path, BUILD_PATH_MAX, "%s", next);
		arena_done(&a);
		if (n >= BUILD_PATH_MAX)
			return -ENAMETOOLONG;
	}
	return -ELOOP;
}

/* ---- one file ---- */

static int set_attributes(struct copying *c, const char *path, const struct rootfs_stat *st)
{
	struct timespec times[2] = { st->mtime, st->mtime };
	bool is_link = S_ISLNK(st->mode);
	uint32_t uid = c->has_owner ? c->uid : st->uid, gid = c->has_owner ? c->gid : st->gid;
	int r = rootfs_chown(c->to, NULL, NULL, path, uid, gid, AT_SYMLINK_NOFOLLOW);

	if (r == 0 && !is_link)
		r = rootfs_chmod(c->to, NULL, NULL, path, mode_apply(&c->mode, st->mode), 0);
	if (r == 0)
		r = rootfs_utimens(c->to, NULL, NULL, path, times, AT_SYMLINK_NOFOLLOW);
	return r;
}

static int copy_bytes(struct copying *c, int from, int to)
{
	char buffer[65536];
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, 1 << 26, 0)) > 0)
		if (atomic_load(c->job->is_cancelled))
			return -ECANCELED;
	if (n == 0)
		return 0;
	while ((n = read(from, buffer, sizeof(buffer))) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(to, buffer + done, (size_t)(n - done));
			if (w < 0)
				return -errno;
		}
		if (atomic_load(c->job->is_cancelled))
			return -ECANCELED;
	}
	return n < 0 ? -errno : 0;
}

static int open_new(struct copying *c, const char *path, struct rootfs_file *ret)
{
	return rootfs_open(c->to, NULL, NULL, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, ret);
}

static int copy_regular(struct copying *c, const char *from, const char *to)
{
	struct rootfs_file in, out;
	int r = rootfs_open(c->from, NULL, NULL, from, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &in);

	if (r < 0)
		return r;
	r = open_new(c, to, &out);
	if (r == 0) {
		r = in.fd >= 0 && out.fd >= 0 ? copy_bytes(c, in.fd, out.fd) : -EINVAL;
		rootfs_file_done(&out);
	}
	rootfs_file_done(&in);
	return r;
}

/* Another name of a file that has been copied is a hard link. 1: it is the first. */
static int link_known(struct copying *c, const struct rootfs_stat *st, const char *to)
{
	char key[64];
	const char *known;

	if (st->nlink < 2 || !S_ISREG(st->mode))
		return 1;
	snprintf(key, sizeof(key), "%llx:%llx", (unsigned long long)st->dev, (unsigned long long)st->ino);
	known = map_get(&c->links, key);
	if (known)
		return rootfs_link(c->to, NULL, NULL, known, NULL, to, 0);
	map_put(&c->links, key, arena_dup(&c->job->arena, to));
	return 1;
}

static int copy_node(struct copying *c, const char *from, const char *to, const struct rootfs_stat *st)
{
	char link[BUILD_PATH_MAX];
	ssize_t n;
	int r = link_known(c, st, to);

	if (r != 1)
		return r;
	switch (st->mode & S_IFMT) {
	case S_IFREG: r = copy_regular(c, from, to); break;
	case S_IFLNK:
		n = rootfs_readlink(c->from, NULL, NULL, from, link, sizeof(link) - 1);
		if (n < 0)
			return (int)n;
		link[n] = '\0';
		r = rootfs_symlink(c->to, NULL, link, NULL, to);
		break;
	case S_IFSOCK: return 0; /* Docker's archives have none */
	default: r = rootfs_mknod(c->to, NULL, NULL, to, st->mode, st->rdev); break;
	}
	return r < 0 ? r : set_attributes(c, to, st);
}

/* ---- a tree ---- */

struct tree {
	struct copying *copying;
	const char *from, *to, *relative;
};

static int copy_entry(void *arg, const char *name);

static int copy_content(struct copying *c, const char *from, const char *to, const char *relative)
{
	struct tree t = { c, from, to, relative };

	return copy_each(c->from, from, copy_entry, &t);
}

/* A directory onto one that is there takes its mode too. */
static int copy_dir(struct copying *c, const char *from, const char *to, const char *relative, const struct rootfs_stat *st)
{
	struct rootfs_stat there;
	int r = rootfs_stat(c->to, NULL, NULL, to, 0, &there);

	if (r == 0 && !S_ISDIR(there.mode))
		r = remove_all(c, to);
	if (r == -ENOENT || (r == 0 && !S_ISDIR(there.mode)))
		r = rootfs_mkdir(c->to, NULL, NULL, to, 0755);
	if (r == 0)
		r = copy_content(c, from, to, relative);
	return r < 0 ? r : set_attributes(c, to, st);
}

static int copy_entry(void *arg, const char *name)
{
	struct tree *t = arg;
	struct copying *c = t->copying;
	const struct ignore *excludes = c->job->excludes;
	char from[BUILD_PATH_MAX], to[BUILD_PATH_MAX], relative[BUILD_PATH_MAX];
	struct rootfs_stat st;
	int r = copy_join(from, t->from, name);

	r = r < 0 ? r : copy_join(to, t->to, name);
	r = r < 0 ? r : copy_join(relative, t->relative, name);
	r = r < 0 ? r : rootfs_stat(c->from, NULL, NULL, from, AT_SYMLINK_NOFOLLOW, &st);
	if (r == 0 && atomic_load(c->job->is_cancelled))
		r = -ECANCELED;
	if (r < 0)
		return fail(c, name, r);
	if (excludes && ignore_matches(excludes, relative)) {
		/* What is below may be in after all; then so is the way to it. */
		if (!S_ISDIR(st.mode) || !ignore_has_exceptions(excludes))
			return 0;
		return copy_content(c, from, to, relative);
	}
	if (S_ISDIR(st.mode)) {
		r = copy_dir(c, from, to, relative, &st);
	} else {
		if (excludes && ignore_has_exceptions(excludes))
			r = make_dirs(c, t->to);
		r = r < 0 ? r : remove_all(c, to);
		r = r < 0 ? r : copy_node(c, from, to, &st);
	}
	return r < 0 ? fail(c, relative, r) : 0;
}

/* ---- ADD of an archive ---- */

struct unpacking {
	int fd;
	char buffer[65536];
};

static ssize_t read_archive(void *arg, const void **ret)
{
	struct unpacking *u = arg;
	ssize_t n = read(u->fd, u->buffer, sizeof(u->buffer));

	*ret = u->buffer;
	return n < 0 ? -errno : n;
}

/* Has it a tar's first header, whatever the compression? */
bool copy_is_archive(int fd)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	bool is_one;

	archive_read_support_format_tar(a);
	tar_accept_compressions(a);
	is_one = archive_read_open_fd(a, fd, 65536) == ARCHIVE_OK && archive_read_next_header(a, &e) == ARCHIVE_OK;
	archive_read_free(a);
	return lseek(fd, 0, SEEK_SET) == 0 && is_one;
}

/* 1: it is no archive. */
static int unpack_fd(struct copying *c, int fd, const char *to)
{
	struct tar_extract_options opt = {
		.copy_uid_gid = true, .has_owner = *c->job->chown != '\0', .uid = c->uid, .gid = c->gid, .max_bytes = UNPACKED_MAX_BYTES
	};
	struct unpacking *u;
	int r;

	if (fd < 0 || !copy_is_archive(fd))
		return 1;
	u = xnew(struct unpacking);
	u->fd = fd;
	r = make_dirs(c, to);
	if (r == 0)
		r = tar_extract(c->to, to, &opt, read_archive, u, &c->job->err);
	if (r < 0 && c->job->err.code)
		error_prefix(&c->job->err, "failed to copy files");
	free(u);
	return r;
}

static int unpack(struct copying *c, const struct copy_source *s, const char *from, const char *to)
{
	struct rootfs_file f;
	int r;

	if (s->file) {
		CLEANUP(closep) int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		return fd < 0 ? -errno : unpack_fd(c, fd, to);
	}
	r = rootfs_open(c->from, NULL, NULL, from, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &f);
	if (r < 0)
		return r;
	r = unpack_fd(c, f.fd, to);
	rootfs_file_done(&f);
	return r;
}

/* ---- one source ---- */

static bool is_directory(struct rootfs *fs, const char *path)
{
	struct rootfs_stat st;

	return rootfs_stat(fs, NULL, NULL, path, 0, &st) == 0 && S_ISDIR(st.mode);
}

static int write_document(struct copying *c, const struct copy_source *s, const char *to)
{
	struct rootfs_stat st = { .mode = S_IFREG | 0644 };
	struct rootfs_file out;
	size_t len = strlen(s->content);
	int r = open_new(c, to, &out);

	if (r < 0)
		return r;
	r = out.fd < 0 ? -EINVAL : write(out.fd, s->content, len) == (ssize_t)len ? 0 : -EIO;
	rootfs_file_done(&out);
	clock_gettime(CLOCK_REALTIME, &st.mtime);
	return r < 0 ? r : set_attributes(c, to, &st);
}

/* As Docker leaves it: for its owner alone, and as old as the server says, else of the beginning of time. */
static int write_download(struct copying *c, const struct copy_source *s, const char *to)
{
	CLEANUP(closep) int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct rootfs_stat st = { .mode = S_IFREG | 0600, .mtime.tv_sec = s->modified_s };
	struct rootfs_file out;
	int r = fd < 0 ? -errno : open_new(c, to, &out);

	if (r < 0)
		return r;
	r = out.fd < 0 ? -EINVAL : copy_bytes(c, fd, out.fd);
	rootfs_file_done(&out);
	return r < 0 ? r : set_attributes(c, to, &st);
}

static int copy_file(struct copying *c, const struct copy_source *s, const char *from, const char *dest)
{
	bool is_into = dest[strlen(dest) - 1] == '/' || is_directory(c->to, dest);
	char to[BUILD_PATH_MAX], parent[BUILD_PATH_MAX];
	struct rootfs_stat st;
	int r = is_into ? copy_join(to, dest, s->name) : copy_join(to, dest, "");

	if (r == 0) {
		snprintf(parent, sizeof(parent), "%s", to);
		*strrchr(parent, '/') = '\0';
		r = make_dirs(c, *parent ? parent : "/");
	}
	if (r == 0 && !is_into)
		r = follow(c, to);
	if (r == 0)
		r = remove_all(c, to);
	if (r == 0 && s->content)
		return write_document(c, s, to);
	if (r == 0 && s->file)
		return write_download(c, s, to);
	if (r == 0) /* behind a link is what is meant */
		r = rootfs_stat(c->from, NULL, NULL, from, 0, &st);
	return r < 0 ? r : copy_node(c, from, to, &st);
}

static int copy_source(struct copying *c, const struct copy_source *s)
{
	struct copy_job *j = c->job;
	char from[BUILD_PATH_MAX];
	const char *dest = j->dest;
	int r = copy_join(from, "/", s->path);

	if (*s->parents)
		dest = arena_printf(&j->arena, "%s%s%s/", dest, dest[strlen(dest) - 1] == '/' ? "" : "/", s->parents);
	if (r == 0 && s->is_dir) {
		char *to = text_clean_path(&j->arena, dest);

		r = make_dirs(c, to);
		if (r == 0 && !is_directory(c->to, to))
			r = -ENOTDIR;
		return r < 0 ? r : copy_content(c, from, to, "");
	}
	if (r == 0 && (s->file ? j->unpacks_downloads : j->unpacks) && !s->content) {
		r = unpack(c, s, from, text_clean_path(&j->arena, dest));
		if (r != 1)
			return r;
		r = 0;
	}
	return r < 0 ? r : copy_file(c, s, from, dest);
}

/* ---- the views ---- */

static int open_destination(struct copy_job *j, struct rootfs **ret, int fds[2])
{
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .fd = -1 };
	int r;

	fds[0] = open(j->below, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fds[1] = open(j->upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fds[0] < 0 || fds[1] < 0)
		return error_set(&j->err, -errno, "%s: %s", fds[0] < 0 ? j->below : j->upper, strerror(errno));
	mount.lower_fd = fds[0];
	mount.upper_fd = fds[1];
	r = rootfs_new(&mount, 1, ret);
	return r < 0 ? error_set(&j->err, r, "%s: %s", j->upper, strerror(-r)) : 0;
}

static int with_destination(struct copy_job *j, int (*work)(struct copying *c))
{
	struct copying c = { .job = j };
	int fds[2] = { -1, -1 }, r = open_destination(j, &c.to, fds);

	map_init(&c.links);
	if (r == 0) {
		r = work(&c);
		rootfs_free(c.to);
	}
	map_done(&c.links);
	closep(&fds[0]);
	closep(&fds[1]);
	return r;
}

static int copy_all(struct copying *c)
{
	struct copy_job *j = c->job;
	CLEANUP(closep) int fd = -1;
	int r = mode_parse(j->chmod, &c->mode, &j->err);

	if (r == 0)
		r = resolve_owner(c);
	if (r == 0)
		r = context_view(j->source_root, false, &c->from, &fd, &j->err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < j->nfound; i++) {
		r = copy_source(c, &j->found[i]);
		if (r < 0)
			fail(c, !*j->found[i].path ? j->found[i].name : j->found[i].path, r);
	}
	rootfs_free(c->from);
	return r;
}

int copy_files(struct copy_job *j)
{
	return with_destination(j, copy_all);
}

static int make_workdir(struct copying *c)
{
	struct rootfs_stat st;
	int r;

	if (rootfs_stat(c->to, NULL, NULL, c->job->dest, 0, &st) == 0 && !S_ISDIR(st.mode))
		return error_set_class(&c->job->err, ERROR_INVALID, "Cannot mkdir: %.300s is not a directory", c->job->dest);
	c->has_owner = true;
	r = make_dirs(c, c->job->dest);
	return r < 0 ? error_set(&c->job->err, r, "Cannot mkdir: %.300s: %s", c->job->dest, error_text(-r)) : 0;
}

int copy_make_dir(struct copy_job *j)
{
	return with_destination(j, make_workdir);
}
