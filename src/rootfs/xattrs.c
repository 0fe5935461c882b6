/* Extended attributes that archives bring (SCHILY.xattr.*: file capabilities above all): kept as the PAX records that they
 * came as, in one xattr of the file, and told by commit and export. A guest sees those of the name space "user" (guest_xattrs.c). Only files and directories
 * can have them, and only where the host's file system has user xattrs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rootfs/internal.h"

#define CAPABILITY "SCHILY.xattr.security.capability="

void xattrs_store(int fd, const char *records, size_t len)
{
	if (len > 0 && len <= ROOTFS_XATTRS_MAX)
		(void)!fsetxattr(fd, GUEST_XATTRS, records, len, 0);
	else if (fgetxattr(fd, GUEST_XATTRS, NULL, 0) >= 0)
		(void)!fremovexattr(fd, GUEST_XATTRS);
}

size_t xattrs_load(int fd, char to[ROOTFS_XATTRS_MAX])
{
	ssize_t n = fgetxattr(fd, GUEST_XATTRS, to, ROOTFS_XATTRS_MAX);

	return n > 0 ? (size_t)n : 0;
}

void xattrs_copy(int from, int to)
{
	char records[ROOTFS_XATTRS_MAX];
	size_t n = xattrs_load(from, records);

	if (n > 0)
		xattrs_store(to, records, n);
}

size_t xattrs_record(const char *records, size_t n, size_t at, size_t *ret_before)
{
	size_t len = 0, i = at;

	for (; records[i] >= '0' && records[i] <= '9'; i++)
		len = 10 * len + (size_t)(records[i] - '0');
	*ret_before = i + 1 - at;
	return records[i] != ' ' || len <= *ret_before || len > n - at ? 0 : len;
}

void xattrs_drop_capabilities(int fd)
{
	char records[ROOTFS_XATTRS_MAX + 1];
	size_t n = xattrs_load(fd, records), kept = 0, len, before;

	records[n] = '\0';
	for (size_t at = 0; (len = xattrs_record(records, n, at, &before)) > 0; at += len) {
		if (strncmp(records + at + before, CAPABILITY, strlen(CAPABILITY)) == 0)
			continue;
		memmove(records + kept, records + at, len);
		kept += len;
	}
	if (kept < n)
		xattrs_store(fd, records, kept);
}

/* Does one of the records give a value to the name that this one begins with ("NAME=…")? */
static bool has_name(const char *records, size_t n, const char *name)
{
	size_t name_len = strcspn(name, "=") + 1, len, before;

	for (size_t at = 0; (len = xattrs_record(records, n, at, &before)) > 0; at += len)
		if (len - before >= name_len && memcmp(records + at + before, name, name_len) == 0)
			return true;
	return false;
}

static void add(int fd, const char *records, size_t n)
{
	char old[ROOTFS_XATTRS_MAX + 1], given[ROOTFS_XATTRS_MAX + 1], merged[2 * ROOTFS_XATTRS_MAX];
	size_t nold = xattrs_load(fd, old), total = 0, len, before;

	old[nold] = '\0';
	memcpy(given, records, n);
	given[n] = '\0';
	for (size_t at = 0; (len = xattrs_record(old, nold, at, &before)) > 0; at += len) {
		if (has_name(given, n, old + at + before))
			continue;
		memcpy(merged + total, old + at, len);
		total += len;
	}
	memcpy(merged + total, given, n);
	total += n;
	if (total <= ROOTFS_XATTRS_MAX)
		xattrs_store(fd, merged, total);
}

int rootfs_add_dir_xattrs(struct rootfs *fs, struct rootfs_dir *at, const char *path, const char *records, size_t len)
{
	struct place p;
	int fd, r = walk_existing(fs, NULL, at, path, WALK_NOFOLLOW, &p);

	if (r < 0)
		return r;
	if (!p.name[0] || p.entry.type != S_IFDIR || (p.entry.place != ENTRY_UPPER && p.entry.place != ENTRY_LOWER) ||
	    !dir_has_marks(p.dir) || len == 0 || len > ROOTFS_XATTRS_MAX)
		r = -ENOTDIR;
	if (r == 0)
		r = check_writable(p.dir);
	if (r == 0)
		r = copy_up(p.dir, p.name, &p.entry, true);
	fd = r == 0 ? open_for_attributes(p.dir->upper, p.name, S_IFDIR) : -1;
	if (fd >= 0) {
		add(fd, records, len);
		close(fd);
	}
	place_done(&p);
	return r;
}

size_t rootfs_xattrs(struct rootfs *fs, struct rootfs_dir *at, const char *path, char to[ROOTFS_XATTRS_MAX])
{
	struct place p;
	size_t n = 0;
	int fd = -1;

	if (walk_existing(fs, NULL, at, path, WALK_NOFOLLOW, &p) < 0)
		return 0;
	if (p.name[0] && (p.entry.place == ENTRY_UPPER || p.entry.place == ENTRY_LOWER) && dir_has_marks(p.dir))
		fd = open_for_attributes(entry_layer(p.dir, &p.entry), p.name, p.entry.type);
	if (fd >= 0) {
		n = xattrs_load(fd, to);
		close(fd);
	}
	place_done(&p);
	return n;
}

size_t rootfs_file_xattrs(const struct rootfs_file *f, char to[ROOTFS_XATTRS_MAX])
{
	return dir_has_marks(f->dir) ? xattrs_load(f->fd, to) : 0;
}

void rootfs_set_xattrs(struct rootfs_file *f, const char *records, size_t len)
{
	if (f->fd >= 0 && dir_has_marks(f->dir))
		xattrs_store(f->fd, records, len);
}
