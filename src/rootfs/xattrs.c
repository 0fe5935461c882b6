/* Extended attributes that archives bring (SCHILY.xattr.*: file capabilities above all): kept as the PAX records that they
 * came as, in one xattr of the file, and told by commit and export. A guest does not see them. Only files and directories
 * can have them, and only where the host's file system has user xattrs. */
#include <errno.h>
#include <string.h>
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

/* Records are ours, or were checked when they were read: each begins with its length. */
void xattrs_drop_capabilities(int fd)
{
	char records[ROOTFS_XATTRS_MAX + 1];
	size_t n = xattrs_load(fd, records), kept = 0, at = 0;

	records[n] = '\0';
	while (at < n) {
		size_t len = 0, i = at;

		for (; records[i] >= '0' && records[i] <= '9'; i++)
			len = 10 * len + (size_t)(records[i] - '0');
		if (records[i] != ' ' || len == 0 || len > n - at)
			break;
		if (strncmp(records + i + 1, CAPABILITY, strlen(CAPABILITY)) != 0) {
			memmove(records + kept, records + at, len);
			kept += len;
		}
		at += len;
	}
	if (kept < n)
		xattrs_store(fd, records, kept);
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
