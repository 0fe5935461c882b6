/* See the header. */
#include "support/rootfs-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/alloc.h"

int put_host(int dir_fd, const char *path, const char *text)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

int fixture_reopen(struct fixture *f)
{
	struct rootfs_mount m = { .kind = ROOTFS_MOUNT_UNION, .target = "/", .lower_fd = f->lower, .upper_fd = f->upper, .fd = -1 };

	rootfs_free(f->fs);
	f->fs = NULL;
	return rootfs_new(&m, 1, &f->fs);
}

int fixture_setup(void **state)
{
	struct fixture *f = xnew(struct fixture);

	snprintf(f->dir, sizeof(f->dir), "/tmp/sockerless-rootfs-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->root_fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	mkdirat(f->root_fd, "lower", 0755);
	mkdirat(f->root_fd, "upper", 0755);
	f->lower = openat(f->root_fd, "lower", O_PATH | O_DIRECTORY);
	f->upper = openat(f->root_fd, "upper", O_PATH | O_DIRECTORY);
	mkdirat(f->lower, "etc", 0755);
	if (put_host(f->lower, "etc/a", "lower a") < 0 || put_host(f->lower, "etc/b", "lower b") < 0 ||
	    put_host(f->root_fd, "outside", "secret") < 0)
		return -1;
	if (symlinkat("../../outside", f->lower, "up") < 0 || symlinkat("/etc/a", f->lower, "abs") < 0)
		return -1;
	*state = f;
	return fixture_reopen(f);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	rootfs_free(f->fs);
	close(f->lower);
	close(f->upper);
	close(f->root_fd);
	rootfs_remove_tree(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

const char *content(struct fixture *f, const char *path)
{
	static char text[64];
	struct rootfs_file file;
	ssize_t n;
	int r = rootfs_open(f->fs, NULL, NULL, path, O_RDONLY | O_CLOEXEC, 0, &file);

	if (r < 0) {
		snprintf(text, sizeof(text), "%d", r);
		return text;
	}
	n = file.fd >= 0 ? read(file.fd, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	rootfs_file_done(&file);
	return text;
}

int write_to(struct fixture *f, const char *path, const char *text, int flags)
{
	struct rootfs_file file;
	int r = rootfs_open(f->fs, NULL, NULL, path, O_WRONLY | O_CLOEXEC | flags, 0644, &file);

	if (r < 0)
		return r;
	if (write(file.fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -EIO;
	rootfs_file_done(&file);
	return r;
}

struct collector {
	char *words[64];
	size_t n;
	int all;
	char text[2048];
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: the order of a directory is the file system's. */
static const char *text_of(struct collector *c)
{
	size_t at = 0;

	qsort(c->words, c->n, sizeof(c->words[0]), by_name);
	c->text[0] = '\0';
	for (size_t i = 0; i < c->n; i++) {
		at += (size_t)snprintf(c->text + at, sizeof(c->text) - at, "%s ", c->words[i]);
		free(c->words[i]);
	}
	c->n = 0;
	return c->text;
}

static int collect(void *arg, const struct rootfs_dirent *e)
{
	struct collector *c = arg;

	if (c->n < 64 && strcmp(e->name, ".") && strcmp(e->name, "..") && (c->all || e->name[0] != '.'))
		c->words[c->n++] = xstrdup(e->name);
	return 0;
}

const char *listing(struct fixture *f, const char *path, int all)
{
	static struct collector c;
	struct rootfs_dir *dir;
	struct rootfs_listing *l;
	uint64_t cookie = 0;
	int r;

	c.all = all;
	r = rootfs_open_dir(f->fs, NULL, NULL, path, &dir);
	if (r < 0) {
		snprintf(c.text, sizeof(c.text), "%d", r);
		return c.text;
	}
	if (rootfs_listing_new(f->fs, dir, &l) == 0) {
		rootfs_listing_read(l, &cookie, collect, &c);
		rootfs_listing_free(l);
	}
	rootfs_dir_unref(dir);
	return text_of(&c);
}

static int collect_change(void *arg, const char *path, int kind)
{
	struct collector *c = arg;

	if (c->n < 64)
		c->words[c->n++] = xasprintf("%c%s", "CAD"[kind], path);
	return 0;
}

const char *changes(struct fixture *f)
{
	static struct collector c;

	rootfs_changes(f->fs, collect_change, &c);
	return text_of(&c);
}
