/* gzip for layers on their way to a registry. */
#include <errno.h>
#include <stdlib.h>

#include <archive.h>
#include <archive_entry.h>

#include "image/blobs.h"

struct output {
	struct blob_writer *writer;
	int result;
};

static la_ssize_t on_bytes(struct archive *a, void *arg, const void *data, size_t len)
{
	struct output *out = arg;

	out->result = blob_writer_add(out->writer, data, len);
	if (out->result < 0)
		archive_set_error(a, -out->result, "%s", error_text(-out->result));
	return out->result < 0 ? -1 : (la_ssize_t)len;
}

/* The same bytes for the same input, so that a second push finds the first one's. */
static struct archive *open_gzip(struct output *out)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_set_format_raw(a);
	archive_write_add_filter_gzip(a);
	archive_write_set_filter_option(a, "gzip", "timestamp", NULL);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open(a, out, NULL, on_bytes, NULL);
	archive_write_header(a, entry);
	archive_entry_free(entry);
	return a;
}

int blob_compress(const char *data_root, const char *path, const atomic_bool *is_cancelled,
		  char ret_digest[DIGEST_LEN + 1], uint64_t *ret_bytes, char **ret_path, struct error *err)
{
	struct output out = { .writer = blob_writer_new(data_root, err) };
	struct blob_reader *reader;
	struct archive *a;
	const void *data;
	ssize_t n = 0;

	if (!out.writer)
		return err->code;
	reader = blob_reader_open(path, err);
	if (!reader) {
		blob_writer_abort(out.writer);
		return err->code;
	}
	a = open_gzip(&out);
	while (out.result == 0 && !atomic_load(is_cancelled) && (n = blob_reader_read(reader, &data)) > 0)
		if (archive_write_data(a, data, (size_t)n) != n)
			out.result = out.result < 0 ? out.result : -EIO;
	if (n < 0)
		out.result = (int)n;
	if (archive_write_close(a) != ARCHIVE_OK && out.result == 0)
		out.result = -EIO;
	archive_write_free(a);
	blob_reader_end(reader, NULL, NULL);
	if (out.result == 0 && atomic_load(is_cancelled))
		out.result = -ECANCELED;
	if (out.result < 0) {
		blob_writer_abort(out.writer);
		return error_set(err, out.result, "compressing %s: %s", path, error_text(-out.result));
	}
	return blob_writer_end(out.writer, NULL, ret_digest, ret_bytes, ret_path, err);
}
