/* See the header. */
#include "support/layer-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/map.h"

/* ---- archives ---- */

static void pad(struct buf *tar)
{
	static const char zeros[512];

	if (tar->len % 512)
		buf_append(tar, zeros, 512 - tar->len % 512);
}

static void octal(char *field, int digits, unsigned long long v)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", digits, v);
	memcpy(field, text, (size_t)digits);
}

void tar_add(struct buf *tar, const struct made *m)
{
	size_t len = m->len ? m->len : m->content ? strlen(m->content) : 0;
	char h[512] = "";
	unsigned total = 0;

	memcpy(h, m->name, strnlen(m->name, 100));
	octal(h + 100, 7, m->mode ? m->mode : m->type == '5' ? 0755 : 0644);
	octal(h + 108, 7, m->uid);
	octal(h + 116, 7, m->gid);
	octal(h + 124, 11, m->size ? (unsigned long long)m->size : len);
	octal(h + 136, 11, (unsigned long long)m->mtime);
	memset(h + 148, ' ', 8);
	h[156] = m->type ? m->type : '0';
	if (m->link)
		memcpy(h + 157, m->link, strnlen(m->link, 100));
	memcpy(h + 257, m->is_gnu ? "ustar  " : "ustar\00000", 8);
	octal(h + 329, 7, m->major);
	octal(h + 337, 7, m->minor);
	for (size_t i = 0; i < 512; i++)
		total += (unsigned char)h[i];
	octal(h + 148, 6, total);
	h[154] = '\0';
	buf_append(tar, h, 512);
	buf_append(tar, m->content, len);
	pad(tar);
}

void tar_pax(struct buf *tar, ...)
{
	struct buf records;
	const char *key;
	va_list ap;

	buf_init(&records, 1 << 22);
	va_start(ap, tar);
	while ((key = va_arg(ap, const char *))) {
		const char *value = va_arg(ap, const char *);
		size_t n = strlen(key) + strlen(value) + 3, all = n + 1;
		char digits[24];

		while (all != n + (size_t)snprintf(digits, sizeof(digits), "%zu", all))
			all++;
		buf_printf(&records, "%zu %s=%s\n", all, key, value);
	}
	va_end(ap);
	TAR(tar, .type = 'x', .name = "PaxHeaders.0/x", .content = records.data, .len = records.len);
	buf_done(&records);
}

void tar_end(struct buf *tar)
{
	static const char zeros[1024];

	buf_append(tar, zeros, sizeof(zeros));
}

/* ---- roots ---- */

static int new_root(struct layer_fixture *f)
{
	char name[16];

	if (f->root >= 0)
		close(f->root);
	snprintf(name, sizeof(name), "root%u", f->nroots++);
	if (mkdirat(f->top, name, 0755) < 0)
		return -1;
	f->root = openat(f->top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return f->root < 0 ? -1 : 0;
}

int layer_fixture_setup(void **state)
{
	struct layer_fixture *f = xnew(struct layer_fixture);
	int fd;

	snprintf(f->dir, sizeof(f->dir), "/tmp/sockerless-layer-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->top = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->root = -1;
	f->chunk = 700;
	buf_init(&f->tar, 1 << 26);
	*state = f;
	mkdirat(f->top, "outside", 0755);
	fd = openat(f->top, "outside/secret", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, "secret", 6) != 6 || fchmod(fd, 0600) < 0)
		return -1;
	close(fd);
	return new_root(f);
}

int layer_fixture_teardown(void **state)
{
	struct layer_fixture *f = *state;

	close(f->root);
	close(f->top);
	buf_done(&f->tar);
	free(f->shown);
	rootfs_remove_tree(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

int next_root(struct layer_fixture *f)
{
	int old = fcntl(f->root, F_DUPFD_CLOEXEC, 3), r = new_root(f);

	if (r == 0)
		r = layer_clone(old, f->root);
	close(old);
	return r;
}

struct bytes {
	const char *at;
	size_t left, chunk;
};

static ssize_t give(void *arg, const void **ret)
{
	struct bytes *b = arg;
	size_t n = b->left < b->chunk ? b->left : b->chunk;

	*ret = b->at;
	b->at += n;
	b->left -= n;
	return (ssize_t)n;
}

int apply_bytes(struct layer_fixture *f, int dir_fd, const void *data, size_t len)
{
	struct bytes b = { data, len, f->chunk };
	struct layer_figures figures = { 0 };
	int r;

	error_clear(&f->err);
	r = layer_apply(dir_fd, &f->limits, give, &b, &figures, &f->err);
	f->figures = figures;
	return r;
}

int apply(struct layer_fixture *f)
{
	int r;

	tar_end(&f->tar);
	r = apply_bytes(f, f->root, f->tar.data, f->tar.len);
	buf_reset(&f->tar);
	return r;
}

bool is_outside_untouched(struct layer_fixture *f)
{
	struct stat st, file;
	char text[16];
	int fd = openat(f->top, "outside/secret", O_RDONLY | O_CLOEXEC);
	bool is = fd >= 0 && read(fd, text, sizeof(text)) == 6 && memcmp(text, "secret", 6) == 0 &&
		  fstat(fd, &file) == 0 && (file.st_mode & 07777) == 0600 && file.st_nlink == 1 &&
		  fstatat(f->top, "outside", &st, 0) == 0 && (st.st_mode & 07777) == 0755 && st.st_nlink == 2;

	if (fd >= 0)
		close(fd);
	return is;
}

/* ---- what a view shows ---- */

struct viewer {
	struct rootfs *fs;
	struct buf *out;
	struct map names; /* of files, by number */
	bool with_times;
};

static void show_content(struct viewer *v, const char *path, const struct rootfs_stat *st)
{
	struct rootfs_file f;
	uint64_t sum = 14695981039346656037ull;
	char buf[4096], text[64] = "\"\"";
	ssize_t n;

	if (rootfs_open(v->fs, NULL, NULL, path, O_RDONLY | O_CLOEXEC, 0, &f) < 0) {
		buf_printf(v->out, " unreadable");
		return;
	}
	while ((n = read(f.fd, buf, sizeof(buf))) > 0) {
		if (st->size <= 32)
			snprintf(text, sizeof(text), "\"%.*s\"", (int)n, buf);
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ (unsigned char)buf[i]) * 1099511628211ull;
	}
	if (st->size > 32)
		buf_printf(v->out, " %lld bytes %llx", (long long)st->size, (unsigned long long)sum);
	else
		buf_printf(v->out, " %s", text);
	rootfs_file_done(&f);
}

static void show_entry(struct viewer *v, const char *path)
{
	static const char letters[] = { [S_IFIFO >> 12] = 'p', [S_IFCHR >> 12] = 'c', [S_IFDIR >> 12] = 'd',
					[S_IFBLK >> 12] = 'b', [S_IFREG >> 12] = '-', [S_IFLNK >> 12] = 'l',
					[S_IFSOCK >> 12] = 's' };
	char key[32], target[4096];
	struct rootfs_stat st;
	const char *first;
	ssize_t n;

	if (rootfs_stat(v->fs, NULL, NULL, path, AT_SYMLINK_NOFOLLOW, &st) < 0 || S_ISSOCK(st.mode))
		return;
	snprintf(key, sizeof(key), "%llu", (unsigned long long)st.ino);
	first = S_ISDIR(st.mode) ? NULL : map_get(&v->names, key);
	if (first) {
		buf_printf(v->out, "%s = %s\n", path, first);
		return;
	}
	map_put(&v->names, key, xstrdup(path));
	buf_printf(v->out, "%s %c %04o %u:%u", path, letters[st.mode >> 12], st.mode & 07777, st.uid, st.gid);
	if (v->with_times && path[1])
		buf_printf(v->out, " %lld", (long long)st.mtime.tv_sec);
	if (S_ISCHR(st.mode) || S_ISBLK(st.mode))
		buf_printf(v->out, " %u,%u", major(st.rdev), minor(st.rdev));
	if (S_ISREG(st.mode))
		show_content(v, path, &st);
	if (S_ISLNK(st.mode) && (n = rootfs_readlink(v->fs, NULL, NULL, path, target, sizeof(target))) >= 0)
		buf_printf(v->out, " -> %.*s", (int)n, target);
	buf_printf(v->out, "\n");
}

struct names {
	char *v[4096];
	size_t n;
};

static int take_name(void *arg, const struct rootfs_dirent *e)
{
	struct names *names = arg;

	if (strcmp(e->name, ".") && strcmp(e->name, "..") && names->n < 4096)
		names->v[names->n++] = xstrdup(e->name);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_dir(struct viewer *v, const char *path)
{
	struct names *names = xnew(struct names);
	struct rootfs_listing *l;
	struct rootfs_dir *dir;
	uint64_t cookie = 0;

	if (rootfs_open_dir(v->fs, NULL, NULL, path, &dir) == 0) {
		if (rootfs_listing_new(v->fs, dir, &l) == 0) {
			rootfs_listing_read(l, &cookie, take_name, names);
			rootfs_listing_free(l);
		}
		rootfs_dir_unref(dir);
	}
	if (names->n > 1)
		qsort(names->v, names->n, sizeof(names->v[0]), by_text);
	for (size_t i = 0; i < names->n; i++) {
		char *sub = xasprintf("%s/%s", path[1] ? path : "", names->v[i]);
		struct rootfs_stat st;

		show_entry(v, sub);
		if (rootfs_stat(v->fs, NULL, NULL, sub, AT_SYMLINK_NOFOLLOW, &st) == 0 && S_ISDIR(st.mode))
			show_dir(v, sub);
		free(sub);
		free(names->v[i]);
	}
	free(names);
}

char *show_view(struct rootfs *fs, bool with_times)
{
	struct viewer v = { .fs = fs, .with_times = with_times };
	const struct map_entry *known;
	struct buf out;
	size_t pos = 0;

	buf_init(&out, 1 << 26);
	v.out = &out;
	map_init(&v.names);
	show_entry(&v, "/");
	show_dir(&v, "/");
	while ((known = map_next(&v.names, &pos)))
		free(known->value);
	map_done(&v.names);
	return buf_steal(&out);
}

const char *shown(struct layer_fixture *f)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = f->root, .upper_fd = -1, .fd = -1 };
	struct rootfs *fs;

	free(f->shown);
	f->shown = NULL;
	if (rootfs_new(&m, 1, &fs) == 0) {
		f->shown = show_view(fs, true);
		rootfs_free(fs);
	}
	return f->shown;
}

int run_as_both(int (*run)(void))
{
	enum { NOBODY = 65534 };
	int status = 0;
	pid_t child;

	if (geteuid() != 0)
		return run();
	fflush(NULL);
	child = fork(); /* before anything has asked whose process this is: the answer is kept */
	if (child == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(1);
		printf("as an ordinary user:\n");
		status = run();
		fflush(NULL);
		_exit(status != 0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 1;
	return run() || status;
}
