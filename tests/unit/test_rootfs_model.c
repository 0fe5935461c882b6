/* Random changes, made both in a view and in a plain directory: what they
 * answer and what is there afterwards must be the same. The one lawful
 * difference is EXDEV, where a directory of the image would be renamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/rootfs-fixture.h"

enum { ROUNDS = 60, STEPS = 250 };

static uint32_t seed;

static uint32_t below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

/* Few names, so that things meet. */
static const char *some_path(char out[64])
{
	static const char *const names[] = { "a", "b", "c", ".wh.a", ".wh..wh..opq" };
	size_t n = 0;

	for (uint32_t depth = below(3) + 1; depth > 0; depth--)
		n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? "/" : "", names[below(below(3) ? 3 : 5)]);
	return out;
}

static const char *rooted(const char *path, char out[72])
{
	snprintf(out, 72, "/%s", path);
	return out;
}

/* ---- the same change on both sides ---- */

struct sides {
	struct rootfs *fs;
	int model;
};

static int model_write(int dir, const char *path, const char *text, int flags)
{
	int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int view_write(struct rootfs *fs, const char *path, const char *text, int flags)
{
	struct rootfs_file f;
	int r = rootfs_open(fs, NULL, NULL, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0644, &f);

	if (r < 0)
		return r;
	r = f.fd < 0 ? -EISDIR : write(f.fd, text, strlen(text)) < 0 ? -errno : 0;
	rootfs_file_done(&f);
	return r;
}

#define OF(call) ((call) < 0 ? -errno : 0)

/* 1: the step was lawfully different and was left out. */
static int step(struct sides *s, char what[256])
{
	char p[64], q[64], vp[72], vq[72];
	int flags, v, m;
	uint32_t mode;

	rooted(some_path(p), vp);
	rooted(some_path(q), vq);
	switch (below(9)) {
	case 0:
		flags = below(2) ? O_CREAT : below(2) ? O_CREAT | O_EXCL : O_CREAT | O_TRUNC;
		snprintf(what, 256, "write %s %x", p, flags);
		v = view_write(s->fs, vp, q, flags);
		m = model_write(s->model, p, q, flags);
		break;
	case 1:
		snprintf(what, 256, "append %s", p);
		v = view_write(s->fs, vp, q, O_APPEND);
		m = model_write(s->model, p, q, O_APPEND);
		break;
	case 2:
		snprintf(what, 256, "mkdir %s", p);
		v = rootfs_mkdir(s->fs, NULL, NULL, vp, 0755);
		m = OF(mkdirat(s->model, p, 0755));
		break;
	case 3:
		snprintf(what, 256, "rmdir %s", p);
		v = rootfs_unlink(s->fs, NULL, NULL, vp, AT_REMOVEDIR);
		m = OF(unlinkat(s->model, p, AT_REMOVEDIR));
		break;
	case 4:
		snprintf(what, 256, "unlink %s", p);
		v = rootfs_unlink(s->fs, NULL, NULL, vp, 0);
		m = OF(unlinkat(s->model, p, 0));
		break;
	case 5:
	case 6:
		flags = below(4) ? 0 : RENAME_NOREPLACE;
		snprintf(what, 256, "rename %s %s %x", p, q, flags);
		v = rootfs_rename(s->fs, NULL, NULL, vp, NULL, vq, (unsigned)flags);
		if (v == -EXDEV)
			return 1;
		m = OF(renameat2(s->model, p, s->model, q, (unsigned)flags));
		break;
	case 7:
		snprintf(what, 256, "link or symlink %s %s", p, q);
		if (below(2)) {
			v = rootfs_link(s->fs, NULL, NULL, vp, NULL, vq, 0);
			m = OF(linkat(s->model, p, s->model, q, 0));
		} else {
			v = rootfs_symlink(s->fs, NULL, "nowhere", NULL, vq);
			m = OF(symlinkat("nowhere", s->model, q));
		}
		break;
	default:
		mode = below(2) ? 0700 : 0644 + below(2) * 0111;
		snprintf(what, 256, "chmod %s %o", p, mode);
		v = rootfs_chmod(s->fs, NULL, NULL, vp, mode, 0);
		m = OF(fchmodat(s->model, p, mode, 0));
		break;
	}
	if (v != m)
		snprintf(what + strlen(what), 256 - strlen(what), ": view %d, plain %d", v, m);
	return v == m ? 0 : -1;
}

/* ---- what is there: every name, told the same way ---- */

struct tale {
	char *lines[4096];
	size_t n;
};

static void tell(struct tale *t, const char *path, uint32_t mode, uint64_t nlink, const char *text)
{
	char line[512];

	if (S_ISDIR(mode))
		nlink = 0; /* counts subdirectories on some file systems */
	snprintf(line, sizeof(line), "%s %o %lu %s", path, S_ISLNK(mode) ? S_IFLNK : mode, (unsigned long)nlink, text);
	if (t->n < 4096)
		t->lines[t->n++] = strdup(line);
}

static void tell_plain(struct tale *t, int dir, const char *path);

static void tell_view(struct tale *t, struct rootfs *fs, const char *path);

struct child {
	struct tale *t;
	struct rootfs *fs;
	const char *path;
};

static int view_child(void *arg, const struct rootfs_dirent *e)
{
	struct child *c = arg;
	char path[512];

	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", c->path, e->name);
	tell_view(c->t, c->fs, path);
	return 0;
}

static void tell_view(struct tale *t, struct rootfs *fs, const char *path)
{
	struct child c = { t, fs, path };
	struct rootfs_listing *l;
	struct rootfs_dir *dir;
	struct rootfs_file f;
	struct rootfs_stat st;
	uint64_t cookie = 0;
	char text[256] = "";

	if (rootfs_stat(fs, NULL, NULL, *path ? path : "/", AT_SYMLINK_NOFOLLOW, &st) < 0) {
		tell(t, path, 0, 0, "listed, but not there");
		return;
	}
	if (S_ISREG(st.mode) && rootfs_open(fs, NULL, NULL, path, O_RDONLY | O_CLOEXEC, 0, &f) == 0) {
		ssize_t n = read(f.fd, text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = '\0';
		rootfs_file_done(&f);
	}
	if (*path)
		tell(t, path, st.mode, st.nlink, text);
	if (!S_ISDIR(st.mode) || rootfs_open_dir(fs, NULL, NULL, *path ? path : "/", &dir) < 0)
		return;
	if (rootfs_listing_new(fs, dir, &l) == 0) {
		rootfs_listing_read(l, &cookie, view_child, &c);
		rootfs_listing_free(l);
	}
	rootfs_dir_unref(dir);
}

static void tell_plain(struct tale *t, int dir, const char *path)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char text[256] = "", sub[512];
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW);
		if (S_ISREG(st.st_mode)) {
			int in = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
			ssize_t n = read(in, text, sizeof(text) - 1);

			text[n > 0 ? n : 0] = '\0';
			close(in);
		}
		tell(t, sub, st.st_mode, st.st_nlink, text);
		if (S_ISDIR(st.st_mode)) {
			int below_fd = openat(dirfd(d), e->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);

			tell_plain(t, below_fd, sub);
			close(below_fd);
		}
	}
	closedir(d);
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_same(struct tale *a, struct tale *b)
{
	bool same = a->n == b->n;

	qsort(a->lines, a->n, sizeof(a->lines[0]), by_line);
	qsort(b->lines, b->n, sizeof(b->lines[0]), by_line);
	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->lines[i], b->lines[i]) == 0;
	for (size_t i = 0; !same && i < (a->n > b->n ? a->n : b->n); i++)
		print_error("view: %-40s plain: %s\n", i < a->n ? a->lines[i] : "-", i < b->n ? b->lines[i] : "-");
	for (size_t i = 0; i < a->n; i++)
		free(a->lines[i]);
	for (size_t i = 0; i < b->n; i++)
		free(b->lines[i]);
	return same;
}

/* ---- the test ---- */

static void fill(int dir, bool is_layer)
{
	static const char *const dirs[] = { "a", "a/b", "a/b/c", "b", "b/a" }, *const files[] = { "c", "a/a", "a/b/a",
												  "b/b", "b/c" };

	for (size_t i = 0; i < 5; i++)
		mkdirat(dir, dirs[i], 0755);
	for (size_t i = 0; i < 5; i++)
		put_host(dir, files[i], files[i]);
	put_host(dir, is_layer ? "b/.wh..wh.esc.a" : "b/.wh.a", "odd");
}

static void test_against_a_plain_directory(void **state)
{
	struct fixture *f = *state;
	static struct tale view, plain;
	char what[256];

	umask(0);
	for (int round = 0; round < ROUNDS; round++) {
		struct sides s;
		char dir[16];

		seed = (uint32_t)round * 2654435761u + 1;
		close(f->lower);
		close(f->upper);
		for (int i = 0; i < 3; i++) {
			snprintf(dir, sizeof(dir), "%s", i == 0 ? "lower" : i == 1 ? "upper" : "plain");
			rootfs_remove_tree(f->root_fd, dir);
			mkdirat(f->root_fd, dir, 0755);
		}
		f->lower = openat(f->root_fd, "lower", O_PATH | O_DIRECTORY);
		f->upper = openat(f->root_fd, "upper", O_PATH | O_DIRECTORY);
		s.model = openat(f->root_fd, "plain", O_PATH | O_DIRECTORY);
		fill(f->lower, true);
		fill(s.model, false);
		assert_int_equal(fixture_reopen(f), 0);
		for (int i = 0; i < STEPS; i++) {
			s.fs = f->fs;
			if (step(&s, what) < 0)
				fail_msg("round %d, step %d: %s", round, i, what);
			if (i % 25 && i != STEPS - 1)
				continue;
			assert_int_equal(fixture_reopen(f), 0); /* nothing is known but what stands in the layers */
			view.n = plain.n = 0;
			tell_view(&view, f->fs, "");
			tell_plain(&plain, s.model, "");
			if (!is_same(&view, &plain))
				fail_msg("round %d, after step %d: %s", round, i, what);
		}
		close(s.model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_against_a_plain_directory, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
