/* docker cp's work, in a child of its own: where the container's processes are, with the owners that are true there.
 * A stat is JSON on stdout, an archive goes out or comes in by the standard streams, what is wrong is said on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/program/agent.h"
#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"

enum { NOT_FOUND = 44, INVALID = 40, FAILED = 50 }; /* agent_files.c reads them */

static int fail(int code, const char *text)
{
	dprintf(2, "%s", text);
	return code;
}

static int fail_with(const struct error *err)
{
	return fail(err->cls == ERROR_INVALID ? INVALID : FAILED, err->message);
}

static ssize_t write_out(void *arg, const void *data, size_t len)
{
	ssize_t n = write(1, data, len);

	(void)arg;
	return n < 0 ? -errno : n;
}

static ssize_t read_in(void *arg, const void **ret)
{
	static char buffer[64 << 10];
	ssize_t n = read(0, buffer, sizeof(buffer));

	(void)arg;
	*ret = buffer;
	return n < 0 ? -errno : n;
}

static bool means_dir(const char *path)
{
	size_t n = strlen(path);

	return n > 1 && (path[n - 1] == '/' || (path[n - 1] == '.' && path[n - 2] == '/'));
}

static int tell_stat(struct rootfs *fs, const char *path)
{
	CLEANUP(freep) char *text = NULL;
	char target[4096];
	struct rootfs_stat st;
	ssize_t n = 0;
	json_t *o;

	if (rootfs_stat(fs, NULL, NULL, path, means_dir(path) ? 0 : AT_SYMLINK_NOFOLLOW, &st) < 0)
		return fail(NOT_FOUND, "no such file");
	if (S_ISLNK(st.mode))
		n = rootfs_readlink(fs, NULL, NULL, path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	o = json_pack("{s:I, s:I, s:I, s:I, s:s*}", "size", (json_int_t)st.size, "mode", (json_int_t)st.mode, "mtime_s",
		      (json_int_t)st.mtime.tv_sec, "mtime_ns", (json_int_t)st.mtime.tv_nsec, "link", n > 0 ? target : NULL);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text && write_out(NULL, text, strlen(text)) > 0 ? 0 : fail(FAILED, "the name is no text");
}

static char *base_name(const char *path)
{
	size_t end = strlen(path), start;

	while (end > 1 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	return start < end ? xstrndup(path + start, end - start) : xstrdup("/");
}

static int get(struct rootfs *fs, const struct files_request *r)
{
	CLEANUP(freep) char *name = base_name(r->path), *whole = NULL;
	struct tar_write_options opt = { .rename_root = name, .is_gzip = r->is_gzip };
	struct error err = { 0 };
	struct rootfs_stat st;

	if (rootfs_stat(fs, NULL, NULL, r->path, means_dir(r->path) ? 0 : AT_SYMLINK_NOFOLLOW, &st) < 0)
		return fail(NOT_FOUND, "no such file");
	if (r->path[1] && r->path[strlen(r->path) - 1] == '/')
		whole = xasprintf("%s.", r->path);
	return tar_write(fs, whole ? whole : r->path, &opt, write_out, NULL, &err) < 0 ? fail_with(&err) : 0;
}

static int put(struct rootfs *fs, const struct files_request *r)
{
	struct tar_extract_options opt = { .no_overwrite_dir_non_dir = r->no_overwrite_dir_non_dir,
					   .copy_uid_gid = true,
					   .has_owner = r->has_owner,
					   .uid = r->uid,
					   .gid = r->gid };
	struct error err = { 0 };
	struct rootfs_stat st;

	if (rootfs_stat(fs, NULL, NULL, r->path, 0, &st) < 0)
		return fail(NOT_FOUND, "no such directory");
	if (!S_ISDIR(st.mode))
		return fail(INVALID, "extraction point is not a directory");
	return tar_extract(fs, r->path, &opt, read_in, NULL, &err) < 0 ? fail_with(&err) : 0;
}

int files_run(void *request)
{
	const struct files_request *r = request;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), code;
	struct rootfs_mount m = {
		.kind = ROOTFS_MOUNT_DIR, .target = "/", .lower_fd = -1, .upper_fd = -1, .fd = fd, .is_bind = true, .is_real = true
	};
	struct rootfs *fs;

	if (fd < 0 || rootfs_new(&m, 1, &fs) < 0)
		return fail(FAILED, "the root cannot be opened");
	code = r->op == 's' ? tell_stat(fs, r->path) : r->op == 'g' ? get(fs, r) : put(fs, r);
	rootfs_free(fs);
	return code;
}
