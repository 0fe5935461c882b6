/* docker import: a tar of a root file system becomes an image. The upload waits
 * in a spool; unpacking, hashing and classification run on the pool. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/internal.h"
#include "image/reference.h"
#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/digest.h"
#include "util/id.h"
#include "util/spool.h"

#define UNPACKED_MAX_BYTES (64ull << 30)

struct image_import {
	uv_work_t work;
	struct images *images;
	struct spool *spool;
	char *repo, *tag, *message;
	json_t *config;              /* the image's config{} with the changes in it */
	char *temporary;             /* name of the directory under rootfs/ */
	int plain_fd;                /* the tar without compression */
	char diff_id[DIGEST_LEN + 1];
	uint64_t bytes;
	bool has_native;
	struct error err;
	void (*done)(void *arg, struct image *i, const struct error *err);
	void *arg;
	char buffer[65536];
};

/* ---- on the pool ---- */

static char *rootfs_dir_of(const struct image_import *imp)
{
	return xasprintf("%s/rootfs", imp->images->options.data_root);
}

/* The layer's id is the digest of the tar as it is without compression. */
static int expand(struct image_import *imp)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	struct digest *d = digest_new();
	unsigned long long total = 0;
	la_ssize_t n = -1;

	tar_accept_compressions(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_fd(a, spool_fd(imp->spool), 65536) == ARCHIVE_OK && archive_read_next_header(a, &e) == ARCHIVE_OK) {
		while ((n = archive_read_data(a, imp->buffer, sizeof(imp->buffer))) > 0) {
			total += (unsigned long long)n;
			digest_add(d, imp->buffer, (size_t)n);
			if (total > UNPACKED_MAX_BYTES || write(imp->plain_fd, imp->buffer, (size_t)n) != n)
				break;
		}
	}
	if (n != 0)
		error_set_class(&imp->err, ERROR_INVALID, "the archive cannot be read: %s",
				total > UNPACKED_MAX_BYTES ? "too large" :
				archive_error_string(a)    ? archive_error_string(a) :
							     "no data");
	digest_end(d, imp->diff_id);
	archive_read_free(a);
	lseek(imp->plain_fd, 0, SEEK_SET);
	return imp->err.code;
}

static ssize_t read_plain(void *arg, const void **ret)
{
	struct image_import *imp = arg;
	ssize_t n = read(imp->plain_fd, imp->buffer, sizeof(imp->buffer));

	*ret = imp->buffer;
	return n < 0 ? -errno : n;
}

static int unpack(struct image_import *imp, int dir_fd)
{
	struct tar_extract_options opt = { .copy_uid_gid = true, .max_bytes = UNPACKED_MAX_BYTES };
	struct rootfs_mount mount = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = -1, .upper_fd = dir_fd, .fd = -1 };
	struct rootfs *fs;
	int r = rootfs_new(&mount, 1, &fs);

	if (r < 0)
		return error_set(&imp->err, r, "%s", strerror(-r));
	r = tar_extract(fs, "/", &opt, read_plain, imp, &imp->err);
	rootfs_free(fs);
	return r;
}

/* The same content twice is one directory. */
static void settle(struct image_import *imp, int parent_fd)
{
	if (renameat(parent_fd, imp->temporary, parent_fd, imp->diff_id + 7) == 0)
		return;
	if (errno == EEXIST || errno == ENOTEMPTY)
		rootfs_remove_tree(parent_fd, imp->temporary);
	else
		error_set(&imp->err, -errno, "%s: %s", imp->temporary, strerror(errno));
}

static void work(uv_work_t *w)
{
	struct image_import *imp = container_of(w, struct image_import, work);
	CLEANUP(freep) char *parent = rootfs_dir_of(imp);
	int parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC), dir_fd = -1;

	imp->plain_fd = open(parent, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (parent_fd < 0 || imp->plain_fd < 0 || mkdirat(parent_fd, imp->temporary, 0755) < 0 ||
	    fchmodat(parent_fd, imp->temporary, 0755, 0) < 0 ||
	    (dir_fd = openat(parent_fd, imp->temporary, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		error_set(&imp->err, -errno, "%s: %s", parent, strerror(errno));
	if (!imp->err.code && expand(imp) == 0 && unpack(imp, dir_fd) == 0) {
		imp->has_native = classify_tree(dir_fd, &imp->bytes);
		settle(imp, parent_fd);
	}
	if (imp->err.code && parent_fd >= 0)
		rootfs_remove_tree(parent_fd, imp->temporary);
	for (int *fd = (int[]){ parent_fd, dir_fd, imp->plain_fd, -2 }; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
}

/* ---- on the loop ---- */

static void import_free(struct image_import *imp)
{
	spool_free(imp->spool);
	json_decref(imp->config);
	free(imp->repo);
	free(imp->tag);
	free(imp->message);
	free(imp->temporary);
	free(imp);
}

static struct image *make_image(struct image_import *imp)
{
	CLEANUP(freep) char *root = xasprintf("%s/rootfs/%s", imp->images->options.data_root, imp->diff_id + 7);
	char when[CLOCK_RFC3339_MAX];
	json_t *config;

	clock_format_rfc3339(clock_wall_ns(), when);
	config = json_pack("{s:s, s:s, s:O, s:s, s:s, s:{s:s, s:[s]}, s:[{s:s, s:s}]}", "architecture", "amd64", "comment",
			   imp->message, "config", imp->config, "created", when, "os", "linux", "rootfs", "type",
			   "layers", "diff_ids", imp->diff_id, "history", "created", when, "comment", imp->message);
	return image_add(imp->images, config, IMAGE_IMPORTED, imp->diff_id + 7, root, (int64_t)imp->bytes, imp->has_native);
}

static void finish(struct image_import *imp)
{
	struct image *i = NULL;

	if (!imp->err.code) {
		i = make_image(imp);
		image_save(imp->images, i);
		image_event(imp->images, "import", i, i->id);
		if (imp->repo)
			images_tag(imp->images, i, imp->repo, imp->tag, &imp->err);
	}
	imp->done(imp->arg, i, imp->err.code ? &imp->err : NULL);
	import_free(imp);
}

static void after(uv_work_t *w, int status)
{
	(void)status;
	finish(container_of(w, struct image_import, work));
}

static void on_stored(void *arg, int result)
{
	struct image_import *imp = arg;

	if (result < 0 && !imp->err.code)
		error_set(&imp->err, result, "the upload cannot be stored: %s", strerror(-result));
	if (imp->err.code)
		finish(imp);
	else
		uv_queue_work(imp->images->options.loop, &imp->work, work, after);
}

static int check(const struct image_import_options *opt, json_t *config, struct error *err)
{
	struct reference ref;
	int r = 0;

	if (opt->repo && *opt->repo) {
		CLEANUP(freep)
		char *name = opt->tag && *opt->tag ? xasprintf("%s:%s", opt->repo, opt->tag) : xstrdup(opt->repo);

		r = reference_parse(name, &ref, err);
	}
	if (r == 0 && opt->platform && *opt->platform && strcmp(opt->platform, "linux") && strcmp(opt->platform, "linux/amd64"))
		r = error_set_class(err, ERROR_INVALID, "platform %.60s: this engine runs linux/amd64", opt->platform);
	for (const char *const *c = opt->changes; r == 0 && c && *c; c++)
		r = change_apply(config, *c, err);
	return r;
}

struct image_import *images_import(struct images *im, const struct image_import_options *opt, void (*on_drain)(void *arg),
				   void (*done)(void *arg, struct image *i, const struct error *err), void *arg,
				   struct error *err)
{
	struct image_import *imp = xnew(struct image_import);
	char id[ID_LEN + 1];

	imp->config = json_object();
	imp->plain_fd = -1;
	if (check(opt, imp->config, err) == 0) {
		imp->spool = spool_new(im->options.loop, im->options.data_root);
		if (!imp->spool)
			error_set(err, -errno, "no temporary file: %s", strerror(errno));
	}
	if (!imp->spool) {
		import_free(imp);
		return NULL;
	}
	id_generate(id);
	imp->images = im;
	imp->repo = opt->repo && *opt->repo ? xstrdup(opt->repo) : NULL;
	imp->tag = xstrdup(opt->tag);
	imp->message = xstrdup(opt->message && *opt->message ? opt->message : "Imported from -");
	imp->temporary = xasprintf("import-%.16s", id);
	imp->done = done;
	imp->arg = arg;
	spool_on_drain(imp->spool, on_drain, arg);
	return imp;
}

int image_import_write(struct image_import *imp, const void *data, size_t len)
{
	return spool_write(imp->spool, data, len);
}

void image_import_end(struct image_import *imp, int result)
{
	if (result < 0)
		error_set(&imp->err, result, "the upload broke off: %s", strerror(-result));
	spool_finish(imp->spool, on_stored, imp);
}
