/* Merged listings: a snapshot of the names of both layers and the mounts. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"
#include "util/alloc.h"

struct item {
	char *name;
	uint64_t ino;
	uint32_t type;
};

struct rootfs_listing {
	struct item *items;
	size_t count, size;
	int error;
};

static int add(struct rootfs_listing *l, const char *name, uint64_t ino, uint32_t type)
{
	if (l->count == l->size) {
		size_t size = l->size ? l->size * 2 : 32;
		struct item *items = realloc(l->items, size * sizeof(*items));

		if (!items)
			return l->error = -ENOMEM;
		l->items = items;
		l->size = size;
	}
	l->items[l->count].name = strdup(name);
	if (!l->items[l->count].name)
		return l->error = -ENOMEM;
	l->items[l->count].ino = ino;
	l->items[l->count].type = type;
	l->count++;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static void sort(struct item *items, size_t n)
{
	if (n > 1)
		/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): n > 1: there are items */
		qsort(items, n, sizeof(*items), by_name);
}

static bool has(const struct item *sorted, size_t n, const char *name)
{
	struct item key = { .name = (char *)name };

	return n > 0 && bsearch(&key, sorted, n, sizeof(key), by_name) != NULL;
}

/* Names of one layer, but those that are known or whited out above it. */
static int read_layer(struct rootfs_listing *l, int dir_fd, const struct rootfs_dir *dir, size_t known,
		      const struct item *whiteouts, size_t nwhiteouts, struct rootfs_listing *ret_whiteouts)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool has_marks = dir_has_marks(dir);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((e = readdir(d))) {
		enum name_kind kind = NAME_ENTRY;
		char shown[256];
		const char *name = e->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (has_marks && name[0] == '.') {
			kind = name_read(name, shown);
			name = shown;
		}
		if (kind == NAME_WHITEOUT && ret_whiteouts)
			add(ret_whiteouts, name, 0, 0);
		if (kind != NAME_ENTRY || has(l->items, known, name) || has(whiteouts, nwhiteouts, name))
			continue;
		add(l, name, e->d_ino, e->d_type);
	}
	closedir(d);
	return 0;
}

static void listing_clear(struct rootfs_listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].name);
	free(l->items);
}

static int read_union(struct rootfs_listing *l, struct rootfs_dir *dir)
{
	struct rootfs_listing whiteouts = { 0 };
	int r = 0, upper = dir_upper(dir);

	if (upper >= 0)
		r = read_layer(l, upper, dir, 0, NULL, 0, &whiteouts);
	if (r == 0 && dir->lower >= 0) {
		sort(l->items, l->count);
		sort(whiteouts.items, whiteouts.count);
		r = read_layer(l, dir->lower, dir, l->count, whiteouts.items, whiteouts.count, NULL);
	}
	listing_clear(&whiteouts);
	return r;
}

static int add_virtual(void *arg, const char *name, uint64_t node, uint32_t type)
{
	return add(arg, name, node + 1, type);
}

/* Mount points whose place exists in no layer are shown all the same. */
static void add_mounts(struct rootfs_listing *l, struct rootfs_dir *dir)
{
	const struct rootfs *fs = dir->fs;
	size_t n = strcmp(dir->path, "/") ? strlen(dir->path) : 0, known = l->count;

	sort(l->items + 2, known - 2);
	for (size_t i = 1; i < fs->nmounts; i++) {
		const char *t = fs->mounts[i].target;

		if (strncmp(t, dir->path, n) == 0 && t[n] == '/' && !strchr(t + n + 1, '/') &&
		    !has(l->items + 2, known - 2, t + n + 1))
			add(l, t + n + 1, i + 1, fs->mounts[i].kind == ROOTFS_MOUNT_FILE ? DT_REG : DT_DIR);
	}
}

int rootfs_listing_new(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_listing **ret)
{
	const struct rootfs_mount *m = dir_mount(dir);
	struct rootfs_listing *l = calloc(1, sizeof(*l)), names = { 0 };
	int r;

	(void)fs;
	if (!l)
		return -ENOMEM;
	add(l, ".", 1, DT_DIR);
	add(l, "..", 1, DT_DIR);
	if (m->kind == ROOTFS_MOUNT_VIRTUAL)
		r = m->ops->list(m->ctx, dir->node, add_virtual, &names);
	else
		r = read_union(&names, dir);
	for (size_t i = 0; i < names.count; i++)
		add(l, names.items[i].name, names.items[i].ino, names.items[i].type);
	if (names.error)
		l->error = names.error;
	listing_clear(&names);
	if (r == 0)
		add_mounts(l, dir);
	if (r < 0 || l->error) {
		r = r < 0 ? r : l->error;
		rootfs_listing_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

int rootfs_listing_read(struct rootfs_listing *l, uint64_t *cookie,
			int (*emit)(void *arg, const struct rootfs_dirent *entry), void *arg)
{
	for (; *cookie < l->count; ++*cookie) {
		const struct item *it = &l->items[*cookie];
		struct rootfs_dirent e = { .name = it->name, .ino = it->ino, .type = it->type, .next_cookie = *cookie + 1 };

		if (emit(arg, &e))
			break;
	}
	return 0;
}

void rootfs_listing_free(struct rootfs_listing *l)
{
	if (!l)
		return;
	listing_clear(l);
	free(l);
}

static int take_name(void *arg, const struct rootfs_dirent *e)
{
	struct rootfs_names *names = arg;

	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return 0;
	if (names->n == names->size) {
		names->size = names->size ? 2 * names->size : 16;
		names->v = xrealloc(names->v, names->size * sizeof(*names->v));
	}
	names->v[names->n++] = xstrdup(e->name);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int rootfs_names_read(struct rootfs *fs, struct rootfs_dir *dir, struct rootfs_names *ret)
{
	struct rootfs_listing *l;
	uint64_t cookie = 0;
	int r = rootfs_listing_new(fs, dir, &l);

	*ret = (struct rootfs_names){ 0 };
	if (r < 0)
		return r;
	rootfs_listing_read(l, &cookie, take_name, ret);
	rootfs_listing_free(l);
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_text);
	return 0;
}

void rootfs_names_done(struct rootfs_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}
