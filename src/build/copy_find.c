/* The sources of COPY and ADD: wildcards, and digests of what they hold (moby:
 * builder/dockerfile/copy.go; patterns are Go's filepath.Match). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/copy.h"
#include "build/git.h"
#include "build/internal.h"
#include "dockerfile/glob.h"
#include "dockerfile/text.h"
#include "util/alloc.h"
#include "util/cleanup.h"

/* ---- directories ---- */

int copy_each(struct rootfs *fs, const char *path, int (*each)(void *arg, const char *name), void *arg)
{
	struct rootfs_names names;
	struct rootfs_dir *dir;
	int r = rootfs_open_dir(fs, NULL, NULL, *path ? path : "/", &dir);

	if (r < 0)
		return r;
	r = rootfs_names_read(fs, dir, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = each(arg, names.v[i]);
	rootfs_names_done(&names);
	rootfs_dir_unref(dir);
	return r;
}

int copy_join(char out[4096], const char *dir, const char *name)
{
	int n = snprintf(out, BUILD_PATH_MAX, "%s%s%s", dir, *dir && *name && dir[strlen(dir) - 1] != '/' ? "/" : "", name);

	return n < BUILD_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- digests ---- */

struct hashing {
	struct copy_job *job;
	struct rootfs *fs;
	struct digest *digest;
	const char *path;     /* of the directory under way, in the root */
	const char *relative; /* the same, as seen from the source */
};

static int hash_content(struct hashing *h, const char *path)
{
	struct rootfs_file f;
	char buffer[65536];
	ssize_t n;
	int r = rootfs_open(h->fs, NULL, NULL, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, &f);

	if (r < 0)
		return r;
	while ((n = f.fd >= 0 ? read(f.fd, buffer, sizeof(buffer)) : 0) > 0 && !atomic_load(h->job->is_cancelled))
		digest_add(h->digest, buffer, (size_t)n);
	r = n < 0 ? -errno : 0;
	rootfs_file_done(&f);
	return atomic_load(h->job->is_cancelled) ? -ECANCELED : r;
}

static int hash_entry(void *arg, const char *name);

/* What tells one file from another: times do not, nor owners that are not kept. */
static int hash_one(struct hashing *h, const char *path, const char *relative, const struct rootfs_stat *st)
{
	bool keeps_owner = h->job->is_from_image && !*h->job->chown;
	char head[BUILD_PATH_MAX + 200], link[BUILD_PATH_MAX];
	ssize_t len;
	int n = snprintf(head, sizeof(head), "%s%c%o %u %u %lld %llu%c", relative, 0, st->mode,
			 keeps_owner ? st->uid : 0, keeps_owner ? st->gid : 0,
			 S_ISREG(st->mode) ? (long long)st->size : 0LL, (unsigned long long)st->rdev, 0);

	digest_add(h->digest, head, (size_t)n);
	if (S_ISREG(st->mode))
		return hash_content(h, path);
	if (S_ISLNK(st->mode)) {
		len = rootfs_readlink(h->fs, NULL, NULL, path, link, sizeof(link));
		if (len < 0)
			return (int)len;
		digest_add(h->digest, link, (size_t)len);
	}
	if (S_ISDIR(st->mode)) {
		struct hashing below = { h->job, h->fs, h->digest, path, relative };

		return copy_each(h->fs, path, hash_entry, &below);
	}
	return 0;
}

static int hash_entry(void *arg, const char *name)
{
	struct hashing *h = arg;
	char path[BUILD_PATH_MAX], relative[BUILD_PATH_MAX];
	struct rootfs_stat st;
	int r = copy_join(path, h->path, name);

	if (r == 0)
		r = copy_join(relative, h->relative, name);
	if (r == 0 && h->job->excludes && ignore_matches(h->job->excludes, relative))
		if (!ignore_has_exceptions(h->job->excludes))
			return 0;
	if (r == 0)
		r = rootfs_stat(h->fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st);
	return r < 0 ? r : hash_one(h, path, relative, &st);
}

static int hash_source(struct copy_job *j, struct rootfs *fs, struct copy_source *s, const struct rootfs_stat *st)
{
	struct hashing h = { j, fs, digest_new(), "", "" };
	char text[DIGEST_LEN + 1], path[BUILD_PATH_MAX];
	int r = copy_join(path, "/", s->path);

	if (r == 0)
		r = hash_one(&h, path, s->is_dir ? "" : s->name, st);
	digest_end(h.digest, text);
	s->hash = arena_printf(&j->arena, "%s:%s", s->is_dir ? "dir" : "file", text + 7);
	return r;
}

/* ---- which files are meant ---- */

static struct copy_source *add_source(struct copy_job *j)
{
	if (j->nfound == j->found_size) {
		size_t size = j->found_size ? 2 * j->found_size : 8;
		struct copy_source *found = arena_alloc(&j->arena, size * sizeof(*found));

		if (j->nfound)
			memcpy(found, j->found, j->nfound * sizeof(*found));
		j->found = found;
		j->found_size = size;
	}
	return &j->found[j->nfound++];
}

static int missing(struct copy_job *j, const char *path)
{
	const char *shown = *path ? path : ".";

	if (j->is_from_image)
		return error_set(&j->err, -ENOENT, "%s failed: stat %.400s: file does not exist", j->name, shown);
	return error_set(&j->err, -ENOENT,
			 "%s failed: file not found in build context or excluded by .dockerignore: stat %.400s: file does not exist",
			 j->name, shown);
}

static int failed(struct copy_job *j, const char *path, int r)
{
	return j->err.code ? j->err.code : error_set(&j->err, r, "%s failed: %.400s: %s", j->name, path, error_text(-r));
}

/* What of the path comes along with --parents: all of it, or what follows "/./". */
static char *parents_of(struct copy_job *j, const char *source, const char *path)
{
	const char *pivot = strstr(source, "/./"), *rest = path;
	const char *slash;

	if (!j->has_parents)
		return arena_dup(&j->arena, "");
	if (pivot) { /* as many directories as there are before it */
		for (const char *p = text_clean_path(&j->arena, arena_ndup(&j->arena, source, (size_t)(pivot - source)));
		     *p; p++)
			if (*p == '/' || !p[1]) {
				const char *next = strchr(rest, '/');

				rest = next ? next + 1 : rest;
			}
	}
	slash = strrchr(rest, '/');
	return slash ? arena_ndup(&j->arena, rest, (size_t)(slash - rest)) : arena_dup(&j->arena, "");
}

static int take_path(struct copy_job *j, struct rootfs *fs, const char *source, const char *path)
{
	struct copy_source s = { .path = arena_dup(&j->arena, path) };
	const char *slash = strrchr(path, '/');
	char full[BUILD_PATH_MAX];
	struct rootfs_stat st;
	int r = copy_join(full, "/", path);

	if (r == 0)
		r = rootfs_stat(fs, NULL, NULL, full, 0, &st);
	if (r == -ENOENT || r == -ENOTDIR)
		return missing(j, path);
	s.name = arena_dup(&j->arena, slash ? slash + 1 : path);
	s.is_dir = r == 0 && S_ISDIR(st.mode);
	if (j->has_parents && s.is_dir) /* the directory itself comes along */
		s.parents = parents_of(j, source, arena_printf(&j->arena, "%s/x", path));
	else
		s.parents = parents_of(j, source, path);
	if (r == 0 && !s.is_dir && j->excludes && ignore_matches(j->excludes, s.name))
		return 0;
	if (r == 0)
		r = hash_source(j, fs, &s, &st);
	if (r < 0)
		return failed(j, path, r);
	*add_source(j) = s;
	return 0;
}

struct matching {
	struct copy_job *job;
	struct rootfs *fs;
	const char *source, *pattern, *dir;
	unsigned depth, most; /* a star passes no slash: deeper than the pattern nothing matches */
};

static int match_entry(void *arg, const char *name)
{
	struct matching *m = arg, below = *m;
	char path[BUILD_PATH_MAX], full[BUILD_PATH_MAX + 1];
	struct rootfs_stat st;
	int r = copy_join(path, m->dir, name);

	if (r == 0)
		r = copy_join(full, "/", path);
	if (r == 0 && glob_path_match(m->pattern, path))
		r = take_path(m->job, m->fs, m->source, path);
	if (r < 0 || m->depth == m->most || rootfs_stat(m->fs, NULL, NULL, full, AT_SYMLINK_NOFOLLOW, &st) < 0 ||
	    !S_ISDIR(st.mode))
		return r;
	below.dir = path;
	below.depth++;
	return copy_each(m->fs, full, match_entry, &below);
}

static unsigned count_slashes(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '/';
	return n;
}

static int find_one(struct copy_job *j, struct rootfs *fs, const char *source)
{
	const char *pattern = source;
	struct matching m = { .job = j, .fs = fs, .source = source, .dir = "" };
	int r;

	pattern += *pattern == '/';
	if (!glob_path_has_wildcards(pattern)) {
		char *path = text_clean_path(&j->arena, arena_printf(&j->arena, "/%s", pattern));

		return take_path(j, fs, source, path + 1);
	}
	pattern = text_clean_path(&j->arena, pattern);
	if (!glob_path_is_valid(pattern))
		return 0; /* as Docker: it matches nothing */
	m.pattern = pattern;
	m.most = count_slashes(pattern);
	r = copy_each(fs, "/", match_entry, &m);
	return r < 0 ? failed(j, source, r) : 0;
}

static void add_documents(struct copy_job *j)
{
	for (size_t i = 0; i < j->ndocuments; i++) {
		struct copy_source s = j->documents[i];
		struct digest *d;
		char text[DIGEST_LEN + 1];

		if (s.file) {
			s.path = s.parents = arena_dup(&j->arena, "");
			*add_source(j) = s;
			continue;
		}
		d = digest_new();
		digest_add(d, s.name, strlen(s.name) + 1);
		digest_add(d, s.content, strlen(s.content));
		digest_end(d, text);
		s.path = s.parents = arena_dup(&j->arena, "");
		s.hash = arena_printf(&j->arena, "file:%s", text + 7);
		*add_source(j) = s;
	}
}

int copy_find(struct copy_job *j)
{
	CLEANUP(closep) int fd = -1;
	struct rootfs *fs;
	int r = 0;

	if (j->checkout && git_take_checkout(j->checkout, j->checkout_dir, j->source_root, j->keeps_git, &j->err) < 0) {
		error_prefix(&j->err, "%s failed", j->name);
		return j->err.code;
	}
	r = context_view(j->source_root, false, &fs, &fd, &j->err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < j->sources.count; i++)
		r = find_one(j, fs, j->sources.items[i]);
	rootfs_free(fs);
	if (r < 0)
		return r;
	add_documents(j);
	if (j->nfound == 0)
		return error_set(&j->err, -EINVAL, "%s failed: no source files were specified", j->name);
	if (j->nfound > 1 && j->dest[strlen(j->dest) - 1] != '/')
		return error_set(&j->err, -EINVAL,
				 "When using %s with more than one source file, the destination must be a directory and end with a /",
				 j->name);
	return 0;
}
