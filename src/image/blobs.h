/* The content store's files: blobs by digest, verified while they are written.
 *
 * Bytes are first staged under <data root>/tmp by any thread; only the loop
 * gives a staged file its name blobs/sha256/<hex>, so that what is settled and what is
 * removed happen one after the other. Whether a blob is in use is layers.h's matter. */
#ifndef SOCKERLESS_IMAGE_BLOBS_H
#define SOCKERLESS_IMAGE_BLOBS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/digest.h"
#include "util/error.h"

/* Makes the directories; sweeps what a crash left staged. Blocks: start-up. */
int blobs_prepare(const char *data_root, struct error *err);

/* <data root>/blobs/sha256/<hex>; malloc'd. `digest` must be well formed. Any thread. */
char *blob_path(const char *data_root, const char *digest);

/* ---- staging: any thread, one at a time; blocks ---- */

struct blob_writer;
struct blob_writer *blob_writer_new(const char *data_root, struct error *err); /* NULL: err tells */
int blob_writer_add(struct blob_writer *w, const void *data, size_t len);      /* 0 or -errno */
/* The digest of all bytes, and the staged file's path (malloc'd, the caller's to settle or unlink). With an
 * `expected` digest (may be NULL) that differs: ERROR_INVALID, and the file is gone. Frees the writer. */
int blob_writer_end(struct blob_writer *w, const char *expected, char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes,
		    char **ret_path, struct error *err);
void blob_writer_abort(struct blob_writer *w); /* takes NULL */

/* The same for the whole of an open file that has no name yet (O_TMPFILE): nothing is copied where the
 * file system can name it. */
int blob_stage_file(const char *data_root, int fd, char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes,
		    char **ret_path, struct error *err);

/* ---- compression, by the first bytes ---- */

enum blob_compression { BLOB_PLAIN, BLOB_GZIP, BLOB_ZSTD, BLOB_BZIP2, BLOB_XZ };
enum blob_compression blob_compression_of(const void *data, size_t len);

/* A blob's bytes without their compression. Any thread, one at a time; blocks. */
struct blob_reader;
struct blob_reader *blob_reader_open(const char *path, struct error *err); /* NULL: err tells */
/* The same of a file that has just been found to have this digest: where it is plain, that is not computed again. */
struct blob_reader *blob_reader_open_known(const char *path, const char *digest, struct error *err);
enum blob_compression blob_reader_compression(const struct blob_reader *r);
uint64_t blob_reader_position(const struct blob_reader *r); /* compressed bytes read so far */
/* As tar_read_fn: count, 0 at the end, -errno; `arg` is the reader. */
ssize_t blob_reader_read(void *arg, const void **ret_data);
/* Reads what is left, frees, and tells the digest of all bytes without compression (may be NULL): it is the layer's
 * diff id. ERROR_INVALID when they cannot be decompressed. */
int blob_reader_end(struct blob_reader *r, char ret_diff_id[DIGEST_LEN + 1], struct error *err);
void blob_reader_close(struct blob_reader *r); /* as it is; takes NULL */
uint64_t blob_reader_drain(struct blob_reader *r); /* reads what is left: how many bytes it was without compression in all */

/* Stages the file's bytes, taken out of whatever compression they have, as gzip: the same bytes for the same input. Any
 * thread; blocks. The staged path (malloc'd) is the caller's to settle or unlink. */
int blob_compress(const char *data_root, const char *path, const atomic_bool *is_cancelled,
		  char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes, char **ret_path, struct error *err);

#endif
