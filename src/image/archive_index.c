#include "image/archive_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/cleanup.h"
#include "util/locale.h"
#include "util/map.h"

enum { LINKS_MAX = 40, PATH_BYTES = 2 * ARCHIVE_NAME_MAX };

struct archive_index {
	int fd;
	int64_t size;
	struct map files; /* clean path → struct archive_file */
};

/* ---- paths: components joined by single slashes, nothing in front ---- */

/* Appends the components of `path` to the clean path in `out`. ".." takes one away, and stops at the root; false: it is
 * too long. */
static bool join(char out[PATH_BYTES], const char *path)
{
	size_t n = strlen(out);

	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			while (n > 0 && out[n - 1] != '/')
				n--;
			n -= n > 0;
			out[n] = '\0';
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (n + len + 2 > PATH_BYTES)
				return false;
			if (n > 0)
				out[n++] = '/';
			memcpy(out + n, path, len);
			n += len;
			out[n] = '\0';
		}
		path += len;
		path += strspn(path, "/");
	}
	return true;
}

static bool has_dotdot(const char *path)
{
	for (const char *p = path; (p = strstr(p, "..")); p += 2)
		if ((p == path || p[-1] == '/') && (p[2] == '/' || p[2] == '\0'))
			return true;
	return false;
}

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash ? slash : path) = '\0';
}

/* ---- the archive ---- */

static void put(struct archive_index *x, const char *name, char *take_link, int64_t offset, int64_t size)
{
	struct archive_file *f = map_get(&x->files, name);

	if (!f) {
		f = xnew(struct archive_file);
		map_put(&x->files, name, f);
	}
	free(f->link); /* of two entries with one name the last one counts */
	*f = (struct archive_file){ take_link, offset, size };
}

/* A symbolic link is told from its own directory, a hard link from the root. */
static int put_link(struct archive_index *x, const char *name, const char *target, bool is_symlink, struct error *err)
{
	char to[PATH_BYTES] = "";

	if (is_symlink && target[0] != '/') {
		snprintf(to, sizeof(to), "%s", name);
		drop_last(to);
	}
	if (strlen(target) >= ARCHIVE_NAME_MAX || !join(to, target))
		return error_set_class(err, ERROR_INVALID, "invalid archive: the name of a link's target is too long");
	put(x, name, xstrdup(to), 0, 0);
	return 0;
}

static int put_entry(struct archive_index *x, struct archive *a, struct archive_entry *e, struct error *err)
{
	const char *said = archive_entry_pathname(e), *hard = archive_entry_hardlink(e), *soft = archive_entry_symlink(e);
	int64_t offset = archive_filter_bytes(a, 0), size = archive_entry_size(e);
	char name[PATH_BYTES] = "";

	if (!said || strlen(said) >= ARCHIVE_NAME_MAX || !join(name, said))
		return error_set_class(err, ERROR_INVALID, "invalid archive: the name of an entry is too long, or none");
	if (has_dotdot(said))
		return error_set_class(err, ERROR_INVALID, "invalid archive: %.200s is outside of it", said);
	if (x->files.count >= ARCHIVE_ENTRIES_MAX)
		return error_set_class(err, ERROR_INVALID, "invalid archive: more than %d entries", ARCHIVE_ENTRIES_MAX);
	if (hard || soft)
		return put_link(x, name, hard ? hard : soft, !hard, err);
	if (archive_entry_filetype(e) != AE_IFREG || !*name)
		return 0;
	if (archive_entry_sparse_count(e) > 0)
		return error_set_class(err, ERROR_INVALID, "invalid archive: %.200s is sparse", said);
	if (size < 0 || offset > x->size || size > x->size - offset)
		return error_set_class(err, ERROR_INVALID, "unexpected EOF");
	put(x, name, NULL, offset, size);
	return 0;
}

static int broken(const struct archive_index *x, struct archive *a, struct error *err)
{
	const char *why = archive_error_string(a);

	if (x->size < 512 || (why && strstr(why, "runcated")))
		return error_set_class(err, ERROR_INVALID, "unexpected EOF");
	return error_set_class(err, ERROR_INVALID, "archive/tar: invalid tar header");
}

static int read_all(struct archive_index *x, struct archive *a, struct error *err)
{
	struct archive_entry *e;
	int got, r = 0;

	archive_read_support_format_tar(a);
	archive_read_support_format_empty(a);
	if (lseek(x->fd, 0, SEEK_SET) < 0)
		return error_set(err, -errno, "the archive: %s", strerror(errno));
	if (archive_read_open_fd(a, x->fd, 64 * 1024) != ARCHIVE_OK)
		return broken(x, a, err);
	while (r == 0 && ((got = archive_read_next_header(a, &e)) == ARCHIVE_OK || got == ARCHIVE_WARN))
		r = put_entry(x, a, e, err);
	return r < 0 || got == ARCHIVE_EOF ? r : broken(x, a, err);
}

int archive_index_open(int fd, struct archive_index **ret, struct error *err)
{
	struct archive_index *x = xnew(struct archive_index);
	locale_t before = locale_enter_utf8();
	struct archive *a = archive_read_new();
	struct stat st;
	int r;

	x->fd = fd;
	map_init(&x->files);
	if (fstat(fd, &st) < 0)
		r = error_set(err, -errno, "the archive: %s", strerror(errno));
	else if (!a)
		r = error_set(err, -ENOMEM, "out of memory");
	else {
		x->size = st.st_size;
		r = read_all(x, a, err);
	}
	archive_read_free(a);
	locale_leave(before);
	if (r < 0) {
		archive_index_free(x);
		return r;
	}
	*ret = x;
	return 0;
}

void archive_index_free(struct archive_index *x)
{
	const struct map_entry *e;
	size_t pos = 0;

	if (!x)
		return;
	while ((e = map_next(&x->files, &pos))) {
		free(((struct archive_file *)e->value)->link);
		free(e->value);
	}
	map_done(&x->files);
	free(x);
}

/* ---- look-up ---- */

const struct archive_file *archive_index_find(const struct archive_index *x, const char *path)
{
	CLEANUP(freep) char *rest = xstrdup(path);
	char at[PATH_BYTES] = "";

	/* Each link met puts its target before what is left of the path, and the walk begins anew. */
	for (unsigned links = 0; links < LINKS_MAX; links++) {
		const struct archive_file *f = NULL;
		const char *p = rest;
		char *next;

		*at = '\0';
		while (*p && !(f && f->link)) {
			CLEANUP(freep) char *one = xstrndup(p, strcspn(p, "/"));

			if (!join(at, one))
				return NULL;
			p += strlen(one);
			p += strspn(p, "/");
			f = map_get(&x->files, at);
		}
		if (!f || !f->link)
			return f;
		if (strlen(f->link) + strlen(p) + 2 > PATH_BYTES)
			return NULL;
		next = xasprintf("%s/%s", f->link, p);
		free(rest);
		rest = next;
	}
	return NULL;
}

int archive_index_text(const struct archive_index *x, const char *path, size_t max, char **ret, size_t *ret_len,
		       struct error *err)
{
	const struct archive_file *f = archive_index_find(x, path);
	char *text;

	if (!f)
		return -ENOENT;
	if ((uint64_t)f->size > max)
		return error_set_class(err, ERROR_INVALID, "invalid archive: %.200s is larger than %zu bytes", path, max);
	text = xmalloc((size_t)f->size + 1);
	for (int64_t at = 0; at < f->size;) {
		ssize_t n = pread(x->fd, text + at, (size_t)(f->size - at), f->offset + at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(text);
			return error_set(err, n < 0 ? -errno : -EIO, "the archive cannot be read: %s",
					 strerror(n < 0 ? errno : EIO));
		}
		at += n;
	}
	text[f->size] = '\0';
	*ret = text;
	*ret_len = (size_t)f->size;
	return 0;
}
