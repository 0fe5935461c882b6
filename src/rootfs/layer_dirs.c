/* Directories while a layer is applied. No host path is ever built: each is opened by its name in its parent,
 * never through a link, so that nothing an archive says leads out of the root. */
#include "rootfs/layer_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"
#include "util/alloc.h"

enum { OPEN_MAX = 48, LINKS_MAX = 40, PATH_BYTES = 8192 };

/* ---- nodes ---- */

static uint64_t hash_of(const struct layer_dirs *d, const struct layer_node *in, const char *name, size_t len)
{
	uint64_t h = d->seed ^ (uint64_t)(uintptr_t)in;

	h *= 0x9e3779b97f4a7c15ull;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

struct layer_node *layer_node_find(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len)
{
	uint64_t h = hash_of(d, in, name, len);
	struct layer_node *n = d->slots[h & (d->size - 1)];

	while (n && !(n->hash == h && n->parent == in && n->len == len && memcmp(n->name, name, len) == 0))
		n = n->hash_next;
	return n;
}

static void grow(struct layer_dirs *d)
{
	size_t size = d->size * 2;
	struct layer_node **slots = xcalloc(size, sizeof(struct layer_node *));

	for (size_t i = 0; i < d->size; i++)
		for (struct layer_node *n = d->slots[i], *next; n; n = next) {
			next = n->hash_next;
			n->hash_next = slots[n->hash & (size - 1)];
			slots[n->hash & (size - 1)] = n;
		}
	free(d->slots);
	d->slots = slots;
	d->size = size;
}

struct layer_node *layer_node_add(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len)
{
	struct layer_node *n = xcalloc(1, sizeof(*n) + len + 1), **slot;

	memcpy(n->name, name, len);
	n->len = (uint16_t)len;
	n->fd = -1;
	n->parent = in;
	n->depth = in ? (uint16_t)(in->depth + 1) : 0;
	n->hash = hash_of(d, in, name, len);
	if (++d->count > d->size)
		grow(d);
	slot = &d->slots[n->hash & (d->size - 1)];
	n->hash_next = *slot;
	*slot = n;
	if (in) {
		n->next = in->first_child;
		if (n->next)
			n->next->previous = n;
		in->first_child = n;
	}
	return n;
}

static void forget_fd(struct layer_dirs *d, struct layer_node *n)
{
	if (n->newer)
		n->newer->older = n->older;
	else
		d->newest = n->older;
	if (n->older)
		n->older->newer = n->newer;
	else
		d->oldest = n->newer;
	n->newer = n->older = NULL;
}

static void close_node(struct layer_dirs *d, struct layer_node *n)
{
	if (n->fd < 0)
		return;
	if (n != d->root) {
		forget_fd(d, n);
		d->nopen--;
	}
	close(n->fd);
	n->fd = -1;
}

static void drop_one(struct layer_dirs *d, struct layer_node *n)
{
	struct layer_node **at = &d->slots[n->hash & (d->size - 1)];

	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	d->count--;
	if (n->previous)
		n->previous->next = n->next;
	else if (n->parent)
		n->parent->first_child = n->next;
	if (n->next)
		n->next->previous = n->previous;
	close_node(d, n);
	free(n);
}

/* Leaves first, without recursion: a path may be deep. */
void layer_node_drop(struct layer_dirs *d, struct layer_node *n)
{
	struct layer_node *at = n;

	d->generation++;
	for (;;) {
		struct layer_node *parent = at->parent;
		bool is_last = at == n;

		if (at->first_child) {
			at = at->first_child;
			continue;
		}
		drop_one(d, at);
		if (is_last)
			return;
		at = parent;
	}
}

/* ---- descriptors ---- */

static void keep_fd(struct layer_dirs *d, struct layer_node *n)
{
	n->older = d->newest;
	if (n->older)
		n->older->newer = n;
	else
		d->oldest = n;
	d->newest = n;
}

static int open_node(struct layer_dirs *d, struct layer_node *n)
{
	int fd = openat(n->parent->fd, n->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (d->nopen == OPEN_MAX)
		close_node(d, d->oldest);
	n->fd = fd;
	keep_fd(d, n);
	d->nopen++;
	return 0;
}

/* From the nearest parent that is open, one by one. */
int layer_node_fd(struct layer_dirs *d, struct layer_node *n)
{
	while (n->fd < 0) {
		struct layer_node *at = n;
		int r;

		while (at->parent && at->parent->fd < 0)
			at = at->parent;
		if (!at->parent) /* never: the root stays open */
			return -EBADF;
		r = open_node(d, at);
		if (r < 0)
			return r;
	}
	if (n != d->root && n != d->newest) {
		forget_fd(d, n);
		keep_fd(d, n);
	}
	return n->fd;
}

void layer_node_holds_new(struct layer_node *n)
{
	for (; n && !n->holds_new; n = n->parent)
		n->holds_new = true;
}

/* ---- the root ---- */

static bool is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool is = true;
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (is && (e = readdir(dir)))
		is = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return is;
}

/* By trying: a library asks for the process's mask without changing it. */
static uint32_t find_umask(int dir_fd)
{
	static const char probe[] = TEMPORARY_PREFIX "umask";
	uint32_t mask = 0777; /* whatever is made gets its mode by chmod, then */
	struct stat st;
	int fd = openat(dir_fd, probe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0777);

	if (fd < 0)
		return mask;
	if (fstat(fd, &st) == 0)
		mask = ~st.st_mode & 0777;
	close(fd);
	unlinkat(dir_fd, probe, 0);
	return mask;
}

int layer_dirs_init(struct layer_dirs *d, int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	*d = (struct layer_dirs){ .size = 256 };
	if (fd < 0)
		return -errno;
	if (getrandom(&d->seed, sizeof(d->seed), GRND_NONBLOCK) < 0)
		d->seed = (uint64_t)(uintptr_t)d;
	d->slots = xcalloc(d->size, sizeof(struct layer_node *));
	d->root = layer_node_add(d, NULL, "", 0);
	d->root->fd = fd;
	d->root->is_dir = true;
	d->root->is_fresh = is_empty(fd);
	if (!d->root->is_fresh && fstat(fd, &st) == 0) {
		d->root->mtime = st.st_mtim;
		d->root->has_mtime = true;
	}
	d->umask = find_umask(fd);
	return 0;
}

void layer_dirs_done(struct layer_dirs *d)
{
	if (d->root)
		layer_node_drop(d, d->root);
	free(d->slots);
	*d = (struct layer_dirs){ 0 };
}

/* ---- removal ---- */

int layer_remove(struct layer_dirs *d, struct layer_node *in, const char *name)
{
	struct layer_node *n = layer_node_find(d, in, name, strlen(name));
	int fd = layer_node_fd(d, in), r;

	if (fd < 0)
		return fd;
	if (n)
		layer_node_drop(d, n);
	sidecar_remove(fd, name);
	r = unlinkat(fd, name, 0) < 0 ? -errno : 0;
	return r == -EISDIR || r == -EPERM ? rootfs_remove_tree(fd, name) : r == -ENOENT ? 0 : r;
}

/* Only what is in it was the layer's: it looks like a directory that nobody has spoken of. */
static int reset_attributes(struct layer_dirs *d, struct layer_node *n)
{
	int fd = layer_node_fd(d, n);

	if (fd < 0)
		return fd;
	n->has_mtime = false;
	xattrs_store(fd, NULL, 0);
	if (fchmod(fd, 0755) < 0 || (fremovexattr(fd, OWNER_XATTR) < 0 && errno != ENODATA && errno != EOPNOTSUPP))
		return -errno;
	fd = layer_node_fd(d, n->parent);
	if (fd < 0)
		return fd;
	sidecar_remove(fd, n->name);
	return 0;
}

static int purge_entry(struct layer_dirs *d, struct layer_node *n, const char *name)
{
	struct layer_node *child = layer_node_find(d, n, name, strlen(name));
	int r;

	if (child && (!child->is_dir || child->is_fresh))
		return 0;
	if (!child || (!child->has_entry && !child->holds_new))
		return layer_remove(d, n, name);
	r = child->has_entry ? 0 : reset_attributes(d, child);
	return r < 0 ? r : layer_purge(d, child);
}

/* Names are taken down first: what is removed while a directory is read may be skipped or come twice. A record goes
 * with what it is about. */
static int list_names(int dir_fd, char **ret, size_t *ret_len)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t len = 0, size = 0;
	struct dirent *e;
	char *names = NULL, shown[256];

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while ((e = readdir(dir))) {
		size_t n = strlen(e->d_name) + 1;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || name_read(e->d_name, shown) == NAME_MARK)
			continue;
		if (len + n > size) {
			size = 2 * size + n + 4096;
			names = xrealloc(names, size);
		}
		memcpy(names + len, e->d_name, n);
		len += n;
	}
	closedir(dir);
	*ret = names;
	*ret_len = len;
	return 0;
}

int layer_purge(struct layer_dirs *d, struct layer_node *n)
{
	int fd = layer_node_fd(d, n), r = fd < 0 ? fd : 0;
	size_t len = 0;
	char *names = NULL;

	if (n->is_fresh)
		return 0;
	if (r == 0)
		r = list_names(fd, &names, &len);
	for (size_t at = 0; r == 0 && at < len; at += strlen(names + at) + 1)
		r = purge_entry(d, n, names + at);
	free(names);
	if (r == 0)
		n->is_fresh = true;
	return r;
}

/* ---- the walk ---- */

static struct layer_node *take_dir(struct layer_dirs *d, struct layer_node *in, struct layer_node *known,
				   const char *name, size_t len)
{
	struct layer_node *n = known ? known : layer_node_add(d, in, name, len);

	n->is_dir = true;
	return n;
}

static int make_dir(struct layer_dirs *d, struct layer_node *in, int fd, const char *name, size_t len, struct layer_node **ret)
{
	struct layer_node *n;

	if (mkdirat(fd, name, 0755) < 0)
		return -errno;
	if ((d->umask & 0755) && fchmodat(fd, name, 0755, 0) < 0)
		return -errno;
	n = take_dir(d, in, NULL, name, len);
	n->is_fresh = true;
	layer_node_holds_new(in);
	*ret = n;
	return 0;
}

int layer_node_enter(struct layer_dirs *d, struct layer_node *in, const char *name, size_t len, struct layer_node **ret)
{
	struct layer_node *n = layer_node_find(d, in, name, len);
	int fd, r;
	struct stat st;

	if (n && n->is_dir) {
		*ret = n;
		return 0;
	}
	if (n)
		return -ENOTDIR;
	fd = layer_node_fd(d, in);
	if (fd < 0)
		return fd;
	r = make_dir(d, in, fd, name, len, ret);
	if (r != -EEXIST)
		return r;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		n = take_dir(d, in, NULL, name, len);
		n->mtime = st.st_mtim;
		n->has_mtime = true;
		*ret = n;
		return 0;
	}
	if (in->is_fresh)
		return -ENOTDIR;
	r = layer_remove(d, in, name);
	return r < 0 ? r : make_dir(d, in, fd, name, len, ret);
}

struct walker {
	struct layer_dirs *dirs;
	struct layer_node *at;
	unsigned links;
	char rest[PATH_BYTES]; /* what is still to be walked */
	const char *pos;
};

/* A link of this layer (one of a lower layer has been replaced): its text goes before what is left. */
static int follow(struct walker *w, const char *name)
{
	char target[4096];
	size_t left = strlen(w->pos);
	ssize_t n = readlinkat(layer_node_fd(w->dirs, w->at), name, target, sizeof(target));

	if (n < 0)
		return errno == EINVAL ? -ENOTDIR : -errno;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if ((size_t)n + left + 1 > sizeof(w->rest) || (size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	memmove(w->rest + n, w->pos, left + 1);
	memcpy(w->rest, target, (size_t)n);
	w->pos = w->rest;
	if (target[0] == '/')
		w->at = w->dirs->root;
	return 0;
}

static int step(struct walker *w, const char *name, size_t len)
{
	char text[256];
	int r;

	if (len == 1 && name[0] == '.')
		return 0;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		if (!w->at->parent)
			return -EXDEV;
		w->at = w->at->parent;
		return 0;
	}
	if (len > 255 || w->at->depth >= LAYER_DEPTH_MAX)
		return -ENAMETOOLONG;
	memcpy(text, name, len);
	text[len] = '\0';
	r = layer_node_enter(w->dirs, w->at, text, len, &w->at);
	return r == -ENOTDIR ? follow(w, text) : r;
}

int layer_dirs_walk(struct layer_dirs *d, const char *path, struct layer_node **ret, struct error *err)
{
	struct walker w = { .dirs = d, .at = d->root, .pos = w.rest };
	int r = snprintf(w.rest, sizeof(w.rest), "%s", path) >= (int)sizeof(w.rest) ? -ENAMETOOLONG : 0;

	while (r == 0) {
		const char *name = w.pos + strspn(w.pos, "/");
		size_t len = strcspn(name, "/");

		if (len == 0)
			break;
		w.pos = name + len;
		r = step(&w, name, len);
	}
	*ret = w.at;
	if (r == 0)
		return 0;
	if (r == -EXDEV)
		return error_set_class(err, ERROR_INVALID, "\"%.300s\" is outside of \"/\"", path);
	if (r == -ENOTDIR || r == -ELOOP || r == -ENAMETOOLONG)
		return error_set_class(err, ERROR_INVALID, "/%.300s: %s", path, error_text(-r));
	return error_set(err, r, "/%.300s: %s", path, error_text(-r));
}

/* ---- times ---- */

static int set_time(struct layer_dirs *d, struct layer_node *n)
{
	struct timespec ts[2] = { n->mtime, n->mtime };
	int fd = layer_node_fd(d, n->parent ? n->parent : n);

	if (fd < 0)
		return fd;
	return utimensat(fd, n->parent ? n->name : ".", ts, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int layer_dirs_set_times(struct layer_dirs *d)
{
	struct layer_node *n = d->root;
	int r = 0;

	while (r == 0) {
		if (n->is_dir && n->has_mtime)
			r = set_time(d, n);
		if (n->first_child) {
			n = n->first_child;
			continue;
		}
		while (n && !n->next)
			n = n->parent;
		if (!n)
			break;
		n = n->next;
	}
	return r;
}
