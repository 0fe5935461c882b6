#include "image/blobs.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs/rootfs.h"
#include "rootfs/tar.h"
#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/id.h"

char *blob_path(const char *data_root, const char *digest)
{
	return xasprintf("%s/blobs/sha256/%s", data_root, digest + 7);
}

static int make_dir(const char *data_root, const char *name, struct error *err)
{
	CLEANUP(freep) char *path = xasprintf("%s/%s", data_root, name);

	return mkdir(path, 0700) < 0 && errno != EEXIST ? error_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* Partial downloads stay: the next try goes on from them. */
static void sweep_staged(const char *data_root)
{
	CLEANUP(freep) char *path = xasprintf("%s/tmp", data_root);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strncmp(e->d_name, "blob-", 5) == 0 || strncmp(e->d_name, "gone-", 5) == 0)
			rootfs_remove_tree(fd, e->d_name);
	if (d)
		closedir(d);
}

int blobs_prepare(const char *data_root, struct error *err)
{
	int r = make_dir(data_root, "blobs", err);

	if (r == 0)
		r = make_dir(data_root, "blobs/sha256", err);
	if (r == 0)
		r = make_dir(data_root, "tmp", err);
	if (r == 0)
		sweep_staged(data_root);
	return r;
}

/* ---- staging ---- */

struct blob_writer {
	int fd;
	char *path;
	struct digest *digest;
	uint64_t bytes;
};

static char *staged_name(const char *data_root)
{
	char id[ID_LEN + 1];

	id_generate(id);
	return xasprintf("%s/tmp/blob-%.16s", data_root, id);
}

struct blob_writer *blob_writer_new(const char *data_root, struct error *err)
{
	struct blob_writer *w = xnew(struct blob_writer);

	w->path = staged_name(data_root);
	w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0) {
		error_set(err, -errno, "%s: %s", w->path, strerror(errno));
		free(w->path);
		free(w);
		return NULL;
	}
	w->digest = digest_new();
	return w;
}

int blob_writer_add(struct blob_writer *w, const void *data, size_t len)
{
	const char *p = data;

	digest_add(w->digest, data, len);
	w->bytes += len;
	while (len > 0) {
		ssize_t n = write(w->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static void writer_free(struct blob_writer *w)
{
	close(w->fd);
	free(w->path);
	free(w);
}

int blob_writer_end(struct blob_writer *w, const char *expected, char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes,
		    char **ret_path, struct error *err)
{
	int r = 0;

	digest_end(w->digest, ret_digest);
	if (expected && strcmp(expected, ret_digest) != 0) {
		unlink(w->path);
		r = error_set_class(err, ERROR_INVALID, "invalid checksum digest: expected %.80s, got %s", expected, ret_digest);
	} else {
		*ret_path = steal_ptr(w->path);
		*ret_bytes = w->bytes;
	}
	writer_free(w);
	return r;
}

void blob_writer_abort(struct blob_writer *w)
{
	if (!w)
		return;
	digest_end(w->digest, NULL);
	unlink(w->path);
	writer_free(w);
}

/* ---- files without a name ---- */

static int copy_file(const char *data_root, int fd, char **ret_path, struct error *err)
{
	struct blob_writer *w = blob_writer_new(data_root, err);
	char digest[DIGEST_LEN + 1], buffer[65536];
	uint64_t bytes;
	ssize_t n = 0;
	int r = 0;

	if (!w)
		return err ? err->code : -EIO;
	for (off_t at = 0; r == 0 && (n = pread(fd, buffer, sizeof(buffer), at)) > 0; at += n)
		r = blob_writer_add(w, buffer, (size_t)n);
	if (r == 0 && n < 0)
		r = -errno;
	if (r == 0)
		return blob_writer_end(w, NULL, digest, &bytes, ret_path, err);
	blob_writer_abort(w);
	return error_set(err, r, "the content store: %s", strerror(-r));
}

int blob_stage_file(const char *data_root, int fd, char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes,
		    char **ret_path, struct error *err)
{
	struct digest *d = digest_new();
	CLEANUP(freep) char *self = xasprintf("/proc/self/fd/%d", fd), *path = staged_name(data_root);
	char buffer[65536];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		digest_add(d, buffer, (size_t)n);
		at += n;
	}
	digest_end(d, ret_digest);
	if (n < 0)
		return error_set(err, -errno, "the content store: %s", strerror(errno));
	*ret_bytes = (uint64_t)at;
	if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0)
		return copy_file(data_root, fd, ret_path, err);
	*ret_path = steal_ptr(path);
	return 0;
}

/* ---- compression ---- */

enum blob_compression blob_compression_of(const void *data, size_t len)
{
	static const struct {
		const char *magic;
		size_t len;
		enum blob_compression is;
	} known[] = { { "\x1f\x8b", 2, BLOB_GZIP },
		      { "\x28\xb5\x2f\xfd", 4, BLOB_ZSTD },
		      { "BZh", 3, BLOB_BZIP2 },
		      { "\xfd\x37zXZ", 6, BLOB_XZ } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (len >= known[i].len && memcmp(data, known[i].magic, known[i].len) == 0)
			return known[i].is;
	return BLOB_PLAIN;
}

enum { READ_SIZE = 128 * 1024 };

struct blob_reader {
	int fd;
	struct archive *archive; /* NULL: plain */
	enum blob_compression compression;
	struct digest *diff_id;  /* NULL: it is `known` */
	char known[DIGEST_LEN + 1];
	uint64_t position, plain_bytes;
	int result;              /* of the last read: 0 at the end, or -errno */
	bool is_ended;
	char buffer[READ_SIZE];
};

static la_ssize_t on_read(struct archive *a, void *arg, const void **ret)
{
	struct blob_reader *r = arg;
	ssize_t n = read(r->fd, r->buffer, sizeof(r->buffer));

	(void)a;
	*ret = r->buffer;
	r->position += n > 0 ? (uint64_t)n : 0;
	return n;
}

static int open_compressed(struct blob_reader *r, struct error *err)
{
	struct archive_entry *e;

	r->archive = archive_read_new();
	tar_accept_compressions(r->archive);
	archive_read_support_format_raw(r->archive);
	if (archive_read_open(r->archive, r, NULL, on_read, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(r->archive, &e) != ARCHIVE_OK)
		return error_set_class(err, ERROR_INVALID, "the layer cannot be decompressed: %s",
				       archive_error_string(r->archive));
	return 0;
}

static void reader_free(struct blob_reader *r)
{
	if (r->archive)
		archive_read_free(r->archive);
	close(r->fd);
	free(r);
}

struct blob_reader *blob_reader_open(const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct blob_reader *r;
	char magic[8];
	ssize_t n;

	if (fd < 0) {
		error_set(err, -errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	r = xnew(struct blob_reader);
	r->fd = fd;
	n = pread(fd, magic, sizeof(magic), 0);
	r->compression = blob_compression_of(magic, n > 0 ? (size_t)n : 0);
	if (r->compression != BLOB_PLAIN && open_compressed(r, err) < 0) {
		reader_free(r);
		return NULL;
	}
	r->diff_id = digest_new();
	return r;
}

struct blob_reader *blob_reader_open_known(const char *path, const char *digest, struct error *err)
{
	struct blob_reader *r = blob_reader_open(path, err);

	if (r && r->compression == BLOB_PLAIN) {
		digest_end(r->diff_id, NULL);
		r->diff_id = NULL;
		memcpy(r->known, digest, sizeof(r->known));
	}
	return r;
}

enum blob_compression blob_reader_compression(const struct blob_reader *r)
{
	return r->compression;
}

uint64_t blob_reader_position(const struct blob_reader *r)
{
	return r->position;
}

ssize_t blob_reader_read(void *arg, const void **ret)
{
	struct blob_reader *r = arg;
	const void *data = r->buffer;
	size_t len = 0;
	la_int64_t at;
	ssize_t n;
	int got;

	if (r->is_ended)
		return r->result;
	if (!r->archive) {
		n = on_read(NULL, r, &data);
		n = n < 0 ? -errno : n;
	} else {
		do
			got = archive_read_data_block(r->archive, &data, &len, &at);
		while (got == ARCHIVE_OK && len == 0);
		n = got == ARCHIVE_OK ? (ssize_t)len : got == ARCHIVE_EOF ? 0 : -EBADMSG;
	}
	if (n > 0)
		r->plain_bytes += (uint64_t)n;
	else
		r->is_ended = true, r->result = (int)n;
	if (n > 0 && r->diff_id)
		digest_add(r->diff_id, data, (size_t)n);
	*ret = data;
	return n;
}

uint64_t blob_reader_drain(struct blob_reader *r)
{
	const void *data;

	while (blob_reader_read(r, &data) > 0)
		;
	return r->plain_bytes;
}

void blob_reader_close(struct blob_reader *r)
{
	if (!r)
		return;
	if (r->diff_id)
		digest_end(r->diff_id, NULL);
	reader_free(r);
}

int blob_reader_end(struct blob_reader *r, char ret_diff_id[DIGEST_LEN + 1], struct error *err)
{
	int result;

	blob_reader_drain(r);
	result = r->result;
	if (result < 0)
		result = error_set_class(err, ERROR_INVALID, "the layer cannot be read: %s",
					 r->archive ? archive_error_string(r->archive) : strerror(-result));
	if (r->diff_id)
		digest_end(r->diff_id, ret_diff_id);
	else if (ret_diff_id)
		memcpy(ret_diff_id, r->known, sizeof(r->known));
	reader_free(r);
	return result;
}
