/* The build context: the spooled body unpacked below the build's directory, as
 * a root of its own out of which no path leads, and the Dockerfile in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/copy.h"
#include "build/git.h"
#include "build/internal.h"
#include "build/remote.h"
#include "dockerfile/ignore.h"
#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/spool.h"

#define CONTEXT_MAX_BYTES (64ull << 30)
enum { IGNORE_FILE_MAX = 1 << 20 };

int context_view(const char *path, bool is_writable, struct rootfs **ret, int *ret_fd, struct error *err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), r;
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = -1, .fd = -1 };

	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (is_writable)
		mount.upper_fd = fd;
	else
		mount.lower_fd = fd;
	r = rootfs_new(&mount, 1, ret);
	if (r < 0) {
		close(fd);
		return error_set(err, r, "%s: %s", path, strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

/* ---- on the pool ---- */

struct spooled {
	int fd;
	char buffer[65536];
};

static ssize_t read_spool(void *arg, const void **ret)
{
	struct spooled *s = arg;
	ssize_t n = read(s->fd, s->buffer, sizeof(s->buffer));

	*ret = s->buffer;
	return n < 0 ? -errno : n;
}

static int unpack(struct context_job *j, struct rootfs *fs)
{
	struct tar_extract_options opt = { .copy_uid_gid = true, .max_bytes = CONTEXT_MAX_BYTES };
	struct spooled *s = xnew(struct spooled);
	int r;

	s->fd = j->fd;
	r = tar_extract(fs, "/", &opt, read_spool, s, &j->err);
	free(s);
	if (r < 0)
		j->err.cls = ERROR_INTERNAL; /* as in Docker */
	return r;
}

/* A file's whole text; NULL: r tells. */
static char *read_text(struct rootfs *fs, const char *path, size_t max, size_t *ret_len, int *r)
{
	struct rootfs_file f;
	char *text;
	ssize_t n = 0;
	size_t len = 0;

	*r = rootfs_open(fs, NULL, NULL, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &f);
	if (*r < 0)
		return NULL;
	if (f.fd < 0 || !S_ISREG(f.st.mode) || f.st.size > (int64_t)max) {
		*r = f.fd<0 ? -EISDIR : f.st.size>(int64_t) max ? -EFBIG : -EINVAL;
		rootfs_file_done(&f);
		return NULL;
	}
	text = xmalloc((size_t)f.st.size + 1);
	while (len < (size_t)f.st.size && (n = read(f.fd, text + len, (size_t)f.st.size - len)) > 0)
		len += (size_t)n;
	*r = n < 0 ? -errno : 0;
	rootfs_file_done(&f);
	text[len] = '\0';
	*ret_len = len;
	return text;
}

/* A remote context that is a text is the Dockerfile itself. */
static char *read_whole(int fd, size_t max, size_t *ret_len)
{
	struct stat st;
	char *text;
	ssize_t n = 0;
	size_t len = 0;

	if (fstat(fd, &st) < 0 || st.st_size > (off_t)max)
		return NULL;
	text = xmalloc((size_t)st.st_size + 1);
	while (len < (size_t)st.st_size && (n = pread(fd, text + len, (size_t)st.st_size - len, (off_t)len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	*ret_len = len;
	return text;
}

static int open_download(struct context_job *j)
{
	j->own_fd = open(j->download, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (j->own_fd < 0)
		return error_set(&j->err, -errno, "%s: %s", j->download, strerror(errno));
	j->fd = j->own_fd;
	j->is_bare = !copy_is_archive(j->fd);
	return 0;
}

static int find_dockerfile(struct context_job *j, struct rootfs *fs)
{
	int r;

	if (j->is_bare) {
		j->text = read_whole(j->fd, DOCKERFILE_MAX_BYTES, &j->len);
		return j->text ? 0 : error_set(&j->err, -EFBIG, "the Dockerfile has more than %d bytes", DOCKERFILE_MAX_BYTES);
	}
	j->text = read_text(fs, j->name, DOCKERFILE_MAX_BYTES, &j->len, &r);
	if (!j->text && r == -ENOENT && strcmp(j->name, "Dockerfile") == 0) {
		j->text = read_text(fs, "dockerfile", DOCKERFILE_MAX_BYTES, &j->len, &r);
		if (j->text) {
			free(j->name);
			j->name = xstrdup("dockerfile");
		}
	}
	if (j->text)
		return 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return error_set(&j->err, -ENOENT, "Cannot locate specified Dockerfile: %.300s", j->name);
	return error_set(&j->err, r, "%.300s: %s", j->name, error_text(-r));
}

/* What the client sends although it is ignored, because the build needs it: out of the way of COPY. */
static int drop_ignored(struct context_job *j, struct rootfs *fs)
{
	const char *names[] = { ".dockerignore", j->name };
	struct ignore *g;
	size_t len;
	char *text;
	int r;

	text = read_text(fs, ".dockerignore", IGNORE_FILE_MAX, &len, &r);
	if (!text)
		return 0;
	r = ignore_parse(text, &g, &j->err);
	free(text);
	if (r < 0) {
		error_prefix(&j->err, "error reading .dockerignore");
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (ignore_matches(g, names[i]))
			rootfs_unlink(fs, NULL, NULL, names[i], 0);
	ignore_free(g);
	return 0;
}

/* ---- <Dockerfile>.dockerignore: clients that do not know it send all ---- */

struct dropping {
	struct rootfs *fs;
	const struct ignore *ignore;
	const char *path; /* of a directory */
};

static int drop_entry(void *arg, const char *name)
{
	struct dropping *d = arg, below;
	char path[BUILD_PATH_MAX], full[BUILD_PATH_MAX];
	struct rootfs_stat st;
	bool is_out;
	int r = copy_join(path, d->path, name);

	r = r < 0 ? r : copy_join(full, "/", path);
	r = r < 0 ? r : rootfs_stat(d->fs, NULL, NULL, full, AT_SYMLINK_NOFOLLOW, &st);
	if (r < 0)
		return r;
	is_out = ignore_matches(d->ignore, path);
	if (!S_ISDIR(st.mode))
		return is_out ? rootfs_unlink(d->fs, NULL, NULL, full, 0) : 0;
	below = (struct dropping){ d->fs, d->ignore, path };
	r = copy_each(d->fs, full, drop_entry, &below);
	if (r == 0 && is_out && rootfs_unlink(d->fs, NULL, NULL, full, AT_REMOVEDIR) < 0)
		return 0; /* something in it stays */
	return r;
}

static int drop_by_own_file(struct context_job *j, struct rootfs *fs)
{
	CLEANUP(freep) char *name = xasprintf("%s.dockerignore", j->name);
	struct dropping d = { fs, NULL, "" };
	struct ignore *g;
	size_t len;
	int r;
	CLEANUP(freep) char *text = read_text(fs, name, IGNORE_FILE_MAX, &len, &r);

	if (!text)
		return 0;
	r = ignore_parse(text, &g, &j->err);
	if (r < 0) {
		error_prefix(&j->err, "error reading %.200s", name);
		return r;
	}
	d.ignore = g;
	r = copy_each(fs, "/", drop_entry, &d);
	ignore_free(g);
	return r < 0 ? error_set(&j->err, r, "%.200s: %s", name, strerror(-r)) : 0;
}

static void work(uv_work_t *w)
{
	struct context_job *j = container_of(w, struct context_job, work);
	CLEANUP(freep) char *path = xasprintf("%s/context", j->build->dir);
	CLEANUP(closep) int fd = -1;
	struct rootfs *fs;

	if (j->download && open_download(j) < 0)
		return;
	if (j->checkout && git_take_checkout(j->checkout, j->checkout_dir, path, j->keeps_git, &j->err) < 0)
		return;
	if (!j->checkout && mkdir(path, 0755) < 0) {
		error_set(&j->err, -errno, "%s: %s", path, strerror(errno));
		return;
	}
	if (context_view(path, true, &fs, &fd, &j->err) < 0)
		return;
	if ((j->is_bare || j->checkout || unpack(j, fs) == 0) && find_dockerfile(j, fs) == 0 && drop_by_own_file(j, fs) == 0)
		drop_ignored(j, fs);
	rootfs_free(fs);
}

/* ---- on the loop ---- */

static void after(uv_work_t *w, int status)
{
	struct context_job *j = container_of(w, struct context_job, work);
	struct build *b = j->build;

	(void)status;
	if (!j->err.code && atomic_load(&b->is_cancelled))
		error_set(&j->err, -ECANCELED, "Build cancelled");
	if (j->err.code)
		build_finish(b, &j->err, 0);
	else
		steps_begin(b, j->text, j->len, j->name);
	closep(&j->own_fd);
	free(j->download);
	free(j->checkout);
	free(j->checkout_dir);
	free(j->text);
	free(j->name);
	free(j);
}

void context_open(struct build *b)
{
	struct context_job *j = xnew(struct context_job);
	const char *name = b->options.dockerfile;

	while (*name == '/' || strncmp(name, "./", 2) == 0)
		name += *name == '/' ? 1 : 2;
	j->build = b;
	j->fd = spool_fd(b->spool);
	j->own_fd = -1;
	if (b->git_dir) {
		const char *keeps = json_string_value(json_object_get(b->options.args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR"));

		j->checkout = xasprintf("%s/git", b->dir);
		j->checkout_dir = xstrdup(b->git_dir);
		j->keeps_git = keeps && (strcmp(keeps, "1") == 0 || strcmp(keeps, "true") == 0);
	}
	j->download = *b->options.remote && !b->git_dir ? remote_file(b, b->options.remote, NULL) : NULL;
	j->name = xstrdup(*name ? name : "Dockerfile");
	uv_queue_work(b->engine->loop, &j->work, work, after);
}
