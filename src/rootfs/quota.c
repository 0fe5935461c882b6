/* Mounts with a size: tmpfs, and the root under --storage-opt. What the files take is
 * counted as the host's file system does, in blocks: reserved before a write, put
 * right after it, given back with the last name. Of two that write one file at once
 * both may count the growth, and what was a foreign write was not counted at all:
 * before anybody hears of a full mount its files are added up anew. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rootfs/internal.h"

enum { BLOCK = 512, PAGE = 4096, DEPTH_MAX = 200 };

static bool is_limited(const struct rootfs_mount *m)
{
	return m->size_limit_bytes && m->used_bytes;
}

/* ---- adding up ---- */

static uint64_t count_below(int parent_fd, const char *name, int depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;
	uint64_t sum = 0;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			sum += DIR_BYTES + (depth < DEPTH_MAX ? count_below(dirfd(d), e->d_name, depth + 1) : 0);
		else
			sum += (uint64_t)st.st_blocks * BLOCK / (st.st_nlink ? st.st_nlink : 1);
	}
	if (d)
		closedir(d);
	return sum;
}

static void count_mount(const struct rootfs_mount *m)
{
	*m->used_bytes = count_below(m->kind == ROOTFS_MOUNT_UNION ? m->upper_fd : m->fd, ".", 0);
}

void rootfs_count_used(struct rootfs *fs)
{
	for (size_t i = 0; i < fs->nmounts; i++)
		if (is_limited(&fs->mounts[i]))
			count_mount(&fs->mounts[i]);
}

/* ---- taking and giving back ---- */

static bool reserve(const struct rootfs_mount *m, uint64_t bytes)
{
	uint64_t before = atomic_fetch_add(m->used_bytes, bytes);

	if (before <= m->size_limit_bytes && bytes <= m->size_limit_bytes - before)
		return true;
	*m->used_bytes -= bytes;
	return false;
}

int quota_take(struct rootfs_dir *dir, uint64_t bytes)
{
	const struct rootfs_mount *m = dir_mount(dir);

	if (!is_limited(m) || reserve(m, bytes))
		return 0;
	count_mount(m);
	return reserve(m, bytes) ? 0 : -ENOSPC;
}

void quota_give(struct rootfs_dir *dir, uint64_t bytes)
{
	const struct rootfs_mount *m = dir_mount(dir);
	uint64_t used;

	if (!is_limited(m))
		return;
	used = *m->used_bytes;
	while (!atomic_compare_exchange_weak(m->used_bytes, &used, used > bytes ? used - bytes : 0))
		;
}

void quota_give_entry(struct rootfs_dir *dir, const struct entry *e)
{
	if (e->place != ENTRY_UPPER)
		return;
	if (e->type == S_IFDIR)
		quota_give(dir, DIR_BYTES);
	else if (e->host.st_nlink == 1)
		quota_give(dir, (uint64_t)e->host.st_blocks * BLOCK);
}

/* ---- a file grows ---- */

/* A file that is bound there belongs to no mount with a size. */
static bool is_bound(const struct rootfs_dir *dir, const char *name)
{
	char path[4400];

	if (!name)
		return false;
	snprintf(path, sizeof(path), "%s/%s", strcmp(dir->path, "/") ? dir->path : "", name);
	for (size_t i = 0; i < dir->fs->nmounts; i++)
		if (dir->fs->mounts[i].kind == ROOTFS_MOUNT_FILE && strcmp(dir->fs->mounts[i].target, path) == 0)
			return true;
	return false;
}

static int64_t whole_pages(int64_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Where the write begins; -1: nobody knows. */
static int64_t place_of_write(int fd, const struct stat *st, int64_t offset)
{
	if (offset >= 0)
		return offset;
	return fcntl(fd, F_GETFL) & O_APPEND ? st->st_size : lseek(fd, 0, SEEK_CUR);
}

/* Whatever is within the blocks of a file without holes is there already: up to the end of its last page, since
 * the blocks count what the host's file system keeps of its own beside them (ext4: the tree of extents). */
static uint64_t length_without_growth(int fd, const struct stat *st, int64_t offset, uint64_t len)
{
	int64_t end = whole_pages(st->st_size), held = (int64_t)st->st_blocks * BLOCK;

	offset = place_of_write(fd, st, offset);
	if (held < st->st_size)
		return 0;
	held = held < end ? held : end;
	if (offset < 0 || offset >= held)
		return 0;
	return len < (uint64_t)(held - offset) ? len : (uint64_t)(held - offset);
}

int rootfs_grow_begin(struct rootfs_dir *dir, const char *name, int fd, int64_t offset, uint64_t *len, struct rootfs_growth *ret)
{
	const struct rootfs_mount *m = dir ? dir_mount(dir) : NULL;
	uint64_t wanted = (*len + PAGE - 1) / PAGE * PAGE, room, used;
	int64_t at;
	struct stat st;

	*ret = (struct rootfs_growth){ .fd = fd, .dense_size = -1 };
	if (!m || !is_limited(m) || is_bound(dir, name) || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	ret->mount = m;
	ret->before_bytes = (uint64_t)st.st_blocks * BLOCK;
	at = place_of_write(fd, &st, offset);
	if (ret->before_bytes >= (uint64_t)st.st_size && at >= 0 && at <= st.st_size)
		ret->dense_size = st.st_size;
	ret->reserved_bytes = wanted;
	if (reserve(m, wanted))
		return 0;
	ret->reserved_bytes = 0;
	if (length_without_growth(fd, &st, offset, *len) == *len)
		return 0;
	count_mount(m);
	ret->reserved_bytes = wanted;
	if (reserve(m, wanted))
		return 0;
	used = *m->used_bytes;
	room = used < m->size_limit_bytes ? m->size_limit_bytes - used : 0;
	if (room >= PAGE && reserve(m, room)) { /* as much as there is */
		ret->reserved_bytes = room;
		*len = room < *len ? room : *len;
		return 0;
	}
	ret->reserved_bytes = 0;
	*len = length_without_growth(fd, &st, offset, *len);
	if (*len)
		return 0;
	ret->mount = NULL;
	return -ENOSPC;
}

/* While the host's kernel writes a file back, its blocks may be fewer for a moment (ext4: between what was reserved and
 * what is allocated; the tree of extents comes and goes). What has been appended is there all the same. */
static uint64_t blocks_after(const struct rootfs_growth *g, const struct stat *st)
{
	uint64_t after = (uint64_t)st->st_blocks * BLOCK, least = g->before_bytes;

	if (g->dense_size < 0 || st->st_size < g->dense_size)
		return after;
	least += (uint64_t)(whole_pages(st->st_size) - whole_pages(g->dense_size));
	return after > least ? after : least;
}

void rootfs_grow_end(struct rootfs_growth *g)
{
	struct stat st;

	if (!g->mount)
		return;
	if (fstat(g->fd, &st) == 0)
		*g->mount->used_bytes += blocks_after(g, &st) - g->before_bytes;
	*g->mount->used_bytes -= g->reserved_bytes;
}
