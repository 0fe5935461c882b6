/* Path resolution: component by component on positions. `..` pops our own
 * chain, symlinks expand into our own text, so no path leaves the view. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

enum { LINKS_MAX = 40, REST_MAX = 8192, LINK_SHORT = 256, LINK_MAX = 4096 };

struct walker {
	struct rootfs *fs;
	const struct rootfs_cred *cred;
	struct rootfs_dir *cur;   /* reference */
	const char *pos;          /* what is still to be walked: in the caller's text or in */
	char *text; /* ours, after a link; NULL: none yet. On the heap: a worker's stack is copied by pages */
	unsigned links;
	bool is_fresh; /* cur was opened by this walk's last step */
};

static void move_to(struct walker *w, struct rootfs_dir *take_dir)
{
	rootfs_dir_unref(w->cur);
	w->cur = take_dir;
	w->is_fresh = false;
}

/* Next component into name; its length, 0 at the end. */
static int next_name(struct walker *w, char name[256])
{
	size_t n;

	while (*w->pos == '/')
		w->pos++;
	n = (size_t)(strchrnul(w->pos, '/') - w->pos);
	if (n > 255)
		return -ENAMETOOLONG;
	memcpy(name, w->pos, n);
	name[n] = '\0';
	w->pos += n;
	return (int)n;
}

static bool at_last(const struct walker *w)
{
	const char *p = w->pos;

	while (*p == '/')
		p++;
	return *p == '\0';
}

static ssize_t read_target(struct walker *w, const char *name, const struct entry *e, char *target, size_t size)
{
	const struct rootfs_mount *m = dir_mount(w->cur);
	ssize_t n;

	if (e->place == ENTRY_VIRTUAL)
		return m->ops->readlink(m->ctx, e->node, target, size);
	n = readlinkat(entry_layer(w->cur, e), name, target, size);
	return n < 0 ? -errno : n;
}

/* Puts a link's target in front of what is left. `room` is for the target: -ENAMETOOLONG may mean that more helps. */
static int splice_link(struct walker *w, const char *name, const struct entry *e, size_t room)
{
	size_t left = strlen(w->pos);
	char *text = malloc(room + left + 1);
	ssize_t n = text ? read_target(w, name, e, text, room) : -ENOMEM;

	if (n == 0)
		n = -ENOENT;
	if (n > 0 && ((size_t)n >= room || (size_t)n + left + 2 > REST_MAX))
		n = -ENAMETOOLONG;
	if (n < 0) {
		free(text);
		return (int)n;
	}
	memcpy(text + n, w->pos, left + 1);
	free(w->text);
	w->pos = w->text = text;
	if (text[0] == '/')
		move_to(w, rootfs_dir_ref(w->fs->root));
	return 0;
}

/* 0: the walk goes on at the target. 1: the link itself stands for an open file. */
static int follow(struct walker *w, const char *name, const struct entry *e)
{
	const struct rootfs_mount *m = dir_mount(w->cur);
	int r;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (e->place == ENTRY_VIRTUAL) {
		struct rootfs_dir *to = NULL;

		r = m->ops->follow ? m->ops->follow(m->ctx, e->node, &to) : 0;

		if (r == 1)
			move_to(w, to);
		if (r != 0)
			return r < 0 ? r : r - 1;
	}
	r = e->place == ENTRY_VIRTUAL ? -ENAMETOOLONG : splice_link(w, name, e, LINK_SHORT);
	return r == -ENAMETOOLONG ? splice_link(w, name, e, LINK_MAX) : r;
}

static int step_into(struct walker *w, const char *name, const struct entry *e)
{
	struct rootfs_dir *next;
	int r = entry_open_dir(w->cur, name, e, &next);

	if (r == 0)
		move_to(w, next);
	w->is_fresh = r == 0;
	return r;
}

static void finish(struct walker *w, const char *name, const struct entry *e, struct place *ret)
{
	ret->dir = rootfs_dir_ref(w->cur);
	memcpy(ret->name, name, strlen(name) + 1);
	ret->wants_dir = *w->pos == '/';
	if (e)
		ret->entry = *e;
}

/* One component. 1: that was the last one, *ret is filled. */
static int step(struct walker *w, int flags, struct place *ret)
{
	char name[256], guest[256];
	struct entry e;
	bool is_last;
	int r = next_name(w, guest);

	if (r < 0)
		return r;
	if (r == 0) {
		finish(w, "", NULL, ret);
		return 1;
	}
	r = check_dir_access(w->cred, w->cur, X_OK);
	if (r < 0)
		return r;
	if (strcmp(guest, ".") == 0)
		return 0;
	if (strcmp(guest, "..") == 0) {
		if (w->cur->parent)
			move_to(w, rootfs_dir_ref(w->cur->parent));
		return 0;
	}
	is_last = at_last(w);
	r = name_store(w->cur, guest, name);
	if (r < 0)
		return r;
	r = entry_lookup(w->cur, name, w->is_fresh, &e);
	if (r < 0)
		return r;
	if (e.type == S_IFLNK && (!is_last || !(flags & WALK_NOFOLLOW) || *w->pos == '/')) {
		r = follow(w, name, &e);
		if (r != 1)
			return r;
		/* A magic link to an open file: the link's node stands for it. */
		e.node |= ROOTFS_FOLLOWED;
		e.type = S_IFREG;
	}
	if (is_last && !(e.type == S_IFDIR && e.place != ENTRY_NONE)) {
		finish(w, name, &e, ret);
		return 1;
	}
	if (e.place == ENTRY_NONE)
		return -ENOENT;
	if (is_last) { /* a directory: both as an entry of its parent and to be opened */
		finish(w, name, &e, ret);
		return 1;
	}
	return step_into(w, name, &e);
}

int walk(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
	 struct place *ret)
{
	struct walker w = { .fs = fs, .cred = cred, .pos = path };
	size_t n = strlen(path);
	int r;

	if (n == 0)
		return -ENOENT;
	if (n >= 4096)
		return -ENAMETOOLONG;
	w.cur = rootfs_dir_ref(path[0] == '/' || !at ? fs->root : at);
	memset(ret, 0, sizeof(*ret));
	do
		r = step(&w, flags, ret);
	while (r == 0);
	rootfs_dir_unref(w.cur);
	free(w.text);
	if (r == 1 && ret->wants_dir && ret->entry.place != ENTRY_NONE && ret->name[0] && ret->entry.type != S_IFDIR) {
		place_done(ret);
		return -ENOTDIR;
	}
	return r < 0 ? r : 0;
}

int walk_existing(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path, int flags,
		  struct place *ret)
{
	int r = walk(fs, cred, at, path, flags, ret);

	if (r == 0 && ret->name[0] && ret->entry.place == ENTRY_NONE) {
		place_done(ret);
		return -ENOENT;
	}
	return r;
}

void place_done(struct place *p)
{
	rootfs_dir_unref(p->dir);
	p->dir = NULL;
}

int place_stat(struct place *p, struct rootfs_stat *ret)
{
	if (p->name[0] == '\0')
		return rootfs_dir_stat(p->dir->fs, p->dir, ret);
	return entry_stat(p->dir, p->name, &p->entry, ret);
}

int rootfs_open_dir(struct rootfs *fs, const struct rootfs_cred *cred, struct rootfs_dir *at, const char *path,
		    struct rootfs_dir **ret)
{
	struct rootfs_dir *dir = NULL;
	struct place p;
	int r = walk_existing(fs, cred, at, path, 0, &p);

	if (r < 0)
		return r;
	if (p.name[0] == '\0')
		dir = rootfs_dir_ref(p.dir);
	else
		r = entry_open_dir(p.dir, p.name, &p.entry, &dir);
	place_done(&p);
	if (r == 0)
		r = check_dir_access(cred, dir, X_OK);
	if (r == 0)
		*ret = dir;
	else
		rootfs_dir_unref(dir);
	return r;
}
