/* The guest's names and those of a layer. A name that begins with our marker
 * prefix is stored under another one, so that every name is the guest's to use
 * and no name of the guest is ever read as a mark. docs/rootfs.md lists them.
 *
 * Inside the library a name is the stored one; walk and listing translate. */
#include <errno.h>
#include <string.h>

#include "rootfs/internal.h"

static bool has_prefix(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* A bind is the host's own directory: nothing of ours is kept in it. */
bool dir_has_marks(const struct rootfs_dir *dir)
{
	const struct rootfs_mount *m = dir_mount(dir);

	return m->kind == ROOTFS_MOUNT_UNION || (m->kind == ROOTFS_MOUNT_DIR && !m->is_bind);
}

/* prefix + name, as much as there is room for; its whole length. Each step of each path comes by: no printf. */
static size_t put_name(char out[256], const char *prefix, const char *name)
{
	size_t n = strlen(prefix), len = strlen(name), fits = n + len < 256 ? len : 255 - n;

	memcpy(out, prefix, n);
	memmove(out + n, name, fits);
	out[n + fits] = '\0';
	return n + len;
}

int name_store(const struct rootfs_dir *dir, const char *guest, char out[256])
{
	bool is_escaped = has_prefix(guest, WHITEOUT_PREFIX) && dir_has_marks(dir);
	size_t n = is_escaped ? put_name(out, ESCAPE_PREFIX, guest + strlen(WHITEOUT_PREFIX)) : put_name(out, "", guest);

	return n < 256 ? 0 : -ENAMETOOLONG;
}

static void unescape(const char *stored, char out[256])
{
	if (has_prefix(stored, ESCAPE_PREFIX))
		put_name(out, WHITEOUT_PREFIX, stored + strlen(ESCAPE_PREFIX));
	else
		put_name(out, "", stored);
}

void name_show(const struct rootfs_dir *dir, const char *stored, char out[256])
{
	if (dir_has_marks(dir))
		unescape(stored, out);
	else
		put_name(out, "", stored);
}

enum name_kind name_read(const char *stored, char guest[256])
{
	enum name_kind kind = NAME_ENTRY;

	if (has_prefix(stored, WHITEOUT_PREFIX) && !has_prefix(stored, ESCAPE_PREFIX)) {
		kind = NAME_WHITEOUT;
		stored += strlen(WHITEOUT_PREFIX);
		if (has_prefix(stored, WHITEOUT_PREFIX) && !has_prefix(stored, ESCAPE_PREFIX))
			return NAME_MARK;
	}
	unescape(stored, guest);
	return kind;
}
